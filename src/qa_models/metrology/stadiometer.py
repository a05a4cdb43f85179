"""Checks of stadiometers with rods of known length. No class of legal metrology exists: limits are local policy."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from qa_models.metrology.exact import Number, exact, exact_positive, exact_series
from qa_models.metrology.verdict import Verdict

ROD_WARN_MM: Final = 2
ROD_FAIL_MM: Final = 5
"""Local policy, after what growth clinics act on; no standard says so."""


@dataclass(frozen=True, slots=True)
class RodJudgement:
    """Verdict on one rod, and reading less length in mm."""

    verdict: Verdict
    error_mm: Decimal


def judge_rod(
    reading_mm: Number, rod_mm: Number, *, warn_mm: Number = ROD_WARN_MM, fail_mm: Number = ROD_FAIL_MM
) -> RodJudgement:
    """Judge the reading of one rod.

    Parameters
    ----------
    reading_mm, rod_mm
        What the stadiometer reads, and what the rod's certificate says, > 0.
    warn_mm, fail_mm
        Largest error that passes, and that does not fail; 0 <= warn_mm <= fail_mm.

    Returns
    -------
    RodJudgement
        An error of exactly `warn_mm` passes, one of exactly `fail_mm` warns.

    Raises
    ------
    ValueError
        If an argument is not a finite number or out of range.

    Examples
    --------
    >>> [judge_rod(reading, 1000).verdict.value for reading in (1002, 1002.1, 995, 994.9)]
    ['pass', 'warn', 'warn', 'fail']

    References
    ----------
    .. [1] JCGM 200, "International vocabulary of metrology" (2012), 2.16: an error is the measured value less the
       reference value. The limits are in no standard.
    """
    warn, fail = exact("warn_mm", warn_mm), exact("fail_mm", fail_mm)
    if not 0 <= warn <= fail:
        raise ValueError(f"warn_mm = {warn_mm!r} is not between 0 and fail_mm = {fail_mm!r}")
    error = exact("reading_mm", reading_mm) - exact_positive("rod_mm", rod_mm)
    if abs(error) <= warn:
        return RodJudgement(Verdict.PASS, error)
    return RodJudgement(Verdict.WARN if abs(error) <= fail else Verdict.FAIL, error)


@dataclass(frozen=True, slots=True)
class Linearity:
    """How the error runs over the range; in the unit of the standards.

    Parameters
    ----------
    n
        Number of standards.
    mean_error
        Mean of reading less standard.
    largest_error
        Error of largest size, with its sign; of two of one size the first.
    error_slope, error_intercept
        Least-squares line of the error on the standard: a slope is a scale fault, an intercept one of zero.
    """

    n: int
    mean_error: Decimal
    largest_error: Decimal
    error_slope: float
    error_intercept: float


def linearity(standards: Sequence[Number], readings: Sequence[Number]) -> Linearity:
    """Return how readings of several standards err over the range; each is judged by itself (`judge_rod`).

    Parameters
    ----------
    standards
        Certified values, at least 3, > 0: rods, or weights.
    readings
        What was read of each, same unit.

    Raises
    ------
    ValueError
        If a value is not a finite number, a standard is not positive, the numbers of values differ, there are
        too few, or the standards are all equal.

    Examples
    --------
    >>> result = linearity([60, 100, 150, 200], [60.1, 100.1, 150.2, 200.2])
    >>> result.mean_error, result.largest_error, round(result.error_slope, 9)
    (Decimal('0.15'), Decimal('0.2'), 0.000857788)

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", gauge capability: linearity is how the
       bias depends on the size measured.
    """
    known, read = exact_series("standards", standards, positive=True), exact_series("readings", readings)
    if len(known) != len(read):
        raise ValueError(f"standards has {len(known)} values, readings has {len(read)}: they are no pairs")
    if len(known) < 3:
        raise ValueError(f"standards has {len(known)} values; at least 3 are needed")
    if min(known) == max(known):
        raise ValueError(f"all {len(known)} values of standards are {standards[0]!r}: there is no spread")
    errors = [reading - standard for standard, reading in zip(known, read, strict=True)]
    line = statistics.linear_regression([float(value) for value in known], [float(error) for error in errors])
    return Linearity(
        n=len(errors),
        mean_error=statistics.mean(errors),
        largest_error=max(errors, key=abs),
        error_slope=line.slope,
        error_intercept=line.intercept,
    )
