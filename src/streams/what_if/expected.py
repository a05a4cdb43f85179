"""What to expect of rules on a scanner that is well, and of one that has shifted: by the theory of run lengths."""

from itertools import pairwise
from typing import Final

import msgspec

from qa_models.cusum import TabularCusum
from qa_models.design import ChartDesign, chart_design, chart_sigma_percent, widened
from qa_models.run_length.false_alarms import Chart
from qa_models.run_rules import RULE_SETS, beyond_tolerance
from qa_models.shewhart import ShewhartChart
from streams.policy import QcRules
from streams.what_if.differences import ChartPlace

FEWEST_READINGS: Final = 10
"""Of fewer readings no spread is told (the guideline's number for a baseline)."""


class Expected(msgspec.Struct, frozen=True):
    """Each chart of one set of rules on a scanner with this spread and rate.

    `without` are the charts for which there is no exact run length, and why.
    """

    cv_percent: float
    scans_per_week: float
    charts: tuple[ChartDesign, ...]
    without: tuple[str, ...] = ()


def expected_of(rules: QcRules, cv_percent: float, scans_per_week: float) -> Expected:
    """Return false alarms a year and days to notice a shift of each chart of a set of rules.

    Raises
    ------
    ValueError
        The spread is outside what the charts are reckoned for; the message names it.
    """
    wider = chart_sigma_percent(cv_percent, rules.sigma_floor_percent) / cv_percent
    charts: dict[str, Chart] = {
        "tolerance": ShewhartChart(0.0, 1.0, beyond_tolerance(rules.tolerance_percent, cv_percent)),
        "cusum": TabularCusum(0.0, 1.0, k=rules.cusum_k * wider, h=rules.cusum_h * wider),
    }
    if rules.rules != "none":
        charts[rules.rules] = ShewhartChart(0.0, 1.0, widened(RULE_SETS[rules.rules], wider))
    found, without = list[ChartDesign](), list[str]()
    for name, chart in charts.items():
        try:
            found.append(chart_design(name, chart, cv_percent, scans_per_week))
        except ValueError as error:
            without.append(f"{name}: {error}")
    return Expected(cv_percent, scans_per_week, tuple(found), tuple(without))


def spread_of(places: tuple[ChartPlace, ...]) -> tuple[float, float] | None:
    """Return CV in percent and scans a week of readings that passed; None of too few to tell.

    The spread is that from one reading to the next (mean moving range over 1.128), so that a drift does not widen it
    [1]_.

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", control charts for individual measurements.
    """
    passed = [place for place in places if place.verdict_in_force.passed]
    if len(passed) < FEWEST_READINGS:
        return None
    values = [place.bmd_g_cm2 for place in passed]
    mean = sum(values) / len(values)
    ranges = [abs(after - before) for before, after in pairwise(values)]
    days = (passed[-1].measured_at - passed[0].measured_at).total_seconds() / 86_400.0
    sigma = sum(ranges) / len(ranges) / D2_OF_TWO
    return (100.0 * sigma / mean, 7.0 * (len(passed) - 1) / days) if sigma > 0 and days > 0 else None


D2_OF_TWO: Final = 1.128379167095513
"""Expected range of two normal observations in standard deviations, 2 / sqrt(pi)."""
