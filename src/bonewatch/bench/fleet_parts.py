"""The parts of `bench fleet` beside the workers' rates: sink, end to end, a kill, memory, where a row's time goes."""

import asyncio
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bonewatch.bench.fleet_rig import PARTITIONS, STILL_S, Rig, forget_states, past, peers, wait
from storage.connection import Db
from storage.kafka_sink import KafkaSink
from storage.projection import rows_from
from storage.rows import TableRow
from storage.sink import Sink
from storage.staging import STAGED_AS
from streams import codec
from streams.broker import Broker
from streams.chain import next_link
from streams.engine import SiteEngine
from streams.envelope import LogRow, row_from_record
from streams.fleet.check import Known, blob_from_known, receive
from streams.fleet.desk import published
from streams.fleet.topic_reader import restored, table_partition
from streams.forwarder import Forwarder
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import OUTCOMES, WORKER_STATES, site_topic

SINK_BATCH = 5_000
LOOK_S = 0.001


# --- where a row's time goes -------------------------------------------------------------------------------


def shares(records: Sequence[tuple[str, Any]]) -> dict[str, float]:
    """Return what the parts of a worker cost, in microseconds a row: each part over all rows, one after the other."""
    took: dict[str, float] = {}

    def part(name: str, do: Callable[[], list[Any]]) -> list[Any]:
        started = time.process_time()
        made = do()
        took[name] = 1e6 * (time.process_time() - started) / len(records)
        return made

    rows = part("decode", lambda: [row_from_record(s, r.key, r.value, list(r.headers)) for s, r in records])
    part("chain", lambda: [next_link(row.link, row.body, row.outcome_bodies) for row in rows])
    known: dict[str, Known] = {}

    def fold() -> list[Any]:
        taken = []
        for row in rows:
            taken.append(receive(known.get(row.event.device), row))
            known[row.event.device] = taken[-1].known
        return taken

    taken = part("fold and compare", fold)
    part("encode", lambda: [published(outcome, at="") for one in taken for outcome in one.outcomes])
    return took


# --- the sink ----------------------------------------------------------------------------------------------


class SinkRates(NamedTuple):
    """Table rows in a second: through the sink, and with COPY alone into tables without an index."""

    sink: float
    copy: float


def sink_rates(rig: Rig, rows: dict[str, list[LogRow]]) -> SinkRates:
    """Take rows in twice, in batches of the same size: with everything a sink must do, and with the least there is."""
    projected = {site: [list(rows_from(row)) for row in of_site] for site, of_site in rows.items()}
    total = sum(len(made) for of_site in projected.values() for made in of_site)
    sink = Sink(rig.database())
    for site in rows:
        sink.reached(site)
    started = time.perf_counter()
    for site, of_site in rows.items():
        for first in range(0, len(of_site), SINK_BATCH):
            batch = of_site[first : first + SINK_BATCH]
            sink.apply(site, batch, batch[-1].position)
    through_sink = time.perf_counter() - started
    sink.close()
    with rig.database()() as db:
        for name in STAGED_AS.values():
            db.execute(f"CREATE TABLE bare_{name} (LIKE {name.removeprefix('stage_')})".encode())
        started = time.perf_counter()
        for made in projected.values():
            for first in range(0, len(made), SINK_BATCH):
                _copy(db, [row for rows_of_one in made[first : first + SINK_BATCH] for row in rows_of_one])
        copied = time.perf_counter() - started
    return SinkRates(total / through_sink, total / copied)


def _copy(db: Db, rows: list[TableRow]) -> None:
    by_kind: dict[type[TableRow], list[TableRow]] = {}
    for row in rows:
        by_kind.setdefault(type(row), []).append(row)
    with db.transaction():
        for kind, of_kind in by_kind.items():
            words = f"COPY bare_{STAGED_AS[kind]} ({', '.join(kind._fields)}) FROM STDIN"
            with db.cursor().copy(words.encode()) as copy:
                for row in of_kind:
                    copy.write_row(row)


@contextmanager
def sinking(rig: Rig) -> Iterator[Callable[[], Db]]:
    """Run the fleet's sink beside; yield what connects to its database."""
    connect, stopped = rig.database(), threading.Event()
    thread = threading.Thread(target=KafkaSink(rig.broker, Sink(connect)).run, args=(stopped,), daemon=True)
    thread.start()
    try:
        yield connect
    finally:
        stopped.set()
        thread.join(30)


@contextmanager
def working(rig: Rig, sites: list[str]) -> Iterator[None]:
    """Run one worker beside."""
    with peers(rig, "worker", "bench-live", sites) as (worker,):
        wait(lambda: worker.said["sites"] >= len(sites))
        worker.go()
        yield


def caught_up(connect: Callable[[], Db], rows: int) -> float:
    """Wait until the sink has so many rows; return the rows a second from its first one on."""
    with connect() as db:
        first, at_first, count, at = 0, 0.0, 0, 0.0
        while count < rows:
            (count,) = db.execute("SELECT coalesce(sum(log_position), 0)::bigint FROM sink_positions").fetchone() or (
                0,
            )
            at = time.monotonic()
            if count and not first:
                first, at_first = count, at
            time.sleep(LOOK_S)
    return (rows - first) / (at - at_first) if rows > first else float("nan")


# --- end to end --------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """Seconds from an event's append to its row in the database, and to its first outcome on a topic."""

    row: list[float]
    outcome: list[float]


