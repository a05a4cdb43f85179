"""What a record of a topic may hold before anybody trusts it: headers, numbers, times and texts within bounds. Pure.

Whoever may write to a site's topic can put any bytes there. What passes here fits the workers' tables and the
database: no NUL (PostgreSQL has none in a text), integers of 64 bits, times of this age.
"""

import re
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec

from streams.messages import Event, RecordedOutcome

LARGEST: Final = 2**63 - 1
YEARS: Final = range(1970, 2201)
LINK_BYTES: Final = 32
DEVICE_CHARACTERS: Final = 255
REASON_CHARACTERS: Final = 500

_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_LINK: Final = re.compile(rf"[0-9a-fA-F]{{{2 * LINK_BYTES}}}")
_SUSPECT: Final = re.compile(rb'\\u0000|[0-9]{19}|"(?!19[7-9]|2[01][0-9]{2}|2200)[0-9]{4}-[0-9]{2}-[0-9]{2}')
"""What content out of bounds has in its bytes; some that is sound has it too, and is looked into."""


class Place(NamedTuple):
    """Where in its log a row stood, by the headers of its record."""

    position: int
    link: bytes
    log_id: str


def texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return headers as text; one without a value (Kafka allows it) says nothing."""
    return {name: content.decode("utf-8", "replace") for name, content in headers if content is not None}


def number_from_text(said: str) -> int:
    """Return a number from 1 on that fits 64 bits; raise ValueError for anything else."""
    found = int(said) if _NUMBER.fullmatch(said) and said.isascii() else 0
    if not 0 < found <= LARGEST:
        raise ValueError(f"{plain(said)!r} is no number from 1 to 2^63 - 1")
    return found


def link_from_text(said: str) -> bytes:
    """Return a link of the hash chain; raise ValueError for anything else."""
    if not _LINK.fullmatch(said):
        raise ValueError("a link is 64 hexadecimal digits")
    return bytes.fromhex(said)


def place_of(headers: Iterable[tuple[str, bytes | None]]) -> Place | None:
    """Return where in its log the row of a record stood, or None where its headers do not say."""
    said = texts(headers)
    try:
        return Place(number_from_text(said["ce_logposition"]), link_from_text(said["ce_link"]), said["ce_logid"])
    except (KeyError, ValueError):
        return None


def is_device(name: str, site: str) -> bool:
    """Whether this can be the key of a device of a site."""
    of_site = name.startswith(f"{site}/") and len(name) > len(site) + 1
    return of_site and len(name) <= DEVICE_CHARACTERS and name.isprintable() and "\ufffd" not in name


def plain(text: str) -> str:
    """Return a reason as every table and topic can keep it."""
    return text[:REASON_CHARACTERS].replace("\0", "\ufffd")


def refuse_empty(headers: Iterable[tuple[str, bytes | None]], used: Collection[str]) -> None:
    """Raise ValueError where a header that is used has no value."""
    for name, content in headers:
        if content is None and name in used:
            raise ValueError(f"header {name} has no value")


def refuse_beyond(
    event: Event, outcomes: Iterable[RecordedOutcome], bodies: Iterable[bytes], *, said_seq: int | None
) -> None:
    """Raise ValueError where an event or its outcomes hold what is out of bounds.

    Parameters
    ----------
    bodies
        The bytes of all of them, looked through before the content is.
    said_seq
        The event's number by the record's headers, where they say one.
    """
    if said_seq not in {None, event.device_seq}:
        raise ValueError("header and content name different numbers")
    if not 0 < event.device_seq <= LARGEST or not 0 <= event.fold_version < 2**31:
        raise ValueError("a number of the event is out of bounds")
    if any(_SUSPECT.search(body) for body in bodies):
        for message in (event, *outcomes):
            _refuse_in(msgspec.to_builtins(message, builtin_types=(datetime, date)), "")


def _refuse_in(value: Any, where: str) -> None:
    if isinstance(value, str) and "\0" in value:
        raise ValueError(f"a text with NUL at {where}")
    if isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:
        raise ValueError(f"an integer beyond 64 bits at {where}")
    if isinstance(value, date) and value.year not in YEARS:
        raise ValueError(f"a time of the year {value.year} at {where}")
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_in(name, where)
            _refuse_in(item, f"{where}.{plain(str(name))}")
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_in(item, f"{where}[]")
