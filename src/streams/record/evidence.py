"""Events of a device as evidence: the bytes of the log with their links, but for what is about a patient.

What is about a patient is withheld: its SHA-256 stands instead, and those of its fields that name nobody.
"""

import json
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final, get_args

import msgspec

from streams.chain import first_link
from streams.messages import (
    BypassDetected,
    Fact,
    MeasurementReleased,
    MeasurementValidated,
    MeasurementWithheld,
    Message,
    Outcome,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    PhantomScanRefused,
    SessionOpened,
    WorklistRefused,
)
from streams.record.veil import Known, holds
from streams.uptime.clinic_hours import Period

_OPEN_FIELDS: Final[dict[type[Message], tuple[str, ...]]] = {
    PatientMeasured: ("measured_at", "mode", "software", "performed_by", "source", "scan_mode", "k", "d0"),
    PatientScanStarted: ("started_at", "mode"),
    PatientObjectReceived: ("kind", "acquired_at", "mode"),
    PhantomScanRefused: ("phantom_id", "reason"),
    WorklistRefused: ("held_since", "reasons", "left_out"),
    SessionOpened: ("session_id", "purpose", "opened_by", "until", "standard_id"),
    MeasurementReleased: ("subject_event_id", "reason", "released_by"),
    BypassDetected: ("subject_event_id", "evidence", "at", "mode", "reasons", "enforcement"),
    MeasurementValidated: (
        "subject_event_id",
        "revision",
        "measured_at",
        "kind",
        "make",
        "model",
        "serial",
        "mode",
        "software",
        "is_overridden",
        "issues",
        "qc",
        "changes",
        "decisions",
        "gate_since",
        "released_by",
        "reason",
    ),
    MeasurementWithheld: ("subject_event_id", "revision", "measured_at", "reasons", "mode"),
}
OPEN_FIELDS: Final = {str(one.__struct_config__.tag): frozenset(names) for one, names in _OPEN_FIELDS.items()}
"""By type name what may be told of a message that is about a patient."""
KNOWN_FIELDS: Final = {
    str(one.__struct_config__.tag): frozenset(one.__struct_fields__) for one in (*get_args(Fact), *get_args(Outcome))
}
"""The fields of every type. A type or a field that a later version wrote may be about a patient: it is withheld."""
_UIDS: Final = frozenset({"acquisition_id", "sop_instance_uid"})
"""By which an object is found in an archive, where the patient's name stands."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event or an outcome: its text as in the log, or where that is withheld what may be told of it."""

    sha256: str
    text: str | None = None
    told: dict[str, Any] | None = None


class EvidenceLine(msgspec.Struct, frozen=True):
    """One event with its outcomes, and its place in the chain: `link` covers `previous`, the event and its outcomes."""

    position: int
    device_seq: int
    recorded_at: str
    type: str
    previous: str
    link: str
    event: Part
    outcomes: tuple[Part, ...]


def evidence_lines(
    db: sqlite3.Connection, key: str, period: Period, known: Known = frozenset()
) -> Iterator[EvidenceLine]:
    """Yield the events of a device that were recorded in a period, in the order of the log.

    Parameters
    ----------
    known
        What is known of patients: a field in which any of it stands is withheld.
    """
    (log_id,) = db.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    rows = db.execute(
        "SELECT e.position, e.device_seq, e.recorded_at, e.type, e.body, e.link,"
        " (SELECT p.link FROM events p WHERE p.position < e.position ORDER BY p.position DESC LIMIT 1)"
        " FROM events e WHERE e.device = ? AND e.recorded_at >= ? AND e.recorded_at < ? ORDER BY e.position",
        (key, period.start.isoformat(), period.end.isoformat()),
    )
    for position, seq, at, name, body, link, previous in rows:
        told = db.execute("SELECT body FROM outcomes WHERE event_position = ? ORDER BY position", (position,))
        outcomes = [bytes(one) for (one,) in told]
        yield EvidenceLine(
            position=position,
            device_seq=seq,
            recorded_at=at,
            type=name,
            previous=(previous or first_link(log_id)).hex(),
            link=link.hex(),
            event=part_of(body, "fact", known, _UIDS if any(map(_is_implausible, outcomes)) else frozenset()),
            outcomes=tuple(part_of(one, "outcome", known) for one in outcomes),
        )


def _holds(value: Any, known: Known) -> bool:
    return holds(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), known)


def _is_implausible(outcome: bytes) -> bool:
    """Whether a value was judged that cannot be the phantom's: a patient may have been scanned under its id."""
    return json.loads(outcome)["outcome"].get("plausible") is False


def part_of(body: bytes, inner: str, known: Known = frozenset(), hidden: frozenset[str] = frozenset()) -> Part:
    """Return an event or an outcome as evidence.

    Parameters
    ----------
    inner
        Under which name its message stands: ``fact`` or ``outcome``.
    known
        What is known of patients.
    hidden
        Fields that are withheld though its type is told whole.
    """
    digest = sha256(body).hexdigest()
    whole: dict[str, Any] = json.loads(body)
    message: dict[str, Any] = whole[inner]
    name = message["type"]
    allowed = OPEN_FIELDS.get(name, KNOWN_FIELDS.get(name, frozenset())) - hidden
    allowed -= {field for field, value in message.items() if known and _holds(value, known)}
    if name in KNOWN_FIELDS and set(message) <= allowed | {"type"}:
        return Part(digest, body.decode())
    told = {name: value for name, value in message.items() if name in allowed | {"type"}}
    return Part(digest, None, whole | {inner: told})
