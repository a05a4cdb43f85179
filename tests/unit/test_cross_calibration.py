"""Generalised LSC and phantom comparison against R, SciPy and arithmetic by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from qa_models.cross_calibration import generalised_lsc, phantom_comparison

OLD, NEW = [0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46]
"""Four subjects on two scanners, g/cm^2."""

T_OF_2 = 4.302652730
"""Student's t of 2 degrees of freedom, two-sided 95 %."""

# Generalised least significant change


def test_generalised_lsc_by_hand() -> None:
    # R: sigma * sqrt(1 + 1/4 + (x - mean)^2 / Sxx) of the four pairs, times 1.959963985 as the reference has it;
    # here times the t quantile of 2 degrees of freedom, from a table.
    glsc = generalised_lsc(OLD, NEW)
    assert glsc.quantile == pytest.approx(T_OF_2, abs=5e-10)
    assert glsc.at(1.1).value == pytest.approx(0.04850663385 * T_OF_2 / 1.959963985, abs=5e-10)
    assert glsc.at(1.4).value == pytest.approx(0.05656796971 * T_OF_2 / 1.959963985, abs=5e-10)
    assert (glsc.mean_x, glsc.sxx) == pytest.approx((1.1, 0.2), abs=1e-12)


def test_generalised_lsc_of_one_scanner_read_twice_is_2_77_precision_errors() -> None:
    random, precision = np.random.default_rng(2007), 0.01
    bmd = random.uniform(0.6, 1.4, 40_000)
    first, second = bmd + random.normal(0, precision, bmd.size), bmd + random.normal(0, precision, bmd.size)
    assert generalised_lsc(first, second).at(1.0).value == pytest.approx(2.7718 * precision, rel=0.02)


def test_generalised_lsc_of_many_pairs_is_the_form_of_the_reference() -> None:
    random, n = np.random.default_rng(249), 40_000
    x = random.uniform(0.6, 1.4, n)
    y = 0.02 + 1.03 * x + random.normal(0, 0.02, n)
    see = math.sqrt(stats.linregress(x, y).stderr ** 2 * ((x - x.mean()) ** 2).sum())
    reference = 1.959963985 * see * math.sqrt(1 + 1 / n + (1.3 - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    assert generalised_lsc(x, y).at(1.3).value == pytest.approx(reference, rel=5e-5)


@pytest.mark.parametrize("n", [5, 10, 30])
def test_one_in_twenty_who_did_not_change_is_called_changed(n: int) -> None:
    random, studies = np.random.default_rng(2026), 4000
    bmd = random.normal(1.0, 0.15, (studies, n + 1))  # the last one is the subject who changes scanner
    old, new = bmd + random.normal(0, 0.01, bmd.shape), 0.03 + 0.98 * bmd + random.normal(0, 0.012, bmd.shape)
    called = 0
    for x, y in zip(old, new, strict=True):
        glsc = generalised_lsc(x[:n], y[:n])
        called += abs(y[n] - glsc.fit.predict(x[n]).value) >= glsc.at(x[n]).value
    assert called / studies == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / studies))


@pytest.mark.parametrize(("n", "sufficient"), [(29, False), (30, True)])
def test_thirty_pairs_suffice(n: int, sufficient: bool) -> None:  # noqa: FBT001 - a table's column
    x = np.linspace(0.6, 1.4, n)
    assert generalised_lsc(x, x + 0.01 * np.cos(7 * x)).sufficient is sufficient


@pytest.mark.parametrize("y", [OLD, [2.0 * bmd + 0.1 for bmd in OLD], [1e6 * bmd for bmd in OLD]])
def test_pairs_on_one_line_have_no_least_change(y: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^all 4 pairs of x and y lie on one line: see = .* is rounding$"):
        generalised_lsc(OLD, y)
    assert generalised_lsc(OLD, [*y[:3], y[3] * (1 + 1e-9)]).see > 0


def test_generalised_lsc_flags_what_was_not_calibrated() -> None:
    glsc = generalised_lsc(OLD, NEW)
    assert [glsc.at(x).within_range for x in (0.79, 0.8, 1.4, 1.41)] == [False, True, True, False]


def test_a_generalised_lsc_of_another_confidence() -> None:
    # t of 2 degrees of freedom is 1.885618 for 80 %.
    expected = 0.04850663385 * 1.885618 / 1.959964
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


def test_a_mean_that_is_one_percent_off_is_within_whatever_its_last_bit() -> None:
    random = np.random.default_rng(3000)
    for _ in range(1000):
        before = random.normal(random.uniform(0.5, 1.5), 0.004, 10).round(3)
        assert phantom_comparison(before, before * 1.01).within
        assert phantom_comparison(before, before * 0.99).within
        assert not phantom_comparison(before, before * 1.0100001).within


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
        (TEN, TEN, {"min_scans": math.nan}, "min_scans = nan is not a whole number"),
        (TEN, TEN, {"limit_percent": "1"}, "limit_percent = '1' is not a number"),
        (None, TEN, {}, "before = None is no series of numbers"),
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
