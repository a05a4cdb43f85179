"""Run rules against hand-made patterns, R qcc's own answers and a brute-force reading of their definitions."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_models.run_rules import (
    DXA,
    NELSON,
    RULE_SETS,
    WESTERN_ELECTRIC,
    WESTGARD,
    Alternation,
    Beyond,
    Mixture,
    Range,
    Rule,
    RuleSet,
    Trend,
    Within,
    beyond_tolerance,
    violations,
)

halves = st.integers(-8, 8).map(lambda n: n / 2)
distances = halves | st.floats(-5, 5)
series = st.lists(distances, max_size=30)
counts = st.integers(2, 5)
levels = st.integers(0, 6).map(lambda n: n / 2) | st.floats(0, 3)
beyonds = st.tuples(counts, st.integers(0, 3), levels).map(lambda t: Beyond("beyond", t[0], t[0] + t[1], t[2]))
rules = st.one_of(
    beyonds,
    st.builds(Range, st.just("range"), levels.filter(bool)),
    st.builds(Trend, st.just("trend"), counts),
    st.builds(Alternation, st.just("alternation"), counts.filter(lambda n: n > 2)),
    st.builds(Within, st.just("within"), counts, levels),
    st.builds(Mixture, st.just("mixture"), counts, levels),
)


def brute_force(rule: Rule, z: Sequence[float], i: int, *, full_window: bool = False) -> bool:
    """Whether the definition of the rule holds at point i of a series in sigmas."""
    size = rule.window if isinstance(rule, Beyond) else 2 if isinstance(rule, Range) else rule.count
    last = z[max(0, i + 1 - size) : i + 1]
    enough = len(last) == size or (isinstance(rule, Beyond) and not full_window)
    return enough and _holds(rule, last)


def _holds(rule: Rule, last: Sequence[float]) -> bool:
    match rule:
        case Beyond():
            edge = rule.level * (1 + 1e-12)  # farther than the twelfth digit
            sides = ([v for v in last if v > edge], [v for v in last if -v > edge])
            return any(len(side) >= rule.count and last[-1] in side for side in sides)
        case Range():
            return max(last) - min(last) > rule.width * (1 + 1e-12)
        case Trend():
            return len(set(last)) == len(last) and list(last) in (sorted(last), sorted(last, reverse=True))
        case Alternation():
            inner = range(1, len(last) - 1)
            return all(
                last[i] > max(last[i - 1], last[i + 1]) or last[i] < min(last[i - 1], last[i + 1]) for i in inner
            )
        case Within():
            return max(last) <= rule.level * (1 + 1e-12) and min(last) >= -rule.level * (1 + 1e-12)
        case Mixture():
            return min(map(abs, last)) > rule.level * (1 + 1e-12) and min(last) < 0 < max(last)


def _indices(z: Sequence[float], rule: Rule, *, full_window: bool = False) -> list[int]:
    found = violations(z, 0, 1, (rule,), full_window=full_window)
    assert {name for name, _ in found} <= {rule.name}
    return [i for _, i in found]


def _named(rules: RuleSet, name: str) -> Rule:
    return next(rule for rule in rules if rule.name == name)


# Each rule on a pattern that completes it at the last point and nowhere else, and on its nearest misses

TWO_OF_THREE = ([2.01, 0, 2.01], [[2.01, 0, 0, 2.01], [2.0, 0, 2.01], [2.01, 0, 2.0], [2.01, -2.01]])
FOUR_OF_FIVE = ([1.01, 1.01, 0, 1.01, 1.01], [[1.01, 1.01, 0, 0, 1.01, 1.01], [1.01, 1.01, 1.01, 0, 1.0]])
ZIGZAG = [0.1, -0.1] * 7
LABORATORY = {
    "1_3s": ([0, 3.01], [[3.0]]),
    "2_2s": ([2.01, 2.01], [[2.01, 2.0], [2.01, -2.01], [2.01, 0, 2.01]]),
    "R_4s": ([2.01, -2.0], [[2.0, -2.0], [2.01, 0, -2.01]]),
    "4_1s": ([1.01] * 4, [[1.01] * 3, [1.01, 1.0, 1.01, 1.01], [1.01, 1.01, -1.01, 1.01, 1.01]]),
    "10x": ([0.1] * 10, [[0.1] * 9, [0.1] * 5 + [0] + [0.1] * 5, [-0.1] + [0.1] * 9]),
}
EXAMPLES: list[tuple[RuleSet, dict[str, tuple[list[float], list[list[float]]]]]] = [
    (
        WESTERN_ELECTRIC,
        {
            "we_1": ([0, 3.01], [[3.0]]),
            "we_2": TWO_OF_THREE,
            "we_3": FOUR_OF_FIVE,
            "we_4": ([0.1] * 8, [[0.1] * 7, [0.1] * 4 + [0] + [0.1] * 4, [-0.1] + [0.1] * 7]),
        },
    ),
    (
        NELSON,
        {
            "nelson_1": ([0, 3.01], [[3.0]]),
            "nelson_2": ([0.1] * 9, [[0.1] * 8, [0.1] * 5 + [0] + [0.1] * 5]),
            "nelson_3": ([0, 1, 2, 3, 4, 5], [[0, 1, 2, 3, 4], [0, 1, 2, 2, 3, 4, 5], [0, 1, 2, 3, 4, 4]]),
            "nelson_4": (ZIGZAG, [ZIGZAG[:13], [*ZIGZAG[:13], 0.1], [*ZIGZAG[:7], 0.1, *ZIGZAG[:7]]]),
            "nelson_5": TWO_OF_THREE,
            "nelson_6": FOUR_OF_FIVE,
            "nelson_7": ([1.0, -1.0, 0] * 5, [[1.0, -1.0] * 7, [1.0] * 14 + [1.01], [-1.01] + [1.0] * 14]),
            "nelson_8": (
                [1.01] * 7 + [-1.01],
                [[1.01] * 8, [1.01] * 6 + [-1.01], [1.01] * 6 + [1.0, -1.01], [1.01] * 7 + [-1.0]],
            ),
        },
    ),
    (WESTGARD, {"1_2s": ([0, 2.01], [[2.0]]), **LABORATORY}),
    (DXA, LABORATORY),
]


@pytest.mark.parametrize(("rules", "examples"), EXAMPLES, ids=["western_electric", "nelson", "westgard", "dxa"])
@pytest.mark.parametrize("side", [1, -1])
def test_each_rule_sees_its_pattern_and_not_its_near_misses(
    rules: RuleSet, examples: dict[str, tuple[list[float], list[list[float]]]], side: int
) -> None:
    assert [rule.name for rule in rules] == list(examples)
    for name, (pattern, misses) in examples.items():
        rule = _named(rules, name)
        assert _indices([side * z for z in pattern], rule) == [len(pattern) - 1], name
        for miss in misses:
            assert _indices([side * z for z in miss], rule) == [], (name, miss)


def test_only_the_rule_of_1_2s_merely_warns() -> None:
    every = WESTERN_ELECTRIC + NELSON + WESTGARD + DXA
    assert [rule.name for rule in every if rule.warning] == ["1_2s"]


def test_configuration_names_the_rule_sets() -> None:
    assert RULE_SETS == {"dxa": DXA, "western_electric": WESTERN_ELECTRIC, "westgard": WESTGARD, "nelson": NELSON}


def test_a_rule_signals_unless_it_is_said_to_warn() -> None:
    rules = (Beyond("r", 1, 1, 0.0), Range("r", 1.0), Trend("r", 2), Alternation("r", 3), Within("r", 1, 0.0))
    assert [rule.warning for rule in (*rules, Mixture("r", 2, 0.0))] == [False] * 6


# Other software and published conventions

SPREAD_OUT = [2.5] * 7 + [3.2]


@pytest.mark.parametrize(
    ("rules", "name", "z", "points"),
    [
        (WESTERN_ELECTRIC, "we_1", [0, 3.2, -3.5, 2.9], [2, 3]),
        (WESTERN_ELECTRIC, "we_1", SPREAD_OUT, [8]),
        (WESTERN_ELECTRIC, "we_2", [0, 2.5, 1.0, 2.6, 0], [4]),
        (WESTERN_ELECTRIC, "we_2", SPREAD_OUT, [3, 4, 5, 6, 7, 8]),
        (WESTERN_ELECTRIC, "we_3", [0, 1.2, 1.3, 0.2, 1.4, 1.5], [6]),
        (WESTERN_ELECTRIC, "we_3", SPREAD_OUT, [5, 6, 7, 8]),
        (WESTERN_ELECTRIC, "we_4", [-1.0] * 8 + [1.0], [8]),
        (WESTERN_ELECTRIC, "we_4", SPREAD_OUT, [8]),
        (WESTERN_ELECTRIC, "we_4", [0.5] * 8 + [-0.5], [8]),
        (NELSON, "nelson_1", [0, 3.2, -3.4, 3], [2, 3]),
        (NELSON, "nelson_2", [0.5] * 10 + [-0.5] * 10, [9, 10, 19, 20]),
        (NELSON, "nelson_3", [1, 2, 3, 4, 5, 6, 7, 7, 6, 5, 4, 3, 2, 1], [6, 7, 13, 14]),
        (NELSON, "nelson_4", [1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6, 8, 7, 9, 8], [14, 15]),
        (NELSON, "nelson_4", [0, 1] * 7 + [0], [14, 15]),
        (NELSON, "nelson_5", [0, 2.3, 0.4, 2.2, -2.4, -0.2, -2.5], [4, 7]),
        (NELSON, "nelson_6", [1.2, 1.3, 0.2, 1.4, 1.5, -1.2, -1.3, -0.1, -1.4, -1.5], [5, 10]),
        (NELSON, "nelson_7", [0.3] * 16 + [1.2], [15, 16]),
        (NELSON, "nelson_8", [1.2, -1.3, 1.1, -1.4, 1.5, -1.2, 1.3, -1.1, 0.2], [8]),
        (NELSON, "nelson_8", [1.2] * 8, []),
    ],
)
def test_full_windows_answer_as_the_tests_of_r_qcc_3(
    rules: RuleSet, name: str, z: list[float], points: list[int]
) -> None:
    rule = _named(rules, name)
    assert _indices(z, rule, full_window=True) == [point - 1 for point in points]
    if z is not SPREAD_OUT:
        assert _indices(z, rule) == [point - 1 for point in points]


@pytest.mark.parametrize(("name", "first"), [("we_1", 8), ("we_2", 2), ("we_3", 4), ("we_4", 8)])
def test_partial_windows_let_the_first_points_signal(name: str, first: int) -> None:
    assert _indices(SPREAD_OUT, _named(WESTERN_ELECTRIC, name)) == list(range(first - 1, 8))


def test_partial_windows_are_the_default() -> None:
    assert violations([2.5, 2.5], 0, 1, WESTERN_ELECTRIC) == [("we_2", 1)]


@pytest.mark.parametrize("name", ["we_1", "nelson_1", "1_2s", "1_3s"])
def test_a_rule_of_one_point_never_waits(name: str) -> None:
    for rules in (WESTERN_ELECTRIC, NELSON, WESTGARD, DXA):
        found = violations([3.5], 0, 1, rules, full_window=True)
        assert (name in {rule.name for rule in rules}) == ((name, 0) in found)


def test_pistonrings_run_of_seven_as_qcc_2_7(reference_data: Any) -> None:
    table = np.genfromtxt(reference_data / "pistonrings.csv", delimiter=",", skip_header=2, usecols=(0, 1))
    means = [table[table[:, 1] == i, 0].mean() for i in range(1, 41)]
    rules = (Beyond("beyond", 1, 1, 3.0), Beyond("run", 7, 7, 0.0))  # qcc 2.7 takes seven in a row
    found = violations(means, 74.001176, 0.009785038693 / math.sqrt(5), rules, full_window=True)
    assert [(name, i + 1) for name, i in found] == [("beyond", 37), ("beyond", 38), ("beyond", 39), ("run", 40)]


# Conventions


def test_the_newest_point_itself_takes_part() -> None:
    assert _indices([2.5, 2.5, 0], Beyond("2 of 3", 2, 3, 2.0)) == [1]
    assert _indices([2.5, 2.5, -2.5], Beyond("2 of 3", 2, 3, 2.0)) == [1]


def test_answers_come_by_index_and_then_as_in_the_set() -> None:
    found = violations([3.5, 3.5, 0, -1], 0, 1, DXA)
    assert found == [("1_3s", 0), ("1_3s", 1), ("2_2s", 1)]
    assert violations([3.5, 3.5], 0, 1, DXA[::-1]) == [("1_3s", 0), ("2_2s", 1), ("1_3s", 1)]


def test_distances_are_in_sigmas_from_the_target() -> None:
    assert violations([10.5, 11.75, 8.0], 10, 0.5, (Beyond("1_3s", 1, 1, 3.0),)) == [("1_3s", 1), ("1_3s", 2)]
    assert violations([11.5, 8.5], 10, 0.5, (Beyond("1_3s", 1, 1, 3.0),)) == []


def test_a_series_without_points_breaks_no_rule() -> None:
    assert violations([], 0, 1, NELSON) == []


def test_a_tolerance_is_a_rule_at_its_distance() -> None:
    assert beyond_tolerance(1.5, 0.6) == (Beyond("tolerance", 1, 1, 2.5),)
    assert violations([2.5, -2.5, 2.51, -2.51], 0, 1, beyond_tolerance(1.5, 0.6)) == [
        ("tolerance", 2),
        ("tolerance", 3),
    ]


def test_the_last_point_that_is_on_a_limit() -> None:
    edge = 4 * (1 + 1e-12)
    rules = (Beyond("beyond", 1, 1, 4.0), Range("range", 4.0), Within("within", 2, 4.0), Mixture("mixture", 2, 4.0))
    assert violations([0.0, edge], 0, 1, rules) == [("within", 1)]
    assert violations([0.0, math.nextafter(edge, 5)], 0, 1, rules) == [("beyond", 1), ("range", 1)]
    assert violations([-edge, edge], 0, 1, rules) == [("range", 1), ("within", 1)]


# Refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Beyond("r", 0, 3, 1.0), r"r: count = 0 is not in \[1, 3\]"),
        (lambda: Beyond("r", 4, 3, 1.0), r"r: count = 4 is not in \[1, 3\]"),
        (lambda: Beyond("r", 1, 1, -0.1), r"r: level = -0\.1"),
        (lambda: Beyond("r", 1, 1, math.nan), "r: level = nan"),
        (lambda: Beyond("r", 1, 1, math.inf), "r: level = inf"),
        (lambda: Range("r", 0.0), r"r: width = 0\.0"),
        (lambda: Range("r", math.nan), "r: width = nan"),
        (lambda: Range("r", math.inf), "r: width = inf"),
        (lambda: Trend("r", 1), "r: count = 1 is below 2"),
        (lambda: Alternation("r", 2), "r: count = 2 is below 3"),
        (lambda: Within("r", 0, 1.0), "r: count = 0 is below 1"),
        (lambda: Within("r", 1, -1.0), r"r: level = -1\.0"),
        (lambda: Mixture("r", 1, 1.0), "r: count = 1 is below 2"),
        (lambda: Mixture("r", 2, math.nan), "r: level = nan"),
        (lambda: beyond_tolerance(0.0, 0.5), r"tolerance_percent = 0\.0"),
        (lambda: beyond_tolerance(math.inf, 0.5), "tolerance_percent = inf"),
        (lambda: beyond_tolerance(1.5, 0.0), r"cv_percent = 0\.0"),
        (lambda: beyond_tolerance(-1.5, -0.5), r"tolerance_percent = -1\.5"),
        (lambda: beyond_tolerance(1.5, math.nan), "cv_percent = nan"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        build()


def test_the_least_of_each_rule_is_accepted() -> None:
    least = (
        Beyond("one", 1, 1, 0.0),
        Trend("trend", 2),
        Alternation("turn", 3),
        Within("zero", 1, 0.0),
        Mixture("mix", 2, 0.0),
    )
    found = [("one", 0), ("one", 1), ("trend", 1), ("mix", 1), ("trend", 2), ("turn", 2), ("zero", 2)]
    assert violations([1, -1, 0], 0, 1, least) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, math.nan], 0, 1, DXA), r"x\[1\] = nan"),
        (([math.inf], 0, 1, DXA), r"x\[0\] = inf"),
        (([0.0, 0.0, True], 0, 1, DXA), r"x\[2\] = True"),
        (([[0.0], [0.0]], 0, 1, DXA), r"x\[0\] = \[0\.0\]"),
        ((np.zeros((2, 2)), 0, 1, DXA), r"x has shape \(2, 2\)"),
        (([0.0, 1e308], 0, 1e-3, DXA), r"x\[1\] = 1e\+308 is no finite number of sigmas from 0"),
        (([0.0], math.nan, 1, DXA), "target = nan"),
        (([0.0], math.inf, 1, DXA), "target = inf"),
        (([0.0], -math.inf, 1, DXA), "target = -inf"),
        (([0.0], 0, 0.0, DXA), r"sigma = 0\.0"),
        (([0.0], 0, math.inf, DXA), "sigma = inf"),
        (([0.0], 0, math.nan, DXA), "sigma = nan"),
        (([0.0], 0, 1, ()), r"rules = \[\]"),
        (([0.0], 0, 1, (*DXA, Trend("10x", 6))), "rules = .*'10x', '10x'"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        violations(*arguments)


# Laws


@given(series, rules, st.booleans())
def test_a_rule_means_what_its_definition_says(z: list[float], rule: Rule, full_window: bool) -> None:  # noqa: FBT001
    expected = [i for i in range(len(z)) if brute_force(rule, z, i, full_window=full_window)]
    assert _indices(z, rule, full_window=full_window) == expected


@given(series, rules)
def test_a_mirrored_series_breaks_the_same_rules(z: list[float], rule: Rule) -> None:
    assert _indices([-value for value in z], rule) == _indices(z, rule)


@given(st.lists(st.integers(-40, 40), max_size=30), st.integers(-30, 30), rules)
def test_the_unit_of_x_does_not_matter(x: list[int], exponent: int, rule: Rule) -> None:
    unit = 2.0**exponent  # a power of two: exact
    scaled = violations([value * unit for value in x], 1.25 * unit, 7 * unit, (rule,))
    assert scaled == violations(x, 1.25, 7, (rule,))


@given(series, beyonds)
def test_a_stricter_rule_signals_no_sooner(z: list[float], rule: Beyond) -> None:
    found = set(_indices(z, rule))
    assert set(_indices(z, Beyond("", rule.count, rule.window, rule.level + 0.5))) <= found
    assert set(_indices(z, Beyond("", rule.count + 1, rule.window + 1, rule.level))) <= found
    assert set(_indices(z, Beyond("", rule.count, rule.window + 1, rule.level))) >= found


@given(series, rules)
def test_a_full_window_only_delays_the_start(z: list[float], rule: Rule) -> None:
    size = rule.window if isinstance(rule, Beyond) else 1
    assert _indices(z, rule, full_window=True) == [i for i in _indices(z, rule) if i + 1 >= size]


@given(st.lists(halves, min_size=1, max_size=30), beyonds, st.integers(0, 8))
def test_points_above_the_centre_that_rise_signal_still(z: list[float], rule: Beyond, more: int) -> None:
    above = [abs(value) for value in z]
    assert set(_indices(above, rule)) <= set(_indices([value + more / 2 for value in above], rule))


@given(series)
def test_neighbours_make_the_range(z: list[float]) -> None:
    expected = [i for i, (a, b) in enumerate(pairwise(z), start=1) if not -4 <= b - a <= 4]
    assert _indices(z, Range("R_4s", 4.0)) == expected
