"""Workers on a real Apache Kafka: every outcome published, in order, as the sites decided, whatever is killed."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams import codec
from streams.broker import Broker
from streams.fleet.worker import FleetWorker, WorkerSettings
from streams.forwarder import Forwarder
from streams.messages import RecordedOutcome
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import DEAD_LETTERS, GATES, OUTCOMES, device_events, fleet_topics, site_topic
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.site_logs import write_log

WORKER = """
import asyncio, signal, sys
from streams.broker import Broker
from streams.fleet.worker import FleetWorker, WorkerSettings

async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await FleetWorker(WorkerSettings(Broker(sys.argv[1]), batch=int(sys.argv[2]))).run(stopped)

asyncio.run(main())
"""


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[RealKafka]:
    """A broker of its own for each test: a worker takes every site there is."""
    with real_kafka(tmp_path / "kafka") as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


class Workers:
    """Worker processes, to be killed."""

    def __init__(self, kafka: RealKafka, folder: Path) -> None:
        self._servers, self._folder = kafka.broker.servers, folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *, batch: int = 500) -> subprocess.Popen[bytes]:
        output = (self._folder / f"worker-{uuid.uuid4().hex[:6]}.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, self._servers, str(batch)], stdout=output, stderr=subprocess.STDOUT
        )
        output.close()
        self.running.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        self.running.remove(worker)

    def stop(self) -> None:
        for worker in self.running:
            worker.terminate()
        for worker in self.running:
            worker.wait(30)


@pytest.fixture
def workers(kafka: RealKafka, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(kafka, tmp_path)
    yield started
    started.stop()


def forwarded(kafka: RealKafka, folder: Path, site: str, *, devices: int, days: int) -> list[RecordedOutcome]:
    """Make a site's log, send it whole, return the outcomes that stand in it."""
    path = folder / f"{site}.sqlite"
    write_log(path, site, devices=devices, days=days)
    create(kafka.broker, (site_topic(site),))
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
        for position in Forwarder(log, site, kafka.broker).batches():
            if position == last:
                break
        return [codec.decode_outcome(body) for row in log.rows() for body in row.outcomes]


def published(broker: Broker, topics: list[str]) -> list[Any]:
    """Return every record that stands on some topics now."""
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, p) for topic in topics for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends, found = consumer.end_offsets(places), []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        return found
    finally:
        consumer.close()


def outcomes_there(broker: Broker) -> list[RecordedOutcome]:
    return [codec.decode_outcome(record.value) for record in published(broker, sorted(OUTCOMES.values()))]


def by_id(outcomes: list[RecordedOutcome]) -> dict[str, RecordedOutcome]:
    return {outcome.outcome_id: outcome for outcome in outcomes}


def in_order(outcomes: list[RecordedOutcome]) -> bool:
    """Whether each device's first publications come in the order of its events, kind by kind."""
    last: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for outcome in outcomes:
        if outcome.outcome_id in seen:
            continue
        seen.add(outcome.outcome_id)
        place = (outcome.device, type(outcome.outcome).__name__)
        if outcome.device_seq < last.get(place, 0):
            return False
        last[place] = outcome.device_seq
    return True


def test_every_outcome_of_every_site_is_published_once_and_in_order(
    kafka: RealKafka, workers: Workers, tmp_path: Path
) -> None:
    expected = [o for n in range(3) for o in forwarded(kafka, tmp_path, f"site-{n}", devices=2, days=20)]
    workers.start()
    wait_until(lambda: len(by_id(outcomes_there(kafka.broker))) == len(expected), within_s=60)
    there = outcomes_there(kafka.broker)
    assert by_id(there) == by_id(expected)
    assert len(there) == len(expected)
    assert in_order(there)


def test_a_site_that_begins_later_is_taken_up(kafka: RealKafka, workers: Workers, tmp_path: Path) -> None:
    expected = forwarded(kafka, tmp_path, "first", devices=1, days=3)
    workers.start()
    wait_until(lambda: len(outcomes_there(kafka.broker)) == len(expected), within_s=60)
    expected += forwarded(kafka, tmp_path, "second", devices=1, days=3)
    wait_until(lambda: len(outcomes_there(kafka.broker)) == len(expected), within_s=60)


