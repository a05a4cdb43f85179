"""Phase I limits: what subgroups of a process in control say about its centre, its spread and their charts."""

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from qa_models.robust import MEAN_RANGE_PER_SIGMA, moving_range_sigma
from qa_models.series import Series, finite_series, scans_first

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

D2: Final = (
    *(MEAN_RANGE_PER_SIGMA, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970),
    *(3.078, 3.173, 3.258, 3.336, 3.407, 3.472, 3.532, 3.588),
    *(3.640, 3.689, 3.735, 3.778, 3.819, 3.858, 3.895, 3.931),
)
"""Mean range of a normal sample of n = 2 to 25 in sigmas, as tables and R qcc print it."""

D3: Final = (
    *(0.8525033, 0.8883697, 0.8798108, 0.8640855, 0.8480442, 0.8332108, 0.8198378, 0.8078413),
    *(0.7970584, 0.7873230, 0.7784873, 0.7704257, 0.7630330, 0.7562217, 0.7499188, 0.7440627),
    *(0.7386021, 0.7334929, 0.7286980, 0.7241851, 0.7199267, 0.7158987, 0.7120802, 0.7084528),
)
"""Standard deviation of that range in sigmas, as R qcc has it; the books' factor D3 is another number."""


class Limits(NamedTuple):
    """Centre line and 3-sigma limits of one chart, in the unit of x."""

    centre: float
    lcl: float
    ucl: float


@dataclass(frozen=True, slots=True)
class PhaseOneLimits:
    """Limits of a pair of charts, for location and for spread.

    Parameters
    ----------
    n
        Observations per subgroup; 1 for individuals.
    sigma
        Standard deviation of one observation, in the unit of x; of a subgroup's mean it is ``sigma / sqrt(n)``.
    location
        Chart of the subgroups' means, or of individuals.
    spread
        Chart of the subgroups' ranges or standard deviations, or of the moving ranges.
    """

    n: int
    sigma: float
    location: Limits
    spread: Limits


def xbar_r(x: "ArrayLike") -> PhaseOneLimits:
    """Estimate limits from subgroups by their means and ranges.

    Parameters
    ----------
    x
        Subgroups, shape ``(n_subgroups, n)``, n from 2 to 25.

    Raises
    ------
    ValueError
        If x is not two-dimensional or has no subgroup, one of another size or a value that is not a finite
        number (the message gives its place); if no subgroup has any spread.

    Examples
    --------
    >>> limits = xbar_r([[1.000, 1.004], [0.998, 1.001], [1.002, 1.000]])
    >>> round(limits.sigma, 6), round(limits.location.ucl, 6)
    (0.00266, 1.006475)

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", control charts for variables.
    """
    groups = _subgroups(x, most=len(D2) + 1)
    n = len(groups[0])
    mean_range = statistics.fmean(max(group) - min(group) for group in groups)
    sigma = mean_range / D2[n - 2]
    return _limits(groups, sigma, mean_range, D3[n - 2] * sigma)


def xbar_s(x: "ArrayLike") -> PhaseOneLimits:
    """Estimate limits from subgroups by their means and standard deviations.

    Parameters
    ----------
    x
        Subgroups, shape ``(n_subgroups, n)``, n >= 2.

    Raises
    ------
    ValueError
        As `xbar_r`.

    Examples
    --------
    >>> limits = xbar_s([[1.000, 1.004, 1.002], [0.998, 1.001, 1.001]])
    >>> round(limits.sigma, 6), round(limits.spread.ucl, 6)
    (0.002106, 0.004792)

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", control charts for x-bar and s.
    """
    groups = _subgroups(x)
    c4 = _c4(len(groups[0]))
    mean_sd = statistics.fmean(statistics.stdev(group) for group in groups)
    sigma = mean_sd / c4
    return _limits(groups, sigma, mean_sd, sigma * math.sqrt(1 - c4**2))


def individuals(x: Series) -> PhaseOneLimits:
    """Estimate limits from single observations by their moving range.

    Parameters
    ----------
    x
        Series, shape ``(n_scans,)``, at least 2, oldest first.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has fewer than 2 values, one that is not a finite number, or no spread.

    Examples
    --------
    >>> limits = individuals([1.000, 1.002, 0.998, 1.001, 0.999])
    >>> round(limits.sigma, 6), round(limits.location.lcl, 6), round(limits.spread.ucl, 6)
    (0.002438, 0.992686, 0.008985)

    References
    ----------
    .. [1] D. C. Montgomery, "Introduction to Statistical Quality Control", control charts for individuals.
    """
    sigma = moving_range_sigma(x)
    return _limits(
        [[value] for value in finite_series(x, at_least=2)], sigma, MEAN_RANGE_PER_SIGMA * sigma, D3[0] * sigma
    )


def _subgroups(x: "ArrayLike", *, most: float = math.inf) -> list[list[float]]:
    groups: list[list[float]] = scans_first(x).T.tolist()
    if not groups:
        raise ValueError("x has no subgroup")
    if not 2 <= len(groups[0]) <= most:
        raise ValueError(f"x has subgroups of {len(groups[0])}; 2 to {most:g} are needed")
    return groups


def _c4(n: int) -> float:
    """Return the mean standard deviation of a normal sample of n, in sigmas."""
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def _limits(groups: list[list[float]], sigma: float, spread: float, spread_sigma: float) -> PhaseOneLimits:
    if not 0 < sigma < math.inf:
        raise ValueError(f"the spread of x is {spread!r}, not positive and finite")
    n = len(groups[0])
    centre = statistics.fmean(statistics.fmean(group) for group in groups)
    width = 3 * sigma / math.sqrt(n)
    return PhaseOneLimits(
        n=n,
        sigma=sigma,
        location=Limits(centre, centre - width, centre + width),
        spread=Limits(spread, max(0.0, spread - 3 * spread_sigma), spread + 3 * spread_sigma),
    )
