"""Charts compared for a scanner, drawn: four SVG files that come out the same to the byte from the same numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bonewatch.design import Scanner
from dashboards.run_length_words import words_from_days
from qa_models.cusum import CusumPoint, TabularCusum
from qa_models.design import (
    CUSUM_H,
    EWMA_LAM,
    EWMA_WIDTH,
    SHIFTS_PERCENT,
    WITHIN_SCANS,
    ChartDesign,
    Charts,
    compare_charts,
    thin_baselines,
)
from qa_models.ewma import EwmaChart
from qa_models.run_rules import DXA, WESTERN_ELECTRIC, beyond_tolerance
from qa_models.shewhart import ShewhartChart
from simulators.series import BmdSeries

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

COLOURS: Final = {
    "tolerance": "#333333",
    "western_electric": "#d55e00",
    "dxa": "#b8860b",
    "cusum": "#0072b2",
    "cusum_fir": "#4ba3d9",
    "ewma": "#00805f",
}
"""After Okabe and Ito, darkened for lines on white: told apart by colour-blind readers, and labelled in any case."""

LABELS: Final = {
    "tolerance": "tolerance alone",
    "western_electric": "Western Electric",
    "dxa": "DXA rules",
    "cusum": "CUSUM",
    "cusum_fir": "CUSUM, fast start",
    "ewma": "EWMA",
}
GREY: Final = "#767676"

STYLE: "Final[dict[RcKeyType, Any]]" = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "bonewatch",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
}

PLOT_SHIFTS: Final = tuple(0.25 + 0.125 * i for i in range(15))
PLOT_BASELINES: Final = (5, 7, 10, 15, 25, 40, 60, 100)
MOST_DAYS: Final = 10_000
"""The axis ends here: whatever takes longer does not notice."""

ENDLESS_BASELINE: Final = 1_000_000
"""Scans of a baseline whose mean and SD are as good as known."""

STEP_PERCENT: Final = 1.0
STEP_AFTER: Final = 0.6
"""Part of the invented year before the step."""
SEED: Final = 2


class Year(NamedTuple):
    """An invented year of phantom scans: g/cm^2 by day, each chart's signals, and the CUSUM's sums."""

    days: list[float]
    bmd_g_cm2: list[float]
    step_day: float
    signals: dict[str, list[bool]]
    sums: list[CusumPoint]


def draw(scanner: Scanner, folder: Path) -> list[Path]:
    """Write the plots into a folder, which is made if need be, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = {
        "days-to-notice": _days_to_notice,
        "false-alarms": _false_alarms,
        "invented-year": _invented_year,
        "thin-baselines": _thin_baselines,
    }
    paths = []
    with _style():
        for name, plot in plots.items():
            figure = plot(scanner)
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None, "Creator": None})
    return paths


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our style, whatever the reader's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def invented_year(scanner: Scanner) -> Year:
    """Return a year of a phantom that nobody scanned, with a lasting step, judged by each chart."""
    n = max(2, round(scanner.scans_per_week * 365 / 7))
    step_at = round(STEP_AFTER * n)
    series = BmdSeries(cv_percent=scanner.cv_percent, step_percent=STEP_PERCENT, step_at_day=step_at, seed=SEED)
    bmd = list(series.days(n))  # as many "days" of the simulator as there are scans
    days = [i * 7 / scanner.scans_per_week for i in range(n)]
    sigma = scanner.sigma_percent / 100
    tolerance = beyond_tolerance(scanner.tolerance_percent, scanner.sigma_percent)
    charts: Charts = {
        "tolerance": ShewhartChart(1.0, sigma, tolerance),
        "western_electric": ShewhartChart(1.0, sigma, WESTERN_ELECTRIC),
        "dxa": ShewhartChart(1.0, sigma, DXA),
        "cusum": TabularCusum(1.0, sigma),
        "ewma": EwmaChart(1.0, sigma, lam=EWMA_LAM, width=EWMA_WIDTH, time_varying=False),
    }
    signals = {name: [chart.update(x).signal for x in bmd] for name, chart in charts.items()}
    again = TabularCusum(1.0, sigma)
    return Year(days, bmd, days[step_at], signals, [again.update(x) for x in bmd])


def _compared(scanner: Scanner, cv_percent: float, shifts_percent: tuple[float, ...]) -> tuple[ChartDesign, ...]:
    return compare_charts(
        cv_percent,
        scanner.scans_per_week,
        tolerance_percent=scanner.tolerance_percent,
        sigma_floor_percent=scanner.sigma_floor_percent,
        shifts_percent=shifts_percent,
    )


