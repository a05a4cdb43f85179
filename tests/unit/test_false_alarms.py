"""False alarms a year, and how a thin baseline makes more of them."""

import math

import numpy as np
import pytest

from qa_models.cusum import SelfStartingCusum, TabularCusum, VariabilityCusum
from qa_models.ewma import EwmaChart
from qa_models.run_length import chart_arl, estimated_baseline, false_alarms_per_year
from qa_models.shewhart import ShewhartChart
from tests.unit.run_length_tables import PRINTED, WE_1


def test_false_alarms_a_year() -> None:
    assert false_alarms_per_year(TabularCusum(1.2, 0.006), 250) == pytest.approx(250 / 465.443506, rel=1e-8)
    assert false_alarms_per_year(ShewhartChart(1.2, 0.006, (WE_1,)), 250) == pytest.approx(250 / 370.398347, rel=1e-8)
    fixed = EwmaChart(1.2, 0.006, lam=0.1, width=2.814, time_varying=False)
    assert false_alarms_per_year(fixed, 52) == pytest.approx(52 / 499.579550, rel=1e-8)
    assert chart_arl(EwmaChart(1, 1, lam=0.1, width=2.814), 1) == pytest.approx(8.157, abs=0.0005)
    assert chart_arl(TabularCusum(1, 1, h=4, head_start=2), 1) == pytest.approx(5.286886, abs=PRINTED)


def test_charts_with_and_without_an_exact_run_length() -> None:
    assert chart_arl(SelfStartingCusum(), 0) == pytest.approx(465.443506, abs=1e-5)
    with pytest.raises(ValueError, match="VariabilityCusum has no exact run length"):
        false_alarms_per_year(VariabilityCusum(1, 0.005), 250)  # type: ignore[arg-type]


@pytest.mark.parametrize("scans", [0, -1, math.inf, math.nan])
def test_false_alarms_of_no_scans_are_refused(scans: float) -> None:
    with pytest.raises(ValueError, match="scans_per_year = "):
        false_alarms_per_year(TabularCusum(1, 0.005), scans)


@pytest.mark.parametrize(
    ("n", "probability", "median"), [(10, 0.56, 70), (25, 0.42, 138), (50, 0.32, 185), (100, 0.26, 245)]
)
def test_thin_baselines_alarm_falsely(n: int, probability: float, median: float) -> None:
    # Monte Carlo of 4,000 charts (reference 1.6), good to 2 points
    effect = estimated_baseline(n)
    assert effect.false_alarm_probability == pytest.approx(probability, abs=0.02)
    assert effect.median_run_length == pytest.approx(median, rel=0.06)


def test_an_endless_baseline_is_a_known_target() -> None:
    x = np.random.default_rng(5).normal(0, 1, (20_000, 400))
    signal = TabularCusum(0, 1).replay(x).signal.cumsum(axis=1).astype(bool)
    effect = estimated_baseline(10_000_000)
    assert effect.false_alarm_probability == pytest.approx(signal[:, 99].mean(), abs=0.012)
    assert effect.median_run_length == pytest.approx(int((signal.mean(axis=0) < 0.5).sum()) + 1, rel=0.04)


def test_a_wide_chart_on_an_endless_baseline_by_simulation() -> None:
    chart = TabularCusum(0, 1, k=0.25, h=12)
    signal = chart.replay(np.random.default_rng(9).normal(0, 1, (4_000, 1_000))).signal
    effect = estimated_baseline(10**9, k=0.25, h=12, within=1_000, most_scans=1_000)
    assert effect.false_alarm_probability == pytest.approx(signal.any(axis=1).mean(), abs=0.03)


def test_a_median_is_looked_for_so_far_and_no_further() -> None:
    assert estimated_baseline(100, most_scans=100).median_run_length == math.inf
    with pytest.raises(ValueError, match="within = 101"):
        estimated_baseline(100, within=101, most_scans=100)


def test_a_sigma_floor_calms_a_thin_baseline() -> None:
    rng = np.random.default_rng(6)
    baseline = rng.normal(0, 1, (20_000, 10))
    sigma = np.maximum(baseline.std(axis=1, ddof=1), 1)
    z = (rng.normal(0, 1, (20_000, 100)) - baseline.mean(axis=1)[:, None]) / sigma[:, None]
    simulated = TabularCusum(0, 1).replay(z).signal.any(axis=1).mean()
    assert estimated_baseline(10, sigma_floor=1).false_alarm_probability == pytest.approx(simulated, abs=0.012)


@pytest.mark.parametrize("bad", [{"n": 1}, {"within": 0}, {"k": -1}, {"h": 0}, {"sigma_floor": math.inf}])
def test_a_baseline_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    n = int(bad.pop("n", 10))
    with pytest.raises(ValueError, match=r"(n|within|k|h|sigma_floor) = "):
        estimated_baseline(n, **bad)  # type: ignore[arg-type]
