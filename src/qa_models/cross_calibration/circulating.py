"""One phantom that travels between scanners: what each reads against the consensus of all, and against another.

Visits are the unit of evidence: repeats within a visit share its set-up, so errors come from how a scanner's visits
differ, pooled over the scanners. All scanners' common course over the year (the phantom ages, or every scanner
drifts alike) is fitted beside them, so a scanner that missed a visit is not compared at another time of the phantom.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qa_models.cross_calibration.line_fit import Interval, Prediction, interval_about
from qa_models.cross_calibration.paired import moments
from qa_models.quantiles import two_sided_t
from qa_models.series import finite_number

DAYS_A_YEAR: Final = 365.25


class Visit(NamedTuple):
    """The phantom's visit to one scanner.

    Parameters
    ----------
    scanner
        Which scanner.
    day
        When, in days from any origin common to all visits.
    levels
        Mean of the visit's readings of each insert or region of the phantom, in one order for all visits.
    """

    scanner: str
    day: float
    levels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its confidence interval; None where the visits are too few to give one."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ScannerLine:
    """One scanner against the consensus: it reads ``intercept + slope * consensus``.

    Parameters
    ----------
    scanner
        Which scanner.
    visits
        How many visits this rests on.
    levels
        What it reads of each level, at the common day.
    differences
        Of each level from the consensus, in the unit of the readings.
    slope, intercept
        Of the straight line through the levels; None with a single level.
    residual_sd
        Of the levels about the line, with n - 2 degrees of freedom; None below three levels.
    """

    scanner: str
    visits: int
    levels: tuple[float, ...]
    differences: tuple[Estimate, ...]
    slope: Estimate | None
    intercept: Estimate | None
    residual_sd: float | None


@dataclass(frozen=True, slots=True)
class CirculatingPhantom:
    """A phantom's journey, and the scanners it compared.

    Parameters
    ----------
    levels
        Consensus of each level: the mean over scanners, each counted once however often it was visited.
    trend_per_year
        Common course of each level in units per year; empty where the visits are too few to tell it from chance:
        then scanners are compared as if the phantom, and all of them, had stood still.
    visit_sd
        Standard deviation between visits to one scanner, of each level; None where it cannot be told.
    degrees_of_freedom
        Of `visit_sd`.
    day
        The common day at which the scanners are compared.
    scanners
        In the order in which they were first visited.
    """

    levels: tuple[float, ...]
    trend_per_year: tuple[Estimate, ...]
    visit_sd: tuple[float | None, ...]
    degrees_of_freedom: int
    day: float
    scanners: tuple[ScannerLine, ...]

    def scanner(self, name: str) -> ScannerLine:
        """Return one scanner; raise KeyError if it was never visited."""
        found = next((line for line in self.scanners if line.scanner == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def convert(self, value: float, *, read_on: str, to: str) -> Prediction:
        """Return what scanner `to` would have read where `read_on` read `value`.

        For serial comparison only, never for a T-score or FRAX. Outside the levels that `read_on` has measured the
        value is an extrapolation.

        Raises
        ------
        KeyError
            If either scanner was never visited.
        ValueError
            If the phantom has a single level, `read_on` does not tell its levels apart, or the value is no number.
        """
        first, second, x = self.scanner(read_on), self.scanner(to), finite_number(value, "value")
        if first.slope is None or first.intercept is None or second.slope is None or second.intercept is None:
            raise ValueError("a phantom with one level gives no line to convert by")
        if first.slope.value <= 0:
            raise ValueError(f"{read_on} does not tell the phantom's levels apart: slope {first.slope.value!r}")
        consensus = (x - first.intercept.value) / first.slope.value
        within = min(first.levels) <= x <= max(first.levels)
        return Prediction(second.intercept.value + second.slope.value * consensus, within)


def circulating_phantom(visits: Sequence[Visit], *, confidence: float = 0.95) -> CirculatingPhantom:
    """Compare scanners by the visits of one phantom.

    For each level ``y = scanner + trend * day + error`` by least squares (analysis of covariance); scanners are
    compared with their unweighted mean. The line of a scanner is fitted to its levels against the consensus, which
    is taken as known; slope and intercept are linear in the readings, so their errors come from the visits in the
    same way.

    Parameters
    ----------
    visits
        In any order; each with every level.
    confidence
        Of all intervals.

    Raises
    ------
    ValueError
        If there are fewer than two scanners or no level; if a visit lacks a level; if a number is not finite; if the
        consensus of several levels is one and the same.

    Examples
    --------
    Two scanners, two visits each, half a year apart; B reads 0.01 more of either level.

    >>> found = circulating_phantom([
    ...     Visit("A", 0, (0.499, 1.001)), Visit("B", 10, (0.511, 1.012)),
    ...     Visit("A", 180, (0.501, 0.999)), Visit("B", 190, (0.509, 1.008)),
    ... ])
    >>> [round(level, 4) for level in found.levels], found.degrees_of_freedom
    ([0.505, 1.005], 1)
    >>> [round(difference.value, 4) for difference in found.scanner("B").differences]
    [0.005, 0.0051]
    >>> round(found.convert(0.75, read_on="A", to="B").value, 4)
    0.7601

    References
    ----------
    .. [1] G. W. Snedecor and W. G. Cochran, "Statistical Methods", 8th ed., ch. 18 (analysis of covariance).
    .. [2] ISO 5725-2:2019, "Accuracy of measurement methods and results": laboratories as such are compared by
       what they repeat, not by repeats within one occasion.
    """
    days, levels = _read(visits)
    rows: dict[str, list[int]] = {}
    for row, visit in enumerate(visits):
        rows.setdefault(visit.scanner, []).append(row)
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} scanner was visited: there is nothing to compare")
    design = _Design(tuple(rows), tuple(tuple(places) for places in rows.values()), tuple(days), confidence)
    fits = [design.fit([visit[j] for visit in levels]) for j in range(len(levels[0]))]
    consensus = tuple(statistics.fmean(fit.effects) for fit in fits)
    lines = _lines(design, levels, consensus)
    return CirculatingPhantom(
        levels=consensus,
        trend_per_year=tuple(fit.trend for fit in fits if fit.trend is not None),
        visit_sd=tuple(fit.sd for fit in fits),
        degrees_of_freedom=max(0, design.degrees_of_freedom),
        day=design.common_day,
        scanners=tuple(
            ScannerLine(
                scanner=name,
                visits=len(design.rows[i]),
                levels=(read := tuple(fit.effects[i] for fit in fits)),
                differences=tuple(fit.differences[i] for fit in fits),
                slope=lines[0].level(i) if lines else None,
                intercept=lines[1].level(i, about=0.0) if lines else None,
                residual_sd=_residual_sd(consensus, read),
            )
            for i, name in enumerate(design.names)
        ),
    )


def _read(visits: Sequence[Visit]) -> tuple[list[float], list[list[float]]]:
    """Return days and levels as floats, or refuse by scanner and place."""
    days, levels = list[float](), list[list[float]]()
    for number, visit in enumerate(visits):
        place = f"visit {number + 1} ({visit.scanner})"
        days.append(finite_number(visit.day, f"day of {place}"))
        levels.append([finite_number(level, f"level {j + 1} of {place}") for j, level in enumerate(visit.levels)])
        if not levels[-1] or len(levels[-1]) != len(levels[0]):
            raise ValueError(f"{place} has {len(levels[-1])} levels, the first visit {len(levels[0])}")
    return days, levels


@dataclass(frozen=True, slots=True)
class _Fit:
    """One response fitted: effect of each scanner at the common day, its contrast with their mean, the trend."""

    effects: tuple[float, ...]
    differences: tuple[Estimate, ...]
    trend: Estimate | None
    sd: float | None

    def level(self, i: int, *, about: float | None = None) -> Estimate:
        """Return an effect with the width of its contrast; `about` is what their mean is known to be."""
        difference = self.differences[i]
        value = self.effects[i] if about is None else about + difference.value
        if difference.interval is None:
            return Estimate(value, None)
        return Estimate(value, interval_about(value, difference.interval.upper - difference.value))


@dataclass(frozen=True, slots=True)
class _Design:
    """Which visits are of which scanner, and when."""

    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    days: tuple[float, ...]
    confidence: float

    @property
    def scanner_days(self) -> list[float]:
        """Mean day of each scanner's visits."""
        return [statistics.fmean(self.days[row] for row in rows) for rows in self.rows]

    @property
    def common_day(self) -> float:
        return statistics.fmean(self.scanner_days)

    @property
    def spread(self) -> float:
        """Sum of squares of the days about each scanner's mean."""
        means = self.scanner_days
        return math.fsum((self.days[row] - means[i]) ** 2 for i, rows in enumerate(self.rows) for row in rows)

    @property
    def has_trend(self) -> bool:
        """Whether a common trend can be told from chance: something is left to judge it by."""
        return self.spread > 0 and len(self.days) - len(self.names) > 1

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.days) - len(self.names) - (1 if self.has_trend else 0)

    def fit(self, y: Sequence[float]) -> _Fit:
        """Fit scanners and a common trend to one response."""
        days, common, freedom = self.scanner_days, self.common_day, self.degrees_of_freedom
        spread = self.spread if self.has_trend else 0.0
        means = [statistics.fmean(y[row] for row in rows) for rows in self.rows]
        own = [(self.days[row] - days[i], y[row] - means[i]) for i, rows in enumerate(self.rows) for row in rows]
        trend = math.fsum(dt * dy for dt, dy in own) / spread if spread > 0 else 0.0
        sd = math.sqrt(math.fsum((dy - trend * dt) ** 2 for dt, dy in own) / freedom) if freedom > 0 else None
        quantile = two_sided_t(self.confidence, freedom) if freedom > 0 else 0.0
        effects = [mean - trend * (day - common) for mean, day in zip(means, days, strict=True)]
        centre = statistics.fmean(effects)
        errors = self._contrast_errors(days, spread, common)
        return _Fit(
            effects=tuple(effects),
            differences=tuple(
                _estimate(effect - centre, None if sd is None else quantile * sd * error)
                for effect, error in zip(effects, errors, strict=True)
            ),
            trend=_estimate(
                trend * DAYS_A_YEAR, None if sd is None else quantile * sd * DAYS_A_YEAR / math.sqrt(spread)
            )
            if spread > 0
            else None,
            sd=sd,
        )

    def _contrast_errors(self, days: list[float], spread: float, common: float) -> list[float]:
        """Return the standard error of each scanner's contrast with the mean of all, in standard deviations."""
        k = len(self.names)
        shares = [1.0 / len(rows) for rows in self.rows]
        whole = math.fsum(shares)
        return [
            math.sqrt(
                share * (1 - 1 / k) ** 2
                + (whole - share) / k**2
                + ((day - common) ** 2 / spread if spread > 0 else 0.0)
            )
            for share, day in zip(shares, days, strict=True)
        ]


def _estimate(value: float, half_width: float | None) -> Estimate:
    return Estimate(value, None if half_width is None else interval_about(value, half_width))


def _lines(design: _Design, levels: list[list[float]], consensus: tuple[float, ...]) -> tuple[_Fit, _Fit] | None:
    """Fit slope and intercept of each visit's levels against the consensus as responses of their own."""
    if len(consensus) < 2:
        return None
    if min(consensus) == max(consensus):
        raise ValueError(f"the consensus of all {len(consensus)} levels is {consensus[0]!r}: there is no line")
    centre = statistics.fmean(consensus)
    spread = math.fsum((mu - centre) ** 2 for mu in consensus)
    slopes = [math.fsum((mu - centre) * y for mu, y in zip(consensus, row, strict=True)) / spread for row in levels]
    intercepts = [statistics.fmean(row) - slope * centre for row, slope in zip(levels, slopes, strict=True)]
    return design.fit(slopes), design.fit(intercepts)


def _residual_sd(consensus: tuple[float, ...], read: tuple[float, ...]) -> float | None:
    if len(consensus) < 3:
        return None
    m = moments(list(consensus), list(read))
    return math.sqrt(max(0.0, m.syy - m.sxy**2 / m.sxx) / (len(consensus) - 2))
