"""Place readings on a chart by when they were measured: late ones, re-analyses, and what they change.

A chart keeps a checkpoint and the readings of 14 days or 64 scans after it. A late reading is inserted and the
window judged anew; verdicts that change are issued again as revisions. What is older can no longer be placed.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.qc import Judgement, Terms, judge
from streams.fold.state import Chart, Head, Reading
from streams.messages import QcJudged, Verdict
from streams.policy import PhantomRole

WINDOW_READINGS: Final = 64
WINDOW_AGE: Final = timedelta(days=14)
CANDIDATES: Final = 25
SAME_INSTANT: Final = 16

_SANE: Final = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.NO_BASELINE})
_EVIDENCE: Final = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.FAIL_CONFIRMED, Verdict.NO_BASELINE})


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose reading it is, as outcomes name it."""

    phantom_id: str
    role: PhantomRole
    region: str


class Placed(NamedTuple):
    """The chart after a reading, what was judged (the reading itself first), and whether a drift signal is new."""

    chart: Chart
    judged: tuple[QcJudged, ...]
    drift_opened: bool


def place(chart: Chart, reading: Reading, subject: Subject, terms: Terms) -> Placed:
    """Take one reading into a chart."""
    same = next((r for r in chart.window if r.acquisition == reading.acquisition), None)
    if same is not None:
        return _reanalysed(chart, same, reading, subject, terms)
    if _is_decided(chart, reading):
        return Placed(chart, (_too_late(reading, subject),), drift_opened=False)
    at = bisect_right(chart.window, reading.measured_at, key=lambda r: r.measured_at)
    if at == len(chart.window):
        return _appended(chart, reading, subject, terms)
    if reading.measured_at < chart.window[-1].measured_at - WINDOW_AGE:
        return Placed(chart, (_too_late(reading, subject),), drift_opened=False)
    window = (*chart.window[:at], reading, *chart.window[at:])
    return _judged_anew(chart, window, {reading.event_id}, subject, terms)


def closed(chart: Chart) -> Chart:
    """Close the books of a chart: nothing up to its last reading is judged again (a person has decided)."""
    for reading in chart.window:
        chart = _behind(chart, reading)
    return replace(chart, checkpoint=chart.head, window=())


def _behind(chart: Chart, reading: Reading) -> Chart:
    """Leave a reading behind the books' closing time, remembering who shares that very instant."""
    same_instant = chart.closed_with if chart.closed_at == reading.measured_at else ()
    return replace(
        chart, closed_at=reading.measured_at, closed_with=(*same_instant, reading.acquisition)[:SAME_INSTANT]
    )


def _is_decided(chart: Chart, reading: Reading) -> bool:
    """Whether a reading lies behind the closing time; consoles date to the second, so an equal time may be new."""
    if chart.closed_at is None or reading.measured_at > chart.closed_at:
        return False
    known = reading.acquisition in chart.closed_with or len(chart.closed_with) == SAME_INSTANT
    return reading.measured_at < chart.closed_at or known


def _appended(chart: Chart, reading: Reading, subject: Subject, terms: Terms) -> Placed:
    was_open = chart.head.drift_open
    judgement = judge(chart.head, reading, terms)
    reading = _with_verdict(reading, judgement)
    chart = replace(chart, head=judgement.head, window=(*chart.window, reading))
    chart = _pruned(_remembered(chart, reading), terms)
    outcome = _outcome(reading, judgement, subject)
    return Placed(chart, (outcome,), drift_opened=judgement.head.drift_open and not was_open)


