"""Uptime as CSV: one row a line of the report, hours with a point, one column a cause."""

from typing import Final

from dashboards.csv_cells import csv_from
from dashboards.uptime.figures import Figures, ReportFigures
from streams.messages import ReasonCode
from streams.uptime.account import NOT_WATCHED
from streams.uptime.history import NOT_COMMISSIONED, NOT_REGISTERED, RETIRED

NOT_COUNTED: Final = (NOT_REGISTERED, NOT_COMMISSIONED, RETIRED, NOT_WATCHED)
COLUMNS: Final = (
    "scope",
    "name",
    "title",
    "kind",
    "first",
    "last",
    "until",
    "covered_h",
    "up_h",
    "unplanned_h",
    "planned_h",
    "overridden_h",
    "overrides",
    "availability_percent",
    "availability_with_planned_percent",
    "target_percent",
    "target_counts_planned",
    "target_met",
    "slots_lost",
    "failures",
    "failures_going_on",
    "mtbf_h",
    "mtbf_at_least_h",
    "mtbf_above_h",
    "reported_to_attended_h",
    "attended_to_fixed_h",
    "fixed_to_qa_passed_h",
    "qa_passed_to_released_h",
    "reported_to_released_h",
    *(f"not_counted_{why}_h" for why in NOT_COUNTED),
    *(f"lost_{code.value}_h" for code in ReasonCode),
    "rebook",
)


def csv_from_report(report: ReportFigures) -> str:
    """Return the whole table."""
    scopes = (("device", report.devices), ("make", report.makes), ("site", (report.whole,)))
    return csv_from(COLUMNS, (_row(scope, line, report) for scope, lines in scopes for line in lines))


def _row(scope: str, line: Figures, report: ReportFigures) -> list[object]:
    lost = {one.cause: one.unplanned_hours + one.planned_hours for one in line.lost}
    means = [line.mean_time_to[name] for name in ("attended", "fixed", "qa_passed", "released", "whole")]
    return [
        scope,
        line.name,
        line.title,
        line.kind,
        report.first,
        report.last,
        report.until.isoformat(),
        line.covered_hours,
        line.up_hours,
        line.unplanned_hours,
        line.planned_hours,
        line.overridden_hours,
        line.overrides,
        line.availability_percent,
        line.availability_with_planned_percent,
        line.target_percent,
        line.target_counts_planned,
        line.target_met,
        line.slots_lost,
        line.failures,
        line.failures_going_on,
        line.mtbf_hours,
        line.mtbf_at_least_hours,
        line.mtbf_above_hours,
        *(None if mean is None else mean.hours for mean in means),
        *(line.not_counted_hours.get(why, 0.0) for why in NOT_COUNTED),
        *(lost.get(code.value, 0.0) for code in ReasonCode),
        " ".join(one.accession_number for one in line.rebook),
    ]
