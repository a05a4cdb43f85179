"""Charts chosen by numbers: against published and independent run lengths, and by simulation."""

import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonewatch import cli
from bonewatch.design import words_from_probability
from dashboards.run_length_words import words_from_days, words_from_rate
from qa_models.cusum import TabularCusum
from qa_models.design import (
    EWMA_LAM,
    EWMA_WIDTH,
    ChartDesign,
    Charts,
    charts_in_true_sigmas,
    compare_charts,
    thin_baselines,
)
from qa_models.ewma import EwmaChart
from qa_models.run_length import chart_arl
from qa_models.run_rules import DXA, WESTERN_ELECTRIC
from qa_models.shewhart import ShewhartChart

SHIFTS = (0.25, 0.5, 1.0, 1.5, 2.0)


def by_name(*args: float, **options: Any) -> dict[str, ChartDesign]:
    return {chart.name: chart for chart in compare_charts(*args, **options)}


@pytest.fixture(scope="module")
def quiet() -> dict[str, ChartDesign]:
    """A scanner below the sigma floor: its charts are wider than its own spread asks for."""
    return by_name(0.3, 5.0, shifts_percent=SHIFTS)


@pytest.fixture(scope="module")
def usual() -> dict[str, ChartDesign]:
    return by_name(0.5, 5.0, shifts_percent=SHIFTS)


# Reference 1.6: chart and true CV, tolerance 1.5 %


@pytest.mark.parametrize(("cv", "arl0"), [(0.4, 5655), (0.5, 370.40), (0.6, 80.5)])
def test_a_tolerance_has_the_run_length_of_its_cv(cv: float, arl0: float) -> None:
    chart = charts_in_true_sigmas(cv, tolerance_percent=1.5, sigma_floor_percent=0.5)["tolerance"]
    assert chart_arl(chart, 0.0) == pytest.approx(arl0, rel=1e-3)


@pytest.mark.parametrize(("cv", "arl"), [(0.3, 20.9), (0.4, 9.47), (0.5, 6.30), (0.6, 4.94)])
def test_a_tolerance_notices_one_percent_as_published(cv: float, arl: float) -> None:
    chart = charts_in_true_sigmas(cv, tolerance_percent=1.5, sigma_floor_percent=0.5)["tolerance"]
    assert chart_arl(chart, 1.0 / cv) == pytest.approx(arl, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "arl0", "half_percent"),
    [
        ("tolerance", 370.398, 43.895),  # reference 1.4, 1.5
        ("western_electric", 91.75, 9.22),  # Champ and Woodall 1987
        ("cusum", 465.4435, 10.37597),  # R spc
        ("cusum_fir", 430.3908, 6.34685),  # R spc
    ],
)
def test_where_sigma_is_the_floor_the_charts_are_the_published_ones(
    usual: dict[str, ChartDesign], name: str, arl0: float, half_percent: float
) -> None:
    chart = usual[name]
    assert chart.arl0_scans == pytest.approx(arl0, rel=1e-4)
    assert chart.detections[1].scans == pytest.approx(half_percent, rel=1e-3)


def test_the_ewma_false_alarms_as_the_cusum_does(usual: dict[str, ChartDesign]) -> None:
    assert usual["ewma"].arl0_scans == pytest.approx(465.44, rel=0.005)


def test_days_and_years_are_scans_by_the_calendar(usual: dict[str, ChartDesign]) -> None:
    tolerance = usual["tolerance"]
    assert tolerance.detections[1].days == pytest.approx(43.8947 * 7 / 5, rel=1e-5)
    assert tolerance.false_alarms_per_year == pytest.approx(365.25 * 5 / 7 / 370.3983, rel=1e-5)


