"""Confidence sets of change points: where they end, and their own promise of coverage."""

import itertools
import math

import numpy as np
import pytest

from qa_models.change_point import drift_mle, step_mle
from qa_models.cusum import TabularCusum


def residual(x: list[float], shape: str, onset: int, size: float) -> float:
    """Return the sum of squares that a change leaves."""
    fitted = [0.0 if i < onset else size * (1.0 if shape == "step" else i - onset + 1.0) for i in range(len(x))]
    return sum((value - change) ** 2 for value, change in zip(x, fitted, strict=True))


def fit(x: list[float], shape: str, onset: int) -> tuple[float, int, float]:
    """Return what the best size for an onset leaves, the onset and that size."""
    regressor = np.array([0.0 if i < onset else 1.0 if shape == "step" else i - onset + 1.0 for i in range(len(x))])
    size, *_ = np.linalg.lstsq(regressor[:, None], np.array(x), rcond=None)
    return residual(x, shape, onset, float(size[0])), onset, float(size[0])


# Coverage, the promise of the module


def stopped(shape: str, size: float, in_control: int, count: int) -> list[list[float]]:
    """Simulate series that a CUSUM (0.5, 5) stopped after the change; those it stopped before are left out."""
    rng = np.random.default_rng([in_control, round(1000 * size), len(shape)])
    x = rng.normal(size=(2 * count, in_control + 400))
    x[:, in_control:] += size * (np.arange(1, 401) if shape == "drift" else 1)
    ends = TabularCusum(0, 1).replay(x).signal.argmax(axis=1) + 1
    kept = [row[:end].tolist() for row, end in zip(x, ends, strict=True) if end > in_control]
    assert len(kept) >= count
    return kept[:count]


@pytest.mark.parametrize("sigma", [1.0, None])
@pytest.mark.parametrize("in_control", [15, 100])
@pytest.mark.parametrize(
    ("shape", "size"), [("step", 1.0), ("step", 2.0), ("drift", 0.03), ("drift", 0.1), ("drift", 0.3)]
)
def test_confidence_after_a_signal(shape: str, size: float, in_control: int, sigma: float | None) -> None:
    estimate = step_mle if shape == "step" else drift_mle
    onset = sizes = 0
    for x in stopped(shape, size, in_control, 1000):
        change = estimate(x, 0.0, sigma=sigma)
        onset += in_control in change.confidence_set
        true = [size * (1 if shape == "step" else date - in_control) for date in (len(x), len(x) + 10)]
        intervals = [change.size_at(date) for date in (len(x), len(x) + 10)]
        sizes += all(low <= value <= high for value, (low, _, high) in zip(true, intervals, strict=True))
    assert 920 <= onset <= 980
    assert sizes >= 940


def test_half_a_sigma_is_covered_less() -> None:
    # What the module's text says of small steps.
    covered = sum(60 in step_mle(x, 0.0, sigma=1).confidence_set for x in stopped("step", 0.5, 60, 1000))
    assert 890 <= covered <= 940


def test_the_size_at_a_signal_is_too_large_on_average() -> None:
    # What the module's text says of the estimate: about a fifth at one sigma, given the onset.
    series = stopped("step", 1.0, 60, 1000)
    assert np.mean([np.mean(x[60:]) for x in series]) == pytest.approx(1.2, abs=0.06)
    assert np.mean([step_mle(x, 0.0).size for x in series]) > 1.2


# Where the sets end

ALLOWED = {
    "step": {
        0.8: (7.7, 9.2),
        1.0: (7.2, 9.0),
        1.25: (6.8, 8.7),
        1.75: (6.1, 8.4),
        2.4: (5.1, 7.5),
        3.2: (3.5, 6.1),
        4.2: (2.0, 4.7),
        5.5: (2.0, 4.0),
    },
    "drift": {
        0.8: (7.3, 9.6),
        1.05: (6.6, 9.2),
        1.4: (6.0, 9.2),
        1.9: (5.5, 9.3),
        2.5: (5.0, 8.4),
        3.3: (4.5, 7.2),
        4.3: (4.0, 6.3),
        5.6: (3.9, 6.2),
    },
}
"""What the simulation found by size: how far below the best an onset may lie, alone and together with its size."""


