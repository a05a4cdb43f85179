"""Place readings on a chart by when they were measured: late ones, re-analyses, and what they change.

A chart keeps a checkpoint and the readings of 14 days or 64 scans after it. A late reading is inserted and the
window judged anew; verdicts that change are issued again as revisions. What is older can no longer be placed: it is
too late. An acquisition counts once, however often it is analysed or sent; a failure that comes late holds until a
newer scan passes.

History never judges the living anew: a row of it is placed only where nothing newer stands, and else kept for the
record. The manufacturer's QC of the past shows its verdict, and is always for the record.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.qc import Judgement, Terms, is_plausible, is_within, judge, strangeness
from streams.fold.state import Chart, Head, Reading, latest
from streams.messages import QcJudged, Verdict
from streams.policy import PhantomRole

WINDOW_AGE: Final = timedelta(days=14)
CANDIDATES: Final = 25
SETTLED: Final = 32

_SANE: Final = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.NO_BASELINE})
_EVIDENCE: Final = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.FAIL_CONFIRMED, Verdict.NO_BASELINE})
_NOTES: Final = {
    Verdict.CLOCK_SUSPECT: "Dated in the future: set the scanner's clock, then scan again.",
    Verdict.REANALYSIS: "Re-analysis of a scan already judged: it revises that scan and never counts as the repeat.",
    Verdict.TOO_LATE: "Measured before what is already decided; it is kept, and a physicist must look at it.",
    Verdict.HISTORY: "Kept as history: measured before what is already decided.",
}
_RECOUNTED: Final = "Kept as history: it counts for nothing today."
_FAILED_THEN: Final = " It was reported as failed."
_OUTSIDE_NOW: Final = " It lies outside the limits now in force."


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose reading it is, as outcomes name it."""

    phantom_id: str
    role: PhantomRole
    region: str


class Placed(NamedTuple):
    """The chart after a reading and what was judged, the reading itself first.

    `drift_opened` says whether a drift signal is new, `failed_late` whether a failure came after verdicts that did
    not know of it, `is_history` that it was kept for the record alone: the chart is what it was.
    """

    chart: Chart
    judged: tuple[QcJudged, ...]
    drift_opened: bool = False
    failed_late: bool = False
    is_history: bool = False


def place(chart: Chart, reading: Reading, subject: Subject, terms: Terms, *, is_history: bool = False) -> Placed:
    """Take one reading into a chart; one `is_history` leaves it as it is where anything newer stands on it."""
    if is_history and _is_past(chart, reading):
        return _for_the_record(chart, reading, subject, terms)
    if is_history and reading.value is None:
        return _recounted(chart, reading, subject, terms)
    same = next((r for r in chart.window if r.acquisition == reading.acquisition), None)
    if same is not None:
        return _reanalysed(chart, same, reading, subject, terms)
    if (verdict := _unplaceable(chart, reading)) is not None:
        return aside(chart, reading, verdict, subject, terms)
    at = bisect_right(chart.window, reading.measured_at, key=lambda r: r.measured_at)
    if at == len(chart.window):
        return _appended(chart, reading, subject, terms)
    window = (*chart.window[:at], reading, *chart.window[at:])
    return _judged_anew(chart, window, reading.event_id, subject, terms)


def _unplaceable(chart: Chart, reading: Reading) -> Verdict | None:
    """Return why a reading has no place in a chart any more; None for one that has."""
    if reading.acquisition in chart.settled:
        return Verdict.REANALYSIS
    is_decided = chart.closed_at is not None and reading.measured_at < chart.closed_at
    is_old = bool(chart.window) and chart.window[-1].measured_at - reading.measured_at > WINDOW_AGE
    return Verdict.TOO_LATE if is_decided or is_old else None


def _is_past(chart: Chart, reading: Reading) -> bool:
    """Whether anything newer stands on a chart, or is waited for since something was put aside."""
    is_newer = bool(chart.window) and chart.window[-1].measured_at > reading.measured_at
    return is_newer or chart.unplaced is not None or _unplaceable(chart, reading) is not None


def _recounted(chart: Chart, reading: Reading, subject: Subject, terms: Terms) -> Placed:
    """Say how the scanner's own QC of the past ended; what it held then it does not hold now."""
    verdict = judge(chart.head, reading, terms).verdict
    judged = _judged(reading, verdict, subject, terms, _RECOUNTED)
    return Placed(chart, (judged,), is_history=True)


def _for_the_record(chart: Chart, reading: Reading, subject: Subject, terms: Terms) -> Placed:
    """Say of a reading of the past what can be said, never a pass; chart and gate stand as they are."""
    verdict, note = strangeness(reading.value, terms) or (Verdict.HISTORY, _NOTES[Verdict.HISTORY])
    if verdict is Verdict.HISTORY and reading.failed:
        note += _FAILED_THEN
    elif verdict is Verdict.HISTORY and reading.value is not None and terms.baseline is not None:
        note += "" if is_within(reading.value, terms) else _OUTSIDE_NOW
    return Placed(chart, (_judged(reading, verdict, subject, terms, note),), is_history=True)


def aside(chart: Chart, reading: Reading, verdict: Verdict, subject: Subject, terms: Terms) -> Placed:
    """Keep a reading off the chart: it can never pass; a failing one, or an unbelievable time, holds."""
    has_failed = reading.failed or (reading.value is not None and not is_within(reading.value, terms))
    has_failed = has_failed and (reading.value is None or terms.baseline is not None)
    chart = replace(chart, settled=_settled(chart, reading.acquisition))
    if verdict is Verdict.CLOCK_SUSPECT:
        chart = replace(chart, unplaced=Verdict.CLOCK_SUSPECT)
    elif has_failed:
        chart = replace(chart, unplaced=Verdict.TOO_LATE)
    judged = _judged(reading, verdict, subject, terms, _NOTES[verdict])
    return Placed(chart, (judged,), failed_late=has_failed)


