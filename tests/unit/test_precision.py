"""Precision errors and least significant changes against published values and arithmetic by hand."""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qa_models.precision import (
    iscd_least_significant_change,
    least_significant_change,
    least_significant_change_between,
    precision_error,
)

TOY = [(1.000, 1.010), (0.900, 0.912), (1.100, 1.090), (0.850, 0.850), (1.020, 1.034)]
"""Reference 3.4: five subjects scanned twice, g/cm^2."""

tables = st.integers(2, 4).flatmap(
    lambda n: st.lists(st.lists(st.integers(500, 1500), min_size=n, max_size=n), min_size=1, max_size=20)
)


def random_subjects(n_subjects: int, n_repeats: int) -> Any:
    random = np.random.default_rng(1995)
    return random.uniform(0.7, 1.3, (n_subjects, 1)) + random.normal(0, 0.01, (n_subjects, n_repeats))


# Published values


def test_five_subjects_twice() -> None:
    precision = precision_error(TOY)
    assert (precision.n_subjects, precision.degrees_of_freedom) == (5, 5)
    assert precision.rms_sd == pytest.approx(0.007348469, abs=5e-10)
    assert precision.rms_cv_percent == pytest.approx(0.737339, abs=5e-7)
    assert iscd_least_significant_change(precision.rms_sd) == pytest.approx(0.020355, abs=5e-7)
    assert iscd_least_significant_change(precision.rms_cv_percent) == pytest.approx(2.042430, abs=1e-6)


def test_peak_flow_of_1986(reference_data: Path) -> None:
    readings = np.loadtxt(reference_data / "bland_altman_1986_pefr.csv", delimiter=",", skiprows=2)
    wright, mini = precision_error(readings[:, 1:3]), precision_error(readings[:, 3:5])
    assert (wright.rms_sd, mini.rms_sd) == pytest.approx((15.306669, 19.910831), abs=5e-7)
    # The paper's repeatability, 2 * sqrt(sum of squared differences / n).
    assert 2 * math.sqrt(2) * wright.rms_sd == pytest.approx(43.2938, abs=5e-5)
    assert 2 * math.sqrt(2) * mini.rms_sd == pytest.approx(56.3163, abs=5e-5)


@pytest.mark.parametrize(
    ("n_subjects", "n_repeats", "degrees_of_freedom", "factor"),
    [(27, 2, 27, 1.292935), (14, 2, 14, 1.459689), (15, 3, 30, 1.273682), (30, 2, 30, 1.273682)],
)
def test_upper_limit_of_gluer(n_subjects: int, n_repeats: int, degrees_of_freedom: int, factor: float) -> None:
    precision = precision_error(random_subjects(n_subjects, n_repeats))
    assert precision.degrees_of_freedom == degrees_of_freedom
    assert precision.upper_factor == pytest.approx(factor, abs=5e-7)
    assert precision.upper_rms_sd == pytest.approx(factor * precision.rms_sd, rel=1e-6)
    assert precision.upper_rms_cv_percent == pytest.approx(factor * precision.rms_cv_percent, rel=1e-6)


@pytest.mark.parametrize(
    ("n_subjects", "n_repeats", "sufficient"), [(26, 2, False), (27, 2, True), (13, 3, False), (14, 3, True)]
)
def test_27_degrees_of_freedom_suffice(n_subjects: int, n_repeats: int, sufficient: bool) -> None:  # noqa: FBT001
    assert precision_error(random_subjects(n_subjects, n_repeats)).sufficient is sufficient


def test_the_upper_limit_lies_above_the_truth_in_95_of_100_studies() -> None:
    random = np.random.default_rng(27)
    studies = 1 + random.normal(0, 0.01, (2000, 10, 2))
    above = [precision_error(study).upper_rms_sd >= 0.01 for study in studies]
    assert sum(above) / len(above) == pytest.approx(0.95, abs=0.015)


def test_bonnick() -> None:
    assert least_significant_change(0.015) == pytest.approx(0.0416, abs=5e-5)
    assert least_significant_change(0.015, confidence=0.8) == pytest.approx(0.027, abs=5e-4)
    # Two scans each time drop the root of two.
    assert least_significant_change(0.015, scans_before=2, scans_after=2) == pytest.approx(1.96 * 0.015, rel=1e-4)


def test_the_exact_factor_is_2_771808() -> None:
    assert least_significant_change(1.0) == pytest.approx(2.771808, abs=5e-7)


@pytest.mark.parametrize(("precision", "lsc"), [(1.9, 5.263), (1.8, 4.986), (2.5, 6.925)])
def test_iscd_minimum_precision(precision: float, lsc: float) -> None:
    assert iscd_least_significant_change(precision) == pytest.approx(lsc, abs=1e-9)


def test_lsc_of_two_scanners_by_hand() -> None:
    # sqrt(.003^2 + .004^2) = .005
    assert least_significant_change_between(0.003, 0.004) == pytest.approx(1.959964 * 0.005, abs=5e-9)
    both = least_significant_change_between(0.006, 0.012, scans_before=4, scans_after=9, confidence=0.9)
    assert both == pytest.approx(1.644854 * 0.005, abs=5e-9)


