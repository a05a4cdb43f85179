"""The equation of a cross-calibration by a named method, as it is accepted, kept and derived again."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qa_models.cross_calibration.deming import deming, weighted_deming
from qa_models.cross_calibration.least_squares import ordinary
from qa_models.cross_calibration.line_fit import LineFit
from qa_models.cross_calibration.paired import paired_series
from qa_models.cross_calibration.passing_bablok import passing_bablok
from qa_models.series import Series

METHODS: Final[dict[str, Callable[[Series, Series], LineFit]]] = {
    "ordinary": ordinary,
    "deming": deming,
    "weighted_deming": weighted_deming,
    "passing_bablok": passing_bablok,
}
"""By the name under which a study says how its line was fitted."""
AT_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Equation:
    """``to = intercept + slope * from``, BMD in g/cm2, and where it holds.

    `standard_error` is the standard error of estimate: the root of the residuals' squares (in `to`) over n - 2.
    """

    method: str
    slope: float
    intercept: float
    standard_error: float
    lower: float
    upper: float
    n: int

    def is_same_as(self, other: "Equation", *, relative: float = 1e-9) -> bool:
        """Whether another derivation gave this: same method, pairs and range, coefficients to so many parts."""
        near = (
            math.isclose(a, b, rel_tol=relative, abs_tol=relative)
            for a, b in (
                (self.slope, other.slope),
                (self.intercept, other.intercept),
                (self.standard_error, other.standard_error),
                (self.lower, other.lower),
                (self.upper, other.upper),
            )
        )
        return (self.method, self.n) == (other.method, other.n) and all(near)


def derive(method: str, x: Series, y: Series) -> Equation:
    """Fit y of one scanner on x of another.

    Raises
    ------
    ValueError
        If the method is not known, or the pairs allow no line.

    Examples
    --------
    >>> line = derive("ordinary", [0.8, 1.0, 1.2, 1.4], [0.85, 1.03, 1.28, 1.46])
    >>> round(line.slope, 6), round(line.intercept, 6), round(line.standard_error, 6)
    (1.04, 0.011, 0.022136)
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no method of ours; choose from {', '.join(METHODS)}")
    xs, ys = paired_series(x, y, at_least=AT_LEAST)
    fit = METHODS[method](xs, ys)
    squares = math.fsum((b - fit.intercept - fit.slope * a) ** 2 for a, b in zip(xs, ys, strict=True))
    error = math.sqrt(squares / (fit.n - 2))
    return Equation(method, fit.slope, fit.intercept, error, fit.x_min, fit.x_max, fit.n)
