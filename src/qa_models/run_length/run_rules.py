"""Run lengths of Shewhart charts with run rules, by the Markov chain of what the rules remember.

Between the rules' levels no point differs from another, but for the range rule. So what the rules remember makes
the states, and where the next point's distance to the last one matters, the last one is integrated over.
"""

import math
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy.interpolate import BarycentricInterpolator
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import spsolve
from scipy.special import ndtr

from qa_models.run_length.absorbing import Array, expected_steps, gauss_legendre, nodes_between, normal_pdf
from qa_models.run_rules import Beyond, Mixture, Range, RuleSet, Within

FAR_SIGMAS: Final = 9.0
"""How far from the mean points are followed (2e-19 are farther) when the range rule alone bounds them."""

MAX_STATES: Final = 4_000
"""A chart that remembers more is simulated sooner than solved."""

MAX_CUTS: Final = 200
"""Places where the rules tell points apart; a very narrow range rule makes them without end."""

CLOSE: Final = 1e-9
"""Sums of levels and widths that are nearer than this differ by rounding."""

LONGEST_WITH_RANGE: Final = 1e9
"""Beyond it the equations of a chart with a range rule lose their digits."""

TOO_RARE: Final = f"with a range rule, run lengths up to {LONGEST_WITH_RANGE:g} are computed; this one is longer"

NODES: Final = 8
NODES_PER_SIGMA: Final = 4
"""Gauss-Legendre nodes on which a run length, as a function of the last point, is known to 10 digits."""

Followed: TypeAlias = Beyond | Within | Mixture
"""A rule whose memory is a few small numbers."""

State: TypeAlias = tuple[tuple[tuple[int, ...], ...], int | None]
"""What each rule remembers (last: the points so far, while windows fill), and the piece of the last point if its
distance to the next one can matter."""


def shewhart_arl(rules: RuleSet, shift: float, *, full_window: bool = False) -> float:
    """Return the average run length of a Shewhart chart with run rules.

    Parameters
    ----------
    rules
        Rules of `qa_models.run_rules`; those that only warn are left out of account.
    shift
        True mean minus target, in sigmas, from the first observation on; 0 gives ARL0.
    full_window
        Whether a rule waits until its window is full. By default two points beyond two sigmas signal even if
        they are the first two, as in the published run lengths [1]_.

    Returns
    -------
    float
        Expected number of observations up to and with the signal, >= 1; good to 9 digits or more.

    Raises
    ------
    ValueError
        If no rule signals; if one looks for trends or alternations, which have no exact run length here, or
        the rules together remember too much (simulate those); if shift is not finite.

    Examples
    --------
    >>> from qa_models.run_rules import WESTERN_ELECTRIC
    >>> round(shewhart_arl(WESTERN_ELECTRIC, 0), 2), round(shewhart_arl(WESTERN_ELECTRIC, 1), 2)
    (91.75, 9.22)

    References
    ----------
    .. [1] C. W. Champ and W. H. Woodall, "Exact results for Shewhart control charts with supplementary runs
       rules", Technometrics 29 (1987) 393-399.
    """
    if not -math.inf < shift < math.inf:
        raise ValueError(f"shift = {shift!r} is not finite")
    followed, width = _followed(rules)
    stay, leave = _Chain(followed, width, shift, full_window=full_window).steps()
    if width == math.inf:
        return float(expected_steps(stay.toarray(), leave)[0])
    length = float(spsolve((eye_array(len(leave)) - stay).tocsc(), np.ones(len(leave)))[0])
    if not 1 - CLOSE <= length <= LONGEST_WITH_RANGE:
        raise ValueError(TOO_RARE)
    return max(1.0, length)


def _followed(rules: RuleSet) -> tuple[tuple[Followed, ...], float]:
    """Return the rules that remember a few numbers, and the width of the narrowest range rule."""
    signalling = [rule for rule in rules if not rule.warning]
    if not signalling:
        raise ValueError("no rule signals: the run length has no end")
    followed = tuple(rule for rule in signalling if isinstance(rule, Beyond | Within | Mixture))
    # No two points that the narrowest limits let pass are farther apart than these are wide.
    reach = 2 * min((r.level for r in followed if isinstance(r, Beyond) and r.window == 1), default=math.inf)
    widths = [rule.width for rule in signalling if isinstance(rule, Range) and rule.width < reach]
    for rule in signalling:
        if rule not in followed and not isinstance(rule, Range):
            raise ValueError(f"{rule.name} compares sizes of many points: no exact run length, simulate it")
    width = min(widths, default=math.inf)
    if 2 * FAR_SIGMAS <= width < math.inf:
        raise ValueError(TOO_RARE)
    return followed, width


