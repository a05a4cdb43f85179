"""A device with very many rows is folded anew on a real Kafka in memory that does not grow with them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from streams import codec
from streams.chain import first_link, next_link
from streams.envelope import Record, record_from_row
from streams.fleet import check
from streams.fleet.site_life import NEVER, SiteLife, blob_from_life, life_key
from streams.fleet.topic_reader import Left, restored, table_partition
from streams.fold import FOLD_VERSION
from streams.fold.state import DeviceState
from streams.messages import Event, RecordedOutcome, ReviewOpened, TimeReached
from streams.topic_admin import create
from streams.topics import WORKER_STATES, fleet_topics, site_topic
from tests.fleet_processes import put
from tests.kafka import RealKafka, real_kafka

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
MANY, FEW, HELD_MB = 50_000, 2_000, 40

REFOLD = """
import asyncio, json, re, sys
from streams.broker import Broker
from streams.fleet.desk import Plan, SiteDesk
from streams.fleet.refolding import fold_anew

published, largest, pauses = {}, 0, 0

def peak_mb():
    return int(re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1]) / 1024

async def tick():
    global pauses
    loop, last = asyncio.get_running_loop(), 0.0
    while True:
        now = loop.time()
        pauses, last = max(pauses, now - (last or now)), now
        await asyncio.sleep(0.01)

async def fold(device):
    global largest
    plan = Plan()

    async def publish():
        global largest
        largest = max(largest, len(plan.outcomes))
        for _, record in plan.outcomes:
            identity = hash(record.value)
            published[identity] = published.get(identity, 0) + 1
        plan.outcomes, plan.reads = [], []

    await fold_anew(Broker(sys.argv[1]), SiteDesk("here"), plan, {device: ""}, publish)
    await publish()
    return plan.states[device]

async def main():
    ticking = asyncio.create_task(tick())
    await fold("here/few")
    before = peak_mb()
    published.clear()
    known = await fold("here/many")
    ticking.cancel()
    print(json.dumps({
        "seq": known.state.device_seq, "parked": known.parked, "grown_mb": peak_mb() - before, "largest": largest,
        "published": len(published), "most": max(published.values()), "longest_s": pauses,
    }))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        create(broker.broker, (site_topic("here"), *fleet_topics(2)))
        yield broker


def rows(counts: dict[str, int]) -> Iterator[Record]:
    """Rows of a log that another version of the rules has decided, each with one outcome."""
    link, position = first_link("log"), 0
    for device, count in counts.items():
        for number in range(1, count + 1):
            position += 1
            event = Event(f"{device}-{number}", device, "log", number, NOW, FOLD_VERSION + 1, TimeReached(NOW))
            review = ReviewOpened("SPINE", "drift", NOW, "x" * 1_000)
            outcome = RecordedOutcome(f"{device}-{number}-0", event.event_id, device, number, review)
            body, bodies = codec.encode(event), (codec.encode(outcome),)
            link = next_link(link, body, bodies)
            yield record_from_row(event, position=position, link=link, body=body, outcome_bodies=bodies)


def test_a_device_of_many_rows_is_folded_anew_in_bounded_memory_and_lets_others_work(
    kafka: RealKafka,
) -> None:
    records = list(rows({"here/few": FEW, "here/many": MANY}))
    second = records.pop(FEW + 1)
    put(kafka.broker, "here", [*records, second])
    done = subprocess.run(
        [sys.executable, "-c", REFOLD, kafka.broker.servers], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["seq"], told["parked"], told["published"], told["most"]) == (MANY, "", MANY, 1)
    assert told["largest"] <= 2_500, "outcomes are published in batches"
    assert told["grown_mb"] < HELD_MB
    assert told["longest_s"] < 2.0, "heartbeats are due every three seconds"


def test_what_a_worker_says_late_of_a_site_that_was_forgotten_counts_no_longer(kafka: RealKafka) -> None:
    """A worker that lost its sites and did not know it yet writes what it had in hand, behind the tombstones."""
    old, new = (check.Known(DeviceState(f"late/{name}", seq), "log") for name, seq in (("old", 90), ("new", 70)))
    begun = replace(new, state=replace(new.state, device_seq=2), life=8)
    said: list[tuple[bytes, bytes | None]] = [
        (b"late/old", check.blob_from_known(old)),
        (life_key("late"), blob_from_life(SiteLife(8, NEVER))),
        (b"late/old", None),
        (life_key("late"), blob_from_life(SiteLife(8, 9))),
        (b"late/new", check.blob_from_known(begun)),
        (b"late/old", check.blob_from_known(old)),
        (b"late/new", check.blob_from_known(new)),
        (life_key("late"), blob_from_life(SiteLife(3, 4))),
    ]
    producer = KafkaProducer(**kafka.broker.options())
    for key, value in said:
        producer.send(WORKER_STATES, key=key, value=value, partition=table_partition(key, 2))
    producer.close()
    left = asyncio.run(restored(kafka.broker, ["late"], 2))
    assert left == {"late": Left((begun,), SiteLife(8, 9))}