def simulated(cv: float, shift: float, name: str, scans: int) -> tuple[float, float]:
    """Mean run length of the chart as Bonewatch sets it up, and its standard error."""
    sigma = max(cv, 0.5) / 100
    charts: Charts = {
        "western_electric": ShewhartChart(1.0, sigma, WESTERN_ELECTRIC),
        "dxa": ShewhartChart(1.0, sigma, DXA),
        "cusum": TabularCusum(1.0, sigma),
        "cusum_fir": TabularCusum(1.0, sigma, head_start=2.5),
        "ewma": EwmaChart(1.0, sigma, lam=EWMA_LAM, width=EWMA_WIDTH, time_varying=False),
    }
    x = np.random.default_rng(7).normal(1 + shift / 100, cv / 100, (20_000, scans))
    signal = charts[name].replay(x).signal
    assert signal.any(axis=1).all()
    lengths = signal.argmax(axis=1) + 1
    return float(lengths.mean()), float(lengths.std() / math.sqrt(len(lengths)))


@pytest.mark.parametrize("name", ["western_electric", "dxa", "cusum", "cusum_fir", "ewma"])
def test_the_floor_widens_a_chart_as_simulation_does(quiet: dict[str, ChartDesign], name: str) -> None:
    mean, error = simulated(0.3, 0.5, name, scans=100)
    assert quiet[name].detections[1].scans == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize("scanner", ["quiet", "usual"])
def test_a_larger_shift_is_noticed_sooner(scanner: str, request: pytest.FixtureRequest) -> None:
    for chart in request.getfixturevalue(scanner).values():
        days = [detection.days for detection in chart.detections]
        assert days == sorted(days, reverse=True), chart.name
        assert days[0] < 7 / 5 * chart.arl0_scans, chart.name


def test_more_scans_a_week_mean_fewer_days_and_more_false_alarms(usual: dict[str, ChartDesign]) -> None:
    for name, rare in by_name(0.5, 1.0, shifts_percent=(1.0,)).items():
        assert rare.detections[0].days == pytest.approx(5 * usual[name].detections[2].days, rel=1e-12)
        assert rare.false_alarms_per_year == pytest.approx(usual[name].false_alarms_per_year / 5, rel=1e-12)


def test_a_floor_quiets_every_chart_but_the_tolerance(quiet: dict[str, ChartDesign]) -> None:
    for name, bare in by_name(0.3, 5.0, sigma_floor_percent=0.0, shifts_percent=()).items():
        if name == "tolerance":
            assert bare.arl0_scans == pytest.approx(quiet[name].arl0_scans, rel=1e-12)
        else:
            assert bare.arl0_scans < quiet[name].arl0_scans


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cv_percent": 0.0}, "cv_percent = 0.0 is not in [0.05, 10]"),
        ({"cv_percent": -0.5}, "cv_percent = -0.5 "),
        ({"cv_percent": math.nan}, "cv_percent = nan "),
        ({"cv_percent": 11.0}, "cv_percent = 11.0 "),
        ({"scans_per_week": 0.0}, "scans_per_week = 0.0 is not in [0.1, 100]"),
        ({"scans_per_week": math.inf}, "scans_per_week = inf "),
        ({"tolerance_percent": 0.0}, "tolerance_percent = 0.0 is not in (0, 20]"),
        ({"tolerance_percent": math.nan}, "tolerance_percent = nan "),
        ({"sigma_floor_percent": -0.1}, "sigma_floor_percent = -0.1 is not in [0, 5]"),
        ({"sigma_floor_percent": 5.1}, "sigma_floor_percent = 5.1 "),
        ({"shifts_percent": (1.0, 0.0)}, "shift_percent = 0.0 is not in (0, 20]"),
    ],
)
def test_what_is_out_of_range_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        compare_charts(**({"cv_percent": 0.5, "scans_per_week": 5.0} | settings))


# Thin baselines


def test_thin_baselines_are_those_of_the_monte_carlo() -> None:
    """Reference 1.6, 4000 repetitions: 56, 42, 32 and 26 %, medians 70, 138, 185 and 245."""
    rows = thin_baselines(0.5, sigma_floor_percent=0.0)
    assert [row.n for row in rows] == [10, 25, 50, 100]
    assert [row.probability for row in rows] == pytest.approx([0.56, 0.42, 0.32, 0.26], abs=0.025)
    assert [row.median_scans for row in rows] == pytest.approx([70, 138, 185, 245], rel=0.06)
    assert [row.floored_probability for row in rows] == [row.probability for row in rows]


