"""The fleet's processes: a forwarder beside the site or inside it, topics, workers."""

import asyncio
import os
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from kafka.errors import KafkaError
from prometheus_client import start_http_server

from bonewatch.configuration.sections import KafkaSection
from bonewatch.errors import ConfigError
from storage.comparison_sink import ComparisonSink
from storage.connection import Database
from storage.errors import DatabaseAwayError, DatabaseRefusedError
from storage.kafka_sink import KafkaSink
from storage.sink import Sink
from storage.upkeep import open_prepared
from streams import access_admin
from streams.access import FleetRole
from streams.broker import Broker, BrokerError
from streams.fleet import forget_request
from streams.fleet.combiner import Combiner
from streams.fleet.site_life import Forgetting
from streams.fleet.worker import FleetWorker, WorkerSettings
from streams.forwarder import Forwarder, LogForkedError
from streams.refusal import require_accepted
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import alter, create, differences
from streams.topics import fleet_topics, site_topic

PASSWORD: Final = "BONEWATCH_KAFKA_PASSWORD"  # noqa: S105 - the name of the variable
STOP_S: Final = 10.0
_ROWS: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
FORKED_RETRY_S: Final = 60.0
"""A log that the fleet does not take is tried again so often: somebody may have had the other one forgotten."""


def broker_from(kafka: KafkaSection) -> Broker:
    """Return where Kafka is; the password comes from its file or the environment.

    Raises
    ------
    ConfigError
        If no servers are named, or the password cannot be read.
    """
    if not kafka.bootstrap_servers:
        raise ConfigError("[kafka] bootstrap_servers is empty: name the broker")
    password = os.environ.get(PASSWORD)
    if kafka.password_file:
        password = _first_line(Path(kafka.password_file), "[kafka] password_file")
    ca_file = Path(kafka.ca_file) if kafka.ca_file else None
    return Broker(kafka.bootstrap_servers, ca_file, kafka.username or None, password)


