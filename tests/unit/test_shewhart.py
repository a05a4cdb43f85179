"""The Shewhart chart against published run lengths, a brute-force reading of its rules and its own laws."""

import math
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.run_rules import DXA, NELSON, WESTERN_ELECTRIC, WESTGARD, Alternation, Beyond, Mixture, RuleSet, Trend
from qa_models.shewhart import (
    POINTS_AT_ONCE,
    ShewhartChart,
    ShewhartPath,
    ShewhartPoint,
    ShewhartState,
    ShewhartStates,
    xbar_r,
)
from tests.unit.test_run_rules import brute_force

SHORT: RuleSet = (
    Trend("rise", 3),
    Alternation("turn", 4, warning=True),
    Beyond("2 of 4", 2, 4, 1.5),
    Mixture("mix", 3, 0.5),
)
"""Patterns that short series at random do show."""

halves = st.integers(-8, 8).map(lambda n: n / 2)
distances = halves | st.floats(-5, 5)
series = st.lists(distances, max_size=30)
rule_sets = st.sampled_from([SHORT, WESTERN_ELECTRIC, NELSON, WESTGARD, DXA])
either = st.booleans()


def _chart(chart: ShewhartChart, x: Sequence[float]) -> list[ShewhartPoint]:
    return [chart.update(value) for value in x]


def _run_lengths(rules: RuleSet, shift: float, *, n_devices: int, n_scans: int) -> Any:
    x = np.random.default_rng(1987).normal(shift, 1, (n_devices, n_scans))
    signal = ShewhartChart(0, 1, rules).replay(x).signal
    assert signal.any(axis=1).all()
    return signal.argmax(axis=1) + 1


# Published numbers


def test_run_length_of_the_four_western_electric_rules_in_control() -> None:
    lengths = _run_lengths(WESTERN_ELECTRIC, 0, n_devices=4000, n_scans=1500)
    assert lengths.mean() == pytest.approx(91.75, abs=4 * lengths.std() / math.sqrt(len(lengths)))


@pytest.mark.parametrize("shift", [1.0, 2.0])
@pytest.mark.parametrize("column", ["C1", "C12", "C13", "C14"])
def test_run_lengths_of_champ_and_woodall(reference_data: Path, shift: float, column: str) -> None:
    table: Any = np.genfromtxt(
        reference_data / "champ_woodall_1987_table1.csv", delimiter=",", names=True, skip_header=1
    )
    published = float(table[column][table["mu"] == shift][0])
    rules = tuple(rule for rule in WESTERN_ELECTRIC if rule.name[-1] in column)
    lengths = _run_lengths(rules, shift, n_devices=4000, n_scans=600)
    assert lengths.mean() == pytest.approx(published, abs=4 * lengths.std() / math.sqrt(len(lengths)) + 0.005)


def test_pistonrings_beyond_their_limits(reference_data: Path) -> None:
    table = np.genfromtxt(reference_data / "pistonrings.csv", delimiter=",", skip_header=2, usecols=[0])
    groups = table.reshape(40, 5)
    limits = xbar_r(groups[:25])
    chart = ShewhartChart(limits.location.centre, limits.sigma / math.sqrt(5), (Beyond("beyond", 1, 1, 3.0),))
    points = _chart(chart, groups.mean(axis=1).tolist())
    assert [i for i, point in enumerate(points, start=1) if point.signal] == [37, 38, 39]


# Conventions


def test_an_observation_is_judged_in_sigmas() -> None:
    chart = ShewhartChart(10, 0.5)
    assert chart.update(11.5) == (3.0, (), False, False)
    assert chart.update(8.25) == (-3.5, ("we_1",), False, True)


def test_default_rules_are_western_electric_on_partial_windows() -> None:
    chart = ShewhartChart(0, 1)
    assert chart.rules == WESTERN_ELECTRIC
    assert [point.violated for point in _chart(chart, [2.5, 2.5])] == [(), ("we_2",)]
    full = ShewhartChart(0, 1, full_window=True)
    assert [point.violated for point in _chart(full, [2.5, 2.5, 2.5])] == [(), (), ("we_2",)]


