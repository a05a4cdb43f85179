"""A device's month as CSV: one file of readings, one of every figure of the report, by section and name."""

from collections.abc import Iterator
from typing import Final

import msgspec

from dashboards.csv_cells import csv_from
from dashboards.reports.qa.figures import QaReport, ReadingLine
from dashboards.reports.qa.overrides import hours_of
from dashboards.reports.qa.summary import summary

READINGS: Final = tuple(name for name in ReadingLine.__struct_fields__ if name != "violated")
FIGURES: Final = ("section", "of", "figure", "value", "unit")
_EVENTS: Final = ("log", "bypasses", "overrides", "handovers", "reviews", "failures", "epochs", "due_work", "studies")
"""Lists of the report of which each entry is told field by field."""

Row = tuple[object, ...]


def readings_csv(report: QaReport) -> str:
    """Return one row a reading of the period, with what it was judged against."""
    head = (*READINGS, "violated")
    rows = ((*(getattr(one, name) for name in READINGS), " ".join(one.violated)) for one in report.readings)
    return csv_from(head, rows)


def figures_csv(report: QaReport) -> str:
    """Return every other figure, one a row."""
    return csv_from(FIGURES, _figures(report))


def _figures(report: QaReport) -> Iterator[Row]:
    yield from (("report", "", name, getattr(report, name), "") for name in ("site", "time_zone", "until", "made_at"))
    yield from (("report", "", name, str(getattr(report, name)), "") for name in ("first", "last"))
    yield from (("summary", "", str(place), one.words, "") for place, one in enumerate(summary(report), start=1))
    yield from _struct("anchor", "", report.anchor)
    yield from _struct("device", report.identity.device, report.identity)
    yield from _struct("limits", "", report.limits)
    yield from _days(report)
    yield from _subjects(report)
    yield from _struct("measurements", "", report.measurements)
    yield from (("gate", "", status, many, "changes") for status, many in report.gate_changes.items())
    yield "overrides", "", "count", len(report.overrides), ""
    yield "overrides", "", "open", hours_of(report.overrides), "h"
    for name in _EVENTS:
        for place, one in enumerate(getattr(report, name), start=1):
            yield from _struct(name, str(place), one)
    yield "reviews", "", "waiting", report.reviews_waiting, ""
    yield from _uptime(report)


def _days(report: QaReport) -> Iterator[Row]:
    yield "days", "", "due", report.days.due, "days"
    yield "days", "", "without_clinic", report.days.without_clinic, "days"
    yield from (("days", str(day), "closed", why, "") for day, why in report.days.closed)
    yield from (("days", str(day), "not_in_use", True, "") for day in report.days.not_in_use)
    for one in report.duties:
        yield "duties", one.subject, "frequency", one.frequency, ""
        yield "duties", one.subject, "due", one.due, "days"
        yield "duties", one.subject, "passed", one.done, "days"
        yield "duties", one.subject, "not_passed_on", " ".join(map(str, one.not_passed_on)), ""
        yield "duties", one.subject, "missing_on", " ".join(map(str, one.missed_on)), ""


def _subjects(report: QaReport) -> Iterator[Row]:
    for one in report.subjects:
        yield "readings", one.subject, "readings", one.readings, ""
        yield from (("readings", one.subject, f"verdict_{code}", many, "") for code, many in one.verdicts.items())
        yield "readings", one.subject, "repeats", one.repeats, ""
        yield "readings", one.subject, "signals", one.signals, ""
        yield "readings", one.subject, "signalled_before", one.signalled_before, ""
        yield "readings", one.subject, "mean_deviation", one.mean_deviation, one.unit
        yield "readings", one.subject, "sd_deviation", one.sd_deviation, one.unit


def _uptime(report: QaReport) -> Iterator[Row]:
    line = report.uptime
    if line is None:
        return
    for name in ("covered", "up", "unplanned", "planned", "overridden"):
        yield "uptime", "", name, getattr(line, f"{name}_hours"), "h"
    yield "uptime", "", "availability", line.availability_percent, "%"
    yield "uptime", "", "availability_with_planned", line.availability_with_planned_percent, "%"
    yield "uptime", "", "overrides", line.overrides, ""
    yield "uptime", "", "failures", line.failures, ""
    yield "uptime", "", "slots_lost", line.slots_lost, ""
    yield from (("uptime", one.cause, "lost", one.unplanned_hours + one.planned_hours, "h") for one in line.lost)


def _struct(section: str, of: str, one: msgspec.Struct | None) -> Iterator[Row]:
    """Yield each field of a struct; a list is one cell, a mapping a row a key."""
    for name, value in msgspec.structs.asdict(one).items() if one is not None else ():
        if isinstance(value, dict):
            yield from ((section, of, f"{name}_{key}", many, "") for key, many in value.items())
        else:
            yield section, of, name, " ".join(map(str, value)) if isinstance(value, tuple) else value, ""