def test_subjects_of_unequal_repeats_weigh_by_degrees_of_freedom() -> None:
    # By hand: squares about the means 2 + 8 + .5 with 2 + 2 + 1 degrees of freedom; means 10, 20, 5.5.
    precision = precision_error([[9, 10, 11], [18, 20, 22], [5, 6]])
    assert precision.degrees_of_freedom == 5
    assert precision.rms_sd == pytest.approx(math.sqrt(10.5 / 5), rel=1e-12)
    expected = 100 * math.sqrt((2 / 100 + 8 / 400 + 0.5 / 30.25) / 5)
    assert precision.rms_cv_percent == pytest.approx(expected, rel=1e-12)


# Refusals


@pytest.mark.parametrize(
    ("repeats", "message"),
    [
        ([], "repeats has no subjects"),
        (np.empty((0, 2)), "repeats has no subjects"),
        ([[1.0, 1.1], [1.2]], r"repeats\[1\] has 1 values; at least 2 are needed"),
        ([[1.0, 1.1], []], r"repeats\[1\] has 0 values"),
        ([[1.0, 1.1], [1.2, math.nan]], r"repeats\[1\]\[1\] = nan is not finite"),
        ([[math.inf, 1.1], [1.2, 1.3]], r"repeats\[0\]\[0\] = inf is not finite"),
        ([[1.0, 1.1], [1.2, None]], r"repeats\[1\]\[1\] = None is not a number"),
        ([1.0, 1.1], r"repeats\[0\] = 1.0 is one number"),
        (np.ones(3), r"repeats\[0\] = .*1\.0.* is one number"),
        (np.ones((2, 2, 2)), r"repeats\[0\] has shape \(2, 2\)"),
        ([[1.0, 1.0], [1.2, 1.2]], "the repeats of all 2 subjects are equal: there is no spread"),
        ([[1.0, 1.1], [-1.0, 1.0]], r"mean of repeats\[1\] = 0.0 is not positive"),
    ],
)
def test_what_has_no_precision_is_named(repeats: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        precision_error(repeats)


def test_a_precision_may_be_a_decimal() -> None:
    precision: Any = Decimal("0.015")
    assert least_significant_change(precision) == least_significant_change(0.015)


@pytest.mark.parametrize("bad", [None, "0.01", True])
def test_a_precision_that_is_no_number_is_named(bad: Any) -> None:
    with pytest.raises(ValueError, match=f"^precision_before = {bad!r} is not a number$"):
        least_significant_change(bad)


@pytest.mark.parametrize("bad", [0, -0.01, math.nan, math.inf])
def test_a_precision_that_is_none_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match=f"precision_before = {bad!r} is not positive"):
        least_significant_change(bad)
    with pytest.raises(ValueError, match=f"precision_after = {bad!r} is not positive"):
        least_significant_change_between(0.01, bad)
    with pytest.raises(ValueError, match=f"precision = {bad!r} is not positive"):
        iscd_least_significant_change(bad)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scans_before": 0}, "scans_before = 0 is below 1"),
        ({"scans_after": -1}, "scans_after = -1 is below 1"),
        *[({"scans_before": bad}, "scans_before = .* is not a whole number") for bad in (math.inf, math.nan, True)],
        *[({"scans_after": bad}, "scans_after = .* is not a whole number") for bad in (math.inf, 2.0, "2", None)],
        ({"confidence": "0.95"}, r"confidence = '0\.95' is not a number"),
        ({"confidence": 0.0}, r"confidence = 0\.0"),
        ({"confidence": 95}, "confidence = 95"),
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        least_significant_change(0.01, **setting)


# Laws


@given(tables.filter(lambda table: any(len(set(row)) > 1 for row in table)))
def test_rms_sd_is_the_residual_of_an_analysis_of_variance(table: list[list[int]]) -> None:
    scans = np.array(table, dtype=float)
    precision = precision_error(table)
    assert precision.rms_sd == pytest.approx(math.sqrt(scans.var(axis=1, ddof=1).mean()), rel=1e-9)
    assert precision.rms_cv_percent == pytest.approx(
        100 * math.sqrt((stats.variation(scans, axis=1, ddof=1) ** 2).mean()), rel=1e-9
    )


@given(tables.filter(lambda table: any(len(set(row)) > 1 for row in table)), st.integers(-20, 20))
def test_precision_scales_with_its_unit_but_for_the_percentage(table: list[list[int]], exponent: int) -> None:
    unit = 2.0**exponent  # exact
    one, other = precision_error(table), precision_error([[unit * scan for scan in row] for row in table])
    assert other.rms_sd == unit * one.rms_sd
    assert other.rms_cv_percent == one.rms_cv_percent


@given(st.floats(1e-3, 10), st.integers(1, 9), st.integers(1, 9))
def test_more_scans_never_make_the_lsc_larger(precision: float, before: int, after: int) -> None:
    lsc = least_significant_change(precision, scans_before=before, scans_after=after)
    assert least_significant_change(precision, scans_before=before + 1, scans_after=after) < lsc
    assert least_significant_change(precision, scans_before=after, scans_after=before) == pytest.approx(lsc, rel=1e-12)
