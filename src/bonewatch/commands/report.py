"""The command line's ``report``: what a department shows to others."""

import io
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.data_folder import data_folder
from bonewatch.errors import ConfigError
from bonewatch.reporting.qa import write

if TYPE_CHECKING:
    from dashboards.uptime.figures import Figures, ReportFigures
    from streams.uptime.report import Report

report_app: Final = cyclopts.App(name="report", help="Reports from the site's record.")
report_app.command(
    "bonewatch.reporting.due:due",
    name="due",
    help="Say what is overdue, due, due soon and coming on every device; exit status 1 if something is overdue.",
)
report_app.command(
    "bonewatch.reporting.gap:gap",
    name="gap",
    help="List what was scanned while Bonewatch was not running; exit status 1 if a scan is not covered by QC."
    " Enter first what was written on the QC card, and let the scanner send what it kept: the list is of the record"
    " as it stands.",
)
report_app.command(
    "bonewatch.reporting.qa:qa",
    name="qa",
    help="Write a device's monthly QA report as PDF, HTML, CSV and JSON, all from the same figures; the site may run.",
)
report_app.command(
    "bonewatch.reporting.evidence:evidence",
    name="evidence",
    help="Pack what the record says of a device between two days, for an inspection: a ZIP that can be checked.",
)
report_app.command(
    "bonewatch.reporting.evidence:check_evidence",
    name="check-evidence",
    help="Check an evidence pack: every file, every event's link; against the site's log too where it is given.",
)

out: Final = Console(highlight=False)


@report_app.command
def uptime(
    *,
    first: Annotated[date, Parameter(name="--from")],
    last: Annotated[date, Parameter(name="--to")],
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    output_format: Annotated[Literal["table", "csv", "json", "pdf", "html"], Parameter(name="--format")] = "table",
    device: str = "",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Reckon uptime against clinic hours from the site's log; the site may run.

    Parameters
    ----------
    first
        The first day, such as 2026-11-01.
    last
        The last day, included.
    config
        The site's TOML file.
    output_format
        A table to read, CSV for a spreadsheet, JSON for a program, a PDF or one HTML file to hand on.
    device
        Of one device alone, by its id in the configuration.
    output
        Write it to this file instead of the standard output.
    """
    from dashboards.reports.files import uptime_file_of  # noqa: PLC0415 - the rest of the command line starts without
    from dashboards.uptime.figures import figures_of  # noqa: PLC0415 - see above

    now = datetime.now(UTC)
    figures = figures_of(_report(config, first, last, now, device))
    if output_format == "table" and output is None:
        _show(figures, out)
        return 0
    if output_format == "pdf" and output is None and sys.stdout.isatty():
        raise ConfigError("a PDF is not for a terminal: give --output FILE, or send it somewhere with >")
    _write(_text(figures) if output_format == "table" else uptime_file_of(figures, output_format, now), output)
    return 0


def _report(config: Path, first: date, last: date, now: datetime, device: str) -> "Report":
    from bonewatch.data_folder import LOG_FILE  # noqa: PLC0415 - see uptime
    from bonewatch.reporting.uptime import logged_uptime  # noqa: PLC0415 - see uptime

    settings = load(config)
    folder = data_folder(config, settings.site.data_dir)
    try:
        return logged_uptime(settings, folder / LOG_FILE).report(first, last, now, device or None)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _text(report: "ReportFigures") -> bytes:
    page = io.StringIO()
    _show(report, Console(file=page, highlight=False, width=120))
    return page.getvalue().encode()


def _write(data: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(data)
        return
    write(output, data)


def _show(report: "ReportFigures", console: Console) -> None:
    from dashboards.uptime import words  # noqa: PLC0415 - see uptime

    console.print(f"Uptime of {escape(report.site)}, {report.first} to {report.last}", style="bold")
    table = Table(box=None, pad_edge=False)
    for title in ("", "Clinic", "Down", "Planned", "Available", "With planned", "Slots", "Failures"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    named = [(line.name, line) for line in report.devices]
    named += [(f"make: {line.name}", line) for line in report.makes] + [("the site", report.whole)]
    for name, line in named:
        table.add_row(
            escape(name),
            words.hours(line.covered_hours),
            words.hours(line.unplanned_hours),
            words.hours(line.planned_hours),
            words.percent(line.availability_percent),
            words.percent(line.availability_with_planned_percent),
            words.slots(line.slots_lost),
            words.failures(line),
        )
    console.print(table)
    for line in report.devices:
        _details(line, console)


def _details(line: "Figures", console: Console) -> None:
    from dashboards.uptime import words  # noqa: PLC0415 - see uptime

    said = [f"time between failures {words.mtbf(line)}"]
    if line.target_percent is not None:
        said.insert(0, f"contract {words.target(line)}")
    said += [f"down {words.lost(one)}: {words.cause(one.cause)}" for one in line.lost]
    said += [f"not counted {words.hours(h)}: {words.not_counted(why)}" for why, h in line.not_counted_hours.items()]
    if line.repairs:
        said += [f"{name} {words.mean(line.mean_time_to[key])}" for key, name in words.STAGES.items()]
    console.print(f"\n{escape(line.name)}", style="bold")
    for one in said:
        console.print(f"  {escape(one)}", soft_wrap=True)
    if line.rebook:
        accessions = " ".join(one.accession_number for one in line.rebook)
        console.print(f"  to rebook ({len(line.rebook)}): {escape(accessions)}", soft_wrap=True)
