"""Run rules: patterns of points on a Shewhart chart that a chance series seldom shows.

Distances are in sigmas from the centre line. A point is beyond a level when it is strictly farther; a point on
a limit is not beyond it. A rule signals at a point only if that point itself takes part in the pattern.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias


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


@dataclass(frozen=True, slots=True)
class Range:
    """Two consecutive points differ by more than `width` sigmas."""

    name: str
    width: float
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Trend:
    """The last `count` points rise strictly, or fall strictly."""

    name: str
    count: int
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Alternation:
    """The last `count` points go up and down in turn, strictly."""

    name: str
    count: int
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Within:
    """The last `count` points all lie on or within `level` sigmas of the centre line (too quiet to be true)."""

    name: str
    count: int
    level: float
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Mixture:
    """The last `count` points all lie beyond `level`, some above and some below."""

    name: str
    count: int
    level: float
    warning: bool = False


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
