"""Passing-Bablok regression: a line between two scanners that a few wild pairs do not move."""

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from qa_models.cross_calibration.line_fit import Interval, LineFit
from qa_models.cross_calibration.paired import paired_series, refuse_no_spread
from qa_models.quantiles import two_sided_normal
from qa_models.series import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIE: Final = 1e-12
"""Relative difference of two values that is rounding: they are tied."""

MINUS_ONE: Final = 1e-9
"""How near to -1 a slope is -1; decimals as scanners print them are never so near without being it."""


def passing_bablok(x: Series, y: Series, *, confidence: float = 0.95) -> LineFit:
    """Fit a line by the shifted median of the slopes of all pairs of points.

    Assumes nothing about the distribution of errors but that they are in the same proportion as the slope;
    x and y may be exchanged. Slopes of -1 are left out, and of those that remain the K below -1 shift the
    median upwards [1]_; two points that agree in both x and y have no slope, and two that agree in x alone
    have an infinite one, whose sign does not matter. Time and memory grow as n^2.

    Parameters
    ----------
    x, y
        Pairs, each of shape ``(n,)``, n >= 5; at least 30 are advised [1]_.
    confidence
        Of the intervals, two-sided.

    Returns
    -------
    LineFit
        With intervals as published, not corrected for ties (R `deming`'s are, differently); without standard
        errors. Of an even number of slopes the middle two are averaged geometrically.

    Raises
    ------
    ValueError
        If x and y are no series of finite numbers, differ in length, are too few for the confidence, or have
        no spread; if they hardly rise together, so that the interval of the slope is not all positive.

    Examples
    --------
    >>> fit = passing_bablok([1, 2, 3, 4, 10, 12, 18], [9, 15, 19, 20, 45, 55, 78])
    >>> fit.slope, fit.intercept
    (4.0, 6.0)

    References
    ----------
    .. [1] H. Passing and W. Bablok, "A new biometrical procedure for testing the equality of measurements
       from two different analytical methods", J. Clin. Chem. Clin. Biochem. 21 (1983) 709-720.
    """
    xs, ys = paired_series(x, y, at_least=5)
    refuse_no_spread("x", xs)
    refuse_no_spread("y", ys)
    slopes = _shifted_slopes(np.array(xs), np.array(ys))
    slope, bounds = _slope_and_interval(slopes, len(xs), two_sided_normal(confidence))
    return LineFit(
        slope=slope,
        intercept=_intercept(slope, xs, ys),
        slope_interval=bounds,
        intercept_interval=Interval(_intercept(bounds.upper, xs, ys), _intercept(bounds.lower, xs, ys)),
        slope_se=None,
        intercept_se=None,
        x_min=min(xs),
        x_max=max(xs),
        n=len(xs),
    )


def _shifted_slopes(x: "NDArray[np.float64]", y: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the slopes in ascending order, those below -1 at the end: to count from here is to count from K."""
    i, j = np.triu_indices(len(x), k=1)
    dx, dy = _differences(x[i], x[j]), _differences(y[i], y[j])
    distinct = (dx != 0) | (dy != 0)
    dx, dy = dx[distinct], dy[distinct]
    slopes = np.full(dx.shape, np.inf)
    np.divide(dy, dx, out=slopes, where=dx != 0)
    slopes = np.sort(slopes[np.abs(slopes + 1) > MINUS_ONE])
    return np.roll(slopes, -int(np.count_nonzero(slopes < -1)))


def _differences(a: "NDArray[np.float64]", b: "NDArray[np.float64]") -> "NDArray[np.float64]":
    difference = b - a
    difference[np.abs(difference) <= TIE * np.maximum(np.abs(a), np.abs(b))] = 0.0
    return difference


def _slope_and_interval(slopes: "NDArray[np.float64]", n: int, quantile: float) -> tuple[float, Interval]:
    count = len(slopes)
    width = quantile * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = round((count - width) / 2)
    if first < 1:
        raise ValueError(f"{n} pairs with {count} slopes are too few for the confidence asked for")
    lower, upper = float(slopes[first - 1]), float(slopes[count - first])
    # An upper bound below the lower one lies past the vertical, among the slopes below -1.
    if not 0 < lower <= upper < math.inf:
        raise ValueError(f"x and y hardly rise together: the slope lies between {lower!r} and {upper!r}")
    below, above = float(slopes[(count - 1) // 2]), float(slopes[count // 2])
    return math.sqrt(below) * math.sqrt(above) if below != above else below, Interval(lower, upper)


def _intercept(slope: float, x: list[float], y: list[float]) -> float:
    return float(np.median(np.array(y) - slope * np.array(x)))
