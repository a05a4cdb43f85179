"""Deming regression: a line between two scanners that both err, plain and with constant CV."""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from qa_models.cross_calibration.line_fit import LineFit, line_from_errors
from qa_models.cross_calibration.paired import moments, paired_series
from qa_models.quantiles import two_sided_t
from qa_models.series import Series, positive_number

UNRELATED: Final = 1e-12
"""A correlation no larger than this is rounding: no line can be drawn."""

SETTLED: Final = 1e-12
"""Relative change of the slope below which reweighting ends."""

MAX_ROUNDS: Final = 200


class _Line(NamedTuple):
    slope: float
    intercept: float


_Fit: TypeAlias = Callable[[list[float], list[float]], _Line]


def deming(x: Series, y: Series, *, ratio: float = 1.0, confidence: float = 0.95) -> LineFit:
    """Fit a line to pairs whose x and y both have errors of constant size.

    Parameters
    ----------
    x, y
        Pairs, each of shape ``(n,)``, n >= 4.
    ratio
        Error **variance** of y over that of x, > 0; 1 fits at right angles to the line. It is the square of
        the ratio of the precision errors (RMS-SD). R's conventions differ: `mcr` takes ``error.ratio``, the
        inverse (x over y); `deming` takes standard deviations, ``stdpat = c(1, 0, sqrt(ratio), 0)``.
    confidence
        Of the intervals, two-sided.

    Returns
    -------
    LineFit
        The closed form [1]_. Standard errors by the jackknife as R `deming` 1.4 has it, the root of the
        summed squared changes when one pair is left out; intervals by Student's t with n - 2 degrees of
        freedom, wider than R `deming`'s, which are normal.

    Raises
    ------
    ValueError
        If x and y are no series of finite numbers, differ in length, are too few, have no spread or do not
        vary together, all together or without any one pair; if ratio or confidence is out of range.

    Examples
    --------
    >>> fit = deming([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(fit.slope, 6), round(fit.intercept, 6)
    (1.042451, 0.008304)
    >>> round(fit.predict(1.1).value, 6), fit.predict(1.5).within_range
    (1.155, False)

    References
    ----------
    .. [1] K. Linnet, "Evaluation of regression procedures for methods comparison studies", Clin. Chem. 39
       (1993) 424-432.
    """
    variances = positive_number(ratio, "ratio")
    xs, ys = paired_series(x, y, at_least=4)
    return _jackknifed(lambda some_x, some_y: _closed_form(some_x, some_y, variances), xs, ys, confidence)


def weighted_deming(x: Series, y: Series, *, ratio: float = 1.0, confidence: float = 0.95) -> LineFit:
    """Fit a line to pairs whose x and y both have errors in proportion to the value (constant CV).

    Each pair weighs the inverse square of its estimated true value; weights and line are found in turn until
    the slope settles, as R `mcr` does [1]_ [2]_.

    Parameters
    ----------
    x, y
        Pairs, each of shape ``(n,)``, n >= 4, all positive.
    ratio, confidence
        As in `deming`; here the ratio is that of the squared CVs for a slope near 1.

    Returns
    -------
    LineFit
        With standard errors and intervals as `deming`.

    Raises
    ------
    ValueError
        As `deming`; if a value is not positive; if the slope does not settle.

    Examples
    --------
    >>> fit = weighted_deming([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(fit.slope, 6), round(fit.intercept, 6)
    (1.038204, 0.012846)

    References
    ----------
    .. [1] K. Linnet, "Estimation of the linear relationship between the measurements of two methods with
       proportional errors", Statistics in Medicine 9 (1990) 1463-1473.
    .. [2] K. Linnet, Clin. Chem. 39 (1993) 424-432.
    """
    variances = positive_number(ratio, "ratio")
    xs, ys = paired_series(x, y, at_least=4)
    for name, values in (("x", xs), ("y", ys)):
        for i, value in enumerate(values):
            if value <= 0:
                raise ValueError(f"{name}[{i}] = {value!r} is not positive, as a constant CV needs")
    return _jackknifed(lambda some_x, some_y: _reweighted(some_x, some_y, variances), xs, ys, confidence)


def _closed_form(x: list[float], y: list[float], ratio: float, weights: list[float] | None = None) -> _Line:
    sums = moments(x, y, weights)
    if abs(sums.sxy) <= UNRELATED * math.sqrt(sums.sxx) * math.sqrt(sums.syy):
        raise ValueError("x and y do not vary together: there is no line")
    excess = sums.syy - ratio * sums.sxx
    root = math.hypot(excess, 2 * math.sqrt(ratio) * sums.sxy)
    # Two forms of one root; each adds where the other would cancel.
    slope = (root + excess) / (2 * sums.sxy) if excess > 0 else 2 * ratio * sums.sxy / (root - excess)
    return _Line(slope, sums.mean_y - slope * sums.mean_x)


def _reweighted(x: list[float], y: list[float], ratio: float) -> _Line:
    line = _closed_form(x, y, ratio)
    for _ in range(MAX_ROUNDS):
        weights = [_true_value(a, b, line, ratio) ** -2 for a, b in zip(x, y, strict=True)]
        last, line = line, _closed_form(x, y, ratio, weights)
        if abs(line.slope - last.slope) <= SETTLED * abs(line.slope):
            return line
    raise ValueError(f"the weighted slope does not settle in {MAX_ROUNDS} rounds: last {line.slope!r}")


def _true_value(x: float, y: float, line: _Line, ratio: float) -> float:
    """Return what both measured: the mean of the nearest point on the line, by its error variances."""
    residual = y - line.intercept - line.slope * x
    true_x = x + line.slope * residual / (ratio + line.slope**2)
    true_y = line.intercept + line.slope * true_x
    return (ratio * true_x + true_y) / (ratio + 1)


def _jackknifed(fit: _Fit, x: list[float], y: list[float], confidence: float) -> LineFit:
    line = fit(x, y)
    others = [_without(i, fit, x, y) for i in range(len(x))]
    slope_se = math.hypot(*(line.slope - other.slope for other in others))
    intercept_se = math.hypot(*(line.intercept - other.intercept for other in others))
    return line_from_errors(line, (slope_se, intercept_se), quantile=two_sided_t(confidence, len(x) - 2), x=x)


def _without(i: int, fit: _Fit, x: list[float], y: list[float]) -> _Line:
    try:
        return fit(x[:i] + x[i + 1 :], y[:i] + y[i + 1 :])
    except ValueError as refusal:
        raise ValueError(f"the fit hangs on x[{i}] = {x[i]!r}, y[{i}] = {y[i]!r}: without it {refusal}") from refusal
