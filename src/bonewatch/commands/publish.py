"""The command line's ``publish``: how those stand who are told of what is published, and what they did not take."""

import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.data_folder import data_folder
from bonewatch.errors import ConfigError

if TYPE_CHECKING:
    from bonewatch.configuration.sections import Config
    from publishing.queue import Queue, Standing

publish_app: Final = cyclopts.App(name="publish", help="Programs that are told of news: webhooks and HL7 messages.")
out: Final = Console(highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]

_ENDS: Final = ((90.0, 1.0, "s"), (90 * 60.0, 60.0, "min"), (48 * 3600.0, 3600.0, "h"))


@publish_app.command
def status(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """Say how each subscription stands; exit status 1 if one is in trouble or has dead letters."""
    settings, data_dir = _site(config)
    kinds = _kinds(settings)
    with _queue(data_dir) as queue:
        found = {one.name: one for one in queue.standings()}
    names = sorted(kinds.keys() | found.keys())
    is_well = not any(one.trouble or one.dead for one in found.values() if one.name in kinds)
    if as_json:
        rows = [{"name": name, "kind": kinds.get(name), "standing": found.get(name)} for name in names]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
    else:
        _print_status(names, kinds, found)
    return 0 if is_well else 1


@publish_app.command
def replay(name: str, *, config: ConfigFile, from_: Annotated[str, Parameter(name="--from")]) -> int:
    """Tell a subscriber again of all that is published behind a place in the log, under the same ids.

    Parameters
    ----------
    name
        The subscription's.
    from_
        A position in the log, 0 for its beginning; what stands behind it is told.
    """
    from bonewatch.data_folder import LOG_FILE  # noqa: PLC0415 - the rest of the command line starts without the site's libraries
    from publishing.published import OtherLogError, PublishedLog  # noqa: PLC0415

    _, data_dir = _site(config)
    with _queue(data_dir) as queue, PublishedLog(data_dir / LOG_FILE) as log:
        _known(queue, name)
        try:
            place = log.place_of(from_)
        except (ValueError, OtherLogError) as error:
            raise ConfigError(f"--from {from_}: {error}; the log ends at {log.end().position}") from error
        is_other = not log.holds(queue.reached(name))
        queue.replay(name, log.reached(place), of_another_log=is_other)
    out.print(f"{escape(name)} is told again of what stands behind position {place.position}.")
    return 0


@publish_app.command
def dead(name: str = "", *, config: ConfigFile, as_json: AsJson = False) -> int:
    """List messages that were given up, and why; never what they say. Exit status 1 if there are any.

    Parameters
    ----------
    name
        Of one subscription; otherwise all.
    """
    _, data_dir = _site(config)
    with _queue(data_dir) as queue:
        if name:
            _known(queue, name)
        letters = queue.dead(name or None)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(letters) + b"\n")
        return 1 if letters else 0
    table = _table("letter", "name", "about", "device", "place", "age", "tries", "why")
    for one in letters:
        about = one.type.removeprefix("bonewatch.").rpartition(".")[0]
        told = (str(one.id), one.subscriber, about, one.device, str(one.position), _ago(one.queued_at))
        table.add_row(*map(escape, (*told, str(one.tries), one.why)))
    out.print(table if letters else "nothing was given up")
    return 1 if letters else 0


@publish_app.command
def retry(
    name: str,
    *,
    config: ConfigFile,
    letter: Annotated[Sequence[int], Parameter(negative="")] = (),
) -> int:
    """Send what was given up once more.

    Parameters
    ----------
    name
        The subscription's.
    letter
        Only this one, by its number; repeat for more.
    """
    _, data_dir = _site(config)
    with _queue(data_dir) as queue:
        _known(queue, name)
        count = queue.revive(name, letter, now=time.time())
    out.print(
        f"{count} dead letters of {escape(name)} are sent again." if count else "There was nothing to send again."
    )
    return 0


@publish_app.command(name="new-secret")
def new_secret(*, write_to: Path | None = None) -> int:
    """Make a secret for a webhook and print it: it goes where `secret_file` says, and to the receiver.

    Parameters
    ----------
    write_to
        Write it into this new file instead, that you alone can read.
    """
    from bonewatch.file_status import write_privately  # noqa: PLC0415 - see replay
    from publishing import webhook  # noqa: PLC0415 - see replay

    made = webhook.new_secret() + "\n"
    if write_to is None:
        sys.stdout.write(made)
    else:
        write_privately(write_to, made.encode())
        out.print(f"A new secret is in {escape(str(write_to))}.", soft_wrap=True)
    return 0


# --- the site ------------------------------------------------------------------------------------------------


def _site(config: Path) -> "tuple[Config, Path]":
    settings = load(config)
    return settings, data_folder(config, settings.site.data_dir)


@contextmanager
def _queue(data_dir: Path) -> "Iterator[Queue]":
    """Open the queue beside the site; only the site makes one, for it must be the site's own file."""
    from publishing.queue import QUEUE_FILE, Queue  # noqa: PLC0415 - see replay

    path = data_dir / QUEUE_FILE
    if not path.is_file():
        raise ConfigError(f"{path} is not there: the site makes it when it starts with a [[webhook]] or [[mllp]]")
    try:
        with Queue(data_dir) as queue:
            yield queue
    except sqlite3.Error as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


def _known(queue: "Queue", name: str) -> None:
    names = [one.name for one in queue.standings()]
    if name not in names:
        raise ConfigError(f"{name} is no subscription here; there are {', '.join(names) or 'none'}")


def _kinds(settings: "Config") -> dict[str, str]:
    return {one.name: "webhook" for one in settings.webhook} | {one.name: "mllp" for one in settings.mllp}


# --- words ---------------------------------------------------------------------------------------------------


def _print_status(names: Sequence[str], kinds: dict[str, str], found: "dict[str, Standing]") -> None:
    if not names:
        out.print("nobody is told: there is no [[webhook]] and no [[mllp]]", markup=False)
        return
    table = _table("name", "by", "place", "told", "ago", "waiting", "for", "dead", "state")
    for name in names:
        one = found.get(name)
        if one is None:
            table.add_row(escape(name), kinds[name], *[""] * 6, "[dim]not begun[/]")
            continue
        dead_ones = f"[bold red]{one.dead}[/]" if one.dead else "0"
        counts = (str(one.position), str(one.delivered), _ago(one.delivered_at), str(one.waiting))
        state = _state(one, is_configured=name in kinds)
        table.add_row(escape(name), kinds.get(name, ""), *counts, _ago(one.oldest_queued_at), dead_ones, state)
    out.print(table)
    for one in found.values():
        if one.trouble and one.name in kinds:
            out.print(f"{escape(one.name)}: [bold red]{escape(one.trouble)}[/]", soft_wrap=True)


def _state(one: "Standing", *, is_configured: bool) -> str:
    if not is_configured:
        return "[dim]not configured[/]"
    if one.trouble:
        return "[bold red]in trouble[/]"
    return "[bold red]gave up[/]" if one.dead else "[green]well[/]"


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title != "why", overflow="fold")
    return table


def _ago(at: float | None) -> str:
    """Return how long it is since then, as people say it."""
    if at is None:
        return ""
    ago_s = max(0.0, time.time() - at)
    for most_s, unit_s, unit in _ENDS:
        if ago_s < most_s:
            return f"{ago_s / unit_s:.0f} {unit}"
    return f"{ago_s / 86_400:.0f} d"
