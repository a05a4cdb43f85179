"""Run lengths against published tables, R spc, simulation and hand calculation."""

import csv
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qa_models.cusum import SelfStartingCusum, TabularCusum, VariabilityCusum
from qa_models.ewma import EwmaChart
from qa_models.run_length import (
    chart_arl,
    cusum_arl,
    cusum_h,
    estimated_baseline,
    ewma_arl,
    ewma_width,
    false_alarms_per_year,
    shewhart_arl,
)
from qa_models.run_length.absorbing import expected_steps
from qa_models.run_rules import DXA, NELSON, WESTERN_ELECTRIC, WESTGARD, Beyond, Mixture, Range, Trend, Within
from qa_models.shewhart import ShewhartChart
from tests.r_language import r_lines

SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4)

# R spc 0.7.2, xcusum.arl with r = 120, k = 0.5 (reference 1.1): one-sided, two-sided, two-sided with h/2
SPC_CUSUM = {
    4: (
        (335.367578, 77.078517, 26.679162, 13.286598, 8.383202, 4.747168, 3.342770, 2.619519, 2.194481, 1.708457),
        (167.683789, 74.224027, 26.630203, 13.285088, 8.383132, 4.747168, 3.342770, 2.619519, 2.194481, 1.708457),
        (148.695650, 62.698241, 20.063962, 8.967975, 5.286886, 2.862039, 2.014375, 1.585807, 1.325393, 1.067000),
    ),
    5: (
        (930.887012, 141.687745, 38.009610, 17.048530, 10.375975, 5.747218, 4.008871, 3.113688, 2.573252, 2.012568),
        (465.443506, 139.493690, 37.996143, 17.048326, 10.375970, 5.747218, 4.008871, 3.113688, 2.573252, 2.012568),
        (430.390839, 121.687945, 28.665830, 11.235826, 6.346850, 3.371950, 2.362291, 1.856169, 1.539643, 1.159371),
    ),
}

# R spc 0.7.2, xewma.arl with r = 80, fixed limits (reference 1.4)
SPC_EWMA = {
    (0.1, 2.814): (499.579550, 106.321853, 31.297435, 15.847544, 10.330665, 6.084184, 4.362253, 2.868004, 2.193095),
    (1.0, 3.0): (370.398347, 281.152524, 155.224201, 81.215702, 43.894682, 14.967685, 6.302963, 2.000000, 1.188573),
}
EWMA_SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)

PRINTED = 1.1e-6
"""The last of the six decimals that spc prints, give or take one."""


