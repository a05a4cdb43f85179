"""Phase I limits against R qcc, Montgomery and the distributions that their constants come from."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import ndtr

from qa_models.subgroups import Limits, PhaseOneLimits, individuals, xbar_r, xbar_s

PhaseOne = st.sampled_from([xbar_r, xbar_s])
tables = st.lists(st.lists(st.integers(-99, 99), min_size=3, max_size=3), min_size=1, max_size=6).filter(
    lambda table: any(len(set(group)) > 1 for group in table)
)


@pytest.fixture(scope="module")
def phase_one_rings(reference_data: Path) -> Any:
    table = np.genfromtxt(reference_data / "pistonrings.csv", delimiter=",", skip_header=2, usecols=[0])
    return table[:125].reshape(25, 5)


def _range_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the range of n standard normal values, by quadrature."""
    x, w = np.linspace(-8.5, 8.5, 801), np.linspace(0, 14, 701)[:, None]
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    beyond = 1 - n * integrate.simpson(density * (ndtr(x + w) - ndtr(x)) ** (n - 1), x=x, axis=1)
    mean, square = integrate.simpson(beyond, x=w[:, 0]), integrate.simpson(2 * w[:, 0] * beyond, x=w[:, 0])
    return float(mean), math.sqrt(square - mean**2)


# Published numbers


def test_pistonrings_by_ranges_as_qcc(phase_one_rings: Any) -> None:
    limits = xbar_r(phase_one_rings)
    assert limits.n == 5
    assert limits.sigma == pytest.approx(0.009785038693, abs=5e-13)
    assert limits.location == pytest.approx((74.001176, 73.98804799, 74.01430401), abs=5e-9)
    assert limits.spread == pytest.approx((0.02276, 0, 0.04812533), abs=5e-9)


def test_pistonrings_by_standard_deviations_as_qcc(phase_one_rings: Any) -> None:
    limits = xbar_s(phase_one_rings)
    assert limits.sigma == pytest.approx(0.009829976728, abs=5e-13)
    assert limits.location.centre == pytest.approx(74.001176, abs=5e-9)
    assert limits.spread == pytest.approx((0.009240036602, 0, 0.01930241677), abs=5e-12)


def test_montgomery_table_9_1_as_individuals(reference_data: Path) -> None:
    x = np.genfromtxt(reference_data / "montgomery_table9_1_cusum_ewma.csv", delimiter=",", names=True, skip_header=1)
    limits = individuals(x["x"])
    assert limits.n == 1
    assert limits.sigma == pytest.approx(1.199865, abs=5e-7)
    assert limits.location == pytest.approx((10.315, 10.315 - 3 * 1.199865, 10.315 + 3 * 1.199865), abs=2e-6)
    assert limits.spread == pytest.approx((1.353448, 0, 3.267 * 1.353448), rel=1e-4)  # the books' D4 for n = 2


@pytest.mark.parametrize("n", range(2, 26))
def test_constants_are_those_of_normal_samples(n: int) -> None:
    group = [float(n)] + [0.0] * (n - 1)
    d2, d3 = _range_moments(n)
    limits = xbar_r([group, group])
    used = n / limits.sigma
    assert used == pytest.approx(d2, abs=5e-4)
    assert used == pytest.approx(round(used, 3), abs=1e-12)  # three decimals, as printed
    assert (limits.spread.ucl - n) / 3 / limits.sigma == pytest.approx(d3, abs=2e-5)
    assert limits.spread.lcl == pytest.approx(max(0.0, n * (1 - 3 * d3 / d2)), abs=n * 1e-3)


@pytest.mark.parametrize(("n", "c4"), [(2, 0.7979), (3, 0.8862), (5, 0.9400), (10, 0.9727), (25, 0.9896)])
def test_standard_deviations_are_unbiased_as_printed(n: int, c4: float) -> None:
    group = [math.sqrt(n)] + [0.0] * (n - 1)  # standard deviation 1
    limits = xbar_s([group])
    assert 1 / limits.sigma == pytest.approx(c4, abs=5e-5)
    half_width = 3 * math.sqrt(1 - c4**2) / c4
    assert limits.spread == pytest.approx((1, max(0.0, 1 - half_width), 1 + half_width), abs=2e-3)


def test_means_of_subgroups_spread_by_the_root_of_their_size() -> None:
    limits = xbar_r([[0.0, 2.256], [2.256, 4.512]])
    assert limits.sigma == pytest.approx(2)
    assert limits.location == pytest.approx((2.256, 2.256 - 6 / math.sqrt(2), 2.256 + 6 / math.sqrt(2)))


# Refusals


@pytest.mark.parametrize("phase_one", [xbar_r, xbar_s])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, 1.0], [2.0, 2.0]], r"the spread of x is 0\.0"),
        ([[1.0, math.nan], [2.0, 2.0]], r"x\[0, 1\] = nan"),
        ([[1.0, 2.0], [True, 2.0]], "bool"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[1.0, 2.0], [1.0]], "unequal shape"),
        ([[1.0], [2.0]], "x has subgroups of 1; 2 to"),
        (np.empty((0, 5)), "x has no subgroup"),
    ],
)
def test_what_has_no_limits_is_refused(phase_one: Any, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phase_one(x)


def test_ranges_of_large_subgroups_are_refused() -> None:
    with pytest.raises(ValueError, match="x has subgroups of 26; 2 to 25 are needed"):
        xbar_r([list(range(26))])
    assert xbar_s([list(range(26))]).n == 26


def test_a_range_that_overflows_is_refused() -> None:
    with pytest.raises(ValueError, match="the spread of x is inf"):
        xbar_r([[1e308, -1e308]])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 1.0, 1.0], "spread"),
        ([1.0], "at least 2 are needed"),
        ([1.0, math.inf], r"x\[1\] = inf"),
        ([1.0, True], r"x\[1\] = True"),
        ([[1.0, 2.0]], r"x\[0\] = "),
    ],
)
def test_individuals_without_limits_are_refused(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        individuals(x)


# Laws


def _scaled(limits: Limits, unit: float) -> Limits:
    return Limits(*(value * unit for value in limits))


@given(tables, st.integers(-30, 30), PhaseOne)
def test_limits_are_in_the_unit_of_x(table: list[list[int]], exponent: int, phase_one: Any) -> None:
    unit = 2.0**exponent  # a power of two: exact
    limits: PhaseOneLimits = phase_one(table)
    scaled: PhaseOneLimits = phase_one([[value * unit for value in group] for group in table])
    assert scaled.sigma == limits.sigma * unit
    assert scaled.location == _scaled(limits.location, unit)
    assert scaled.spread == _scaled(limits.spread, unit)


@given(tables, PhaseOne)
def test_mirrored_subgroups_have_mirrored_limits(table: list[list[int]], phase_one: Any) -> None:
    limits: PhaseOneLimits = phase_one(table)
    mirrored: PhaseOneLimits = phase_one([[-value for value in group] for group in table])
    assert mirrored.spread == limits.spread
    assert mirrored.location == (-limits.location.centre, -limits.location.ucl, -limits.location.lcl)
