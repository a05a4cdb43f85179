"""One phantom before and after a change of hardware: whether its means agree within one percent."""

import math
import statistics
from dataclasses import dataclass

from qa_models.baseline import percentage, refuse_min_scans, tolerance_limits, twelve_digits
from qa_models.cross_calibration.line_fit import Interval, interval_about
from qa_models.cross_calibration.paired import refuse_no_spread
from qa_models.quantiles import two_sided_t
from qa_models.series import Series, named_series


@dataclass(frozen=True, slots=True)
class PhantomComparison:
    """One phantom before and after a change of hardware.

    Parameters
    ----------
    n_before, n_after
        Scans.
    mean_before, mean_after
        In the unit of the scans.
    difference_percent
        Of the means, after less before, in percent of before.
    interval_percent
        Its confidence interval.
    limit_percent
        The limit it was held against.
    within
        Whether the mean after, to 12 significant digits as the limits, is on or between them: the rule looks
        at the means alone. Beyond, the manufacturer is called before patients are scanned.
    """

    n_before: int
    n_after: int
    mean_before: float
    mean_after: float
    difference_percent: float
    interval_percent: Interval
    limit_percent: float
    within: bool


def phantom_comparison(
    before: Series, after: Series, *, limit_percent: float = 1.0, min_scans: int = 10, confidence: float = 0.95
) -> PhantomComparison:
    """Compare the phantom before and after a change of hardware, or on a replacement of the same make and model.

    ISCD [1]_: one technologist, ten scans each **with** repositioning; means that differ by more than 1 % go to
    the manufacturer. (A baseline's ten scans are without: another protocol.)

    Parameters
    ----------
    before, after
        Scans, shape ``(n_scans,)``.
    limit_percent
        Largest difference within, above 0 and below 100; the limits are rounded as those of a `Baseline`.
    min_scans
        Fewest scans of either, a whole number of at least 2.
    confidence
        Of the interval of the ratio of means: delta method, with Welch's degrees of freedom [2]_.

    Raises
    ------
    ValueError
        If either is no series of finite numbers, has too few scans, a mean that is not positive or no spread
        (repositioned scans are never all equal); if a setting is out of range.

    Examples
    --------
    >>> before = [1.000, 1.004, 0.998, 1.002, 0.996, 1.001, 0.999, 1.003, 0.997, 1.000]
    >>> comparison = phantom_comparison(before, [bmd + 0.012 for bmd in before])
    >>> round(comparison.difference_percent, 6), comparison.within
    (1.2, False)
    >>> [round(bound, 4) for bound in comparison.interval_percent]
    [0.9559, 1.4441]

    References
    ----------
    .. [1] International Society for Clinical Densitometry, "Official Positions: Adult", cross-calibration of DXA
       systems.
    .. [2] B. L. Welch, "The generalization of Student's problem when several different population variances are
       involved", Biometrika 34 (1947) 28-35.
    """
    limit = percentage(limit_percent, "limit_percent")
    refuse_min_scans(min_scans)
    first, second = _scans("before", before, min_scans), _scans("after", after, min_scans)
    mean_before, mean_after = statistics.mean(first), statistics.mean(second)
    difference = 100 * (mean_after - mean_before) / mean_before
    lower, upper = tolerance_limits(mean_before, limit)
    return PhantomComparison(
        n_before=len(first),
        n_after=len(second),
        mean_before=mean_before,
        mean_after=mean_after,
        difference_percent=difference,
        interval_percent=interval_about(difference, 100 * _ratio_half_width(first, second, confidence)),
        limit_percent=limit,
        within=lower <= twelve_digits(mean_after) <= upper,
    )


def _scans(name: str, x: Series, min_scans: int) -> list[float]:
    scans = named_series(name, x, at_least=min_scans)
    refuse_no_spread(name, scans)
    if statistics.mean(scans) <= 0:
        raise ValueError(f"mean of {name} = {statistics.mean(scans)!r} is not positive")
    return scans


def _ratio_half_width(first: list[float], second: list[float], confidence: float) -> float:
    """Return half the confidence interval of mean(second) / mean(first)."""
    base, ratio = statistics.mean(first), statistics.mean(second) / statistics.mean(first)
    a, b = ratio**2 * statistics.variance(first) / len(first), statistics.variance(second) / len(second)
    degrees_of_freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return two_sided_t(confidence, degrees_of_freedom) * math.sqrt(a + b) / base
