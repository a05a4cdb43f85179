"""Bland-Altman agreement: how far two scanners differ on the same subject."""

import math
import statistics
from dataclasses import dataclass

from qa_models.cross_calibration.line_fit import Interval, interval_about
from qa_models.cross_calibration.paired import paired_series, refuse_no_spread
from qa_models.quantiles import two_sided_t
from qa_models.series import Series, positive_number


@dataclass(frozen=True, slots=True)
class Agreement:
    """Differences a - b of pairs; all but n in the unit of a and b.

    Parameters
    ----------
    n
        Number of pairs.
    bias, sd
        Mean and sample standard deviation of the differences.
    limits
        Limits of agreement: bias less and plus `multiplier` standard deviations.
    bias_se, limit_se
        Standard errors of the bias, ``sd / sqrt(n)``, and of either limit, ``sd * sqrt(3 / n)``.
    bias_interval, lower_limit_interval, upper_limit_interval
        Their confidence intervals, by Student's t with n - 1 degrees of freedom.
    prediction_interval
        Where the difference of one more subject is expected with the same confidence,
        ``bias -+ t * sd * sqrt(1 + 1/n)``: the t-based limits, wider than the normal ones for few pairs.
    """

    n: int
    bias: float
    sd: float
    limits: Interval
    bias_se: float
    limit_se: float
    bias_interval: Interval
    lower_limit_interval: Interval
    upper_limit_interval: Interval
    prediction_interval: Interval


def bland_altman(a: Series, b: Series, *, multiplier: float = 1.96, confidence: float = 0.95) -> Agreement:
    """Return bias and limits of agreement of two methods.

    Parameters
    ----------
    a, b
        Pairs, each of shape ``(n,)``, n >= 3; one per subject.
    multiplier
        Standard deviations from bias to limit, > 0. 1.96 is today's convention and holds for many pairs; the
        paper of 1986 takes 2. For few pairs read `prediction_interval` instead.
    confidence
        Of the intervals, two-sided.

    Returns
    -------
    Agreement
        The standard error of a limit is the paper's approximation [1]_.

    Raises
    ------
    ValueError
        If a and b are no series of finite numbers, differ in length, are too few, or differ by the same
        everywhere; if multiplier or confidence is out of range.

    Examples
    --------
    >>> agreement = bland_altman([1.00, 1.10, 1.20, 0.90], [0.98, 1.09, 1.16, 0.91])
    >>> round(agreement.bias, 6), round(agreement.limits.lower, 6), round(agreement.limits.upper, 6)
    (0.015, -0.025801, 0.055801)

    References
    ----------
    .. [1] J. M. Bland and D. G. Altman, "Statistical methods for assessing agreement between two methods of
       clinical measurement", Lancet i (1986) 307-310.
    """
    times = positive_number(multiplier, "multiplier")
    firsts, seconds = paired_series(a, b, at_least=3, names=("a", "b"))
    differences = [first - second for first, second in zip(firsts, seconds, strict=True)]
    refuse_no_spread("a - b", differences)
    n, bias, sd = len(differences), statistics.fmean(differences), statistics.stdev(differences)
    t = two_sided_t(confidence, n - 1)
    limits, limit_se = interval_about(bias, times * sd), sd * math.sqrt(3 / n)
    return Agreement(
        n=n,
        bias=bias,
        sd=sd,
        limits=limits,
        bias_se=sd / math.sqrt(n),
        limit_se=limit_se,
        bias_interval=interval_about(bias, t * sd / math.sqrt(n)),
        lower_limit_interval=interval_about(limits.lower, t * limit_se),
        upper_limit_interval=interval_about(limits.upper, t * limit_se),
        prediction_interval=interval_about(bias, t * sd * math.sqrt(1 + 1 / n)),
    )