def _first_line(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {path} cannot be read: {type(error).__name__}") from error


class SiteForwarder:
    """A forwarder in a thread of the site's process; the site never waits for it.

    Parameters
    ----------
    path
        The site's log.
    site
        The site's id.
    broker
        Where to send to.
    """

    def __init__(self, path: Path, site: str, broker: Broker) -> None:
        self._log = SqliteEventLog(path, read_only=True)
        self._forwarder = Forwarder(self._log, site, broker)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Begin to follow the log."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something was committed."""
        self._forwarder.wake()

    def stop(self) -> None:
        """End; what the broker does not have yet goes next time."""
        self._stopped.set()
        self._forwarder.wake()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._log.close()

    def _run(self) -> None:
        said = ""
        while not self._stopped.is_set():
            try:
                self._forwarder.run(self._stopped)
            except LogForkedError as error:
                if str(error) != said:
                    structlog.get_logger("bonewatch.fleet").error("forwarder_stopped", why=str(error))
                said = str(error)
                self._stopped.wait(FORKED_RETRY_S)


def forward(path: Path, site: str, broker: Broker, stopped: threading.Event) -> None:
    """Forward a site's log until stopped.

    Raises
    ------
    LogForkedError
        Where the broker holds another log of this site.
    RefusedError
        If the broker is there and does not take us; one that is away is waited for.
    """
    require_accepted(broker)
    with SqliteEventLog(path, read_only=True) as log:
        Forwarder(log, site, broker).run(stopped)


def known_of(broker: Broker, site: str) -> str:
    """Return in words what the fleet has of a site's log (see `streams.fleet.forget_request.known_of`)."""
    with _names_refused():
        tail = forget_request.known_of(broker, site)
    return f"log {tail.log_id}, to its position {tail.position}"


def forget(broker: Broker, site: str, *, by: str, reason: str) -> int:
    """Have a site forgotten by the fleet; return the offset of the request on its topic."""
    with _names_refused():
        return forget_request.ask_to_forget(broker, site, Forgetting(by, reason))


def forward_again(path: Path, site: str, broker: Broker, rows: str) -> int:
    """Send rows of a site's log once more, given as ``A-B`` or one position; return how many those were.

    Raises
    ------
    ConfigError
        If there are no such rows, or they were never sent.
    LogForkedError, RefusedError
        As `forward` says.
    BrokerError
        If the broker is away.
    """
    found = _ROWS.fullmatch(rows)
    if found is None:
        raise ConfigError(f"--rows {rows}: two positions of the log are wanted, FIRST-LAST, or one")
    require_accepted(broker)
    first, last = int(found[1]), int(found[2] or found[1])
    with SqliteEventLog(path, read_only=True) as log, _names_refused():
        try:
            return Forwarder(log, site, broker).send_again(first, last)
        except KafkaError as error:
            raise BrokerError(f"{broker.servers}: not all rows were sent, send them once more: {error}") from error


class Ensured(NamedTuple):
    """What was made and changed so that topics are as they should be, and where they differ all the same, in words."""

    created: list[str]
    changed: list[str]
    differ: list[str]


def ensure_topics(broker: Broker, sites: list[str], *, partitions: int, replicas: int) -> Ensured:
    """Create the topics that are missing and set what can be set of the others."""
    try:
        topics = (*fleet_topics(partitions), *(site_topic(site) for site in sites))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    created = create(broker, topics, replicas=replicas)
    return Ensured(created, alter(broker, topics), differences(broker, topics, replicas=replicas))


def give_access(broker: Broker, role: str, name: str, new_password_file: Path | None) -> list[str]:
    """Give a user what its role needs and it lacks; return that in words."""
    password = None if new_password_file is None else _first_line(new_password_file, "--new-password-file")
    if password == "":
        raise ConfigError(f"--new-password-file {new_password_file}: its first line is empty")
    with _names_refused():
        granted = access_admin.grant(broker, FleetRole(role), name, password=password)
    return [*([f"{name} a password"] if password else []), *(f"{name} {each}" for each in sorted(granted))]


def take_access(broker: Broker, name: str) -> list[str]:
    """Take everything from a user; return in words what it had."""
    with _names_refused():
        return access_admin.remove(broker, name)


def access_differences(broker: Broker, role: str, name: str) -> list[str]:
    """Return, in words, where a user's rights are not those of its role; nothing is changed."""
    with _names_refused():
        found = access_admin.stands(broker, FleetRole(role), name)
    without = [] if found.has_password else [f"{name} has no SCRAM-SHA-512 password on the broker"]
    return [*without, *(f"{name} may not {each}" for each in sorted(found.missing)), *found.beyond]


@contextmanager
def _names_refused() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ConfigError(str(error)) from error


class Beside(threading.Thread):
    """Something that runs beside the main thread; if it fails, all are told to stop, and `finish` raises why."""

    def __init__(self, name: str, work: Callable[[threading.Event], None], stopped: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._stopped = work, stopped
        self._failure: Exception | None = None

    def run(self) -> None:
        """Work; called by the thread."""
        try:
            self._work(self._stopped)
        except Exception as error:  # noqa: BLE001 - whatever it is, `finish` raises it
            self._failure = error
            self._stopped.set()

    def finish(self) -> None:
        """Wait for its end, now that it has been told."""
        self.join(STOP_S)
        if self._failure is not None:
            raise self._failure


def fill(broker: Broker, database: Database, stopped: threading.Event) -> None:
    """Keep the fleet's database true to the topics of all sites until stopped.

    Raises
    ------
    RefusedError, DatabaseRefusedError
        If one is there and does not take us; what is away is waited for.
    StorageError, BrokerError
        If a part of it cannot go on: all of it ends, so that whoever started it sees.
    """
    require_accepted(broker)
    try:
        database.connect().close()
    except DatabaseRefusedError:
        raise
    except DatabaseAwayError as error:
        structlog.get_logger("bonewatch.fleet").warning("database_away", why=str(error))
    comparisons = Beside("comparisons", ComparisonSink(broker, lambda: open_prepared(database)).run, stopped)
    comparisons.start()
    KafkaSink(broker, Sink(lambda: open_prepared(database))).run(stopped)
    comparisons.finish()


def serve_metrics(host: str, port: int | None) -> None:
    """Serve metrics in a thread of their own; no port, no metrics."""
    if port is None:
        return
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise ConfigError(f"--metrics-port {host}:{port} cannot be listened on: {error.strerror}") from error


def work(broker: Broker) -> None:
    """Run one worker until SIGINT or SIGTERM; what is in hand is finished first.

    Raises
    ------
    RefusedError
        If the broker is there and does not take us; one that is away is waited for.
    """
    require_accepted(broker)
    asyncio.run(_until_told(FleetWorker(WorkerSettings(broker)).run))


def compare(broker: Broker) -> None:
    """Compare scanners over sites until SIGINT or SIGTERM.

    Raises
    ------
    RefusedError
        As `work` says.
    """
    require_accepted(broker)
    asyncio.run(_until_told(Combiner(broker).run))


async def _until_told(run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await run(stopped)
