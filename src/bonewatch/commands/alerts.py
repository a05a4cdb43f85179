"""The command line's ``alerts``: how they and their messages stand, a test message, taking an alert."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
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
    from alerts.channels import Channel
    from alerts.queue import Queue
    from alerts.settings import AlertsSettings
    from bonewatch.configuration.sections import Config

alerts_app: Final = cyclopts.App(
    name="alerts", help="Messages to people: how they stand, a test message, taking an alert."
)
out: Final = Console(highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


@alerts_app.command
def status(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """Say which alerts are open, who takes them, and which channels do not work; exit status 1 if one does not."""
    settings, data_dir, alerts = _site(config)
    with _queue(data_dir) as queue:
        book, troubles, counts = queue.book(), queue.troubles(), queue.counts()
    if as_json:
        channels = [
            {
                "channel": one.name,
                "standing": {state.value: n for (name, state), n in counts.items() if name == one.name},
            }
            for one in alerts.channel
        ]
        told = {"alerts": list(book.alerts.values()), "channels": channels, "troubles": troubles}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return 1 if troubles else 0
    table = Table("alert", "how soon", "since", "what", "taken by", box=None, pad_edge=False)
    for alert in book.alerts.values():
        since = _clock(alert.raised_at, settings)
        what = escape(f"{alert.condition.device_name}: {alert.condition.headline}".removeprefix(": "))
        taken_by = escape(alert.acknowledged_by) or "[bold]nobody[/]"
        table.add_row(alert.id, alert.condition.severity.value, since, what, taken_by)
    out.print(table if book.alerts else "no alert is open", soft_wrap=True)
    for one in troubles:
        since = _clock(datetime.fromtimestamp(one.oldest_queued_at, UTC), settings)
        out.print(
            f"{escape(one.channel)}: [bold red]{one.waiting} waiting since {since}[/]: {escape(one.why)}",
            soft_wrap=True,
        )
    return 1 if troubles else 0


@alerts_app.command(name="test")
def send_test(person: str = "", *, config: ConfigFile, channel: str = "") -> int:
    """Send a test message and say what became of it; exit status 1 if it was not taken.

    Parameters
    ----------
    person
        By all channels of this person.
    channel
        By this channel alone: to the person, or to whom it leads.
    """
    settings, data_dir, alerts = _site(config)
    people = {one.name: one for one in alerts.person}
    if person and person not in people:
        raise ConfigError(f"{person} is no [[alerts.person]]; there are {', '.join(people) or 'none'}")
    if not person and not channel:
        raise ConfigError("name a person, or a --channel")
    names = [channel] if channel else list(people[person].channels)
    channels = _channels(alerts, names, config.resolve().parent, data_dir)
    if not names:
        raise ConfigError(f"{person} has no channel")
    address = people[person].address if person else ""
    whys = {name: _try(channels[name], person, address, settings) for name in names}
    for name, why in whys.items():
        said = f"[bold red]not taken:[/] {escape(why)}" if why else "[green]taken[/]; now look whether it arrived"
        out.print(f"{escape(name)}: {said}", soft_wrap=True)
    return 1 if any(whys.values()) else 0


@alerts_app.command
def acknowledge(alert: str, *, config: ConfigFile, name: str) -> int:
    """Put on record that somebody takes an alert: it is not escalated any more until there is news.

    Parameters
    ----------
    alert
        Its id, as `alerts status` says it.
    name
        Who takes it.
    """
    from alerts.book import Book  # noqa: PLC0415 - the rest of the command line starts without
    from alerts.policy import acknowledge as take  # noqa: PLC0415
    from bonewatch.on_record import on_record  # noqa: PLC0415

    _, data_dir, _ = _site(config)
    if not name.strip():
        raise ConfigError("--name says who takes it")
    now = datetime.now(UTC)
    with on_record(data_dir) as put:
        with _queue(data_dir) as queue, queue.changing() as change:
            result = take(change.book, alert, name.strip(), now)
            if isinstance(result, Book):
                change.keep(result, now.timestamp())
        if isinstance(result, Book):
            put("alert", "acknowledge", {"alert": alert, "in the name of": name.strip()})
    if not isinstance(result, Book):
        out.print(escape(result.why), soft_wrap=True)
        return 1
    out.print(f"{escape(name.strip())} takes {escape(alert)}.")
    return 0


def _try(channel: "Channel", person: str, address: str, settings: "Config") -> str:
    from alerts.channels import Outgoing  # noqa: PLC0415 - the rest of the command line starts without

    site = settings.site.name or settings.site.id
    text = f"This is a test of Bonewatch at {site}. Nothing is wrong, and there is nothing to do."
    return channel.send(Outgoing(person, address, f"Bonewatch test: {site}", text, urgent=False))


def _channels(alerts: "AlertsSettings", names: list[str], folder: Path, data_dir: Path) -> "dict[str, Channel]":
    from alerts.channels import ChannelError, channel_of  # noqa: PLC0415 - the rest of the command line starts without

    known = {one.name: one for one in alerts.channel}
    found: dict[str, Channel] = {}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name} is no [[alerts.channel]]; there are {', '.join(known) or 'none'}")
        try:
            found[name] = channel_of(known[name], folder, data_dir)
        except ChannelError as error:
            raise ConfigError(f"[[alerts.channel]] {name}: {error}") from error
    return found


def _site(path: Path) -> "tuple[Config, Path, AlertsSettings]":
    config = load(path)
    if config.alerts is None:
        raise ConfigError(f"{path} has no [alerts]: nobody is told anything")
    return config, data_folder(path, config.site.data_dir), config.alerts


@contextmanager
def _queue(data_dir: Path) -> "Iterator[Queue]":
    from alerts.queue import QUEUE_FILE, Queue  # noqa: PLC0415 - the rest of the command line starts without

    if not (data_dir / QUEUE_FILE).is_file():
        raise ConfigError(f"{data_dir / QUEUE_FILE} is not there: the site has not run with [alerts] yet")
    try:
        with Queue(data_dir) as queue:
            yield queue
    except sqlite3.Error as error:
        raise ConfigError(f"{data_dir / QUEUE_FILE} cannot be used: {error}") from error


def _clock(at: datetime, settings: "Config") -> str:
    from streams.fold.schedule import zone  # noqa: PLC0415 - the rest of the command line starts without

    return f"{at.astimezone(zone(settings.site.time_zone)):%a %d %b %H:%M}"
