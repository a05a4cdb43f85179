"""Reads a device's record out of a site's log: its own read-only connection, beside a running site or without one."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from streams import codec
from streams.chain import first_link
from streams.equipment_log import KINDS
from streams.messages import (
    BypassDetected,
    CalibrationCheckRead,
    CheckJudged,
    ClinicCalendarChanged,
    DeviceReconfigured,
    DeviceRegistered,
    DutyChanged,
    Fact,
    GateChanged,
    MeasurementValidated,
    MeasurementWithheld,
    Message,
    Outcome,
    PhantomMeasured,
    QcJudged,
    ReviewAssessed,
    ReviewOpened,
    StateChanged,
    VendorQcReported,
)
from streams.record.device import Anchor, DeviceRecord, QcFact, Told
from streams.record.veil import Known, veiled
from streams.sqlite_log import LogError
from streams.uptime.clinic_hours import Period

_READINGS: Final = (PhantomMeasured, VendorQcReported, CalibrationCheckRead)
_OTHERS: Final = (DeviceRegistered, DeviceReconfigured, ClinicCalendarChanged, ReviewAssessed)
_FACTS: Final[tuple[type[Message], ...]] = (
    *(one for one in KINDS if one not in {*_READINGS, BypassDetected}),
    *_OTHERS,
)
_OUTCOMES: Final = (StateChanged, ReviewOpened, BypassDetected, DutyChanged)
_OF_PERIOD: Final = (GateChanged, MeasurementValidated, MeasurementWithheld)
LATEST: Final = 2**63 - 1
"""A place that no log reaches."""
_AT_ONCE: Final = 500
_CLOCKS: Final = timedelta(days=1)
"""What is measured in a period is recorded no earlier than this before it."""

Judged = TypeVar("Judged", QcJudged, CheckJudged)


class LoggedRecords:
    """What a site's log says of its devices; safe from any thread.

    Parameters
    ----------
    path
        The site log's file.
    names
        Device id within the site (``dxa-1``) to device key (``site/dxa-1``).
    last
        The place of the last event that is read: the record as it stood then.
    known
        What is known of patients: texts of the staff in which any of it stands are left out.
    """

    def __init__(self, path: Path, names: Mapping[str, str], last: int = LATEST, known: Known = frozenset()) -> None:
        self.path = path
        self.names = names
        self._last = last
        self._known = known

    def as_of(self, anchor: Anchor, known: Known = frozenset()) -> Self:
        """Return what reads the same log as it stood at an anchor, whatever is recorded meanwhile."""
        return type(self)(self.path, self.names, anchor.position, known)

    def device(self, device_id: str, period: Period) -> DeviceRecord:
        """Return the record of a device for a report of a period; one view of the log for all of it.

        Raises
        ------
        ValueError
            There is no such device.
        LogError
            The log cannot be read.
        """
        key = self.key(device_id)
        with reading(self.path) as db:
            qc = _latest(db, key, QcJudged, self._last)
            checks = _latest(db, key, CheckJudged, self._last)
            wanted = {one.subject_event_id for one in qc if period.start <= one.measured_at < period.end}
            wanted |= {one.subject_event_id for one in checks if period.start <= one.measured_at < period.end}
            facts = list(_facts(db, key, self._last))
            return DeviceRecord(
                device=key,
                anchor=anchor_of(db, self._last),
                facts=tuple(one._replace(matter=veiled(one.matter, self._known)) for one in facts),
                outcomes=(
                    *_outcomes(db, key, _OUTCOMES, self._last),
                    *_outcomes(db, key, _OF_PERIOD, self._last, period.start - _CLOCKS),
                ),
                qc=tuple(sorted(qc, key=lambda one: one.measured_at)),
                checks=tuple(sorted(checks, key=lambda one: one.measured_at)),
                read=dict(_read(db, sorted(wanted))),
            )

    def key(self, device_id: str) -> str:
        """Return a device's key, or raise ValueError that names those there are."""
        if device_id not in self.names:
            raise ValueError(f"there is no device {device_id[:40]}; there are {', '.join(self.names)}")
        return self.names[device_id]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a site's log for one consistent look; raise LogError where it cannot be read."""
    if not path.is_file():
        raise LogError(f"{path} is not there: the site has not run yet, or its data_dir is another")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            yield db
    except sqlite3.Error as error:
        raise LogError(f"{path} cannot be read: {error}") from error


