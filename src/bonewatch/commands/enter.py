"""The command line's ``enter``: everything that people record by hand."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.entering import Entrance, NotDoneError, asked_for, chosen, typed_values
from bonewatch.errors import ConfigError
from dashboards.api.shapes import ActionsOut

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)


def enter(
    device: str,
    action: str = "",
    /,
    *values: str,
    person: Annotated[str, Parameter(name="--as")],
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    url: str = "",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Record by hand what the console's forms record: QC, phantom scans, checks, readings of patients, faults.

    Parameters
    ----------
    device
        The device by its id in the configuration.
    action
        What to enter; without it: what this person may do to the device now.
    values
        name=value for each field; what is missing is asked for.
    person
        Who enters it; the password is asked for, or read from the first line of the input.
    config
        The site's TOML file, for the address of its console on this machine.
    url
        The console's address instead.
    as_json
        Print JSON for a program to read.
    """
    entrance = Entrance(url or console_address(config), person, password_of(person))
    try:
        offered = entrance.offered(device)
        if not action:
            _list(offered, as_json=as_json)
            return 0
        form = chosen(offered, action)
        given = typed_values(form, values)
        if sys.stdin.isatty():
            given = asked_for(form, given, _ask)
        done = entrance.do(device, offered, action, given)
    except NotDoneError as error:
        return _refused(error, as_json=as_json)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode({"done": done}) + b"\n")
    else:
        out.print(f"[green]{escape(done)}[/]")
    return 0


def console_address(config: Path | None) -> str:
    """Return the address of a site's console on this machine."""
    if config is None:
        raise ConfigError("say which site: -c FILE, or --url of its console")
    http = load(config).http
    host = "127.0.0.1" if http.host in {"0.0.0.0", "::", ""} else http.host  # noqa: S104 - read, not bound
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


def password_of(person: str) -> str:
    """Ask for a password, or read it from the first line of the input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {person}: ")
    return sys.stdin.readline().rstrip("\n")


def _ask(label: str, value: str) -> str:
    default = f" = {value}" if value else ""
    return input(f"{label}{default}: ") or value


def _list(offered: ActionsOut, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(offered) + b"\n")
        return
    table = Table("Enter", "What it is", "Fields", box=None, pad_edge=False)
    for one in offered.actions:
        fields = ", ".join(field.name if field.required else f"({field.name})" for field in one.fields)
        table.add_row(f"[bold]{one.slug}[/]", escape(one.title), escape(fields))
    out.print(table)


def _refused(error: NotDoneError, *, as_json: bool) -> int:
    if as_json:
        told = {"detail": str(error), "status": error.status, "errors": error.errors}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return 1
    err.print(f"[bold red]not recorded[/] {escape(str(error))}", soft_wrap=True)
    for name, words in error.errors.items():
        err.print(f"  {escape(name)}: {escape(words)}", soft_wrap=True)
    return 1
