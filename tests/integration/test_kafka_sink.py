"""The fleet's sink on a real Kafka and a real PostgreSQL: every row once, whatever is begun again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.kafka_sink import KafkaSink
from storage.sink import Sink
from streams.topic_admin import create
from streams.topics import fleet_topics
from tests.integration.test_fleet_worker import forwarded
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.postgres import ServerDatabase, database, embedded, server

__all__ = ["database", "embedded", "server"]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


class Following:
    """A sink in a thread."""

    def __init__(self, kafka: RealKafka, database: ServerDatabase) -> None:
        self._stopped = threading.Event()
        sink = KafkaSink(kafka.broker, Sink(database.connect), group=f"sink-{id(self)}")
        self._thread = threading.Thread(target=sink.run, args=(self._stopped,))
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def count(database: ServerDatabase, table: str, site: str) -> int:
    with database.connect() as db:
        row = db.execute(f"SELECT count(*) FROM {table} WHERE device LIKE %s", (f"{site}/%",)).fetchone()
    assert row is not None
    return int(row[0])


def test_sites_are_in_the_database_once_and_a_sink_begun_again_goes_on(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path
) -> None:
    first = forwarded(kafka, tmp_path, "first", devices=2, days=15)
    following = Following(kafka, database)
    try:
        changes = {o.outcome_id for o in first if type(o.outcome).__name__ == "GateChanged"}
        wait_until(lambda: count(database, "gate_changes", "first") == len(changes) > 20, within_s=60)
    finally:
        following.stop()
    events = count(database, "events", "first")
    second = forwarded(kafka, tmp_path, "second", devices=1, days=5)
    following = Following(kafka, database)
    try:
        judged = {o.outcome.subject_event_id for o in second if type(o.outcome).__name__ == "QcJudged"}  # type: ignore[union-attr]
        wait_until(lambda: count(database, "qc_readings", "second") == len(judged) > 5, within_s=60)
    finally:
        following.stop()
    assert count(database, "events", "first") == events