def devices_in(path: Path, site: str) -> dict[str, str]:
    """Return the devices of a site of which its log knows, also those that are configured no more, by their ids."""
    with reading(path) as db:
        keys = [str(key) for (key,) in db.execute("SELECT DISTINCT device FROM states ORDER BY device")]
    return {key.removeprefix(f"{site}/"): key for key in keys if key.startswith(f"{site}/")}


def anchor_of(db: sqlite3.Connection, last: int = LATEST) -> Anchor:
    """Return where the log stands, or stood at a place."""
    (log_id,) = db.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    row = db.execute(
        "SELECT position, link, recorded_at FROM events WHERE position <= ? ORDER BY position DESC LIMIT 1",
        (last,),
    ).fetchone()
    if row is None:
        return Anchor(log_id, 0, first_link(log_id).hex(), None)
    return Anchor(log_id, row[0], row[1].hex(), datetime.fromisoformat(row[2]))


def _facts(db: sqlite3.Connection, key: str, last: int) -> Iterator[Told[Fact]]:
    """Yield the facts that reports ask for; readings of QC stand for themselves, in their verdicts."""
    of_type = f"device = ? AND type IN ({_marks(_FACTS)})"
    query = f"SELECT event_id, body FROM events WHERE {of_type} AND position <= ? ORDER BY position"  # noqa: S608
    for name, body in db.execute(query, (key, *_names(_FACTS), last)):
        with suppress(codec.UndecodableError):  # a later version wrote it
            event = codec.decode_event(body)
            yield Told(event.recorded_at, name, event.fact)


def _outcomes(
    db: sqlite3.Connection, key: str, types: tuple[type[Message], ...], last: int, since: datetime | None = None
) -> Iterator[Told[Outcome]]:
    query = (
        "SELECT o.outcome_id, o.body, e.recorded_at FROM outcomes o JOIN events e ON e.position = o.event_position"  # noqa: S608
        f" WHERE o.device = ? AND o.type IN ({_marks(types)}) AND e.recorded_at >= ? AND e.position <= ?"
        " ORDER BY o.position"
    )
    for name, body, at in db.execute(query, (key, *_names(types), since.isoformat() if since else "", last)):
        with suppress(codec.UndecodableError):
            yield Told(datetime.fromisoformat(at), name, codec.decode_outcome(body).outcome)


def _latest(db: sqlite3.Connection, key: str, kind: type[Judged], last: int) -> list[Judged]:
    """Return the highest revision of each reading; of a check the last word."""
    latest: dict[str, Judged] = {}
    for _, _, judged in _outcomes(db, key, (kind,), last):
        if isinstance(judged, kind):
            kept = latest.get(judged.subject_event_id)
            if _revision(judged) >= (_revision(kept) if kept else 0):
                latest[judged.subject_event_id] = judged
    return list(latest.values())


def _revision(judged: QcJudged | CheckJudged) -> int:
    return judged.revision if isinstance(judged, QcJudged) else 0


def _read(db: sqlite3.Connection, ids: list[str]) -> Iterator[tuple[str, QcFact]]:
    for begin in range(0, len(ids), _AT_ONCE):
        some = ids[begin : begin + _AT_ONCE]
        query = f"SELECT event_id, body FROM events WHERE event_id IN ({', '.join('?' * len(some))})"  # noqa: S608
        for name, body in db.execute(query, some):
            with suppress(codec.UndecodableError):
                fact: Any = codec.decode_event(body).fact
                if isinstance(fact, _READINGS):
                    yield name, fact


def _names(types: Collection[type[Message]]) -> list[str]:
    return [str(one.__struct_config__.tag) for one in types]


def _marks(types: Collection[type[Message]]) -> str:
    return ", ".join("?" * len(types))