@pytest.mark.parametrize("cv", [0.4, 0.7])
def test_the_floor_helps_a_thin_baseline_as_simulation_does(cv: float) -> None:
    generator = np.random.default_rng(3)
    baseline = generator.normal(0, cv, (20_000, 10))
    sigma = np.maximum(baseline.std(axis=1, ddof=1), 0.5)
    z = (generator.normal(0, cv, (20_000, 100)) - baseline.mean(axis=1, keepdims=True)) / sigma[:, None]
    alarms = TabularCusum(0.0, 1.0).replay(z).signal.any(axis=1).mean()
    [ten] = thin_baselines(cv, scans=(10,))
    assert ten.floored_probability == pytest.approx(alarms, abs=0.02)
    assert ten.floored_median_scans > ten.median_scans == 70


def test_a_chart_that_hardly_ever_alarms_has_no_median() -> None:
    [row] = thin_baselines(0.2, scans=(25,))
    assert row.floored_median_scans == math.inf
    assert row.floored_probability == pytest.approx(0, abs=1e-3)


def test_a_baseline_of_one_scan_is_refused() -> None:
    with pytest.raises(ValueError, match="scans = 1 is below 2"):
        thin_baselines(0.5, scans=(10, 1))


# Words


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0.3, "< 1 day"),
        (1.2, "1 day"),
        (8.82, "9 days"),
        (61.45, "61 days"),
        (155.4, "160 days"),
        (365.25, "1 year"),
        (3000, "8.2 years"),
        (36_600, "> 100 years"),
        (math.inf, "> 100 years"),
    ],
)
def test_days_in_words(days: float, words: str) -> None:
    assert words_from_days(days) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (1182.5, "1200 a year"),
        (2.84, "2.8 a year"),
        (0.56, "0.6 a year"),
        (0.97, "1 a year"),
        (0.0461, "1 in 22 years"),
        (0.0001, "< 1 in 100 years"),
        (0.0, "< 1 in 100 years"),
    ],
)
def test_rates_in_words(rate: float, words: str) -> None:
    assert words_from_rate(rate) == words


@given(st.floats(0, 1))
def test_a_probability_is_never_called_impossible(probability: float) -> None:
    said = words_from_probability(probability)
    assert (said == "< 1 %") == (probability < 0.01)
    assert said == "< 1 %" or abs(float(said.removesuffix(" %")) - 100 * probability) <= 0.5 + 1e-9


# The command


def test_json_is_for_a_program(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.design(cv=0.5, per_week=5.0, as_json=True) == 0
    said = json.loads(capsysbinary.readouterr().out)
    assert (said["cv_percent"], said["sigma_percent"]) == (0.5, 0.5)
    names = [chart["name"] for chart in said["charts"]]
    assert names == ["tolerance", "western_electric", "dxa", "cusum", "cusum_fir", "ewma"]
    assert said["charts"][3]["detections"][0]["scans"] == pytest.approx(10.37597, abs=1e-4)
    assert [row["n"] for row in said["baselines"]] == [10, 25, 50, 100]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"cv": 0.0}, "cv_percent"),
        ({"cv": -1.0}, "cv_percent"),
        ({"cv": math.nan}, "cv_percent"),
        ({"cv": 0.5, "per_week": 0.0}, "scans_per_week"),
        ({"cv": 0.5, "tolerance": 0.0}, "tolerance_percent"),
        ({"cv": 0.5, "floor": -1.0}, "sigma_floor_percent"),
    ],
)
def test_bad_settings_are_one_sentence(
    settings: dict[str, float], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.design(**settings) == 2  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error {named} = ")
    assert said.err.count("\n") == 1


def test_plots_without_matplotlib_are_refused_in_a_sentence() -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = ['bonewatch', 'design', '--cv', '2', '--plots', 'x'];"
        "from bonewatch.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error plots need matplotlib, Bonewatch's optional extra 'plots'\n"
