"""What travels over Kafka: a row of a site's log, or an outcome, as a CloudEvent in binary mode.

A record of a site's topic holds the event and the site's own outcomes, byte for byte as they stand in the log, so
that the hash chain can be checked by whoever reads it. Pure: bytes in, messages out.
"""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from streams import codec
from streams.fleet.messages import Comparison, Read, group_of
from streams.messages import Event, RecordedOutcome, event_id, type_name
from streams.record_border import is_device, link_from_text, number_from_text, plain, refuse_beyond, refuse_empty, texts
from streams.topics import MAX_RECORD_BYTES

Headers = list[tuple[str, bytes]]
"""As we write them. What comes from a broker may hold None in the place of a value."""

CONTENT_TYPE: Final = b"application/json"
SPECVERSION: Final = b"1.0"
FLEET_SOURCE: Final = b"/fleet"
"""Source of what no single site says."""
TOO_LARGE: Final = "bonewatch.event-too-large.v1"
"""Type of the notice that takes the place of an event too large to travel."""


REFOLD_REQUESTED: Final = "bonewatch.refold-requested.v1"
"""Type of an operator's record on a site's topic: whoever follows it takes this device up anew, here in its order."""

USED: Final = frozenset({"ce_subject", "ce_type", "ce_logposition", "ce_link", "ce_deviceseq", "ce_logid"})
"""Headers that a row of a log is known by."""
LETTER_BYTES: Final = 20_000
"""Room that a dead letter leaves for its key and headers."""
KEY_BYTES: Final = 1_000
SHOWN: Final = 100
"""Characters of a name that belongs to nobody, in a reason."""


class Rejection(StrEnum):
    """Why a record is not what a site may send."""

    UNREADABLE = "unreadable"
    UNKNOWN_VERSION = "unknown_version"
    FOREIGN_DEVICE = "foreign_device"
    TOO_LARGE = "too_large"
    CHAIN = "chain"


class RejectedRecordError(ValueError):
    """A record cannot be used; `device` is whose it is, where that much is known."""

    def __init__(self, rejection: Rejection, why: str, device: str | None = None) -> None:
        super().__init__(rejection, why, device)
        self.rejection = rejection
        self.why = plain(why)
        self.device = device

    def __str__(self) -> str:
        return f"{self.rejection}: {self.why}" + (f" (device {self.device})" if self.device else "")


class Record(NamedTuple):
    """A Kafka record: where it goes and what it holds."""

    key: bytes
    value: bytes
    headers: Headers


class LogRow(NamedTuple):
    """One row of a site's log as it arrived: decoded, and as the bytes that the chain covers."""

    event: Event
    outcomes: tuple[RecordedOutcome, ...]
    position: int
    link: bytes
    body: bytes
    outcome_bodies: tuple[bytes, ...]


class _Value(msgspec.Struct, frozen=True):
    event: msgspec.Raw
    outcomes: tuple[msgspec.Raw, ...] = ()


_encoder: Final = msgspec.json.Encoder()
_value: Final = msgspec.json.Decoder(_Value)


def record_from_row(
    event: Event, *, position: int, link: bytes, body: bytes, outcome_bodies: tuple[bytes, ...]
) -> Record:
    """Return the record of a row of the log: key ``site/device``, headers of a CloudEvent."""
    value = _encoder.encode(_Value(msgspec.Raw(body), tuple(msgspec.Raw(o) for o in outcome_bodies)))
    return Record(event.device.encode(), value, _row_headers(event, type_name(event.fact), position, link))


def notice_from_row(event: Event, *, position: int, link: bytes) -> Record:
    """Return the notice that stands in for an event too large to travel."""
    return Record(event.device.encode(), b"{}", _row_headers(event, TOO_LARGE, position, link))


def refold_request(device: str, *, identity: str, at: str) -> Record:
    """Return the record that asks for a device to be folded anew from its site's topic."""
    return Record(device.encode(), b"{}", _headers(identity, REFOLD_REQUESTED, device, at))


def refold_requested(site: str, headers: Headers) -> str | None:
    """Return which device of the site an operator asks for, or None where the record is something else."""
    said = texts(headers)
    device = said.get("ce_subject", "")
    return device if said.get("ce_type") == REFOLD_REQUESTED and is_device(device, site) else None


def _row_headers(event: Event, type_: str, position: int, link: bytes) -> Headers:
    return [
        *_headers(event.event_id, type_, event.device, event.recorded_at.isoformat()),
        ("ce_logid", event.log_id.encode()),
        ("ce_deviceseq", str(event.device_seq).encode()),
        ("ce_logposition", str(position).encode()),
        ("ce_link", link.hex().encode()),
    ]