def rows(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def agrees(value: float, printed: str) -> bool:
    """Whether a value is the printed one but for its rounding: tables of 1982 round 1.3254 to 1.32."""
    unit = 10.0 ** -len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 0.6 * unit


# CUSUM


@pytest.mark.parametrize("h", [4, 5])
def test_cusum_as_spc_computes_it(h: int) -> None:
    one, two, fir = SPC_CUSUM[h]
    assert [cusum_arl(0.5, h, s, two_sided=False) for s in SHIFTS] == pytest.approx(one, abs=PRINTED, rel=0)
    assert [cusum_arl(0.5, h, s) for s in SHIFTS] == pytest.approx(two, abs=PRINTED, rel=0)
    assert [cusum_arl(0.5, h, s, head_start=h / 2) for s in SHIFTS] == pytest.approx(fir, abs=PRINTED, rel=0)


def test_lucas_and_crosier_1982_table_1(reference_data: Path) -> None:
    for row in rows(reference_data / "cusum_arl_published.csv"):
        assert agrees(cusum_arl(0.5, 4, float(row["mu"])), row["arl"]), row
        assert agrees(cusum_arl(0.5, 4, float(row["mu"]), head_start=2), row["arl_fir"]), row


def brook_and_evans(h: float, shift: float, cells: int) -> float:
    """Return the one-sided run length of the Markov chain that cuts the sums into cells (Brook and Evans 1972)."""
    width = 2 * h / (2 * cells - 1)
    edges = (np.arange(cells) + 0.5) * width
    below = stats.norm.cdf(edges[None, :] - np.arange(cells)[:, None] * width + 0.5 - shift)
    steps = np.diff(below, axis=1, prepend=0.0)
    return float(np.linalg.solve(np.eye(cells) - steps, np.ones(cells))[0])


@pytest.mark.parametrize(
    ("h", "shift", "published"),
    [
        (3, 0, (113.4739, 116.6321, 117.1792, 117.3649, 117.5598, 117.5868, 117.5935, 117.5957)),
        (4, 0, (297.5887, 326.0318, 331.2926, 333.1016, 335.0138, 335.2800, 335.3458, 335.3676)),
        (5, 0, (711.7246, 872.0675, 904.8123, 916.3099, 928.5984, 930.3197, 930.7458, 930.8870)),
        (5, 1, (10.5414, 10.4133, 10.3920, 10.3848, 10.3774, 10.3763, 10.3761, 10.3760)),
    ],
)
def test_limit_of_the_markov_chain_of_brook_and_evans(h: int, shift: float, published: tuple[float, ...]) -> None:
    *chains, exact = published
    ours = [brook_and_evans(h, shift, cells) for cells in (5, 10, 15, 20, 50, 100, 200)]
    assert ours == pytest.approx(chains, abs=6e-5)
    assert cusum_arl(0.5, h, shift, two_sided=False) == pytest.approx(exact, abs=6e-5)


@pytest.mark.parametrize(
    ("h", "shift", "siegmund"), [(5, 0, 938.2224), (5, 0.5, 38.0196), (5, 1, 10.3362), (4, 1, 8.3434)]
)
def test_siegmund_comes_near(h: float, shift: float, siegmund: float) -> None:
    assert cusum_arl(0.5, h, shift, two_sided=False) == pytest.approx(siegmund, rel=0.01)


def test_any_combination_as_spc_computes_it() -> None:
    rng = np.random.default_rng(1972)
    asked = [
        (
            float(rng.choice([0, 0.1, 0.25, 0.5, 0.75, 1, 1.5])),
            rng.uniform(0.3, 8),
            rng.uniform(-0.5, 4),
            rng.uniform(0, 0.5),
        )
        for _ in range(120)
    ]
    cases = [(k, h, shift, part * h, side) for k, h, shift, part in asked for side in (1, 2)]
    calls = (
        f'xcusum.arl({k!r}, {h!r}, {s!r}, hs={hs!r}, sided="{"one" if side == 1 else "two"}", r=100)'
        for k, h, s, hs, side in cases
    )
    spc = r_lines("spc", calls)
    compared = 0
    for (k, h, shift, head_start, side), theirs in zip(cases, spc, strict=True):
        if theirs > 1e6:
            continue  # spc solves a nearly singular system there and loses digits
        ours = cusum_arl(k, h, shift, head_start=head_start, two_sided=side == 2)
        assert ours == pytest.approx(theirs, rel=2e-8), (k, h, shift, head_start, side)
        compared += 1
    assert compared > 180


@pytest.mark.parametrize(
    ("k", "h", "shift", "head_start"), [(0.5, 5, 1, 4.9), (0.25, 4, 0.5, 3.9), (0, 4, 0, 3.5), (0.1, 3, 0.3, 2.9)]
)
def test_high_head_starts_by_simulation(k: float, h: float, shift: float, head_start: float) -> None:
    x = np.random.default_rng(1982).normal(shift, 1, (20_000, 250))
    signal = TabularCusum(0, 1, k=k, h=h, head_start=head_start).replay(x).signal
    assert signal.any(axis=1).mean() > 0.9999
    run_lengths = signal.argmax(axis=1) + 1
    error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert cusum_arl(k, h, shift, head_start=head_start) == pytest.approx(run_lengths.mean(), abs=4 * error)


def test_a_high_head_start_joins_the_formula_of_low_ones() -> None:
    # 2 * head start = h + 2 k is where one way of computing hands over to the other.
    below, above = (cusum_arl(0.5, 5, 0.3, head_start=3 + step) for step in (-1e-9, 1e-9))
    assert below == pytest.approx(above, rel=1e-8)


@pytest.mark.parametrize(("k", "h"), [(1.0, 10.0), (1.5, 12.0), (2.0, 100.0)])
def test_very_rare_signals_follow_the_exponential_law(k: float, h: float) -> None:
    # Far out the run length grows by exp(2 k) for each sigma of h (Siegmund), however rare signals are.
    growth = cusum_arl(k, h + 1, 0) / cusum_arl(k, h, 0)
    assert growth == pytest.approx(math.exp(2 * k), rel=1e-6)


def test_a_signal_that_never_comes_is_infinite() -> None:
    assert cusum_arl(0.5, 5, -60, two_sided=False) == math.inf
    assert cusum_arl(0.5, 5, -60) == cusum_arl(0.5, 5, 60) == 1.0


@given(st.floats(0, 2), st.floats(0.3, 8), st.floats(0, 5), st.floats(0, 0.99))
def test_laws_of_the_cusum_run_length(k: float, h: float, shift: float, part: float) -> None:
    arl = cusum_arl(k, h, shift, head_start=part * h)
    assert arl >= 1
    assert cusum_arl(k, h, -shift, head_start=part * h) == pytest.approx(arl, rel=1e-12)
    assert arl <= cusum_arl(k, h, shift) * (1 + 1e-12)
    assert cusum_arl(k, h * 1.01, shift) > cusum_arl(k, h, shift)


def test_decision_interval_for_a_wanted_run_length() -> None:
    assert cusum_h(0.5, 465.443506) == pytest.approx(5, abs=1e-9)
    assert cusum_h(0.5, 335.367578, two_sided=False) == pytest.approx(4, abs=1e-8)
    assert cusum_h(0.5, 148.695650, head_start_fraction=0.5) == pytest.approx(4, abs=1e-8)


def test_decision_interval_as_spc_computes_it() -> None:
    (theirs,) = r_lines("spc", ['xcusum.crit(0.4, 300, sided="two", r=60)'])
    assert cusum_h(0.4, 300) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((-0.1, 5, 0, 0), "k = -0.1"),
        ((0.5, 0, 0, 0), "h = 0"),
        ((0.5, math.inf, 0, 0), "h = inf"),
        ((0.5, 5, math.nan, 0), "shift = nan"),
        ((0.5, 5, 0, 5), "head_start = 5"),
        ((0.5, 5, 0, -1), "head_start = -1"),
    ],
)
def test_a_bad_cusum_is_refused(values: tuple[float, float, float, float], words: str) -> None:
    k, h, shift, head_start = values
    with pytest.raises(ValueError, match=words):
        cusum_arl(k, h, shift, head_start=head_start)


