"""Run lengths of the EWMA chart, by integral equations that hold to the last digits."""

import math
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from qa_models.run_length.absorbing import Array, expected_steps, nodes_between, normal_pdf

SETTLED: Final = 1e-12
"""Time-varying limits count as fixed when their squares are within this share of the fixed ones."""

SLOWEST_VARYING: Final = 0.005
"""With a smaller weight, limits take thousands of observations to settle."""


def ewma_arl(lam: float, width: float, shift: float, *, time_varying: bool = False) -> float:
    """Return the average run length of a two-sided EWMA chart that starts at its target.

    Parameters
    ----------
    lam
        Weight of the newest observation, in (0, 1]; 1 is a Shewhart chart.
    width
        Half-width of the limits in sigmas of the EWMA, > 0.
    shift
        True mean minus target, in sigmas of an observation, from the first observation on; 0 gives ARL0.
    time_varying
        Whether the limits follow the exact standard deviation of the first EWMAs (as `EwmaChart` draws them by
        default) or are the fixed ones of published tables [1]_.

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
    >>> round(ewma_arl(0.1, 2.814, 0), 3), round(ewma_arl(0.1, 2.814, 1), 5)
    (499.58, 10.33067)
    >>> round(ewma_arl(0.1, 2.814, 0, time_varying=True), 2)
    486.43

    References
    ----------
    .. [1] J. M. Lucas and M. S. Saccucci, "Exponentially weighted moving average control schemes: properties
       and enhancements", Technometrics 32 (1990) 1-12.
    """
    _refuse(lam, width)
    if time_varying and lam < SLOWEST_VARYING:
        raise ValueError(f"lam = {lam!r} is below {SLOWEST_VARYING}: its limits vary for too long to be followed")
    if not -math.inf < shift < math.inf:
        raise ValueError(f"shift = {shift!r} is not finite")
    fixed = width * math.sqrt(lam / (2 - lam))
    nodes, weights = nodes_between(-fixed, fixed, lam)

    def after(ewma: Array) -> Array:
        return (1 - lam) * ewma + lam * shift

    stay, leave = _steps(after(nodes), nodes, weights, lam, fixed)
    from_nodes = expected_steps(stay, leave)
    if np.isinf(from_nodes).any():
        return math.inf
    at, alive, steps, forgotten = np.zeros(1), np.ones(1), 0.0, 1.0
    while time_varying and forgotten * (1 - lam) ** 2 > SETTLED:
        forgotten *= (1 - lam) * (1 - lam)
        limit = fixed * math.sqrt(1 - forgotten)
        steps += float(alive.sum())
        nodes_now, weights_now = nodes_between(-limit, limit, lam)
        stay, _ = _steps(after(at), nodes_now, weights_now, lam, limit)
        at, alive = nodes_now, alive @ stay
    stay, _ = _steps(after(at), nodes, weights, lam, fixed)
    return steps + float(alive @ (1 + stay @ from_nodes))


def ewma_width(lam: float, arl0: float, *, time_varying: bool = False) -> float:
    """Return the half-width of the limits, in sigmas of the EWMA, that gives a wanted ARL0.

    Parameters
    ----------
    lam
        Weight of the newest observation, in (0, 1].
    arl0
        Wanted in-control average run length, in observations, > 1.
    time_varying
        As for `ewma_arl`.

    Raises
    ------
    ValueError
        If a parameter is out of its range or not finite.

    Examples
    --------
    >>> round(ewma_width(0.1, 499.57955), 4), round(ewma_width(1, 370.398347), 4)
    (2.814, 3.0)
    """
    _refuse(lam, 1.0)
    if not 1 < arl0 < math.inf:
        raise ValueError(f"arl0 = {arl0!r} is not above 1 and finite")

    def excess(width: float) -> float:
        return math.log(ewma_arl(lam, width, 0.0, time_varying=time_varying) / arl0)

    low, high = 1e-9, 1.0
    if excess(low) > 0:
        raise ValueError(f"arl0 = {arl0!r} is too near 1 for any limits")
    while excess(high) < 0:
        low, high = high, 2 * high
    return float(brentq(excess, low, high, xtol=1e-12, rtol=1e-14))


def _steps(centre: Array, nodes: Array, weights: Array, lam: float, limit: float) -> tuple[Array, Array]:
    """Return the probabilities of a step to each node, and of a signal, by the next EWMA's mean; sigma is 1."""
    mean = centre[:, None]
    stay = weights * normal_pdf((nodes - mean) / lam) / lam
    return stay, ndtr((centre - limit) / lam) + ndtr((-limit - centre) / lam)


def _refuse(lam: float, width: float) -> None:
    if not 0 < lam <= 1:
        raise ValueError(f"lam = {lam!r} is not in (0, 1]")
    if not 0 < width < math.inf:
        raise ValueError(f"width = {width!r} is not positive and finite")
