"""Baselines: what a device read on its phantom when it was known to be good.

A baseline binds by its tolerance from ten scans on; charts built on it are advisory until it is established.
Scans that look wrong are flagged and kept: a person decides. Arithmetic is on Python floats.
"""

import math
import statistics
from dataclasses import dataclass
from typing import Final, Self

from qa_models.robust import MedianMad, median_mad, moving_range_sigma, qn_scale
from qa_models.series import Series, finite_number, finite_series, real_number, whole_number

__all__ = ["Baseline", "MedianMad", "median_mad", "moving_range_sigma", "qn_scale"]

OUTLIER_SIGMAS: Final = 3.5
"""A scan further than this from the median is flagged (Iglewicz and Hoaglin 1993)."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Mean, spread and limits of one phantom on one device; never edited, only succeeded.

    Build it by `from_scans`. Values are in the unit of the scans (for BMD g/cm^2).

    Parameters
    ----------
    n
        Number of scans, flagged ones included.
    mean, sd
        Sample mean and standard deviation (n - 1), correctly rounded.
    cv_percent
        Coefficient of variation, ``100 * sd / mean``.
    sigma
        Standard deviation for charts: `sd`, but not less than the floor.
    lower, upper
        Tolerance limits; a value on a limit is within.
    established
        Whether there are enough scans for charts to be more than advisory.
    outliers
        Indices (from 0) of scans far from the median, or beyond the baseline's own tolerance. They are part of
        every number above.
    """

    n: int
    mean: float
    sd: float
    cv_percent: float
    sigma: float
    lower: float
    upper: float
    established: bool
    outliers: tuple[int, ...] = ()

    @classmethod
    def from_scans(
        cls,
        x: Series,
        *,
        min_scans: int = 10,
        tolerance_percent: float = 1.5,
        sigma_floor_percent: float = 0.5,
        established_at: int = 25,
    ) -> Self:
        """Estimate a baseline from scans of one phantom.

        Ten scans are the guideline's minimum [1]_, made without repositioning; they may miss day-to-day
        variation, for which 15 to 25 daily scans are better. Identical scans (a sample SD of zero) are
        accepted as long as there is a sigma floor: sigma is then the floor alone.

        Parameters
        ----------
        x
            Scans, shape ``(n_scans,)``, oldest first.
        min_scans
            Fewest scans accepted, a whole number of at least 2.
        tolerance_percent
            Half-width of the tolerance in percent of the mean, above 0 and below 100.
        sigma_floor_percent
            Least sigma in percent of the mean, so that a few quiet scans do not make charts over-alarm.
        established_at
            Number of scans from which the baseline counts as established, a whole number.

        Returns
        -------
        Baseline
            Limits are rounded to 12 significant digits, so that a scan that reads exactly 1.5 % off is on the
            limit and not, by the last bit, beyond it. A scan is an outlier when it is more than 3.5 robust
            sigmas (`median_mad`, not less than the floor) from the median [2]_, or beyond these limits.

        Raises
        ------
        ValueError
            If x is not one-dimensional, has fewer than `min_scans` scans or one that is not a finite number;
            if the mean is not positive; if there is neither spread nor floor; if a setting is out of range.

        Examples
        --------
        >>> scans = [1.000, 1.002, 0.998, 1.001, 0.999, 1.003, 0.997, 1.000, 1.001, 1.050]
        >>> baseline = Baseline.from_scans(scans)
        >>> round(baseline.mean, 6), round(baseline.sd, 6), baseline.established, baseline.outliers
        (1.0051, 0.015878, False, (9,))
        >>> baseline.lower, baseline.upper
        (0.9900235, 1.0201765)

        References
        ----------
        .. [1] Royal Osteoporosis Society, "Guidelines for the provision of a clinical bone densitometry
           service", v3 (2025), appendix 3.
        .. [2] B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers", ASQC (1993).
        """
        _refuse_settings(min_scans, established_at, tolerance_percent, sigma_floor_percent)
        scans = finite_series(x, at_least=min_scans)
        mean = statistics.mean(scans)
        if mean <= 0:
            raise ValueError(f"mean of x = {mean!r} is not positive")
        sd = statistics.stdev(scans)
        floor = mean * float(sigma_floor_percent) / 100
        sigma = max(sd, floor)
        if sigma == 0:
            raise ValueError(f"all {len(scans)} values of x are {scans[0]!r} and there is no sigma floor")
        lower, upper = tolerance_limits(mean, tolerance_percent)
        return cls(
            n=len(scans),
            mean=mean,
            sd=sd,
            cv_percent=100 * sd / mean,
            sigma=sigma,
            lower=lower,
            upper=upper,
            established=len(scans) >= established_at,
            outliers=_outliers(scans, floor, lower, upper),
        )

    def deviation_percent(self, value: float) -> float:
        """Return how far `value` is from the mean, in percent of the mean; above it is positive.

        To judge it use `within_tolerance`, which is exact at the limits.

        Raises
        ------
        ValueError
            If value is not a finite number.

        Examples
        --------
        >>> round(Baseline.from_scans([1.0] * 10).deviation_percent(0.993), 9)
        -0.7
        """
        return 100 * (finite_number(value, "value") - self.mean) / self.mean

    def within_tolerance(self, value: float) -> bool:
        """Return whether `value` is on or between the limits.

        Raises
        ------
        ValueError
            If value is not a finite number: a missing reading is neither within nor outside.

        Examples
        --------
        >>> baseline = Baseline.from_scans([1.2] * 10)
        >>> baseline.within_tolerance(1.218), baseline.within_tolerance(1.2181)
        (True, False)
        """
        return self.lower <= finite_number(value, "value") <= self.upper


