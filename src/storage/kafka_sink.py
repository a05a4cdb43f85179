"""Follows the topics of the sites into a database: the fleet's sink, with the code of a site's own.

It also follows the workers' table, so that the database shows which devices they have parked. How far it got stands
in the database with the rows, and there it resumes; the broker's committed offsets are only for people who watch lag.
Start several: the sites are dealt among them.
"""

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from storage.errors import DatabaseAwayError, LogForkedError, StorageError
from storage.sink import Batch, FleetDevice, Reached, Refusal, Sink
from streams.broker import Broker
from streams.envelope import Headers, LogRow, RejectedRecordError, Rejection, refold_requested, row_from_record
from streams.fleet.chain_head import ChainHead, Link
from streams.fleet.check import standing_from_blob
from streams.fleet.site_life import SiteLife, forgets, site_of_life
from streams.record_border import place_of
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
        self._sites: dict[str, _Followed] = {}
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
        sites = {place: _lives(site, records) for place, records in polled.items() if (site := site_of(place.topic))}
        quiet = [(place, parts[0]) for place, parts in sites.items() if len(parts) == 1]
        self._apply_together(self._read(place, records) for place, records in quiet)
        for place, parts in sites.items():
            for part in parts if len(parts) > 1 else ():
                if part:
                    self._forget(place, part[0])
                    self._apply_together([self._read(place, part)])
        for place, records in polled.items():
            if place.topic == WORKER_STATES:
                said, begun = list(_devices(records)), _begun(records)
                REFUSED.inc(self._sink.apply_devices(_source(place), said, records[-1].offset + 1, begun))
        self._back()
        self._consumer.commit()

    def _apply_together(self, read: Iterable["Read | None"]) -> None:
        there = [one for one in read if one is not None]
        try:
            self._apply([one.batch for one in there])
        except LogForkedError:
            for one in there:  # one by one: only the forked one stays outside
                self._apply_alone(one)

    def _apply(self, batches: list[Batch]) -> None:
        if batches:
            REFUSED.inc(self._sink.apply_all(batches).refused)

    def _apply_alone(self, read: "Read") -> None:
        """Take in one site's rows up to the one that is of another log; leave the site aside from there on."""
        try:
            self._apply([read.batch])
        except LogForkedError as error:
            if len(read.batch.rows) > 1:
                for half in read.halves():
                    if not self._followed(half.place).is_aside:
                        self._apply_alone(half)
                return
            FORKED.inc()
            self._sink.set_aside(error.source, error.why)
            self._logger.error("log_forked", site=error.source, why=error.why)  # noqa: TRY400 - no bug, no trace
            self._followed(read.place).is_aside = True

    def _followed(self, place: Any) -> "_Followed":
        return self._sites.setdefault(_source(place), _Followed())

    def _forget(self, place: Any, request: Any) -> None:
        """Begin a site anew if a record asks for it, and has not been heard before."""
        site, followed = _source(place), self._followed(place)
        life = followed.life.after(site, request.offset, list(request.headers))
        if life.forgotten_at == followed.life.forgotten_at:
            return
        self._sink.forget(site, life.forgotten_at)
        self._sites[site] = _Followed(life)
        self._logger.warning("site_forgotten", site=site, at=life.forgotten_at)

    def _read(self, place: Any, records: list[Any]) -> "Read | None":
        """Return what a site's records hold: rows, and what is none; None of a site that is left aside."""
        site, followed = site_of(place.topic) or "", self._followed(place)
        if followed.is_aside:
            return None
        rows, offsets, refusals, mended = list[LogRow](), list[int](), list[Refusal](), list[int]()
        for record in records:
            headers = list(record.headers)
            if not followed.counts(site, record.offset, headers):
                continue
            asked_for = refold_requested(site, headers)
            if asked_for is not None:
                for old in self._again(place, self._sink.refused(site, asked_for, Rejection.UNKNOWN_VERSION)):
                    with suppress(RejectedRecordError):
                        rows.append(row_from_record(site, old.key, old.value, list(old.headers)))
                        mended.append(old.offset)
                        offsets.append(record.offset)
                continue
            try:
                row = followed.row_from(site, record, headers)
            except RejectedRecordError as error:
                UNREADABLE.labels(error.rejection).inc()  # the worker parks the device, or makes it a dead letter
                refusals.append(Refusal(record.offset, error.device or "", error.rejection))
                continue
            rows.append(row)
            offsets.append(record.offset)
        return Read(place, Batch(site, rows, records[-1].offset + 1, refusals, mended, followed.life), offsets)

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
            self._sites[_source(place)] = _followed_from(stands) if stands else _Followed()

    def _back(self) -> None:
        if self._away:
            self._logger.info("database_back")
        self._away = ""
        AWAY.set(0)