def _reanalysed(chart: Chart, first: Reading, again: Reading, subject: Subject, terms: Terms) -> Placed:
    """Let a re-analysis revise its acquisition: the value is the new one, a failure stays a failure."""
    revised = replace(first, value=again.value, failed=first.failed or again.failed)
    window = tuple(revised if r.event_id == first.event_id else r for r in chart.window)
    candidates = tuple(again.value if value == first.value else value for value in chart.candidates)
    chart = replace(chart, candidates=tuple(value for value in candidates if value is not None))
    placed = _judged_anew(chart, window, {first.event_id}, subject, terms)
    note = "Re-analysis of a scan already judged: it revises that scan and never counts as the repeat."
    itself = QcJudged(
        subject_event_id=again.event_id,
        revision=0,
        role=subject.role,
        phantom_id=subject.phantom_id,
        region=subject.region,
        measured_at=again.measured_at,
        verdict=Verdict.REANALYSIS,
        bmd_g_cm2=again.value,
        note=note,
    )
    return placed._replace(judged=(itself, *placed.judged))


def _judged_anew(chart: Chart, window: tuple[Reading, ...], issue: set[str], subject: Subject, terms: Terms) -> Placed:
    """Judge the window from the checkpoint; issue the readings named and every verdict that changed."""
    was_open = chart.head.drift_open
    head: Head = chart.checkpoint
    readings: list[Reading] = []
    judged: list[QcJudged] = []
    for before in window:
        judgement = judge(head, before, terms)
        head = judgement.head
        known = any(r.event_id == before.event_id for r in chart.window)
        after = _with_verdict(before, judgement)
        if known and (before.event_id in issue or after.verdict is not before.verdict):
            after = replace(after, revision=before.revision + 1)
        if before.event_id in issue or after.revision != before.revision:
            judged.append(_outcome(after, judgement, subject))
        readings.append(after)
    judged.sort(key=lambda outcome: outcome.subject_event_id not in issue)
    new = next((r for r in readings if r.event_id in issue and r.revision == 0), None)
    chart = replace(chart, head=head, window=tuple(readings))
    if new is not None:
        chart = _remembered(chart, new)
    return Placed(_pruned(chart, terms), tuple(judged), drift_opened=head.drift_open and not was_open)


def _with_verdict(reading: Reading, judgement: Judgement) -> Reading:
    bad = not judgement.verdict.passed and judgement.verdict is not Verdict.NO_BASELINE
    return replace(reading, verdict=judgement.verdict, failed=reading.failed or bad)


def _remembered(chart: Chart, reading: Reading) -> Chart:
    """Keep the value as a candidate for a baseline, and let a pass settle a reading whose time was not believed."""
    if reading.verdict in _SANE:
        chart = replace(chart, unplaced=None)
    if reading.value is not None and reading.verdict in _EVIDENCE:
        chart = replace(chart, candidates=(*chart.candidates, reading.value)[-CANDIDATES:])
    return chart


def _pruned(chart: Chart, terms: Terms) -> Chart:
    """Move what is too old or too many into the checkpoint."""
    horizon = chart.window[-1].measured_at - WINDOW_AGE
    while len(chart.window) > WINDOW_READINGS or chart.window[0].measured_at < horizon:
        oldest, *kept = chart.window
        checkpoint = judge(chart.checkpoint, oldest, terms).head
        chart = replace(_behind(chart, oldest), window=tuple(kept), checkpoint=checkpoint)
    return chart


def _too_late(reading: Reading, subject: Subject) -> QcJudged:
    return QcJudged(
        subject_event_id=reading.event_id,
        revision=0,
        role=subject.role,
        phantom_id=subject.phantom_id,
        region=subject.region,
        measured_at=reading.measured_at,
        verdict=Verdict.TOO_LATE,
        bmd_g_cm2=reading.value,
        note="Measured before what is already decided; it is kept, and a physicist must look at it.",
    )


def _outcome(reading: Reading, judgement: Judgement, subject: Subject) -> QcJudged:
    return QcJudged(
        subject_event_id=reading.event_id,
        revision=reading.revision,
        role=subject.role,
        phantom_id=subject.phantom_id,
        region=subject.region,
        measured_at=reading.measured_at,
        verdict=judgement.verdict,
        bmd_g_cm2=reading.value,
        chart=judgement.point,
        note=judgement.note,
    )
