"""Run lengths of CUSUM and EWMA against published tables, R spc, simulation and hand calculation."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qa_models.cusum import TabularCusum
from qa_models.run_length import cusum_arl, cusum_h, ewma_arl, ewma_width
from tests.r_language import r_lines
from tests.unit.run_length_tables import PRINTED, agrees, rows

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
