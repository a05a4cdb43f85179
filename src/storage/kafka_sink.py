"""Follows the topics of the sites into a database: the fleet's sink, with the code of a site's own.

How far it got stands in the database with the rows, and there it resumes; the broker's committed offsets are only
for people who watch lag. Start several: the sites are dealt among them.
"""

import re
import threading
from collections.abc import Iterable
from typing import Any, Final

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError
from prometheus_client import Counter

from storage.errors import DatabaseAwayError, LogForkedError
from storage.sink import Batch, Sink
from streams.broker import Broker
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.refusal import Complaints
from streams.topics import DEVICE_EVENTS, site_of

GROUP: Final = "bonewatch-sink"
BATCH: Final = 5_000
POLL_MS: Final = 500
NEW_TOPICS_MS: Final = 5_000
SESSION_MS: Final = 10_000
BACKOFF_MS: Final = 5_000
RETRY_S: Final = 2.0

UNREADABLE: Final = Counter("bonewatch_fleet_sink_unreadable_total", "Records that hold no row of a site's log.")
FORKED: Final = Counter("bonewatch_fleet_sink_forked_total", "Sites left aside: their log is not the one that stands.")


class KafkaSink(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    """Keeps a database true to the topics of all sites.

    Parameters
    ----------
    broker
        Where the topics are.
    sink
        What writes the database; nobody else uses it.
    """

    def __init__(self, broker: Broker, sink: Sink, *, group: str = GROUP) -> None:
        self._broker, self._sink, self._group = broker, sink, group
        self._consumer: Any = None
        self._logger = structlog.get_logger("storage.kafka_sink")
        self._complaints = Complaints(broker, self._logger)

    def run(self, stopped: threading.Event) -> None:
        """Follow the topics until stopped; broker and database may go away and come back."""
        while not stopped.is_set():
            try:
                self._follow(stopped)
            except KafkaError as error:
                self._complaints.say(error, retry_s=RETRY_S)
                stopped.wait(RETRY_S)
            except DatabaseAwayError as error:
                self._logger.warning("database_away", why=str(error), retry_s=RETRY_S)
                stopped.wait(RETRY_S)
        self._sink.close()

    def _follow(self, stopped: threading.Event) -> None:
        self._consumer = KafkaConsumer(
            **self._broker.options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=BATCH,
            metadata_max_age_ms=NEW_TOPICS_MS,
            session_timeout_ms=SESSION_MS,
            reconnect_backoff_max_ms=BACKOFF_MS,
            # The range assignor, the default, would give the first sink every topic of one partition.
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )
        try:
            self._consumer.subscribe(pattern=f"^{re.escape(DEVICE_EVENTS)}", listener=self)
            while not stopped.is_set():
                self._take(self._consumer.poll(timeout_ms=POLL_MS))
                self._complaints.over()
        finally:
            self._consumer.close(autocommit=False)

    def _take(self, polled: dict[Any, list[Any]]) -> None:
        """Bring what came into the database, then tell the broker."""
        if not polled:
            return
        batches = {place: self._batch(place, records) for place, records in polled.items()}
        try:
            self._sink.apply_all(batches.values())
        except LogForkedError:
            for place, batch in batches.items():  # one by one: only the forked one stays outside
                self._apply_alone(place, batch)
        self._consumer.commit()

    def _apply_alone(self, place: Any, batch: Batch) -> None:
        try:
            self._sink.apply_all([batch])
        except LogForkedError as error:
            FORKED.inc()
            self._logger.error("log_forked", site=error.source, why=error.why)  # noqa: TRY400 - no bug, no trace
            self._consumer.pause(place)

    def _batch(self, place: Any, records: list[Any]) -> Batch:
        site, rows = site_of(place.topic) or "", list[LogRow]()
        for record in records:
            try:
                rows.append(row_from_record(site, record.key, record.value, list(record.headers)))
            except RejectedRecordError:
                UNREADABLE.inc()  # the worker parks the device or puts it among the dead letters
        return Batch(site, rows, records[-1].offset + 1)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Nothing is in hand between polls."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Resume each site where the database says."""
        reached = self._sink.sources()
        for place in assigned:
            stands = reached.get(site_of(place.topic) or "")
            self._consumer.seek(place, stands.position if stands else 0)
