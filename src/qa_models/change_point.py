"""Change points: since when a device has been wrong, and by how much, with what is certain about either.

Each estimator looks back over a series that a chart has stopped, at its signal. Stopping at a signal picks series
that have just gone far, so the usual confidence limits are too narrow and the size is overestimated, at one sigma
by about a fifth. Both confidence sets here are likelihood-ratio sets whose critical values hold *among series that
a CUSUM stopped* [1]_: they were found by simulation as a function of the change's size at the signal. Among
simulated series of charts with h from 4 to 8 and k from 0.25 to 1, fast initial response included, they covered the
onset of steps from 0.75 sigma and of drifts from 0.05 sigma a scan in 92 to 98 %, of drifts of 0.02 sigma a scan in
91 % or more; with h = 2.5, which alarms falsely twice a month, slow drifts in 88 %.

The in-control mean is taken as known. A baseline of few scans adds its own standard error to every size.

References
----------
.. [1] The construction is Neyman's; the sufficiency that makes it work is that of D. Siegmund, "Confidence sets
   in change-point problems", Int. Statistical Review 56 (1988) 31-48.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from qa_models.cusum import TabularCusum
from qa_models.series import Series, finite_number, finite_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"
Shape: TypeAlias = Literal["step", "drift"]


class _Critical(NamedTuple):
    """Critical values of twice the log likelihood ratio, by the change's size at the signal in sigmas."""

    size: tuple[float, ...]
    onset: tuple[float, ...]
    joint: tuple[float, ...]  # of onset and size together


CRITICAL: Final[dict[Shape, _Critical]] = {
    "step": _Critical(
        (0.8, 1.0, 1.25, 1.75, 2.4, 3.2, 4.2, 5.5),
        (7.7, 7.2, 6.8, 6.1, 5.1, 3.5, 2.0, 2.0),
        (9.2, 9.0, 8.7, 8.4, 7.5, 6.1, 4.7, 4.0),
    ),
    "drift": _Critical(
        (0.8, 1.05, 1.4, 1.9, 2.5, 3.3, 4.3, 5.6),
        (7.3, 6.6, 6.0, 5.5, 5.0, 4.5, 4.0, 3.9),
        (9.6, 9.2, 9.2, 9.3, 8.4, 7.2, 6.3, 6.2),
    ),
}
"""95 % critical values among series that a CUSUM stopped: 240,000 simulated series a shape, k = 0.5 and h = 5,
changes after 20 to 200 observations. The tests simulate their coverage anew.

A size below 0.8 sigma takes the value at 0.8. The critical value goes on growing towards small changes (11.9 at a
fifth of a sigma), and sets that cover those too never exclude that a tiny change was there from the first day. So
the sets are 95 % sets for steps from 0.75 sigma; they cover a step of half a sigma, a quarter of a percent of BMD on
most scanners, in about 91 %.
"""


LARGEST: Final = 1e100
"""No reading is larger; squares of such numbers are still numbers."""

ROUNDING: Final = 4 * float(np.finfo(np.float64).eps)
"""What is left of x, relative to its values, by rounding alone: no spread to estimate sigma by."""

FITTED: Final = 3
"""Observations that onset, size and sigma use up when sigma is estimated; fewer than 4 leave nothing."""


class SizeInterval(NamedTuple):
    """How far a device was off at one date, in the unit of x."""

    low: float
    estimate: float
    high: float


class SizesAfter(NamedTuple):
    """Sizes (of a drift: slopes) that the data allow if the change came after so many observations."""

    last_in_control: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """An estimated change and what is certain about it.

    Parameters
    ----------
    last_in_control
        Estimated number of observations before the change; the first wrong one is x[last_in_control].
    size
        Estimated change of the mean in the unit of x (step), or per observation (drift). It is the maximum of
        the likelihood; after a signal it is on average too large. The intervals of `size_at` allow for that.
    shape
        Whether the change is a step or a drift.
    confidence_set
        Values of `last_in_control` that the data allow, ascending: 95 % of such sets hold the true one. It
        can have gaps.
    region
        Onset and size together: 95 % of such regions hold the true pair.
    """

    last_in_control: int
    size: float
    shape: Shape
    confidence_set: tuple[int, ...]
    region: tuple[SizesAfter, ...]

    def size_at(self, observation: int) -> SizeInterval:
        """Return how far off the device was at an observation, with a 95 % interval.

        The intervals of all observations hold together, whichever are read, and allow for the selection by a
        signal (see the module). A drift is followed on beyond the series.

        Parameters
        ----------
        observation
            Number of the observation, from 1; it may lie after the last one.

        Raises
        ------
        ValueError
            If the number is below 1.
        """
        if observation % 1 != 0 or observation < 1:
            raise ValueError(f"observation = {observation!r} is not a whole number from 1 on")
        allowed = [self._factor(observation, after.last_in_control) for after in self.region]
        ends = [end * factor for after, factor in zip(self.region, allowed, strict=True) for end in after[1:]]
        estimate = self.size * self._factor(observation, self.last_in_control)
        return SizeInterval(min(*ends, estimate), estimate, max(*ends, estimate))

    def _factor(self, observation: int, last_in_control: int) -> int:
        since = max(0, observation - last_in_control)
        return min(since, 1) if self.shape == "step" else since


