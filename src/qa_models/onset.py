"""Since when a device has drifted, and by how much at each date: the posterior of onset, shape and size together.

The estimators of `change_point` take the in-control mean as known. A baseline of ten or twenty-five scans does not
know it so well: over hundreds of scans its error alone looks like a small change from the first day, and sets made
so cover the onset in 65 to 85 % (simulated, k = 0.5, h = 5). Here the mean, the scatter, the size and the shape (a
step, or a ramp that still goes on) are unknown together: the baseline's scans count as observations before the
change, and everything but the onset is integrated out in closed form, as in Bayesian regression with a conjugate
prior [1]_. A posterior does not depend on the rule that stopped the series, so a chart's signal needs no correction.

The prior is local policy: every onset between two scans is as likely as another, a step as likely as a ramp, and
the size (of a ramp: the size at the last scan) is normal about zero with a standard deviation of `SPREAD` sigmas.

References
----------
.. [1] A. Gelman et al., "Bayesian Data Analysis", 3rd ed., chapter 14: the normal linear model with conjugate prior.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from scipy.special import stdtr

from qa_models.change_point import SizeInterval
from qa_models.series import Series, finite_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"

SPREAD: Final = 3.0
"""Standard deviation of the size before anything is known, in sigmas: a step of 1.5 % where sigma is 0.5 %."""
LEVEL: Final = 0.95
LEAST_SCANS: Final = 2
MOST: Final = 1000
"""So many observations are looked at, the last ones."""
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class OnsetPosterior:
    """What is certain about a change, given that there was one.

    Parameters
    ----------
    likeliest
        Number of observations before the change that is likeliest.
    credible
        Numbers of observations before the change that hold 95 % of the probability, ascending; it can have gaps.
    p_ramp
        Probability that the change is a ramp rather than a step.
    """

    likeliest: int
    credible: tuple[int, ...]
    p_ramp: float
    _times: Array
    _starts: Array
    _weights: Array
    _sizes: Array
    _scales: Array
    _df: int

    def size_at(self, time: float) -> SizeInterval:
        """Return how far off the device was at a time: median and central 95 % interval, in the unit of x.

        Parameters
        ----------
        time
            In the unit of `times`; a ramp is followed on beyond the last observation.
        """
        return self._interval(np.concatenate([self._step_at(time), self._ramp_at(time)]))

    def slope(self) -> SizeInterval:
        """Return by how much a ramp changes per unit of time, given that the change is one."""
        zeros = np.zeros_like(self._starts)
        per_time = 1.0 / (self._times[-1] - self._starts)
        ramps = self._weights * np.concatenate([zeros, zeros + 1.0])
        return self._interval(np.concatenate([zeros, per_time]), ramps / ramps.sum())

    def _step_at(self, time: float) -> Array:
        return (time > self._starts).astype(float)

    def _ramp_at(self, time: float) -> Array:
        at: Array = np.maximum(time - self._starts, 0.0) / (self._times[-1] - self._starts)
        return at

    def _interval(self, factors: Array, weights: "Array | None" = None) -> SizeInterval:
        weights = self._weights if weights is None else weights
        tail = (1.0 - LEVEL) / 2.0
        low, middle, high = (self._quantile(p, factors, weights) for p in (tail, 0.5, 1.0 - tail))
        return SizeInterval(low, middle, high)

    def _quantile(self, p: float, factors: Array, weights: Array) -> float:
        """Return a quantile of the mixture; where a factor is 0 the size is exactly 0."""
        moved = factors > 0
        at_zero = float(weights[~moved].sum())
        centres, scales, own = self._sizes[moved] * factors[moved], self._scales[moved] * factors[moved], weights[moved]

        def below(value: float) -> float:
            return float(own @ stdtr(self._df, (value - centres) / scales)) if len(own) else 0.0

        at_nought = below(0.0)
        if at_nought <= p <= at_nought + at_zero or not len(own):
            return 0.0
        reach = float(np.max(np.abs(centres) + 1e3 * scales))
        low, high = (-reach, 0.0) if p < at_nought else (0.0, reach)
        wanted = p if p < at_nought else p - at_zero
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if below(middle) < wanted else (low, middle)
        return (low + high) / 2.0


def onset_posterior(x: Series, times: Series, *, baseline_scans: int, baseline_sd: float) -> OnsetPosterior:
    """Date a change in a series that a chart has stopped.

    Parameters
    ----------
    x
        Deviations from the baseline's mean, shape ``(n,)``, oldest first, in any unit.
    times
        When each was observed, shape ``(n,)``, ascending, in any unit.
    baseline_scans
        How many scans the baseline's mean was estimated from, at least 2.
    baseline_sd
        Their sample standard deviation, in the unit of x.

    Returns
    -------
    OnsetPosterior
        Of the last `MOST` observations; numbers of observations count from the first of those.

    Raises
    ------
    ValueError
        If x and times are no series of finite numbers of one length of at least 2, times do not ascend, the baseline
        is of fewer than 2 scans, or nothing scatters at all.

    Examples
    --------
    >>> x = [0.1, -0.4, 0.5, -0.2, 0.3, 2.2, 1.7, 2.4, 1.6]
    >>> found = onset_posterior(x, range(9), baseline_scans=25, baseline_sd=0.5)
    >>> found.likeliest, found.credible
    (5, (2, 4, 5))
    >>> [round(size, 1) for size in found.size_at(8)]
    [1.4, 1.9, 2.5]
    """
    values, at = np.array(finite_series(x, at_least=2)), np.array(finite_series(times, at_least=2))
    if len(values) != len(at):
        raise ValueError(f"{len(values)} observations and {len(at)} times")
    if (np.diff(at) < 0).any():
        raise ValueError("times do not ascend")
    if baseline_scans < LEAST_SCANS or not 0 <= baseline_sd < math.inf:
        raise ValueError(f"a baseline of {baseline_scans} scans with standard deviation {baseline_sd!r} is none")
    values, at = values[-MOST:], at[-MOST:]
    starts = _starts(at)
    weights, sizes, scales, df = _components(values, _factors(at, starts), baseline_scans, baseline_sd)
    n = len(values)
    onsets = weights[:n] + weights[n:]
    return OnsetPosterior(
        likeliest=int(np.argmax(onsets)),
        credible=_credible(onsets),
        p_ramp=float(weights[n:].sum()),
        _times=at,
        _starts=starts,
        _weights=weights,
        _sizes=sizes,
        _scales=scales,
        _df=df,
    )


def _starts(at: Array) -> Array:
    """Return when a change began that came just before each observation: at the one before it.

    The first has none before it; it began a typical interval earlier. Observations at one time begin just before it.
    """
    gaps = np.diff(at)
    typical = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
    starts = np.concatenate([[at[0] - typical], at[:-1]])
    last_possible = at[-1] - typical * 1e-3
    bounded: Array = np.minimum(starts, last_possible)
    return bounded


def _factors(at: Array, starts: Array) -> Array:
    """Return the share of the final size in each observation: rows by shape and onset, shape ``(2n, n)``."""
    n = len(at)
    steps = np.triu(np.ones((n, n)))
    ramps = np.maximum(at[None, :] - starts[:, None], 0.0) / (at[-1] - starts)[:, None]
    return np.concatenate([steps, ramps])


def _components(values: Array, factors: Array, scans: int, sd: float) -> tuple[Array, Array, Array, int]:
    """Return weight, centre and scale of the size's Student distribution for each shape and onset, and their df."""
    total = scans + len(values)
    mean = values.sum() / total
    squares = (scans - 1) * sd**2 + values @ values - total * mean**2
    if squares <= 0:
        raise ValueError("neither the baseline nor the observations scatter")
    means = factors.sum(axis=1) / total
    information = (factors**2).sum(axis=1) - total * means**2 + 1.0 / SPREAD**2
    score = factors @ values - total * means * mean
    left = np.maximum(squares - score**2 / information, squares * 1e-15)
    df = total - 1
    log_weights = -0.5 * np.log(information) - df / 2.0 * np.log(left)
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum(), score / information, np.sqrt(left / (df * information)), df


def _credible(onsets: Array) -> tuple[int, ...]:
    order = np.argsort(-onsets, kind="stable")
    enough = int(np.searchsorted(np.cumsum(onsets[order]), LEVEL)) + 1
    return tuple(sorted(int(onset) for onset in order[:enough]))
