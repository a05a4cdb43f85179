"""What the charts in force on a phantom cost and give: false alarms a year, days until a lasting shift is noticed."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from dashboards.context import Console
from dashboards.run_length_words import words_from_days, words_from_rate
from qa_models.cusum import TabularCusum
from qa_models.design import CV_PERCENT, MOST_FLOOR_OVER_CV, ChartDesign, chart_design, widened
from qa_models.run_length.false_alarms import Chart
from qa_models.run_rules import RULE_SETS, beyond_tolerance
from qa_models.shewhart import ShewhartChart
from streams.policy import QcRules
from streams.readings import DeviceView, PhantomStatus

SHIFTS_PERCENT: Final = (0.5, 1.0)
COUNTED: Final = timedelta(days=56)
"""How far back the phantom's scans are counted."""
FEWEST_PER_WEEK: Final = 0.25
_RULE_NAMES: Final = {
    "dxa": "DXA rules (Lu 1996)",
    "western_electric": "Western Electric rules",
    "westgard": "Westgard rules",
    "nelson": "Nelson rules",
}


class Cost(NamedTuple):
    """One chart in words; without an exact run length `false_alarms` is blank."""

    chart: str
    false_alarms: str
    detects: tuple[tuple[float, str], ...]


class Costs(NamedTuple):
    """The charts of one phantom, and what the figures rest on."""

    charts: Sequence[Cost]
    cv_percent: float
    scans_per_week: float


def costs(console: Console, view: DeviceView, phantom: PhantomStatus | None) -> Costs | None:
    """Return what the charts of a phantom cost; None where it has no baseline, or its scatter is out of all bounds."""
    if phantom is None or phantom.mean is None or phantom.sigma is None:
        return None
    accepted = [one.baseline for one in console.readings.epochs(view.id)]
    baseline = next(
        (one for one in accepted if (one.phantom_id, one.epoch) == (phantom.patient_id, phantom.epoch)), None
    )
    if baseline is None:
        return None
    cv = round(100 * baseline.sd_g_cm2 / phantom.mean, 2)
    sigma = round(100 * phantom.sigma / phantom.mean, 2)
    least, most = CV_PERCENT
    if not (least <= cv <= most and sigma <= MOST_FLOOR_OVER_CV * cv):
        return None
    since = console.clock() - COUNTED
    scans = sum(one.phantom_id == phantom.patient_id for one in console.readings.qc(view.id, since=since))
    per_week = max(FEWEST_PER_WEEK, round(scans * 7 / COUNTED.days * 2) / 2)
    rules = view.qc_rules
    charts = tuple(_cost(name, cv, sigma, per_week, rules) for name in ("tolerance", "cusum", rules.rules))
    return Costs([one for one in charts if one is not None], cv, per_week)


@lru_cache(maxsize=256)
def _cost(name: str, cv: float, sigma: float, per_week: float, rules: QcRules) -> Cost | None:
    found = _chart(name, cv, sigma / cv, rules)
    if found is None:
        return None
    title, chart = found
    try:
        made: ChartDesign = chart_design(name, chart, cv, per_week, SHIFTS_PERCENT)
    except ValueError:  # a set of rules whose run length is not known exactly
        return Cost(title, "", ())
    detects = tuple((one.shift_percent, words_from_days(one.days)) for one in made.detections)
    return Cost(title, words_from_rate(made.false_alarms_per_year), detects)


def _chart(name: str, cv: float, wider: float, rules: QcRules) -> tuple[str, Chart] | None:
    """Return a chart in true standard deviations, and what it is called."""
    if name == "tolerance":
        chart = ShewhartChart(0.0, 1.0, beyond_tolerance(rules.tolerance_percent, cv))
        return f"Tolerance ±{rules.tolerance_percent:g} %", chart
    if name == "cusum":
        k, h = rules.cusum_k, rules.cusum_h
        return f"CUSUM, k {k:g}, h {h:g}", TabularCusum(0.0, 1.0, k=k * wider, h=h * wider)
    if name in RULE_SETS:
        return _RULE_NAMES.get(name, name), ShewhartChart(0.0, 1.0, widened(RULE_SETS[name], wider))
    return None
