"""The tabular CUSUM against published series, published run lengths and its own laws."""

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.cusum import CusumPoint, CusumState, TabularCusum

observations = st.floats(-1e6, 1e6)
series = st.lists(observations, max_size=40)
ks = st.floats(0, 3)
hs = st.floats(0.5, 10)
non_finite = st.sampled_from([math.nan, math.inf, -math.inf])


def _table(path: Path) -> Any:
    return np.genfromtxt(path, delimiter=",", names=True, skip_header=1, dtype=None, encoding="utf-8")


def _chart(chart: TabularCusum, x: Sequence[float]) -> list[CusumPoint]:
    return [chart.update(float(value)) for value in x]


def _signals(points: Sequence[CusumPoint]) -> list[int]:
    return [i for i, point in enumerate(points, start=1) if point.signal]


# Published series


def test_montgomery_table_9_1(reference_data: Path) -> None:
    table = _table(reference_data / "montgomery_table9_1_cusum_ewma.csv")
    points = _chart(TabularCusum(10, 1), table["x"])
    assert [p.upper for p in points] == pytest.approx(table["Cplus"], abs=1e-9)
    assert [p.lower for p in points] == pytest.approx(table["Cminus"], abs=1e-9)
    assert [p.n_upper for p in points] == table["Nplus"].tolist()
    assert [p.n_lower for p in points] == table["Nminus"].tolist()
    assert _signals(points) == [29, 30]


def test_montgomery_table_9_1_with_head_start(reference_data: Path) -> None:
    table = _table(reference_data / "montgomery_table9_1_cusum_ewma.csv")
    points = _chart(TabularCusum(10, 1, head_start=2.5), table["x"])
    assert [p.upper for p in points[:4]] == pytest.approx([1.45, 0, 0, 1.16], abs=1e-9)
    assert [p.lower for p in points[:5]] == pytest.approx([2.55, 4.06, 4.27, 2.11, 0], abs=1e-9)
    assert _signals(points) == [29, 30]


@pytest.mark.parametrize("series_name", ["incontrol", "shift+5"])
@pytest.mark.parametrize("head_start", [0, 6])
def test_montgomery_head_start_example_in_sigmas(reference_data: Path, series_name: str, head_start: int) -> None:
    # K = 3, H = 12 and the head start are in the unit of x. With sigma = 4 they and every sum are exact in
    # sigmas, and so is the sum of 12 at observation 5 after the shift, which is on the limit: no signal.
    rows = _table(reference_data / "montgomery_fir_example.csv")
    rows = rows[(rows["series"] == series_name) & (rows["headstart"] == head_start)]
    points = _chart(TabularCusum(100, 4, k=3 / 4, h=12 / 4, head_start=head_start / 4), rows["x"])
    assert [4 * p.upper for p in points] == rows["Cplus"].tolist()
    assert [4 * p.lower for p in points] == rows["Cminus"].tolist()
    assert [p.signal for p in points] == (rows["signal"] == 1).tolist()


def test_nist_handbook_6_3_2_3(reference_data: Path) -> None:
    table = _table(reference_data / "nist_cusum_6_3_2_3.csv")
    points = _chart(TabularCusum(325, 1, k=0.3175, h=4.1959), table["x"])
    assert [p.upper for p in points] == pytest.approx(table["S_hi"], abs=1e-9)
    assert [p.lower for p in points] == pytest.approx(table["S_lo"], abs=1e-9)
    assert _signals(points)[0] == 14
    assert 14 - points[13].n_upper == 12  # last zero of the upper sum


def test_pistonrings_as_qcc_charts_them(reference_data: Path) -> None:
    table = _table(reference_data / "pistonrings.csv")
    means = [table["diameter"][table["sample"] == i].mean() for i in range(1, 41)]
    points = _chart(TabularCusum(74.001176, 0.009785038693 / math.sqrt(5), h=4), means)
    qcc_upper = [0.8765989, 1.38756728, 0.11608689, 1.90676208, 4.01736398]
    qcc_upper += [4.16270184, 7.18738004, 10.89761545, 15.47622334, 17.63252905]
    assert [p.upper for p in points[30:]] == pytest.approx(qcc_upper, abs=1e-7)
    assert points[13].lower == pytest.approx(2.91133166, abs=1e-7)
    assert points[29].upper == 0
    assert _signals(points) == [35, 36, 37, 38, 39, 40]


