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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams import codec
from streams.broker import Broker
from streams.fleet import check, refolding
from streams.fleet import worker as working_on
from streams.fleet.check import Known, known_from_blob
from streams.fleet.desk import Plan, SiteDesk
from streams.fleet.refolding import Found, Stretch, survey
from streams.fleet.topic_reader import Left, whole
from streams.fleet.worker import FleetWorker, StalledError, WorkerSettings
from streams.fold import FOLD_VERSION
from streams.forwarder import Forwarder, last_sent
from streams.messages import RecordedOutcome
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import DEAD_LETTERS, GATES, OUTCOMES, WORKER_STATES, device_events, fleet_topics, site_topic
from tests.fleet_processes import put, records_of
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.site_logs import write_log

WORKER = """
import asyncio, signal, sys
from streams.broker import Broker
from streams.fleet.topic_reader import Left, whole
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
    worker = Stumbling(WorkerSettings(kafka.broker, batch=10))
    work_until(worker, lambda: len(outcomes_there(kafka.broker)) >= len(expected))
    assert by_id(outcomes_there(kafka.broker)) == expected


class Forgetful(FleetWorker):
    """A worker that fails once while it takes sites over: for their states, or for where the second one was left."""

    def __init__(self, settings: WorkerSettings, *, fails: str) -> None:
        super().__init__(settings)
        self._fails, self.asked = fails, 0

    async def _known_devices(self, sites: set[str]) -> dict[str, Left]:
        self._stumble("states", at=1)
        return await super()._known_devices(sites)

    async def _begin(self, place: Any) -> int:
        self._stumble("begin", at=2)
        return await super()._begin(place)

    def _stumble(self, where: str, *, at: int) -> None:
        if self._fails == where:
            self.asked += 1
            if self.asked == at:
                raise KafkaError("the broker went away just now")


@pytest.mark.parametrize("fails", ["states", "begin"])
def test_sites_that_could_not_be_taken_over_are_taken_over_anew(kafka: RealKafka, tmp_path: Path, fails: str) -> None:
    expected = [o for site in ("one", "two") for o in forwarded(kafka, tmp_path, site, devices=1, days=3)]
    worker = Forgetful(WorkerSettings(kafka.broker), fails=fails)
    work_until(worker, lambda: len(by_id(outcomes_there(kafka.broker))) == len(expected))
    assert worker.asked > 1


def work_until(worker: FleetWorker, is_done: Callable[[], bool]) -> None:
    """Let a worker run in this process until something is so; raise what ends it before."""

    async def work() -> None:
        stopped = asyncio.Event()
        working = asyncio.create_task(worker.run(stopped))
        async with asyncio.timeout(90):
            while not working.done() and not await asyncio.to_thread(is_done):
                await asyncio.wait([working], timeout=0.5)
        stopped.set()
        await working

    asyncio.run(work())


class Deaf(FleetWorker):
    """A worker that never gets to the rows of one site, or has no desk for it."""

    def __init__(self, settings: WorkerSettings, *, no_desk: bool) -> None:
        super().__init__(settings)
        self._no_desk = no_desk

    async def _take_over(self, assigned: list[Any]) -> None:
        await super()._take_over([place for place in assigned if not self._no_desk or place.topic.endswith(".one")])

    def _taken(self, plan: Plan, place: Any, records: list[Any]) -> bool:
        return place.topic.endswith(".one") and super()._taken(plan, place, records)


@pytest.mark.parametrize("no_desk", [True, False])
def test_a_site_that_does_not_move_ends_the_worker_though_another_one_does(
    kafka: RealKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_desk: bool,  # noqa: FBT001
) -> None:
    for site in ("one", "two"):
        forwarded(kafka, tmp_path, site, devices=1, days=3)
    again = published(kafka.broker, [device_events("one")])[0]
    producer = KafkaProducer(**kafka.broker.options())

    def keep_moving() -> bool:
        producer.send(again.topic, key=again.key, value=again.value, headers=list(again.headers), partition=0)
        producer.flush()
        return False

    monkeypatch.setattr(working_on, "STALLED_S", 5.0)
    with pytest.raises(StalledError, match=r"events\.v1\.two"):
        work_until(Deaf(WorkerSettings(kafka.broker), no_desk=no_desk), keep_moving)
    producer.close()


def test_a_header_without_a_value_parks_its_device_and_ends_nobody(kafka: RealKafka, tmp_path: Path) -> None:
    expected = forwarded(kafka, tmp_path, "here", devices=2, days=3)

    async def put_empty(*records: tuple[bytes | None, list[tuple[str, bytes | None]]]) -> None:
        producer = AIOKafkaProducer(**kafka.broker.options())
        await producer.start()
        for key, headers in records:
            await producer.send_and_wait(device_events("here"), key=key, value=b"{}", headers=headers, partition=0)
        await producer.stop()

    asyncio.run(put_empty((b"here/dxa-1", [("ce_type", None)]), (None, [("ce_subject", None), ("none", None)])))
    tail = last_sent(kafka.broker.options(), "here")
    assert tail is not None
    assert tail.position > 0
    worker = FleetWorker(WorkerSettings(kafka.broker))
    work_until(worker, lambda: len(published(kafka.broker, [DEAD_LETTERS])) == 1)
    assert {o.outcome_id for o in expected} <= by_id(outcomes_there(kafka.broker)).keys()
    assert "state_unknown" in json.dumps(gates(kafka.broker)["here/dxa-1#all"])


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


def states(broker: Broker) -> dict[str, Known]:
    """What the workers' table says of each device."""
    return {r.key.decode(): known_from_blob(r.value) for r in published(broker, [WORKER_STATES])}


