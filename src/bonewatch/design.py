"""Charts compared for a scanner: in words on a terminal, in JSON for a program."""

import math
from typing import NamedTuple

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from dashboards.run_length_words import two_digits, words_from_days, words_from_rate
from qa_models.design import (
    MEDIAN_SCANS,
    SHIFTS_PERCENT,
    WITHIN_SCANS,
    ChartDesign,
    ThinBaseline,
    chart_sigma_percent,
    compare_charts,
    thin_baselines,
)


class Scanner(NamedTuple):
    """What charts are chosen for.

    Parameters
    ----------
    cv_percent
        Spread of its phantom scans.
    scans_per_week
        How often the phantom is scanned.
    tolerance_percent, sigma_floor_percent
        Local policy, in percent of the mean.
    """

    cv_percent: float
    scans_per_week: float
    tolerance_percent: float
    sigma_floor_percent: float

    @property
    def sigma_percent(self) -> float:
        """Sigma that its charts work with."""
        return chart_sigma_percent(self.cv_percent, self.sigma_floor_percent)


class Comparison(NamedTuple):
    """The charts on a scanner, and what thin baselines do to the CUSUM on it."""

    scanner: Scanner
    charts: tuple[ChartDesign, ...]
    baselines: tuple[ThinBaseline, ...]


def compare(scanner: Scanner) -> Comparison:
    """Compare the charts; a ValueError names what is out of its range."""
    charts = compare_charts(
        scanner.cv_percent,
        scanner.scans_per_week,
        tolerance_percent=scanner.tolerance_percent,
        sigma_floor_percent=scanner.sigma_floor_percent,
    )
    baselines = thin_baselines(scanner.cv_percent, sigma_floor_percent=scanner.sigma_floor_percent)
    return Comparison(scanner, charts, baselines)


def json_from_comparison(comparison: Comparison) -> bytes:
    """Return one JSON object; a run length too long for a float is null."""
    settings = {**comparison.scanner._asdict(), "sigma_percent": comparison.scanner.sigma_percent}
    return msgspec.json.encode({**settings, "charts": comparison.charts, "baselines": comparison.baselines})


def show(comparison: Comparison, console: Console) -> None:
    """Print the comparison, 80 columns wide or less."""
    scanner = comparison.scanner
    console.print(
        f"CV {scanner.cv_percent:g} %, {scanner.scans_per_week:g} phantom scans a week; "
        f"sigma of the charts {scanner.sigma_percent:g} % of the mean.\n\n"
        "False alarms, and time to notice a lasting shift of so much:"
    )
    console.print(_charts(comparison))
    console.print(
        "\nLong-run averages in calendar days, mean and sigma taken as known, each chart\n"
        "by itself and from its start. The fast start helps only if the fault is there\n"
        "when the chart starts. The EWMA is set to the CUSUM's false alarms at a CV not\n"
        "below the sigma floor.\n\n"
        f"False alarm of the CUSUM within {WITHIN_SCANS} scans of a scanner that is well, mean and SD\n"
        "taken from the baseline's scans; and the scan by which half have had one:"
    )
    console.print(_baselines(comparison))


def _charts(comparison: Comparison) -> Table:
    table = _table("Chart", "False alarms", *(f"{shift:g} %" for shift in SHIFTS_PERCENT))
    for chart in comparison.charts:
        days = (words_from_days(detection.days) for detection in chart.detections)
        table.add_row(title(chart.name, comparison.scanner), words_from_rate(chart.false_alarms_per_year), *days)
    return table


def _baselines(comparison: Comparison) -> Table:
    floor = f"Floor {comparison.scanner.sigma_floor_percent:g} %"
    table = _table("Baseline", "No sigma floor", "half by", floor, "half by")
    for row in comparison.baselines:
        table.add_row(
            f"{row.n} scans",
            words_from_probability(row.probability),
            _median(row.median_scans),
            words_from_probability(row.floored_probability),
            _median(row.floored_median_scans),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def title(name: str, scanner: Scanner) -> str:
    """Return what a chart is called."""
    return {
        "tolerance": f"Tolerance ±{scanner.tolerance_percent:g} %",
        "western_electric": "Western Electric rules",
        "dxa": "DXA rules (Lu 1996)",
        "cusum": "CUSUM, k 0.5, h 5",
        "cusum_fir": "CUSUM with fast start",
        "ewma": "EWMA, lam 0.1",
    }[name]


def words_from_probability(probability: float) -> str:
    """Return a probability in whole percent; the calculation is good to about one."""
    percent = 100 * probability
    return "< 1 %" if percent < 1 else f"{percent:.0f} %"


def _median(scans: float) -> str:
    return f"> {MEDIAN_SCANS}" if math.isinf(scans) else two_digits(scans)
