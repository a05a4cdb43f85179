"""The trend behind a review, drawn by the server: whoever was sent the drawing has been shown it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.messages import QcJudged
from streams.readings import DeviceView, Readings, ReviewStatus

BEFORE: Final = timedelta(days=60)
"""What is shown before the span in doubt, to compare it with (local policy)."""
AFTER: Final = timedelta(days=14)
"""What is shown after a span that has ended (local policy)."""
WIDE: Final = 640.0
HIGH: Final = 190.0
MARGIN: Final = 10.0
LAST: Final = 10


class Dot(NamedTuple):
    """A reading in the drawing's own units; `is_out` beyond its tolerance."""

    x: float
    y: float
    is_out: bool


class Trend(NamedTuple):
    """A drawing of deviations from the target in percent, y downwards; `since` is where the span in doubt begins.

    `low` and `high` are the tolerance, `zero` the target, `last_percent` the mean deviation of the newest readings.
    """

    dots: tuple[Dot, ...]
    zero: float
    low: float
    high: float
    since: float | None
    first_at: datetime
    last_at: datetime
    last_percent: float
    last_count: int
    tolerance_percent: float


def trend(readings: Readings, view: DeviceView, review: ReviewStatus) -> Trend | None:
    """Return the trend of a phantom around the span in doubt; None where no judged reading of it is kept."""
    since = (review.since or review.opened_at) - BEFORE
    until = review.until + AFTER if review.until else None
    judged = [
        one
        for one in readings.qc(view.id, since=since, until=until)
        if one.phantom_id == review.subject and one.chart is not None
    ]
    return _drawn(judged, review.since) if len(judged) > 1 else None


def _drawn(judged: Sequence[QcJudged], since: datetime | None) -> Trend:
    deviations = [one.chart.deviation_percent for one in judged if one.chart]
    chart = judged[-1].chart
    assert chart is not None  # noqa: S101 - those without were left out
    tolerance = (chart.upper / chart.target - 1) * 100
    reach = max(tolerance * 1.4, *(abs(one) for one in deviations if abs(one) < 4 * tolerance), tolerance)
    first, last = judged[0].measured_at, judged[-1].measured_at
    length = max((last - first).total_seconds(), 1.0)

    def across(at: datetime) -> float:
        return round(MARGIN + (WIDE - 2 * MARGIN) * (at - first).total_seconds() / length, 1)

    def down(percent: float) -> float:
        within = min(max(percent, -reach), reach)  # a wrong phantom must not flatten the drawing
        return round(HIGH / 2 - within / reach * (HIGH / 2 - MARGIN), 1)

    dots = tuple(
        Dot(across(one.measured_at), down(percent), abs(percent) > tolerance)
        for one, percent in zip(judged, deviations, strict=True)
    )
    newest = deviations[-LAST:]
    return Trend(
        dots,
        down(0.0),
        down(-tolerance),
        down(tolerance),
        across(since) if since is not None and first <= since <= last else None,
        first,
        last,
        sum(newest) / len(newest),
        len(newest),
        tolerance,
    )
