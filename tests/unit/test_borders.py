"""What the models take from outside and what they refuse: numbers of every type, masks, ragged tables, states."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from qa_models.cusum import CusumState, TabularCusum, VariabilityCusum
from qa_models.ewma import EwmaChart
from qa_models.run_rules import DXA, violations
from qa_models.series import finite_number, finite_series, named_series, positive_number, scans_first, whole_number
from qa_models.shewhart import ShewhartChart, ShewhartState

MASKED_ROW: Any = np.ma.array([1.0, 2.0], mask=[False, True])

# Masked values


@pytest.mark.parametrize(
    ("x", "place"),
    [
        ([MASKED_ROW], "0, 1"),
        ([[1.0, 2.0], MASKED_ROW], "1, 1"),
        ((np.array([1.0, 2.0]), MASKED_ROW), "1, 1"),
        ([[1.0, np.ma.masked]], "0, 1"),
        ([[1.0, 2.0], (np.ma.array(1.0, mask=True), 2.0)], "1, 0"),
        (np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False] * 2, [True, False]]), "1, 0"),
    ],
)
def test_a_masked_value_is_refused_wherever_it_is(x: Any, place: str) -> None:
    with pytest.raises(ValueError, match=rf"^x\[{place}\] is masked, not a number$"):
        scans_first(x)
    with pytest.raises(ValueError, match=rf"^x\[{place}\] is masked"):
        TabularCusum(1, 0.005).replay(x)


def test_rows_without_masked_values_are_taken() -> None:
    assert scans_first([np.ma.array([1.0, 2.0]), np.ma.array([3.0, 4.0], mask=False)]).tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("x", [MASKED_ROW, list(MASKED_ROW), [1.0, np.ma.array(2.0, mask=True)]])
def test_a_series_with_a_masked_value_is_refused(x: Any) -> None:
    with pytest.raises(ValueError, match=r"(?s)^x\[1\] = .* is not a number$"):
        finite_series(x, at_least=1)


# Tables


@pytest.mark.parametrize(
    ("x", "lengths"),
    [
        ([[1.0, 2.0], [3.0]], r"x\[0\] has 2 values, x\[1\] has 1"),
        ([[1.0], np.array([2.0]), [3.0, 4.0]], r"x\[0\] has 1 values, x\[2\] has 2"),
        ([[1.0], 2.0], r"x\[0\] has 1 values, x\[1\] has None"),
    ],
)
def test_rows_of_unequal_length_are_counted(x: Any, lengths: str) -> None:
    with pytest.raises(ValueError, match=f"^x has rows of unequal shape.*: {lengths}$"):
        scans_first(x)


def test_decimals_and_fractions_are_numbers_of_a_table() -> None:
    mixed: Any = [[Decimal("1.5"), 2], [Fraction(1, 4), 3.0]]
    assert scans_first(mixed).tolist() == [[1.5, 0.25], [2.0, 3.0]]
    assert scans_first(np.array([[Decimal("1.5"), 2]], dtype=object)).tolist() == [[1.5], [2.0]]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, None]], r"x\[0, 1\] = None is not a number"),
        ([[1.0], [10**400]], r"x\[1, 0\] = inf is not finite"),
        ([[1.0, 2.0], np.array([True, False])], r"x\[1, 0\] = .*True.* is a bool, not a number"),
        (np.array([[1.0, None]], dtype=object), r"x\[0, 1\] = None is not a number"),
    ],
)
def test_what_is_no_number_of_a_table_is_named(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        scans_first(x)


# Numbers


@pytest.mark.parametrize("value", [Decimal("1.218"), np.float64(1.218), Fraction(609, 500)])
def test_a_number_is_the_float_it_stands_for(value: Any) -> None:
    assert finite_number(value, "x") == 1.218
    assert type(finite_number(value, "x")) is float


@pytest.mark.parametrize("value", [np.float16(1.0159), np.float32(1.0159)])
def test_a_number_of_less_precision_is_compared_in_full(value: Any) -> None:
    # NumPy rounds the limit to the scalar's precision: to it the half-precision reading is on the limit.
    assert finite_number(value, "x") > 1.0155075


@pytest.mark.parametrize("bad", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1e1000000")])
def test_a_decimal_that_no_float_holds_is_not_finite(bad: Decimal) -> None:
    with pytest.raises(ValueError, match=r"^x = -?(nan|inf) is not finite$"):
        finite_number(bad, "x")


@pytest.mark.parametrize("bad", [None, 1.0, 5])
def test_what_is_no_series_is_named(bad: Any) -> None:
    with pytest.raises(ValueError, match=rf"^x = {bad} is no series of numbers$"):
        finite_series(bad, at_least=1)


def test_a_series_may_be_of_decimals() -> None:
    assert finite_series([Decimal("1.001"), Decimal("0.998")], at_least=2) == [1.001, 0.998]


@pytest.mark.parametrize(("bad", "shown"), [(1.0000001e100, r"1\.0000001e\+100"), (-1e200, r"-1e\+200")])
def test_a_series_called_by_name_has_no_number_beyond_all_measures(bad: float, shown: str) -> None:
    assert named_series("after", [1e100, -1e100], at_least=1) == [1e100, -1e100]
    with pytest.raises(ValueError, match=rf"^after\[1\] = {shown} is beyond 1e\+100$"):
        named_series("after", [1.0, bad], at_least=1)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf, pytest.param(10**5000, id="huge")])
def test_a_number_above_zero_is_that(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^sigma = (0|-1.0|nan|inf) is not positive and finite$"):
        positive_number(bad, "sigma")
    assert positive_number(np.float32(0.5), "sigma") == 0.5


@pytest.mark.parametrize("bad", [True, np.True_, 1.0, math.nan, math.inf, "1", None, Decimal(1)])
def test_a_count_is_an_integer(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^n = .* is not a whole number$"):
        whole_number(bad, "n")
    assert type(whole_number(np.int64(3), "n")) is int


# Centre lines

CHARTS: list[Callable[..., Any]] = [
    ShewhartChart,
    TabularCusum,
    VariabilityCusum,
    lambda target, sigma: EwmaChart(target, sigma, lam=0.2, width=3.0),
    lambda target, sigma: violations([1.0], target, sigma, DXA),
]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("bad", [None, "1.0", True, [1.0]])
def test_a_centre_line_is_a_number(chart: Callable[..., Any], bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^target = .* is not a number$"):
        chart(bad, 0.005)
    with pytest.raises(ValueError, match=r"^sigma = .* is not a number$"):
        chart(1.0, bad)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_centre_line_may_be_a_decimal(chart: Callable[..., Any]) -> None:
    chart(Decimal("1.2"), Decimal("0.006"))


# States


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (CusumState(n_upper=1.5), r"state\.n_upper = 1\.5 is not a whole number"),  # type: ignore[arg-type]
        (CusumState(n_lower=True), r"state\.n_lower = True is not a whole number"),
        (CusumState(n_lower=math.inf), r"state\.n_lower = inf is not a whole number"),  # type: ignore[arg-type]
        (CusumState(upper="1.0"), r"state\.upper = '1\.0' is not a number"),  # type: ignore[arg-type]
        (CusumState(lower=None), r"state\.lower = None is not a number"),  # type: ignore[arg-type]
    ],
)
def test_a_state_of_a_cusum_is_of_numbers_and_counts(state: CusumState, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        TabularCusum(0, 1, state=state)


def test_a_state_of_numpy_numbers_is_taken_as_python_numbers() -> None:
    chart = TabularCusum(0, 1, state=CusumState(np.float64(1.0), 0.0, np.int64(2), 0))  # type: ignore[arg-type]
    assert repr(chart.state) == "CusumState(upper=1.0, lower=0.0, n_upper=2, n_lower=0)"


@pytest.mark.parametrize("bad", ["1.0", None, True])
def test_a_state_of_a_shewhart_chart_is_of_numbers(bad: Any) -> None:
    with pytest.raises(ValueError, match=rf"^state\.recent\[1\] = {bad!r} is not a number$"):
        ShewhartChart(0, 1, state=ShewhartState((0.5, bad)))
