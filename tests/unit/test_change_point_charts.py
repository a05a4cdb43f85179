"""Confidence sets after other charts than the usual one, early changes, downward ones; readings at the borders."""

import math

import numpy as np
import pytest

from qa_models.change_point import cusum_last_zero, drift_mle, step_mle
from qa_models.cusum import TabularCusum


def stopped(chart: TabularCusum, shape: str, size: float, in_control: int, count: int) -> list[list[float]]:
    """Simulate series that a chart stopped after the change; those it stopped before are left out."""
    rng = np.random.default_rng([round(100 * chart.h), in_control, round(1000 * abs(size))])
    x = rng.normal(size=(3 * count, in_control + 400))
    x[:, in_control:] += size * (np.arange(1, 401) if shape == "drift" else 1)
    ends = chart.replay(x).signal.argmax(axis=1) + 1
    kept = [row[:end].tolist() for row, end in zip(x, ends, strict=True) if end > in_control]
    assert len(kept) >= count
    return kept[:count]


@pytest.mark.parametrize(
    "chart", [TabularCusum(0, 1, h=4), TabularCusum(0, 1, head_start=2.5), TabularCusum(0, 1, k=0.25, h=8)]
)
@pytest.mark.parametrize(("shape", "size", "in_control"), [("step", -1.0, 5), ("step", 2.0, 40), ("drift", -0.1, 40)])
def test_confidence_after_other_charts(chart: TabularCusum, shape: str, size: float, in_control: int) -> None:
    estimate = step_mle if shape == "step" else drift_mle
    onset = sizes = 0
    for x in stopped(chart, shape, size, in_control, 600):
        change = estimate(x, 0.0, sigma=1.0)
        onset += in_control in change.confidence_set
        low, _, high = change.size_at(len(x))
        sizes += low <= size * (1 if shape == "step" else len(x) - in_control) <= high
    assert 0.92 * 600 <= onset <= 0.985 * 600
    assert 0.94 * 600 <= sizes <= 0.999 * 600


def test_slow_drifts_are_covered_less() -> None:
    # What the module's text says of drifts of 0.02 sigma a scan.
    series = stopped(TabularCusum(0, 1), "drift", 0.02, 50, 600)
    assert 0.9 * 600 <= sum(50 in drift_mle(x, 0.0, sigma=1.0).confidence_set for x in series) <= 0.97 * 600


def test_a_change_at_the_very_first_observation() -> None:
    series = stopped(TabularCusum(0, 1, head_start=2.5), "step", 2.0, 0, 600)
    assert min(map(len, series)) == 1
    assert sum(0 in step_mle(x, 0.0, sigma=1.0).confidence_set for x in series) >= 0.92 * 600


def test_intervals_are_not_endless() -> None:
    widths = [
        high - low
        for x in stopped(TabularCusum(0, 1), "step", 1.0, 40, 300)
        for low, _, high in [step_mle(x, 0.0, sigma=1.0).size_at(len(x))]
    ]
    assert np.mean(widths) < 3.6  # sigmas; four standard errors of ten observations are 2.5


def test_a_head_start_dates_the_path_that_signalled() -> None:
    # From 2.5 the sum stands at 2.0, 1.5, 3.5, 5.5 above the reference value: it was never at zero.
    x = [0.0, 0.0, 2.5, 2.5]
    assert cusum_last_zero(x, 0.0, 1.0, head_start=2.5).last_in_control == 0
    assert cusum_last_zero(x, 0.0, 1.0).last_in_control == 2


@pytest.mark.parametrize("factor", [1.02, 1.05])
def test_a_step_without_noise_has_no_sigma_but_rounding(factor: float) -> None:
    for target in (0.904, 1.017, 1.177, 0.951):
        with pytest.raises(ValueError, match="sigma cannot be estimated"):
            step_mle([target] * 6 + [target * factor] * 5, target)


def test_readings_far_from_one_are_dated_alike() -> None:
    x = [1.0, 2.0, -1.0, 5.0, 6.0]
    expected = step_mle(x, 0.0, sigma=1.0)
    for exponent in (-560, 300):
        unit = 2.0**exponent
        found = step_mle([unit * value for value in x], 0.0, sigma=unit)
        assert found.last_in_control == expected.last_in_control
        assert found.size == unit * expected.size
        assert found.confidence_set == expected.confidence_set


@pytest.mark.parametrize("date", [math.nan, 2.5, 0])
def test_a_date_is_a_whole_number(date: float) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        step_mle([0.0, 0.1, 2.0, 2.1], 0.0).size_at(date)  # type: ignore[arg-type]
