"""Quantiles that an interval of a given confidence needs."""

from statistics import NormalDist
from typing import Final

from scipy import special

from qa_models.series import real_number

_NORMAL: Final = NormalDist()


def two_sided_normal(confidence: float) -> float:
    """Return how many standard deviations either side of the mean hold this share of a normal distribution.

    Raises
    ------
    ValueError
        If confidence is not between 0 and 1.

    Examples
    --------
    >>> round(two_sided_normal(0.95), 6)
    1.959964
    """
    return _NORMAL.inv_cdf((1 + _confidence(confidence)) / 2)


def two_sided_t(confidence: float, degrees_of_freedom: float) -> float:
    """Return the same for Student's t, whose degrees of freedom, > 0, need not be whole.

    Raises
    ------
    ValueError
        If confidence is not between 0 and 1.

    Examples
    --------
    >>> round(two_sided_t(0.95, 16), 6)
    2.119905
    """
    return float(special.stdtrit(degrees_of_freedom, (1 + _confidence(confidence)) / 2))


def _confidence(confidence: float) -> float:
    if not 0 < real_number(confidence, "confidence") < 1:
        raise ValueError(f"confidence = {confidence!r} is not between 0 and 1")
    return float(confidence)
