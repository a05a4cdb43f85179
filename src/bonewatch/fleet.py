"""The fleet's processes: a forwarder beside the site or inside it, topics, workers."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Final

import structlog

from bonewatch.config import ConfigError
from bonewatch.config_file import KafkaSection
from storage.connection import GivenServer
from storage.kafka_sink import KafkaSink
from storage.sink import Sink
from storage.upkeep import open_prepared
from streams.broker import Broker, BrokerError
from streams.fleet.worker import FleetWorker, WorkerSettings
from streams.forwarder import Forwarder
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create, differences
from streams.topics import fleet_topics, site_topic

PASSWORD: Final = "BONEWATCH_KAFKA_PASSWORD"  # noqa: S105 - the name of the variable
STOP_S: Final = 10.0


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
        try:
            password = Path(kafka.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except OSError as error:
            raise ConfigError(f"[kafka] password_file {kafka.password_file}: {error.strerror}") from error
    ca_file = Path(kafka.ca_file) if kafka.ca_file else None
    return Broker(kafka.bootstrap_servers, ca_file, kafka.username or None, password)


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
        try:
            self._forwarder.run(self._stopped)
        except BrokerError as error:
            structlog.get_logger("bonewatch.fleet").error("forwarder_stopped", why=str(error))


def forward(path: Path, site: str, broker: Broker, stopped: threading.Event) -> None:
    """Forward a site's log until stopped; raise LogForkedError where the broker holds another log."""
    with SqliteEventLog(path, read_only=True) as log:
        Forwarder(log, site, broker).run(stopped)


def ensure_topics(broker: Broker, sites: list[str], *, partitions: int, replicas: int) -> tuple[list[str], list[str]]:
    """Create the topics that are missing; return their names, and where the others differ from what they should be."""
    try:
        topics = (*fleet_topics(partitions), *(site_topic(site) for site in sites))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return create(broker, topics, replicas=replicas), differences(broker, topics)


def fill(broker: Broker, database: GivenServer, stopped: threading.Event) -> None:
    """Keep the fleet's database true to the topics of all sites until stopped."""
    KafkaSink(broker, Sink(lambda: open_prepared(database))).run(stopped)


def work(broker: Broker) -> None:
    """Run one worker until SIGINT or SIGTERM; what is in hand is finished first."""
    asyncio.run(_work(broker))


async def _work(broker: Broker) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await FleetWorker(WorkerSettings(broker)).run(stopped)
