"""When routine scans suffice for a new epoch of a chart: it is proposed once, and a physicist accepts it or not."""

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from qa_models.baseline import Baseline
from streams.fold.qc import Terms
from streams.fold.schedule import local_day
from streams.fold.state import Chart, Reading
from streams.messages import BaselineProposed

ROUTINE_DAYS: Final = 25
"""Days of routine scanning after which a provisional baseline is to be replaced (DESIGN 5.1)."""
_DAY_ONE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Days are counted from here: the state keeps small numbers."""


def counted(chart: Chart, reading: Reading, terms: Terms) -> Chart:
    """Count the day of a reading that could serve to replace a provisional baseline."""
    is_wanted = chart.baseline is not None and not chart.baseline.established
    is_evidence = any(acquisition == reading.acquisition for acquisition, _ in chart.candidates)
    if not is_wanted or not is_evidence or reading.measured_at < _DAY_ONE:
        return chart
    day = (local_day(reading.measured_at, terms.time_zone) - _DAY_ONE.date()).days
    days = chart.routine_days
    return chart if day in days else replace(chart, routine_days=(*days, day)[-ROUTINE_DAYS:])


def is_proposed(chart: Chart, established_at: int) -> bool:
    """Whether a second epoch is proposed: the baseline in force is provisional, and the days and scans are there."""
    return (
        chart.baseline is not None
        and not chart.baseline.established
        and len(chart.routine_days) >= ROUTINE_DAYS
        and len(chart.candidates) >= min(established_at, ROUTINE_DAYS)
    )


def proposal(chart: Chart, phantom_id: str, terms: Terms) -> BaselineProposed:
    """Return what the proposed epoch would be."""
    assert chart.baseline is not None  # noqa: S101 - `is_proposed` has seen it
    rules = terms.rules
    new = Baseline.from_scans(
        [value for _, value in chart.candidates],
        min_scans=rules.min_scans,
        tolerance_percent=rules.tolerance_percent,
        sigma_floor_percent=rules.sigma_floor_percent,
        established_at=rules.established_at,
    )
    step = 100.0 * (new.mean / chart.baseline.mean_g_cm2 - 1.0)
    return BaselineProposed(phantom_id, chart.baseline.epoch + 1, new.n, new.mean, new.sd, step)