@pytest.mark.parametrize(
    ("k", "arl0", "part"), [(-1, 100, 0), (0.5, 1.2, 0), (0.5, math.inf, 0), (0.5, math.nan, 0), (0.5, 100, 1)]
)
def test_a_run_length_that_cannot_be_had_is_refused(k: float, arl0: float, part: float) -> None:
    with pytest.raises(ValueError, match=r"k = -1|arl0 = |head_start_fraction = 1"):
        cusum_h(k, arl0, head_start_fraction=part)


# EWMA


@pytest.mark.parametrize(("lam", "width"), SPC_EWMA)
def test_ewma_as_spc_computes_it(lam: float, width: float) -> None:
    ours = [ewma_arl(lam, width, shift) for shift in EWMA_SHIFTS]
    assert ours == pytest.approx(SPC_EWMA[lam, width], abs=PRINTED, rel=0)


@pytest.mark.parametrize(("column", "lam", "width"), [("l0.5_L3.071", 0.5, 3.071), ("l0.03_L2.437", 0.03, 2.437)])
def test_lucas_and_saccucci_1990_table_3(reference_data: Path, column: str, lam: float, width: float) -> None:
    for row in rows(reference_data / "ewma_arl_published.csv"):
        assert agrees(ewma_arl(lam, width, float(row["mu"])), row[column]), row


