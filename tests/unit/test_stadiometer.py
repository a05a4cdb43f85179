"""Verdicts on rods, and linearity over several, at and around the limits."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qa_models.metrology import judge_rod, linearity

ROD_CM = [60, 100, 150, 200]
READ_CM = [60.1, 100.1, 150.2, 200.2]
"""Reference 4.3."""


@pytest.mark.parametrize(
    ("reading_mm", "verdict"),
    [
        (1000, "pass"),
        (1002, "pass"),
        (998, "pass"),
        (1002.001, "warn"),
        (997.999, "warn"),
        (1005, "warn"),
        (995, "warn"),
        (1005.001, "fail"),
        (994.999, "fail"),
        (0, "fail"),
    ],
)
def test_an_error_on_a_limit_is_within(reading_mm: float, verdict: str) -> None:
    judgement = judge_rod(reading_mm, 1000)
    assert (judgement.verdict.value, judgement.error_mm) == (verdict, Decimal(str(reading_mm)) - 1000)


def test_limits_are_the_users() -> None:
    verdicts = [judge_rod(reading, 1000, warn_mm=0, fail_mm=Decimal("0.5")).verdict for reading in (1000, 1000.5, 1001)]
    assert verdicts == ["pass", "warn", "fail"]
    assert judge_rod(1001, 1000, warn_mm=1, fail_mm=1).verdict == "pass"


@given(st.integers(1, 25_000), st.sampled_from([-20, 20, -50, 50]))
def test_a_limit_is_met_in_floats_too(rod: int, error: int) -> None:
    # Tenths of a millimetre, given in floats.
    verdict = judge_rod((rod + error) / 10, rod / 10).verdict
    assert verdict == ("pass" if abs(error) == 20 else "warn")


@pytest.mark.parametrize(
    ("reading_mm", "rod_mm", "setting", "message"),
    [
        (math.nan, 1000, {}, "reading_mm = nan is not finite"),
        (1000, math.inf, {}, "rod_mm = inf is not finite"),
        (1000, 0, {}, "rod_mm = 0 is not positive"),
        (1000, -1000, {}, "rod_mm = -1000 is not positive"),
        (True, 1000, {}, "reading_mm = True is not a number"),
        (1000, 1000, {"warn_mm": -1}, "warn_mm = -1 is not between 0 and fail_mm = 5"),
        (1000, 1000, {"warn_mm": 5.1}, r"warn_mm = 5\.1 is not between 0 and fail_mm = 5"),
        (1000, 1000, {"fail_mm": 1}, "warn_mm = 2 is not between 0 and fail_mm = 1"),
        (1000, 1000, {"fail_mm": math.nan}, "fail_mm = nan is not finite"),
        (1000, 1000, {"warn_mm": math.nan}, "warn_mm = nan is not finite"),
    ],
)
def test_a_rod_that_cannot_be_judged_is_named(reading_mm: Any, rod_mm: Any, setting: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        judge_rod(reading_mm, rod_mm, **setting)


# Linearity


def test_four_rods_of_the_reference() -> None:
    result = linearity(ROD_CM, READ_CM)
    assert (result.n, result.mean_error, result.largest_error) == (4, Decimal("0.15"), Decimal("0.2"))
    assert result.error_slope == pytest.approx(0.000857788, abs=5e-10)
    assert result.error_intercept == pytest.approx(0.0406321, abs=5e-8)


def test_the_rods_of_the_reference_pass_even_on_the_limit() -> None:
    rods_mm = [(round(10 * read, 1), 10 * rod) for rod, read in zip(ROD_CM, READ_CM, strict=True)]
    assert [judge_rod(read, rod).verdict.value for read, rod in rods_mm] == ["pass"] * 4
    assert [judge_rod(read, rod, warn_mm=1.9).verdict.value for read, rod in rods_mm] == [
        "pass",
        "pass",
        "warn",
        "warn",
    ]


def test_the_largest_error_keeps_its_sign() -> None:
    assert linearity([60, 100, 150], [60.1, 99.7, 150.2]).largest_error == Decimal("-0.3")
    assert linearity([60, 100, 150], [60.2, 99.8, 150]).largest_error == Decimal("0.2")


def test_a_faulty_stadiometer_may_read_anything() -> None:
    result = linearity([60, 100, 150], [0, -100, 150])
    assert result.largest_error == -200
    assert result.mean_error * 3 == -260


def test_a_perfect_stadiometer_has_no_error_anywhere() -> None:
    result = linearity(ROD_CM, ROD_CM)
    assert [result.mean_error, result.largest_error] == [0, 0]
    assert (result.error_slope, result.error_intercept) == (0.0, 0.0)


@given(st.lists(st.tuples(st.integers(500, 2000), st.integers(-50, 50)), min_size=3, max_size=8))
def test_linearity_equals_scipy(drawn: list[tuple[int, int]]) -> None:
    standards, errors = [rod for rod, _ in drawn], [error / 10 for _, error in drawn]
    if len(set(standards)) == 1:
        standards[0] += 1
    result = linearity(standards, [rod + error for rod, error in zip(standards, errors, strict=True)])
    expected = stats.linregress(standards, errors)
    assert result.error_slope == pytest.approx(expected.slope, abs=1e-9)
    assert result.error_intercept == pytest.approx(expected.intercept, abs=1e-6)
    assert float(result.mean_error) == pytest.approx(sum(errors) / len(errors), abs=1e-9)


@pytest.mark.parametrize(
    ("standards", "readings", "message"),
    [
        (ROD_CM, READ_CM[:3], "standards has 4 values, readings has 3: they are no pairs"),
        (ROD_CM[:2], READ_CM[:2], "standards has 2 values; at least 3 are needed"),
        ([], [], "standards has 0 values; at least 3 are needed"),
        ([100] * 3, [100, 101, 102], "all 3 values of standards are 100: there is no spread"),
        ([100.0, 100, 100], [100, 101, 102], r"all 3 values of standards are 100\.0: there is no spread"),
        ([60, 100, math.nan], [60, 100, 150], r"standards\[2\] = nan is not finite"),
        ([60, 100, 0], [60, 100, 150], r"standards\[2\] = 0 is not positive"),
        ([60, 100, 150], [60, math.inf, 150], r"readings\[1\] = inf is not finite"),
        ([60, 100, 150], [60, None, 150], r"readings\[1\] = None is not a number"),
    ],
)
def test_standards_that_show_no_line_are_named(standards: Any, readings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        linearity(standards, readings)


def test_three_standards_are_enough() -> None:
    assert linearity(ROD_CM[:3], READ_CM[:3]).n == 3
