"""How many patients a device measured today, from the site log; only what is new in it is decoded."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from streams import codec
from streams.fold.schedule import local_day, start_of_day
from streams.messages import PatientMeasured
from streams.readings import MeasuredToday

Query = Callable[[str, tuple[object, ...]], list[tuple[Any, ...]]]

_NEW: Final = (
    "SELECT position, body FROM events WHERE device = ? AND type = 'bonewatch.patient-measured.v1'"
    " AND position > ? AND recorded_at >= ? ORDER BY position"
)


_EVER: Final = datetime.min.replace(tzinfo=UTC)


class _Day:
    """What one device measured on one day, and the log's place that it reaches to."""

    def __init__(self) -> None:
        self.day = date.min
        self.position = 0
        self.people: set[str] = set()
        self.scans: set[str] = set()

    def take(self, fact: PatientMeasured) -> None:
        self.scans.add(fact.acquisition_id)
        self.people.add(fact.pseudonym or fact.accession_number or fact.acquisition_id)


class ScansToday:
    """Counts of each device's day.

    Parameters
    ----------
    query
        Runs a statement on the site's log.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._days: dict[str, _Day] = {}
        self._lock = threading.Lock()

    def of(self, device: str, now: datetime, time_zone: str) -> MeasuredToday:
        """Return how many were measured on the site's day of `now`; analyses of one scan count once."""
        today = local_day(now, time_zone)
        with self._lock:
            kept = self._days.setdefault(device, _Day())
            if kept.day != today:
                kept.day, kept.position, kept.people, kept.scans = today, 0, set(), set()
            begins = start_of_day(today, time_zone) if kept.position == 0 else _EVER
            for position, body in self._query(_NEW, (device, kept.position, begins.isoformat())):
                kept.position = position
                fact = codec.decode_event(body).fact
                if isinstance(fact, PatientMeasured) and local_day(fact.measured_at, time_zone) == today:
                    kept.take(fact)
            return MeasuredToday(patients=len(kept.people), scans=len(kept.scans))
