"""Run lengths of the tabular CUSUM, by integral equations that hold to the last digits."""

import math
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from qa_models.run_length.absorbing import Array, expected_steps, nodes_between, normal_pdf

MAX_STAGES: Final = 20_000
"""Scans for which two head starts can keep both sums above zero; the chance of more is nil."""


def cusum_arl(k: float, h: float, shift: float, *, head_start: float = 0.0, two_sided: bool = True) -> float:
    """Return the average run length of a tabular CUSUM.

    Page's integral equation is solved on Gauss-Legendre nodes with elimination free of subtraction, so that
    the figure is good to 8 digits or more from a run length of 1 to one of 1e300 [1]_. Both sides are combined
    exactly, with head starts too [2]_.

    Parameters
    ----------
    k
        Reference value in sigmas, >= 0.
    h
        Decision interval in sigmas, > 0.
    shift
        True mean minus target, in sigmas, from the first observation on; 0 gives ARL0. Positive shifts are
        the upper sum's.
    head_start
        Where the sums start, in sigmas, in [0, h).
    two_sided
        Whether the lower sum signals too.

    Returns
    -------
    float
        Expected number of observations up to and with the signal, >= 1; infinite beyond 1e308.

    Raises
    ------
    ValueError
        If a parameter is out of its range or not finite.

    Examples
    --------
    >>> round(cusum_arl(0.5, 5, 0), 3), round(cusum_arl(0.5, 5, 0, two_sided=False), 3)
    (465.444, 930.887)
    >>> round(cusum_arl(0.5, 4, 1, head_start=2), 6)
    5.286886

    References
    ----------
    .. [1] E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954) 100-115.
    .. [2] J. M. Lucas and R. B. Crosier, "Fast initial response for CUSUM quality-control schemes",
       Technometrics 24 (1982) 199-205.
    """
    _refuse(k, h, shift, head_start)
    upper = _OneSided.solve(k, h, shift)
    if not two_sided:
        return upper.from_sum(head_start)
    lower = upper if shift == 0 else _OneSided.solve(k, h, -shift)
    return _both_from(head_start, upper, lower)


def cusum_h(k: float, arl0: float, *, head_start_fraction: float = 0.0, two_sided: bool = True) -> float:
    """Return the decision interval that gives a wanted ARL0.

    Parameters
    ----------
    k
        Reference value in sigmas, >= 0.
    arl0
        Wanted in-control average run length, in observations.
    head_start_fraction
        Head start as a part of h, in [0, 1); 0.5 is the 50 % fast initial response.
    two_sided
        Whether the lower sum signals too.

    Returns
    -------
    float
        h in sigmas, > 0.

    Raises
    ------
    ValueError
        If k is negative, a value is not finite, or no positive h has an ARL0 that short.

    Examples
    --------
    >>> round(cusum_h(0.5, 465.443506), 6), round(cusum_h(0.5, 370.4), 4)
    (5.0, 4.7749)
    """
    if not 0 <= k < math.inf:
        raise ValueError(f"k = {k!r} is negative or not finite")
    if not 0 <= head_start_fraction < 1:
        raise ValueError(f"head_start_fraction = {head_start_fraction!r} is not in [0, 1)")

    def arl(h: float) -> float:
        return cusum_arl(k, h, 0.0, head_start=head_start_fraction * h, two_sided=two_sided)

    low, high = 1e-9, 1.0
    if not arl(low) < arl0 < math.inf:
        raise ValueError(f"arl0 = {arl0!r} is not above {arl(low):g}, the least with k = {k!r}, or not finite")
    while arl(high) < arl0:
        low, high = high, 2 * high
    return float(brentq(lambda h: math.log(arl(h) / arl0), low, high, xtol=1e-12, rtol=1e-14))


class _OneSided(NamedTuple):
    """A one-sided CUSUM that is solved: its run lengths from every start."""

    k: float
    h: float
    shift: float
    nodes: Array
    weights: Array
    steps: Array  # from a sum of zero, then from each node

    @classmethod
    def solve(cls, k: float, h: float, shift: float) -> "_OneSided":
        nodes, weights = nodes_between(0.0, h)
        sums = np.concatenate(([0.0], nodes))
        stay, leave = upper_sum_steps(sums, nodes, weights, k - shift, h)
        return cls(k, h, shift, nodes, weights, expected_steps(stay, leave))

    @property
    def from_zero(self) -> float:
        return float(self.steps[0])

    def from_sum(self, start: float) -> float:
        return float(self.from_sums(np.array([start]))[0])

    def from_sums(self, starts: Array) -> Array:
        if math.isinf(self.from_zero):
            return np.full(len(starts), math.inf)
        stay, _ = upper_sum_steps(starts, self.nodes, self.weights, self.k - self.shift, self.h)
        steps: Array = 1 + stay @ self.steps
        return steps


def upper_sum_steps(sums: Array, nodes: Array, weights: Array, drift: float, h: float) -> tuple[Array, Array]:
    """Return the probabilities of a step from each sum to zero and to each node, and of a signal.

    `drift` is what a step takes from the sum on average: k minus the shift.
    """
    stay = np.empty((len(sums), len(nodes) + 1))
    stay[:, 0] = ndtr(drift - sums)
    stay[:, 1:] = weights * normal_pdf(nodes + drift - sums[:, None])
    return stay, ndtr(sums - h - drift)


def _both_from(head_start: float, upper: _OneSided, lower: _OneSided) -> float:
    """Return the two-sided run length with both sums at the head start.

    Together the sums lose 2k a step while neither is cut at zero, so a signal of one finds the other at zero
    as soon as they add up to no more than h + 2k, and from there on the sides combine by their own run
    lengths. Before that, both are followed step by step.
    """
    k, h, shift = upper.k, upper.h, upper.shift
    if 2 * head_start <= h + 2 * k:
        start = np.array([head_start])
        return float(_combined(start, start, upper, lower)[0])
    alive, total, steps = np.array([1.0]), 2 * head_start, 0.0
    at = np.array([head_start])
    for _ in range(MAX_STAGES):
        steps += float(alive.sum())
        total -= 2 * k
        nodes, weights = nodes_between(total - h, h)
        alive = (alive @ normal_pdf(nodes - at[:, None] + k - shift)) * weights
        at = nodes
        if total <= h + 2 * k:
            return steps + float(alive @ _combined(at, total - at, upper, lower))
        if alive.sum() < 1e-17:
            break
    return steps


def _combined(upper_starts: Array, lower_starts: Array, upper: _OneSided, lower: _OneSided) -> Array:
    """Return two-sided run lengths from sums that add up to no more than h + 2k (Lucas and Crosier)."""
    if math.isinf(upper.from_zero) and math.isinf(lower.from_zero):
        return np.full(len(upper_starts), math.inf)
    parts = np.full(len(upper_starts), -1.0)
    rate = 0.0
    for side, starts in ((upper, upper_starts), (lower, lower_starts)):
        zero = side.from_zero
        parts += 1.0 if math.isinf(zero) else side.from_sums(starts) / zero
        rate += 1 / zero
    return parts / rate


def _refuse(k: float, h: float, shift: float, head_start: float) -> None:
    if not 0 <= k < math.inf:
        raise ValueError(f"k = {k!r} is negative or not finite")
    if not 0 < h < math.inf:
        raise ValueError(f"h = {h!r} is not positive and finite")
    if not -math.inf < shift < math.inf:
        raise ValueError(f"shift = {shift!r} is not finite")
    if not 0 <= head_start < h:
        raise ValueError(f"head_start = {head_start!r} is not in [0, h) with h = {h!r}")
