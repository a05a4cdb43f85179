"""The tabular CUSUM of many devices at once: bit for bit what streaming gives, whole or in blocks."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.cusum import CusumPath, CusumPoint, CusumState, CusumStates, TabularCusum
from tests.unit.replays import bits, observations, tables

series = st.lists(observations, max_size=40)
non_finite = st.sampled_from([math.nan, math.inf, -math.inf])


def _chart(chart: TabularCusum, x: list[float]) -> list[CusumPoint]:
    return [chart.update(value) for value in x]


def _new_chart(k: float, h: float, head_start: float) -> TabularCusum:
    return TabularCusum(1.25, 0.3, k=k, h=h, head_start=head_start * h)


charts = st.builds(_new_chart, st.floats(0, 3), st.floats(0.5, 10), st.floats(0, 1, exclude_max=True))


def _flat(path: CusumPath) -> list[Any]:
    return [*path[:5], *path.states]


def _states(states: list[CusumState]) -> CusumStates:
    """The states of single charts as arrays."""
    upper, lower = np.array([s.upper for s in states]), np.array([s.lower for s in states])
    return CusumStates(upper, lower, np.array([s.n_upper for s in states]), np.array([s.n_lower for s in states]))


def _streamed(chart: TabularCusum, x: Any) -> list[Any]:
    """What `update` says, device by device, and the states after it."""
    devices = [TabularCusum(1.25, 0.3, k=chart.k, h=chart.h, head_start=chart.head_start) for _ in x]
    points = [_chart(device, row.tolist()) for device, row in zip(devices, x, strict=True)]
    columns = [[point[i] for row in points for point in row] for i in range(5)]
    dtypes = (np.float64, np.float64, np.int64, np.int64, np.bool_)
    arrays = [np.reshape(np.array(c, d), x.shape) for c, d in zip(columns, dtypes, strict=True)]
    return [*arrays, *_states([device.state for device in devices])]


# Laws


@given(charts, tables())
def test_replay_equals_streaming_to_the_last_bit(chart: TabularCusum, x: Any) -> None:
    assert bits(_flat(chart.replay(x))) == bits(_streamed(chart, x))


@given(charts, tables(), st.lists(st.integers(0, 20), max_size=4))
def test_blocks_give_what_one_go_gives(chart: TabularCusum, x: Any, cuts: list[int]) -> None:
    states, blocks = None, []
    for block in np.split(x, sorted(cuts), axis=1):
        path = chart.replay(block, state=states)
        blocks.append(path)
        states = path.states
    joined = [np.hstack([block[i] for block in blocks]) for i in range(5)]
    assert bits([*joined, *path.states]) == bits(_flat(chart.replay(x)))


@given(series, series)
def test_replay_starts_from_the_present_state_and_leaves_it(x: list[float], rest: list[float]) -> None:
    chart = TabularCusum(0, 1)
    _chart(chart, x)
    before = chart.state
    path = chart.replay([rest])
    assert chart.state == before
    assert list(zip(*(values[0].tolist() for values in path[:5]), strict=True)) == _chart(chart, rest)


# Blocks


def test_a_block_goes_on_from_the_states_of_each_device_alone() -> None:
    states = _states([CusumState(3.0, 0.0, 4, 0), CusumState(0.0, 1.5, 0, 2)])
    chart = TabularCusum(0, 1, head_start=2.0)
    chart.update(9.0)
    path = chart.replay([[1.0], [1.0]], state=states)
    assert path.upper.tolist() == [[3.5], [0.5]]
    assert path.lower.tolist() == [[0.0], [0.0]]
    assert path.n_upper.tolist() == [[5], [1]]
    assert path.n_lower.tolist() == [[0], [0]]
    assert states.upper.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("n_scans", [0, 3])
def test_states_keep_no_block_in_memory(n_scans: int) -> None:
    chart = TabularCusum(0, 1)
    first = chart.replay(np.ones((2, n_scans)))
    for path in (first, chart.replay(np.ones((2, n_scans)), state=first.states)):
        assert [values.base for values in path.states] == [None] * 4


def test_a_block_without_scans_hands_the_states_on() -> None:
    states = _states([CusumState(3.0, 0.25, 4, 1)])
    path = TabularCusum(0, 1).replay(np.empty((1, 0)), state=states)
    assert [values.tolist() for values in path.states] == [[3.0], [0.25], [4], [1]]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_replay_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    path = TabularCusum(0, 1).replay(np.empty(shape))
    assert [values.shape for values in path[:5]] == [shape] * 5
    assert [values.shape for values in path.states] == [shape[:1]] * 4


# Conventions and refusals


def test_replay_judges_the_decision_interval_alike() -> None:
    path = TabularCusum(0, 1, k=0.5, h=1).replay([[1.5, 0.75], [-1.5, -0.75]])
    assert path.signal.tolist() == [[False, True], [False, True]]


@given(non_finite, st.integers(0, 2), st.integers(0, 3))
def test_replay_names_the_place_of_a_non_finite_observation(bad: float, device: int, scan: int) -> None:
    x = np.zeros((3, 4))
    x[device, scan] = bad
    chart = TabularCusum(0, 1)
    with pytest.raises(ValueError, match=rf"^x\[{device}, {scan}\] = {bad!r}"):
        chart.replay(x)
    assert chart.state == CusumState()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        (1.0, r"shape \(\)"),
        ([[[1.0]]], r"shape \(1, 1, 1\)"),
        ([[True, False]], "bool"),
        ([["1.0"]], "not numbers"),
        ([[None]], r"x\[0, 0\] = None is not a number"),
        ([[1j]], "complex"),
    ],
)
def test_replay_refuses_what_is_no_table_of_numbers(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TabularCusum(0, 1).replay(x)


@pytest.mark.parametrize("bad", [1e308, -1e308])
def test_replay_names_the_place_of_an_overflow(bad: float) -> None:
    chart = TabularCusum(0, 1e-3)
    with pytest.raises(ValueError, match=r"^x\[1, 0\] = .*e\+308 is no finite number of sigmas"):
        chart.replay([[0.0, 0.0], [bad, 0.0]])
    with pytest.raises(ValueError, match=r"^x\[0, 1\] = .*e\+308 is no finite number of sigmas"):
        TabularCusum(0, 1).replay([[bad, bad], [0.0, bad]])


def test_replay_names_the_first_of_two_overflows_of_opposite_sign() -> None:
    with pytest.raises(ValueError, match=r"^x\[0, 0\] = 1e\+308 is no finite number of sigmas"):
        TabularCusum(0, 1e-3).replay([[1e308, -1e308]])  # infinity and its opposite: no number at all


def test_replay_takes_a_sum_far_below_zero_as_zero() -> None:
    path = TabularCusum(0, 1, k=1e308).replay([[-1.5e308]])
    assert [values.tolist() for values in path[:2]] == [[[0.0]], [[5e307]]]


def test_states_of_other_devices_are_refused() -> None:
    chart = TabularCusum(0, 1)
    states = chart.replay(np.zeros((3, 2))).states
    with pytest.raises(ValueError, match=r"^state\.upper has shape \(3,\); \(2,\) is needed"):
        chart.replay(np.zeros((2, 2)), state=states)
    wide = states._replace(n_lower=np.zeros((3, 1), np.int64))
    with pytest.raises(ValueError, match=r"^state\.n_lower has shape \(3, 1\); \(3,\) is needed"):
        chart.replay(np.zeros((3, 2)), state=wide)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *[("upper", bad) for bad in (-0.1, math.nan, math.inf)],
        *[("lower", bad) for bad in (-0.1, math.nan, math.inf)],
        *[("n_upper", -1), ("n_lower", -1)],
    ],
)
def test_states_no_chart_can_have_are_refused(field: str, bad: float) -> None:
    states = CusumStates(np.zeros(3), np.zeros(3), np.zeros(3, np.int64), np.zeros(3, np.int64))
    getattr(states, field)[1] = bad
    with pytest.raises(ValueError, match=rf"^CusumState\(.*{field}={bad!r}.*\) is no state of a CUSUM"):
        TabularCusum(0, 1).replay(np.zeros((3, 2)), state=states)


@pytest.mark.parametrize(("upper", "lower"), [(1e308, 1e308), (math.inf, -math.inf)])
def test_sums_that_are_no_number_together_are_no_state(upper: float, lower: float) -> None:
    none = np.zeros(2, np.int64)
    states = CusumStates(np.array([0.0, upper]), np.array([0.0, lower]), none, none)
    refused = re.escape(f"CusumState(upper={upper!r}, lower={lower!r}, n_upper=0, n_lower=0) is no state of a CUSUM")
    with pytest.raises(ValueError, match=f"^{refused}"):
        TabularCusum(0, 1).replay(np.zeros((2, 2)), state=states)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("upper", ["1", "2"], "not numbers"),
        ("lower", [True, False], "not numbers"),
        ("n_upper", [1.5, 2.0], "not counts"),
    ],
)
def test_states_of_the_wrong_type_are_refused(field: str, values: list[Any], message: str) -> None:
    states = CusumStates(np.zeros(2), np.zeros(2), np.zeros(2, np.int64), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match=rf"^state\.{field} holds .*, {message}"):
        TabularCusum(0, 1).replay(np.zeros((2, 2)), state=states._replace(**{field: np.array(values)}))
