"""Class III limits, verdicts on check weights and adequacy of test weights, at and around every edge."""

import csv
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.metrology import (
    Verdict,
    WeighingInstrument,
    WeighingRange,
    class_iii_mpe,
    judge_check_weight,
    weights_adequate,
)
from qa_models.metrology.exact import exact

COLUMN_SCALE = WeighingInstrument((WeighingRange(200_000, 100),))
TWO_RANGES = WeighingInstrument((WeighingRange(150_000, 50), WeighingRange(300_000, 100)))


# Maximum permissible errors


def test_table_of_the_regulations(reference_data: Path) -> None:
    with (reference_data / "nawi_class3_mpe.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 3
    for row in rows:
        over, upto = int(row["load_e_over"]), int(row["load_e_upto"])
        for load_e in (over + 1, (over + upto) // 2, upto):
            assert class_iii_mpe(load_e, 1, in_service=False) == Decimal(row["mpe_initial_e"])
            assert class_iii_mpe(load_e, 1, in_service=True) == Decimal(row["mpe_inservice_e"])


@pytest.mark.parametrize(
    ("e_g", "load_g", "initial_g", "in_service_g"),
    [
        (50, 0, 25, 50),
        (50, 25_000, 25, 50),
        (50, Decimal("25000.001"), 50, 100),
        (50, 25_001, 50, 100),
        (50, 100_000, 50, 100),
        (50, Decimal("100000.001"), 75, 150),
        (50, 200_000, 75, 150),
        (50, 500_000, 75, 150),
        (100, 50_000, 50, 100),
        (100, 50_001, 100, 200),
        (100, 200_000, 100, 200),
        (100, 200_001, 150, 300),
        (100, 300_000, 150, 300),
        (100, 1_000_000, 150, 300),
    ],
)
def test_patient_scales_at_every_edge(e_g: int, load_g: Any, initial_g: int, in_service_g: int) -> None:
    assert class_iii_mpe(load_g, e_g, in_service=False) == initial_g
    assert class_iii_mpe(load_g, e_g, in_service=True) == in_service_g


@given(st.integers(1, 10_000), st.sampled_from([500, 2000, 10_000]), st.sampled_from(["0.001", "0.01", "0.1", "1"]))
def test_an_edge_is_met_in_floats_too(steps: int, edge: int, unit: str) -> None:
    e = steps * Decimal(unit)
    below = {500: "0.5", 2000: "1", 10_000: "1.5"}[edge]
    assert class_iii_mpe(float(edge * e), float(e), in_service=False) == Decimal(below) * e
    assert class_iii_mpe(edge * float(e), float(e), in_service=False) == Decimal(below) * e


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_heavier_load_never_has_a_smaller_limit(one: int, other: int) -> None:
    lighter, heavier = sorted((one, other))
    assert class_iii_mpe(lighter, 1, in_service=True) <= class_iii_mpe(heavier, 1, in_service=True)


@pytest.mark.parametrize(
    ("load_g", "e_g", "message"),
    [
        (500_001, 50, "load_g = 500001 is above 10000 e of 50 g"),
        (Decimal("500000.001"), 50, r"load_g = Decimal\('500000.001'\) is above 10000 e"),
        (-1, 50, "load_g = -1 is negative"),
        (100, 0, "e_g = 0 is not positive"),
        (100, -50, "e_g = -50 is not positive"),
        (math.nan, 50, "load_g = nan is not finite"),
        (math.inf, 50, "load_g = inf is not finite"),
        (100, math.nan, "e_g = nan is not finite"),
        (Decimal("NaN"), 50, r"load_g = Decimal\('NaN'\) is not finite"),
        (Decimal("-Infinity"), 50, r"load_g = Decimal\('-Infinity'\) is not finite"),
        (True, 50, "load_g = True is not a number"),
        ("100", 50, "load_g = '100' is not a number"),
        (None, 50, "load_g = None is not a number"),
    ],
)
def test_a_load_without_a_limit_is_named(load_g: Any, e_g: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        class_iii_mpe(load_g, e_g, in_service=True)


@pytest.mark.parametrize("number", [np.int64, np.float64, int, float, Decimal])
def test_any_kind_of_number_is_taken(number: Any) -> None:
    assert class_iii_mpe(number(25_000), number(50), in_service=False) == 25


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (Decimal("500.0000000000001"), "500.0000000000001"),
        (10_000_000_000_001, "10000000000001"),
        (np.int64(10_000_000_000_001), "10000000000001"),
        (10_000_000_000_001.0, "10000000000000"),
        (500.0000000000001, "500"),
        (0.1 + 0.2, "0.3"),
        (1.2345678901234, "1.23456789012"),
    ],
)
def test_only_floats_are_rounded_to_twelve_digits(value: Any, taken: str) -> None:
    assert exact("load_g", value) == Decimal(taken)


# Instruments


@pytest.mark.parametrize(
    ("load_g", "e_g"), [(1_000, 50), (150_000, 50), (150_001, 100), (Decimal("150000.1"), 100), (300_000, 100)]
)
def test_the_range_in_force_is_the_smallest_that_holds_the_load(load_g: Any, e_g: int) -> None:
    assert TWO_RANGES.range_in_force(load_g).e_g == e_g


@pytest.mark.parametrize(
    ("load_g", "message"),
    [
        (999, "load_g = 999 is below Min = 1000 g"),
        (0, "load_g = 0 is below Min = 1000 g"),
        (300_001, "load_g = 300001 is above Max = 300000 g"),
        (math.nan, "load_g = nan is not finite"),
    ],
)
def test_a_load_outside_the_instrument_is_refused_and_never_a_pass(load_g: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        TWO_RANGES.range_in_force(load_g)
    with pytest.raises(ValueError, match=f"^{message}"):
        judge_check_weight(load_g, load_g, TWO_RANGES)


def test_the_largest_of_three_ranges_is_the_limit() -> None:
    scale = WeighingInstrument((WeighingRange(60_000, 20), WeighingRange(150_000, 50), WeighingRange(300_000, 100)))
    with pytest.raises(ValueError, match=r"^load_g = 300001 is above Max = 300000 g$"):
        scale.range_in_force(300_001)
    with pytest.raises(ValueError, match=r"^load_g = 399 is below Min = 400 g$"):
        scale.range_in_force(399)


@pytest.mark.parametrize(
    ("max_g", "e_g"),
    [(2_500, 5), (50_000, 5), (500, 1), (100, 1), (10_000, 1), (490, Decimal("4.9")), (150_000, 50), (10_000, 2.0)],
)
def test_a_range_has_as_many_intervals_as_class_iii_may(max_g: Any, e_g: Any) -> None:
    assert WeighingRange(max_g, e_g).min_g == 20 * Decimal(str(e_g))


@pytest.mark.parametrize(
    ("max_g", "e_g", "message"),
    [
        (2_499, 5, r"WeighingRange\(max_g=2499, e_g=5\) has 499.8 intervals; class III has 500 to 10000"),
        (50_001, 5, r".* has 10000.2 intervals"),
        (99, 1, r".* has 99 intervals; class III has 100 to 10000"),
        (10_001, 1, r".* has 10001 intervals"),
        (200, 100, r".* has 2 intervals"),
        (0, 5, "max_g = 0 is not positive"),
        (5_000, 0, "e_g = 0 is not positive"),
        (math.inf, 5, "max_g = inf is not finite"),
        (5_000, math.nan, "e_g = nan is not finite"),
    ],
)
def test_what_is_no_range_of_class_iii_is_named(max_g: Any, e_g: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        WeighingRange(max_g, e_g)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ((), "^ranges is empty$"),
        (((300_000, 100), (150_000, 50)), "does not grow"),
        (((150_000, 50), (150_000, 100)), "does not grow"),
        (((150_000, 50), (300_000, 50)), "does not grow"),
        (((150_000, 100), (300_000, 50)), "does not grow"),
        (((60_000, 20), (150_000, 50), (150_000, 100)), r"max_g=150000, e_g=100\) does not grow"),
    ],
)
def test_ranges_that_do_not_grow_are_refused(ranges: tuple[tuple[int, int], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeighingInstrument(tuple(WeighingRange(max_g, e_g) for max_g, e_g in ranges))


# Check weights


def test_rounding_corrected_example_of_the_reference() -> None:
    judgement = judge_check_weight(70_000, 70_000, COLUMN_SCALE, extra_weight_g=30)
    assert judgement.verdict is Verdict.PASS
    assert [judgement.error_g, judgement.rounding_g] == [20, 0]
    assert [judgement.mpe_initial_g, judgement.mpe_in_service_g] == [100, 200]


@pytest.mark.parametrize(
    ("indication_g", "extra_weight_g", "error_g", "in_service", "initial"),
    [
        (70_000, 50, 0, "pass", "pass"),
        (70_100, 50, 100, "pass", "pass"),
        (70_100, Decimal("49.9"), Decimal("100.1"), "warn", "fail"),
        (69_900, 50, -100, "pass", "pass"),
        (69_900, Decimal("50.1"), Decimal("-100.1"), "warn", "fail"),
        (70_200, 50, 200, "warn", "fail"),
        (70_200, Decimal("49.9"), Decimal("200.1"), "fail", "fail"),
        (69_800, 50, -200, "warn", "fail"),
        (69_800, Decimal("50.1"), Decimal("-200.1"), "fail", "fail"),
        (70_100, 0, 150, "warn", "fail"),
        (70_000, 100, -50, "pass", "pass"),
        (70_000.0, 49.9, Decimal("0.1"), "pass", "pass"),
    ],
)
def test_a_corrected_error_on_a_limit_is_within(
    indication_g: Any, extra_weight_g: Any, error_g: Any, in_service: str, initial: str
) -> None:
    judgement = judge_check_weight(indication_g, 70_000, COLUMN_SCALE, extra_weight_g=extra_weight_g)
    assert (judgement.error_g, judgement.verdict.value) == (error_g, in_service)
    new = judge_check_weight(indication_g, 70_000, COLUMN_SCALE, extra_weight_g=extra_weight_g, in_service=False)
    assert (new.error_g, new.verdict.value) == (error_g, initial)


@pytest.mark.parametrize(
    ("load_g", "error_g", "in_service", "initial"),
    [
        # Up to 500 e the permitted errors are 50 and 100 g, and rounding hides 50 g.
        (20_000, 0, "pass", "pass"),
        (20_000, 1, "warn", "warn"),
        (20_000, 100, "warn", "warn"),
        (20_000, 101, "warn", "fail"),
        (20_000, 150, "warn", "fail"),
        (20_000, 151, "fail", "fail"),
        (20_000, -150, "warn", "fail"),
        (20_000, -151, "fail", "fail"),
        # Up to 2000 e they are 100 and 200 g.
        (70_000, 50, "pass", "pass"),
        (70_000, -50, "pass", "pass"),
        (70_000, 51, "warn", "warn"),
        (70_000, 150, "warn", "warn"),
        (70_000, 151, "warn", "fail"),
        (70_000, 250, "warn", "fail"),
        (70_000, 251, "fail", "fail"),
    ],
)
def test_without_extra_weights_the_verdict_holds_wherever_the_indication_lies(
    load_g: int, error_g: int, in_service: str, initial: str
) -> None:
    judgement = judge_check_weight(load_g + error_g, load_g, COLUMN_SCALE)
    assert judgement.verdict.value == in_service
    assert [judgement.error_g, judgement.rounding_g] == [error_g, 50]
    assert judge_check_weight(load_g + error_g, load_g, COLUMN_SCALE, in_service=False).verdict.value == initial


@pytest.mark.parametrize(("load_g", "initial_g", "rounding_g"), [(150_000, 75, 25), (150_100, 100, 50)])
def test_a_load_is_judged_by_the_range_in_force(load_g: int, initial_g: int, rounding_g: int) -> None:
    judgement = judge_check_weight(load_g, load_g, TWO_RANGES)
    assert [judgement.mpe_initial_g, judgement.mpe_in_service_g] == [initial_g, 2 * initial_g]
    assert judgement.rounding_g == rounding_g


@pytest.mark.parametrize(
    ("indication_g", "extra_weight_g", "message"),
    [
        (70_000, -1, "extra_weight_g = -1 is not between 0 and e = 100 g"),
        (70_000, 101, "extra_weight_g = 101 is not between 0 and e = 100 g"),
        (70_000, math.nan, "extra_weight_g = nan is not finite"),
        (math.nan, None, "indication_g = nan is not finite"),
        (-math.inf, 50, "indication_g = -inf is not finite"),
    ],
)
def test_a_reading_that_cannot_be_judged_is_named(indication_g: Any, extra_weight_g: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        judge_check_weight(indication_g, 70_000, COLUMN_SCALE, extra_weight_g=extra_weight_g)


@given(st.integers(2_000, 200_000), st.integers(-400, 400), st.integers(0, 100))
def test_extra_weights_never_contradict_the_verdict_without_them(load_g: int, error_g: int, extra_g: int) -> None:
    without = judge_check_weight(load_g + error_g, load_g, COLUMN_SCALE).verdict
    corrected = judge_check_weight(load_g + error_g, load_g, COLUMN_SCALE, extra_weight_g=extra_g).verdict
    assert without in {corrected, Verdict.WARN}


# Test weights


@pytest.mark.parametrize(
    ("nominal_g", "mpe_g", "adequate"),
    [
        ([20_000], 3, True),
        ([20_000], Decimal("2.999"), False),
        ([10_000], 1.5, True),
        ([10_000], 1.499, False),
        ([5_000], Decimal("0.75"), True),
        ([5_000], Decimal("0.749"), False),
        ([1_000], Decimal("0.15"), True),
        ([1_000], Decimal("0.149"), False),
        ([20_000, 20_000, 10_000.0], 7.5, True),
        ([20_000, 20_000, 10_000.0], 7.49, False),
        ([20_000] * 3, 100, True),
    ],
)
def test_weights_of_m1_may_take_a_third_of_the_permitted_error(nominal_g: Any, mpe_g: Any, adequate: bool) -> None:  # noqa: FBT001
    assert weights_adequate(nominal_g, mpe_g) is adequate


def test_tolerances_and_share_are_the_users() -> None:
    certificates = {2_000: Decimal("0.3")}
    assert weights_adequate([2_000], Decimal("0.9"), tolerances_g=certificates)
    assert not weights_adequate([2_000], Decimal("0.9"), tolerances_g=certificates, share=4)
    assert weights_adequate([2_000], Decimal("0.3"), tolerances_g=certificates, share=1)


@pytest.mark.parametrize(
    ("nominal_g", "mpe_g", "setting", "message"),
    [
        ([], 50, {}, "nominal_g has no weights"),
        ([20_000, 2_000], 50, {}, r"nominal_g\[1\] = 2000 has no tolerance"),
        ([20_000.5], 50, {}, r"nominal_g\[0\] = 20000.5 has no tolerance"),
        ([20_000, math.nan], 50, {}, r"nominal_g\[1\] = nan is not finite"),
        ([-20_000], 50, {}, r"nominal_g\[0\] = -20000 is not positive"),
        ([20_000], 0, {}, "mpe_g = 0 is not positive"),
        ([20_000], math.inf, {}, "mpe_g = inf is not finite"),
        ([20_000], 50, {"share": 0}, "share = 0 is below 1"),
        ([20_000], 50, {"share": math.nan}, "share = nan is not finite"),
    ],
)
def test_weights_that_prove_nothing_are_named(nominal_g: Any, mpe_g: Any, setting: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        weights_adequate(nominal_g, mpe_g, **setting)