@dataclass
class _Followed:
    """A site as it is followed: where its rows begin, how far its chain was checked, whether it is left aside."""

    life: SiteLife = field(default_factory=SiteLife)
    chain: ChainHead = field(default_factory=ChainHead)
    is_aside: bool = False

    def counts(self, site: str, offset: int, headers: Headers) -> bool:
        """Whether a record is one of the site's life; its first row begins it."""
        self.life = self.life.after(site, offset, headers)
        return self.life.has(offset)

    def row_from(self, site: str, record: Any, headers: Headers) -> LogRow:
        """Return the row that a record holds, if the chain does not gainsay it; raise RejectedRecordError."""
        try:
            row = row_from_record(site, record.key, record.value, headers)
        except RejectedRecordError:
            place = place_of(headers)
            if place is not None:
                self.chain.pass_over(place.position, place.link)
            raise
        link = self.chain.take(row.position, row.link, row.body, row.outcome_bodies)
        if link is Link.MISPLACED:
            raise RejectedRecordError(Rejection.UNREADABLE, f"position {row.position} is not its own", row.event.device)
        if link is Link.BREAKS:
            raise RejectedRecordError(Rejection.CHAIN, f"position {row.position} breaks the chain", row.event.device)
        return row


def _followed_from(stands: Reached) -> _Followed:
    return _Followed(stands.life, ChainHead(stands.log_position, stands.link))


class Read(NamedTuple):
    """Records of one site as rows; `offsets` are the rows' own, in the same order."""

    place: Any
    batch: Batch
    offsets: list[int]

    def halves(self) -> tuple["Read", "Read"]:
        """Return the first half of the rows, and the rest with all else there is."""
        middle = len(self.offsets) // 2
        first = Batch(self.batch.source, self.batch.rows[:middle], self.offsets[middle], life=self.batch.life)
        return (
            Read(self.place, first, self.offsets[:middle]),
            Read(self.place, self.batch._replace(rows=self.batch.rows[middle:]), self.offsets[middle:]),
        )


def _source(place: Any) -> str:
    """Return under which name it stands how far a partition has been taken in."""
    return site_of(place.topic) or f"{place.topic}/{place.partition}"


def _lives(site: str, records: list[Any]) -> list[list[Any]]:
    """Cut a site's records before each request to forget it; the first part, which may be empty, holds none."""
    cuts = [place for place, record in enumerate(records) if forgets(site, record.headers)]
    return [records[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(records)], strict=True)]


def _begun(records: Iterable[Any]) -> dict[str, int]:
    """Return the sites that the workers' table says were forgotten, or began anew, with where it does."""
    sites = ((site_of_life(record.key or b""), record.offset) for record in records)
    return {site: offset for site, offset in sites if site is not None}


def _devices(records: Iterable[Any]) -> Iterator[FleetDevice]:
    """Yield what the workers say of devices; a state of a shape that this program does not know is left out."""
    for record in records:
        with suppress(ValueError, OverflowError, OSError):  # no state (msgspec.DecodeError), or no time
            standing = standing_from_blob(record.value or b"")
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            seq = standing.state.device_seq
            yield FleetDevice(standing.state.device, seq, standing.parked, at, standing.diverged_at, record.offset)
