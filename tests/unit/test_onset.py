"""Onset, shape and size of a drift: by hand, by integrating numerically, and by how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from qa_models.onset import SPREAD, onset_posterior
from tests.review_coverage.history import reviewed

SCANS, SD = 25, 0.5


def test_the_posterior_of_a_step_is_the_regression_integrated_numerically() -> None:
    """Three observations, one onset looked at: mean, size and sigma integrated on a grid, against the closed form."""
    x, scans, sd = [0.3, 1.9, 2.4], 4, 0.6
    found = onset_posterior(x, [0.0, 1.0, 2.0], baseline_scans=scans, baseline_sd=sd)
    baseline = _with_moments(scans, sd)

    def likelihood(onset: int, factor_of: dict[int, float]) -> float:
        factors = np.array([factor_of.get(i - onset, 0.0) if i >= onset else 0.0 for i in range(3)])

        log_sigma, size = np.meshgrid(np.linspace(-4, 4, 301), np.linspace(-40, 40, 2001), indexing="ij")
        sigma = np.exp(log_sigma)
        values = [np.full_like(size, one) for one in baseline] + [
            one - size * f for one, f in zip(x, factors, strict=True)
        ]
        n, mean = len(values), sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        # the mean, flat, integrated by hand: sigma * sqrt(2 pi / n); d(sigma) / sigma is d(log sigma)
        flat = sigma ** (1 - n) * np.exp(-squares / (2 * sigma**2))
        return float((flat * stats.norm.pdf(size, 0.0, SPREAD * sigma)).sum())

    step = [likelihood(onset, dict.fromkeys(range(3), 1.0)) for onset in range(3)]
    ramp = [likelihood(onset, {i: (i + 1) / (3 - onset) for i in range(3)}) for onset in range(3)]
    total = sum(step) + sum(ramp)
    assert found.p_ramp == pytest.approx(sum(ramp) / total, rel=1e-3)
    assert found.likeliest == int(np.argmax(np.add(step, ramp)))


def _with_moments(n: int, sd: float) -> list[float]:
    """Return n values with mean 0 and this sample standard deviation."""
    values = np.linspace(-1.0, 1.0, n)
    return [float(value) for value in values * sd / values.std(ddof=1)]


def test_a_large_step_is_dated_and_sized_as_anybody_would() -> None:
    x = [0.1, -0.2, 0.0, 0.2, -0.1, 5.1, 4.9, 5.0, 5.2, 4.8]
    found = onset_posterior(x, range(10), baseline_scans=SCANS, baseline_sd=SD)
    assert (found.likeliest, found.credible) == (5, (5,))
    assert found.p_ramp < 0.01
    before, after = found.size_at(4), found.size_at(9)
    assert before == (0.0, 0.0, 0.0)
    assert after.low < 5.0 < after.high
    # by hand: 5 of 35 observations lie after, so information is 5 - 25 / 35, and the prior adds 1 / 9 to it
    assert after.estimate == pytest.approx(5.0 * (5 - 25 / 35) / (5 - 25 / 35 + 1 / 9), abs=1e-2)


def test_a_ramp_is_told_from_a_step_with_its_slope_and_goes_on() -> None:
    chance = np.random.default_rng(7)
    x = [float(max(0, day - 50) * 0.1 + chance.normal(0.0, 0.2)) for day in range(100)]
    found = onset_posterior(x, range(100), baseline_scans=SCANS, baseline_sd=0.2)
    assert found.p_ramp > 0.99
    slope = found.slope()
    assert slope.low < 0.1 < slope.high
    assert slope.estimate == pytest.approx(0.1, abs=0.01)
    assert found.size_at(120).estimate == pytest.approx(7.0, abs=0.5)
    assert 45 in found.credible or 50 in found.credible


def test_the_unit_of_values_and_of_times_does_not_matter() -> None:
    chance = np.random.default_rng(3)
    x = [float((day > 30) * 0.8 + chance.normal(0.0, 0.5)) for day in range(60)]
    one = onset_posterior(x, range(60), baseline_scans=10, baseline_sd=0.4)
    hours = [24.0 * day for day in range(60)]
    other = onset_posterior([1000 * v for v in x], hours, baseline_scans=10, baseline_sd=400.0)
    assert one.credible == other.credible
    assert [1000 * size for size in one.size_at(59)] == pytest.approx(list(other.size_at(59 * 24)), rel=1e-9)


@pytest.mark.parametrize(
    ("scans", "size", "slope"), [(10, 0.6, 0.0), (25, 0.6, 0.0), (25, 1.0, 0.0), (10, 0.0, 0.03), (25, 0.0, 0.02)]
)
def test_among_series_that_a_chart_stopped_onset_and_size_are_held(scans: int, size: float, slope: float) -> None:
    """Forty series each: 95 % of 40 is 38; fewer than 32 come once in ten thousand times by chance."""
    onsets, sizes, seen = 0, 0, 0
    for seed in range(40):
        series = _stopped(seed, scans, size, slope)
        if series is None:
            continue
        x, sd, onset = series
        found = onset_posterior(x, range(len(x)), baseline_scans=scans, baseline_sd=sd)
        interval = found.size_at(len(x) - 1)
        truth = size + slope * (len(x) - onset)
        onsets += onset in found.credible
        sizes += interval.low <= truth <= interval.high
        seen += 1
    assert seen > 32
    assert onsets >= seen - 8
    assert sizes >= seen - 8


def _stopped(seed: int, scans: int, size: float, slope: float) -> tuple[list[float], float, int] | None:
    """Return a series up to a CUSUM's signal (k = 0.5, h = 5) after its onset, in percent of the baseline's mean."""
    chance = np.random.default_rng(seed)
    baseline = chance.normal(0.0, SD, scans)
    mean, sd = float(baseline.mean()), float(baseline.std(ddof=1))
    sigma, onset = max(sd, 0.5), int(chance.integers(30, 250))
    x, upper, lower = list[float](), 0.0, 0.0
    for i in range(1, 500):
        off = 0.0 if i <= onset else size + slope * (i - onset)
        x.append(float(chance.normal(off, SD)) - mean)
        upper, lower = max(0.0, upper + x[-1] / sigma - 0.5), max(0.0, lower - x[-1] / sigma - 0.5)
        if max(upper, lower) > 5.0:
            if i > onset:
                return x, sd, onset
            upper = lower = 0.0
    return None


def test_two_years_of_a_scanner_lists_every_measurement_in_doubt_and_none_else() -> None:
    """The long run is `python -m tests.review_coverage --seeds 1000`."""
    told = [one for seed in range(4) if (one := reviewed(seed)) is not None]
    assert len(told) == 4
    assert all(one.listed == one.in_doubt for one in told)
    assert all(one.listed for one in told)
    assert sum(one.onset_is_covered for one in told) >= 3
    assert sum(one.size_is_covered for one in told) >= 3
    assert not any(one.amended_before_decision for one in told)


@pytest.mark.parametrize(
    ("x", "times", "scans", "sd", "words"),
    [
        ([1.0], [0.0], 10, 0.5, "at least 2"),
        ([1.0, 2.0], [0.0], 10, 0.5, "at least 2"),
        ([1.0, 2.0, 3.0], [0.0, 1.0], 10, 0.5, "3 observations and 2 times"),
        ([1.0, 2.0], [1.0, 0.0], 10, 0.5, "ascend"),
        ([1.0, 2.0], [0.0, 1.0], 1, 0.5, "baseline of 1"),
        ([0.0, 0.0], [0.0, 1.0], 10, 0.0, "scatter"),
        ([math.nan, 0.0], [0.0, 1.0], 10, 0.5, "x"),
    ],
)
def test_what_cannot_be_dated_is_refused(x: list[float], times: list[float], scans: int, sd: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        onset_posterior(x, times, baseline_scans=scans, baseline_sd=sd)