def record_from_outcome(recorded: RecordedOutcome, body: bytes, *, at: str) -> Record:
    """Return the record of an outcome; `at` is when its event was recorded."""
    headers = _headers(recorded.outcome_id, type_name(recorded.outcome), recorded.device, at)
    return Record(recorded.device.encode(), body, headers)


def dead_letter(record: Record, why: str) -> Record:
    """Return a record that belongs to nobody as it came, with why; what of it would be too large to travel is cut off.

    A site may pack its records: unpacked, one can be larger than any topic here takes.
    """
    key, value, headers = record
    room = MAX_RECORD_BYTES - LETTER_BYTES
    size = sum(len(name.encode()) + len(content or b"") for name, content in headers)
    kept = [(name, content or b"") for name, content in headers] if size <= LETTER_BYTES // 2 else []
    cut = [("bonewatch_cut_from", str(len(key) + len(value) + size).encode())]
    whole = len(kept) == len(headers) and len(key) <= KEY_BYTES and len(value) <= room
    reason = ("bonewatch_rejection", why.encode())
    return Record(key[:KEY_BYTES], value[:room], [*kept, reason, *([] if whole else cut)])


def record_from_read(read: Read) -> Record:
    """Return the record of what is compared between scanners; its key brings together what is compared."""
    headers = _headers(read.event_id, type_name(read), read.device, read.measured_at.isoformat())
    return Record(group_of(read).encode(), _encoder.encode(read), headers)


def record_from_comparison(key: str, comparison: Comparison) -> Record:
    """Return the record of what a comparison came to; the same comparison has the same identity."""
    body = _encoder.encode(comparison)
    headers = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", SPECVERSION),
        ("ce_id", event_id(key, body.decode()).encode()),
        ("ce_source", FLEET_SOURCE),
        ("ce_type", type_name(comparison).encode()),
        ("ce_subject", key.encode()),
    ]
    return Record(key.encode(), body, headers)


def _headers(id_: str, type_: str, device: str, at: str) -> Headers:
    site = device.partition("/")[0]
    return [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", SPECVERSION),
        ("ce_id", id_.encode()),
        ("ce_source", f"/sites/{site}".encode()),
        ("ce_type", type_.encode()),
        ("ce_subject", device.encode()),
        ("ce_time", at.encode()),
    ]


def row_from_record(site: str, key: bytes | None, value: bytes | None, headers: Headers) -> LogRow:
    """Return the row of the log that a record of a site's topic holds.

    Parameters
    ----------
    site
        Whose topic it stood on: a device of another site is refused whatever the record says.
    key, value, headers
        As they came from the broker.

    Raises
    ------
    RejectedRecordError
        If it is no such row; with the device where headers or key name one of this site.
    """
    said = texts(headers)
    device = said.get("ce_subject") or (key or b"").decode("utf-8", "replace")
    if not is_device(device, site):
        why = f"a record of {device[:SHOWN]!r} on the topic of {site}"
        raise RejectedRecordError(Rejection.FOREIGN_DEVICE, why)
    if said.get("ce_type") == TOO_LARGE or len(value or b"") > MAX_RECORD_BYTES:
        raise RejectedRecordError(Rejection.TOO_LARGE, "the event was too large to travel", device)
    try:
        refuse_empty(headers, USED)
        position, link = number_from_text(said["ce_logposition"]), link_from_text(said["ce_link"])
        seq = number_from_text(said["ce_deviceseq"]) if "ce_deviceseq" in said else None
        whole = _value.decode(value or b"")
    except (KeyError, ValueError, RecursionError) as error:
        raise RejectedRecordError(Rejection.UNREADABLE, f"no row of a log: {error}", device) from error
    body, bodies = bytes(whole.event), tuple(bytes(outcome) for outcome in whole.outcomes)
    try:
        event = codec.decode_event(body)
        outcomes = tuple(codec.decode_outcome(outcome) for outcome in bodies)
    except codec.UndecodableError as error:
        raise RejectedRecordError(Rejection.UNKNOWN_VERSION, str(error), device) from error
    if event.device != device or any(outcome.device != device for outcome in outcomes):
        raise RejectedRecordError(Rejection.FOREIGN_DEVICE, "header and content name different devices", device)
    try:
        refuse_beyond(event, outcomes, (body, *bodies), said_seq=seq)
    except ValueError as error:
        raise RejectedRecordError(Rejection.UNREADABLE, str(error), device) from error
    return LogRow(event, outcomes, position, link, body, bodies)