def test_time_varying_limits_signal_sooner() -> None:
    assert ewma_arl(0.1, 2.814, 0, time_varying=True) == pytest.approx(486.43, abs=0.005)
    assert ewma_arl(0.1, 2.814, 1, time_varying=True) == pytest.approx(8.157, abs=0.0005)


def test_any_ewma_as_spc_computes_it() -> None:
    rng = np.random.default_rng(1959)
    cases = [
        (float(rng.choice([0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1])), rng.uniform(0.5, 3.5), rng.uniform(0, 2))
        for _ in range(40)
    ]
    calls = [
        f'xewma.arl({lam!r}, {width!r}, {shift!r}, sided="two", limits="{limits}", r=100)'
        for lam, width, shift in cases
        for limits in ("fix", "vacl")
    ]
    ours = [ewma_arl(*case, time_varying=varying) for case in cases for varying in (False, True)]
    assert ours == pytest.approx(r_lines("spc", calls), rel=1e-7)


def test_width_for_a_wanted_run_length() -> None:
    assert ewma_width(0.1, 499.579550) == pytest.approx(2.814, abs=1e-8)
    assert ewma_width(1, 370.398347) == pytest.approx(3, abs=1e-8)
    assert ewma_arl(0.2, ewma_width(0.2, 300, time_varying=True), 0, time_varying=True) == pytest.approx(300)


def test_limits_that_are_never_reached() -> None:
    assert ewma_arl(0.5, 60, 0) == ewma_arl(0.5, 60, 0, time_varying=True) == math.inf


@given(st.floats(0.02, 1), st.floats(0.2, 4), st.floats(0, 4))
def test_laws_of_the_ewma_run_length(lam: float, width: float, shift: float) -> None:
    arl = ewma_arl(lam, width, shift)
    assert arl >= 1
    assert ewma_arl(lam, width, -shift) == pytest.approx(arl, rel=1e-9)
    assert ewma_arl(lam, width * 1.01, shift) > arl * (1 - 1e-12)


@pytest.mark.parametrize(
    ("lam", "width", "shift"), [(0, 3, 0), (1.1, 3, 0), (0.1, 0, 0), (0.1, math.inf, 0), (0.1, 3, math.nan)]
)
def test_a_bad_ewma_is_refused(lam: float, width: float, shift: float) -> None:
    with pytest.raises(ValueError, match=r"lam = |width = |shift = "):
        ewma_arl(lam, width, shift)


@pytest.mark.parametrize(("lam", "arl0"), [(0, 100), (0.1, 1), (0.1, math.inf)])
def test_a_width_that_cannot_be_had_is_refused(lam: float, arl0: float) -> None:
    with pytest.raises(ValueError, match=r"lam = |arl0 = "):
        ewma_width(lam, arl0)


# Shewhart charts with run rules

WE_1, WE_2, WE_3, WE_4 = WESTERN_ELECTRIC


def test_champ_and_woodall_1987_table_1(reference_data: Path) -> None:
    sets = {"C1": (WE_1,), "C12": (WE_1, WE_2), "C13": (WE_1, WE_3), "C14": (WE_1, WE_4)}
    for row in rows(reference_data / "champ_woodall_1987_table1.csv"):
        for column, rules in sets.items():
            assert agrees(shewhart_arl(rules, float(row["mu"])), row[column]), (row, column)


@pytest.mark.parametrize(
    ("shift", "printed"),
    [
        (0, "91.75"),
        (0.2, "66.80"),
        (0.4, "36.61"),
        (0.6, "20.91"),
        (0.8, "13.25"),
        (1, "9.22"),
        (2, "3.13"),
        (3, "1.67"),
    ],
)
def test_all_four_western_electric_rules(shift: float, printed: str) -> None:
    assert agrees(shewhart_arl(WESTERN_ELECTRIC, shift), printed)


def p_within(sigmas: float) -> float:
    return math.erf(sigmas / math.sqrt(2))


