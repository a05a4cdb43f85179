"""Random walks that end: expected number of steps, accurate however rarely they end.

Run lengths of control charts are absorption times: the chart's statistic wanders until it signals.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"

NODES: Final = 20
NODES_PER_SIGMA: Final = 2.6
"""Gauss-Legendre nodes that integrate a normal density of sigma 1 on an interval of a given length to the last
digits; found by doubling them."""

MAX_NODES: Final = 600
"""A chart that needs more is hundreds of sigmas wide; its run length would take minutes."""

SQRT_TAU: Final = math.sqrt(2 * math.pi)


def expected_steps(stay: Array, leave: Array) -> Array:
    """Return the expected number of steps to absorption from each transient state.

    Gaussian elimination without subtraction: every figure keeps its relative accuracy even where absorption
    takes 1e100 steps and ``I - stay`` is singular to the last bit [1]_ [2]_.

    Parameters
    ----------
    stay
        Probabilities of a step between transient states, shape ``(n, n)``; the diagonal is not used, it is
        what the others leave.
    leave
        Probabilities of absorption at a step, shape ``(n,)``, accurate in their own right however small.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``; infinite where absorption is less probable than the smallest float.

    References
    ----------
    .. [1] W. K. Grassmann, M. I. Taksar and D. P. Heyman, "Regenerative analysis and steady state
       distributions for Markov chains", Operations Research 33 (1985) 1107-1116.
    .. [2] A. S. Alfa, J. Xue and Q. Ye, "Accurate computation of the smallest eigenvalue of a diagonally
       dominant M-matrix", Mathematics of Computation 71 (2002) 217-236.
    """
    n = len(leave)
    between, absorbed, steps, away = stay.copy(), leave.copy(), np.ones(n), np.empty(n)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for i in range(n - 1, 0, -1):
            row = between[i, :i]
            away[i] = absorbed[i] + row.sum()
            share = between[:i, i] / away[i]
            between[:i, :i] += share[:, None] * row
            absorbed[:i] += share * absorbed[i]
            steps[:i] += share * steps[i]
        steps[0] /= absorbed[0]
        for i in range(1, n):
            steps[i] = (steps[i] + between[i, :i] @ steps[:i]) / away[i]
    steps[~np.isfinite(steps)] = math.inf
    return steps


def nodes_between(low: float, high: float, sigma: float = 1.0) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights for normal densities of `sigma` on an interval.

    Raises
    ------
    ValueError
        If the interval is too many sigmas long.
    """
    half, count = (high - low) / 2, NODES + NODES_PER_SIGMA * (high - low) / sigma
    if count > MAX_NODES:
        longest = (MAX_NODES - NODES) / NODES_PER_SIGMA
        raise ValueError(f"the chart is {(high - low) / sigma:.4g} sigmas wide; up to {longest:.0f} can be computed")
    x, w = gauss_legendre(math.ceil(count))
    return low + half * (x + 1), half * w


def normal_pdf(z: Array) -> Array:
    """Return the standard normal density."""
    return np.exp(-0.5 * z * z) / SQRT_TAU


@lru_cache(maxsize=64)
def gauss_legendre(n: int) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss-Legendre quadrature on [-1, 1]."""
    x, w = np.polynomial.legendre.leggauss(n)
    x.flags.writeable = w.flags.writeable = False
    return x, w
