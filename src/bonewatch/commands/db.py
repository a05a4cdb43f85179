"""The command line's ``db``: the database that dashboards and reports read."""

import sys
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch import database, logs
from bonewatch.configuration.loading import load_with_folder

db_app: Final = cyclopts.App(name="db", help="The database that dashboards and reports read.")
out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


@db_app.command(name="migrate")
def db_migrate(config: ConfigFile) -> int:
    """Bring the database's schema up to date; a site does it by itself when it starts."""
    logs.configure()
    done = database.migrated(*load_with_folder(config))
    out.print(f"{len(done.applied)} migrations applied, up to {done.applied[-1]} ({done.flavour}).")
    return 0


@db_app.command(name="status")
def db_status(config: ConfigFile, *, as_json: AsJson = False) -> int:
    """Say what is applied, and how far each source has been taken in; exit status 1 if migrations wait."""
    logs.configure()
    found, sources = database.stands(*load_with_folder(config))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found._asdict() | {"sources": sources}) + b"\n")
    else:
        out.print(f"{found.flavour}: {len(found.applied)} migrations applied, {len(found.pending)} wait.")
        for name, position in sources.items():
            out.print(f"{escape(name)}: taken in up to {position}.")
    return 1 if found.pending else 0


@db_app.command(name="rebuild")
def db_rebuild(config: ConfigFile, *, as_json: AsJson = False) -> int:
    """Drop the database's content and replay the log; the site is stopped."""
    logs.configure()
    with err.status("replaying the log") as said:
        done = database.rebuilt(*load_with_folder(config), lambda count: said.update(f"{count} events replayed"))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(done._asdict()) + b"\n")
    else:
        compared = "the content is what it was" if done.is_same else f"the content was {done.before or 'not complete'}"
        left = f", {done.unreadable} unreadable, {done.refused} refused" if done.unreadable or done.refused else ""
        out.print(f"{done.events} events replayed{left}; {compared}. Checksum {done.after}", soft_wrap=True)
    return 0