def test_a_warning_is_no_signal() -> None:
    points = _chart(ShewhartChart(0, 1, WESTGARD), [2.5, 0.0, 3.5, 2.5, 0.5])
    assert [point.violated for point in points] == [("1_2s",), (), ("1_2s", "1_3s"), ("1_2s", "2_2s"), ()]
    assert [point.warning for point in points] == [True, False, True, True, False]
    assert [point.signal for point in points] == [False, False, True, True, False]


def test_replay_marks_warnings_signals_and_rules_alike() -> None:
    path = ShewhartChart(0, 1, WESTGARD).replay([[2.5, 0.0, 3.5, 2.5, 0.5]])
    assert path.violated.tolist() == [[0b1, 0, 0b11, 0b101, 0]]
    assert path.violated.dtype == np.uint16
    assert path.warning.tolist() == [[True, False, True, True, False]]
    assert path.signal.tolist() == [[False, False, True, True, False]]
    assert [path.names(0, i) for i in range(4)] == [("1_2s",), (), ("1_2s", "1_3s"), ("1_2s", "2_2s")]


def test_sixteen_rules_have_a_bit_each() -> None:
    rules = tuple(Beyond(f"beyond {i}", 1, 1, float(i)) for i in range(16))
    path = ShewhartChart(0, 1, rules).replay([[15.5, 15.0]])
    assert path.violated.tolist() == [[0xFFFF, 0x7FFF]]
    assert path.names(0, 1) == tuple(f"beyond {i}" for i in range(15))
    with pytest.raises(ValueError, match="17 rules are more than 16"):
        ShewhartChart(0, 1, (*rules, Trend("trend", 6)))


def test_the_state_is_what_the_longest_window_still_needs() -> None:
    chart = ShewhartChart(10, 2, (Beyond("3 of 3", 3, 3, 1.0), Trend("rise", 2)))
    states = [chart.state]
    for x in (11, np.float32(12), 13):
        chart.update(x)  # type: ignore[arg-type]
        states.append(chart.state)
    assert [state.recent for state in states] == [(), (0.5,), (0.5, 1.0), (1.0, 1.5)]
    assert {type(z) for z in chart.state.recent} == {float}
    assert ShewhartChart(0, 1, (Beyond("1_3s", 1, 1, 3.0),)).state.recent == ()


def test_a_replayed_state_has_nan_where_nothing_was() -> None:
    path = ShewhartChart(10, 2, (Trend("rise", 4),)).replay([[11, 12], [9, 8]])
    np.testing.assert_array_equal(path.states.recent, [[np.nan, 0.5, 1.0], [np.nan, -0.5, -1.0]])


def test_streaming_does_not_load_numpy() -> None:
    script = "import sys, qa_models.shewhart as s; s.ShewhartChart(0, 1).update(4); sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("n_devices", [3, POINTS_AT_ONCE // 2 - 1, POINTS_AT_ONCE + 1])
def test_replay_judges_many_devices_as_few(n_devices: int) -> None:
    x = np.resize(np.random.default_rng(5).normal(0, 2, (3, 7)), (n_devices, 7))
    few, many = (ShewhartChart(0, 1, SHORT).replay(table).violated for table in (x[-3:], x))
    assert few.any()
    np.testing.assert_array_equal(many[-3:], few)


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, 1), "target = nan"),
        ((math.inf, 1), "target = inf"),
        ((0, 0.0), r"sigma = 0\.0"),
        ((0, -1.0), r"sigma = -1\.0"),
        ((0, math.inf), "sigma = inf"),
        ((0, 1, ()), r"rules = \[\]"),
        ((0, 1, (*DXA, *DXA)), "rules = "),
    ],
)
def test_a_parameter_out_of_range_is_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        ShewhartChart(*arguments)