def _days_to_notice(scanner: Scanner) -> Figure:
    figure = Figure(figsize=(7.2, 4.2))
    axes = figure.add_axes((0.1, 0.13, 0.69, 0.76))
    ends = {}
    for chart in _compared(scanner, scanner.cv_percent, PLOT_SHIFTS):
        days = [detection.days for detection in chart.detections]
        _line(axes, chart.name, PLOT_SHIFTS, days)
        marked = [days[PLOT_SHIFTS.index(shift)] for shift in SHIFTS_PERCENT]
        axes.plot(SHIFTS_PERCENT, marked, "o", color=COLOURS[chart.name], markersize=4)
        ends[chart.name] = days[0]
    for shift in SHIFTS_PERCENT:
        axes.axvline(shift, color="#dddddd", linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, MOST_DAYS))
    _plain_ticks(axes, (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000))
    axes.set_xlim(2.0, 0.25)
    axes.set_xticks([2.0, 1.5, 1.0, 0.5, 0.25], ["2", "1.5", "1", "0.5", "0.25"])
    axes.set_xlabel("lasting shift, % of the mean: smaller to the right")
    axes.set_ylabel("days to notice it, on average")
    axes.set_title(f"CV {scanner.cv_percent:g} %, {scanner.scans_per_week:g} phantom scans a week")
    _label_ends(axes, ends)
    return figure


def _false_alarms(scanner: Scanner) -> Figure:
    figure = Figure(figsize=(7.2, 4.2))
    axes = figure.add_axes((0.12, 0.13, 0.67, 0.76))
    least = max(0.6 * scanner.cv_percent, scanner.sigma_floor_percent / 10, 0.05)
    cvs = np.linspace(least, max(least, min(1.6 * scanner.cv_percent, 10.0)), 11).tolist()
    charts = zip(*(_compared(scanner, cv, ()) for cv in cvs), strict=True)
    ends = {}
    for designs in charts:
        rates = [max(design.false_alarms_per_year, 1e-9) for design in designs]
        _line(axes, designs[0].name, cvs, rates)
        ends[designs[0].name] = rates[-1]
    axes.set_yscale("log")
    axes.set_ylim(0.01, max(20.0, 1.5 * max(ends.values())))
    _plain_ticks(axes, (0.01, 0.1, 1, 10, 100, 1000))
    axes.set_xlim(cvs[0], cvs[-1])
    axes.set_xlabel("CV of the phantom scans, %")
    axes.set_ylabel("false alarms a year")
    if cvs[0] < scanner.sigma_floor_percent < cvs[-1]:
        axes.axvline(scanner.sigma_floor_percent, color="#bbbbbb", linewidth=0.8, zorder=0)
        axes.annotate(
            "sigma floor ", (scanner.sigma_floor_percent, 0.011), color=GREY, ha="right", va="bottom", fontsize=8
        )
    axes.set_title(f"{scanner.scans_per_week:g} phantom scans a week")
    _label_ends(axes, ends)
    return figure


def _invented_year(scanner: Scanner) -> Figure:
    year = invented_year(scanner)
    figure = Figure(figsize=(7.2, 6.0))
    scans = figure.add_axes((0.19, 0.58, 0.66, 0.36))
    rows = figure.add_axes((0.19, 0.37, 0.66, 0.18), sharex=scans)
    sums = figure.add_axes((0.19, 0.08, 0.66, 0.26), sharex=scans)
    _scans(scans, year, scanner)
    _signals(rows, year)
    _sums(sums, year)
    for axes in (scans, rows, sums):
        axes.axvline(year.step_day, color="#bbbbbb", linewidth=0.8, zorder=0)
    for axes in (scans, rows):
        axes.tick_params(labelbottom=False)
    scans.set_xlim(-3, year.days[-1] + 3)
    sums.set_xlabel("day")
    return figure


def _scans(axes: Axes, year: Year, scanner: Scanner) -> None:
    marked = zip(year.days, year.bmd_g_cm2, year.signals["tolerance"], strict=True)
    outside = [(day, x) for day, x, signal in marked if signal]
    axes.plot(year.days, year.bmd_g_cm2, "o", color="#999999", markersize=2.2)
    axes.plot([day for day, _ in outside], [x for _, x in outside], "o", color=COLOURS["tolerance"], markersize=4)
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    _beside(axes, 1.0, "mean", GREY)
    for percent in (-scanner.tolerance_percent, scanner.tolerance_percent):
        axes.axhline(1 + percent / 100, color=COLOURS["tolerance"], linewidth=1.0)
        _beside(axes, 1 + percent / 100, f"{percent:+g} %", COLOURS["tolerance"])
    axes.set_ylabel("phantom BMD, g/cm²")
    axes.set_title(f"An invented year, CV {scanner.cv_percent:g} %: a step of +{STEP_PERCENT:g} % at the grey line")


