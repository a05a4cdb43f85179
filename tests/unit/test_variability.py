"""The CUSUM of the spread against integrals, exact run lengths by a Markov chain, and its own laws."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from qa_models.cusum import CusumPath, CusumPoint, CusumState, CusumStates, VariabilityCusum
from qa_models.cusum.variability import MEAN_ROOT, SD_ROOT
from tests.unit.replays import bits, observations, tables

series = st.lists(observations, max_size=30)
ks = st.floats(0, 3)
hs = st.floats(0.5, 10)
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


def _chart(chart: VariabilityCusum, x: Sequence[float]) -> list[CusumPoint]:
    return [chart.update(float(value)) for value in x]


# Constants


def _moment(power: float) -> float:
    """Mean of ``abs(z) ** power`` for a standard normal z."""
    half, _ = quad(lambda z: z**power * math.exp(-z * z / 2), 0, 40, epsabs=1e-13, epsrel=1e-13, points=[0.1, 1, 5])
    return float(2 * half / math.sqrt(2 * math.pi))


def test_the_constants_are_mean_and_deviation_of_the_root_of_a_normal() -> None:
    assert pytest.approx(_moment(0.5), abs=1e-11) == MEAN_ROOT
    assert pytest.approx(math.sqrt(_moment(1) - _moment(0.5) ** 2), abs=1e-11) == SD_ROOT


def test_the_constants_are_the_published_ones() -> None:
    assert (round(MEAN_ROOT, 8), round(SD_ROOT, 5)) == (0.82217896, 0.34915)


# Run lengths


def _below(w: Any, scale: float) -> Any:
    """Probability that the charted value is at most w, for observations with `scale` times the sigma."""
    root = np.maximum(0.8221789586624584 + 0.3491508567017714 * np.asarray(w), 0)
    return 2 * ndtr(root**2 / scale) - 1


def _one_sided_run_length(below: Callable[[Any], Any], k: float, h: float, cells: int) -> float:
    """Brook and Evans's Markov chain, Biometrika 59 (1972)."""
    width = 2 * h / (2 * cells - 1)
    start, end = np.arange(cells)[:, np.newaxis], np.arange(cells)
    move = (end - start) * width + k
    stay = below(move + width / 2) - below(move - width / 2)
    stay[:, 0] = below(move[:, 0] + width / 2)
    return float(np.linalg.solve(np.eye(cells) - stay, np.ones(cells))[0])


def _run_length(scale: float, k: float, h: float) -> float:
    """Two-sided run length from zero sums, extrapolated to infinitely many cells."""
    sides = (lambda w: _below(w, scale), lambda w: 1 - _below(-w, scale))
    few, many = ([_one_sided_run_length(side, k, h, cells) for side in sides] for cells in (100, 200))
    return 1 / sum(1 / ((4 * b - a) / 3) for a, b in zip(few, many, strict=True))


def test_the_documented_run_length_of_a_device_in_control() -> None:
    assert _run_length(1.0, 0.5, 5.0) == pytest.approx(536.25, abs=0.05)


@pytest.mark.parametrize(("scale", "n_scans"), [(1.0, 3600), (2.0, 200), (1.5, 400), (0.5, 400), (0.25, 100)])
def test_simulated_run_length_is_the_exact_one(scale: float, n_scans: int) -> None:
    x = np.random.default_rng(1981).normal(10, 3 * scale, (1500, n_scans))
    signal = VariabilityCusum(10, 3, h=4).replay(x).signal
    assert signal.any(axis=1).all()
    run_lengths = signal.argmax(axis=1) + 1
    standard_error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert run_lengths.mean() == pytest.approx(_run_length(scale, 0.5, 4.0), abs=4 * standard_error)


@pytest.mark.parametrize(("scale", "side"), [(2.0, "upper"), (0.25, "lower")])
def test_the_side_tells_whether_the_spread_grew_or_shrank(scale: float, side: str) -> None:
    x = np.random.default_rng(2).normal(1, 0.005 * scale, (200, 100))
    path = VariabilityCusum(1, 0.005).replay(x)
    sums = {"upper": path.upper[:, -1], "lower": path.lower[:, -1]}
    assert (sums.pop(side) > 5).all()
    assert (sums.popitem()[1] < 5).all()


# Conventions


def test_the_charted_value_is_the_standardised_root_of_the_distance() -> None:
    upper = (math.sqrt(2.5) - 0.8221789586624584) / 0.3491508567017714 - 0.5
    for x in (15.0, 5.0):
        assert VariabilityCusum(10, 2).update(x) == pytest.approx((upper, 0, 1, 0, False), abs=1e-12)
    lower = 0.8221789586624584 / 0.3491508567017714 - 0.5
    assert VariabilityCusum(10, 2).update(10) == pytest.approx((0, lower, 0, 1, False), abs=1e-12)


def test_defaults_are_half_and_five() -> None:
    chart = VariabilityCusum(10, 2)
    assert (chart.target, chart.sigma, chart.k, chart.h) == (10, 2, 0.5, 5)
    assert _chart(chart, [10, 10, 10])[-1].signal  # three times 1.85
    assert not _chart(VariabilityCusum(10, 2), [10, 10])[-1].signal


# Refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": math.nan}, "target = nan"),
        ({"sigma": 0.0}, r"sigma = 0\.0"),
        ({"sigma": math.inf}, "sigma = inf"),
        ({"k": -0.1}, r"k = -0\.1"),
        ({"h": 0.0}, r"h = 0\.0"),
        ({"state": CusumState(upper=-1.0)}, r"CusumState\(upper=-1\.0"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        VariabilityCusum(**{"target": 1.0, "sigma": 0.005, **parameters})


@pytest.mark.parametrize("bad", not_finite)
def test_what_is_no_finite_number_leaves_the_state(bad: Any) -> None:
    chart = VariabilityCusum(0, 1)
    chart.update(9)
    before = chart.state
    with pytest.raises(ValueError, match=r"^x = .* is not (a number|finite)$"):
        chart.update(bad)
    assert chart.state == before


@pytest.mark.parametrize("bad", [1e308, -1e308])
def test_a_distance_that_overflows_is_refused_with_its_place(bad: float) -> None:
    chart = VariabilityCusum(0.5, 1e-3)
    with pytest.raises(ValueError, match=r"^x = -?1e\+308 is no finite number of sigmas from 0\.5$"):
        chart.update(bad)
    assert chart.state == CusumState()
    with pytest.raises(ValueError, match=r"^x\[1, 0\] = -?1e\+308 is no finite number of sigmas from 0\.5$"):
        chart.replay([[0.0, 0.0], [bad, 0.0]])


def test_states_of_other_devices_are_refused() -> None:
    chart = VariabilityCusum(0, 1)
    states = chart.replay(np.zeros((3, 2))).states
    with pytest.raises(ValueError, match=r"^state\.upper has shape \(3,\); \(2,\) is needed"):
        chart.replay(np.zeros((2, 2)), state=states)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_replay_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    path = VariabilityCusum(0, 1).replay(np.empty(shape))
    assert [values.shape for values in path[:5]] == [shape] * 5
    assert [values.shape for values in path.states] == [shape[:1]] * 4


# Laws


def _flat(path: CusumPath) -> list[Any]:
    return [*path[:5], *path.states]


@given(tables(), ks, hs)
def test_replay_equals_streaming_to_the_last_bit(x: Any, k: float, h: float) -> None:
    charts = [VariabilityCusum(1.25, 0.3, k=k, h=h) for _ in x]
    points = [_chart(chart, row.tolist()) for chart, row in zip(charts, x, strict=True)]
    dtypes = (np.float64, np.float64, np.int64, np.int64, np.bool_)
    columns = [[point[i] for row in points for point in row] for i in range(5)]
    states = [np.array([getattr(chart.state, name) for chart in charts]) for name in CusumStates._fields]
    expected = [np.reshape(np.array(c, dtype), x.shape) for c, dtype in zip(columns, dtypes, strict=True)]
    assert bits(_flat(VariabilityCusum(1.25, 0.3, k=k, h=h).replay(x))) == bits([*expected, *states])


@given(tables(), st.lists(st.integers(0, 20), max_size=4))
def test_blocks_give_what_one_go_gives(x: Any, cuts: list[int]) -> None:
    chart = VariabilityCusum(1.25, 0.3)
    states, blocks = None, []
    for block in np.split(x, sorted(cuts), axis=1):
        path = chart.replay(block, state=states)
        blocks.append(path)
        states = path.states
    joined = [np.hstack([block[i] for block in blocks]) for i in range(5)]
    assert bits([*joined, *path.states]) == bits(_flat(chart.replay(x)))


@given(series, st.integers(0, 30), ks, hs)
def test_a_chart_resumes_anywhere_with_the_same_answers(x: list[float], cut: int, k: float, h: float) -> None:
    whole = _chart(VariabilityCusum(0, 1, k=k, h=h), x)
    first = VariabilityCusum(0, 1, k=k, h=h)
    answers = _chart(first, x[:cut])
    second = VariabilityCusum(0, 1, k=k, h=h, state=first.state)
    assert second.state == first.state
    assert answers + _chart(second, x[cut:]) == whole


@given(series, series)
def test_replay_starts_from_the_present_state_and_leaves_it(x: list[float], rest: list[float]) -> None:
    chart = VariabilityCusum(0, 1)
    _chart(chart, x)
    before = chart.state
    path = chart.replay([rest])
    assert chart.state == before
    assert list(zip(*(values[0].tolist() for values in path[:5]), strict=True)) == _chart(chart, rest)


@given(series)
def test_the_sign_of_a_deviation_does_not_matter(x: list[float]) -> None:
    mirrored = _chart(VariabilityCusum(0, 0.7), [-value for value in x])
    assert mirrored == _chart(VariabilityCusum(0, 0.7), x)


@given(series, st.integers(-30, 30))
def test_the_unit_of_x_does_not_matter(x: list[float], exponent: int) -> None:
    unit = 2.0**exponent  # a power of two: exact
    x = [value for value in x if abs(value) > 1e-6 or value == 0]
    scaled = _chart(VariabilityCusum(1.25 * unit, 0.375 * unit), [value * unit for value in x])
    assert scaled == _chart(VariabilityCusum(1.25, 0.375), x)


@given(series.filter(bool), st.data(), st.floats(1, 1e3))
def test_an_observation_further_off_never_lowers_the_upper_sum(
    x: list[float], data: st.DataObject, factor: float
) -> None:
    i = data.draw(st.integers(0, len(x) - 1))
    further = [*x[:i], x[i] * factor, *x[i + 1 :]]
    for near, far in zip(_chart(VariabilityCusum(0, 1), x), _chart(VariabilityCusum(0, 1), further), strict=True):
        assert far.upper >= near.upper
        assert far.lower <= near.lower


@given(series, ks, hs)
def test_a_wider_interval_never_signals_first(x: list[float], k: float, h: float) -> None:
    narrow = [point.signal for point in _chart(VariabilityCusum(0, 1, k=k, h=h), x)]
    wide = [point.signal for point in _chart(VariabilityCusum(0, 1, k=k, h=2 * h), x)]
    assert all(n or not w for n, w in zip(narrow, wide, strict=True))
