"""Baselines and robust estimators against published values, and what they refuse."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.baseline import Baseline, median_mad, moving_range_sigma, qn_scale
from qa_models.cusum import TabularCusum

ONE_OUTLIER = [1.000, 1.002, 0.998, 1.001, 0.999, 1.003, 0.997, 1.000, 1.001, 1.050]
"""Reference 6.2; its statistics are from R (robustbase 0.95)."""

scans = st.lists(st.floats(0.5, 2.0), min_size=10, max_size=40)
ESTIMATORS: list[Callable[[Any], Any]] = [Baseline.from_scans, median_mad, moving_range_sigma, qn_scale]


def daily_scans(mean: float, sd: float) -> list[float]:
    """Twenty-five scans with exactly this mean and sample SD: twelve below, twelve above, one between."""
    return [mean - sd] * 12 + [mean] + [mean + sd] * 12


# Published values


def test_sample_with_one_outlier_keeps_and_flags_it() -> None:
    baseline = Baseline.from_scans(ONE_OUTLIER)
    assert baseline.n == 10
    assert baseline.mean == pytest.approx(1.0051, abs=1e-12)
    assert baseline.sd == pytest.approx(0.015877657, abs=5e-10)
    assert baseline.cv_percent == pytest.approx(1.579709, abs=5e-7)
    assert baseline.sigma == baseline.sd
    assert baseline.outliers == (9,)


def test_bonnick_hologic_spine_phantom_of_25_days() -> None:
    baseline = Baseline.from_scans(daily_scans(1.177, 0.006))
    assert baseline.mean == pytest.approx(1.177, abs=1e-12)
    assert baseline.sd == pytest.approx(0.006, abs=1e-12)
    assert (baseline.lower, baseline.upper) == (1.159345, 1.194655)
    assert baseline.established
    assert baseline.outliers == ()


def test_robust_estimates_of_the_sample_with_one_outlier() -> None:
    assert median_mad(ONE_OUTLIER).median == pytest.approx(1.0005, abs=1e-12)
    assert median_mad(ONE_OUTLIER).sigma == pytest.approx(0.002223903, abs=5e-10)
    assert moving_range_sigma(ONE_OUTLIER) == pytest.approx(0.007289204, abs=5e-10)
    assert qn_scale(ONE_OUTLIER) == pytest.approx(0.003196183, abs=5e-10)


def test_moving_range_of_montgomery_table_9_1(reference_data: Path) -> None:
    path = reference_data / "montgomery_table9_1_cusum_ewma.csv"
    x = np.loadtxt(path, delimiter=",", skiprows=2, usecols=1)
    assert moving_range_sigma(x) == pytest.approx(1.199865, abs=5e-7)
    assert Baseline.from_scans(x).mean == pytest.approx(10.315, abs=1e-12)


@pytest.mark.parametrize("n", [*range(2, 17), 20, 25, 40])
def test_qn_is_unbiased_for_normal_samples(n: int) -> None:
    samples = np.random.default_rng(n).standard_normal((4000, n))
    estimates = np.array([qn_scale(sample) for sample in samples])
    standard_error = float(estimates.std()) / math.sqrt(len(estimates))
    assert estimates.mean() == pytest.approx(1, abs=4 * standard_error)


@pytest.mark.parametrize(("n", "published"), [(10, 0.56), (25, 0.42), (50, 0.32)])
def test_false_alarms_of_a_chart_on_an_estimated_baseline(n: int, published: float) -> None:
    # Reference 1.6: without a sigma floor this share of in-control scanners signals within 100 scans.
    random = np.random.default_rng(1996)
    scanners = 3000
    phase_1, phase_2 = random.normal(200, 1, (scanners, n)), random.normal(200, 1, (scanners, 100))
    baselines = [Baseline.from_scans(row, sigma_floor_percent=0) for row in phase_1]
    mean = np.array([[baseline.mean] for baseline in baselines])
    sigma = np.array([[baseline.sigma] for baseline in baselines])
    signal = TabularCusum(0, 1).replay((phase_2 - mean) / sigma).signal
    assert signal.any(axis=1).mean() == pytest.approx(published, abs=0.04)


# Policy


def test_a_quiet_scanner_gets_the_floor_as_sigma() -> None:
    baseline = Baseline.from_scans(daily_scans(1.0, 0.001))
    assert baseline.sd == pytest.approx(0.001, abs=1e-12)
    assert baseline.sigma == pytest.approx(0.005, abs=1e-12)
    assert Baseline.from_scans(daily_scans(1.0, 0.001), sigma_floor_percent=0.2).sigma == pytest.approx(0.002)


def test_identical_scans_make_a_baseline_because_there_is_a_floor() -> None:
    baseline = Baseline.from_scans([1.2] * 10)
    assert (baseline.mean, baseline.sd, baseline.cv_percent, baseline.outliers) == (1.2, 0.0, 0.0, ())
    assert baseline.sigma == pytest.approx(0.006, abs=1e-12)


@given(st.floats(1e-3, 1e3), st.integers(2, 60))
def test_identical_scans_have_exactly_no_spread(value: float, n: int) -> None:
    baseline = Baseline.from_scans([value] * n, min_scans=2)
    assert (baseline.mean, baseline.sd) == (value, 0.0)
    with pytest.raises(ValueError, match=f"all {n} values of x are {value!r} and there is no sigma floor"):
        Baseline.from_scans([value] * n, min_scans=2, sigma_floor_percent=0)


@pytest.mark.parametrize(("n", "established"), [(24, False), (25, True), (26, True)])
def test_a_baseline_is_established_from_25_scans(n: int, established: bool) -> None:  # noqa: FBT001 - a table's column
    assert Baseline.from_scans([1.0] * n).established is established


def test_an_outlier_is_beyond_three_and_a_half_robust_sigmas() -> None:
    # Median 1, median absolute deviation 0.01: 3.5 robust sigmas are 0.0519.
    x = [0.98, 0.99, 0.99, 0.99, 1.0, 1.01, 1.01, 1.01, 1.02]
    assert Baseline.from_scans([*x, 1.0, 1.0515], tolerance_percent=10).outliers == ()
    assert Baseline.from_scans([*x, 1.0, 1.0525], tolerance_percent=10).outliers == (10,)
    assert Baseline.from_scans([0.9475, *x, 1.0], tolerance_percent=10).outliers == (0,)


def test_a_scan_beyond_the_tolerance_of_its_own_baseline_is_an_outlier() -> None:
    # Scans so wide that 3.5 robust sigmas hold them all; the mean is 1.0, the limits 0.985 and 1.015.
    wide = [0.98, 1.02, 0.985, 1.015, 0.9849, 1.0151, 0.99, 1.01, 1.0, 1.0]
    assert Baseline.from_scans(wide).outliers == (0, 1, 4, 5)
    assert Baseline.from_scans(wide, tolerance_percent=2).outliers == ()


def test_nothing_within_the_floor_is_an_outlier() -> None:
    x = [1.0] * 9  # no spread at all: the floor of 0.5 % is the scale, 1.75 % the limit
    assert Baseline.from_scans([*x, 1.017], tolerance_percent=10).outliers == ()
    assert Baseline.from_scans([*x, 1.018], tolerance_percent=10).outliers == (9,)
    on_the_limit = [0.5, 7.5, *[4.0] * 8]  # a floor of exactly 1, a limit of exactly 3.5 from the median
    assert Baseline.from_scans(on_the_limit, sigma_floor_percent=25, tolerance_percent=90).outliers == ()


@given(st.integers(200, 3000), st.sampled_from(["0.5", "1", "1.5", "2"]))
def test_a_scan_that_reads_the_limit_is_within(thousandths: int, tolerance: str) -> None:
    mean = Decimal(thousandths) / 1000
    half_width = mean * Decimal(tolerance) / 100
    baseline = Baseline.from_scans([float(mean)] * 10, tolerance_percent=float(tolerance))
    for limit, outwards in ((mean - half_width, -1), (mean + half_width, 1)):
        assert baseline.within_tolerance(float(limit))
        assert not baseline.within_tolerance(float(limit + outwards * Decimal("1e-9")))


def test_deviation_is_signed_and_in_percent_of_the_mean() -> None:
    baseline = Baseline.from_scans([2.0] * 10)
    assert (baseline.deviation_percent(2.5), baseline.deviation_percent(1.5)) == (25.0, -25.0)


def test_a_baseline_is_never_edited() -> None:
    baseline = Baseline.from_scans([1.0] * 10)
    with pytest.raises(FrozenInstanceError):
        baseline.mean = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_arrays_give_python_numbers(dtype: type) -> None:
    baseline = Baseline.from_scans(np.arange(1, 12, dtype=dtype))
    assert (baseline.n, baseline.mean, type(baseline.mean)) == (11, 6.0, float)


# Refusals


@pytest.mark.parametrize("estimate", ESTIMATORS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.nan])
@pytest.mark.parametrize("place", [0, 7, 11])
def test_a_non_finite_scan_is_named(estimate: Callable[[Any], Any], bad: float, place: int) -> None:
    x = [1.0, 1.01] * 6
    x[place] = bad
    for series in (x, np.array(x)):
        with pytest.raises(ValueError, match=rf"^x\[{place}\] = {bad!r} is not finite"):
            estimate(series)


@pytest.mark.parametrize("estimate", ESTIMATORS)
@pytest.mark.parametrize("bad", [True, np.True_, None, "1.0", 1j, [1.0]])
def test_what_is_no_number_is_named(estimate: Callable[[Any], Any], bad: object) -> None:
    with pytest.raises(ValueError, match=r"^x\[3\] = .* is not a number"):
        estimate([1.0, 1.01, 1.0, bad, *[1.0] * 8])


@pytest.mark.parametrize("estimate", ESTIMATORS)
@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (3, 4), ()])
def test_an_array_of_another_shape_is_refused(estimate: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape .*; one dimension is needed"):
        estimate(np.ones(shape))


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_an_array_of_bools_is_refused(estimate: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"x\[0\] = True is not a number"):
        estimate(np.ones(12, dtype=np.bool_))


def test_too_few_scans_are_counted() -> None:
    with pytest.raises(ValueError, match="x has 9 values; at least 10 are needed"):
        Baseline.from_scans([1.0] * 9)
    assert Baseline.from_scans([1.0] * 9, min_scans=9).n == 9


@pytest.mark.parametrize("estimate", ESTIMATORS[1:])
@pytest.mark.parametrize("x", [[], [1.0]])
def test_one_value_has_no_spread(estimate: Callable[[Any], Any], x: list[float]) -> None:
    with pytest.raises(ValueError, match=f"x has {len(x)} values; at least 2 are needed"):
        estimate(x)


@pytest.mark.parametrize(("x", "mean"), [([0.0] * 10, "0.0"), ([-1.0, 1.0] * 5, "0.0"), ([-2.0] * 10, "-2.0")])
def test_a_mean_that_is_not_positive_is_refused(x: list[float], mean: str) -> None:
    with pytest.raises(ValueError, match=f"mean of x = {mean} is not positive"):
        Baseline.from_scans(x)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_scans": 1}, "min_scans = 1"),
        *[({"min_scans": bad}, "min_scans = .* is not a whole number") for bad in (math.nan, 2.5, True, None)],
        *[({"established_at": bad}, "established_at = .* is not a whole number") for bad in (math.nan, 25.0, "25")],
        ({"tolerance_percent": "1.5"}, r"tolerance_percent = '1\.5' is not a number"),
        ({"sigma_floor_percent": None}, "sigma_floor_percent = None is not a number"),
        ({"tolerance_percent": 0.0}, r"tolerance_percent = 0\.0"),
        ({"tolerance_percent": -1.5}, r"tolerance_percent = -1\.5"),
        ({"tolerance_percent": 100.0}, r"tolerance_percent = 100\.0"),
        ({"tolerance_percent": math.nan}, "tolerance_percent = nan"),
        ({"sigma_floor_percent": -0.5}, r"sigma_floor_percent = -0\.5"),
        ({"sigma_floor_percent": math.nan}, "sigma_floor_percent = nan"),
        ({"sigma_floor_percent": math.inf}, "sigma_floor_percent = inf"),
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Baseline.from_scans([1.0] * 10, **setting)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_neither_within_nor_outside(bad: float) -> None:
    baseline = Baseline.from_scans([1.0] * 10)
    for judge in (baseline.within_tolerance, baseline.deviation_percent):
        with pytest.raises(ValueError, match=f"value = {bad!r} is not finite"):
            judge(bad)


@pytest.mark.parametrize("bad", [True, np.True_, None, "1.0", np.ma.masked, np.array([1.0])])
def test_a_value_that_is_no_number_is_neither_within_nor_outside(bad: Any) -> None:
    baseline = Baseline.from_scans([1.0] * 10)
    for judge in (baseline.within_tolerance, baseline.deviation_percent):
        with pytest.raises(ValueError, match=r"^value = .* is not a number"):
            judge(bad)


@pytest.mark.parametrize("value", [np.float16(1.0159), np.float32(1.0156)])
def test_a_value_is_judged_in_full_precision(value: Any) -> None:
    baseline = Baseline.from_scans([1.0005] * 10)  # upper limit 1.0155075, which half precision rounds up
    assert not baseline.within_tolerance(value)
    assert type(baseline.deviation_percent(value)) is float


@pytest.mark.parametrize("value", [Decimal("1.218"), np.float64(1.218)])
def test_a_limit_is_met_by_any_type_that_holds_it(value: Any) -> None:
    assert Baseline.from_scans([Decimal("1.2")] * 10).within_tolerance(value)


# Laws


@given(scans, st.integers(-20, 20))
def test_a_baseline_scales_with_its_unit(x: list[float], exponent: int) -> None:
    unit = 2.0**exponent  # a power of two: exact
    one, other = Baseline.from_scans(x), Baseline.from_scans([unit * scan for scan in x])
    assert (other.mean, other.sd, other.sigma) == (unit * one.mean, unit * one.sd, unit * one.sigma)
    assert (other.cv_percent, other.outliers) == (one.cv_percent, one.outliers)
    assert (other.lower, other.upper) == pytest.approx((unit * one.lower, unit * one.upper), rel=1e-11)


@given(scans, st.randoms(use_true_random=False))
def test_the_order_of_scans_matters_to_the_moving_range_alone(x: list[float], random: Any) -> None:
    shuffled = random.sample(x, len(x))
    one, other = Baseline.from_scans(x), Baseline.from_scans(shuffled)
    assert (one.mean, one.sd, one.lower, one.upper) == (other.mean, other.sd, other.lower, other.upper)
    assert median_mad(x, allow_zero=True) == median_mad(shuffled, allow_zero=True)
    assert qn_scale(x, allow_zero=True) == qn_scale(shuffled, allow_zero=True)


@given(scans, st.integers(-20, 20))
def test_robust_scales_follow_unit_and_sign(x: list[float], exponent: int) -> None:
    unit = -(2.0**exponent)
    mirrored = [unit * value for value in x]
    centre, sigma = median_mad(x, allow_zero=True)
    assert median_mad(mirrored, allow_zero=True) == (unit * centre, -unit * sigma)
    for estimate in (moving_range_sigma, qn_scale):
        assert estimate(mirrored, allow_zero=True) == -unit * estimate(x, allow_zero=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4))
def test_four_wrong_values_of_ten_do_not_break_the_robust_scales(wrong: list[float]) -> None:
    good = [0.995, 0.997, 0.998, 0.999, 1.0, 1.001, 1.002, 1.003, 1.004, 1.005]
    x = good[len(wrong) :] + wrong
    assert 0.995 <= median_mad(x).median <= 1.005
    assert median_mad(x).sigma <= 1.482602 * 0.01
    assert qn_scale(x) <= 0.01 * 2.3


# No spread


@pytest.mark.parametrize("estimate", [median_mad, qn_scale])
def test_a_robust_scale_of_mostly_equal_values_is_refused_and_names_the_value(estimate: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"^x has no spread: 6 of its 10 values are 1\.25$"):
        estimate([1.1, 1.2, 1.3, 1.4, *[1.25] * 6])


def test_a_moving_range_of_equal_values_is_refused_and_names_the_value() -> None:
    with pytest.raises(ValueError, match=r"^x has no spread: 10 of its 10 values are 1\.25$"):
        moving_range_sigma([1.25] * 10)
    assert moving_range_sigma([1.25] * 9 + [1.3]) > 0


def test_a_caller_with_a_floor_may_ask_for_zero() -> None:
    mostly = [1.1, 1.2, 1.3, 1.4, *[1.25] * 6]
    assert median_mad(mostly, allow_zero=True) == (1.25, 0.0)
    assert qn_scale(mostly, allow_zero=True) == 0.0
    assert moving_range_sigma([1.25] * 10, allow_zero=True) == 0.0


def test_up_to_half_the_values_may_be_equal() -> None:
    x = [1.1, 1.2, 1.3, 1.4, 1.6, *[1.25] * 5]
    assert median_mad(x).sigma > 0
    assert qn_scale(x) > 0
    with pytest.raises(ValueError, match=r"3 of its 6 values are 1\.0"):
        qn_scale([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])  # a quarter of the pairs: two halves