@pytest.mark.parametrize("shift", [0.5, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize(("column", "head_start"), [("arl", 0.0), ("arl_fir", 2.0)])
def test_simulated_run_length_is_the_published_one(
    reference_data: Path, shift: float, column: str, head_start: float
) -> None:
    table = _table(reference_data / "cusum_arl_published.csv")
    published = float(table[column][table["mu"] == shift][0])
    x = np.random.default_rng(1982).normal(shift, 1, (4000, 400))
    signal = TabularCusum(0, 1, k=0.5, h=4, head_start=head_start).replay(x).signal
    assert signal.any(axis=1).all()
    run_lengths = signal.argmax(axis=1) + 1
    standard_error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert run_lengths.mean() == pytest.approx(published, abs=4 * standard_error + 0.05)


# Conventions


def test_a_sum_on_the_decision_interval_does_not_signal() -> None:
    chart = TabularCusum(0, 1, k=0.5, h=1)
    assert chart.update(1.5) == (1.0, 0.0, 1, 0, False)
    assert chart.update(0.75) == (1.25, 0.0, 2, 0, True)


def test_a_lower_sum_signals_alike() -> None:
    chart = TabularCusum(0, 1, k=0.5, h=1)
    assert chart.update(-1.5) == (0.0, 1.0, 0, 1, False)
    assert chart.update(-0.75) == (0.0, 1.25, 0, 2, True)


def test_a_signal_does_not_reset_the_sums() -> None:
    points = _chart(TabularCusum(0, 1, k=0.5, h=1), [3, 3, 0.25, -9, 0])
    assert [p.upper for p in points] == [2.5, 5.0, 4.75, 0.0, 0.0]
    assert [p.n_upper for p in points] == [1, 2, 3, 0, 0]
    assert [p.signal for p in points] == [True, True, True, True, True]


def test_defaults_are_half_a_sigma_and_five() -> None:
    assert _chart(TabularCusum(0, 2), [11]) == [(5.0, 0.0, 1, 0, False)]


def test_a_sum_that_falls_to_exactly_zero_counts_as_zero() -> None:
    assert _chart(TabularCusum(0, 1), [1, 0])[-1] == (0.0, 0.0, 0, 0, False)
    assert _chart(TabularCusum(0, 1), [-1, 0])[-1] == (0.0, 0.0, 0, 0, False)


def test_without_a_reference_value_the_sums_are_plain() -> None:
    assert _chart(TabularCusum(0, 1, k=0), [1, 1, -3]) == [
        (1, 0, 1, 0, False),
        (2, 0, 2, 0, False),
        (0, 3, 0, 1, False),
    ]


def test_a_head_start_is_not_an_observation() -> None:
    chart = TabularCusum(0, 1, head_start=2.5)
    assert chart.state == CusumState(2.5, 2.5, 0, 0)
    assert chart.update(0) == (2.0, 2.0, 1, 1, False)


def test_a_state_to_resume_from_wins_over_the_head_start() -> None:
    assert TabularCusum(0, 1, head_start=2.5, state=CusumState()).state == CusumState(0.0, 0.0, 0, 0)


@pytest.mark.parametrize("number", [np.float64, np.float32, int])
def test_the_state_is_of_python_numbers_whatever_is_fed(number: type) -> None:
    chart = TabularCusum(0, 1)
    chart.update(number(2))
    assert chart.state == CusumState(1.5, 0.0, 1, 0)
    assert [type(value) for value in (chart.state.upper, chart.state.lower)] == [float, float]


@pytest.mark.parametrize(
    "use",
    [
        "import qa_models.cusum as c; c.TabularCusum(0, 1).update(1); c.VariabilityCusum(0, 1).update(1)",
        "import qa_models.cusum as c; c.SelfStartingCusum()",
        "import qa_models.ewma as e; e.EwmaChart(0, 1, lam=0.1, width=2.7).update(1)",
        "import qa_models.baseline as b; b.Baseline.from_scans([1.0, 1.01] * 5)",
    ],
)
def test_streaming_does_not_load_numpy(use: str) -> None:
    script = f"import sys; {use}; sys.exit(bool({{'numpy', 'scipy'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], check=True)


# Refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": math.nan}, "target = nan"),
        ({"target": math.inf}, "target = inf"),
        ({"target": -math.inf}, "target = -inf"),
        ({"sigma": 0.0}, r"sigma = 0\.0"),
        ({"sigma": -0.005}, r"sigma = -0\.005"),
        ({"sigma": math.nan}, "sigma = nan"),
        ({"sigma": math.inf}, "sigma = inf"),
        ({"k": -0.1}, r"k = -0\.1"),
        ({"k": math.nan}, "k = nan"),
        ({"k": math.inf}, "k = inf"),
        ({"h": 0.0}, r"h = 0\.0"),
        ({"h": 0.0, "k": 0.0}, r"h = 0\.0"),
        ({"h": math.nan}, "h = nan"),
        ({"h": math.inf}, "h = inf"),
        ({"head_start": -1.0}, r"head_start = -1\.0"),
        ({"head_start": 5.0}, r"head_start = 5\.0 is not in \[0, h\) with h = 5\.0"),
        ({"head_start": math.nan}, "head_start = nan"),
        ({"head_start": 0.5, "h": 0.5}, r"head_start = 0\.5 is not in \[0, h\) with h = 0\.5"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        TabularCusum(**{"target": 1.0, "sigma": 0.005, **parameters})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["target", "sigma", "k", "h", "head_start"])
@pytest.mark.parametrize("bad", [None, True, "1.0"])
def test_a_parameter_that_is_no_number_is_named(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} = {bad!r} is not a number$"):
        TabularCusum(**{"target": 1.0, "sigma": 0.005, name: bad})


@pytest.mark.parametrize(
    "state",
    [
        CusumState(upper=math.nan),
        CusumState(upper=math.inf),
        CusumState(upper=-0.1),
        CusumState(lower=math.nan),
        CusumState(lower=math.inf),
        CusumState(lower=-0.1),
        CusumState(n_upper=-1),
        CusumState(n_lower=-1),
        CusumState(upper=1e308, lower=1e308),  # with their sum an overflow would hide
    ],
)
def test_a_state_no_chart_can_have_is_refused(state: CusumState) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(str(state))} is no state of a CUSUM"):
        TabularCusum(0, 1, state=state)


@given(series, non_finite)
def test_a_non_finite_observation_leaves_the_state(x: list[float], bad: float) -> None:
    chart = TabularCusum(0, 1)
    _chart(chart, x)
    before = chart.state
    with pytest.raises(ValueError, match=f"^x = {bad!r}"):
        chart.update(bad)
    assert chart.state == before


@pytest.mark.parametrize("bad", [True, np.True_, None, "1.0", 1j, [1.0], np.array([1.0]), np.ma.masked])
def test_what_is_no_number_leaves_the_state(bad: Any) -> None:
    chart = TabularCusum(0, 1)
    chart.update(3)
    with pytest.raises(ValueError, match=r"^x = .* is not a number$"):
        chart.update(bad)
    assert chart.state == CusumState(2.5, 0.0, 1, 0)


@pytest.mark.parametrize("bad", [np.float64("nan"), np.float32("inf"), pytest.param(-(10**400), id="huge")])
def test_a_number_of_another_type_must_be_finite_too(bad: Any) -> None:
    chart = TabularCusum(0, 1)
    with pytest.raises(ValueError, match=r"^x = .*(nan|inf) is not finite$"):
        chart.update(bad)
    assert chart.state == CusumState()


def test_a_sum_far_below_zero_is_zero() -> None:
    chart = TabularCusum(0, 1, k=1e308)
    assert chart.update(-1.5e308) == (0.0, 5e307, 0, 1, True)  # before it is zero the upper sum overflows


@pytest.mark.parametrize("bad", [1e308, -1e308])
def test_an_overflow_is_refused_like_an_infinity(bad: float) -> None:
    chart = TabularCusum(0, 1e-3)
    with pytest.raises(ValueError, match="no finite number of sigmas"):
        chart.update(bad)
    assert chart.state == CusumState()


@pytest.mark.parametrize("bad", [1e308, -1e308])
def test_a_sum_that_overflows_is_refused(bad: float) -> None:
    chart = TabularCusum(0, 1)
    chart.update(bad)
    before = chart.state
    with pytest.raises(ValueError, match="no finite number of sigmas"):
        chart.update(bad)
    assert chart.state == before


# Laws


@given(series, st.integers(0, 40), ks, hs)
def test_a_chart_resumes_anywhere_with_the_same_answers(x: list[float], cut: int, k: float, h: float) -> None:
    whole = _chart(TabularCusum(0, 1, k=k, h=h), x)
    first = TabularCusum(0, 1, k=k, h=h)
    answers = _chart(first, x[:cut])
    second = TabularCusum(0, 1, k=k, h=h, state=first.state)
    assert second.state == first.state
    assert answers + _chart(second, x[cut:]) == whole


@given(series, ks, hs)
def test_a_mirrored_series_swaps_the_sums(x: list[float], k: float, h: float) -> None:
    points = _chart(TabularCusum(0, 0.7, k=k, h=h), x)
    mirrored = _chart(TabularCusum(0, 0.7, k=k, h=h), [-value for value in x])
    assert [(p.lower, p.upper, p.n_lower, p.n_upper, p.signal) for p in mirrored] == points


@given(series, st.integers(-30, 30), ks, hs)
def test_the_unit_of_x_does_not_matter(x: list[float], exponent: int, k: float, h: float) -> None:
    unit = 2.0**exponent  # a power of two: exact
    x = [float(np.float32(value)) for value in x if abs(value) > 1e-6 or value == 0]
    scaled = TabularCusum(1.25 * unit, 0.375 * unit, k=k, h=h)
    assert _chart(scaled, [value * unit for value in x]) == _chart(TabularCusum(1.25, 0.375, k=k, h=h), x)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40))