def step_mle(x: Series, mean: float, *, sigma: float | None = None) -> ChangePoint:
    """Estimate when a step happened, and its size, from observations up to a signal.

    Parameters
    ----------
    x
        Observations, shape ``(n,)``, oldest first, usually ending at a chart's signal; later ones may be
        added, and make the size less biased and the sets wider than they need be.
    mean
        Known in-control mean, in the unit of x.
    sigma
        Known standard deviation of an observation, same unit; by default it is estimated from what the step
        leaves. The estimate of the change does not depend on it, its confidence sets do.

    Returns
    -------
    ChangePoint
        `last_in_control` maximises ``(n - t) * (mean of x[t:] - mean)**2`` [1]_.

    Raises
    ------
    ValueError
        If x is no series of finite numbers, never leaves the mean, or, where sigma is to be estimated, has
        fewer than 4 or leaves no spread to do it by; if mean is not finite, or sigma not positive and finite.

    Examples
    --------
    >>> x = [0.1, -0.4, 0.5, -0.2, 0.3, 2.2, 1.7, 2.4, 1.6]
    >>> change = step_mle(x, 0.0)
    >>> change.last_in_control, round(change.size, 3)
    (5, 1.975)

    References
    ----------
    .. [1] T. R. Samuel, J. J. Pignatiello and J. A. Calvin, "Identifying the time of a step change with X-bar
       control charts", Quality Engineering 10 (1998) 521-527.
    """
    return _dated(x, mean, sigma, "step")


def drift_mle(x: Series, mean: float, *, sigma: float | None = None) -> ChangePoint:
    """Estimate when a linear drift began, and its slope, from observations up to a signal.

    Parameters and errors are those of `step_mle`.

    Returns
    -------
    ChangePoint
        `size` is the slope, in the unit of x per observation: the mean of x[t] is ``mean + slope`` at the
        first observation after the onset, ``mean + 2 * slope`` at the second [1]_.

    Examples
    --------
    >>> change = drift_mle([0.2, -0.1, 0.1, -0.2, 0.6, 0.9, 1.6, 2.1, 2.4], 0.0)
    >>> change.last_in_control, round(change.size, 2), round(change.size_at(11).estimate, 2)
    (4, 0.5, 3.51)

    References
    ----------
    .. [1] M. B. Perry and J. J. Pignatiello, "Estimation of the change point of a normal process mean with a
       linear trend disturbance in SPC", Quality Technology and Quantitative Management 3 (2006) 325-334.
    """
    return _dated(x, mean, sigma, "drift")


def cusum_last_zero(x: Series, target: float, sigma: float, *, k: float = 0.5, head_start: float = 0.0) -> ChangePoint:
    """Estimate a step as a CUSUM's own count does: the change came where its sum last lifted off zero.

    Parameters
    ----------
    x
        Observations, shape ``(n,)``, oldest first, up to the signal.
    target, sigma
        In-control mean and standard deviation, in the unit of x.
    k
        Reference value of the CUSUM in sigmas, >= 0.
    head_start
        Where the chart's sums began, in sigmas, >= 0. While they have not been at zero since, the change counts
        as there from the first observation.

    Returns
    -------
    ChangePoint
        Of the side whose sum is larger at the end: its last zero, and ``k * sigma + sum / count`` in the
        direction of the change. The confidence sets are those of `step_mle`, which rest on the likelihood; now
        and then this estimate lies outside them.

    Raises
    ------
    ValueError
        If both sums end at zero: there is no change to date; otherwise as `step_mle`, for a bad k too.

    Examples
    --------
    >>> cusum_last_zero([0.1, -0.4, 0.5, -0.2, 0.3, 2.2, 1.7, 2.4, 1.6], 0.0, 1.0).last_in_control
    5

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", the tabular CUSUM.
    """
    values = finite_series(x, at_least=1)
    chart = TabularCusum(target, sigma, k=k, h=2 * head_start + 1, head_start=head_start)
    for value in values:
        point = chart.update(value)
    count, total = max((point.n_upper, point.upper), (point.n_lower, -point.lower), key=lambda side: abs(side[1]))
    if total == 0:
        raise ValueError("both sums end at zero: there is no change to date")
    size = math.copysign(k * sigma, total) + sigma * total / count
    return replace(step_mle(values, target, sigma=sigma), last_in_control=len(values) - count, size=size)


