"""What is due at a site, from its log: beside a running site or without one."""

import csv
import io
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.errors import ConfigError
from streams.due import URGENCY
from streams.fold import FOLD_VERSION
from streams.fold.due_work import due_list
from streams.fold.state import state_from_blob
from streams.messages import DutyStanding

out: Final = Console(highlight=False)
_STYLES: Final = {DutyStanding.OVERDUE: "bold red", DutyStanding.DUE: "yellow", DutyStanding.DUE_SOON: "yellow"}

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]


class DueRow(msgspec.Struct, frozen=True):
    """One line of the report."""

    device: str
    kind: str
    name: str
    standing: DutyStanding
    due_on: date | None
    done_on: date | None
    duty_id: str
    holds: bool


def rows_at(data_dir: Path, devices: Collection[str], now: datetime) -> list[DueRow]:
    """Return everything that comes round on these devices (by key) as it stands at `now`, the most urgent first.

    Raises
    ------
    ConfigError
        If a device's state was kept by another version of the program.
    """
    from bonewatch.data_folder import open_log  # noqa: PLC0415 - the command line starts without the site's libraries

    rows = list[DueRow]()
    with open_log(data_dir) as log:
        for kept in (state for state in log.states() if state.device in devices):
            if kept.fold_version != FOLD_VERSION:
                raise ConfigError(f"{kept.device} was kept by another version of Bonewatch: start the site once")
            name = kept.device.rpartition("/")[2]
            rows += [
                DueRow(name, item.kind, item.name, item.standing, item.due_on, item.done_on, item.duty_id, item.holds)
                for item in due_list(state_from_blob(kept.blob), now)
                if item.due_on is not None
            ]
    return sorted(rows, key=lambda row: (URGENCY.index(row.standing), str(row.due_on), row.device))


def due(
    *,
    config: ConfigFile,
    kind: str = "",
    form: Annotated[Literal["table", "csv", "json"], Parameter(name="--format")] = "table",
) -> int:
    """Say what is overdue, due, due soon and coming on every device; exit status 1 if something is overdue.

    Parameters
    ----------
    kind
        Only work of this kind, such as maintenance.
    form
        table for people, csv or json for programs.
    """
    settings = load(config)
    data_dir = (config.resolve().parent / settings.site.data_dir).resolve()
    everything = rows_at(data_dir, settings.devices().keys(), datetime.now(UTC))
    rows = [row for row in everything if kind in {"", row.kind}]
    if kind and not rows:
        known = ", ".join(sorted({row.kind for row in everything})) or "nothing"
        raise ConfigError(f"nothing of kind {kind} comes round here; there is: {known}")
    if form == "json":
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
    elif form == "csv":
        sys.stdout.write(_csv(rows))
    else:
        _show(rows)
    return 1 if any(row.standing is DutyStanding.OVERDUE for row in rows) else 0


def _csv(rows: Sequence[DueRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DueRow.__struct_fields__)
    for row in rows:
        values = msgspec.to_builtins(row)
        writer.writerow(["" if values[name] is None else values[name] for name in DueRow.__struct_fields__])
    return text.getvalue()


def _show(rows: Sequence[DueRow]) -> None:
    table = Table("Standing", "Due", "Device", "What", "Done last", "Id", box=None, pad_edge=False)
    for row in rows:
        standing = row.standing.value.replace("_", " ") if row.standing is not DutyStanding.OK else "coming"
        done = row.done_on.isoformat() if row.done_on else "not recorded"
        cells = (standing, str(row.due_on), escape(row.device), escape(row.name), done, escape(row.duty_id))
        table.add_row(*cells, style=_STYLES.get(row.standing))
    out.print(table)
