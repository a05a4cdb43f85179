"""Generalised LSC and phantom comparison against R, SciPy and arithmetic by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from qa_models.cross_calibration import generalised_lsc, phantom_comparison

OLD, NEW = [0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46]
"""Four subjects on two scanners, g/cm^2."""

# Generalised least significant change


def test_generalised_lsc_by_hand() -> None:
    # R: qnorm(.975) * sigma * sqrt(1 + 1/4 + (x - mean)^2 / Sxx) of the four pairs.
    glsc = generalised_lsc(OLD, NEW)
    assert glsc.at(1.1).value == pytest.approx(0.04850663385, abs=5e-11)
    assert glsc.at(1.4).value == pytest.approx(0.05656796971, abs=5e-11)
    assert (glsc.mean_x, glsc.sxx) == pytest.approx((1.1, 0.2), abs=1e-12)


def test_generalised_lsc_of_one_scanner_read_twice_is_2_77_precision_errors() -> None:
    random, precision = np.random.default_rng(2007), 0.01
    bmd = random.uniform(0.6, 1.4, 40_000)
    first, second = bmd + random.normal(0, precision, bmd.size), bmd + random.normal(0, precision, bmd.size)
    assert generalised_lsc(first, second).at(1.0).value == pytest.approx(2.7718 * precision, rel=0.02)


def test_generalised_lsc_flags_what_was_not_calibrated() -> None:
    glsc = generalised_lsc(OLD, NEW)
    assert [glsc.at(x).within_range for x in (0.79, 0.8, 1.4, 1.41)] == [False, True, True, False]


def test_a_generalised_lsc_of_another_confidence() -> None:
    # 1.281552 normal standard deviations instead of 1.959964.
    expected = 0.04850663385 * 1.281552 / 1.959964
    assert generalised_lsc(OLD, NEW, confidence=0.8).at(1.1).value == pytest.approx(expected, abs=5e-8)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (OLD[:2], NEW[:2], "x has 2 values; at least 3 are needed"),
        (OLD[:3], NEW, "x has 3 values, y has 4: they are no pairs"),
        ([1.0] * 4, NEW, r"all 4 values of x are 1\.0: there is no spread"),
        (OLD, [*NEW[:3], math.inf], r"y\[3\] = inf is not finite"),
    ],
)
def test_a_generalised_lsc_of_what_cannot_be_fitted_is_refused(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        generalised_lsc(x, y)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_generalised_lsc_is_at_a_finite_value(bad: float) -> None:
    with pytest.raises(ValueError, match=f"x = {bad!r} is not finite"):
        generalised_lsc(OLD, NEW).at(bad)


# Phantom comparison

TEN: list[float] = [1.000, 1.004, 0.998, 1.002, 0.996, 1.001, 0.999, 1.003, 0.997, 1.000]


@pytest.mark.parametrize(
    ("shift", "within"),
    [(0.0, True), (0.01, True), (-0.01, True), (0.0101, False), (-0.0101, False)],
)
def test_means_that_differ_by_one_percent_are_within(shift: float, within: bool) -> None:  # noqa: FBT001 - a column
    comparison = phantom_comparison(TEN, [bmd + shift for bmd in TEN])
    assert comparison.within is within
    assert comparison.difference_percent == pytest.approx(100 * shift, abs=1e-9)


def test_phantom_comparison_says_what_it_compared() -> None:
    comparison = phantom_comparison(TEN, [2 * bmd for bmd in [*TEN, 1.0]], limit_percent=50)
    assert (comparison.n_before, comparison.n_after, comparison.limit_percent) == (10, 11, 50)
    assert (comparison.mean_before, comparison.mean_after) == pytest.approx((1.0, 2.0), abs=1e-12)
    assert comparison.difference_percent == pytest.approx(100, abs=1e-9)
    assert comparison.within is False


def test_the_interval_of_the_difference_is_welchs() -> None:
    random = np.random.default_rng(10)
    before, after = random.normal(1.0, 0.004, 10), random.normal(1.006, 0.009, 14)
    comparison = phantom_comparison(before, after, confidence=0.9)
    ratio = after.mean() / before.mean()
    welch = stats.ttest_ind(after, ratio * before, equal_var=False).confidence_interval(0.9)
    expected = [100 * (ratio - 1 + bound / before.mean()) for bound in welch]
    assert comparison.interval_percent == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("before", "after", "name"), [(9, 10, "before"), (10, 9, "after")])
def test_a_comparison_needs_ten_scans_of_each(before: int, after: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} has 9 values; at least 10 are needed"):
        phantom_comparison(TEN[:before], TEN[:after])
    assert phantom_comparison(TEN[:before], TEN[:after], min_scans=9).n_before == before


def test_two_scans_of_each_are_the_fewest_that_can_be_compared() -> None:
    assert phantom_comparison([1.0, 1.01], [1.0, 1.02], min_scans=2).n_after == 2


@pytest.mark.parametrize(
    ("before", "after", "setting", "message"),
    [
        ([1.0] * 10, TEN, {}, "all 10 values of before are 1.0"),
        (TEN, [1.1] * 10, {}, "all 10 values of after are 1.1"),
        (TEN, [-bmd for bmd in TEN], {}, "mean of after = -1.0 is not positive"),
        ([-1.0, 1.0] * 5, TEN, {}, r"mean of before = 0\.0 is not positive"),
        ([bmd - 1.0 for bmd in TEN[:-1]] + [-0.5], TEN, {}, "mean of before = -0.05"),
        (TEN, [*TEN[:9], math.nan], {}, r"after\[9\] = nan is not finite"),
        (TEN, TEN, {"min_scans": 1}, "min_scans = 1"),
        (TEN, TEN, {"limit_percent": 0}, "limit_percent = 0"),
        (TEN, TEN, {"limit_percent": 100}, "limit_percent = 100"),
        (TEN, TEN, {"limit_percent": math.nan}, "limit_percent = nan"),
        (TEN, TEN, {"confidence": 1}, "confidence = 1"),
        (TEN, TEN, {"confidence": 0}, "confidence = 0"),
    ],
)
def test_what_cannot_be_compared_is_named(before: Any, after: Any, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        phantom_comparison(before, after, **setting)
