"""Bland-Altman agreement against the paper of 1986 and SciPy."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qa_models.cross_calibration import bland_altman

pairs = st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=30).filter(
    lambda drawn: len({a - b for a, b in drawn}) > 1
)


def first_readings(reference_data: Path) -> tuple[Any, Any]:
    """Peak flow by the large and by the mini Wright meter, l/min."""
    readings = np.loadtxt(reference_data / "bland_altman_1986_pefr.csv", delimiter=",", skiprows=2)
    return readings[:, 1], readings[:, 3]


# Published values


def test_peak_flow_of_1986(reference_data: Path) -> None:
    agreement = bland_altman(*first_readings(reference_data))
    assert agreement.n == 17
    assert (agreement.bias, agreement.sd) == pytest.approx((-2.117647, 38.765130), abs=5e-7)
    assert agreement.limits == pytest.approx((-78.097, 73.862), abs=1e-3)
    assert (agreement.bias_se, agreement.limit_se) == pytest.approx((9.401925, 16.2846), abs=5e-5)
    assert agreement.bias_interval == pytest.approx((-22.049, 17.814), abs=1e-3)


def test_peak_flow_with_the_papers_two_standard_deviations(reference_data: Path) -> None:
    agreement = bland_altman(*first_readings(reference_data), multiplier=2)
    assert agreement.limits == pytest.approx((-79.648, 75.413), abs=1e-3)
    # The paper: -114.3 to -45.1 and 40.9 to 110.1, from a rounded standard deviation.
    assert agreement.lower_limit_interval == pytest.approx((-114.3, -45.1), abs=0.2)
    assert agreement.upper_limit_interval == pytest.approx((40.9, 110.1), abs=0.2)


def test_limits_may_be_closer_than_one_standard_deviation() -> None:
    agreement = bland_altman([1, 2, 3], [0, 0, 0], multiplier=0.5)
    assert agreement.limits == pytest.approx((1.5, 2.5), abs=1e-12)


def test_creatinine(reference_data: Path) -> None:
    serum, plasma = np.loadtxt(reference_data / "creatinine_mcr.csv", delimiter=",", skiprows=2).T
    agreement = bland_altman(plasma, serum)
    assert (agreement.bias, agreement.sd) == pytest.approx((0.0076851852, 0.156417883), abs=5e-10)


def test_intervals_are_those_of_student_t(reference_data: Path) -> None:
    a, b = first_readings(reference_data)
    agreement = bland_altman(a, b, confidence=0.9)
    assert agreement.bias_interval == pytest.approx(stats.ttest_rel(a, b).confidence_interval(0.9), rel=1e-9)
    half_width = stats.t(16).ppf(0.95) * 38.765130 * math.sqrt(1 + 1 / 17)
    expected = (-2.117647 - half_width, -2.117647 + half_width)
    assert agreement.prediction_interval == pytest.approx(expected, abs=1e-4)


def test_the_prediction_interval_holds_the_share_it_claims() -> None:
    random = np.random.default_rng(1986)
    held = 0
    for _ in range(4000):
        a = random.normal(0, 1, 6)
        lower, upper = bland_altman(a[:5], np.zeros(5)).prediction_interval
        held += lower <= a[5] <= upper
    assert held / 4000 == pytest.approx(0.95, abs=0.015)


# Refusals


@pytest.mark.parametrize(
    ("a", "b", "setting", "message"),
    [
        ([1, 2], [1, 3], {}, "a has 2 values; at least 3 are needed"),
        ([1, 2, 3], [1, 3], {}, "b has 2 values; at least 3 are needed"),
        ([1, 2, 3], [1, 3, 2, 4], {}, "a has 3 values, b has 4: they are no pairs"),
        ([1, 2, math.nan], [1, 3, 2], {}, r"a\[2\] = nan is not finite"),
        ([1, 2, 3], [1, -math.inf, 2], {}, r"b\[1\] = -inf is not finite"),
        ([1, 2, 3], [2, 3, 4], {}, r"all 3 values of a - b are -1\.0: there is no spread"),
        ([1, 2, 3], [2, 3, 5], {"multiplier": 0}, "multiplier = 0"),
        ([1, 2, 3], [2, 3, 5], {"multiplier": math.inf}, "multiplier = inf"),
        ([1, 2, 3], [2, 3, 5], {"multiplier": math.nan}, "multiplier = nan"),
        ([1, 2, 3], [2, 3, 5], {"confidence": 1.0}, r"confidence = 1\.0"),
    ],
)
def test_what_has_no_agreement_is_named(a: Any, b: Any, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        bland_altman(a, b, **setting)


# Laws


@given(pairs)
def test_exchanging_the_methods_changes_the_sign(drawn: list[tuple[int, int]]) -> None:
    a, b = [a for a, _ in drawn], [b for _, b in drawn]
    one, other = bland_altman(a, b), bland_altman(b, a)
    assert (other.bias, other.sd) == (-one.bias, one.sd)
    for interval, mirrored in (
        (one.limits, other.limits),
        (one.bias_interval, other.bias_interval),
        (one.lower_limit_interval, other.upper_limit_interval),
        (one.upper_limit_interval, other.lower_limit_interval),
        (one.prediction_interval, other.prediction_interval),
    ):
        assert mirrored == (-interval.upper, -interval.lower)


@given(pairs, st.integers(-20, 20))
def test_agreement_scales_with_its_unit(drawn: list[tuple[int, int]], exponent: int) -> None:
    unit = 2.0**exponent  # exact
    one = bland_altman([a for a, _ in drawn], [b for _, b in drawn])
    other = bland_altman([unit * a for a, _ in drawn], [unit * b for _, b in drawn])
    assert (other.bias, other.sd, other.limit_se) == (unit * one.bias, unit * one.sd, unit * one.limit_se)
    assert other.limits == (unit * one.limits.lower, unit * one.limits.upper)
