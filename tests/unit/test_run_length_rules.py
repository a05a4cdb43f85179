"""Run lengths of run rules, mixtures and ranges against published tables, simulation and hand calculation."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qa_models.run_length import cusum_arl, cusum_h, ewma_arl, ewma_width, shewhart_arl
from qa_models.run_length.absorbing import expected_steps
from qa_models.run_rules import DXA, NELSON, WESTERN_ELECTRIC, WESTGARD, Beyond, Mixture, Range, Trend, Within
from qa_models.shewhart import ShewhartChart
from tests.unit.run_length_tables import WE_1, WE_2, WE_3, WE_4, agrees, rows


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
