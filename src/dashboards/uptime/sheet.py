"""Uptime on paper: the summary first, then a section for each device."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from dashboards.paper.tables import Align, Paper
from dashboards.uptime import words
from dashboards.uptime.figures import Figures, ReportFigures
from streams.fold.schedule import zone
from streams.site_time import SiteTime

AMOUNT: Final[tuple[Align, ...]] = ("R",) * 7
ROW: Final = ("", "Clinic time", "Down", "Planned", "Availability", "With planned service", "Slots lost", "Failures")
WIDTHS: Final = (34, 18, 16, 16, 22, 24, 16, 16)
REBOOK_SHOWN: Final = 400


def pdf_from_report(report: ReportFigures, made_at: datetime) -> bytes:
    """Return the sheet; times are in the site's zone."""
    time = SiteTime(zone(report.time_zone), made_at)
    title = f"Uptime of {report.site}, {day(report.first)} to {day(report.last)}"
    paper = Paper(title, f"Bonewatch - {title}", made_at)
    made = f"Made at {_moment(time, made_at)}, {report.time_zone}. Reckoned up to {_moment(time, report.until)}."
    paper.text_block(made, faint=True)
    lines = [*report.devices, *report.makes, report.whole]
    names = [*(_named(d) for d in report.devices), *(f"Make: {m.name}" for m in report.makes), "The site"]
    paper.heading("Summary")
    rows = [_row(name, line) for name, line in zip(names, lines, strict=True)]
    paper.grid(ROW, rows, widths=WIDTHS, aligns=("L", *AMOUNT), strong_last=True)
    paper.ln(2)
    paper.text_block(
        "Clinic time is that of the clinic calendar in which a device was in clinical use and watched. Availability "
        "leaves planned service out; the next column counts it as downtime. A device of which one of several modes is "
        "held is down by that share. Where several reasons hold at once, the first in the order of docs/uptime.md "
        "accounts for the time.",
        faint=True,
    )
    for line in report.devices:
        _device(paper, line, time)
    return paper.bytes()


def _device(paper: Paper, line: Figures, time: SiteTime) -> None:
    paper.heading(_named(line))
    pairs = [
        ("Availability", words.percent(line.availability_percent)),
        ("With planned service", words.percent(line.availability_with_planned_percent)),
        *([("Contract", words.target(line))] if line.target_percent is not None else []),
        ("Failures", words.failures(line)),
        ("Time between failures", words.mtbf(line)),
        *(
            (f"Repairs: {name}", words.mean(line.mean_time_to[key]))
            for key, name in words.STAGES.items()
            if line.repairs
        ),
        ("Open by override", words.hours(line.overridden_hours)),
        *((words.not_counted(why), f"{words.hours(h)}, not counted") for why, h in line.not_counted_hours.items()),
    ]
    paper.pairs(pairs)
    if line.lost:
        head, widths = ("Down for", "Unplanned", "Planned", "Slots lost"), (60, 20, 20, 20)
        paper.grid(head, words.loss_rows(line), widths=widths, aligns=("L", "R", "R", "R"), strong_last=True)
    if line.rebook:
        paper.ln(2)
        paper.text_block(f"To rebook ({len(line.rebook)}): refused while it was held, and not scanned since.")
        said = [
            (one.accession_number, _moment(time, one.scheduled_at) if one.scheduled_at else "", one.mode)
            for one in line.rebook[:REBOOK_SHOWN]
        ]
        paper.grid(("Accession number", "Scheduled", "Mode"), said, widths=(40, 40, 40))


def _row(name: str, line: Figures) -> Sequence[str]:
    return (
        name,
        words.hours(line.covered_hours),
        words.hours(line.unplanned_hours),
        words.hours(line.planned_hours),
        words.percent(line.availability_percent),
        words.percent(line.availability_with_planned_percent),
        words.slots(line.slots_lost),
        words.failures(line),
    )


def _named(line: Figures) -> str:
    return f"{line.name} ({line.title})" if line.title else line.name


def day(value: date) -> str:
    """``5 January 2026``."""
    return f"{value.day} {value:%B %Y}"


def _moment(time: SiteTime, at: datetime) -> str:
    local = at.astimezone(time.zone)
    return f"{local:%H:%M} on {local.day} {local:%b %Y}"
