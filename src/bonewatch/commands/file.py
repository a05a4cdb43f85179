"""The command line's commands for exported files: import one, see how the watched ones stand, see what was rejected."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bonewatch import logs
from bonewatch.configuration.loading import load
from bonewatch.data_folder import data_folder

if TYPE_CHECKING:
    from bonewatch import file_import
    from bonewatch.configuration.sections import Config

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
MapFile = Annotated[Path, Parameter(name="--map")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]
_EVERY: Final = 500
"""Rows between two movements of the bar."""


def import_file(
    file: Path,
    *,
    device: str,
    column_map: MapFile,
    config: ConfigFile,
    until: date | None = None,
    dry_run: bool = False,
    as_json: AsJson = False,
) -> int:
    """Record an exported file of any length, such as years of QC history; the site is stopped.

    Parameters
    ----------
    file
        A CSV, workbook or XML, as the map says. Rows that were recorded before count once.
    device
        The device that it is of, by its id in the configuration.
    column_map
        The TOML file that says what its columns are.
    until
        Leave out what was measured on this day (2026-11-02) or later: from then on it came another way.
    dry_run
        Say what would be recorded, and record nothing; the site may run.
    """
    from bonewatch.file_import import FileImport  # noqa: PLC0415 - the rest of the command line starts without it

    logs.configure(quiet=True)
    settings, data_dir = _site(config)
    work = FileImport(settings, data_dir, device, column_map, until=until)
    with _bars() as progress:
        done = work.compare(file, progress) if dry_run else work.record(file, progress)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(_plain(done)) + b"\n")
        return 0
    _print(done, dry_run=dry_run)
    return 0


def files(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """Say how the files of the watched folder stand: read, waiting, refused, and with what rejected."""
    from bonewatch.file_status import stands  # noqa: PLC0415 - see import_file

    settings, data_dir = _site(config)
    found = list(stands(settings, data_dir, config.resolve().parent))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode([one._asdict() for one in found]) + b"\n")
        return 0
    for one in found:
        colour = {"read": "green", "waiting": "yellow"}.get(one.stands, "red" if one.device else "dim")
        whose = f" ({one.device}, {one.map})" if one.device else ""
        counts = f", {one.rows} rows, {one.recorded} in the log" if one.stands == "read" else ""
        out.print(f"{escape(one.file + whose)}: [{colour}]{escape(one.stands)}[/]{counts}", soft_wrap=True)
        if one.rejected:
            said = ", ".join(f"{count} {code}" for code, count in sorted(one.rejected.items()))
            out.print(f"  rejected: {escape(said)}; bonewatch rejects {escape(one.rejects)} -c ...", soft_wrap=True)
    return 0


def rejects(name: str, *, config: ConfigFile, write_to: Path | None = None) -> int:
    """Say which rows of a reading were rejected and why: line and reason, nothing of the row.

    Parameters
    ----------
    name
        Of the kept rejects, as `files` and `import` say it.
    write_to
        Write them here with their cells, as CSV, for your eyes alone: rows may be patients'.
    """
    from bonewatch.file_status import opened_rejects, write_privately  # noqa: PLC0415 - see import_file

    _, data_dir = _site(config)
    data, rows = opened_rejects(data_dir, name)
    if write_to is not None:
        write_privately(write_to, data)
        out.print(f"{len(rows)} rejected rows are in {escape(str(write_to))}; they may name patients.", soft_wrap=True)
        return 0
    for line, code, reason in rows:
        out.print(f"line {line}: {escape(code)}: {escape(reason)}", soft_wrap=True)
    return 0


def _site(config: Path) -> "tuple[Config, Path]":
    settings = load(config)
    return settings, data_folder(config, settings.site.data_dir)


@contextmanager
def _bars() -> "Iterator[file_import.Progress]":
    """Show two bars: rows read, rows recorded."""
    from bonewatch.file_import import Progress as Told  # noqa: PLC0415 - see import_file

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        reading, recording = bars.add_task("rows read", total=None), bars.add_task("rows recorded", total=None)

        def read(count: int) -> None:
            if count % _EVERY == 0:
                bars.update(reading, completed=count)

        def recorded(count: int, of: int) -> None:
            bars.update(recording, completed=count, total=of)

        yield Told(read, recorded)


def _plain(done: "file_import.Imported") -> dict[str, object]:
    content, tally = done.content, done.tally
    return {
        "rows": content.rows,
        "left_out": content.left_out,
        "repeated": content.repeated,
        "new": tally.new,
        "history": tally.history,
        "seen": tally.seen,
        "rejected": dict(content.rejected),
        "first": tally.first,
        "last": tally.last,
        "subjects": {name: dict(counts) for name, counts in tally.subjects.items()},
        "rejects": done.kept.name if done.kept else "",
    }


def _print(done: "file_import.Imported", *, dry_run: bool) -> None:
    content, tally = done.content, done.tally
    table = Table(show_header=False, box=None)
    rejected = sum(content.rejected.values())
    said = ", ".join(f"{count} {code}" for code, count in content.rejected.most_common())
    lines = [
        ("rows read", str(content.rows)),
        ("would be recorded" if dry_run else "recorded", f"{tally.new}, {tally.history} of them history"),
        ("recorded before", str(tally.seen)),
        ("twice in the file", f"{content.repeated}{_repeats(content.repeats)}"),
        ("left out by the map", str(content.left_out)),
        ("rejected", f"{rejected}{f' ({said})' if said else ''}"),
    ]
    if tally.first and tally.last:
        lines.append(("measured", f"{tally.first:%d %B %Y} to {tally.last:%d %B %Y}"))
    for name, text in lines:
        table.add_row(name, escape(text))
    out.print(table)
    for subject, counts in sorted(tally.subjects.items()):
        text = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
        out.print(f"{escape(subject)}: {escape(text)}", soft_wrap=True)
    if done.kept:
        out.print(f"Rejected rows are kept, encrypted: bonewatch rejects {done.kept.name} -c ...", soft_wrap=True)
    elif dry_run:
        for one in content.rejects[:20]:
            out.print(f"line {one.line}: {one.code}: {escape(one.reason)}", soft_wrap=True)


def _repeats(repeats: list[tuple[int, int]]) -> str:
    if not repeats:
        return ""
    said = ", ".join(f"line {line} as {first}" for line, first in repeats[:5])
    return f" ({said}{', ...' if len(repeats) > 5 else ''})"