def sized(shape: str, size: float, missed: float) -> list[float]:
    """Return four observations whose best onset is 2; that of 0 is `size` at the end and lies `missed` below.

    Step: (a, a, m, m) has the gains 2 m^2 at onset 2 and 4 s^2 at 0, where s = (a + m) / 2. Drift: (a, 2a, m, 2m)
    has 5 m^2 at onset 2 and 30 b^2 at 0, with the slope b = (5a + 11m) / 30 and the size 4 b at the end.
    """
    if shape == "step":
        m = math.sqrt((missed + 4 * size**2) / 2)
        return [2 * size - m, 2 * size - m, m, m]
    m = math.sqrt((missed + 30 * (size / 4) ** 2) / 5)
    a = (30 * size / 4 - 11 * m) / 5
    return [a, 2 * a, m, 2 * m]


def ends_at(shape: str, size: float, onset: float, joint: float) -> None:
    """Assert that the onset of 0 is in set and region up to there and no farther, whatever sigma and side."""
    estimate = step_mle if shape == "step" else drift_mle
    for unit in (1.0, -2.0):
        for more, inside in ((-0.01, True), (0.01, False)):
            alone, both = (
                estimate([unit * z for z in sized(shape, size, most + more)], 0.0, sigma=abs(unit))
                for most in (onset, joint)
            )
            assert alone.last_in_control == both.last_in_control == 2
            assert (0 in alone.confidence_set) is inside
            assert (0 in [after.last_in_control for after in both.region]) is inside


@pytest.mark.parametrize("shape", ["step", "drift"])
def test_the_sets_end_where_the_simulation_says(shape: str) -> None:
    table = ALLOWED[shape]
    for size, (onset, joint) in table.items():
        ends_at(shape, size, onset, joint)
    for (low, lower), (high, higher) in itertools.pairwise(table.items()):
        # Between two sizes it is linear in their logarithm.
        ends_at(shape, math.sqrt(low * high), (lower[0] + higher[0]) / 2, (lower[1] + higher[1]) / 2)


@pytest.mark.parametrize(("shape", "size", "like"), [("step", 0.4, 0.8), ("drift", 0.4, 0.8), ("step", 6.0, 5.5)])
def test_sizes_beyond_the_table_are_judged_as_its_ends(shape: str, size: float, like: float) -> None:
    ends_at(shape, size, *ALLOWED[shape][like])


def likelihood_ratio(x: list[float], shape: str, onset: int, size: float, sigma: float | None) -> float:
    """Return twice the log likelihood ratio of the best change and this one, by residual sums of squares.

    Without sigma it is that of a normal with n - 3 degrees of freedom left (`FITTED`).
    """
    _, best, best_size = min(fit(x, shape, t) for t in range(len(x)))
    least, other = residual(x, shape, best, best_size), residual(x, shape, onset, size)
    return (other - least) / sigma**2 if sigma else (len(x) - 3) * math.log(other / least)


@pytest.mark.parametrize("sigma", [None, 1.0, 0.5])
@pytest.mark.parametrize("shape", ["step", "drift"])
def test_sets_and_regions_are_those_of_the_likelihood_ratio(shape: str, sigma: float | None) -> None:
    rng = np.random.default_rng(1988)
    table = ALLOWED[shape]
    for n in (4, 5, 8, 15, 24):
        x = (rng.normal(size=n) + (np.arange(n) - n + 3).clip(0, 2)).tolist()
        change = step_mle(x, 0.0, sigma=sigma) if shape == "step" else drift_mle(x, 0.0, sigma=sigma)
        least, *_ = min(fit(x, shape, t) for t in range(n))
        alone: set[int] = set()
        both: dict[int, tuple[float, float]] = {}
        for onset in range(n):
            _, _, size = fit(x, shape, onset)
            at_end = abs(size) * (n - onset if shape == "drift" else 1) / (sigma or math.sqrt(least / (n - 2)))
            limits = [
                np.interp(math.log(max(at_end, 0.8)), np.log([*table]), c) for c in zip(*table.values(), strict=True)
            ]
            ratio = likelihood_ratio(x, shape, onset, size, sigma)
            alone |= {onset} if ratio <= limits[0] else set()
            both |= {onset: (size, limits[1])} if ratio <= limits[1] else {}
        assert {*change.confidence_set} == alone
        assert [after.last_in_control for after in change.region] == [*both]
        for onset, low, high in change.region:
            size, limit = both[onset]
            assert (low + high) / 2 == pytest.approx(size)
            assert likelihood_ratio(x, shape, onset, low, sigma) == pytest.approx(limit)
            assert likelihood_ratio(x, shape, onset, high, sigma) == pytest.approx(limit)
