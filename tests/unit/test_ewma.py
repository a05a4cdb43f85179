"""The EWMA chart against published series, published run lengths and its own laws."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.ewma import EwmaChart, EwmaPath, EwmaPoint, EwmaState, EwmaStates
from tests.unit.replays import bits, observations, tables

series = st.lists(observations, max_size=30)
lams = st.floats(1e-3, 1)
widths = st.floats(0.1, 5)
not_finite = [
    math.nan,
    math.inf,
    -math.inf,
    True,
    np.True_,
    None,
    "1.0",
    np.ma.masked,
    pytest.param(10**400, id="huge"),
]


def _chart(chart: EwmaChart, x: Sequence[float]) -> list[EwmaPoint]:
    return [chart.update(float(value)) for value in x]


def _signals(points: Sequence[EwmaPoint]) -> list[int]:
    return [i for i, point in enumerate(points, start=1) if point.signal]


# Published series


def test_montgomery_table_9_1(reference_data: Path) -> None:
    path = reference_data / "montgomery_table9_1_cusum_ewma.csv"
    table: Any = np.genfromtxt(path, delimiter=",", names=True, skip_header=1)
    points = _chart(EwmaChart(10, 1, lam=0.1, width=2.7), table["x"])
    assert [p.ewma for p in points] == pytest.approx(table["ewma"], abs=5.1e-7)
    assert [p.lcl for p in points] == pytest.approx(table["ewma_lcl"], abs=5.1e-7)
    assert [p.ucl for p in points] == pytest.approx(table["ewma_ucl"], abs=5.1e-7)
    assert _signals(points) == [29, 30]  # not 28, as the textbook's prose has it


def test_nist_handbook_6_3_2_4() -> None:
    x = [52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5]
    x += [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
    z = [50.60, 49.52, 50.564, 50.1848, 50.1594, 49.2116, 49.7481, 49.8537, 50.2576, 50.3303]
    z += [50.1112, 49.3578, 49.5205, 50.0543, 49.378, 49.9246, 50.7272, 51.2291, 51.9403, 51.9882]
    points = _chart(EwmaChart(50, 2.0539, lam=0.3, width=3, time_varying=False), x)
    assert [p.ewma for p in points] == pytest.approx(z, abs=5.1e-5)
    assert {round(p.lcl, 4) for p in points} == {47.4116}
    assert {round(p.ucl, 4) for p in points} == {52.5884}
    assert _signals(points) == []


@pytest.mark.parametrize("shift", [0.5, 1, 2, 3, 5])
@pytest.mark.parametrize(("lam", "width", "column"), [(0.5, 3.071, "l05_L3071"), (0.03, 2.437, "l003_L2437")])
def test_simulated_run_length_is_the_published_one(
    reference_data: Path, shift: float, lam: float, width: float, column: str
) -> None:
    table: Any = np.genfromtxt(reference_data / "ewma_arl_published.csv", delimiter=",", names=True, skip_header=1)
    published = float(table[column][table["mu"] == shift][0])
    x = np.random.default_rng(1990).normal(shift, 1, (2000, 1000))
    signal = EwmaChart(0, 1, lam=lam, width=width, time_varying=False).replay(x).signal
    assert signal.any(axis=1).all()
    run_lengths = signal.argmax(axis=1) + 1
    standard_error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert run_lengths.mean() == pytest.approx(published, abs=4 * standard_error + 0.05)


# Conventions


def test_the_first_limits_are_those_of_one_weighted_observation() -> None:
    point = EwmaChart(10, 2, lam=0.25, width=3).update(14)
    assert point == (11.0, 8.5, 11.5, False)


def test_a_mean_on_a_limit_does_not_signal() -> None:
    for sign in (1, -1):  # the first limits are target +- 1.5, exactly
        assert not EwmaChart(10, 2, lam=0.25, width=3).update(10 + sign * 6).signal
        assert EwmaChart(10, 2, lam=0.25, width=3).update(10 + sign * 6.001).signal


def test_replay_judges_a_mean_on_a_limit_alike() -> None:
    signal = EwmaChart(10, 2, lam=0.25, width=3).replay([[16.0], [4.0], [16.001], [3.999]]).signal
    assert signal.tolist() == [[False], [False], [True], [True]]


def test_all_weight_on_the_newest_is_a_shewhart_chart() -> None:
    points = _chart(EwmaChart(10, 2, lam=1, width=3), [15.9, 16.1, 4.1, 3.9])
    assert points == [(15.9, 4, 16, False), (16.1, 4, 16, True), (4.1, 4, 16, False), (3.9, 4, 16, True)]


def test_fixed_limits_are_what_time_varying_ones_grow_to() -> None:
    fixed = _chart(EwmaChart(0, 1, lam=0.2, width=3, time_varying=False), [0.0])[0]
    assert (fixed.lcl, fixed.ucl) == pytest.approx((-1, 1), abs=1e-15)
    widening = [p.ucl for p in _chart(EwmaChart(0, 1, lam=0.2, width=3), [0.0] * 100)]
    assert widening == sorted(widening)
    assert widening[0] == pytest.approx(0.6, abs=1e-15)
    assert widening[-1] == pytest.approx(fixed.ucl, abs=1e-15)


def test_a_signal_does_not_reset_the_mean() -> None:
    chart = EwmaChart(0, 1, lam=0.5, width=1, time_varying=False)
    assert [(p.ewma, p.signal) for p in _chart(chart, [8, 0, 0, 0])] == [(4, True), (2, True), (1, True), (0.5, False)]


def test_a_fresh_chart_starts_at_the_target_and_says_how_narrow_its_limits_are() -> None:
    assert EwmaChart(2, 1, lam=0.5, width=3).state == EwmaState(2.0, 1.0)
    assert EwmaChart(2, 1, lam=0.5, width=3, time_varying=False).state == EwmaState(2.0, 0.0)


# Refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        *[({"target": bad}, f"target = {bad!r}") for bad in (math.nan, math.inf, -math.inf)],
        *[({"sigma": bad}, f"sigma = {bad!r}") for bad in (0.0, -0.005, math.nan, math.inf)],
        *[({"lam": bad}, f"lam = {bad!r}") for bad in (0.0, -0.1, 1.0000001, math.nan)],
        *[({"width": bad}, f"width = {bad!r}") for bad in (0.0, -3.0, math.nan, math.inf)],
        ({"sigma": 1e200, "width": 1e200}, r"width \* sigma = inf"),
        ({"target": -1.7e308, "sigma": 1e307}, r"width \* sigma = 3e\+307 from target = -1\.7e\+308"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        EwmaChart(**{"target": 1.0, "sigma": 0.005, "lam": 0.1, "width": 3.0, **parameters})  # type: ignore[arg-type]


@pytest.mark.parametrize("ewma", [math.nan, math.inf, -math.inf])
def test_a_state_with_a_mean_that_is_not_finite_is_refused(ewma: float) -> None:
    state = EwmaState(ewma, 0.0)
    for time_varying, limits in ((True, "time-varying"), (False, "fixed")):
        with pytest.raises(ValueError, match=f"is no state of an EWMA chart with {limits} limits"):
            EwmaChart(0, 1, lam=0.1, width=3, time_varying=time_varying, state=state)


@pytest.mark.parametrize("start_weight", [-1e-9, 1.0000001, math.nan])
def test_a_state_with_an_impossible_weight_is_refused(start_weight: float) -> None:
    with pytest.raises(ValueError, match="is no state of an EWMA chart with time-varying limits"):
        EwmaChart(0, 1, lam=0.1, width=3, state=EwmaState(0.0, start_weight))


def test_a_state_of_growing_limits_is_refused_by_fixed_ones() -> None:
    with pytest.raises(ValueError, match="is no state of an EWMA chart with fixed limits"):
        EwmaChart(0, 1, lam=0.1, width=3, time_varying=False, state=EwmaState(0.0, 0.5))


@pytest.mark.parametrize("bad", not_finite)
def test_what_is_no_finite_number_leaves_the_state(bad: Any) -> None:
    chart = EwmaChart(0, 1, lam=0.5, width=3)
    chart.update(3)
    with pytest.raises(ValueError, match=r"^x = .* is not (a number|finite)$"):
        chart.update(bad)
    assert chart.state == EwmaState(1.5, 0.25)


def test_replay_names_the_place_of_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match=r"^x\[1, 2\] = nan is not finite"):
        EwmaChart(0, 1, lam=0.5, width=3).replay([[0.0, 0.0, 0.0], [0.0, 0.0, math.nan]])


def test_states_of_other_devices_are_refused() -> None:
    chart = EwmaChart(0, 1, lam=0.5, width=3)
    states = chart.replay(np.zeros((3, 2))).states
    with pytest.raises(ValueError, match=r"^state\.ewma has shape \(3,\); \(2,\) is needed"):
        chart.replay(np.zeros((2, 2)), state=states)


@pytest.mark.parametrize("state", [EwmaState(math.nan, 0.5), EwmaState(0.0, 1.5), EwmaState(0.0, -0.5)])
def test_states_no_chart_can_have_are_refused(state: EwmaState) -> None:
    states = EwmaStates(np.array([0.0, state.ewma]), np.array([0.5, state.start_weight]))
    with pytest.raises(ValueError, match=rf"^EwmaState\(ewma={state.ewma}, .* is no state"):
        EwmaChart(0, 1, lam=0.5, width=3).replay(np.zeros((2, 2)), state=states)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_replay_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    path = EwmaChart(0, 1, lam=0.5, width=3).replay(np.empty(shape))
    assert [values.shape for values in path[:4]] == [shape] * 4
    assert [values.shape for values in path.states] == [shape[:1]] * 2


# Laws


def _flat(path: EwmaPath) -> list[Any]:
    return [*path[:4], *path.states]


@given(tables(), lams, widths, st.booleans())
def test_replay_equals_streaming_to_the_last_bit(x: Any, lam: float, width: float, time_varying: Any) -> None:
    charts = [EwmaChart(1.25, 0.3, lam=lam, width=width, time_varying=time_varying) for _ in x]
    points = [_chart(chart, row.tolist()) for chart, row in zip(charts, x, strict=True)]
    columns = [np.reshape([point[i] for row in points for point in row], x.shape) for i in range(4)]
    states = [np.array([getattr(chart.state, name) for chart in charts]) for name in EwmaStates._fields]
    expected = [*columns[:3], columns[3].astype(np.bool_), *states]
    path = EwmaChart(1.25, 0.3, lam=lam, width=width, time_varying=time_varying).replay(x)
    assert bits(_flat(path)) == bits(expected)


@given(tables(), lams, st.lists(st.integers(0, 20), max_size=4))
def test_blocks_give_what_one_go_gives(x: Any, lam: float, cuts: list[int]) -> None:
    chart = EwmaChart(1.25, 0.3, lam=lam, width=3)
    states, blocks = None, []
    for block in np.split(x, sorted(cuts), axis=1):
        path = chart.replay(block, state=states)
        blocks.append(path)
        states = path.states
    joined = [np.hstack([block[i] for block in blocks]) for i in range(4)]
    assert bits([*joined, *path.states]) == bits(_flat(chart.replay(x)))


@pytest.mark.parametrize("n_scans", [0, 3])
def test_states_keep_no_block_in_memory(n_scans: int) -> None:
    states = EwmaChart(0, 1, lam=0.5, width=3).replay(np.ones((2, n_scans))).states
    assert [values.base for values in states] == [None, None]


@given(series, series)
def test_replay_starts_from_the_present_state_and_leaves_it(x: list[float], rest: list[float]) -> None:
    chart = EwmaChart(0, 1, lam=0.25, width=3)
    _chart(chart, x)
    before = chart.state
    path = chart.replay([rest])
    assert chart.state == before
    assert list(zip(*(values[0].tolist() for values in path[:4]), strict=True)) == _chart(chart, rest)


@given(series, st.integers(0, 30), lams, st.booleans())
def test_a_chart_resumes_anywhere_with_the_same_answers(
    x: list[float], cut: int, lam: float, time_varying: Any
) -> None:
    whole = _chart(EwmaChart(0, 1, lam=lam, width=3, time_varying=time_varying), x)
    first = EwmaChart(0, 1, lam=lam, width=3, time_varying=time_varying)
    answers = _chart(first, x[:cut])
    second = EwmaChart(0, 1, lam=lam, width=3, time_varying=time_varying, state=first.state)
    assert second.state == first.state
    assert answers + _chart(second, x[cut:]) == whole


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_the_mean_and_its_limits_are_those_of_the_closed_form(x: list[int], lam: float) -> None:
    point = _chart(EwmaChart(3, 2, lam=lam, width=2.5), [float(value) for value in x])[-1]
    exact, n = Fraction(lam), len(x)
    mean = (1 - exact) ** n * 3 + sum(exact * (1 - exact) ** (n - i) * value for i, value in enumerate(x, start=1))
    variance = exact / (2 - exact) * (1 - (1 - exact) ** (2 * n))
    assert point.ewma == pytest.approx(float(mean), abs=1e-12)
    assert point.ucl - 3 == pytest.approx(2.5 * 2 * math.sqrt(variance), rel=1e-12)
    assert 3 - point.lcl == pytest.approx(2.5 * 2 * math.sqrt(variance), rel=1e-12)


@given(series, lams, widths)
def test_a_mirrored_series_is_charted_mirrored(x: list[float], lam: float, width: float) -> None:
    points = _chart(EwmaChart(0, 0.7, lam=lam, width=width), x)
    mirrored = _chart(EwmaChart(0, 0.7, lam=lam, width=width), [-value for value in x])
    assert [(-p.ewma, -p.ucl, -p.lcl, p.signal) for p in mirrored] == points


@given(series, st.integers(-30, 30), lams, widths)
def test_the_unit_of_x_does_not_matter(x: list[float], exponent: int, lam: float, width: float) -> None:
    unit = 2.0**exponent  # a power of two: exact
    x = [value for value in x if abs(value) > 1e-6 or value == 0]
    scaled = _chart(EwmaChart(1.25 * unit, 0.375 * unit, lam=lam, width=width), [value * unit for value in x])
    points = _chart(EwmaChart(1.25, 0.375, lam=lam, width=width), x)
    assert scaled == [(unit * p.ewma, unit * p.lcl, unit * p.ucl, p.signal) for p in points]


@given(series.filter(bool), st.data(), st.floats(0, 1e6), lams)
def test_a_higher_observation_never_lowers_the_mean(
    x: list[float], data: st.DataObject, more: float, lam: float
) -> None:
    i = data.draw(st.integers(0, len(x) - 1))
    raised = [*x[:i], x[i] + more, *x[i + 1 :]]
    low, high = (_chart(EwmaChart(0, 1, lam=lam, width=3), values) for values in (x, raised))
    assert all(b.ewma >= a.ewma for a, b in zip(low, high, strict=True))


@given(series, lams, widths)
def test_wider_limits_never_signal_first(x: list[float], lam: float, width: float) -> None:
    narrow = _signals(_chart(EwmaChart(0, 1, lam=lam, width=width), x))
    wide = _signals(_chart(EwmaChart(0, 1, lam=lam, width=2 * width), x))
    assert set(wide) <= set(narrow)
