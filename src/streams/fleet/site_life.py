"""From where the records on a site's topic count: those of before the site was forgotten do not. Pure.

A site that was forgotten begins anew with the first row of a log, told by its position. What lies between, rows that
were on their way when somebody asked, counts for nobody. Worker, sink and forwarder go by the same rule, so that a
database that is filled from an empty one says the same as one that has been there all the time.
"""

from typing import Final

import msgspec

from streams.envelope import CONTENT_TYPE, SPECVERSION, Headers, Record
from streams.record_border import place_of, texts

SITE_FORGOTTEN: Final = "bonewatch.site-forgotten.v1"
"""Type of an operator's record on a site's topic: what stands before it counts no longer; a log begins behind it."""
_TYPE: Final = SITE_FORGOTTEN.encode()

NEVER: Final = -1
"""The offset of what has not happened."""


class Forgetting(msgspec.Struct, frozen=True):
    """Who asks for a site to be forgotten, and why."""

    by: str
    reason: str


def forget_request(site: str, asked: Forgetting, *, identity: str, at: str) -> Record:
    """Return the record behind which a site's log begins anew."""
    headers = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", SPECVERSION),
        ("ce_id", identity.encode()),
        ("ce_source", f"/sites/{site}".encode()),
        ("ce_type", _TYPE),
        ("ce_subject", site.encode()),
        ("ce_time", at.encode()),
    ]
    return Record(site.encode(), msgspec.json.encode(asked), headers)


def forgets(site: str, headers: Headers) -> bool:
    """Whether a record asks for the site to be forgotten on whose topic it stands."""
    if not any(name == "ce_type" and content == _TYPE for name, content in headers):
        return False  # as nearly always, and at a tenth of the cost
    return texts(headers).get("ce_subject") == site


class SiteLife(msgspec.Struct, frozen=True, array_like=True):
    """Where a site's rows begin on its topic.

    `forgotten_at` is the offset of the last request to forget it, `begins` that of the first row that counts; -1
    where there was none, or it is waited for.
    """

    forgotten_at: int = NEVER
    begins: int = 0

    def order(self) -> tuple[int, int]:
        """Return what the later of two is greater by."""
        return self.forgotten_at, self.begins

    def has(self, offset: int) -> bool:
        """Whether a record there is part of it."""
        return self.begins != NEVER and offset >= self.begins

    def after(self, site: str, offset: int, headers: Headers) -> "SiteLife":
        """Return what it is once a record has come."""
        if offset <= self.forgotten_at:
            return self
        if forgets(site, headers):
            return SiteLife(offset, NEVER)
        if self.begins == NEVER and is_first_row(headers):
            return SiteLife(self.forgotten_at, offset)
        return self


def is_first_row(headers: Headers) -> bool:
    """Whether a record says that it holds the first row of a log, be it one that can be read or not."""
    place = place_of(headers)
    return place is not None and place.position == 1


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(SiteLife)


def blob_from_life(life: SiteLife) -> bytes:
    """Return a life as bytes, for the workers' table."""
    return _encoder.encode(life)


def life_from_blob(blob: bytes) -> SiteLife:
    """Return what `blob_from_life` wrote; raise msgspec.DecodeError for anything else."""
    return _decoder.decode(blob)


def life_key(site: str) -> bytes:
    """Return the key of a site's life in the workers' table, beside its devices; no device is called so."""
    return f"{site}/".encode()


def site_of_life(key: bytes) -> str | None:
    """Return whose life stands under a key of the workers' table, or None where it is a device's."""
    site, slash, device = key.decode("utf-8", "replace").partition("/")
    return site if slash and not device else None