def tolerance_limits(mean: float, tolerance_percent: float) -> tuple[float, float]:
    """Return the lowest and the highest value within tolerance, in the unit of the mean.

    Rounded to 12 significant digits, so that a scan that reads exactly on the limit is within.

    Raises
    ------
    ValueError
        If the mean is not finite, or the tolerance not between 0 and 100.

    Examples
    --------
    >>> tolerance_limits(1.0, 1.5)
    (0.985, 1.015)
    """
    centre = finite_number(mean, "mean")
    half_width = centre * percentage(tolerance_percent, "tolerance_percent") / 100
    return twelve_digits(centre - half_width), twelve_digits(centre + half_width)


def percentage(value: float, place: str) -> float:
    """Return a tolerance as a Python float; a ValueError unless it is above 0 and below 100."""
    if not 0 < real_number(value, place) < 100:
        raise ValueError(f"{place} = {value!r} is not between 0 and 100")
    return float(value)


def _outliers(scans: list[float], floor: float, lower: float, upper: float) -> tuple[int, ...]:
    centre, sigma = median_mad(scans, allow_zero=True)  # the floor stands in for it
    limit = OUTLIER_SIGMAS * max(sigma, floor)
    return tuple(i for i, scan in enumerate(scans) if abs(scan - centre) > limit or not lower <= scan <= upper)


def twelve_digits(value: float) -> float:
    """Return value to 12 significant digits: what is left is a reading, not the last bit of arithmetic."""
    return float(f"{value:.12g}")


def refuse_min_scans(min_scans: int) -> None:
    """Raise a ValueError unless so many scans can have a spread."""
    if whole_number(min_scans, "min_scans") < 2:
        raise ValueError(f"min_scans = {min_scans!r} is below 2, the fewest that have a spread")


def _refuse_settings(min_scans: int, established_at: int, tolerance_percent: float, sigma_floor_percent: float) -> None:
    refuse_min_scans(min_scans)
    whole_number(established_at, "established_at")
    percentage(tolerance_percent, "tolerance_percent")
    if not 0 <= real_number(sigma_floor_percent, "sigma_floor_percent") < math.inf:
        raise ValueError(f"sigma_floor_percent = {sigma_floor_percent!r} is negative or not finite")
