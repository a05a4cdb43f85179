"""What a thin baseline does: false alarms of a CUSUM whose target and sigma come from a few scans."""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import chi2

from qa_models.run_length.absorbing import Array, gauss_legendre, nodes_between
from qa_models.run_length.cusum import upper_sum_steps

MEAN_NODES: Final = 8
SPREAD_NODES: Final = 16
"""Nodes for the baseline's error of the mean (by symmetry of one sign only), and of sigma."""


class BaselineEffect(NamedTuple):
    """What to expect of a chart on a baseline of `n` scans, as long as the device is well.

    Parameters
    ----------
    n
        Scans of the baseline.
    false_alarm_probability
        Probability of a false alarm within the given number of scans.
    median_run_length
        Scans within which half of such charts have a false alarm; infinite if that takes longer than was looked
        for. The mean is no guide: over a thin baseline it is infinite.
    """

    n: int
    false_alarm_probability: float
    median_run_length: float


def estimated_baseline(
    n: int, *, k: float = 0.5, h: float = 5.0, within: int = 100, sigma_floor: float = 0.0, most_scans: int = 2_000
) -> BaselineEffect:
    """Return the false alarms of a two-sided CUSUM on a baseline of n scans.

    The run length is integrated over the baseline's errors of mean and sigma. The two sides are taken as
    independent: with k from 0.25 up that is right to a percent point, with k = 0 seven points too few.

    Parameters
    ----------
    n
        Scans of the baseline, >= 2.
    k, h
        Reference value and decision interval in sigmas of the baseline.
    within
        Number of scans for which the probability of a false alarm is wanted, >= 1.
    sigma_floor
        Least sigma used, as a part of the true one: `Baseline` has a floor of 0.5 % of the mean, which on a
        scanner with a CV of 0.5 % is a floor of 1.
    most_scans
        How far to look for the median, >= `within`; time grows with it.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> thin, floored = estimated_baseline(10), estimated_baseline(10, sigma_floor=1.0)
    >>> round(thin.false_alarm_probability, 2), round(floored.false_alarm_probability, 2)
    (0.57, 0.41)

    References
    ----------
    .. [1] W. A. Jensen, L. A. Jones-Farmer, C. W. Champ and W. H. Woodall, "Effects of parameter estimation on
       control chart properties: a literature review", J. Quality Technology 38 (2006) 349-364.
    """
    _refuse(n, k, h, sigma_floor)
    if not 1 <= within <= most_scans:
        raise ValueError(f"within = {within!r} is not in 1 to most_scans = {most_scans!r}")
    probability, median = math.nan, math.inf
    for scans, alive in zip(range(1, most_scans + 1), _without_alarm(n, k, h, sigma_floor), strict=False):
        if scans == within:
            probability = 1 - alive
        if alive <= 0.5:
            median = min(median, scans)
            if scans >= within:
                break
    return BaselineEffect(n, probability, median)


def _refuse(n: int, k: float, h: float, sigma_floor: float) -> None:
    if n < 2:
        raise ValueError(f"n = {n!r} is below 2")
    if not 0 <= k < math.inf:
        raise ValueError(f"k = {k!r} is negative or not finite")
    if not 0 < h < math.inf:
        raise ValueError(f"h = {h!r} is not positive and finite")
    if not 0 <= sigma_floor < math.inf:
        raise ValueError(f"sigma_floor = {sigma_floor!r} is negative or not finite")


def _without_alarm(n: int, k: float, h: float, sigma_floor: float) -> Iterator[float]:
    """Yield the probability that there was no false alarm, after one scan, two, and so on.

    With the target off by a and sigma estimated as r, both in true sigmas, the chart is one of true sigmas
    with r * h for h, r * k for k and a mean of -a.
    """
    off, off_weights = np.polynomial.hermite_e.hermegauss(2 * MEAN_NODES)
    part, part_weights = gauss_legendre(SPREAD_NODES)
    spread = np.maximum(np.sqrt(chi2.ppf((part + 1) / 2, n - 1) / (n - 1)), sigma_floor)
    weights = np.outer(off_weights[MEAN_NODES:], part_weights).ravel() / off_weights.sum()
    cases = [(a / math.sqrt(n), r) for a in off[MEAN_NODES:] for r in spread]
    nodes = len(nodes_between(0.0, h * float(spread.max()))[0])
    upper, lower = (np.stack([_steps(k * r + side * a, h * r, nodes) for a, r in cases]) for side in (1, -1))
    alive_upper, alive_lower = np.ones(upper.shape[:2]), np.ones(lower.shape[:2])
    while True:
        alive_upper = np.einsum("cij,cj->ci", upper, alive_upper)
        alive_lower = np.einsum("cij,cj->ci", lower, alive_lower)
        yield float(weights @ (alive_upper[:, 0] * alive_lower[:, 0]))


def _steps(drift: float, h: float, nodes_wanted: int) -> Array:
    """Return the probabilities of steps between the sums of one side, zero first."""
    x, w = gauss_legendre(nodes_wanted)
    nodes, weights = h / 2 * (x + 1), h / 2 * w
    return upper_sum_steps(np.concatenate(([0.0], nodes)), nodes, weights, drift, h)[0]