@pytest.mark.parametrize("recent", [(math.nan,), (0.0, math.inf), (0.0,) * 8])
def test_a_state_no_chart_can_have_is_refused(recent: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no state of a chart that looks back at 7 observations"):
        ShewhartChart(0, 1, state=ShewhartState(recent))


@given(series, st.sampled_from([math.nan, math.inf, -math.inf, True, None, "1.0", np.True_, 10**400]))
def test_what_is_no_finite_number_leaves_the_state(x: list[float], bad: Any) -> None:
    chart = ShewhartChart(0, 1)
    _chart(chart, x)
    before = chart.state
    with pytest.raises(ValueError, match=r"^x = "):
        chart.update(bad)
    assert chart.state == before


def test_an_overflow_is_refused_like_an_infinity() -> None:
    chart = ShewhartChart(0, 1e-3)
    with pytest.raises(ValueError, match=r"^x = 1e\+308 is no finite number of sigmas from 0\.0"):
        chart.update(1e308)
    assert chart.state == ShewhartState()
    with pytest.raises(ValueError, match=r"^x\[1, 0\] = -1e\+308 is no finite number of sigmas"):
        chart.replay([[0.0, 0.0, 1.0], [-1e308, 1e308, 0.0]])


def test_a_range_that_overflows_is_beyond_any_width() -> None:
    assert ShewhartChart(0, 1, DXA).replay([[1e308, -1e308]]).names(0, 1) == ("1_3s", "R_4s")
    assert _chart(ShewhartChart(0, 1, DXA), [1e308, -1e308])[1].violated == ("1_3s", "R_4s")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[True, False]], "bool"),
        ([["1.0"]], "not numbers"),
        ([[0.0, 1.0], [0.0, math.nan]], r"x\[1, 1\] = nan"),
        ([[0.0, -math.inf], [0.0, 1.0]], r"x\[0, 1\] = -inf"),
    ],
)
def test_replay_refuses_what_is_no_table_of_numbers(x: Any, message: str) -> None:
    chart = ShewhartChart(0, 1)
    with pytest.raises(ValueError, match=message):
        chart.replay(x)
    assert chart.state == ShewhartState()


