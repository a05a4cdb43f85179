"""What a phantom's reading says of the patients measured before it: drift, confirmed and late failures."""

import math
from datetime import datetime
from typing import Final

from streams.fold import reviews
from streams.fold.qc import Terms, deviation_percent, spoken
from streams.fold.state import Chart, DeviceState
from streams.fold.window import WINDOW_AGE, Placed
from streams.messages import (
    Event,
    MeasurementsAmended,
    QcJudged,
    ReviewBasis,
    ReviewEnded,
    ReviewOpened,
    SizeAt,
    Verdict,
)

FIRST_FAILURES_WARN: Final = 2
TWO_SIDED_95: Final = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""

Result = tuple[DeviceState, tuple[ReviewOpened | ReviewEnded | MeasurementsAmended, ...]]


def told(state: DeviceState, event: Event, before: Chart, placed: Placed, terms: Terms) -> Result:
    """Open the reviews that a reading calls for, and end those that it ends.

    Parameters
    ----------
    before
        The chart before the reading.
    """
    judged, head = placed.judged[0], placed.chart.head
    name, outcomes = judged.phantom_id, list[ReviewOpened | ReviewEnded | MeasurementsAmended]()

    def open_review(
        basis: ReviewBasis,
        text: str,
        since: datetime | None,
        until: datetime | None = None,
        sizes: tuple[SizeAt, ...] = (),
    ) -> None:
        nonlocal state
        state, more = reviews.opened(state, event, name, basis, text, since=since, until=until, sizes=sizes)
        outcomes.extend(more)

    is_newest = bool(placed.chart.window) and placed.chart.window[-1].measured_at == judged.measured_at
    if judged.verdict.passed and is_newest:  # a late pass says nothing of what failed after it
        state, ended = reviews.passed(state, name, judged.measured_at)
        outcomes += ended
    if placed.drift_opened:
        open_review(ReviewBasis.DRIFT, f"{spoken(head.signalled)} signal on phantom {name}", head.drift_since)
    if head.confirmed and not before.head.confirmed:
        text = f"Confirmed failure on {name}"
        open_review(ReviewBasis.FAILURE, text, head.passed_at, sizes=_size(judged, terms))
    often = len(head.first_failure_days)
    if often >= FIRST_FAILURES_WARN and often > len(before.head.first_failure_days):
        text = f"{often} first scans failed within ten QC days on {name}"
        open_review(ReviewBasis.REPEATED_FIRST_FAILURES, text, None)
    if placed.failed_late:
        text = f"A failed reading of {name} came late: what was measured since wants a look"
        since, until = _about(placed.chart, judged.measured_at)
        open_review(
            ReviewBasis.LATE_FAILURE, text, since or judged.measured_at - WINDOW_AGE, until, _size(judged, terms)
        )
    elif judged.verdict is Verdict.TOO_LATE:
        text = f"A reading of {name} came too late to be placed"
        open_review(ReviewBasis.TOO_LATE, text, judged.measured_at)
    return state, tuple(outcomes)


def _about(chart: Chart, at: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the last pass before a time and the first after it, as far as the chart remembers."""
    passes = [r.measured_at for r in chart.window if r.verdict is not None and r.verdict.passed]
    settled = chart.checkpoint.passed_at
    passes += [settled] if settled is not None else []
    return max((p for p in passes if p < at), default=None), min((p for p in passes if p > at), default=None)


def _size(judged: QcJudged, terms: Terms) -> tuple[SizeAt, ...]:
    """Return how far off the scanner was by one reading, in percent, with what chance and the baseline leave open."""
    baseline = terms.baseline
    if judged.bmd_g_cm2 is None or baseline is None:
        return ()
    size = deviation_percent(judged.bmd_g_cm2, baseline)
    error = 100.0 * baseline.sigma_g_cm2 / baseline.mean_g_cm2 * math.sqrt(1.0 + 1.0 / baseline.n)
    return (SizeAt(judged.measured_at, size, size - TWO_SIDED_95 * error, size + TWO_SIDED_95 * error),)
