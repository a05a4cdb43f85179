"""The self-starting CUSUM against arithmetic by hand, the distribution it promises, and its own laws."""

import math
import re
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qa_models.cusum import (
    CusumState,
    CusumStates,
    SelfStartingCusum,
    SelfStartingPath,
    SelfStartingPoint,
    SelfStartingState,
    SelfStartingStates,
    TabularCusum,
)
from tests.unit.replays import bits

series = st.lists(st.floats(-1e6, 1e6) | st.integers(-2, 2).map(float), max_size=25)
ks = st.floats(0, 3)
hs = st.floats(0.5, 10)
QUIET = [1.001, 0.998, 1.002, 0.999, 1.000, 1.001, 0.999, 1.000, 0.998, 1.002]


def _chart(chart: SelfStartingCusum, x: Sequence[float]) -> list[SelfStartingPoint]:
    return [chart.update(float(value)) for value in x]


def _plain(points: Sequence[SelfStartingPoint]) -> list[tuple[Any, ...]]:
    """Points that compare equal where both were not judged."""
    return [(*p[:5], p.score if p.judged else None, p.judged) for p in points]


# What it promises


def test_scores_and_sums_are_those_worked_by_hand() -> None:
    x = [1.001, 0.998, 1.002, 0.999, 1.004, 0.996, 1.003, 1.010]
    points = _chart(SelfStartingCusum(h=2), x)
    upper = lower = 0.0
    for n in range(3, len(x) + 1):
        before = x[: n - 1]
        t = (x[n - 1] - statistics.mean(before)) / statistics.stdev(before) * math.sqrt((n - 1) / n)
        score = float(stats.norm.ppf(stats.t.cdf(t, n - 2)))
        upper, lower = max(0.0, upper + score - 0.5), max(0.0, lower - score - 0.5)
        assert points[n - 1].score == pytest.approx(score, abs=1e-9)
        assert points[n - 1][:2] == pytest.approx((upper, lower), abs=1e-9)
        assert points[n - 1].signal == (max(upper, lower) > 2)
    assert points[-1].signal
    assert not points[-2].signal


@pytest.mark.parametrize("n", [3, 4, 5, 10, 60])
def test_scores_in_control_are_standard_normal(n: int) -> None:
    x = np.random.default_rng(1987).normal(1.2, 0.006, (3000, 60))
    assert stats.kstest(SelfStartingCusum().replay(x).score[:, n - 1], "norm").pvalue > 0.01


