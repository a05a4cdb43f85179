"""Robust centre and spread: what a sample says when a few of its values are wrong.

Where too many values are equal (coarse rounding does that) an estimate of sigma would be 0, and a chart on it
would signal at anything: each refuses, unless the caller says that it copes with 0, as
`qa_models.baseline.Baseline` does by its floor.
"""

import math
import statistics
from itertools import combinations, pairwise
from typing import Final, NamedTuple

from qa_models.series import Series, finite_series

MAD_TO_SIGMA: Final = 1.482602
"""Sigma of a normal sample per median absolute deviation: 1 / (normal quantile of 0.75)."""

MEAN_RANGE_PER_SIGMA: Final = 1.128
"""d2 of subgroups of two as tables and R qcc print it; exactly ``2 / sqrt(pi)`` = 1.128379."""

QN_TO_SIGMA: Final = 2.21914
"""Sigma of a large normal sample per quartile of the pairwise distances."""

QN_SMALL_SAMPLE: Final = (
    *(0.399356, 0.99365, 0.51321, 0.84401, 0.61220, 0.85877),
    *(0.66993, 0.87344, 0.72014, 0.88906, 0.75743),
)
"""Unbiasing factor for n = 2 to 12, by simulation (R robustbase 0.95)."""


class MedianMad(NamedTuple):
    """Robust centre and spread of a sample, in its unit."""

    median: float
    sigma: float


def median_mad(x: Series, *, allow_zero: bool = False) -> MedianMad:
    """Estimate centre and sigma by the median and the median absolute deviation from it.

    Parameters
    ----------
    x
        Sample, shape ``(n,)``, n >= 2.
    allow_zero
        Whether sigma may be 0, which it is when more than half the values are equal.

    Returns
    -------
    MedianMad
        Median, and 1.482602 times the median absolute deviation: sigma of a normal sample, not corrected for
        small n (at n = 10 about a tenth low). Up to half the sample may be wrong.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has fewer than 2 values or one that is not a finite number; if sigma is 0
        and may not be (the message gives the value that most are equal to).

    Examples
    --------
    >>> centre, sigma = median_mad([1.000, 1.002, 0.998, 1.001, 0.999, 1.003, 0.997, 1.000, 1.001, 1.050])
    >>> round(centre, 6), round(sigma, 9)
    (1.0005, 0.002223903)

    References
    ----------
    .. [1] F. R. Hampel, "The influence curve and its role in robust estimation", JASA 69 (1974) 383-393.
    """
    values = finite_series(x, at_least=2)
    centre = statistics.median(values)
    sigma = MAD_TO_SIGMA * statistics.median(abs(value - centre) for value in values)
    return MedianMad(centre, _spread(sigma, values, allow_zero=allow_zero))


def moving_range_sigma(x: Series, *, allow_zero: bool = False) -> float:
    """Estimate sigma by the mean distance of neighbours in time.

    Unlike the standard deviation it hardly sees a slow drift or a step within the series; an outlier counts
    twice.

    Parameters
    ----------
    x
        Series, shape ``(n,)``, n >= 2, oldest first.
    allow_zero
        Whether the estimate may be 0, which it is when all values are equal.

    Returns
    -------
    float
        Mean moving range over 1.128, in the unit of x.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has fewer than 2 values or one that is not a finite number; if the estimate
        is 0 and may not be (the message gives the value).

    Examples
    --------
    >>> round(moving_range_sigma([1.000, 1.002, 0.998, 1.001, 0.999]), 9)
    0.002437943

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", individuals charts.
    """
    values = finite_series(x, at_least=2)
    sigma = math.fsum(abs(b - a) for a, b in pairwise(values)) / (len(values) - 1) / MEAN_RANGE_PER_SIGMA
    return _spread(sigma, values, allow_zero=allow_zero)


def qn_scale(x: Series, *, allow_zero: bool = False) -> float:
    """Estimate sigma by the first quartile of the distances between all pairs.

    As robust as the median absolute deviation, without a centre, and with an efficiency of 82 % instead of
    37 % for large normal samples. Time and memory grow as n^2: meant for baselines, not for years of scans.

    Parameters
    ----------
    x
        Sample, shape ``(n,)``, n >= 2.
    allow_zero
        Whether the estimate may be 0, which it is when a quarter of the pairs are equal: at the latest when
        more than half the values are.

    Returns
    -------
    float
        Qn in the unit of x, corrected for small n as R robustbase 0.95 does.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has fewer than 2 values or one that is not a finite number; if the estimate
        is 0 and may not be (the message gives the most frequent value).

    Examples
    --------
    >>> scans = [1.000, 1.002, 0.998, 1.001, 0.999, 1.003, 0.997, 1.000, 1.001, 1.050]
    >>> round(qn_scale(scans), 9)
    0.003196183

    References
    ----------
    .. [1] P. J. Rousseeuw and C. Croux, "Alternatives to the median absolute deviation", JASA 88 (1993)
       1273-1283.
    """
    values = finite_series(x, at_least=2)
    n = len(values)
    distances = sorted(abs(b - a) for a, b in combinations(values, 2))
    sigma = QN_TO_SIGMA * _qn_correction(n) * distances[math.comb(n // 2 + 1, 2) - 1]
    return _spread(sigma, values, allow_zero=allow_zero)


def _spread(sigma: float, values: list[float], *, allow_zero: bool) -> float:
    """Return sigma, or refuse values of which too many are equal."""
    if sigma == 0 and not allow_zero:
        value = statistics.mode(values)
        raise ValueError(f"x has no spread: {values.count(value)} of its {len(values)} values are {value!r}")
    return sigma


def _qn_correction(n: int) -> float:
    """Return the factor that makes Qn unbiased for normal samples of n (robustbase 0.95)."""
    if n <= 12:
        return QN_SMALL_SAMPLE[n - 2]
    if n % 2:
        return 1 / (1 + (1.60188 + (-2.1284 - 5.172 / n) / n) / n)
    return 1 / (1 + (3.67561 + (1.9654 + (6.987 - 77 / n) / n) / n) / n)
