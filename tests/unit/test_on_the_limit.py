"""A reading exactly on a limit is on it, whatever the last bit of its distance in sigmas says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.run_rules import DXA, WESTERN_ELECTRIC, Beyond, Mixture, Range, RuleSet, Within, violations
from qa_models.shewhart import ShewhartChart

MEANS = [thousandths / 1000 for thousandths in range(500, 1500)]
"""Means of phantoms as a console prints them, g/cm^2; sigma is half a percent of each."""

LEVELS: RuleSet = (
    Beyond("beyond", 1, 1, 3.0),
    Range("range", 6.0),
    Within("within", 1, 3.0),
    Mixture("mixture", 2, 3.0),
    Beyond("centre", 1, 1, 0.0),
)


def fired(mean: float, sigma: float, x: list[float], rules: RuleSet = DXA) -> list[tuple[str, ...]]:
    """Names of the rules at each scan: streamed, replayed and listed they must be the same."""
    chart = ShewhartChart(mean, sigma, rules)
    path = chart.replay([x])
    streamed = [chart.update(value).violated for value in x]
    assert [path.names(0, i) for i in range(len(x))] == streamed
    assert violations(x, mean, sigma, rules) == [(name, i) for i, names in enumerate(streamed) for name in names]
    return streamed


def off(mean: float, percent: float) -> float:
    """The reading so far off the mean, as a console would send it."""
    return float(f"{mean * (1 + percent / 100):.12g}")


def test_the_reading_of_the_report_is_on_its_limit() -> None:
    point = ShewhartChart(1.2, 0.006, DXA).update(1.218)
    assert point.signal is False
    assert point.z == 3.0000000000000027  # told as it is


@pytest.mark.parametrize("sign", [1, -1])
def test_three_sigmas_are_never_beyond_three_sigmas(sign: int) -> None:
    for mean in MEANS:
        assert fired(mean, mean * 0.005, [off(mean, sign * 1.5)]) == [()], mean
        assert fired(mean, mean * 0.005, [off(mean, sign * 1.5001)]) == [("1_3s",)], mean


def test_six_sigmas_apart_are_not_beyond_six() -> None:
    for mean in MEANS:
        exactly, farther = (fired(mean, mean * 0.005, [off(mean, -1.5), off(mean, p)], LEVELS) for p in (1.5, 1.5001))
        assert exactly == [("within", "centre"), ("within", "centre")], mean
        assert farther == [("within", "centre"), ("beyond", "range", "centre")], mean


def test_the_centre_line_is_met_by_zero_alone() -> None:
    assert fired(1.0, 1.0, [1.0, 1.0 + 2**-52], LEVELS) == [("within",), ("within", "centre")]


def test_how_near_is_on_the_limit() -> None:
    assert fired(0.0, 1.0, [3 + 2e-12, -3 - 2e-12], (Beyond("beyond", 1, 1, 3.0),)) == [(), ()]
    assert fired(0.0, 1.0, [3 + 4e-12, -3 - 4e-12], (Beyond("beyond", 1, 1, 3.0),)) == [("beyond",), ("beyond",)]


last_bits = st.tuples(st.sampled_from([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]), st.integers(-20_000, 20_000)).map(
    lambda drawn: drawn[0] + drawn[1] * float(np.spacing(1.0))
)


@given(st.lists(last_bits, max_size=20), st.sampled_from([DXA, WESTERN_ELECTRIC, LEVELS]))
def test_around_a_limit_a_replayed_chart_agrees_with_a_streamed_one(x: list[float], rules: Any) -> None:
    fired(0.0, 1.0, x, rules)
