"""The command line's ``fleet`` group; the fleet's libraries are loaded only when one of its commands runs."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Final, Literal

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch import logs
from bonewatch.configuration.loading import load
from bonewatch.configuration.sections import KafkaSection
from bonewatch.data_folder import LOG_FILE, data_folder
from bonewatch.errors import ConfigError

fleet_app: Final = cyclopts.App(name="fleet", help="Many sites: send logs to Kafka, work on them there.")
out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

Servers = Annotated[str, Parameter(help="host:port of the brokers, several separated by commas.")]
CaFile = Annotated[str, Parameter(help="PEM of who signed the brokers' certificates; without it: no TLS.")]
Username = Annotated[str, Parameter(help="Of SASL/SCRAM-SHA-512; the password comes from its file or the environment.")]
PasswordFile = Annotated[str, Parameter(help="File with the password in its first line.")]
MetricsPort = Annotated[int | None, Parameter(help="Serve metrics for Prometheus on this port; without it: nowhere.")]
MetricsHost = Annotated[str, Parameter(help="Address to serve metrics on.")]


@fleet_app.command
def forward(
    config: Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")],
    *,
    rows: Annotated[str, Parameter(help="Positions FIRST-LAST: send these once more, and end.")] = "",
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> int:
    """Send a site's log to Kafka beside the running site, until it is told to stop; `run` does so by itself.

    With --rows, send rows again that the fleet has lost or refused; it counts none twice.
    """
    from bonewatch import fleet  # noqa: PLC0415 - the rest of the command line starts without Kafka's libraries

    logs.configure()
    settings, stopped = load(config), _until_told()
    path = data_folder(config, settings.site.data_dir) / LOG_FILE
    if rows:
        count = fleet.forward_again(path, settings.site.id, fleet.broker_from(settings.kafka), rows)
        out.print(
            f"Sent {count} rows once more. A device that is parked for one of them is taken up by `fleet refold`."
        )
        return 0
    fleet.serve_metrics(metrics_host, metrics_port)
    fleet.forward(path, settings.site.id, fleet.broker_from(settings.kafka), stopped)
    return 0


@fleet_app.command
def topics(
    *sites: str,
    servers: Servers,
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    partitions: int = 8,
    replicas: int = 1,
) -> int:
    """Create what topics are missing, set what others should have, and say where they differ still; 1 if any does.

    Nothing is changed that would delete records (a shorter retention, another cleanup policy).

    Parameters
    ----------
    sites
        Ids of the sites that get a topic.
    partitions
        Of each outcome topic.
    replicas
        Copies of each partition; three on a cluster that must survive a machine.
    """
    from bonewatch import fleet  # noqa: PLC0415 - see forward

    broker = fleet.broker_from(KafkaSection(servers, ca_file, username, password_file))
    done = fleet.ensure_topics(broker, list(sites), partitions=partitions, replicas=replicas)
    for name in done.created:
        out.print(f"created {name}")
    for words in done.changed:
        out.print("changed", escape(words), soft_wrap=True)
    for words in done.differ:
        out.print("[bold red]differs[/]", escape(words), soft_wrap=True)
    if not any(done):
        out.print("All topics are as they should be.")
    return 1 if done.differ else 0


@fleet_app.command
def access(
    role: Literal["site", "worker", "sink", "subscriber"],
    name: str,
    *,
    servers: Servers,
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    new_password_file: Annotated[Path | None, Parameter(help="Its first line becomes the user's password.")] = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Give a user of Kafka the rights of its role, and say what it may do beyond; 1 if anything is amiss.

    Parameters
    ----------
    role
        site: writes and reads back its own topic. worker, sink: the fleet's own processes. subscriber: reads what is
        published, in groups called NAME or NAME-...
    name
        What it signs in as; a site's is the site's id.
    check
        Change nothing.
    remove
        Take all rights and the password away.
    """
    from bonewatch import fleet  # noqa: PLC0415 - see forward

    broker = fleet.broker_from(KafkaSection(servers, ca_file, username, password_file))
    if remove:
        done, amiss = fleet.take_access(broker, name), []
    elif check:
        done, amiss = [], fleet.access_differences(broker, role, name)
    else:
        done = fleet.give_access(broker, role, name, new_password_file)
        amiss = fleet.access_differences(broker, role, name)
    for words in done:
        out.print("removed" if remove else "granted", escape(words), soft_wrap=True)
    for words in amiss:
        out.print("[bold red]differs[/]", escape(words), soft_wrap=True)
    if not done and not amiss:
        out.print("There was nothing to remove." if remove else "All rights are as they should be.")
    return 1 if amiss else 0


