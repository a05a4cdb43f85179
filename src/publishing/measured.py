"""What the log held of a device's measurements when something was published: earlier analyses, decisions in force.

A message made of a notice and of what stands before it in the log is the same whenever it is made.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from publishing.published import Notice
from streams import codec
from streams.messages import (
    MeasurementReleased,
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    PatientMeasured,
    RecordedOutcome,
    ReviewVerdict,
    type_name,
)
from streams.sqlite_log import SqliteEventLog

Judged = MeasurementValidated | MeasurementWithheld

_JUDGED: Final = tuple(str(kind.__struct_config__.tag) for kind in (MeasurementValidated, MeasurementWithheld))
_AMENDED: Final = (str(MeasurementsAmended.__struct_config__.tag),)
_BATCH: Final = 2_000


class Analysis(NamedTuple):
    """One analysis of an acquisition as it was judged."""

    judged: Judged
    analysed_at: datetime | None
    device_seq: int
    anatomy: str

    @property
    def rank(self) -> tuple[datetime, int]:
        """Which of an acquisition's analyses is the newest: the database's rule."""
        return (self.analysed_at or datetime.min.replace(tzinfo=UTC), self.device_seq)


class _Row(NamedTuple):
    position: int
    event_position: int
    body: bytes


class _Acquired(msgspec.Struct):
    acquisition_id: str = ""


class _Named(msgspec.Struct):
    """What of a recorded outcome names the acquisition."""

    outcome: _Acquired


_named: Final = msgspec.json.Decoder(_Named)


class _Acquisitions:
    """Where in the table of outcomes each acquisition of a device was judged: a few MB for ten years of one.

    Without it each message would read all that was ever measured.
    """

    def __init__(self) -> None:
        self.read_to = 0
        self._last: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def add(self, name: str, position: int) -> None:
        """Take one in; positions only grow."""
        self.read_to = position
        if not name:
            return
        if before := self._last.get(hash(name)):
            self._before[position] = before
        self._last[hash(name)] = position

    def places(self, name: str) -> Iterator[int]:
        """Yield where it may have been judged, the last first; another of the same hash is told by its name."""
        position = self._last.get(hash(name))
        while position is not None:
            yield position
            position = self._before.get(position)


class MeasuredLog:
    """Looks things up in a site's log beside the site; opened at the first question, for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log: SqliteEventLog | None = None
        self._acquisitions: dict[str, _Acquisitions] = {}

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def analysis(self, notice: Notice, judged: Judged) -> Analysis:
        """Return what a notice tells as an analysis."""
        return self._analysis(notice.place.position, notice.device_seq, judged)

    def others(self, notice: Notice, judged: Judged) -> list[Analysis]:
        """Return the other analyses of the same acquisition before a notice, each as last judged."""
        if not judged.acquisition_id:
            return []
        found: dict[str, Analysis] = {}
        for position, recorded in self._of_acquisition(notice, judged.acquisition_id):
            other = recorded.outcome
            if not isinstance(other, Judged) or other.acquisition_id != judged.acquisition_id:
                continue
            if other.subject_event_id not in {judged.subject_event_id, *found}:
                found[other.subject_event_id] = self._analysis(position, recorded.device_seq, other)
        return list(found.values())

    def concerned(self, notice: Notice, amended: MeasurementsAmended) -> list[Analysis]:
        """Return what a decision is about, or was before it was changed or taken back.

        Of each acquisition that is the newest analysis, unless it is withheld.
        """
        replaced = self._replaced(notice, amended.review_id)
        versions = [one for one in (amended, replaced) if one is not None and is_in_force(one)]
        if not versions:
            return []
        subjects: dict[str, Analysis] = {}
        for position, recorded in self._before(notice, _JUDGED):
            judged = recorded.outcome
            if isinstance(judged, Judged) and any(covers(one, judged) for one in versions):
                subjects[judged.subject_event_id] = self._analysis(position, recorded.device_seq, judged)
        newest: dict[str, Analysis] = {}
        for subject, one in subjects.items():
            key = one.judged.acquisition_id or f"\0{subject}"
            if key not in newest or newest[key].rank < one.rank:
                newest[key] = one
        return [one for one in newest.values() if isinstance(one.judged, MeasurementValidated)]

    def decisions(self, notice: Notice, judged: Judged) -> list[MeasurementsAmended]:
        """Return the decisions about a measurement in force at a notice, the notice's own among them."""
        found: dict[str, MeasurementsAmended] = {}
        for _, recorded in self._before(notice, _AMENDED, also_own=True):
            if isinstance(recorded.outcome, MeasurementsAmended):
                found[recorded.outcome.review_id] = recorded.outcome
        return [one for one in found.values() if is_in_force(one) and covers(one, judged)]

    def _replaced(self, notice: Notice, review_id: str) -> MeasurementsAmended | None:
        """Return the decision that stood for a review before a notice."""
        found = None
        for _, recorded in self._before(notice, _AMENDED):
            if isinstance(recorded.outcome, MeasurementsAmended) and recorded.outcome.review_id == review_id:
                found = recorded.outcome
        return found

    def _before(
        self, notice: Notice, types: tuple[str, ...], *, also_own: bool = False
    ) -> Iterator[tuple[int, RecordedOutcome]]:
        """Yield a device's outcomes of these types from events before a notice, with their events' positions."""
        until = notice.place.position + also_own
        for row in self._rows(notice.device, types):
            if row.event_position >= until:
                return
            yield row.event_position, codec.decode_outcome(row.body)

    def _of_acquisition(self, notice: Notice, name: str) -> Iterator[tuple[int, RecordedOutcome]]:
        """Yield what was judged of an acquisition in events before a notice, the last first."""
        known = self._acquisitions.setdefault(notice.device, _Acquisitions())
        for row in self._rows(notice.device, _JUDGED, after=known.read_to):
            known.add(_named.decode(row.body).outcome.acquisition_id, row.position)
        for position in known.places(name):
            (found,) = self._opened().fetch("SELECT event_position, body FROM outcomes WHERE position = ?", (position,))
            if found[0] < notice.place.position:
                yield found[0], codec.decode_outcome(bytes(found[1]))

    def _rows(self, device: str, types: tuple[str, ...], *, after: int = 0) -> Iterator["_Row"]:
        """Yield a device's outcomes of these types behind a place in the table, in the log's order.

        All up to one end: the site writes on, and what came between two looks would stand behind what was seen.
        """
        ((end,),) = self._opened().fetch("SELECT coalesce(max(position), 0) FROM outcomes", ())
        return merge(*(self._rows_of(device, type_, after, end) for type_ in types))

    def _rows_of(self, device: str, type_: str, after: int, end: int) -> Iterator["_Row"]:
        query = (
            "SELECT position, event_position, body FROM outcomes WHERE device = ? AND type = ? AND position > ?"
            " AND position <= ? ORDER BY position LIMIT ?"
        )
        while True:
            rows = self._opened().fetch(query, (device, type_, after, end, _BATCH))
            for position, event_position, body in rows:
                yield _Row(position, event_position, bytes(body))
            if len(rows) < _BATCH:
                return
            after = rows[-1][0]

    def _analysis(self, position: int, device_seq: int, judged: Judged) -> Analysis:
        (row,) = self._opened().fetch("SELECT body FROM events WHERE position = ?", (position,))
        fact = codec.decode_event(bytes(row[0])).fact
        measured = fact.measured if isinstance(fact, MeasurementReleased) else fact
        if not isinstance(measured, PatientMeasured):
            raise codec.UndecodableError(f"event {position} judges a measurement and is a {type_name(fact)}")
        return Analysis(judged, measured.analysed_at, device_seq, measured.anatomy)

    def _opened(self) -> SqliteEventLog:
        if self._log is None:
            self._log = SqliteEventLog(self._path, read_only=True)
        return self._log


