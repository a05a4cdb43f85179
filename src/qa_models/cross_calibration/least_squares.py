"""Ordinary least squares between two scanners, and the least change between them that it lets one call real."""

import math
from dataclasses import dataclass
from typing import Final

from qa_models.cross_calibration.line_fit import LineFit, Prediction, line_from_errors
from qa_models.cross_calibration.paired import Moments, moments, paired_series
from qa_models.quantiles import two_sided_t
from qa_models.series import Series, finite_number

ROUNDING: Final = 1e-12
"""A standard error of estimate that is no larger part of the readings is rounding."""

SUFFICIENT_PAIRS: Final = 30
"""Subjects of a cross-calibration in vivo; with fewer the answer holds, but is wide."""


def ordinary(x: Series, y: Series, *, confidence: float = 0.95) -> LineFit:
    """Fit a line by ordinary least squares: all the error is taken to be in y.

    Between two scanners both err, and the slope comes out too low [2]_; prefer `deming`. It is the line to
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

    References
    ----------
    .. [1] D. C. Montgomery, E. A. Peck and G. G. Vining, "Introduction to Linear Regression Analysis", simple
       linear regression.
    .. [2] K. Linnet, "Evaluation of regression procedures for methods comparison studies", Clin. Chem. 39
       (1993) 424-432.
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
        Standard errors of the prediction that make a change significant, by Student's t with n - 2 degrees of
        freedom.
    """

    fit: LineFit
    see: float
    mean_x: float
    sxx: float
    quantile: float

    @property
    def sufficient(self) -> bool:
        """Whether there are at least 30 pairs. With fewer as many false changes, but more true ones missed."""
        return self.fit.n >= SUFFICIENT_PAIRS

    def at(self, x: float) -> Prediction:
        """Return the change that is significant for a subject who read x, in the unit of y.

        The change is the later reading less ``fit.predict(x)``.

        Raises
        ------
        ValueError
            If x is not a finite number.

        Examples
        --------
        >>> glsc = generalised_lsc([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
        >>> round(glsc.at(1.1).value, 6), glsc.at(1.5).within_range, glsc.sufficient
        (0.106485, False, False)
        """
        distance = (finite_number(x, "x") - self.mean_x) ** 2 / self.sxx
        change = self.quantile * self.see * math.sqrt(1 + 1 / self.fit.n + distance)
        return Prediction(change, self.fit.predict(x).within_range)


def generalised_lsc(x: Series, y: Series, *, confidence: float = 0.95) -> GeneralisedLsc:
    """Return the least significant change across two scanners, from subjects scanned once on each.

    ``t * SEE * sqrt(1 + 1/n + (x - mean)^2 / Sxx)``, the interval of a prediction, with Student's t of n - 2
    degrees of freedom: of subjects who did not change one in twenty is called changed, however few were scanned
    for the calibration. It holds both scanners' precision and the uncertainty of the calibration. The form was
    derived, not read in the paper [1]_; its 1.96 in place of t is the case of many subjects (of ten, 1.96 would
    call one in twelve changed). For identical scanners and many subjects it is 2.77 times their precision error,
    as it must be.

    Parameters
    ----------
    x, y
        Readings on the earlier and on the later scanner, each of shape ``(n,)``, n >= 3; 30 are usual
        (`GeneralisedLsc.sufficient`), and fewer than 10 give a change too wide to be of use.
    confidence
        Two-sided.

    Raises
    ------
    ValueError
        As `ordinary`; if the pairs lie on one line but for rounding, so that any change would be significant.

    Examples
    --------
    >>> glsc = generalised_lsc([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(glsc.at(1.1).value, 6), round(glsc.at(1.4).value, 6)
    (0.106485, 0.124182)

    References
    ----------
    .. [1] J. A. Shepherd and Y. Lu, "A generalized least significant change for individuals measured on
       different DXA systems", J. Clin. Densitom. 10 (2007) 249-258.
    """
    xs, ys = paired_series(x, y, at_least=3)
    fit, see, sums = _least_squares(xs, ys, confidence)
    if see <= ROUNDING * max(map(abs, ys)):
        raise ValueError(f"all {fit.n} pairs of x and y lie on one line: see = {see!r} is rounding")
    return GeneralisedLsc(fit, see, sums.mean_x, sums.sxx, two_sided_t(confidence, fit.n - 2))