class _Piece(NamedTuple):
    """An interval of distances that all rules but the range rule see alike."""

    low: float
    high: float
    nodes: Array  # where run lengths are known; empty where they do not depend on the point
    densities: Array  # of points at the nodes, times the nodes' weights

    @property
    def middle(self) -> float:
        return max(self.low, -1e9) / 2 + min(self.high, 1e9) / 2


_NOWHERE: Final = (np.empty(0), np.empty(0))
"""Nodes and densities of a piece on which run lengths do not depend on the point."""


class _Chain:
    """The states that rules can be in, and the steps between them."""

    def __init__(self, rules: tuple[Followed, ...], width: float, shift: float, *, full_window: bool) -> None:
        self.rules, self.width, self.shift = rules, width, shift
        self.wait = max((_window(rule) for rule in rules), default=1) - 1 if full_window else 0
        self.pieces = self._cut()
        self.start: State = ((*((0, 0, 0) for _ in rules), (0,)), None)
        self.moves = self._walk()

    def steps(self) -> tuple[csc_array, Array]:
        """Return the probabilities of steps between states and of signals; the start is the first state."""
        places, size = {}, 0
        for state in self.moves:
            places[state] = np.arange(size, size := size + self._size(state))
        ways = {p: [self._way(p, q) for q in self.pieces] for p in {state[1] for state in self.moves}}
        blocks, leave = [], np.zeros(size)
        for state, targets in self.moves.items():
            here = places[state]
            for way, target in zip(ways[state[1]], targets, strict=True):
                if target is None:
                    leave[here] += way.sum(axis=1)
                else:
                    rows, columns = np.meshgrid(here, places[target], indexing="ij")
                    blocks.append((way.ravel(), rows.ravel(), columns.ravel()))
        blocks.append((np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64)))  # where nothing stays
        values, rows, columns = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return csc_array((values, (rows, columns)), shape=(size, size)), leave

    def _size(self, state: State) -> int:
        return 1 if state[1] is None else len(self.pieces[state[1]].nodes)

    def _cut(self) -> list[_Piece]:
        """Cut the line where rules tell points apart, and where the range rule's reach begins or ends."""
        levels = {rule.level for rule in self.rules}
        cuts = {-math.inf, math.inf} | levels | {-level for level in levels}
        if self.width == math.inf:
            return [_Piece(low, high, *_NOWHERE) for low, high in pairwise(sorted(cuts))]
        alone = min((r.level for r in self.rules if isinstance(r, Beyond) and r.window == 1), default=math.inf)
        low, high = max(-alone, self.shift - FAR_SIGMAS), min(alone, self.shift + FAR_SIGMAS)
        if low >= high:  # hardly a point is let pass
            return [_Piece(-math.inf, alone, *_NOWHERE), _Piece(alone, math.inf, *_NOWHERE)]
        inner = [self._piece(*ends, low, high) for ends in pairwise(self._live(cuts, low, high))]
        return [*inner, _Piece(-math.inf, low, *_NOWHERE), _Piece(high, math.inf, *_NOWHERE)]

    def _live(self, cuts: set[float], low: float, high: float) -> list[float]:
        """Return the cuts between low and high with all that the range rule's reach adds to them."""
        live, new = set[float](), {low, high} | {cut for cut in cuts if low < cut < high}
        while new:
            live |= new
            if len(live) > MAX_CUTS:
                raise ValueError(f"a range of {self.width!r} sigmas is too narrow for these rules: simulate them")
            reached = {cut + side * self.width for cut in new for side in (1, -1)}
            new = {c for c in reached if low < c < high and all(abs(c - cut) > CLOSE for cut in live)}
            new = {c for c in new if not any(0 < c - other <= CLOSE for other in new)}
        return sorted(live)

    def _piece(self, low: float, high: float, lowest: float, highest: float) -> _Piece:
        if low + self.width >= highest and high - self.width <= lowest:
            return _Piece(low, high, *_NOWHERE)
        half = (high - low) / 2
        x, w = gauss_legendre(math.ceil(NODES + NODES_PER_SIGMA * (high - low)))
        nodes, weights = low + half * (x + 1), half * w
        return _Piece(low, high, nodes, weights * normal_pdf(nodes - self.shift))

    def _walk(self) -> dict[State, list[State | None]]:
        """Return, for every state that can be reached, the state after a point in each piece (None: a signal)."""
        moves: dict[State, list[State | None]] = {}
        waiting = [self.start]
        while waiting:
            state = waiting.pop()
            if state in moves:
                continue
            moves[state] = [self._after(state, i) for i in range(len(self.pieces))]
            waiting += [target for target in moves[state] if target is not None]
            if len(moves) > MAX_STATES:
                raise ValueError(f"these rules have more than {MAX_STATES} states: simulate their run length")
        return moves

    def _after(self, state: State, piece: int) -> State | None:
        *memories, (seen,) = state[0]
        remembered = []
        for rule, memory in zip(self.rules, memories, strict=True):
            new, met = _remember(rule, memory, self.pieces[piece].middle)
            if met and (not self.wait or seen + 1 >= _window(rule)):
                return None
            remembered.append(new)
        at = piece if len(self.pieces[piece].nodes) else None
        return (*remembered, (min(seen + 1, self.wait),)), at

    def _way(self, start: int | None, piece: _Piece) -> Array:
        """Return probabilities from the nodes of one piece to those of another, a row for each of the former."""
        if start is None:
            return self._onto(piece, piece.low, piece.high)[None, :]
        return np.array(
            [
                self._onto(piece, max(piece.low, last - self.width), min(piece.high, last + self.width))
                for last in self.pieces[start].nodes
            ]
        )

    def _onto(self, piece: _Piece, low: float, high: float) -> Array:
        """Return probabilities of a point between low and high, shared among the nodes of its piece."""
        if not len(piece.nodes):
            return np.array([self._probability(low, high) if low < high else 0.0])
        if (low, high) == (piece.low, piece.high):
            return piece.densities
        if low >= high:
            return np.zeros(len(piece.nodes))
        points, weights = nodes_between(low, high)
        shares = BarycentricInterpolator(piece.nodes, np.eye(len(piece.nodes)))(points)
        onto: Array = (weights * normal_pdf(points - self.shift)) @ shares
        return onto

    def _probability(self, low: float, high: float) -> float:
        low, high = low - self.shift, high - self.shift
        if low > 0:
            low, high = -high, -low
        return float(ndtr(high) - ndtr(low))