def covers(amended: MeasurementsAmended, judged: Judged) -> bool:
    """Whether a decision is about a measurement of this mode and time; both ends are included."""
    is_its_mode = not amended.modes or judged.mode in amended.modes
    return is_its_mode and amended.since <= judged.measured_at <= amended.until


def is_in_force(amended: MeasurementsAmended) -> bool:
    """Whether a decision reaches the record."""
    return not amended.is_withdrawn and amended.verdict is not ReviewVerdict.NONE


def size_at(amended: MeasurementsAmended, at: datetime) -> tuple[float, float | None, float | None] | None:
    """Return how far off the device was at a time, with its interval: a line between, the nearest size outside."""
    sizes = amended.sizes
    if not sizes:
        return None
    after = next((place for place, one in enumerate(sizes) if one.at >= at), len(sizes) - 1)
    low, high = sizes[max(0, after - 1)], sizes[after]
    span_s = (high.at - low.at).total_seconds()
    part = min(1.0, max(0.0, (at - low.at).total_seconds() / span_s)) if span_s > 0 else 1.0

    def between(a: float | None, b: float | None) -> float | None:
        if part in {0.0, 1.0}:
            return b if part else a
        return None if a is None or b is None else a + (b - a) * part

    return low.size + (high.size - low.size) * part, between(low.low, high.low), between(low.high, high.high)