@pytest.mark.parametrize(
    ("recent", "message"),
    [
        ([[0.0], [0.0]], r"shape \(2, 1\); \(2, 3\) is needed"),
        ([[0.0, 0.0, 0.0]], r"shape \(1, 3\)"),
        ([[0.0, 0.0, 0.0], [0.0, math.nan, 0.0]], "a gap"),
        ([[0.0, 0.0, 0.0], [math.nan, 0.0, math.nan]], "a gap"),
        ([[0.0, -math.inf, 0.0], [0.0, 0.0, 0.0]], "an infinity"),
    ],
)
def test_replay_refuses_states_of_other_charts(recent: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShewhartChart(0, 1, (Trend("rise", 4),)).replay(np.zeros((2, 4)), state=ShewhartStates(np.array(recent)))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_replay_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    path = ShewhartChart(0, 1).replay(np.empty(shape))
    assert path.violated.shape == path.warning.shape == path.signal.shape == shape
    assert path.states.recent.shape == (shape[0], 7)


# Laws


@given(st.data(), rule_sets, either)
def test_replay_means_what_the_definitions_say(data: st.DataObject, rules: RuleSet, full_window: bool) -> None:  # noqa: FBT001
    n_scans = data.draw(st.integers(0, 20))
    x = data.draw(st.lists(st.lists(distances, min_size=n_scans, max_size=n_scans), min_size=1, max_size=4))
    path = ShewhartChart(0, 1, rules, full_window=full_window).replay(np.reshape(x, (len(x), n_scans)))
    for device, z in enumerate(x):
        for i in range(n_scans):
            broken = [rule for rule in rules if brute_force(rule, z, i, full_window=full_window)]
            assert path.names(device, i) == tuple(rule.name for rule in broken)
            assert path.warning[device, i] == any(rule.warning for rule in broken)
            assert path.signal[device, i] == any(not rule.warning for rule in broken)


@given(st.tuples(series, series), st.floats(-100, 100), st.floats(1e-3, 100), rule_sets, either)
def test_replay_equals_streaming_from_where_the_chart_stands(
    parts: tuple[list[float], list[float]],
    target: float,
    sigma: float,
    rules: RuleSet,
    full_window: bool,  # noqa: FBT001
) -> None:
    chart = ShewhartChart(target, sigma, rules, full_window=full_window)
    x, rest = ([target + z * sigma for z in part] for part in parts)
    _chart(chart, x)
    before = chart.state
    path = chart.replay([rest, rest])
    assert chart.state == before
    streamed = _chart(chart, rest)
    for device in (0, 1):
        assert [path.names(device, i) for i in range(len(rest))] == [point.violated for point in streamed]
        assert path.warning[device].tolist() == [point.warning for point in streamed]
        assert path.signal[device].tolist() == [point.signal for point in streamed]
        recent = path.states.recent[device]
        assert tuple(recent[~np.isnan(recent)].tolist()) == chart.state.recent


def _bits(path: ShewhartPath) -> tuple[list[bytes], bytes]:
    marks = [np.ascontiguousarray(values.T).tobytes() for values in (path.violated, path.warning, path.signal)]
    return marks, path.states.recent.tobytes()


@given(
    st.lists(series.map(lambda z: (z * 21 or [0.0] * 21)[:21]), min_size=1, max_size=3), st.data(), rule_sets, either
)
def test_blocks_give_bit_for_bit_what_one_go_gives(
    x: list[list[float]],
    data: st.DataObject,
    rules: RuleSet,
    full_window: bool,  # noqa: FBT001
) -> None:
    chart = ShewhartChart(0, 1, rules, full_window=full_window)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, 21), max_size=4))), 21]
    table = np.array(x)
    marks, states = [b"", b"", b""], None
    for first, end in pairwise(cuts):
        path = chart.replay(table[:, first:end], state=states)
        states = path.states
        marks = [whole + block for whole, block in zip(marks, _bits(path)[0], strict=True)]
    assert (marks, _bits(path)[1]) == _bits(chart.replay(table))


def test_a_block_leaves_the_states_it_starts_from() -> None:
    chart = ShewhartChart(0, 1)
    states = chart.replay(np.ones((2, 10))).states
    chart.replay(np.zeros((2, 10)), state=states)
    assert states.recent.tolist() == [[1.0] * 7] * 2
    assert states.recent.base is None  # no view of the block, which could not be freed


@given(series, st.integers(0, 30), rule_sets, either)
def test_a_chart_resumes_anywhere_with_the_same_answers(
    x: list[float],
    cut: int,
    rules: RuleSet,
    full_window: bool,  # noqa: FBT001
) -> None:
    uninterrupted = ShewhartChart(0, 1, rules, full_window=full_window)
    whole = _chart(uninterrupted, x)
    first = ShewhartChart(0, 1, rules, full_window=full_window)
    answers = _chart(first, x[:cut])
    second = ShewhartChart(0, 1, rules, full_window=full_window, state=first.state)
    assert second.state == first.state
    assert answers + _chart(second, x[cut:]) == whole
    assert second.state == uninterrupted.state


@given(st.lists(st.integers(-40, 40), max_size=30), st.integers(-30, 30), rule_sets)
def test_the_unit_of_x_does_not_matter(x: list[int], exponent: int, rules: RuleSet) -> None:
    unit = 2.0**exponent  # a power of two: exact
    scaled = _chart(ShewhartChart(1.25 * unit, 7 * unit, rules), [value * unit for value in x])
    assert scaled == _chart(ShewhartChart(1.25, 7, rules), x)


@given(series, rule_sets)
def test_a_mirrored_series_breaks_the_same_rules(x: list[float], rules: RuleSet) -> None:
    mirrored = _chart(ShewhartChart(0, 1, rules), [-value for value in x])
    assert [point[1:] for point in mirrored] == [point[1:] for point in _chart(ShewhartChart(0, 1, rules), x)]