def test_runs_by_hand() -> None:
    # A run of n successes of probability p takes (1 - p^n) / ((1 - p) p^n) trials; on either of two even sides,
    # 2^n - 1.
    assert shewhart_arl((Beyond("9", 9, 9, 0.0),), 0) == pytest.approx(511, rel=1e-12)
    assert shewhart_arl((Beyond("1", 1, 1, 3.0),), 0) == pytest.approx(1 / (1 - p_within(3)), rel=1e-12)
    p = p_within(1)
    assert shewhart_arl((Within("15", 15, 1.0),), 0) == pytest.approx((1 - p**15) / ((1 - p) * p**15), rel=1e-11)


def test_a_mixture_by_hand() -> None:
    # Three in a row beyond one sigma, not all on one side: a chain of four states solved by hand.
    # p: beyond on a given side. S start, A one beyond or a streak, D a streak of two or more on one side.
    p = Fraction(1, 8)
    # S = 1 + 2p A + (1-2p) S;  A = 1 + p D + p M + (1-2p) S;  D = 1 + p D + (1-2p) S (the other side signals)
    # M: two beyond on different sides: the next one beyond, on either side, signals.  M = 1 + (1-2p) S
    q = 1 - 2 * p
    # D = (1 + q S)/(1 - p), M = 1 + q S, A = 1 + q S + p (1 + q S)/(1 - p) + p (1 + q S) = c (1 + q S)
    c = 1 + p / (1 - p) + p
    s = (1 + 2 * p * c) / (1 - q - 2 * p * c * q)
    level = 1.1503493803760083  # upper 1/8 quantile of the normal distribution
    assert shewhart_arl((Mixture("3", 3, level),), 0) == pytest.approx(float(s), rel=1e-9)


@pytest.mark.parametrize("rules", [DXA, WESTGARD, (Range("R", 4.0),), (Range("R", 3.3), Beyond("b", 2, 4, 1.2))])
@pytest.mark.parametrize("shift", [0, 0.7])
def test_range_rules_by_simulation(rules: tuple[Beyond | Range, ...], shift: float) -> None:
    scans = 2_500
    x = np.random.default_rng(1996).normal(shift, 1, (3_000, scans))
    signal = ShewhartChart(0, 1, rules).replay(x).signal
    done = signal.any(axis=1)
    run_lengths = np.where(done, signal.argmax(axis=1) + 1, scans)
    assert done.mean() > 0.999
    error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert shewhart_arl(rules, shift) == pytest.approx(run_lengths.mean(), abs=4 * error)


def test_a_warning_is_no_signal() -> None:
    assert shewhart_arl(WESTGARD, 0.5) == shewhart_arl(DXA, 0.5)


def test_full_windows_signal_a_little_later() -> None:
    assert shewhart_arl(WESTERN_ELECTRIC, 0, full_window=True) == pytest.approx(91.90, abs=0.005)
    x = np.random.default_rng(1956).normal(1, 1, (20_000, 300))
    signal = ShewhartChart(0, 1, WESTERN_ELECTRIC, full_window=True).replay(x).signal
    run_lengths = signal.argmax(axis=1) + 1
    error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert signal.any(axis=1).all()
    assert shewhart_arl(WESTERN_ELECTRIC, 1, full_window=True) == pytest.approx(run_lengths.mean(), abs=4 * error)


