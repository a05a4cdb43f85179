"""Uptime as a document, for paper and screen: the summary first, then a section for each device."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.reports.document import Block, Document, Pairs, Section, Table, Text
from dashboards.reports.saying import NOTHING, day, moment
from dashboards.uptime import words
from dashboards.uptime.figures import Figures, ReportFigures
from streams.fold.schedule import zone

ROW: Final = ("Of", "Clinic time", "Down", "Planned", "Availability", "With planned service", "Slots lost", "Failures")
WIDTHS: Final = (34, 18, 16, 16, 22, 24, 16, 16)
REBOOK_SHOWN: Final = 400


def document_from_report(report: ReportFigures, made_at: datetime) -> Document:
    """Return the document; times are in the site's zone."""
    here = zone(report.time_zone)
    title = f"Uptime of {report.site}, {day(report.first)} to {day(report.last)}"
    made = f"Made at {moment(made_at, here)}, {report.time_zone}. Reckoned up to {moment(report.until, here)}."
    sections = (Section("Summary", _summary(report)), *(_device(line, here) for line in report.devices))
    return Document(title, (made,), sections, f"Bonewatch. {title}")


def _summary(report: ReportFigures) -> tuple[Block, ...]:
    lines = [*report.devices, *report.makes, report.whole]
    names = [*(_named(d) for d in report.devices), *(f"Make: {m.name}" for m in report.makes), "The site"]
    rows = tuple(_row(name, line) for name, line in zip(names, lines, strict=True))
    meaning = (
        "Clinic time is that of the clinic calendar in which a device was in clinical use and watched. Availability "
        "leaves planned service out; the next column counts it as downtime. A device of which one of several modes is "
        "held is down by that share. Where several reasons hold at once, one accounts for the time: they add up."
    )
    return Table("Uptime by device, make and site", ROW, rows, WIDTHS, "LRRRRRRR", strong_last=True), Text(
        meaning, "quiet"
    )


def _device(line: Figures, here: ZoneInfo) -> Section:
    return Section(_named(line), tuple(_blocks(line, here)))


def _blocks(line: Figures, here: ZoneInfo) -> Iterator[Block]:
    yield Pairs(tuple(_pairs(line)))
    if line.lost:
        head, widths = ("Down for", "Unplanned", "Planned", "Slots lost"), (60, 20, 20, 20)
        yield Table("Downtime by reason", head, tuple(words.loss_rows(line)), widths, "LRRR", strong_last=True)
    if line.rebook:
        yield Text(f"To rebook ({len(line.rebook)}): refused while it was held, and not scanned since.")
        said = tuple(
            (one.accession_number, moment(one.scheduled_at, here), one.mode or NOTHING)
            for one in line.rebook[:REBOOK_SHOWN]
        )
        yield Table("To rebook", ("Accession number", "Scheduled", "Mode"), said, (40, 40, 40))


def _pairs(line: Figures) -> Iterator[tuple[str, str]]:
    yield "Availability", words.percent(line.availability_percent)
    yield "With planned service", words.percent(line.availability_with_planned_percent)
    if line.target_percent is not None:
        yield "Contract", words.target(line)
    yield "Failures", words.failures(line)
    yield "Time between failures", words.mtbf(line)
    for key, name in words.STAGES.items() if line.repairs else ():
        yield f"Repairs: {name}", words.mean(line.mean_time_to[key])
    yield "Open by override", words.overridden(line)
    for why, hours in line.not_counted_hours.items():
        yield words.not_counted(why), f"{words.hours(hours)}, not counted"


def _row(name: str, line: Figures) -> tuple[str, ...]:
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
