"""Leaves out texts of the staff in which a patient's request stands: what the log knows of patients is looked for."""

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from streams.messages import (
    Message,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    SessionOpened,
    WorklistRefused,
)

LEFT_OUT: Final = "[left out: a patient's request stands in it]"
SHORTEST: Final = 5
"""What is shorter stands in texts by chance."""
_ABOUT_PATIENTS: Final[tuple[type[Message], ...]] = (
    PatientMeasured,
    PatientScanStarted,
    PatientObjectReceived,
    SessionOpened,
    WorklistRefused,
)
_NAMES: Final = frozenset(
    {"accession_number", "pseudonym", "mpps_uid", "study_instance_uid", "sop_instance_uid", "acquisition_id"}
)
_RUN: Final = re.compile(r"[^\W_]+")
_RUNS: Final = 20
"""So many runs of letters and digits may a number have: a UID has few more than a dozen."""

Matter = TypeVar("Matter", bound=msgspec.Struct)
Known = frozenset[str]


def known_of_patients(db: sqlite3.Connection, last: int) -> Known:
    """Return the accession numbers, pseudonyms and UIDs of patients that a site's log knows up to a place."""
    types = [str(one.__struct_config__.tag) for one in _ABOUT_PATIENTS]
    query = f"SELECT body FROM events WHERE type IN ({', '.join('?' * len(types))}) AND position <= ?"  # noqa: S608
    found = {one for (body,) in db.execute(query, (*types, last)) for one in _named(json.loads(body)["fact"])}
    return frozenset(one.casefold() for one in found if len(one) >= SHORTEST)


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in _NAMES and isinstance(one, str):
                yield one.strip()
            else:
                yield from _named(one)


def holds(text: str, known: Known) -> bool:
    """Whether something known stands in a text, between what is neither letter nor digit."""
    text = text.casefold()
    runs = [one.span() for one in _RUN.finditer(text)] if known else []
    return any(
        text[start:end] in known for place, (start, _) in enumerate(runs) for _, end in runs[place : place + _RUNS]
    )


def veiled(matter: Matter, known: Known) -> Matter:
    """Return a message without the texts in which something known stands."""
    if not known:
        return matter
    plain = msgspec.to_builtins(matter)
    left = _left(plain, known)
    return matter if left == plain else msgspec.convert(left, type(matter))


def _left(value: Any, known: Known) -> Any:
    if isinstance(value, str):
        return LEFT_OUT if holds(value, known) else value
    if isinstance(value, list | tuple):
        return [_left(one, known) for one in value]
    if isinstance(value, dict):
        return {name: _left(one, known) for name, one in value.items()}
    return value
