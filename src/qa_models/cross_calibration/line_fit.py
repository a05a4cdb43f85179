"""What every straight-line fit of one scanner's readings to another's has in common."""

from dataclasses import dataclass
from typing import NamedTuple

from qa_models.series import finite_number


class Interval(NamedTuple):
    """Confidence interval, in the unit of what it is about."""

    lower: float
    upper: float


def interval_about(value: float, half_width: float) -> Interval:
    """Return the interval that reaches `half_width` either side of `value`."""
    return Interval(value - half_width, value + half_width)


class Prediction(NamedTuple):
    """A value read off a fit.

    Parameters
    ----------
    value
        In the unit of y.
    within_range
        Whether x lies on or between the smallest and the largest x of the fitted data. Outside it the value
        is an extrapolation that no data support.
    """

    value: float
    within_range: bool


@dataclass(frozen=True, slots=True)
class LineFit:
    """The line ``y = intercept + slope * x`` and how well it is known.

    Parameters
    ----------
    slope, intercept
        In units of y per x, and of y.
    slope_interval, intercept_interval
        Confidence intervals.
    slope_se, intercept_se
        Standard errors; None where the method has intervals only.
    x_min, x_max
        Range of x that was fitted.
    n
        Number of pairs.
    """

    slope: float
    intercept: float
    slope_interval: Interval
    intercept_interval: Interval
    slope_se: float | None
    intercept_se: float | None
    x_min: float
    x_max: float
    n: int

    def predict(self, x: float) -> Prediction:
        """Return y of the line at x, and whether x lies in the range that was fitted.

        Raises
        ------
        ValueError
            If x is not a finite number.

        Examples
        --------
        >>> from qa_models.cross_calibration import ordinary
        >>> fit = ordinary([0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
        >>> round(fit.predict(1.1).value, 6), fit.predict(1.1).within_range, fit.predict(1.5).within_range
        (1.155, True, False)
        """
        at = finite_number(x, "x")
        return Prediction(self.intercept + self.slope * at, self.x_min <= at <= self.x_max)


def line_from_errors(
    line: tuple[float, float], errors: tuple[float, float], *, quantile: float, x: list[float]
) -> LineFit:
    """Return the fit whose intervals reach `quantile` standard errors either side.

    Parameters
    ----------
    line, errors
        Slope and intercept, and their standard errors.
    quantile
        Standard errors either side.
    x
        The fitted x.
    """
    (slope, intercept), (slope_se, intercept_se) = line, errors
    return LineFit(
        slope=slope,
        intercept=intercept,
        slope_interval=interval_about(slope, quantile * slope_se),
        intercept_interval=interval_about(intercept, quantile * intercept_se),
        slope_se=slope_se,
        intercept_se=intercept_se,
        x_min=min(x),
        x_max=max(x),
        n=len(x),
    )