def test_killed_workers_lose_nothing_and_change_nothing(kafka: RealKafka, workers: Workers, tmp_path: Path) -> None:
    kills, rng = int(os.environ.get("BONEWATCH_WORKER_KILLS", "3")), random.Random(2026)  # noqa: S311
    expected = [o for n in range(4) for o in forwarded(kafka, tmp_path, f"site-{n}", devices=5, days=60)]
    workers.start(batch=50)
    workers.start(batch=50)
    for _ in range(kills):
        time.sleep(rng.uniform(0.5, 3))
        workers.kill(rng.choice(workers.running))
        workers.start(batch=50)
    wait_until(lambda: len(by_id(outcomes_there(kafka.broker))) == len(expected), within_s=120)
    there = outcomes_there(kafka.broker)
    assert by_id(there) == by_id(expected), "what is published twice is the same, and has the same identity"
    assert in_order(there)
    said = "".join(log.read_text() for log in tmp_path.glob("worker-*.log"))
    assert "fold_diverges" not in said, "a state that was restored wrongly would not confirm the sites' decisions"
    assert "device_refolded" not in said


class Stumbling(FleetWorker):
    """A worker whose client stumbles in its third turn, as aiokafka does while a killed broker comes back."""

    turns = 0

    async def _turn(self) -> None:
        self.turns += 1
        assert self.turns != 3, "Did we not perform bootstrap?"
        await super()._turn()


def test_a_client_that_stumbles_is_begun_anew(kafka: RealKafka, tmp_path: Path) -> None:
    expected = by_id(forwarded(kafka, tmp_path, "here", devices=2, days=20))

    async def work() -> None:
        stopped, worker = asyncio.Event(), Stumbling(WorkerSettings(kafka.broker, batch=10))
        working = asyncio.create_task(worker.run(stopped))
        async with asyncio.timeout(90):
            while not working.done() and len(await asyncio.to_thread(outcomes_there, kafka.broker)) < len(expected):
                await asyncio.wait([working], timeout=0.5)
        stopped.set()
        await working

    asyncio.run(work())
    assert by_id(outcomes_there(kafka.broker)) == expected


def gates(broker: Broker) -> dict[str, dict[str, Any]]:
    found = {}
    for record in published(broker, [GATES]):
        found[record.key.decode()] = json.loads(record.value)["outcome"]
    return found


def test_bad_records_end_where_they_must_and_the_stream_flows_on(
    kafka: RealKafka, workers: Workers, tmp_path: Path
) -> None:
    expected = forwarded(kafka, tmp_path, "here", devices=2, days=5)
    producer = KafkaProducer(**kafka.broker.options())
    topic = device_events("here")
    producer.send(topic, key=b"elsewhere/dxa-1", value=b"{}", headers=[("ce_subject", b"elsewhere/dxa-1")])
    producer.send(topic, key=b"here/dxa-1", value=b"no json", headers=[])
    producer.send(topic, key=None, value=b"\xff\x00", headers=[])
    producer.flush()
    producer.close()
    duplicate = published(kafka.broker, [topic])[5]
    again = KafkaProducer(**kafka.broker.options())
    again.send(topic, key=duplicate.key, value=duplicate.value, headers=list(duplicate.headers))
    again.flush()
    again.close()
    workers.start()
    wait_until(lambda: "state_unknown" in json.dumps(gates(kafka.broker).get("here/dxa-1#all", {})), within_s=60)
    wait_until(lambda: len(published(kafka.broker, [DEAD_LETTERS])) == 2)
    dead = published(kafka.broker, [DEAD_LETTERS])
    reasons = [dict(record.headers)["bonewatch_rejection"].decode() for record in dead]
    assert all(reason.startswith("foreign_device") for reason in reasons)
    of_the_other = [o for o in expected if o.device == "here/dxa-2"]
    there = by_id(outcomes_there(kafka.broker))
    assert {o.outcome_id for o in of_the_other} <= there.keys()
    assert "state_unknown" not in json.dumps(gates(kafka.broker)["here/dxa-2#all"])
