"""Run rules: patterns of points on a Shewhart chart that a chance series seldom shows.

Distances are in sigmas from the centre line. The conventions, which differ between books and programs:

- A point is beyond a level when it is strictly farther; a point on a limit is not beyond it (R qcc).
- A point is on a limit when it agrees with it to 12 significant digits: a scan that reads exactly 3 sigmas off
  would otherwise be beyond the limit or not by the last bit of a division. So a level is passed by
  ``z > level * (1 + 1e-12)``, which floats and arrays compute alike, and the range's width likewise; on the centre
  line is 0 alone. z itself is nowhere rounded.
- Points count together only on one side of the centre line; a point on the centre line is on no side.
- A rule signals at a point only if that point itself takes part in the pattern (R qcc).
- At the start a rule judges the points there are: two beyond 2 sigmas are "2 of 3" at the second point of a
  series (Champ and Woodall [1]_). With `full_window` it waits for the third, as in R qcc. This concerns `Beyond`
  alone: the other patterns need all their points.
- A pattern that goes on signals at every point of it. No signal resets anything.

Other counts need no code: the 8x and 12x of some laboratories are ``Beyond("8x", 8, 8, 0.0)`` and
``Beyond("12x", 12, 12, 0.0)``.

References
----------
.. [1] C. W. Champ and W. H. Woodall, "Exact results for Shewhart control charts with supplementary runs rules",
   Technometrics 29 (1987) 393-399.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import inf, nan
from typing import Any, Final, TypeAlias

from qa_models.series import Series, finite_series, positive_number
from qa_models.standardise import refuse_centre, sigmas_from_target

ON_LIMIT: Final = 1 + 1e-12
"""How many times a level a point is still on it, and not beyond."""

Points: TypeAlias = Sequence[Any]
"""Latest points in sigmas, oldest first; NaN where there was none yet, which no rule counts.

