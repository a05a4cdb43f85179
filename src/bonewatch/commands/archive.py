"""The command line's commands for copies of the record in a second place."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch import logs
from bonewatch.commands.enter import console_address, password_of
from bonewatch.configuration.loading import load
from bonewatch.configuration.sections import Config
from bonewatch.data_folder import data_folder
from bonewatch.entering import Entrance, NotDoneError
from streams.fold.schedule import local_day
from streams.policy import DutyKind

if TYPE_CHECKING:
    from bonewatch.site_archive import Archived

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


def archive(
    target: Path,
    *,
    config: ConfigFile,
    same_disk: Annotated[bool, Parameter(negative="")] = False,
    person: Annotated[str, Parameter(name="--as")] = "",
    duty: tuple[str, ...] = (),
    url: str = "",
    as_json: AsJson = False,
) -> int:
    """Copy the site's record to a second place, check the copy, and record that it was done; the site may run.

    Parameters
    ----------
    target
        A folder on another disk or machine; each copy gets a folder of its own there.
    same_disk
        Take the copy although the target is on the disk of the data folder.
    person
        Record it as done by this person or account; the password is asked for, or read from the input's first line.
    duty
        Record these duties, by id; otherwise those of kind record_archive.
    url
        Address of the site's console, to record it there; this machine's if not given.
    """
    from bonewatch import site_archive  # noqa: PLC0415 - the command line starts without the site's libraries

    logs.configure()
    settings = load(config)
    entrance = Entrance(url or console_address(config), person, password_of(person)) if person else None
    data_dir = data_folder(config, settings.site.data_dir)
    try:
        with err.status("copying the record") as said:
            done = site_archive.archive(
                data_dir,
                target,
                site=settings.site.id,
                same_disk=same_disk,
                progress=lambda name: said.update(f"copying the record: {escape(name)}"),
            )
    except site_archive.ArchiveError as error:
        err.print("[bold red]error[/]", escape(str(error)), soft_wrap=True)
        return 1
    recorded, refused = _record(settings, entrance, done, person, duty) if entrance else ([], [])
    if as_json:
        told = {"folder": str(done.folder), "recorded": recorded, "not_recorded": refused}
        manifest = msgspec.to_builtins(done.manifest) | {"files": len(done.manifest.files)}
        sys.stdout.buffer.write(msgspec.json.encode(manifest | told) + b"\n")
    else:
        _tell(done, "copied and checked")
        for words in recorded:
            out.print(f"[green]recorded[/] {escape(words)}", soft_wrap=True)
        if entrance is None:
            out.print("Not recorded as done: say who with --as.", style="dim")
        for words in refused:
            err.print(f"[bold red]not recorded[/] {escape(words)}", soft_wrap=True)
    return 1 if refused else 0


def check_archive(folder: Path, *, as_json: AsJson = False) -> int:
    """Read a copy of the record again: every file, and the chain of its log."""
    from bonewatch import site_archive  # noqa: PLC0415 - see archive

    try:
        found = site_archive.check(folder)
    except site_archive.ArchiveError as error:
        err.print("[bold red]error[/]", escape(str(error)), soft_wrap=True)
        return 1
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found.manifest) + b"\n")
    else:
        _tell(found, "sound")
    return 0


def _tell(done: "Archived", verdict: str) -> None:
    manifest = done.manifest
    size = sum(file.size for file in manifest.files)
    words = f"{len(manifest.files)} files, {size} bytes, {manifest.events} events: {verdict}. Head {manifest.head}"
    out.print(f"{done.folder}: {words}", soft_wrap=True, markup=False)


def _record(
    settings: Config, entrance: Entrance, done: "Archived", person: str, chosen: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Record it at each device on which the archive is due; return what was recorded, and what was not and why."""
    recorded, refused = list[str](), list[str]()
    today = local_day(datetime.now(UTC), settings.site.time_zone)
    for device in settings.device:
        for duty in settings.policy(device).duties:
            if duty.duty_id not in chosen if chosen else duty.kind is not DutyKind.RECORD_ARCHIVE:
                continue
            values = {"duty_id": duty.duty_id, "done_on": today.isoformat(), "done_by": person}
            values |= {"reference": done.folder.name, "note": f"Chain head {done.manifest.head}"}
            try:
                entrance.do(device.id, entrance.offered(device.id), "duty-done", values)
                recorded.append(f"{device.id}: {duty.name}")
            except NotDoneError as error:
                why = [str(error), *error.errors.values()]
                refused.append(f"{device.id}: {duty.name}: {'; '.join(why)}")
    if not recorded and not refused:
        refused.append("no [[duty]] of kind record_archive is configured: the copy is made and nothing was due")
    return recorded, refused
