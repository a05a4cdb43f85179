"""``bonewatch report gap``: what was scanned while Bonewatch was not running, and how it stands by now."""

import csv
import io
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.data_folder import data_folder
from bonewatch.errors import ConfigError
from streams import codec
from streams.downtime import Gap, GapScan, Standing, gaps, scans_in
from streams.fold.schedule import zone
from streams.messages import Event, Outcome

out: Final = Console(highlight=False)
_WORDS: Final = {
    Standing.COVERED: "covered by QC of its time",
    Standing.HELD: "held when the gap began",
    Standing.QC_MISSING: "no QC on record for it",
    Standing.QC_FAILED: "the QC before it failed",
}


def gap(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    first: Annotated[datetime | None, Parameter(name="--from")] = None,
    last: Annotated[datetime | None, Parameter(name="--to")] = None,
    output_format: Annotated[Literal["table", "csv", "json"], Parameter(name="--format")] = "table",
) -> int:
    """List what was scanned while Bonewatch was not running; exit status 1 if a scan is not covered by QC.

    Enter first what was written on the QC card, and let the scanner send what it kept: the list is of the record as it
    stands.

    Parameters
    ----------
    config
        The site's TOML file.
    first, last
        A time to look at, such as 2026-11-22T06:00, at the site; else the last time that Bonewatch was not running.
    output_format
        A table to read, CSV for a spreadsheet, JSON for a program.
    """
    settings = load(config)
    here = zone(settings.site.time_zone)
    recorded = _recorded(data_folder(config, settings.site.data_dir))
    looked_at = _gap(first, last, here, [event for rows in recorded.values() for event, _ in rows])
    if looked_at is None:
        out.print("Bonewatch was never down for long, by its record: name a time with --from and --to")
        return 0
    found: list[GapScan] = []
    for device, (policy, calendar) in settings.devices().items():
        found += scans_in(looked_at, device, policy, calendar.time_zone, recorded.get(device, []))
    if output_format == "table":
        _show(looked_at, found, here)
    else:
        sys.stdout.buffer.write(_csv(found) if output_format == "csv" else msgspec.json.encode(found) + b"\n")
    return 0 if all(scan.standing is Standing.COVERED for scan in found) else 1


def _recorded(folder: Path) -> dict[str, list[tuple[Event, tuple[Outcome, ...]]]]:
    from bonewatch.data_folder import open_log  # noqa: PLC0415 - the command line starts without the site's libraries

    found: dict[str, list[tuple[Event, tuple[Outcome, ...]]]] = {}
    with open_log(folder) as log:
        for row in log.rows():
            event = codec.decode_event(row.body)
            outcomes = tuple(codec.decode_outcome(body).outcome for body in row.outcomes)
            found.setdefault(event.device, []).append((event, outcomes))
    return found


def _gap(first: datetime | None, last: datetime | None, here: ZoneInfo, events: list[Event]) -> Gap | None:
    if first is None and last is None:
        return next(iter(gaps(events)[-1:]), None)
    if first is None or last is None or last <= first:
        raise ConfigError("give --from and --to, the second later than the first")
    since, until = (at.replace(tzinfo=here) if at.tzinfo is None else at for at in (first, last))
    return Gap(since, until)


def _show(looked_at: Gap, found: list[GapScan], here: ZoneInfo) -> None:
    since, until = (f"{at.astimezone(here):%d %B %Y %H:%M}" for at in (looked_at.since, looked_at.until))
    out.print(f"Not watched from {since} to {until}", style="bold")
    if not found:
        out.print("No scan of that time is on record.")
        return
    table = Table("Scanned", "Device", "Request", "Mode", "How it stands", box=None, pad_edge=False)
    for scan in found:
        words = _WORDS[scan.standing] + (f": {', '.join(scan.lacking)}" if scan.lacking else "")
        style = "" if scan.standing is Standing.COVERED else "bold red"
        at = f"{scan.at.astimezone(here):%d %b %H:%M}"
        table.add_row(
            at, escape(scan.device), escape(scan.accession_number), escape(scan.mode), escape(words), style=style
        )
    out.print(table)
    uncovered = sum(scan.standing is not Standing.COVERED for scan in found)
    out.print(f"{len(found)} scans, {uncovered} not covered: a physicist decides on those")


def _csv(found: list[GapScan]) -> bytes:
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(("scanned_at", "device", "accession_number", "mode", "standing", "lacking"))
    for scan in found:
        lacking = " ".join(scan.lacking)
        writer.writerow(
            (scan.at.isoformat(), scan.device, scan.accession_number, scan.mode, scan.standing.value, lacking)
        )
    return page.getvalue().encode()
