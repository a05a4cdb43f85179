"""Choosing a chart: what each one costs in false alarms and how soon it notices a shift, on a given scanner.

A chart works with the baseline's sigma, which has a floor; the scanner has its own spread. Where the floor is above
the spread by 1 / rho, a chart of k, h, width or level so many sigmas is, in true standard deviations, one of k / rho,
h / rho, width / rho, level / rho. Run lengths are exact and start with the chart at its start.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from qa_models.cusum import TabularCusum
from qa_models.ewma import EwmaChart

# The public `estimated_baseline` follows a chart until half have signalled, for a minute where sigma is at its floor.
from qa_models.run_length import estimated_baseline
from qa_models.run_length.false_alarms import Chart, chart_arl
from qa_models.run_rules import DXA, WESTERN_ELECTRIC, Beyond, Mixture, Range, Rule, RuleSet, Within, beyond_tolerance
from qa_models.shewhart import ShewhartChart

CUSUM_K: Final = 0.5
CUSUM_H: Final = 5.0
EWMA_LAM: Final = 0.1
EWMA_WIDTH: Final = 2.788
"""With fixed limits the ARL0 of the CUSUM (465), so that the two are compared at the same rate of false alarms."""

SHIFTS_PERCENT: Final = (0.5, 1.0, 1.5)
BASELINE_SCANS: Final = (10, 25, 50, 100)
WITHIN_SCANS: Final = 100
MEDIAN_SCANS: Final = 500
"""Scans for which the median run length on a thin baseline is looked for."""

WEEKS_PER_YEAR: Final = 365.25 / 7

CV_PERCENT: Final = (0.05, 10.0)
SCANS_PER_WEEK: Final = (0.1, 100.0)
MOST_PERCENT: Final = 20.0
"""The widest tolerance and shift: beyond it a phantom is not off, it is another phantom."""
MOST_FLOOR_OVER_CV: Final = 10.0
"""Beyond it the charts are blind, and their run lengths beyond all use."""

Charts: TypeAlias = dict[str, Chart]
"""Charts by name."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How soon a chart notices a lasting shift, on average.

    Parameters
    ----------
    shift_percent
        The shift, in percent of the mean.
    scans
        Scans from the change to the signal, the signalling one included, >= 1; infinite beyond 1e308.
    days
        The same in calendar days.
    """

    shift_percent: float
    scans: float
    days: float


@dataclass(frozen=True, slots=True)
class ChartDesign:
    """What to expect of one chart on one scanner.

    Parameters
    ----------
    name
        ``tolerance``, ``western_electric``, ``dxa``, ``cusum``, ``cusum_fir`` or ``ewma``.
    arl0_scans
        Scans between false alarms on average, the chart begun anew after each.
    false_alarms_per_year
        The same as a rate.
    detections
        For each shift asked for, how soon it is noticed.
    """

    name: str
    arl0_scans: float
    false_alarms_per_year: float
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class ThinBaseline:
    """False alarms of the CUSUM on a baseline of n scans, as long as the scanner is well.

    Parameters
    ----------
    n
        Scans of the baseline.
    probability
        Probability of a false alarm within the next 100 scans, sigma being the sample's SD.
    median_scans
        Scans within which half of such charts have a false alarm; infinite beyond 500.
    floored_probability, floored_median_scans
        The same with the sigma floor.
    """

    n: int
    probability: float
    median_scans: float
    floored_probability: float
    floored_median_scans: float


def chart_sigma_percent(cv_percent: float, sigma_floor_percent: float) -> float:
    """Return the sigma that charts work with, in percent of the mean: the CV, but not less than the floor.

    Raises
    ------
    ValueError
        If the CV is not in [0.05, 10], or the floor is negative or more than ten times the CV.

    Examples
    --------
    >>> chart_sigma_percent(0.3, 0.5), chart_sigma_percent(0.7, 0.5)
    (0.5, 0.7)
    """
    _refuse_outside("cv_percent", cv_percent, CV_PERCENT)
    _refuse_outside("sigma_floor_percent", sigma_floor_percent, (0.0, MOST_FLOOR_OVER_CV * cv_percent))
    return max(cv_percent, sigma_floor_percent)


def charts_in_true_sigmas(cv_percent: float, *, tolerance_percent: float, sigma_floor_percent: float) -> Charts:
    """Return the charts compared, for observations in true standard deviations from the mean.

    Parameters
    ----------
    cv_percent
        True standard deviation of the scanner's phantom scans in percent of their mean, in [0.05, 10].
    tolerance_percent
        Half-width of the tolerance in percent of the mean, in (0, 20].
    sigma_floor_percent
        Least sigma that charts work with, in percent of the mean; at most ten times the CV.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> charts = charts_in_true_sigmas(0.25, tolerance_percent=1.5, sigma_floor_percent=0.5)
    >>> charts["cusum"].k, charts["cusum"].h
    (1.0, 10.0)
    """
    wider = chart_sigma_percent(cv_percent, sigma_floor_percent) / cv_percent
    _refuse_percent("tolerance_percent", tolerance_percent)
    k, h = CUSUM_K * wider, CUSUM_H * wider
    return {
        "tolerance": ShewhartChart(0.0, 1.0, beyond_tolerance(tolerance_percent, cv_percent)),
        "western_electric": ShewhartChart(0.0, 1.0, widened(WESTERN_ELECTRIC, wider)),
        "dxa": ShewhartChart(0.0, 1.0, widened(DXA, wider)),
        "cusum": TabularCusum(0.0, 1.0, k=k, h=h),
        "cusum_fir": TabularCusum(0.0, 1.0, k=k, h=h, head_start=h / 2),
        "ewma": EwmaChart(0.0, 1.0, lam=EWMA_LAM, width=EWMA_WIDTH * wider, time_varying=False),
    }


def widened(rules: RuleSet, factor: float) -> RuleSet:
    """Return run rules with every distance so many times as far; counts and names stay.

    Examples
    --------
    >>> widened(DXA, 2.0)[0].level, widened(DXA, 2.0)[2].width
    (6.0, 8.0)
    """

    def wider(rule: Rule) -> Rule:
        match rule:
            case Beyond() | Within() | Mixture():
                return replace(rule, level=rule.level * factor)
            case Range():
                return replace(rule, width=rule.width * factor)
            case _:
                return rule

    return tuple(wider(rule) for rule in rules)


def compare_charts(
    cv_percent: float,
    scans_per_week: float,
    *,
    tolerance_percent: float = 1.5,
    sigma_floor_percent: float = 0.5,
    shifts_percent: tuple[float, ...] = SHIFTS_PERCENT,
) -> tuple[ChartDesign, ...]:
    """Return false alarms and time to detection of each chart on one scanner.

    Mean and sigma are taken as known; see `thin_baselines` for what it costs that they are not.

    Parameters
    ----------
    cv_percent
        Standard deviation of the scanner's phantom scans in percent of their mean, in [0.05, 10].
    scans_per_week
        Phantom scans a week, in [0.1, 100].
    tolerance_percent
        Half-width of the tolerance in percent of the mean, in (0, 20].
    sigma_floor_percent
        Least sigma that charts work with, in percent of the mean, >= 0 and at most ten times the CV. The tolerance
        knows no sigma.
    shifts_percent
        Lasting shifts to detect, in percent of the mean, each in (0, 20]; up or down is the same.

    Returns
    -------
    tuple of ChartDesign
        Tolerance alone, Western Electric rules, DXA rules, CUSUM (k = 0.5, h = 5), the same with fast initial
        response (h / 2), EWMA (lam = 0.1, fixed limits), each by itself. Days are scans * 7 / scans_per_week.

    Raises
    ------
    ValueError
        If a parameter is out of its range; the message names it.

    Examples
    --------
    >>> tolerance, *_, ewma = compare_charts(0.5, 5, shifts_percent=(0.5,))
    >>> tolerance.name, round(tolerance.arl0_scans, 1), round(tolerance.detections[0].days)
    ('tolerance', 370.4, 61)
    >>> compare_charts(float("nan"), 5)
    Traceback (most recent call last):
    ValueError: cv_percent = nan is not in [0.05, 10]

    References
    ----------
    .. [1] Y. Lu et al., "Dual X-ray absorptiometry quality control: comparison of visual examination and process-
       control charts", J. Bone Miner. Res. 11 (1996) 626-637.
    """
    charts = charts_in_true_sigmas(
        cv_percent, tolerance_percent=tolerance_percent, sigma_floor_percent=sigma_floor_percent
    )
    _refuse_outside("scans_per_week", scans_per_week, SCANS_PER_WEEK)
    for shift in shifts_percent:
        _refuse_percent("shift_percent", shift)

    return tuple(design(name, chart, cv_percent, scans_per_week, shifts_percent) for name, chart in charts.items())


def design(
    name: str, chart: Chart, cv_percent: float, scans_per_week: float, shifts_percent: tuple[float, ...]
) -> ChartDesign:
    """Return false alarms and time to detection of one chart, set up in true standard deviations.

    Raises
    ------
    ValueError
        If the chart's rules have no exact run length.
    """

    def detection(shift: float) -> Detection:
        scans = chart_arl(chart, shift / cv_percent)
        return Detection(shift, scans, scans * 7 / scans_per_week)

    arl0 = chart_arl(chart, 0.0)
    per_year = scans_per_week * WEEKS_PER_YEAR / arl0
    return ChartDesign(name, arl0, per_year, tuple(detection(shift) for shift in shifts_percent))


def thin_baselines(
    cv_percent: float, *, sigma_floor_percent: float = 0.5, scans: tuple[int, ...] = BASELINE_SCANS
) -> tuple[ThinBaseline, ...]:
    """Return the false alarms of the CUSUM whose mean and sigma come from a few scans, with and without floor.

    Parameters
    ----------
    cv_percent
        As for `compare_charts`.
    sigma_floor_percent
        As for `compare_charts`.
    scans
        Scans of the baselines to look at, each >= 2.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> [ten] = thin_baselines(0.5, scans=(10,))
    >>> round(ten.probability, 2), ten.median_scans, round(ten.floored_probability, 2)
    (0.57, 70, 0.41)

    References
    ----------
    .. [1] W. A. Jensen, L. A. Jones-Farmer, C. W. Champ and W. H. Woodall, "Effects of parameter estimation on
       control chart properties: a literature review", J. Quality Technology 38 (2006) 349-364.
    """
    chart_sigma_percent(cv_percent, sigma_floor_percent)
    for n in scans:
        if n < 2:
            raise ValueError(f"scans = {n!r} is below 2, the fewest that have a spread")
    floor = sigma_floor_percent / cv_percent
    return tuple(ThinBaseline(n, *_false_alarm(n, 0.0), *_false_alarm(n, floor)) for n in scans)


def _false_alarm(n: int, sigma_floor: float) -> tuple[float, float]:
    """Return the probability of a false alarm within 100 scans and the median run length; floor in true sigmas."""
    effect = estimated_baseline(
        n, k=CUSUM_K, h=CUSUM_H, within=WITHIN_SCANS, sigma_floor=sigma_floor, most_scans=MEDIAN_SCANS
    )
    return effect.false_alarm_probability, effect.median_run_length


def _refuse_outside(name: str, value: float, limits: tuple[float, float]) -> None:
    least, most = limits
    if not least <= value <= most:
        raise ValueError(f"{name} = {value!r} is not in [{least:g}, {most:g}]")


def _refuse_percent(name: str, value: float) -> None:
    if not 0 < value <= MOST_PERCENT:
        raise ValueError(f"{name} = {value!r} is not in (0, {MOST_PERCENT:g}]")
