"""Reads a site's log for its uptime: its own read-only connection, beside a running site or without one."""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from streams import codec
from streams.messages import PatientMeasured, PatientScanStarted, WorklistRefused
from streams.sqlite_log import LogError
from streams.uptime.clinic_hours import period_of
from streams.uptime.history import Entry, Historian, History, entry_of
from streams.uptime.rebooking import Refusals, Seen
from streams.uptime.report import Report, Target, report_of

_FACTS: Final = (
    "bonewatch.device-registered.v1",
    "bonewatch.device-reconfigured.v1",
    "bonewatch.clinic-calendar-changed.v1",
    "bonewatch.clock-corrected.v1",
    "bonewatch.fault-logged.v1",
    "bonewatch.fault-cleared.v1",
    "bonewatch.equipment-handed-over.v1",
    "bonewatch.equipment-handed-back.v1",
    "bonewatch.return-decided.v1",
    "bonewatch.serviced-remotely.v1",
    "bonewatch.watch-interrupted.v1",
    "bonewatch.gate-overridden.v1",
)
_OUTCOMES: Final = ("bonewatch.gate-changed.v1", "bonewatch.state-changed.v1")
_CONFIRMED: Final = b'"verdict":"fail_confirmed"'
_QC: Final = "bonewatch.qc-judged.v1"
_REFUSED: Final = "bonewatch.worklist-refused.v1"
_SCANNED: Final = ("bonewatch.patient-scan-started.v1", "bonewatch.patient-measured.v1")


class LoggedUptime:
    """What a site's log says of uptime; safe from any thread.

    Parameters
    ----------
    path
        The site log's file.
    site
        The site's name, for the report.
    time_zone
        In which its days begin and end.
    names
        Device id within the site (``dxa-1``) to device key (``site/dxa-1``), in the order of the report.
    targets
        What contracts promise, by device key.
    former
        Devices that are configured no more, like `names`: told of where one is asked for, and never among all.
    """

    def __init__(
        self,
        path: Path,
        site: str,
        time_zone: str,
        names: Mapping[str, str],
        targets: Mapping[str, Target],
        *,
        former: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._site, self.time_zone = path, site, time_zone
        self._names, self._targets = names, targets
        self._former = former or {}
        self._told: dict[str, tuple[int, Historian]] = {}
        self._lock = threading.Lock()

    def report(self, first: date, last: date, now: datetime, device: str | None = None) -> Report:
        """Return the report from one day to another, both included, of one device or of all.

        Raises
        ------
        ValueError
            The first day comes after the last, a day lies outside the years that can be, or there is no such device.
        LogError
            The log cannot be read.
        """
        names = self._names if device is None else {**self._former, **self._names}
        if device is not None and device not in names:
            raise ValueError(f"there is no device {device[:40]}; there are {', '.join(self._names)}")
        keys = [key for name, key in names.items() if device in {None, name}]
        period = period_of(first, last, self.time_zone)
        try:
            with closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)) as db:
                db.execute("BEGIN")  # one view of the log for all of it
                histories = [self._history(db, key) for key in keys]
                seen = _seen(db, keys, period.start)
        except sqlite3.Error as error:
            raise LogError(f"{self._path} cannot be read: {error}") from error
        return report_of(self._site, self.time_zone, (first, last), now, histories, targets=self._targets, seen=seen)

    def _history(self, db: sqlite3.Connection, key: str) -> History:
        """Return a device's history; only what is new in the log since the last time is read."""
        with self._lock:
            reached, historian = self._told.pop(key, (0, Historian(key)))
            for position, entry in _entries(db, key, reached):
                historian.take(entry)
                reached = position
            self._told[key] = (reached, historian)  # only now: what fails half way is begun anew
            return historian.history()


def _entries(db: sqlite3.Connection, key: str, after: int) -> Iterator[tuple[int, Entry]]:
    """Yield what matters of a device's log after a position, in its order: few of its events do."""
    outcomes = defaultdict[int, list[bytes]](list)
    of_type = f"(type IN ({_marks(_OUTCOMES)}) OR (type = ? AND instr(body, ?) > 0))"
    for position, body in db.execute(
        f"SELECT event_position, body FROM outcomes WHERE device = ? AND event_position > ? AND {of_type}"  # noqa: S608
        " ORDER BY position",
        (key, after, *_OUTCOMES, _QC, _CONFIRMED),
    ):
        outcomes[position].append(body)
    facts: dict[int, bytes] = dict(
        db.execute(
            f"SELECT position, body FROM events WHERE device = ? AND position > ? AND type IN ({_marks(_FACTS)})",  # noqa: S608
            (key, after, *_FACTS),
        )
    )
    for position in sorted({*outcomes, *facts}):
        body = facts.get(position) or _one(db, position)
        yield (
            position,
            entry_of(
                codec.decode_event(body), [codec.decode_outcome(outcome).outcome for outcome in outcomes[position]]
            ),
        )


def _one(db: sqlite3.Connection, position: int) -> bytes:
    ((body,),) = db.execute("SELECT body FROM events WHERE position = ?", (position,)).fetchall()
    return bytes(body)


def _seen(db: sqlite3.Connection, keys: list[str], since: datetime) -> Seen:
    refused: dict[str, list[Refusals]] = {}
    for key in keys:
        events = (
            codec.decode_event(body) for (body,) in _recorded(db, "device = ? AND type = ?", (key, _REFUSED), since)
        )
        refused[key] = [
            Refusals(event.recorded_at, event.fact.requests)
            for event in events
            if isinstance(event.fact, WorklistRefused)
        ]
    wanted = {one.accession_number for told in refused.values() for refusals in told for one in refusals.requests}
    scanned: dict[str, datetime] = {}
    if not wanted:
        return Seen(refused, scanned)
    for (body,) in _recorded(db, f"type IN ({_marks(_SCANNED)})", _SCANNED, since):
        fact = codec.decode_event(body).fact
        if isinstance(fact, PatientMeasured | PatientScanStarted) and fact.accession_number in wanted:
            at = fact.measured_at if isinstance(fact, PatientMeasured) else fact.started_at
            scanned[fact.accession_number] = max(at, scanned.get(fact.accession_number, at))
    return Seen(refused, scanned)


def _recorded(
    db: sqlite3.Connection, where: str, values: tuple[object, ...], since: datetime
) -> Iterator[tuple[Any, ...]]:
    query = f"SELECT body FROM events WHERE {where} AND recorded_at >= ? ORDER BY position"  # noqa: S608
    return db.execute(query, (*values, since.isoformat()))


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
