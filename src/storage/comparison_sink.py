"""Follows the fleet's comparisons of scanners into a database.

Their topics keep the last of each, so they are read from their beginning at every start and after every failure: a
database that was dropped has them again, and two sinks that do the same do no harm.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client import Counter

from storage.comparison_rows import keep
from storage.connection import Db
from storage.errors import ContentRefusedError, DatabaseAwayError
from streams.broker import Broker
from streams.fleet.messages import Comparison
from streams.refusal import Complaints
from streams.topics import COMPARISONS

POLL_MS: Final = 500
RETRY_S: Final = 2.0
BOOTSTRAP_MS: Final = 10_000

UNREADABLE: Final = Counter(
    "bonewatch_comparison_sink_unreadable_total", "Records that are no comparison that we can keep."
)

_decoder: Final = msgspec.json.Decoder(Comparison)


class ComparisonSink:
    """Keeps a database's comparisons those of the topics.

    Parameters
    ----------
    broker
        Where the topics are.
    connect
        Returns a connection in autocommit, the schema first in its search path, migrated.
    """

    def __init__(self, broker: Broker, connect: Callable[[], Db]) -> None:
        self._broker, self._connect = broker, connect
        self._logger = structlog.get_logger("storage.comparison_sink")
        self._complaints = Complaints(broker, self._logger)
        self._away = ""

    def run(self, stopped: threading.Event) -> None:
        """Follow the topics until stopped; broker and database may go away and come back.

        Raises
        ------
        StorageError, BrokerError
            The database cannot be used as it is (a migration, a password's file), or the broker cannot as configured.
        """
        while not stopped.is_set():
            try:
                with self._connect() as db:
                    self._follow(db, stopped)
            except KafkaError as error:
                self._complaints.say(error, retry_s=RETRY_S)
                stopped.wait(RETRY_S)
            except DatabaseAwayError as error:
                if str(error) != self._away:
                    self._logger.warning("database_away", why=str(error), retry_s=RETRY_S)
                self._away = str(error)
                stopped.wait(RETRY_S)

    def _follow(self, db: Db, stopped: threading.Event) -> None:
        self._away = ""
        consumer = KafkaConsumer(**self._broker.options(), enable_auto_commit=False, bootstrap_timeout_ms=BOOTSTRAP_MS)
        try:
            places = self._places(consumer)
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            latest: dict[tuple[str, bytes | None], Any] = {}
            while not stopped.is_set():
                self._complaints.over()
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    latest |= {(record.topic, record.key): record for record in records}
                if all(consumer.position(place) >= ends[place] for place in places):
                    for record in latest.values():  # none but the last: what stands never goes back to an older one
                        self._keep(db, record)
                    latest.clear()
        finally:
            consumer.close(autocommit=False)

    @staticmethod
    def _places(consumer: Any) -> list[TopicPartition]:
        places = [
            TopicPartition(topic, partition)
            for topic in COMPARISONS.values()
            for partition in consumer.partitions_for_topic(topic) or ()
        ]
        if not places:
            raise KafkaError("the topics of the comparisons are missing: run `bonewatch fleet topics`")
        return places

    def _keep(self, db: Db, record: Any) -> None:
        try:
            comparison = _decoder.decode(record.value or b"")
        except msgspec.DecodeError as error:
            UNREADABLE.inc()
            self._logger.warning("unreadable", topic=record.topic, offset=record.offset, error=str(error))
            return
        try:
            keep(db, comparison)
        except ContentRefusedError as error:
            UNREADABLE.inc()
            self._logger.warning("refused", topic=record.topic, offset=record.offset, error=str(error))