def _signals(axes: Axes, year: Year) -> None:
    """Draw a row for each chart, with a stroke for each signal, and say how long after the step the first came."""
    names = list(year.signals)
    for row, name in enumerate(names):
        days = [day for day, signal in zip(year.days, year.signals[name], strict=True) if signal]
        axes.vlines(days, row - 0.32, row + 0.32, color=COLOURS[name], linewidth=1.2)
        after = [day - year.step_day for day in days if day >= year.step_day]
        _beside(axes, row, f"after {words_from_days(after[0])}" if after else "never", COLOURS[name])
    axes.set_yticks(range(len(names)), [LABELS[name] for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.text(1.015, -0.9, "first signal", transform=axes.get_yaxis_transform(), color=GREY, va="center", fontsize=8)


def _sums(axes: Axes, year: Year) -> None:
    axes.plot(year.days, [point.upper for point in year.sums], color=COLOURS["cusum"], linewidth=1.3)
    axes.plot(year.days, [-point.lower for point in year.sums], color=COLOURS["cusum_fir"], linewidth=1.3)
    for limit in (-CUSUM_H, CUSUM_H):
        axes.axhline(limit, color=COLOURS["tolerance"], linewidth=1.0)
        _beside(axes, limit, f"h = {CUSUM_H:g}", COLOURS["tolerance"])
    axes.set_ylim(-1.6 * CUSUM_H, 4 * CUSUM_H)
    axes.set_ylabel("CUSUM, sigmas")
    axes.text(0, 1.25 * CUSUM_H, "upper sum", color=COLOURS["cusum"], fontsize=8)
    axes.text(0, -1.2 * CUSUM_H, "lower sum, drawn downwards", color=COLOURS["cusum_fir"], va="top", fontsize=8)


def _thin_baselines(scanner: Scanner) -> Figure:
    figure = Figure(figsize=(7.2, 3.8))
    axes = figure.add_axes((0.12, 0.14, 0.64, 0.75))
    *rows, known = thin_baselines(
        scanner.cv_percent,
        sigma_floor_percent=scanner.sigma_floor_percent,
        scans=(*PLOT_BASELINES, ENDLESS_BASELINE),
    )
    bare = [100 * row.probability for row in rows]
    floored = [100 * row.floored_probability for row in rows]
    axes.axhline(100 * known.probability, color="#bbbbbb", linewidth=1.0)
    axes.plot(PLOT_BASELINES, bare, "-o", color=COLOURS["western_electric"], markersize=4)
    axes.plot(PLOT_BASELINES, floored, "-o", color=COLOURS["cusum"], markersize=4)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks([5, 10, 25, 50, 100], ["5", "10", "25", "50", "100"])
    axes.set_xlim(4.7, 104)
    axes.set_ylim(0, 100)
    axes.set_xlabel("scans of the baseline")
    axes.set_ylabel(f"false alarm of the CUSUM\nwithin {WITHIN_SCANS} scans, %")
    axes.set_title(f"CV {scanner.cv_percent:g} %, nothing wrong with the scanner")
    heights = _apart([bare[-1], floored[-1], 100 * known.probability], 6.0)
    texts = ("no sigma floor", f"floor {scanner.sigma_floor_percent:g} % of mean", "known mean and SD")
    colours = (COLOURS["western_electric"], COLOURS["cusum"], GREY)
    for height, text, colour in zip(heights, texts, colours, strict=True):
        _beside(axes, height, text, colour)
    return figure


def _line(axes: Axes, name: str, x: Sequence[float], y: Sequence[float]) -> None:
    dashed = "--" if name == "cusum_fir" else "-"
    axes.plot(x, y, dashed, color=COLOURS[name], linewidth=1.6)


def _plain_ticks(axes: Axes, ticks: Sequence[float]) -> None:
    """Write the ticks of a logarithmic axis as plain numbers, those within its limits alone."""
    low, high = axes.get_ylim()
    axes.minorticks_off()
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_ylim(low, high)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)


def _label_ends(axes: Axes, ends: dict[str, float]) -> None:
    """Write each chart's name beside the end of its line, moved apart where lines end together."""
    low, high = np.log10(axes.get_ylim())
    shares = [(np.log10(end) - low) / (high - low) for end in ends.values()]
    places = _apart(np.clip(shares, 0.0, 1.0).tolist(), 0.055)
    for name, place in zip(ends, places, strict=True):
        axes.text(1.02, place, LABELS[name], transform=axes.transAxes, color=COLOURS[name], va="center")


def _beside(axes: Axes, height: float, text: str, colour: str) -> None:
    """Write a text to the right of the axes, at a height in the unit of the data."""
    axes.text(1.015, height, text, transform=axes.get_yaxis_transform(), color=colour, va="center", fontsize=8)


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights at least a gap apart, in the same order, as near as pushing neighbours away makes them."""
    order = np.argsort(heights, kind="stable").tolist()
    placed = [float(heights[i]) for i in order]
    for _ in range(100):
        for i, (low, high) in enumerate(pairwise(placed)):
            push = (gap - (high - low)) / 2
            if push > 0:
                placed[i], placed[i + 1] = low - push, high + push
    apart = [0.0] * len(placed)
    for place, i in zip(placed, order, strict=True):
        apart[i] = place
    return apart