A point is a float, or a NumPy array that holds the same point of many windows: each rule is written once, with
operators that both understand, and so a streamed and a replayed chart cannot disagree.
"""


def _refuse_count(name: str, count: int, *, at_least: int) -> None:
    if count < at_least:
        raise ValueError(f"{name}: count = {count!r} is below {at_least}")


def _refuse_level(name: str, level: float) -> None:
    if not 0 <= level < inf:
        raise ValueError(f"{name}: level = {level!r} is negative or not finite")


@dataclass(frozen=True, slots=True)
class Beyond:
    """Of the last `window` points at least `count`, the newest among them, lie beyond `level` on one side.

    Parameters
    ----------
    name
        Name under which the rule is reported.
    count, window
        Points that must lie beyond, of how many; 1 <= count <= window.
    level
        Distance in sigmas, >= 0; 0 is the centre line (a point on it is on no side).
    warning
        Whether the rule only warns: it is reported but is no signal.
    """

    name: str
    count: int
    window: int
    level: float
    warning: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.window:
            raise ValueError(f"{self.name}: count = {self.count!r} is not in [1, {self.window!r}], the window")
        _refuse_level(self.name, self.level)


@dataclass(frozen=True, slots=True)
class Range:
    """Two consecutive points differ by more than `width` sigmas, width > 0."""

    name: str
    width: float
    warning: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.width < inf:
            raise ValueError(f"{self.name}: width = {self.width!r} is not positive and finite")


@dataclass(frozen=True, slots=True)
class Trend:
    """The last `count` points rise strictly, or fall strictly; count >= 2."""

    name: str
    count: int
    warning: bool = False

    def __post_init__(self) -> None:
        _refuse_count(self.name, self.count, at_least=2)


@dataclass(frozen=True, slots=True)
class Alternation:
    """The last `count` points go up and down in turn, strictly; count >= 3."""

    name: str
    count: int
    warning: bool = False

    def __post_init__(self) -> None:
        _refuse_count(self.name, self.count, at_least=3)


@dataclass(frozen=True, slots=True)
class Within:
    """The last `count` points all lie on or within `level` sigmas of the centre line (too quiet to be true).

    count >= 1, level >= 0.
    """

    name: str
    count: int
    level: float
    warning: bool = False

    def __post_init__(self) -> None:
        _refuse_count(self.name, self.count, at_least=1)
        _refuse_level(self.name, self.level)


@dataclass(frozen=True, slots=True)
class Mixture:
    """The last `count` points all lie beyond `level`, some above and some below; count >= 2, level >= 0."""

    name: str
    count: int
    level: float
    warning: bool = False

    def __post_init__(self) -> None:
        _refuse_count(self.name, self.count, at_least=2)
        _refuse_level(self.name, self.level)


Rule: TypeAlias = Beyond | Range | Trend | Alternation | Within | Mixture
RuleSet: TypeAlias = tuple[Rule, ...]

WESTERN_ELECTRIC: Final[RuleSet] = (
    Beyond("we_1", 1, 1, 3.0),
    Beyond("we_2", 2, 3, 2.0),
    Beyond("we_3", 4, 5, 1.0),
    Beyond("we_4", 8, 8, 0.0),
)
"""Western Electric, Statistical Quality Control Handbook (1956): four rules, 8 in a row on one side."""

NELSON: Final[RuleSet] = (
    Beyond("nelson_1", 1, 1, 3.0),
    Beyond("nelson_2", 9, 9, 0.0),
    Trend("nelson_3", 6),
    Alternation("nelson_4", 14),
    Beyond("nelson_5", 2, 3, 2.0),
    Beyond("nelson_6", 4, 5, 1.0),
    Within("nelson_7", 15, 1.0),
    Mixture("nelson_8", 8, 1.0),
)
"""L. S. Nelson, "The Shewhart control chart: tests for special causes", J. Quality Technology 16 (1984)."""

WESTGARD: Final[RuleSet] = (
    Beyond("1_2s", 1, 1, 2.0, warning=True),
    Beyond("1_3s", 1, 1, 3.0),
    Beyond("2_2s", 2, 2, 2.0),
    Range("R_4s", 4.0),
    Beyond("4_1s", 4, 4, 1.0),
    Beyond("10x", 10, 10, 0.0),
)
"""J. O. Westgard et al., "A multi-rule Shewhart chart", Clin. Chem. 27 (1981). R_4s was meant for two controls of
one run; with one phantom a day it is applied to consecutive scans."""

DXA: Final[RuleSet] = (
    Beyond("1_3s", 1, 1, 3.0),
    Beyond("2_2s", 2, 2, 2.0),
    Range("R_4s", 4.0),
    Beyond("4_1s", 4, 4, 1.0),
    Beyond("10x", 10, 10, 0.0),
)
"""The five rules applied to DXA phantoms by Y. Lu et al., J. Bone Miner. Res. 11 (1996) 626-637."""

RULE_SETS: Final[dict[str, RuleSet]] = {
    "dxa": DXA,
    "western_electric": WESTERN_ELECTRIC,
    "westgard": WESTGARD,
    "nelson": NELSON,
}
"""The sets above by the names that configuration and documents use."""


def beyond_tolerance(tolerance_percent: float, cv_percent: float) -> RuleSet:
    """Return a tolerance as a rule set: one point farther from the centre line than the tolerance.

    Parameters
    ----------
    tolerance_percent
        Half-width of the tolerance in percent of the mean, > 0.
    cv_percent
        Sigma in percent of the mean, > 0.

    Raises
    ------
    ValueError
        If either is not positive and finite.

    Examples
    --------
    >>> beyond_tolerance(1.5, 0.5)
    (Beyond(name='tolerance', count=1, window=1, level=3.0, warning=False),)
    """
    tolerance = positive_number(tolerance_percent, "tolerance_percent")
    return (Beyond("tolerance", 1, 1, tolerance / positive_number(cv_percent, "cv_percent")),)


def violations(
    x: Series, target: float, sigma: float, rules: RuleSet, *, full_window: bool = False
) -> list[tuple[str, int]]:
    """Find where a series breaks run rules.

    Parameters
    ----------
    x
        Series, shape ``(n,)``, oldest first.
    target
        Centre line, in the unit of x.
    sigma
        Standard deviation, same unit, > 0.
    rules
        Rules to apply, e.g. `WESTERN_ELECTRIC`.
    full_window
        Whether a rule waits at the start until it has seen as many points as its window.

    Returns
    -------
    list of (str, int)
        Name of the rule and index (from 0) of the point, ordered by index, then as in the rule set.

    Raises
    ------
    ValueError
        If x is not one-dimensional or has a value that is not a finite number of sigmas from the target; if
        target, sigma or the rule set is no such thing.

    Examples
    --------
    >>> violations([1.000, 1.011, 1.012, 1.001, 0.984], 1.000, 0.005, WESTERN_ELECTRIC)
    [('we_2', 2), ('we_1', 4)]

    References
    ----------
    .. [1] Western Electric Co., "Statistical Quality Control Handbook" (1956).
    .. [2] D. C. Montgomery, "Introduction to Statistical Quality Control", sensitizing rules for Shewhart charts.
    """
    refuse_rules(rules)
    refuse_centre(target, sigma)
    centre, unit = float(target), float(sigma)
    z = [sigmas_from_target(value, centre, unit, f"x[{i}]") for i, value in enumerate(finite_series(x, at_least=0))]
    longest = longest_window(rules)
    points = [nan] * (longest - 1) + z
    return [
        (rule.name, i)
        for i in range(len(z))
        for rule in rules
        if fires(rule, points[i : i + longest], full_window=full_window)
    ]


def longest_window(rules: RuleSet) -> int:
    """Return how many points the rules look at, the newest included."""
    return max(_window(rule) for rule in rules)


def fires(rule: Rule, points: Points, *, full_window: bool) -> Any:
    """Whether the rule signals at the newest of the points, at least as many as its window: a bool or an array."""
    points = points[-_window(rule) :]
    if full_window:
        return _shows(points, rule) & (points[0] > -inf)  # false for NaN: there was no such point yet
    return _shows(points, rule)


def _window(rule: Rule) -> int:
    match rule:
        case Beyond():
            return rule.window
        case Range():
            return 2
        case _:
            return rule.count


def _shows(points: Points, rule: Rule) -> Any:
    """Whether the points, as many as the rule's window, show its pattern."""
    match rule:
        case Beyond():
            return _some((sum(side) >= rule.count) & side[-1] for side in _beyond(points, rule.level))
        case Range():
            return abs(points[1] - points[0]) > rule.width * ON_LIMIT
        case Trend():
            return _some(_every(steps) for steps in _steps(points))
        case Alternation():
            rises, falls = _steps(points)
            return _every(rises[::2] + falls[1::2]) | _every(falls[::2] + rises[1::2])
        case Within():
            return _every([abs(z) <= rule.level * ON_LIMIT for z in points])
        case Mixture():
            above, below = _beyond(points, rule.level)
            return _every(map(operator.or_, above, below)) & _some(above) & _some(below)


def _beyond(points: Points, level: float) -> tuple[list[Any], list[Any]]:
    """Mark the points above the level, and those below it on the other side."""
    edge = level * ON_LIMIT
    return [z > edge for z in points], [z < -edge for z in points]


def _steps(points: Points) -> tuple[list[Any], list[Any]]:
    """Mark the steps that rise, and those that fall."""
    return [a < b for a, b in pairwise(points)], [a > b for a, b in pairwise(points)]


def _every(marks: Iterable[Any]) -> Any:
    return reduce(operator.and_, marks)


def _some(marks: Iterable[Any]) -> Any:
    return reduce(operator.or_, marks)


def refuse_rules(rules: RuleSet) -> None:
    """Raise a ValueError unless there are rules and each has a name of its own."""
    names = [rule.name for rule in rules]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"rules = {names!r} is not one rule or more, each with a name of its own")
