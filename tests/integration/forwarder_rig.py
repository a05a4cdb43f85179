"""Forwarders in threads, and what stands on a site's topic."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from bonewatch.fleet import SiteForwarder
from streams import forwarder as forwarding
from streams.broker import Broker
from streams.envelope import LogRow, row_from_record
from streams.forwarder import Forwarder, LogForkedError
from streams.sqlite_log import SqliteEventLog
from streams.topics import device_events


class Running:
    """A forwarder in a thread, as the site process runs it."""

    def __init__(self, path: Path, site: str, broker: Broker) -> None:
        self.failure: Exception | None = None
        self._log = SqliteEventLog(path, read_only=True)
        self._stopped = threading.Event()
        self.forwarder = Forwarder(self._log, site, broker)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.forwarder.run(self._stopped)
        except LogForkedError as error:
            self.failure = error

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()
        self.forwarder.wake()
        self.join()
        self._log.close()


def records(broker: Broker, topic: str) -> list[Any]:
    """Return all records of a topic's one partition."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        found: list[Any] = []
        end = consumer.end_offsets([place])[place]
        while len(found) < end:
            found += consumer.poll(timeout_ms=1000).get(place, [])
        return found
    finally:
        consumer.close()


def rows_there(broker: Broker, site: str) -> list[LogRow]:
    return [row_from_record(site, r.key, r.value, r.headers) for r in records(broker, device_events(site))]


def count_there(broker: Broker, site: str) -> int:
    tail = forwarding.last_sent(broker.options(), site)
    return tail.position if tail else 0


def whole(path: Path, site: str, broker: Broker) -> None:
    """Send a log to its end."""
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
        assert any(position == last for position in Forwarder(log, site, broker).batches())


def beginning(path: Path, site: str, broker: Broker) -> SiteForwarder:
    """A forwarder in the thread that a site starts."""
    forwarder = SiteForwarder(path, site, broker)
    forwarder.start()
    return forwarder


def lag() -> float:
    return float(forwarding.LAG._value.get())


@dataclass(frozen=True, slots=True)
class Replaced(Broker):
    """A broker that is configured otherwise once somebody has put things right."""

    now: list[Broker] = field(default_factory=list)

    def options(self) -> dict[str, Any]:
        return self.now[-1].options() if self.now else Broker.options(self)


def renamed(log_path: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(log_path)) as db:
        db.execute(f"ALTER TABLE {table} RENAME TO {name}")
