"""What `bench fleet` runs on: a real Kafka, an embedded PostgreSQL, sites' logs with a past, processes of peers."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from bonewatch.bench.fleet_peers import changelog
from bonewatch.demo.fleet import KAFKA, free_port
from bonewatch.demo.history import Entry, ScannerStory, history
from bonewatch.errors import ConfigError
from simulators.series import BmdSeries
from storage.connection import Db, open_connection
from storage.embedded import OWNER, EmbeddedPostgres
from storage.migrate import migrate
from streams.broker import Broker
from streams.engine import SiteEngine
from streams.forwarder import Forwarder
from streams.policy import Clinic, ClinicCalendar, DeviceKind, DevicePolicy, Phantom, PhantomRole
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import administration, create
from streams.topics import WORKER_STATES, fleet_topics, site_topic

PARTITIONS: Final = 4
NOW: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
PEER_WITHIN_S: Final = 120.0
STILL_S: Final = 8.0
"""A peer whose count stands still for so long has lost the rest."""

POLICY: Final = DevicePolicy(DeviceKind.SCANNER, phantoms=(Phantom("SPINE-0001", PhantomRole.INDEPENDENT),))
CALENDAR: Final = ClinicCalendar("Europe/London", (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),))


@dataclass
class Rig:
    """A running broker and database server in a folder."""

    folder: Path
    broker: Broker
    postgres: EmbeddedPostgres
    groups: int = 0
    _databases: int = 0

    def database(self) -> Callable[[], Db]:
        """Make a migrated database of its own; return what connects to it."""
        self._databases += 1
        name = f"bench{self._databases}"
        with self.postgres.connect() as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())

        def connect() -> Db:
            return open_connection("", host=self.postgres.host, port="5432", user=OWNER, dbname=name)

        with connect() as db:
            migrate(db)
        return connect


@contextmanager
def running(folder: Path) -> Iterator[Rig]:
    """Start a broker and a database server; stop both."""
    if not KAFKA.is_file():
        raise ConfigError("this installation has no deploy/kafka")
    port = free_port()
    with ExitStack() as stack:
        place = str(folder / "kafka")
        stack.callback(subprocess.run, [str(KAFKA), "stop", place], capture_output=True, check=False)
        started = subprocess.run([str(KAFKA), "start", place, str(port)], capture_output=True, text=True, check=False)
        if started.returncode != 0:
            raise ConfigError(f"Kafka did not start: {started.stderr.strip().splitlines()[-1:]}")
        postgres = EmbeddedPostgres(folder / "database")
        stack.callback(postgres.stop)
        rig = Rig(folder, Broker(f"127.0.0.1:{port}"), postgres)
        create(rig.broker, fleet_topics(PARTITIONS))
        yield rig


def past(site: str, devices: int, days: int) -> list[Entry]:
    """Return a site's days before `NOW`, of so many scanners."""
    names = [f"dxa-{n}" for n in range(devices)]
    stories = tuple(ScannerStory(name, "SPINE-0001", BmdSeries(cv_percent=0.4, seed=n)) for n, name in enumerate(names))
    return history({f"{site}/{name}": (POLICY, CALENDAR) for name in names}, site, stories, NOW, days=days)


def write_log(rig: Rig, site: str, devices: int, days: int) -> Path:
    """Write a site's log with a past; return where it is."""
    path = rig.folder / f"{site}.sqlite"
    create(rig.broker, (site_topic(site),))
    with SqliteEventLog(path) as log:
        SiteEngine(log).import_history(past(site, devices, days))
    return path


def forward(rig: Rig, site: str, path: Path) -> int:
    """Send a log whole; return its rows."""
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
        next(position for position in Forwarder(log, site, rig.broker).batches() if position == last)
        return last


def records_of(broker: Broker, topics: list[str]) -> dict[str, list[Any]]:
    """Return every record that stands on some topics now, by topic."""
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, p) for topic in topics for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends, found = consumer.end_offsets(places), {topic: list[Any]() for topic in topics}
        while any(consumer.position(place) < ends[place] for place in places):
            for place, records in consumer.poll(timeout_ms=500).items():
                found[place.topic] += records
        return found
    finally:
        consumer.close()


class Run(NamedTuple):
    """What peers of one kind did together, from the word go."""

    rows: int
    seconds: float
    cpu_s: float
    memory_mb: float
    sections: dict[str, float]

    @property
    def per_s(self) -> float:
        """Rows in a second."""
        return self.rows / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time a row."""
        return 1e6 * self.cpu_s / max(1, self.rows)


@dataclass
class Peer:
    """A process of `fleet_peers`, and what it said last."""

    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=lambda: {"sites": 0, "rows": 0, "at": 0.0, "cpu": 0.0})

    def listen(self) -> None:
        """Keep what it says, until it ends."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self.process.stdout:
            if line.startswith("{"):
                self.said = json.loads(line)

    def go(self) -> None:
        """Open its gate."""
        assert self.process.stdin is not None  # noqa: S101 - a pipe was asked for
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill it: what it did is known."""
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101, PT018 - see above
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def peers(rig: Rig, kind: str, group: str, sites: list[str], count: int = 1) -> Iterator[list[Peer]]:
    """Start processes of a kind; kill them at the end."""
    command = [sys.executable, "-m", "bonewatch.bench.fleet_peers", kind, rig.broker.servers, group, *sites]
    started: list[Peer] = []
    try:
        for number in range(count):
            with (rig.folder / f"{group}-{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
                )
            started.append(Peer(process))
            threading.Thread(target=started[-1].listen, daemon=True).start()
        yield started
    finally:
        for peer in started:
            peer.end()


def forget_states(broker: Broker) -> None:
    """Empty the workers' table: a group that finds its rows done there would do no work."""
    (table,) = (topic for topic in fleet_topics(PARTITIONS) if topic.name == WORKER_STATES)
    with administration(broker) as admin:
        admin.delete_topics([WORKER_STATES])
        wait(lambda: WORKER_STATES not in admin.list_topics())
    wait(lambda: bool(create(broker, (table,))))


def timed(rig: Rig, kind: str, sites: list[str], rows: int, *, count: int = 1) -> Run:
    """Have peers take in all rows of all sites; time them from the word go, once all sites are in their hands."""
    rig.groups += 1
    group = f"bench-{kind}-{rig.groups}"  # one that was here before has nothing to do
    create(rig.broker, (changelog(group),))
    forget_states(rig.broker)
    with peers(rig, kind, group, sites, count) as working:
        wait(lambda: sum(peer.said["sites"] for peer in working) >= len(sites) and _shared(working))
        before = sum(peer.said["cpu"] for peer in working)
        started = time.monotonic()
        for peer in working:
            peer.go()
        wait(lambda: sum(peer.said["rows"] for peer in working) >= rows or _still(working))
        said = [peer.said for peer in working]
        return Run(
            sum(one["rows"] for one in said),
            max(one["at"] for one in said) - started,
            sum(one["cpu"] for one in said) - before,
            max(one["memory_mb"] for one in said),
            said[0]["sections"],
        )


def _shared(working: list[Peer]) -> bool:
    return all(peer.said["sites"] > 0 for peer in working)


def _still(working: list[Peer]) -> bool:
    last: float = max(peer.said["at"] for peer in working)
    return any(peer.said["rows"] for peer in working) and time.monotonic() - last > STILL_S


def wait(holds: Callable[[], bool]) -> None:
    """Wait until something holds; raise TimeoutError if it does not come about."""
    deadline = time.monotonic() + PEER_WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"something of the benchmark did not come about within {PEER_WITHIN_S:g} s")
        time.sleep(0.02)
