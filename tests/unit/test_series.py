"""Series and tables of observations at the border: taken as floats, or refused by value and place."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from qa_models.series import finite_number, finite_series, one_per_device, scans_first

MASKED: Any = np.ma.array([1.0, 1.1, 1.2], mask=[False, True, False])


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), Fraction(4, 2)])
def test_a_number_of_any_type_becomes_a_float(value: Any) -> None:
    number = finite_number(value, "x")
    assert (number, type(number)) == (2.0, float)


@pytest.mark.parametrize("bad", [True, np.True_, None, "1.0", 1j, [1.0], np.array(1.0), np.ma.masked])
def test_what_is_no_number_is_named_with_its_place(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^scan 3 = .* is not a number$"):
        finite_number(bad, "scan 3")


@pytest.mark.parametrize(
    ("bad", "shown"),
    [(math.nan, "nan"), (-math.inf, "-inf"), (np.float32("inf"), "inf"), pytest.param(10**5000, "inf", id="huge")],
)
def test_what_is_not_finite_is_named_with_its_place(bad: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"^x\[3\] = {shown} is not finite$"):
        finite_number(bad, "x[3]")


def test_a_series_of_any_kind_becomes_floats() -> None:
    for series in ([1, 2], (1.0, 2.0), np.array([1, 2]), np.ma.array([1.0, 2.0])):
        values = finite_series(series, at_least=2)
        assert values == [1.0, 2.0]
        assert [type(value) for value in values] == [float, float]


@pytest.mark.parametrize("series", [MASKED, list(MASKED)])
def test_a_masked_value_is_no_observation(series: Any) -> None:
    with pytest.raises(ValueError, match=r"^x\[1\] = .* is not a number$"):
        finite_series(series, at_least=2)


def test_a_series_too_short_is_counted() -> None:
    assert finite_series([1.0], at_least=1) == [1.0]
    with pytest.raises(ValueError, match=r"^x has 1 values; at least 2 are needed$"):
        finite_series([1.0], at_least=2)


def test_a_table_is_turned_so_that_its_rows_are_scans() -> None:
    table = scans_first(np.array([[1, 2, 3], [4, 5, 6]]))
    assert table.tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert table.flags.c_contiguous


def test_a_masked_value_of_a_table_is_named() -> None:
    with pytest.raises(ValueError, match=r"^x\[1, 2\] is masked"):
        scans_first(np.ma.array(np.zeros((2, 3)), mask=[[False] * 3, [False, False, True]]))
    assert scans_first(np.ma.array(np.ones((1, 2)), mask=False)).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("bad", [True, np.True_])
def test_a_bool_among_the_numbers_of_a_table_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="bool"):
        scans_first([[1.0, bad]])


def test_a_field_of_the_states_is_a_copy() -> None:
    values = np.array([1.0, 2.0])
    copy = one_per_device(values, 2, "upper")
    copy[0] = 9.0
    assert values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("counts", "dtype"), [(False, np.float64), (True, np.int64)])
def test_a_field_of_the_states_has_its_type(counts: Any, dtype: type) -> None:
    assert one_per_device([1, 2], 2, "n", counts=counts).dtype == dtype


def test_a_field_of_the_states_of_another_shape_or_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^state\.mean has shape \(2, 1\); \(2,\) is needed, one for each row of x$"):
        one_per_device([[1.0], [2.0]], 2, "mean")
    with pytest.raises(ValueError, match=r"^state\.n holds float64, not counts$"):
        one_per_device([1.0, 2.0], 2, "n", counts=True)
    with pytest.raises(ValueError, match=r"^state\.mean holds bool, not numbers$"):
        one_per_device([True, False], 2, "mean")
