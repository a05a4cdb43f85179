"""Cross-calibration: what one scanner would have read where another did.

Values carried over serve serial comparison only, never a T-score or FRAX. Fits and agreement have modules of
their own; everything is importable from here.
"""

import math
import statistics
from dataclasses import dataclass

from qa_models.agreement import Agreement, bland_altman
from qa_models.baseline import tolerance_limits
from qa_models.deming import deming, weighted_deming
from qa_models.line_fit import Interval, LineFit, Prediction, interval_about, line_from_errors
from qa_models.paired import Moments, moments, named_series, paired_series, refuse_no_spread
from qa_models.passing_bablok import passing_bablok
from qa_models.quantiles import two_sided_normal, two_sided_t
from qa_models.series import Series, finite_number
from qa_models.standardised_bmd import standardised_bmd

__all__ = [
    "Agreement",
    "GeneralisedLsc",
    "Interval",
    "LineFit",
    "PhantomComparison",
    "Prediction",
    "bland_altman",
    "deming",
    "generalised_lsc",
    "ordinary",
    "passing_bablok",
    "phantom_comparison",
    "standardised_bmd",
    "weighted_deming",
]


def ordinary(x: Series, y: Series, *, confidence: float = 0.95) -> LineFit:
    """Fit a line by ordinary least squares: all the error is taken to be in y.

    Between two scanners both err, and the slope comes out too low; prefer `deming`. It is the line to
    predict y from a reading x, as `generalised_lsc` does.

    Parameters
    ----------
    x, y
        Pairs, each of shape ``(n,)``, n >= 3.
    confidence
        Of the intervals, two-sided, by Student's t with n - 2 degrees of freedom.

    Raises
    ------
    ValueError
        If x and y are no series of finite numbers, differ in length, are too few or have no spread; if
        confidence is out of range.

    Examples
    --------
    >>> fit = ordinary([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(fit.slope, 6), round(fit.intercept, 6), round(fit.slope_se, 6)
    (1.04, 0.011, 0.049497)
    """
    xs, ys = paired_series(x, y, at_least=3)
    return _least_squares(xs, ys, confidence)[0]


def _least_squares(x: list[float], y: list[float], confidence: float) -> tuple[LineFit, float, Moments]:
    """Return the fit, the standard error of estimate and the sums it came from."""
    n, sums = len(x), moments(x, y)
    slope = sums.sxy / sums.sxx
    intercept = sums.mean_y - slope * sums.mean_x
    see = math.hypot(*(b - intercept - slope * a for a, b in zip(x, y, strict=True))) / math.sqrt(n - 2)
    errors = see / math.sqrt(sums.sxx), see * math.sqrt(1 / n + sums.mean_x**2 / sums.sxx)
    return line_from_errors((slope, intercept), errors, quantile=two_sided_t(confidence, n - 2), x=x), see, sums


@dataclass(frozen=True, slots=True)
class GeneralisedLsc:
    """Least significant change between a reading on one scanner and a later one on another.

    Parameters
    ----------
    fit
        Least-squares line of the later scanner's readings on the earlier one's.
    see
        Standard error of estimate about it, in the unit of y.
    mean_x, sxx
        Mean of x, and sum of squares about it.
    quantile
        Standard errors of the prediction that make a change significant.
    """

    fit: LineFit
    see: float
    mean_x: float
    sxx: float
    quantile: float

    def at(self, x: float) -> Prediction:
        """Return the change that is significant for a subject who read x, in the unit of y.

        The change is the later reading less ``fit.predict(x)``.

        Raises
        ------
        ValueError
            If x is not a finite number.
        """
        distance = (finite_number(x, "x") - self.mean_x) ** 2 / self.sxx
        change = self.quantile * self.see * math.sqrt(1 + 1 / self.fit.n + distance)
        return Prediction(change, self.fit.predict(x).within_range)


def generalised_lsc(x: Series, y: Series, *, confidence: float = 0.95) -> GeneralisedLsc:
    """Return the least significant change across two scanners, from subjects scanned once on each.

    ``1.96 * SEE * sqrt(1 + 1/n + (x - mean)^2 / Sxx)``, the normal interval of a prediction. It holds both
    scanners' precision and the uncertainty of the calibration. The form was derived, not read in the paper
    [1]_; for identical scanners and many subjects it is 2.77 times their precision error, as it must be.

    Parameters
    ----------
    x, y
        Readings on the earlier and on the later scanner, each of shape ``(n,)``, n >= 3; 30 are usual.
    confidence
        Two-sided; the quantile is the exact normal one (1.959964 for 0.95).

    Raises
    ------
    ValueError
        As `ordinary`.

    Examples
    --------
    >>> glsc = generalised_lsc([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(glsc.at(1.1).value, 6), round(glsc.at(1.4).value, 6)
    (0.048507, 0.056568)

    References
    ----------
    .. [1] J. A. Shepherd and Y. Lu, "A generalized least significant change for individuals measured on
       different DXA systems", J. Clin. Densitom. 10 (2007) 249-258.
    """
    xs, ys = paired_series(x, y, at_least=3)
    fit, see, sums = _least_squares(xs, ys, confidence)
    return GeneralisedLsc(fit, see, sums.mean_x, sums.sxx, two_sided_normal(confidence))


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
        Whether the mean after is on or between the limits: the rule looks at the means alone. Beyond, the
        manufacturer is called before patients are scanned.
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

    ISCD: one technologist, ten scans each **with** repositioning; means that differ by more than 1 % go to
    the manufacturer. (A baseline's ten scans are without: another protocol.)

    Parameters
    ----------
    before, after
        Scans, shape ``(n_scans,)``.
    limit_percent
        Largest difference within, above 0 and below 100; the limits are rounded as those of a `Baseline`.
    min_scans
        Fewest scans of either, at least 2.
    confidence
        Of the interval of the ratio of means: delta method, with Welch's degrees of freedom.

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
    """
    if not 0 < limit_percent < 100:
        raise ValueError(f"limit_percent = {limit_percent!r} is not between 0 and 100")
    if min_scans < 2:
        raise ValueError(f"min_scans = {min_scans!r} is below 2, the fewest that have a spread")
    first, second = _scans("before", before, min_scans), _scans("after", after, min_scans)
    mean_before, mean_after = statistics.mean(first), statistics.mean(second)
    difference = 100 * (mean_after - mean_before) / mean_before
    lower, upper = tolerance_limits(mean_before, limit_percent)
    return PhantomComparison(
        n_before=len(first),
        n_after=len(second),
        mean_before=mean_before,
        mean_after=mean_after,
        difference_percent=difference,
        interval_percent=interval_about(difference, 100 * _ratio_half_width(first, second, confidence)),
        limit_percent=limit_percent,
        within=lower <= mean_after <= upper,
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