@settings(max_examples=20)
@given(st.floats(-4, 4))
def test_either_direction_takes_as_long(shift: float) -> None:
    assert shewhart_arl(WESTERN_ELECTRIC, shift) == pytest.approx(shewhart_arl(WESTERN_ELECTRIC, -shift), rel=1e-10)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((), "no rule signals"),
        ((Beyond("w", 1, 1, 2.0, warning=True),), "no rule signals"),
        ((Trend("up", 6),), "up compares sizes"),
        (NELSON, "nelson_3 compares sizes"),
        ((Beyond("many", 20, 40, 0.5), Beyond("more", 20, 40, 0.3)), "simulate"),
    ],
)
def test_rules_without_an_exact_run_length_are_refused(rules: tuple[Beyond | Trend, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shewhart_arl(rules, 0)


@pytest.mark.parametrize("width", [10.0, 12.0, 17.9, 18.0, 25.0])
def test_rare_ranges_are_refused_rather_than_guessed(width: float) -> None:
    with pytest.raises(ValueError, match="run lengths up to"):
        shewhart_arl((Range("R", width),), 0)


def test_a_range_wider_than_the_limits_changes_nothing() -> None:
    assert shewhart_arl((WE_1, Range("R", 6.0)), 0.4) == shewhart_arl((WE_1,), 0.4)


def test_a_range_of_eight_by_its_asymptote() -> None:
    # So rare that the run length is one over the chance of a pair, but for the next pair sharing a point.
    chance = 2 * stats.norm.sf(8 / math.sqrt(2))
    assert shewhart_arl((Range("R", 8.0),), 0) == pytest.approx(1 / chance, rel=0.01)


@pytest.mark.parametrize(("level", "width"), [(3.0, 1.2), (3.0, 0.1), (3.3, 1.1), (3.4, 1.3), (3.6, 1.3)])
def test_levels_and_widths_that_meet_but_for_rounding(level: float, width: float) -> None:
    rules = (Beyond("limit", 1, 1, level), Range("R", width))
    x = np.random.default_rng(3).normal(0.2, 1, (20_000, 60))
    signal = ShewhartChart(0, 1, rules).replay(x).signal
    run_lengths = signal.argmax(axis=1) + 1
    error = float(run_lengths.std()) / math.sqrt(len(run_lengths))
    assert signal.any(axis=1).all()
    assert shewhart_arl(rules, 0.2) == pytest.approx(run_lengths.mean(), abs=4 * error)


def test_a_shift_out_of_all_limits_signals_at_once() -> None:
    assert shewhart_arl((WE_1, Range("R", 4.0)), 1e6) == 1.0
    assert shewhart_arl((Range("R", 4.0),), 1e6) == pytest.approx(shewhart_arl((Range("R", 4.0),), 0), rel=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cusum_h(0.5, 1e300),
        lambda: cusum_h(0, 100, head_start_fraction=0.999),
        lambda: cusum_arl(0.5, 1e5, 0),
        lambda: ewma_arl(1e-5, 2.5, 0),
        lambda: ewma_arl(0.001, 2.5, 0, time_varying=True),
        lambda: ewma_width(0.1, 1 + 1e-12),
        lambda: shewhart_arl((Range("R", 1e-3),), 0),
    ],
)
def test_what_would_take_for_ever_is_refused(call: Callable[[], float]) -> None:
    with pytest.raises(ValueError, match=r"sigmas wide|is below 0\.005|too near 1|too narrow"):
        call()


# Charts in a department


def test_false_alarms_a_year() -> None:
    assert false_alarms_per_year(TabularCusum(1.2, 0.006), 250) == pytest.approx(250 / 465.443506, rel=1e-8)
    assert false_alarms_per_year(ShewhartChart(1.2, 0.006, (WE_1,)), 250) == pytest.approx(250 / 370.398347, rel=1e-8)
    fixed = EwmaChart(1.2, 0.006, lam=0.1, width=2.814, time_varying=False)
    assert false_alarms_per_year(fixed, 52) == pytest.approx(52 / 499.579550, rel=1e-8)
    assert chart_arl(EwmaChart(1, 1, lam=0.1, width=2.814), 1) == pytest.approx(8.157, abs=0.0005)
    assert chart_arl(TabularCusum(1, 1, h=4, head_start=2), 1) == pytest.approx(5.286886, abs=PRINTED)


def test_charts_with_and_without_an_exact_run_length() -> None:
    assert chart_arl(SelfStartingCusum(), 0) == pytest.approx(465.443506, abs=1e-5)
    with pytest.raises(ValueError, match="VariabilityCusum has no exact run length"):
        false_alarms_per_year(VariabilityCusum(1, 0.005), 250)  # type: ignore[arg-type]


@pytest.mark.parametrize("scans", [0, -1, math.inf, math.nan])
def test_false_alarms_of_no_scans_are_refused(scans: float) -> None:
    with pytest.raises(ValueError, match="scans_per_year = "):
        false_alarms_per_year(TabularCusum(1, 0.005), scans)


@pytest.mark.parametrize(
    ("n", "probability", "median"), [(10, 0.56, 70), (25, 0.42, 138), (50, 0.32, 185), (100, 0.26, 245)]
)
def test_thin_baselines_alarm_falsely(n: int, probability: float, median: float) -> None:
    # Monte Carlo of 4,000 charts (reference 1.6), good to 2 points
    effect = estimated_baseline(n)
    assert effect.false_alarm_probability == pytest.approx(probability, abs=0.02)
    assert effect.median_run_length == pytest.approx(median, rel=0.06)


def test_an_endless_baseline_is_a_known_target() -> None:
    x = np.random.default_rng(5).normal(0, 1, (20_000, 400))
    signal = TabularCusum(0, 1).replay(x).signal.cumsum(axis=1).astype(bool)
    effect = estimated_baseline(10_000_000)
    assert effect.false_alarm_probability == pytest.approx(signal[:, 99].mean(), abs=0.012)
    assert effect.median_run_length == pytest.approx(int((signal.mean(axis=0) < 0.5).sum()) + 1, rel=0.04)


def test_a_wide_chart_on_an_endless_baseline_by_simulation() -> None:
    chart = TabularCusum(0, 1, k=0.25, h=12)
    signal = chart.replay(np.random.default_rng(9).normal(0, 1, (4_000, 1_000))).signal
    effect = estimated_baseline(10**9, k=0.25, h=12, within=1_000, most_scans=1_000)
    assert effect.false_alarm_probability == pytest.approx(signal.any(axis=1).mean(), abs=0.03)


def test_a_median_is_looked_for_so_far_and_no_further() -> None:
    assert estimated_baseline(100, most_scans=100).median_run_length == math.inf
    with pytest.raises(ValueError, match="within = 101"):
        estimated_baseline(100, within=101, most_scans=100)


def test_a_sigma_floor_calms_a_thin_baseline() -> None:
    rng = np.random.default_rng(6)
    baseline = rng.normal(0, 1, (20_000, 10))
    sigma = np.maximum(baseline.std(axis=1, ddof=1), 1)
    z = (rng.normal(0, 1, (20_000, 100)) - baseline.mean(axis=1)[:, None]) / sigma[:, None]
    simulated = TabularCusum(0, 1).replay(z).signal.any(axis=1).mean()
    assert estimated_baseline(10, sigma_floor=1).false_alarm_probability == pytest.approx(simulated, abs=0.012)


@pytest.mark.parametrize("bad", [{"n": 1}, {"within": 0}, {"k": -1}, {"h": 0}, {"sigma_floor": math.inf}])
def test_a_baseline_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    n = int(bad.pop("n", 10))
    with pytest.raises(ValueError, match=r"(n|within|k|h|sigma_floor) = "):
        estimated_baseline(n, **bad)  # type: ignore[arg-type]


# The chain below


def test_ruin_of_a_gambler_to_the_last_digit() -> None:
    # States 1 to 59, a fair game would be symmetrical; here one step up has probability 1e-3. Known closed form
    # in exact fractions; plain elimination fails at 1e177 steps.
    up, states = Fraction(1, 1000), 59
    down = 1 - up
    # From j to the end: the sum over i >= j of d_i, where d_0 = 1 / up and d_i = (1 + down * d_(i-1)) / up.
    differences = [1 / up]
    for _ in range(states - 1):
        differences.append((1 + down * differences[-1]) / up)
    exact = [float(sum(differences[j:])) for j in range(states)]
    stay = np.zeros((states, states))
    for j in range(states - 1):
        stay[j, j + 1] = float(up)
        stay[j + 1, j] = float(down)
    leave = np.zeros(states)
    leave[-1] = float(up)
    assert exact[0] > 1e176
    assert expected_steps(stay, leave) == pytest.approx(exact, rel=1e-12)
