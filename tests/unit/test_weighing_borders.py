"""Borders of the checks of scales and rods: ranges of the display, types of numbers, orders of magnitude."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from qa_models.metrology import (
    WeighingInstrument,
    WeighingRange,
    class_iii_mpe,
    judge_check_weight,
    judge_rod,
    linearity,
    weights_adequate,
)
from qa_models.metrology.exact import exact

RANGES = (WeighingRange(150_000, 50), WeighingRange(300_000, 100))
SCALE = WeighingInstrument(RANGES)

# The display


@pytest.mark.parametrize(
    ("load_g", "indication_g", "rounding_g", "mpe_g"),
    [
        (150_000, 150_000, 25, 75),
        (150_000, 150_100, 50, 75),
        (150_100, 150_000, 25, 100),
        (150_100, 150_100, 50, 100),
        (1_000, -50, 25, 25),
        (300_000, 300_900, 50, 150),
    ],
)
def test_the_steps_are_those_of_the_display_and_the_limits_those_of_the_load(
    load_g: int, indication_g: int, rounding_g: int, mpe_g: int
) -> None:
    judgement = judge_check_weight(indication_g, load_g, SCALE)
    assert [judgement.rounding_g, judgement.mpe_initial_g] == [rounding_g, mpe_g]


def test_a_display_that_changed_range_hides_more() -> None:
    # 100 g of error, give or take 50: the 75 g of initial verification may be kept, so the scale does not fail it.
    assert judge_check_weight(150_100, 150_000, SCALE, in_service=False).verdict == "warn"
    assert judge_check_weight(150_100, 150_000, SCALE, extra_weight_g=90).error_g == 60
    with pytest.raises(ValueError, match=r"^extra_weight_g = 101 is not between 0 and e = 100 g$"):
        judge_check_weight(150_100, 150_000, SCALE, extra_weight_g=101)


@pytest.mark.parametrize("bad", ["no", 1, None, np.True_])
def test_in_service_is_true_or_false(bad: Any) -> None:
    refused = rf"^in_service = {bad!r} is neither True nor False$".replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=refused):
        judge_check_weight(70_000, 70_000, SCALE, in_service=bad)
    with pytest.raises(ValueError, match=refused):
        class_iii_mpe(70_000, 50, in_service=bad)


# Instruments


def test_an_instrument_keeps_a_tuple_of_its_own() -> None:
    ranges: Any = list(RANGES)
    scale = WeighingInstrument(ranges)
    ranges.clear()
    assert scale.ranges == RANGES
    assert hash(scale) == hash(SCALE)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (None, "ranges = None is no series of ranges"),
        ([RANGES[0], 100], r"ranges\[1\] = 100 is no WeighingRange"),
        ("ab", r"ranges\[0\] = 'a' is no WeighingRange"),
    ],
)
def test_what_is_no_range_is_named(ranges: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        WeighingInstrument(ranges)


# Numbers


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (np.float32(0.1), "0.1"),
        (np.float32(1000.2), "1000.2"),
        (np.float32(20_000.05), "20000.05"),
        (np.float64(1000.2), "1000.2"),
        (Fraction(1, 8), "0.125"),
    ],
)
def test_a_float_is_the_decimal_it_was_printed_from(value: Any, taken: str) -> None:
    assert exact("x", value) == Decimal(taken)


def test_a_reading_in_single_precision_on_a_limit_is_on_it() -> None:
    reading: Any = np.float32(1002.2)
    assert judge_rod(reading, Decimal("1000.2")).verdict == "pass"


@pytest.mark.parametrize(
    ("bad", "order"),
    [
        (Decimal("1e1000000"), "1e1000000"),
        (Decimal("-1e1000000"), "1e1000000"),
        (Decimal("1e-1000000"), "1e-1000000"),
        (Decimal("9e101"), "1e101"),
        pytest.param(10**5000, "1e5000", id="huge"),
    ],
)
def test_a_number_beyond_all_measures_is_named(bad: Any, order: str) -> None:
    with pytest.raises(ValueError, match=f"^reading_mm, a number of order {order}, is beyond what is measured$"):
        judge_rod(bad, 1000)
    with pytest.raises(ValueError, match=f"^load_g, a number of order {order}, is beyond"):
        class_iii_mpe(bad, 50, in_service=True)


def test_a_fraction_beyond_all_floats_is_not_finite() -> None:
    with pytest.raises(ValueError, match=r"^x = Fraction\(.*\) is not finite$"):
        exact("x", Fraction(10**400, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("largest", [Decimal("9e100"), Decimal("1e-100"), 0, Decimal("0e1000")])
def test_the_largest_and_the_smallest_can_still_be_judged(largest: Any) -> None:
    assert judge_rod(largest, 1000).error_mm == largest - 1000


CHECKS: list[Callable[[Any], Any]] = [
    lambda bad: judge_rod(bad, 1000),
    lambda bad: judge_rod(1000, bad),
    lambda bad: judge_check_weight(bad, 70_000, SCALE),
    lambda bad: judge_check_weight(70_000, bad, SCALE),
    lambda bad: class_iii_mpe(70_000, bad, in_service=True),
    lambda bad: linearity([1, 2, bad], [1, 2, 3]),
    lambda bad: linearity([1, 2, 3], [1, bad, 3]),
    lambda bad: weights_adequate([bad], 50),
    lambda bad: weights_adequate([20_000], bad),
    lambda bad: weights_adequate([20_000], 50, share=bad),
    lambda bad: weights_adequate([20_000], 50, tolerances_g={20_000: bad}),
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("bad", [None, "1000", True, np.array([1000.0, 1.0])])
def test_what_is_no_number_is_a_value_error(check: Callable[[Any], Any], bad: Any) -> None:
    with pytest.raises(ValueError, match=r"(?s)^\w+(\[\w+\])? = .* is not a number$"):
        check(bad)


@pytest.mark.parametrize("bad", [None, 5])
def test_what_is_no_series_is_a_value_error(bad: Any) -> None:
    with pytest.raises(ValueError, match=f"^standards = {bad} is no series of numbers$"):
        linearity(bad, [1, 2, 3])
    with pytest.raises(ValueError, match=f"^readings = {bad} is no series of numbers$"):
        linearity([1, 2, 3], bad)
    with pytest.raises(ValueError, match=f"^nominal_g = {bad} is no series of numbers$"):
        weights_adequate(bad, 50)


# Test weights


def test_tolerances_may_be_any_numbers() -> None:
    assert weights_adequate([0.5, 2_000], 0.93, tolerances_g={0.5: 0.01, 2_000.0: 0.3})
    assert weights_adequate([Decimal("0.5")], Decimal("0.03"), tolerances_g={Decimal("0.50"): 0.01})
    assert not weights_adequate([0.5], 0.0299, tolerances_g={0.5: 0.01})


@pytest.mark.parametrize(
    ("tolerances_g", "message"),
    [
        ({2_000: 0}, r"tolerances_g\[2000\] = 0 is not positive"),
        ({2_000: -0.3}, r"tolerances_g\[2000\] = -0\.3 is not positive"),
        ({2_000: 0.3, "5 kg": 0.5}, "a mass of tolerances_g = '5 kg' is not a number"),
        ([0.3], r"tolerances_g = \[0\.3\] is no mapping"),
    ],
)
def test_a_tolerance_is_a_number_above_zero(tolerances_g: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        weights_adequate([2_000], 50, tolerances_g=tolerances_g)


@pytest.mark.parametrize("shape", [(2,), (1, 2), ()])
def test_an_array_of_weights_is_refused_in_words(shape: tuple[int, ...]) -> None:
    weights: Any = np.full(shape, 20_000)
    with pytest.raises(ValueError, match=r"^nominal_g is an array; a list of masses is needed$"):
        weights_adequate(weights, 50)