class Live:
    """A site that records one event after the other while its log is forwarded."""

    def __init__(self, rig: Rig, site: str, events: int) -> None:
        create(rig.broker, (site_topic(site),))
        self.site, self._path = site, rig.folder / f"{site}.sqlite"
        self._entries = iter(past(site, 1, max(30, events))[: events + 1])
        self._log = SqliteEventLog(self._path)
        self._engine = SiteEngine(self._log)
        self._forwarder = Forwarder(SqliteEventLog(self._path, read_only=True), site, rig.broker)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._forwarder.run, args=(self._stopped,), daemon=True)
        self.append()
        self._thread.start()

    def append(self) -> str | None:
        """Record the next event; return its id, None at the end."""
        entry = next(self._entries, None)
        if entry is None:
            return None
        self._engine.import_history([entry])
        self._forwarder.wake()
        return entry[1].event_id

    @property
    def position(self) -> int:
        """How far its log reaches."""
        return self._log.last_position()

    def stop(self) -> None:
        """End the forwarder and close the log."""
        self._stopped.set()
        self._forwarder.wake()
        self._thread.join(30)
        self._forwarder.log.close()
        self._log.close()


def end_to_end(rig: Rig, connect: Callable[[], Db], events: int) -> Seen:
    """Append events one by one; wait for each one's row and outcomes, with a worker and a sink running."""
    live, outcomes, stopped = Live(rig, "live", events), dict[str, float](), threading.Event()
    listener = threading.Thread(target=_listen, args=(rig.broker, outcomes, stopped), daemon=True)
    listener.start()
    seen = Seen([], [])
    try:
        with connect() as db:
            wait(lambda: _position(db, live.site) >= live.position)
            for _ in range(events):
                started = time.monotonic()
                event = live.append()
                wait_briefly(lambda: _position(db, live.site) >= live.position)
                seen.row.append(time.monotonic() - started)
                if event is not None and live.position and wait_briefly(lambda: event in outcomes, within_s=0.5):  # noqa: B023 - at once
                    seen.outcome.append(outcomes[event] - started)
    finally:
        stopped.set()
        listener.join(10)
        live.stop()
    return seen


def wait_briefly(holds: Callable[[], bool], *, within_s: float = 10.0) -> bool:
    """Look again every millisecond; return whether it came about."""
    deadline = time.monotonic() + within_s
    while not (there := holds()) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return there


def _position(db: Db, site: str) -> int:
    row = db.execute("SELECT log_position FROM sink_positions WHERE source = %s", (site,)).fetchone()
    return int(row[0]) if row else 0


def _listen(broker: Broker, outcomes: dict[str, float], stopped: threading.Event) -> None:
    """Note when the first outcome of each event is there."""
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
    places = [
        TopicPartition(topic, p) for topic in OUTCOMES.values() for p in consumer.partitions_for_topic(topic) or ()
    ]
    consumer.assign(places)
    consumer.seek_to_end(*places)
    while not stopped.is_set():
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                outcomes.setdefault(codec.decode_outcome(record.value).event_id, time.monotonic())
    consumer.close()


# --- a kill ------------------------------------------------------------------------------------------------


def kill_to_ready(rig: Rig, sites: list[str], rows: int) -> float:
    """Kill the one of two workers that has a site; return the seconds until the other takes in a row of it.

    The topics of the other sites hold so many rows: they are taken in before.
    """
    forget_states(rig.broker)
    live = Live(rig, "killed", 2_000)
    try:
        with peers(rig, "worker", "bench-kill", sites, 2) as working:
            wait(lambda: all(peer.said["sites"] > 0 for peer in working))
            for peer in working:
                peer.go()
            wait(lambda: sum(peer.said["rows"] for peer in working) >= rows + live.position)
            wait(lambda: all(time.monotonic() - peer.said["at"] > STILL_S for peer in working))
            before = [peer.said["rows"] for peer in working]
            live.append()
            wait(lambda: [peer.said["rows"] for peer in working] != before)
            holder = next(n for n, peer in enumerate(working) if peer.said["rows"] != before[n])
            survivor = working[1 - holder]
            done, killed = survivor.said["rows"], time.monotonic()
            working[holder].process.kill()
            live.append()
            wait(lambda: survivor.said["rows"] > done)
            return float(survivor.said["at"] - killed)
    finally:
        live.stop()


# --- memory ------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """What it costs a new worker to hold so many devices."""

    devices: int
    seconds: float
    memory_kb_per_device: float


def held(rig: Rig, like: Known, devices: int) -> Held:
    """Fill the workers' table with copies of a device; have a new process restore them."""
    forget_states(rig.broker)
    site = f"held-{devices}"
    partition = table_partition(f"{site}/".encode(), PARTITIONS)
    producer = KafkaProducer(**rig.broker.options(), linger_ms=20)
    for number in range(devices):
        name = f"{site}/dxa-{number}"
        known = msgspec.structs.replace(like, state=msgspec.structs.replace(like.state, device=name))
        producer.send(WORKER_STATES, key=name.encode(), value=blob_from_known(known), partition=partition)
    producer.flush()
    producer.close()
    code = "import sys\nfrom bonewatch.bench.fleet_parts import restore\nrestore(*sys.argv[1:])"
    words = [sys.executable, "-c", code, rig.broker.servers, site]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path.cwd())
    told = json.loads(done.stdout)
    if told["devices"] != devices:
        raise RuntimeError(f"{told['devices']} of {devices} devices were restored")
    return Held(devices, told["seconds"], told["kb"] / devices)


def restore(servers: str, site: str) -> None:
    """Restore a site's devices and say what that took; in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    known = asyncio.run(restored(Broker(servers), [site], PARTITIONS))
    seconds = time.monotonic() - started
    kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(json.dumps({"devices": len(known[site].devices), "seconds": seconds, "kb": kb}))


def known_from(rows: Sequence[LogRow]) -> Known:
    """Return the device that rows of one device lead to."""
    known = None
    for row in rows:
        known = receive(known, row).known
    assert known is not None  # noqa: S101 - there are rows
    return known