def test_each_sum_is_the_largest_sum_of_the_latest_excesses(x: list[int]) -> None:
    # The recursion's closed form: over all last runs of observations, the largest total beyond k, or zero.
    def largest(excess: list[float]) -> float:
        return max(0.0, *(sum(excess[i:]) for i in range(len(excess))))

    for end, point in enumerate(_chart(TabularCusum(0, 1), [float(value) for value in x]), start=1):
        assert point.upper == largest([value - 0.5 for value in x[:end]])
        assert point.lower == largest([-value - 0.5 for value in x[:end]])


@given(series.filter(bool), st.data(), st.floats(0, 1e6))
def test_a_higher_observation_never_lowers_the_upper_sum(x: list[float], data: st.DataObject, more: float) -> None:
    i = data.draw(st.integers(0, len(x) - 1))
    raised = [*x[:i], x[i] + more, *x[i + 1 :]]
    for low, high in zip(_chart(TabularCusum(0, 1), x), _chart(TabularCusum(0, 1), raised), strict=True):
        assert high.upper >= low.upper
        assert high.lower <= low.lower


@given(series, ks, hs)
def test_a_wider_interval_never_signals_first(x: list[float], k: float, h: float) -> None:
    narrow = _chart(TabularCusum(0, 1, k=k, h=h), x)
    wide = _chart(TabularCusum(0, 1, k=k, h=2 * h), x)
    assert set(_signals(wide)) <= set(_signals(narrow))
