"""Line fits between two scanners against published values, R and SciPy, and their laws."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qa_models.cross_calibration import (
    LineFit,
    deming,
    ordinary,
    passing_bablok,
    weighted_deming,
)
from qa_models.cross_calibration.passing_bablok import _shifted_slopes

FITS: list[Callable[..., LineFit]] = [ordinary, deming, weighted_deming, passing_bablok]

SEN_X, SEN_Y = [1, 2, 3, 4, 10, 12, 18], [9, 15, 19, 20, 45, 55, 78]
"""Sen 1968; every slope is positive, so that Passing-Bablok and Theil-Sen agree."""

differences = st.lists(st.integers(-120, 120), min_size=10, max_size=15)
"""How far two scanners differ at equal steps of 0.1 g/cm^2, in mg/cm^2: enough that neighbours may swap places."""


def two_scanners(drawn: list[int]) -> tuple[list[float], list[float]]:
    """Readings in g/cm^2."""
    x = [0.5 + 0.1 * i for i in range(len(drawn))]
    return x, [1.05 * bmd + difference / 1000 for bmd, difference in zip(x, drawn, strict=True)]


def creatinine(reference_data: Path) -> tuple[Any, Any]:
    serum, plasma = np.loadtxt(reference_data / "creatinine_mcr.csv", delimiter=",", skiprows=2).T
    return serum, plasma


# Published values and other software


def test_ordinary_of_creatinine(reference_data: Path) -> None:
    x, y = creatinine(reference_data)
    fit = ordinary(x, y)
    assert (fit.n, fit.x_min, fit.x_max) == (108, 0.66, 3.38)
    assert fit.slope == pytest.approx(0.9939712402, abs=5e-11)
    assert fit.intercept == pytest.approx(0.0150469708, abs=5e-11)


def test_ordinary_equals_scipy(reference_data: Path) -> None:
    x, y = creatinine(reference_data)
    fit, expected = ordinary(x, y, confidence=0.9), stats.linregress(x, y)
    assert (fit.slope_se, fit.intercept_se) == pytest.approx((expected.stderr, expected.intercept_stderr), rel=1e-12)
    half_width = stats.t(106).ppf(0.95) * expected.stderr
    assert fit.slope_interval == pytest.approx((fit.slope - half_width, fit.slope + half_width), rel=1e-12)


def test_ordinary_of_four_pairs_as_r_has_it() -> None:
    fit = ordinary([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    assert (fit.slope, fit.intercept) == pytest.approx((1.04, 0.011), abs=1e-12)
    assert (fit.slope_se, fit.intercept_se) == pytest.approx((0.04949747, 0.05556078), abs=5e-9)
    t = 4.302653  # of 2 degrees of freedom, from a table
    assert fit.slope_interval == pytest.approx((1.04 - t * 0.04949747, 1.04 + t * 0.04949747), abs=1e-7)
    assert fit.intercept_interval == pytest.approx((0.011 - t * 0.05556078, 0.011 + t * 0.05556078), abs=1e-7)


def test_deming_of_creatinine(reference_data: Path) -> None:
    fit = deming(*creatinine(reference_data))
    assert (fit.slope, fit.intercept) == pytest.approx((1.05453934, -0.0589134104), abs=5e-9)
    # R deming searches the slope to 1e-5, which moves its jackknife by as much.
    assert (fit.slope_se, fit.intercept_se) == pytest.approx((0.0250016, 0.0345383), rel=1e-4)


def test_deming_with_a_variance_ratio_as_r_has_it(reference_data: Path) -> None:
    # R deming 1.4: stdpat = c(1, 0, 2, 0), twice the standard deviation in y; its search ends at 1e-5.
    fit = deming(*creatinine(reference_data), ratio=4)
    assert (fit.slope, fit.intercept) == pytest.approx((1.0178628564, -0.0141273472), abs=2e-5)
    assert (fit.slope_se, fit.intercept_se) == pytest.approx((0.02489176956, 0.03559179656), rel=2e-3)


def test_deming_intervals_are_of_student_t(reference_data: Path) -> None:
    fit = deming(*creatinine(reference_data))
    assert fit.slope_se is not None
    assert fit.intercept_se is not None
    t = 1.982597  # of 106 degrees of freedom, from a table
    assert fit.slope_interval == pytest.approx((fit.slope - t * fit.slope_se, fit.slope + t * fit.slope_se), abs=1e-7)
    assert fit.intercept_interval.upper == pytest.approx(fit.intercept + t * fit.intercept_se, abs=1e-7)


def test_deming_of_equal_errors_is_the_principal_axis() -> None:
    # R prcomp of the four pairs.
    fit = deming([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    assert (fit.slope, fit.intercept) == pytest.approx((1.042450885, 0.008304026495), abs=5e-10)


def test_deming_with_all_error_in_y_is_ordinary(reference_data: Path) -> None:
    x, y = creatinine(reference_data)
    fit, expected = deming(x, y, ratio=1e12), stats.linregress(x, y)
    assert (fit.slope, fit.intercept) == pytest.approx((expected.slope, expected.intercept), rel=1e-9)


def test_weighted_deming_of_creatinine(reference_data: Path) -> None:
    # R mcr's unit test of mc.wdemingConstCV.
    fit = weighted_deming(*creatinine(reference_data))
    assert (fit.slope, fit.intercept) == pytest.approx((1.111956340733, -0.1254944949597), abs=1e-9)


def test_weighted_deming_is_near_what_r_deming_finds_by_search(reference_data: Path) -> None:
    # R deming 1.4, cv = TRUE.
    fit = weighted_deming(*creatinine(reference_data))
    assert (fit.slope, fit.intercept) == pytest.approx((1.1119463096, -0.1254660929), abs=5e-5)
    assert (fit.slope_se, fit.intercept_se) == pytest.approx((0.04073247874, 0.04553727268), rel=0.03)


def test_passing_bablok_of_creatinine(reference_data: Path) -> None:
    fit = passing_bablok(*creatinine(reference_data))
    assert (fit.slope, fit.intercept) == pytest.approx((1.087912088, -0.117032967), abs=5e-10)
    # Calanas, from R mcr's unit tests; it interpolates between two slopes where the paper takes one.
    assert fit.slope_interval == pytest.approx((1.0, 1.17300462437155), abs=1e-4)
    assert fit.intercept_interval == pytest.approx((-0.20011494807756, -0.02), abs=1e-4)
    assert fit.slope_se is fit.intercept_se is None


def test_passing_bablok_interval_of_r_deming_is_the_same_slopes_counted_otherwise(reference_data: Path) -> None:
    # R deming 1.4 takes a tie variance off a standard deviation, which makes its interval too narrow: we do not
    # follow it. Counted as it counts, on angles, our slopes give its figures.
    x, y = creatinine(reference_data)
    slopes = _shifted_slopes(np.array(x), np.array(y))
    angles = np.where(slopes < -1, np.arctan(slopes) + math.pi, np.arctan(slopes))
    n, pairs = len(x), len(slopes)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(x).values())
    width = math.sqrt(n * (n - 1) * (2 * n + 5) / 18) - ties / 18
    away = math.ceil(width * stats.norm.ppf(0.975) / 2)
    lower, upper = np.tan(np.interp([pairs / 2 - away, pairs / 2 + away], np.arange(pairs) + 0.5, angles))
    assert (lower, upper) == pytest.approx((1.024691358, 1.157894737), abs=5e-10)
    intercepts = [float(np.median(np.array(y) - slope * np.array(x))) for slope in (upper, lower)]
    assert intercepts == pytest.approx((-0.183947368, -0.043580247), abs=5e-10)


def test_passing_bablok_of_monotone_data_is_theil_sen() -> None:
    fit, expected = passing_bablok(SEN_X, SEN_Y), stats.theilslopes(SEN_Y, SEN_X)
    assert (fit.slope, fit.intercept) == (4.0, 6.0)  # Sen
    assert fit.slope == expected.slope
    wide = passing_bablok(SEN_X, SEN_Y, confidence=0.93).slope_interval
    assert wide == pytest.approx((26 / 7, 35 / 8), abs=1e-12)  # Sen, table


def test_passing_bablok_counts_from_k_below_minus_one() -> None:
    # Of 15 slopes one, -3.3, is below -1: the median is the 9th. R deming's own test has the answer.
    fit = passing_bablok(range(1, 7), [2, 1.2, 4.1, 3.5, 6.3, 3], confidence=0.5)
    assert (fit.slope, fit.intercept) == pytest.approx((1.05, 0.125), abs=1e-12)


@pytest.mark.parametrize("tied_up", [False, True])
def test_the_sign_of_an_infinite_slope_does_not_matter(tied_up: bool) -> None:  # noqa: FBT001 - a table's column
    # By hand: the slopes of the pairs are 0, 2/3, 1 six times, 2 and an infinite one.
    tie = [(2.0, 2.0), (2.0, 3.0)]
    points = [(1.0, 1.0), *(tie if tied_up else tie[::-1]), (3.0, 3.0), (5.0, 5.0)]
    fit = passing_bablok([x for x, _ in points], [y for _, y in points], confidence=0.8)
    assert (fit.slope, fit.intercept) == (1.0, 0.0)
    assert fit.slope_interval == pytest.approx((2 / 3, 2), abs=1e-12)


def test_a_point_measured_twice_has_no_slope_and_slopes_of_minus_one_are_left_out() -> None:
    # By hand: of 15 pairs one is twice the same point, and (2, 3) to (3, 2) falls by one. The 13 others slope
    # 0, 1/2, 2/3, 3/4 twice, 4/5 twice, 1 three times, 4/3 twice and 2: the seventh is 4/5.
    x, y = [1.0, 2.0, 3.0, 4.0, 6.0, 6.0], [2.0, 3.0, 2.0, 4.0, 6.0, 6.0]
    fit = passing_bablok(x, y, confidence=0.5)
    assert fit.slope == 4 / 5
    assert fit.intercept == pytest.approx(1.2, abs=1e-12)  # the middle of 1.2, 1.4, -.4, .8, 1.2, 1.2


def test_the_middle_two_of_an_even_number_of_slopes_are_averaged_geometrically() -> None:
    # By hand: 1, 3/2, 2, 9/4, 8/3, 3, 15/4, 29/7, 9/2, 21/4.
    fit = passing_bablok([0, 1, 2, 4, 8], [0, 1, 3, 9, 30], confidence=0.5)
    assert fit.slope == pytest.approx(math.sqrt(8), rel=1e-12)
    assert fit.slope_interval == pytest.approx((9 / 4, 15 / 4), rel=1e-12)


# Predictions


@pytest.mark.parametrize("fit", FITS)
def test_a_prediction_outside_the_fitted_range_is_flagged(fit: Callable[..., LineFit]) -> None:
    line = fit(SEN_X, SEN_Y)
    assert [line.predict(x).within_range for x in (0.99, 1, 18, 18.01)] == [False, True, True, False]
    assert line.predict(10).value == pytest.approx(line.intercept + 10 * line.slope, rel=1e-15)
    assert line.n == 7


def test_a_prediction_lies_on_the_line() -> None:
    assert passing_bablok(SEN_X, SEN_Y).predict(10) == (46.0, True)


@pytest.mark.parametrize(("bad", "reason"), [(math.nan, "finite"), (-math.inf, "finite"), (True, "a number")])
def test_a_prediction_needs_a_finite_number(bad: float, reason: str) -> None:
    with pytest.raises(ValueError, match=f"x = {bad!r} is not {reason}"):
        passing_bablok(SEN_X, SEN_Y).predict(bad)


# Refusals


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_value_that_is_not_finite_is_named(fit: Callable[..., LineFit], bad: float, name: str) -> None:
    series = {"x": [float(x) for x in SEN_X], "y": [float(y) for y in SEN_Y]}
    series[name][4] = bad
    with pytest.raises(ValueError, match=rf"^{name}\[4\] = {bad!r} is not finite"):
        fit(series["x"], series["y"])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (SEN_X[:6], SEN_Y, "x has 6 values, y has 7: they are no pairs"),
        (SEN_X, SEN_Y[:6], "x has 7 values, y has 6: they are no pairs"),
        ([0.7] * 7, SEN_Y, "all 7 values of x are 0.7: there is no spread"),
        (SEN_X, [0.7] * 7, "all 7 values of y are 0.7: there is no spread"),
        (SEN_X[:2], SEN_Y[:2], "x has 2 values; at least"),
        (SEN_X, [*SEN_Y[:6], 1.1e100], r"y\[6\] = 1.1e\+100 is beyond 1e\+100"),
        (SEN_X, np.ones((7, 1)), r"y has shape \(7, 1\); one dimension is needed"),
        ([*SEN_X[:6], True], SEN_Y, r"x\[6\] = True is not a number"),
    ],
)
def test_what_cannot_be_fitted_is_named(fit: Callable[..., LineFit], x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        fit(x, y)


@pytest.mark.parametrize(("fit", "fewest"), [(ordinary, 3), (deming, 4), (weighted_deming, 4), (passing_bablok, 5)])
def test_the_fewest_pairs_are_enough(fit: Callable[..., LineFit], fewest: int) -> None:
    assert fit(SEN_X[:fewest], SEN_Y[:fewest]).n == fewest
    with pytest.raises(ValueError, match=f"x has {fewest - 1} values; at least {fewest} are needed"):
        fit(SEN_X[: fewest - 1], SEN_Y[: fewest - 1])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, math.nan])
def test_a_confidence_that_is_none_is_named(fit: Callable[..., LineFit], confidence: float) -> None:
    with pytest.raises(ValueError, match=f"confidence = {confidence!r} is not between 0 and 1"):
        fit(SEN_X, SEN_Y, confidence=confidence)


@pytest.mark.parametrize("fit", [deming, weighted_deming])
@pytest.mark.parametrize("ratio", [0, -1.0, math.nan, math.inf])
def test_a_ratio_that_is_none_is_named(fit: Callable[..., LineFit], ratio: float) -> None:
    with pytest.raises(ValueError, match=f"ratio = {ratio!r} is not positive and finite"):
        fit(SEN_X, SEN_Y, ratio=ratio)


@pytest.mark.parametrize(("x", "y", "place"), [(0, 9, r"x\[0\] = 0"), (1, -9, r"y\[0\] = -9")])
def test_a_constant_cv_needs_positive_values(x: int, y: int, place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place}.0 is not positive"):
        weighted_deming([x, *SEN_X[1:]], [y, *SEN_Y[1:]])


def test_weights_that_never_settle_are_refused() -> None:
    with pytest.raises(ValueError, match="the weighted slope does not settle in 200 rounds"):
        weighted_deming([23, 12, 10, 26], [8, 7, 21, 19])


def test_pairs_that_do_not_vary_together_have_no_deming_line() -> None:
    with pytest.raises(ValueError, match=r"^x and y do not vary together"):
        deming([0, 0, 1, 1], [0, 1, 0, 1])


def test_a_deming_line_that_hangs_on_one_pair_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hangs on x\[3\] = 2.0, y\[3\] = 3.0: without it all 3 values of x are 1.0"):
        deming([1, 1, 1, 2], [1, 2, 3, 3])


def test_a_spread_whose_square_is_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="too little spread"):
        ordinary([1e-170, 2e-170, 3e-170], [1, 2, 3])


@pytest.mark.parametrize("y", [SEN_Y[::-1], [15, 9, 78, 20, 19, 45, 10]])
def test_passing_bablok_of_pairs_that_hardly_rise_together_is_refused(y: list[int]) -> None:
    with pytest.raises(ValueError, match="x and y hardly rise together"):
        passing_bablok(SEN_X, y)


def test_too_few_slopes_for_a_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match="5 pairs with 10 slopes are too few"):
        passing_bablok(SEN_X[:5], SEN_Y[:5], confidence=0.99)


# Laws


@settings(deadline=None)  # a jackknife of reweighted fits, slower still when traced
@given(differences, st.sampled_from([0.25, 0.5, 1.0, 3.0]))
def test_deming_with_x_and_y_exchanged_is_the_inverse(drawn: list[int], ratio: float) -> None:
    x, y = two_scanners(drawn)
    for fit in (deming, weighted_deming):
        one, other = fit(x, y, ratio=ratio), fit(y, x, ratio=1 / ratio)
        assert one.slope * other.slope == pytest.approx(1, abs=1e-9)
        assert other.intercept == pytest.approx(-one.intercept / one.slope, abs=1e-9)


@given(differences)
def test_passing_bablok_with_x_and_y_exchanged_is_the_inverse(drawn: list[int]) -> None:
    x, y = two_scanners(drawn)
    one, other = passing_bablok(x, y, confidence=0.5), passing_bablok(y, x, confidence=0.5)
    assert one.slope * other.slope == pytest.approx(1, abs=1e-9)
    assert one.slope_interval.lower * other.slope_interval.upper == pytest.approx(1, abs=1e-9)
    assert other.intercept == pytest.approx(-one.intercept / one.slope, abs=1e-9)


@pytest.mark.parametrize("fit", FITS)
@settings(deadline=None)
@given(drawn=differences, exponent=st.integers(-10, 10))
def test_a_unit_common_to_both_scales_the_intercept_alone(
    fit: Callable[..., LineFit], drawn: list[int], exponent: int
) -> None:
    x, y = two_scanners(drawn)
    unit = 2.0**exponent  # exact
    one, other = fit(x, y, confidence=0.5), fit([unit * v for v in x], [unit * v for v in y], confidence=0.5)
    assert other.slope == pytest.approx(one.slope, rel=1e-12)
    assert other.slope_interval == pytest.approx(one.slope_interval, rel=1e-9)
    assert other.intercept == pytest.approx(unit * one.intercept, rel=1e-9, abs=1e-12 * unit)


@given(differences, st.floats(0.5, 2.0))
def test_deming_follows_the_unit_of_y_when_the_ratio_does(drawn: list[int], unit: float) -> None:
    x, y = two_scanners(drawn)
    one, other = deming(x, y), deming(x, [unit * value for value in y], ratio=unit**2)
    assert other.slope == pytest.approx(unit * one.slope, rel=1e-9)


@pytest.mark.parametrize("fit", FITS)
@settings(deadline=None)
@given(x=st.lists(st.integers(500, 1500), min_size=7, max_size=20, unique=True))
def test_pairs_on_a_line_give_the_line(fit: Callable[..., LineFit], x: list[int]) -> None:
    line = fit(x, [1.25 * value + 8 for value in x])
    assert (line.slope, line.intercept) == pytest.approx((1.25, 8), rel=1e-6)


@given(differences)
def test_passing_bablok_does_not_mind_the_order_of_pairs(drawn: list[int]) -> None:
    x, y = two_scanners(drawn)
    one, other = passing_bablok(x, y, confidence=0.5), passing_bablok(x[::-1], y[::-1], confidence=0.5)
    assert (one.slope, one.intercept) == pytest.approx((other.slope, other.intercept), abs=1e-12)