def closed(chart: Chart, at: datetime | None = None) -> Chart:
    """Close the books of a chart, at its last reading or `at` a time: nothing up to there is judged again."""
    last = chart.window[-1].measured_at if chart.window else None
    settled = chart.settled
    for reading in chart.window:
        settled = (*settled, reading.acquisition)[-SETTLED:]
    closed_at = latest(chart.closed_at, last, at)
    return replace(chart, checkpoint=chart.head, window=(), closed_at=closed_at, settled=settled)


def _settled(chart: Chart, acquisition: str) -> tuple[str, ...]:
    return chart.settled if acquisition in chart.settled else (*chart.settled, acquisition)[-SETTLED:]


def _appended(chart: Chart, reading: Reading, subject: Subject, terms: Terms) -> Placed:
    was_open = chart.head.drift_open
    judgement = judge(chart.head, reading, terms)
    reading = _with_verdict(reading, judgement)
    chart = replace(chart, head=judgement.head, window=(*chart.window, reading))
    if reading.verdict in _SANE:
        chart = replace(chart, unplaced=None)  # newer than everything: it speaks for the scanner as it is
    chart = _pruned(_remembered(chart, reading), terms)
    outcome = _outcome(reading, judgement, subject, terms)
    return Placed(chart, (outcome,), drift_opened=judgement.head.drift_open and not was_open)


def _reanalysed(chart: Chart, first: Reading, again: Reading, subject: Subject, terms: Terms) -> Placed:
    """Let a re-analysis revise its acquisition: the value is the new one, a failure stays a failure."""
    revised = replace(first, value=again.value, failed=first.failed or again.failed)
    window = tuple(revised if r.event_id == first.event_id else r for r in chart.window)
    if again.value is not None:
        new = (first.acquisition, again.value)
        chart = replace(chart, candidates=tuple(new if c[0] == first.acquisition else c for c in chart.candidates))
    placed = _judged_anew(chart, window, first.event_id, subject, terms)
    itself = _judged(again, Verdict.REANALYSIS, subject, terms, _NOTES[Verdict.REANALYSIS])
    return placed._replace(judged=(itself, *placed.judged))


def _judged_anew(chart: Chart, window: tuple[Reading, ...], issue: str, subject: Subject, terms: Terms) -> Placed:
    """Judge the window from the checkpoint; issue the reading named and every verdict that changed."""
    was_open = chart.head.drift_open
    known = {reading.event_id for reading in chart.window}
    head: Head = chart.checkpoint
    readings: list[Reading] = []
    judged: list[QcJudged] = []
    for before in window:
        judgement = judge(head, before, terms)
        head = judgement.head
        after = _with_verdict(before, judgement)
        if before.event_id in known and (before.event_id == issue or after.verdict is not before.verdict):
            after = replace(after, revision=before.revision + 1)
        if before.event_id == issue or after.revision != before.revision:
            judged.append(_outcome(after, judgement, subject, terms))
        readings.append(after)
    judged.sort(key=lambda outcome: outcome.subject_event_id != issue)
    chart = replace(chart, head=head, window=tuple(readings))
    named = next(reading for reading in readings if reading.event_id == issue)
    failed_late = named.failed and named is not readings[-1]
    if issue not in known:
        chart = _remembered(chart, named)
        if failed_late:
            chart = replace(chart, unplaced=chart.unplaced or Verdict.TOO_LATE)
    return Placed(
        _pruned(chart, terms),
        tuple(judged),
        drift_opened=head.drift_open and not was_open,
        failed_late=failed_late,
    )


def _with_verdict(reading: Reading, judgement: Judgement) -> Reading:
    bad = not judgement.verdict.passed and judgement.verdict is not Verdict.NO_BASELINE
    return reading.with_verdict(judgement.verdict, failed=reading.failed or bad)


def _remembered(chart: Chart, reading: Reading) -> Chart:
    """Keep the value as a candidate for a baseline."""
    if reading.value is None or reading.verdict not in _EVIDENCE:
        return chart
    return replace(chart, candidates=(*chart.candidates, (reading.acquisition, reading.value))[-CANDIDATES:])


def _pruned(chart: Chart, terms: Terms) -> Chart:
    """Move what is too old or too many into the checkpoint."""
    newest = chart.window[-1].measured_at
    while len(chart.window) > terms.window_readings or newest - chart.window[0].measured_at > WINDOW_AGE:
        oldest, *kept = chart.window
        chart = replace(
            chart,
            checkpoint=judge(chart.checkpoint, oldest, terms).head,
            window=tuple(kept),
            closed_at=oldest.measured_at,
            settled=_settled(chart, oldest.acquisition),
        )
    return chart


def _judged(reading: Reading, verdict: Verdict, subject: Subject, terms: Terms, note: str) -> QcJudged:
    return QcJudged(
        subject_event_id=reading.event_id,
        revision=reading.revision,
        role=subject.role,
        phantom_id=subject.phantom_id,
        region=subject.region,
        measured_at=reading.measured_at,
        verdict=verdict,
        bmd_g_cm2=reading.value,
        note=note,
        plausible=is_plausible(reading.value, terms),
    )


def _outcome(reading: Reading, judgement: Judgement, subject: Subject, terms: Terms) -> QcJudged:
    judged = _judged(reading, judgement.verdict, subject, terms, judgement.note)
    return replace(judged, chart=judgement.point)