def test_after_a_change_of_rules_devices_are_folded_anew_when_they_are_taken_over(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = forwarded(kafka, tmp_path, "here", devices=2, days=3)
    worker, devices = FleetWorker(WorkerSettings(kafka.broker)), {"here/dxa-1", "here/dxa-2"}
    work_until(worker, lambda: states(kafka.broker).keys() == devices)
    assert {known.fold_version for known in states(kafka.broker).values()} == {FOLD_VERSION}
    monkeypatch.setattr(check, "FOLD_VERSION", 7)
    counted = working_on.ROWS.labels("outdated")._value.get()
    work_until(
        FleetWorker(WorkerSettings(kafka.broker)),
        lambda: {known.fold_version for known in states(kafka.broker).values()} == {7},
    )
    assert working_on.ROWS.labels("outdated")._value.get() == counted + len(devices)
    assert len(outcomes_there(kafka.broker)) == len(expected), "nothing is published for that"


def test_a_topic_is_read_for_several_devices_at_once_in_any_order_and_without_what_breaks_the_chain(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.sqlite"
    write_log(path, "here", devices=3, days=4)
    create(kafka.broker, (site_topic("here"),))
    sound = records_of(path)
    sequence = {
        name: [n for n, r in enumerate(sound) if r.key == name.encode()] for name in ("here/dxa-1", "here/dxa-2")
    }
    one, other = sequence["here/dxa-1"], sequence["here/dxa-2"]
    records = list(sound)
    records[one[4]], records[one[6]] = records[one[6]], records[one[4]]
    altered = sound[other[5]].value.replace(b'"outcomes":[', b'"outcomes": [').replace(b'"2026-', b'"2027-')
    records[other[5]] = sound[other[5]]._replace(value=altered)
    put(kafka.broker, "here", records)

    passes = []

    def counted(*args: Any, **options: Any) -> Any:
        passes.append(args)
        return whole(*args, **options)

    monkeypatch.setattr(refolding, "whole", counted)
    found = asyncio.run(rows_found(kafka.broker, [*sequence, "here/none"]))
    assert len(passes) == 4, "a survey, the links, a survey without the row that they gainsay, and the rows"
    assert sorted(one.number for one in found if one.device == "here/dxa-1" and one.row) == list(range(1, len(one) + 1))
    of_other = {one.number: one.row for one in found if one.device == "here/dxa-2"}
    assert [number for number, row in of_other.items() if row is None] == [6]
    assert sorted(of_other) == list(range(1, len(other) + 1))
    passes.clear()
    assert {one.device for one in asyncio.run(rows_found(kafka.broker, ["here/dxa-3", "here/none"]))} == {"here/dxa-3"}


async def rows_found(broker: Broker, devices: list[str]) -> list[Found]:
    stretch = Stretch(broker, SiteDesk("here"), dict.fromkeys(devices))
    surveys = await survey(stretch, dict.fromkeys(devices, ""))
    assert surveys.keys() == set(devices)
    return [found async for found in stretch.of_devices()]
