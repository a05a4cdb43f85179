"""The command line's ``log``: the record's chain, and its time after the clock was wrong."""

import re
import sys
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console

from bonewatch.configuration.loading import folder_of
from bonewatch.data_folder import LOG_FILE, open_log
from bonewatch.data_folder import correct_clock as correct_the_clock
from bonewatch.errors import ConfigError
from streams.messages import Person
from streams.refold import verify as verify_log
from streams.sqlite_log import SqliteEventLog

log_app: Final = cyclopts.App(name="log", help="The site's durable log.")
out: Final = Console(highlight=False)
_ANCHOR: Final = re.compile(r"(\d{1,18}):([0-9a-fA-F]{64})", re.ASCII)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


@log_app.command
def verify(
    config: ConfigFile | None = None, *, data_dir: Path | None = None, anchor: str = "", as_json: AsJson = False
) -> int:
    """Check the log's hash chain, sequences and times from its first event.

    Parameters
    ----------
    anchor
        Where the log stood once, as a report or an evidence pack says: the event's number, a colon and its link.
    """
    with open_log(folder_of(config, data_dir)) as log:
        result = verify_log(log)
        if anchor and (fault := _off_anchor(log, anchor)):
            result = result._replace(faults=(*result.faults, fault))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(result._asdict()) + b"\n")
    else:
        for fault in result.faults:
            out.print(f"[bold red]fault[/] {fault}", soft_wrap=True)
        verdict = "sound" if not result.faults else f"{len(result.faults)} faults"
        out.print(f"{result.events} events, {result.outcomes} outcomes: {verdict}. Head {result.head}", soft_wrap=True)
    return 1 if result.faults else 0


def _off_anchor(log: SqliteEventLog, anchor: str) -> str:
    """Return what is wrong where the log stood once, or nothing."""
    said = _ANCHOR.fullmatch(anchor)
    if said is None:
        raise ConfigError("an anchor is the number of an event, a colon and its link of 64 hexadecimal digits")
    found = log.fetch("SELECT link FROM events WHERE position = ?", (int(said[1]),))
    if not found:
        return f"event {said[1]}, to which the anchor belongs, is not in the log"
    return "" if found[0][0].hex() == said[2].lower() else f"event {said[1]}: its link is not that of the anchor"


@log_app.command(name="correct-clock")
def correct_clock(config: ConfigFile, *, by: str, reason: str) -> int:
    """Let recorded times begin anew after the computer's clock had run ahead and was set right; the site is stopped.

    Parameters
    ----------
    by
        Who says so; stands in the record.
    reason
        What was wrong with the clock.
    """
    folder = folder_of(config, None)
    if not (folder / LOG_FILE).is_file():
        raise ConfigError(f"{folder / LOG_FILE} is not there")
    count = correct_the_clock(folder, Person(by, "admin"), reason)
    done = f"Time begins anew for {count} devices; every QC must pass again."
    out.print(done if count else "The log is not ahead of the clock: nothing to correct.")
    return 0