def _window(rule: Followed) -> int:
    return rule.window if isinstance(rule, Beyond) else rule.count


def _remember(rule: Followed, memory: tuple[int, ...], z: float) -> tuple[tuple[int, ...], bool]:
    """Return what a rule remembers after a point at z sigmas, and whether the rule is met."""
    match rule:
        case Beyond():
            above, met_above = _shifted(rule, memory[0], beyond=z > rule.level)
            below, met_below = _shifted(rule, memory[1], beyond=-z > rule.level)
            return (above, below, 0), met_above or met_below
        case Within():
            run = memory[0] + 1 if abs(z) <= rule.level else 0
            return (min(run, rule.count - 1), 0, 0), run >= rule.count
        case Mixture():
            if abs(z) <= rule.level:
                return (0, 0, 0), False
            side, run = (1 if z > 0 else -1), memory[0] + 1
            streak = memory[1] + 1 if side == memory[2] else 1
            most = rule.count - 1
            return (min(run, most), min(streak, most), side), run >= rule.count and streak < rule.count


def _shifted(rule: Beyond, bits: int, *, beyond: bool) -> tuple[int, bool]:
    """Return the last points' bits after one more, without those that can no longer matter, and if it is met.

    The lowest bit is the newest point. An old one matters only if, with all that may still come while it is in
    the window, there can be enough.
    """
    bits = bits << 1 | beyond
    met = beyond and bits.bit_count() >= rule.count
    kept = 0
    for age in range(rule.window - 1):
        newer = (bits & ((2 << age) - 1)).bit_count()
        if bits >> age & 1 and newer + rule.window - 1 - age >= rule.count:
            kept |= 1 << age
    return kept, met