def test_scores_in_control_are_independent() -> None:
    x = np.random.default_rng(1987).normal(1.2, 0.006, (3000, 12))
    correlations: Any = np.corrcoef(SelfStartingCusum().replay(x).score[:, 2:], rowvar=False)
    off_diagonal = correlations[~np.eye(10, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / math.sqrt(3000)


def test_run_length_in_control_is_that_of_known_parameters() -> None:
    x = np.random.default_rng(465).normal(0.9, 0.004, (600, 6000))
    signal = SelfStartingCusum().replay(x).signal
    assert signal.any(axis=1).all()
    run_lengths = signal.argmax(axis=1) + 1 - 2  # from the first that is judged
    standard_error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert run_lengths.mean() == pytest.approx(465.44, abs=4 * standard_error)


def test_a_shift_after_a_month_of_scans_is_noticed_within_weeks() -> None:
    x = np.random.default_rng(7).normal(0, 1, (500, 45))
    x[:, 25:] += 2
    signal = SelfStartingCusum().replay(x).signal
    assert signal[:, :25].any(axis=1).mean() < 0.1
    assert signal[:, 25:].any(axis=1).mean() > 0.95


# What cannot be judged


def test_the_first_two_are_learned_from_and_never_judged() -> None:
    points = _chart(SelfStartingCusum(), [1.0, 50.0, 1.0])
    assert [p.judged for p in points] == [False, False, True]
    assert _plain(points[:2]) == [(0.0, 0.0, 0, 0, False, None, False)] * 2
    assert math.isnan(points[0].score)


def test_without_any_spread_nothing_is_judged() -> None:
    points = _chart(SelfStartingCusum(), [1.1] * 30 + [1.2, 1.1])
    assert [p.judged for p in points] == [False] * 31 + [True]
    path = SelfStartingCusum().replay([[1.1] * 30 + [1.2, 1.1]])
    assert path.judged.tolist() == [[False] * 31 + [True]]
    assert np.isnan(path.score).tolist() == [[True] * 31 + [False]]
    frozen = SelfStartingCusum(freeze_on_signal=True).replay([[1.1] * 30 + [1.2, 1.1]])
    assert frozen.states.n.tolist() == [32]  # where nothing is judged nothing signals, and all is learned


def test_scans_known_to_be_good_let_the_next_one_be_judged() -> None:
    started = SelfStartingCusum.from_baseline(QUIET, k=0.25, h=4, freeze_on_signal=True)
    assert (started.k, started.h, started.freeze_on_signal) == (0.25, 4, True)
    assert (started.state.n, started.state.sums) == (10, CusumState())
    assert started.state.mean == pytest.approx(statistics.mean(QUIET), abs=1e-15)
    assert started.state.spread == pytest.approx(3 * statistics.stdev(QUIET), rel=1e-12)
    judged_before = SelfStartingCusum()
    _chart(judged_before, QUIET)
    assert started.update(1.004).score == judged_before.update(1.004).score


def test_two_good_scans_and_the_defaults_are_enough() -> None:
    chart = SelfStartingCusum.from_baseline([1.0, 1.01])
    assert (chart.k, chart.h, chart.freeze_on_signal) == (0.5, 5, False)
    assert chart.update(1.005).judged


def test_good_scans_that_are_all_equal_leave_the_next_one_unjudged() -> None:
    chart = SelfStartingCusum.from_baseline([1.0] * 10)
    assert [chart.update(x).judged for x in (1.01, 1.0)] == [False, True]


@pytest.mark.parametrize("scans", [[], [1.0], [1.0, math.nan], [1.0, True], [-1.7e308, 1.7e308]])
def test_scans_that_are_no_baseline_are_refused(scans: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^x(\[1\] = .* is | has . values)"):
        SelfStartingCusum.from_baseline(scans)


# Far away


@pytest.mark.parametrize("x", [1e6, 1e150, 1e300])
@pytest.mark.parametrize("n", [3, 10, 200])
def test_a_huge_outlier_signals_and_is_not_refused(x: float, n: int) -> None:
    quiet = (QUIET * 20)[:n]
    for sign in (1, -1):
        chart = SelfStartingCusum.from_baseline(quiet)
        point = chart.update(sign * x)
        assert point.signal
        assert 5.5 < sign * point.score < 38.5
        assert chart.update(1.0).judged
        path = SelfStartingCusum.from_baseline(quiet).replay([[sign * x]])
        assert path.score.tolist() == [[point.score]]


def test_a_quotient_beyond_all_floats_is_as_far_as_can_be() -> None:
    assert 36 < _chart(SelfStartingCusum(), [0.0, 1e-300, 1e300])[-1].score < 38.5
    assert 36 < SelfStartingCusum().replay([[0.0, 1e-300, 1e300]]).score[0, 2] < 38.5


def test_far_scores_keep_their_precision() -> None:
    # With 3 degrees of freedom the tail beyond t is close to (6 * sqrt(3) / pi) / t ** 3.
    points = _chart(SelfStartingCusum(), [0.0, 1.0, 0.0, 1.0, 1e30])
    t = 1e30 / statistics.stdev([0, 1, 0, 1]) * math.sqrt(4 / 5)
    log_tail = math.log(2 * math.sqrt(3) / math.pi) - 3 * math.log(t)
    assert stats.norm.logcdf(-points[-1].score) == pytest.approx(log_tail, abs=1e-9)


@pytest.mark.parametrize("x", [[1.7e308, -1.7e308], [-8.9e307, 8.9e307, -8.9e307, 8.9e307, -8.9e307]])
def test_a_spread_beyond_all_floats_is_refused(x: list[float]) -> None:
    chart = SelfStartingCusum()
    _chart(chart, x[:-1])
    before = chart.state
    with pytest.raises(ValueError, match=rf"^x = {re.escape(repr(x[-1]))} is too far from those before it"):
        chart.update(x[-1])
    assert chart.state == before
    refused = re.escape(f"x[1, {len(x) - 1}] = {x[-1]!r} is too far from those before it")
    with pytest.raises(ValueError, match=f"^{refused}"):
        SelfStartingCusum().replay([[0.0] * len(x), x])


# After a signal


def test_a_chart_is_the_classical_one_unless_asked() -> None:
    assert SelfStartingCusum().freeze_on_signal is False


def test_the_classical_chart_learns_a_lasting_shift_and_falls_silent() -> None:
    chart = SelfStartingCusum.from_baseline(QUIET)
    points = _chart(chart, [x + 0.01 for x in QUIET] * 30)
    assert any(p.signal for p in points[:5])
    assert not points[-1].signal
    assert chart.state.mean > 1.009


def test_a_frozen_chart_never_learns_the_fault() -> None:
    chart = SelfStartingCusum.from_baseline(QUIET, freeze_on_signal=True)
    points = _chart(chart, [x + 0.01 for x in QUIET] * 30)
    first = [p.signal for p in points].index(True)
    assert first < 5
    assert all(p.signal for p in points[first:])
    assert chart.state.n == 10 + first
    assert chart.state.mean < 1.004


def test_a_frozen_chart_learns_again_when_the_signal_is_over() -> None:
    chart = SelfStartingCusum.from_baseline(QUIET, h=2, freeze_on_signal=True)
    points = _chart(chart, [1.010, 0.999, 0.998, 1.000, 0.998, 0.999, 0.998])
    assert [p.signal for p in points][0::6] == [True, False]
    assert chart.state.n == 10 + [p.signal for p in points].count(False)


@given(series, hs)
def test_up_to_the_first_signal_a_frozen_chart_is_the_classical_one(x: list[float], h: float) -> None:
    classical = _plain(_chart(SelfStartingCusum(h=h), x))
    frozen = _plain(_chart(SelfStartingCusum(h=h, freeze_on_signal=True), x))
    signals = [i for i, point in enumerate(classical) if point[4]]
    until = signals[0] + 1 if signals else len(x)
    assert frozen[:until] == classical[:until]


# Refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": -0.1}, r"k = -0\.1"),
        ({"h": 0.0}, r"h = 0\.0"),
        ({"state": SelfStartingState(5, 1.0, 0.1, CusumState(upper=-1.0))}, r"CusumState\(upper=-1\.0"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        SelfStartingCusum(**parameters)


IMPOSSIBLE = [
    SelfStartingState(n=-1),
    SelfStartingState(5, math.nan, 0.1),
    SelfStartingState(5, math.inf, 0.1),
    SelfStartingState(5, -math.inf, 0.1),
    SelfStartingState(5, 1.0, -0.1),
    SelfStartingState(5, 1.0, math.nan),
    SelfStartingState(5, 1.0, math.inf),
    SelfStartingState(1, 1.0, 0.1),
    SelfStartingState(1, 1.0, 0.0, CusumState(upper=1.0, n_upper=1)),
    SelfStartingState(5, 1.0, 0.0, CusumState(lower=1.0, n_lower=1)),
]
"""States no chart can have: something is not finite or negative, or a spread or sums came from nothing."""


@pytest.mark.parametrize("state", IMPOSSIBLE)
def test_a_state_no_chart_can_have_is_refused(state: SelfStartingState) -> None:
    with pytest.raises(ValueError, match="is no state of a self-starting CUSUM"):
        SelfStartingCusum(state=state)


def _states(states: Sequence[SelfStartingState]) -> SelfStartingStates:
    """The states of single charts as arrays."""
    upper, lower = np.array([s.sums.upper for s in states]), np.array([s.sums.lower for s in states])
    n_upper, n_lower = np.array([s.sums.n_upper for s in states]), np.array([s.sums.n_lower for s in states])
    mean, spread = np.array([s.mean for s in states]), np.array([s.spread for s in states])
    return SelfStartingStates(
        np.array([s.n for s in states]), mean, spread, CusumStates(upper, lower, n_upper, n_lower)
    )


@pytest.mark.parametrize("state", IMPOSSIBLE)
def test_states_no_chart_can_have_are_refused(state: SelfStartingState) -> None:
    states = _states([SelfStartingState(5, 1.0, 0.1), state])
    with pytest.raises(ValueError, match="is no state of a self-starting CUSUM"):
        SelfStartingCusum().replay(np.zeros((2, 1)), state=states)


def test_the_least_that_lets_a_point_be_judged_is_two_and_a_spread() -> None:
    assert SelfStartingCusum(state=SelfStartingState(2, 1.0, 0.1)).update(1.0).judged
    assert not SelfStartingCusum(state=SelfStartingState(2, 1.0, 0.0)).update(1.5).judged
    assert not SelfStartingCusum(state=SelfStartingState(1, 1.0, 0.0)).update(1.5).judged


@pytest.mark.parametrize("field", ["n", "mean", "spread"])
def test_states_of_other_devices_are_refused(field: str) -> None:
    fewer: dict[str, Any] = {field: np.zeros(3, np.int64)}
    states = _states([SelfStartingState()] * 2)._replace(**fewer)
    with pytest.raises(ValueError, match=rf"^state\.{field} has shape \(3,\); \(2,\) is needed"):
        SelfStartingCusum().replay(np.zeros((2, 2)), state=states)


@pytest.mark.parametrize("bad", [math.nan, -math.inf, True, np.True_, None, "1.0", np.ma.masked])
def test_what_is_no_finite_number_leaves_the_state(bad: Any) -> None:
    chart = SelfStartingCusum.from_baseline(QUIET)
    chart.update(1.004)
    before = chart.state
    with pytest.raises(ValueError, match=r"^x = .* is not (a number|finite)$"):
        chart.update(bad)
    assert chart.state == before


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_replay_of_nothing_is_nothing(shape: tuple[int, int]) -> None:
    path = SelfStartingCusum(freeze_on_signal=True).replay(np.empty(shape))
    assert [values.shape for values in path[:7]] == [shape] * 7
    assert [values.shape for values in (*path.states[:3], *path.states.sums)] == [shape[:1]] * 7


# Laws


def _flat(path: SelfStartingPath) -> list[Any]:
    return [*path[:7], *path.states[:3], *path.states.sums]


@st.composite
def _tables(draw: st.DrawFn) -> Any:
    """Observations of a few devices: coarse ones that tie, fine ones, and some far away."""
    n_devices, n_scans = draw(st.integers(1, 4)), draw(st.integers(0, 15))
    value = st.integers(-2, 2).map(float) | st.floats(-3, 3) | st.floats(-1e300, 1e300)
    values = draw(st.lists(value, min_size=n_devices * n_scans, max_size=n_devices * n_scans))
    return np.reshape(values, (n_devices, n_scans))


@given(_tables(), ks, hs, st.booleans())
def test_replay_equals_streaming_to_the_last_bit(x: Any, k: float, h: float, freeze: Any) -> None:
    charts = [SelfStartingCusum(k=k, h=h, freeze_on_signal=freeze) for _ in x]
    points = [_chart(chart, row.tolist()) for chart, row in zip(charts, x, strict=True)]
    dtypes = (np.float64, np.float64, np.int64, np.int64, np.bool_, np.float64, np.bool_)
    columns = [[point[i] for row in points for point in row] for i in range(7)]
    states = _states([chart.state for chart in charts])
    expected = [np.reshape(np.array(c, dtype), x.shape) for c, dtype in zip(columns, dtypes, strict=True)]
    path = SelfStartingCusum(k=k, h=h, freeze_on_signal=freeze).replay(x)
    assert bits(_flat(path)) == bits([*expected, *states[:3], *states.sums])


@given(_tables(), hs, st.booleans(), st.lists(st.integers(0, 15), max_size=4))
def test_blocks_give_what_one_go_gives(x: Any, h: float, freeze: Any, cuts: list[int]) -> None:
    chart = SelfStartingCusum(h=h, freeze_on_signal=freeze)
    states, blocks = None, []
    for block in np.split(x, sorted(cuts), axis=1):
        path = chart.replay(block, state=states)
        blocks.append(path)
        states = path.states
    joined = [np.hstack([block[i] for block in blocks]) for i in range(7)]
    assert bits([*joined, *_flat(path)[7:]]) == bits(_flat(chart.replay(x)))


@pytest.mark.parametrize("n_scans", [0, 3])
def test_states_keep_no_block_in_memory(n_scans: int) -> None:
    path = SelfStartingCusum().replay(np.ones((2, n_scans)))
    assert [values.base for values in _flat(path)[7:]] == [None] * 7


@given(series, series)
def test_replay_starts_from_the_present_state_and_leaves_it(x: list[float], rest: list[float]) -> None:
    chart = SelfStartingCusum()
    _chart(chart, x)
    before = chart.state
    path = chart.replay([rest])
    assert chart.state == before
    replayed = [SelfStartingPoint(*row) for row in zip(*(values[0].tolist() for values in path[:7]), strict=True)]
    assert _plain(replayed) == _plain(_chart(chart, rest))


@given(series, st.integers(0, 25), hs, st.booleans())
def test_a_chart_resumes_anywhere_with_the_same_answers(x: list[float], cut: int, h: float, freeze: Any) -> None:
    whole = _chart(SelfStartingCusum(h=h, freeze_on_signal=freeze), x)
    first = SelfStartingCusum(h=h, freeze_on_signal=freeze)
    answers = _chart(first, x[:cut])
    second = SelfStartingCusum(h=h, freeze_on_signal=freeze, state=first.state)
    assert second.state == first.state
    assert _plain(answers + _chart(second, x[cut:])) == _plain(whole)


@given(series, ks, hs)
def test_the_sums_are_a_tabular_cusum_of_the_scores(x: list[float], k: float, h: float) -> None:
    judged = [p for p in _chart(SelfStartingCusum(k=k, h=h), x) if p.judged]
    sums = TabularCusum(0, 1, k=k, h=h)
    assert [p[:5] for p in judged] == [tuple(sums.update(p.score)) for p in judged]


@given(series)
def test_a_mirrored_series_swaps_the_sums(x: list[float]) -> None:
    points = _plain(_chart(SelfStartingCusum(), x))
    mirrored = _chart(SelfStartingCusum(), [-value for value in x])
    swapped = [SelfStartingPoint(p[1], p[0], p[3], p[2], p[4], -p.score, p.judged) for p in mirrored]
    assert _plain(swapped) == points


@given(series, st.integers(-30, 30))
def test_the_unit_of_x_does_not_matter(x: list[float], exponent: int) -> None:
    unit = 2.0**exponent  # a power of two: exact
    x = [value for value in x if abs(value) > 1e-6 or value == 0]
    scaled = _chart(SelfStartingCusum(), [value * unit for value in x])
    assert _plain(scaled) == _plain(_chart(SelfStartingCusum(), x))


@given(st.lists(st.integers(-50, 50), max_size=25), st.floats(0.1, 10), st.floats(-10, 10))
def test_a_linear_change_of_scale_does_not_matter(x: list[int], a: float, b: float) -> None:
    points = _chart(SelfStartingCusum(), [float(value) for value in x])
    changed = _chart(SelfStartingCusum(), [a * value + b for value in x])
    assert [p.judged for p in changed] == [p.judged for p in points]
    for p, q in zip(points, changed, strict=True):
        assert q[:2] == pytest.approx(p[:2], abs=1e-9)
        assert q.score == pytest.approx(p.score, abs=1e-9, nan_ok=True)


@given(series, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_a_higher_newest_observation_never_scores_lower(x: list[float], newest: float, more: float) -> None:
    low, high = (_chart(SelfStartingCusum(), [*x, value])[-1] for value in (newest, newest + more))
    assert low.judged == high.judged
    assert not low.judged or (high.score >= low.score and high.upper >= low.upper and high.lower <= low.lower)


@given(series, ks, hs)
def test_a_wider_interval_never_signals_first(x: list[float], k: float, h: float) -> None:
    narrow = [point.signal for point in _chart(SelfStartingCusum(k=k, h=h), x)]
    wide = [point.signal for point in _chart(SelfStartingCusum(k=k, h=2 * h), x)]
    assert all(n or not w for n, w in zip(narrow, wide, strict=True))
