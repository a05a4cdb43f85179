"""Precision error of repeated scans, and the least change that it lets one call real.

For phantom scans, and for data of an approved study: repeating scans of patients to find precision is not a
routine in the UK.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from scipy import special

from qa_models.quantiles import two_sided_normal
from qa_models.series import Series, named_series, positive_number, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

ISCD_FACTOR: Final = 2.77
"""What ISCD prints for ``1.959964 * sqrt(2)`` = 2.771808."""

MIN_DEGREES_OF_FREEDOM: Final = 27
"""From here on the true precision error is at most 30 % above the estimate (Gluer 1995)."""


@dataclass(frozen=True, slots=True)
class PrecisionError:
    """Short-term precision of one scanner, site and population.

    Parameters
    ----------
    n_subjects
        Subjects, or phantom set-ups.
    degrees_of_freedom
        Repeats less one, summed over subjects.
    rms_sd
        Root mean square of the subjects' standard deviations, in the unit of the scans.
    rms_cv_percent
        Root mean square of their coefficients of variation.
    upper_factor
        How many times the estimate the true precision error may be: ``sqrt(df / chi2)`` at the lower 5 % of
        chi2. One-sided 95 %, which is the upper end of a two-sided 90 % interval.
    """

    n_subjects: int
    degrees_of_freedom: int
    rms_sd: float
    rms_cv_percent: float
    upper_factor: float

    @property
    def upper_rms_sd(self) -> float:
        """Upper limit of the RMS-SD, in the unit of the scans."""
        return self.upper_factor * self.rms_sd

    @property
    def upper_rms_cv_percent(self) -> float:
        """Upper limit of the RMS-CV."""
        return self.upper_factor * self.rms_cv_percent

    @property
    def sufficient(self) -> bool:
        """Whether there are at least 27 degrees of freedom: 14 subjects three times, or 27 twice."""
        return self.degrees_of_freedom >= MIN_DEGREES_OF_FREEDOM


def precision_error(repeats: "Sequence[Series] | NDArray[Any]") -> PrecisionError:
    """Return the precision error of scans repeated with repositioning.

    Parameters
    ----------
    repeats
        Scans, shape ``(n_subjects, n_repeats)``, or a list of lists of unequal length, each of at least two;
        positive means.

    Returns
    -------
    PrecisionError
        Averages are of squares: of duplicates, the mean of the standard deviations would have to be a quarter
        larger [1]_. Subjects with unequal numbers of repeats weigh by their degrees of freedom.

    Raises
    ------
    ValueError
        If there is no subject, one with fewer than two scans, a scan that is not a finite number, a mean that
        is not positive, or no difference anywhere; the message names the value and its place.

    Examples
    --------
    >>> pairs = [(1.000, 1.010), (0.900, 0.912), (1.100, 1.090), (0.850, 0.850), (1.020, 1.034)]
    >>> precision = precision_error(pairs)
    >>> round(precision.rms_sd, 9), round(precision.rms_cv_percent, 6), precision.sufficient
    (0.007348469, 0.737339, False)

    References
    ----------
    .. [1] C. C. Gluer et al., "Accurate assessment of precision errors: how to measure the reproducibility of
       bone densitometry techniques", Osteoporos. Int. 5 (1995) 262-270.
    """
    subjects = [_subject(i, scans) for i, scans in enumerate(repeats)]
    if not subjects:
        raise ValueError("repeats has no subjects")
    degrees_of_freedom = sum(len(scans) - 1 for scans in subjects)
    squares = [(len(scans) - 1) * statistics.variance(scans) for scans in subjects]
    if not any(squares):
        raise ValueError(f"the repeats of all {len(subjects)} subjects are equal: there is no spread")
    relative_squares = [ss / statistics.fmean(scans) ** 2 for ss, scans in zip(squares, subjects, strict=True)]
    return PrecisionError(
        n_subjects=len(subjects),
        degrees_of_freedom=degrees_of_freedom,
        rms_sd=math.sqrt(math.fsum(squares) / degrees_of_freedom),
        rms_cv_percent=100 * math.sqrt(math.fsum(relative_squares) / degrees_of_freedom),
        upper_factor=math.sqrt(degrees_of_freedom / float(special.chdtri(degrees_of_freedom, 0.95))),
    )


def _subject(i: int, scans: Series) -> list[float]:
    if isinstance(scans, Real):
        raise ValueError(f"repeats[{i}] = {scans!r} is one number; each subject has a row of scans")  # noqa: TRY004
    values = named_series(f"repeats[{i}]", scans, at_least=2)
    if statistics.fmean(values) <= 0:
        raise ValueError(f"mean of repeats[{i}] = {statistics.fmean(values)!r} is not positive")
    return values


def least_significant_change(
    precision: float, *, confidence: float = 0.95, scans_before: int = 1, scans_after: int = 1
) -> float:
    """Return the smallest change of one subject on one scanner that is not precision error.

    Parameters
    ----------
    precision
        Precision error, > 0: RMS-SD or RMS-CV.
    confidence
        Two-sided; 0.80 is used where a missed change costs more than a false one.
    scans_before, scans_after
        Scans averaged at each visit, whole numbers >= 1.

    Returns
    -------
    float
        In the unit of `precision`. A change that is equal to it is significant. With one scan each it is
        2.771808 times the precision error; ISCD's tools say 2.77 (`iscd_least_significant_change`).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(least_significant_change(0.015), 4), round(least_significant_change(0.015, confidence=0.8), 3)
    (0.0416, 0.027)

    References
    ----------
    .. [1] C. C. Gluer, "Monitoring skeletal changes by radiological techniques", J. Bone Miner. Res. 14 (1999)
       1952-1962.
    .. [2] International Society for Clinical Densitometry, "Official Positions: Adult", precision assessment.
    """
    return least_significant_change_between(
        precision, precision, confidence=confidence, scans_before=scans_before, scans_after=scans_after
    )


def least_significant_change_between(
    precision_before: float,
    precision_after: float,
    *,
    confidence: float = 0.95,
    scans_before: int = 1,
    scans_after: int = 1,
) -> float:
    """Return the same for a subject who changes scanner.

    Only the two precision errors are in it, not the uncertainty of the cross-calibration: a lower bound. From
    a cross-calibration study use `qa_models.cross_calibration.generalised_lsc`.

    Parameters
    ----------
    precision_before, precision_after
        Precision errors of the two scanners in one unit, each > 0.
    confidence, scans_before, scans_after
        As in `least_significant_change`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(least_significant_change_between(0.003, 0.004), 6)
    0.0098

    References
    ----------
    .. [1] J. A. Shepherd and Y. Lu, "A generalized least significant change for individuals measured on different
       DXA systems", J. Clin. Densitom. 10 (2007) 249-258.
    """
    before = _of_mean("before", precision_before, scans_before)
    after = _of_mean("after", precision_after, scans_after)
    return two_sided_normal(confidence) * math.hypot(before, after)


def iscd_least_significant_change(precision: float) -> float:
    """Return 2.77 times the precision error, as ISCD's calculator and glossary do.

    Raises
    ------
    ValueError
        If precision is not positive and finite.

    Examples
    --------
    >>> round(iscd_least_significant_change(1.9), 3)
    5.263

    References
    ----------
    .. [1] International Society for Clinical Densitometry, "Official Positions: Adult", precision assessment.
    """
    return ISCD_FACTOR * positive_number(precision, "precision")


def _of_mean(when: str, precision: float, scans: int) -> float:
    """Return the precision error of the mean of so many scans."""
    if whole_number(scans, f"scans_{when}") < 1:
        raise ValueError(f"scans_{when} = {scans!r} is below 1")
    return positive_number(precision, f"precision_{when}") / math.sqrt(scans)