def _dated(x: Series, mean: float, sigma: float | None, shape: Shape) -> ChangePoint:
    """Find the most likely change and what else the data allow.

    For a change after t observations the score is the sum over i > t of f(i - t) times the deviation from the
    mean, and the information the sum of f squared, with f = 1 for a step and f(j) = j for a drift. The most
    likely size is score / information; it takes score**2 / information from the sum of squares.
    """
    values = np.array(finite_series(x, at_least=FITTED + 1 if sigma is None else 1))
    if abs(finite_number(mean, "mean")) > LARGEST:
        raise ValueError(f"mean = {mean!r} is beyond {LARGEST:g}")
    if sigma is not None and not 0 < sigma < math.inf:
        raise ValueError(f"sigma = {sigma!r} is not positive and finite")
    if np.abs(values).max() > LARGEST:
        raise ValueError(f"x[{int(np.abs(values).argmax())}] is beyond {LARGEST:g}")
    unit = float(np.abs(values - mean).max())
    if unit == 0:
        raise ValueError(f"all values of x are the mean {mean!r}: there is no change to date")
    deviations, n = (values - mean) / unit, len(values)  # so that no square overflows or vanishes
    after = np.arange(n, 0, -1.0)
    score, information = np.cumsum(deviations[::-1])[::-1], after
    if shape == "drift":
        score, information = np.cumsum(score[::-1])[::-1], after * (after + 1) * (2 * after + 1) / 6
    gain = score**2 / information
    best = int(np.argmax(gain))
    sizes = score / information
    left = _left(deviations, best, float(sizes[best]), shape)
    rounding = ROUNDING * float(np.abs(values).max()) / unit
    noise = _Noise(n, left if left > n * rounding**2 else 0.0, None if sigma is None else sigma / unit)
    at_end = np.abs(sizes) * (after if shape == "drift" else 1) / noise.sigma
    missed = gain[best] - gain
    allowed = noise.squares(_critical(shape, "onset", at_end))
    spare = noise.squares(_critical(shape, "joint", at_end)) - missed
    half = np.sqrt(np.maximum(spare, 0) / information)
    return ChangePoint(
        last_in_control=best,
        size=unit * float(sizes[best]),
        shape=shape,
        confidence_set=tuple(int(t) for t in np.flatnonzero(missed <= allowed)),
        region=tuple(
            SizesAfter(int(t), unit * float(sizes[t] - half[t]), unit * float(sizes[t] + half[t]))
            for t in np.flatnonzero(spare >= 0)
        ),
    )


def _left(deviations: Array, onset: int, size: float, shape: Shape) -> float:
    """Return the sum of squares that a change leaves; as a difference of two sums it would drown in rounding."""
    since = np.maximum(np.arange(1.0, len(deviations) + 1) - onset, 0)
    rest = deviations - size * (since if shape == "drift" else np.minimum(since, 1))
    return float(rest @ rest)


class _Noise:
    """What a critical value of twice the log likelihood ratio means as a sum of squares."""

    def __init__(self, n: int, left: float, sigma: float | None) -> None:
        self._n, self._left, self._known = n, left, sigma is not None
        if sigma is None and left == 0:
            raise ValueError("x has no spread about its change: sigma cannot be estimated, give it")
        self.sigma = sigma if sigma is not None else math.sqrt(left / (n - 2))

    def squares(self, critical: Array) -> Array:
        if self._known:
            return critical * self.sigma**2
        grown: Array = self._left * np.expm1(critical / (self._n - FITTED))
        return grown


def _critical(shape: Shape, what: Literal["onset", "joint"], size: Array) -> Array:
    table = CRITICAL[shape]
    values: Array = np.interp(np.log(np.maximum(size, table.size[0])), np.log(table.size), getattr(table, what))
    return values
