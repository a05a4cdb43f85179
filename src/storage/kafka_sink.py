"""Follows the topics of the sites into a database: the fleet's sink, with the code of a site's own.

It also follows the workers' table, so that the database shows which devices they have parked. How far it got stands
in the database with the rows, and there it resumes; the broker's committed offsets are only for people who watch lag.
Start several: the sites are dealt among them.
"""

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from storage.errors import DatabaseAwayError, LogForkedError, StorageError
from storage.sink import Batch, FleetDevice, Refusal, Sink
from streams.broker import Broker
from streams.chain import next_link
from streams.envelope import LogRow, RejectedRecordError, Rejection, refold_requested, row_from_record
from streams.fleet.check import standing_from_blob
from streams.refusal import Complaints
from streams.topics import DEVICE_EVENTS, WORKER_STATES, site_of

GROUP: Final = "bonewatch-sink"
BATCH: Final = 5_000
POLL_MS: Final = 500
NEW_TOPICS_MS: Final = 5_000
SESSION_MS: Final = 10_000
BACKOFF_MS: Final = 5_000
RETRY_S: Final = 2.0
TRIES: Final = 20

UNREADABLE: Final = Counter(
    "bonewatch_fleet_sink_unreadable_total", "Records that hold no row of a site's log, by why.", ["rejection"]
)
REFUSED: Final = Counter(
    "bonewatch_fleet_sink_refused_rows_total", "Rows that no table could take; the topic has them."
)
FORKED: Final = Counter("bonewatch_fleet_sink_forked_total", "Sites left aside: their log is not the one that stands.")
AWAY: Final = Gauge("bonewatch_fleet_sink_database_away", "1 while the sink's database is away, or refuses it.")
LAG: Final = Gauge("bonewatch_fleet_sink_lag_events", "Records on this sink's topics that it has not taken in yet.")


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
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._logger = structlog.get_logger("storage.kafka_sink")
        self._complaints = Complaints(broker, self._logger)
        self._away = ""
        self._unassigned: StorageError | None = None

    def run(self, stopped: threading.Event) -> None:
        """Follow the topics until stopped; broker and database may go away and come back."""
        while not stopped.is_set():
            try:
                self._follow(stopped)
            except KafkaError as error:
                self._complaints.say(error, retry_s=RETRY_S)
                stopped.wait(RETRY_S)
            except DatabaseAwayError as error:
                if str(error) != self._away:
                    self._logger.warning("database_away", why=str(error), retry_s=RETRY_S)
                self._away = str(error)
                AWAY.set(1)
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
            bootstrap_timeout_ms=SESSION_MS,
            reconnect_backoff_max_ms=BACKOFF_MS,
            # The range assignor, the default, would give the first sink every topic of one partition.
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )
        try:
            topics = f"^({re.escape(DEVICE_EVENTS)}.+|{re.escape(WORKER_STATES)})$"
            self._consumer.subscribe(pattern=topics, listener=self)
            while not stopped.is_set():
                self._take(self._polled())
                self._complaints.over()
                LAG.set(sum(self._behind(place) for place in self._consumer.assignment()))
        finally:
            self._consumer.close(autocommit=False)

    def _polled(self) -> dict[Any, list[Any]]:
        """Return what came, or raise what an assignment found wrong; raised inside, it would be a KafkaError."""
        polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=POLL_MS)
        if self._unassigned is not None:
            error, self._unassigned = self._unassigned, None
            raise error
        return polled

    def _behind(self, place: Any) -> int:
        """Return how many records of a partition wait; 0 where nothing of it has come yet."""
        end = self._consumer.highwater(place)
        return 0 if end is None else max(0, end - self._consumer.position(place))

    def _take(self, polled: dict[Any, list[Any]]) -> None:
        """Bring what came into the database, then tell the broker."""
        if not polled:
            return
        read = [self._read(place, records) for place, records in polled.items() if place.topic != WORKER_STATES]
        try:
            self._apply([one.batch for one in read])
        except LogForkedError:
            for one in read:  # one by one: only the forked one stays outside
                self._apply_alone(one)
        for place, records in polled.items():
            if place.topic == WORKER_STATES:
                said = list(_devices(records))
                REFUSED.inc(self._sink.apply_devices(_source(place), said, records[-1].offset + 1))
        self._back()
        self._consumer.commit()

    def _apply(self, batches: list[Batch]) -> None:
        REFUSED.inc(self._sink.apply_all(batches).refused)

    def _apply_alone(self, read: "Read") -> None:
        """Take in one site's rows up to the one that is of another log; leave the site aside from there on."""
        try:
            self._apply([read.batch])
        except LogForkedError as error:
            if len(read.batch.rows) > 1:
                for half in read.halves():
                    if half.place not in self._consumer.paused():
                        self._apply_alone(half)
                return
            FORKED.inc()
            self._sink.set_aside(error.source, error.why)
            self._logger.error("log_forked", site=error.source, why=error.why)  # noqa: TRY400 - no bug, no trace
            self._consumer.pause(read.place)

    def _read(self, place: Any, records: list[Any]) -> "Read":
        """Return what a site's records hold: rows, and what is none."""
        site = site_of(place.topic) or ""
        rows, offsets, refusals, mended = list[LogRow](), list[int](), list[Refusal](), list[int]()
        for record in records:
            headers = list(record.headers)
            asked_for = refold_requested(site, headers)
            if asked_for is not None:
                for old in self._again(place, self._sink.refused(site, asked_for, Rejection.UNKNOWN_VERSION)):
                    with suppress(RejectedRecordError):
                        rows.append(row_from_record(site, old.key, old.value, list(old.headers)))
                        mended.append(old.offset)
                        offsets.append(record.offset)
                continue
            try:
                row = row_from_record(site, record.key, record.value, headers)
                self._check_chain(site, row)
            except RejectedRecordError as error:
                UNREADABLE.labels(error.rejection).inc()  # the worker parks the device, or makes it a dead letter
                refusals.append(Refusal(record.offset, error.device or "", error.rejection))
                continue
            rows.append(row)
            offsets.append(record.offset)
        return Read(place, Batch(site, rows, records[-1].offset + 1, refusals, mended), offsets)

    def _check_chain(self, site: str, row: LogRow) -> None:
        """Refuse a row that comes next and does not continue the chain: its content is not what the site recorded."""
        position, link = self._heads.get(site, (0, b""))
        follows = link and row.position == position + 1
        if follows and next_link(link, row.body, row.outcome_bodies) != row.link:
            raise RejectedRecordError(Rejection.CHAIN, f"position {row.position} breaks the chain", row.event.device)
        if row.position > position:
            self._heads[site] = (row.position, row.link)

    def _again(self, place: Any, offsets: list[int]) -> Iterator[Any]:
        """Yield records of a topic that came before."""
        if not offsets:
            return
        consumer = KafkaConsumer(
            **self._broker.options(), enable_auto_commit=False, max_poll_records=1, reconnect_backoff_max_ms=BACKOFF_MS
        )
        try:
            consumer.assign([place])
            for offset in offsets:
                consumer.seek(place, offset)
                for _ in range(TRIES):
                    found = consumer.poll(timeout_ms=POLL_MS).get(place, [])
                    if found:
                        yield found[0]
                        break
                else:
                    raise KafkaError(f"offset {offset} of {place.topic} could not be read")
        finally:
            consumer.close()

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Nothing is in hand between polls."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Resume each source where the database says."""
        try:
            self._resume(assigned)
        except StorageError as error:
            self._unassigned = error
        else:
            self._back()

    def _resume(self, assigned: Iterable[Any]) -> None:
        reached = self._sink.sources()
        for place in assigned:
            stands = reached.get(_source(place))
            if stands:
                self._sink.set_aside(_source(place), "")
            self._consumer.seek(place, stands.position if stands else 0)
            self._heads.pop(_source(place), None)
            if stands and stands.link:
                self._heads[_source(place)] = (stands.log_position, stands.link)

    def _back(self) -> None:
        if self._away:
            self._logger.info("database_back")
        self._away = ""
        AWAY.set(0)


class Read(NamedTuple):
    """Records of one site as rows; `offsets` are the rows' own, in the same order."""

    place: Any
    batch: Batch
    offsets: list[int]

    def halves(self) -> tuple["Read", "Read"]:
        """Return the first half of the rows, and the rest with all else there is."""
        middle = len(self.offsets) // 2
        first = Batch(self.batch.source, self.batch.rows[:middle], self.offsets[middle])
        return (
            Read(self.place, first, self.offsets[:middle]),
            Read(self.place, self.batch._replace(rows=self.batch.rows[middle:]), self.offsets[middle:]),
        )


def _source(place: Any) -> str:
    """Return under which name it stands how far a partition has been taken in."""
    return site_of(place.topic) or f"{place.topic}/{place.partition}"


def _devices(records: Iterable[Any]) -> Iterator[FleetDevice]:
    """Yield what the workers say of devices; a state of a shape that this program does not know is left out."""
    for record in records:
        with suppress(ValueError, OverflowError, OSError):  # no state (msgspec.DecodeError), or no time
            standing = standing_from_blob(record.value or b"")
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            seq = standing.state.device_seq
            yield FleetDevice(standing.state.device, seq, standing.parked, at, standing.diverged_at, record.offset)