@fleet_app.command
def worker(
    *,
    servers: Servers,
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> int:
    """Run one worker until it is told to stop; start as many as there is work for."""
    from bonewatch import fleet  # noqa: PLC0415 - see forward

    logs.configure()
    fleet.serve_metrics(metrics_host, metrics_port)
    fleet.work(fleet.broker_from(KafkaSection(servers, ca_file, username, password_file)))
    return 0


@fleet_app.command
def compare(
    *,
    servers: Servers,
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> int:
    """Compare scanners over sites until told to stop: travelling phantoms, and steps that scanners share."""
    from bonewatch import fleet  # noqa: PLC0415 - see forward

    logs.configure()
    fleet.serve_metrics(metrics_host, metrics_port)
    fleet.compare(fleet.broker_from(KafkaSection(servers, ca_file, username, password_file)))
    return 0


@fleet_app.command
def sink(
    *,
    servers: Servers,
    database_url: Annotated[str, Parameter(help="postgresql://user@host/database, without a password.")],
    database_password_file: PasswordFile = "",
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> int:
    """Keep the fleet's database true to the topics of all sites, until told to stop; several share the sites."""
    from bonewatch import fleet  # noqa: PLC0415 - see forward
    from storage.connection import GivenServer  # noqa: PLC0415 - see forward

    logs.configure()
    stopped = _until_told()
    fleet.serve_metrics(metrics_host, metrics_port)
    database = GivenServer(database_url, Path(database_password_file) if database_password_file else None)
    fleet.fill(fleet.broker_from(KafkaSection(servers, ca_file, username, password_file)), database, stopped)
    return 0


@fleet_app.command
def demo(*, data_dir: Path | None = None, servers: Servers = "") -> int:
    """Bring a fleet of two hospitals to life on this computer: Kafka, sites, worker, sink, comparison, database.

    Parameters
    ----------
    data_dir
        Keep everything here; without it a temporary folder is used and removed.
    servers
        A Kafka without sign-in that runs already; without it one is started from deploy/kafka.
    """
    from bonewatch.demo.fleet import FleetDemo  # noqa: PLC0415 - see forward

    stopped = _until_told()
    with FleetDemo(data_dir, servers) as fleet, err.status("starting") as said:
        for words in fleet.start():
            said.update(words)
            if stopped.is_set():
                return 0
        said.stop()
        for words in fleet.where_to_look():
            out.print(words, soft_wrap=True)
        out.print("Press Ctrl-C to end it.", style="dim")
        sys.stdout.flush()
        return fleet.watch(stopped)


@fleet_app.command
def refold(
    device: str, *, servers: Servers, ca_file: CaFile = "", username: Username = "", password_file: PasswordFile = ""
) -> int:
    """Ask for a parked device to be taken up again from its site's topic, once what was wrong there is mended.

    Parameters
    ----------
    device
        SITE/DEVICE. The request stands on the site's topic, and both the worker that has the site and the sink act on
        it in its order: `parked_devices` in the database then says whether the device is still parked, and why.
    """
    from bonewatch import fleet  # noqa: PLC0415 - see forward
    from streams.fleet.refold_request import ask_for_refold  # noqa: PLC0415 - see forward

    broker = fleet.broker_from(KafkaSection(servers, ca_file, username, password_file))
    try:
        ask_for_refold(broker, device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    out.print(f"Asked for {escape(device)} to be taken up again.")
    return 0


@fleet_app.command
def forget(
    site: str,
    *,
    by: Annotated[str, Parameter(help="The person who decides this.")],
    reason: Annotated[str, Parameter(help="Why; it stands on the site's topic for ever.")],
    servers: Servers,
    ca_file: CaFile = "",
    username: Username = "",
    password_file: PasswordFile = "",
    yes: Annotated[bool, Parameter(negative="", help="Do not ask for confirmation: for scripts.")] = False,
) -> int:
    """Have the fleet forget a site, so that it takes its log from the first row on: after a restore from a backup.

    Parameters
    ----------
    site
        Its id. The request stands on its topic; workers and sinks act on it in its order, without a restart. The
        rows of before stay on the topic and count no longer. Do it only where the site's log of now is the right one.
    """
    from bonewatch import fleet  # noqa: PLC0415 - see forward

    broker = fleet.broker_from(KafkaSection(servers, ca_file, username, password_file))
    known = fleet.known_of(broker, site)
    if not yes and not _confirmed(site, known):
        out.print("Nothing was changed.")
        return 1
    at = fleet.forget(broker, site, by=by, reason=reason)
    out.print(
        f"Asked for {escape(site)} to be forgotten (offset {at}). Its log is taken anew as soon as the site sends it: "
        "a running site looks within a minute.",
        soft_wrap=True,
    )
    return 0


def _confirmed(site: str, known: str) -> bool:
    """Say what will be forgotten, and have the site's id typed."""
    if not sys.stdin.isatty():
        raise ConfigError("this asks for confirmation, and nobody is there to answer: say --yes")
    out.print(
        f"The fleet holds of {escape(site)}: {escape(known)}. Its database will forget every row of that, and take the "
        "log that the site sends from now on, from its first row.",
        soft_wrap=True,
    )
    return input(f"Type {site} to go on: ").strip() == site


@fleet_app.command
def contracts(folder: Path, *, check: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Write the JSON Schemas and the AsyncAPI document of everything on Kafka; docs/contracts is made so.

    Parameters
    ----------
    folder
        Where to; what is no more is removed there.
    check
        Write nothing; 1 if a file is not what this program says.
    """
    from streams import contracts as made  # noqa: PLC0415 - see forward

    differs = made.differences(folder) if check else made.write(folder)
    for path in differs:
        out.print("differs" if check else "changed", escape(str(folder / path)), soft_wrap=True)
    if not differs:
        out.print("The contracts are as they should be.")
    return 1 if check and differs else 0


def _until_told() -> threading.Event:
    """Return what SIGINT and SIGTERM set."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    return stopped
