"""The sink of the comparisons on a real Kafka and PostgreSQL: what no table takes, and a part that cannot go on."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from bonewatch import fleet
from storage.comparison_rows import keep
from storage.connection import Db, open_connection
from storage.errors import ContentRefusedError, MigrationError
from streams.envelope import record_from_comparison
from streams.fleet.messages import Comparison, CrossCalibrationEstimated, SharedStepEstimated
from streams.topic_admin import create
from streams.topics import COMPARISONS, fleet_topics
from tests.comparisons import upgraded, visits
from tests.integration.test_comparisons import rows, sinking
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.postgres import ServerDatabase
from tests.unit.test_combine import said

ENDS_WITHIN_S = 60


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


@pytest.fixture(scope="module")
def phantom() -> CrossCalibrationEstimated:
    found = said(visits())["ESP-7"]
    assert isinstance(found, CrossCalibrationEstimated)
    return found


@pytest.fixture(scope="module")
def step() -> SharedStepEstimated:
    found = said(upgraded(0.6))["Example#software#2"]
    assert isinstance(found, SharedStepEstimated)
    return found


def test_what_no_table_takes_is_left_out_and_what_follows_is_kept(
    kafka: RealKafka, database: ServerDatabase, phantom: CrossCalibrationEstimated, step: SharedStepEstimated
) -> None:
    odd = replace(phantom, phantom="odd\x00", levels=tuple(replace(one, region="L1\x00") for one in phantom.levels[:1]))
    scanners = tuple(
        replace(one, make="A\x00", model="B\x00", differences_percent=one.differences_percent[:1])
        for one in phantom.scanners
    )
    comparisons: list[Comparison] = [
        replace(odd, scanners=scanners),
        replace(phantom, phantom="uneven", levels=phantom.levels[:1]),
        replace(phantom, phantom="beyond", degrees_of_freedom=2**40),
        replace(step, make="odd\x00", software="2\x00"),
        replace(step, make="last"),
        phantom,
    ]
    producer = KafkaProducer(**kafka.broker.options(), acks="all")
    for place, one in enumerate(comparisons):
        record = record_from_comparison(str(place), one)
        producer.send(COMPARISONS[type(one)], key=record.key, value=record.value, headers=record.headers)
    producer.close()
    kept = "SELECT DISTINCT phantom FROM cross_calibrations ORDER BY 1"
    with sinking(kafka, database):
        wait_until(lambda: rows(database, kept) == [("ESP-7",), ("odd\ufffd",)], within_s=60)
        steps = "SELECT make, software FROM shared_steps ORDER BY 1"
        wait_until(lambda: rows(database, steps) == [("last", "2"), ("odd\ufffd", "2\ufffd")])
    assert rows(database, "SELECT DISTINCT make, model FROM cross_calibrations WHERE phantom LIKE 'odd%'") == [
        ("A\ufffd", "B\ufffd")
    ]
    with database.connect() as db, pytest.raises(ContentRefusedError, match="NumericValueOutOfRange"):
        keep(db, comparisons[2])


@dataclass
class Unprepared(ServerDatabase):
    """A database that takes everybody but the thread of the comparisons."""

    def connect(self) -> Db:
        if threading.current_thread().name == "comparisons":
            raise MigrationError("the database is newer than this program")
        return open_connection(self.conninfo)


def test_a_part_of_the_sink_that_cannot_go_on_ends_all_of_it(kafka: RealKafka, database: ServerDatabase) -> None:
    stopped = threading.Event()
    ends = threading.Timer(ENDS_WITHIN_S, stopped.set)
    ends.start()
    with pytest.raises(MigrationError, match="newer"):
        fleet.fill(kafka.broker, Unprepared(database.conninfo), stopped)
    assert ends.is_alive(), "it ended by itself"
    ends.cancel()
