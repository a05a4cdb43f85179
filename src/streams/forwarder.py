"""Sends a site's log to Kafka, in the log's order, each row once.

How far it got is told by the broker: the last record of the site's topic names its position in the log and its link
of the hash chain. Where the log here holds another link at that position, it is not the log that was sent before (a
restored copy, another site under this name), and nothing is sent. Behind a request to forget the site (see
`streams.fleet.site_life`) the log is sent from its first row.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile
from typing import Any, Final

import msgspec
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from streams import codec
from streams.broker import Broker, BrokerError
from streams.envelope import Record, notice_from_row, record_from_row
from streams.fleet.site_life import NEVER, SiteLife
from streams.messages import Event, TimeReached
from streams.record_border import place_of
from streams.refusal import Complaints
from streams.sqlite_log import LogError, Row, SqliteEventLog
from streams.topics import MAX_RECORD_BYTES, SITE_HEADS, device_events

BATCH: Final = 500
HEADERS_BYTES: Final = 2_000
AGAIN: Final = "bonewatch_again"
"""Header of a row that was asked for once more: where a log was sent to is told by the others."""
LOOK_BACK: Final = 2 * BATCH
"""Records at a topic's end among which its last row is sought: more than are on their way while a site is forgotten."""
WAIT_S: Final = 1.0
LOOK_AGAIN_S: Final = 60.0
"""A log without news looks so often whether its site was forgotten."""
RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
REQUEST_MS: Final = 10_000
NEVER_MS: Final = 2**31 - 1
CLOSE_S: Final = 2.0
BACKOFF_MS: Final = 5_000
"""A broker that comes back is noticed within this time; the clients' own limit is half a minute."""

LAG: Final = Gauge("bonewatch_forward_lag_events", "Events of the site log that the broker does not have yet.")
SENT: Final = Counter("bonewatch_forwarded_events_total", "Events that the broker has acknowledged.")
FAILURES: Final = Counter("bonewatch_forward_failures_total", "Batches that the broker did not take.")
UNDECODED: Final = Counter("bonewatch_forward_undecoded_total", "Events of a version unknown here, sent as they are.")
TOO_LARGE: Final = Counter("bonewatch_forward_too_large_total", "Events too large to travel; a notice went instead.")
FORKED: Final = Gauge("bonewatch_forward_log_forked", "1 where the broker holds another log of this site.")


class LogForkedError(BrokerError):
    """The broker holds another log under this site's name; a person must say which one counts."""


class Tail(msgspec.Struct, frozen=True):
    """The last record of a site's topic: which row of which log it was."""

    position: int
    link: bytes
    log_id: str


class Head(msgspec.Struct, frozen=True):
    """How far a site's log reaches, anchored outside the site."""

    site: str
    log_id: str
    position: int
    link: str
    recorded_at: str


@dataclass
class Forwarder:
    """Follows one site's log.

    Parameters
    ----------
    log
        The site's log, open for reading beside the site.
    site
        The site's id; its topic must exist.
    broker
        Where to send to.
    """

    log: SqliteEventLog
    site: str
    broker: Broker
    _wake: threading.Event = field(default_factory=threading.Event)
    _logger: Any = field(default_factory=lambda: structlog.get_logger("streams.forwarder"))
    _reached: int = 0
    _trouble: str = ""
    _end: int = 0
    _look_again_at: float = 0.0

    def wake(self) -> None:
        """Say that there is something new; otherwise it looks every second."""
        self._wake.set()

    def run(self, stopped: threading.Event) -> None:
        """Forward until stopped. Whatever goes wrong is said once and tried again; only a forked log ends it.

        Raises
        ------
        LogForkedError
            If the broker holds another log of this site.
        """
        tries, complaints = 0, Complaints(self.broker, self._logger)
        self._say_lag()  # a broker that is away keeps the first question waiting for long
        while not stopped.is_set():
            try:
                for _ in self.batches(stopped):
                    tries = 0
                    self._recovered(complaints)
            except LogForkedError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the log has everything
                FAILURES.inc()
                wait = RETRY_S[min(tries, len(RETRY_S) - 1)]
                self._complain(error, complaints, retry_s=wait)
                tries += 1
                self._wait_out(wait, stopped)

    def _complain(self, error: Exception, complaints: Complaints, *, retry_s: float) -> None:
        if isinstance(error, KafkaError | BrokerError):
            complaints.say(error, retry_s=retry_s)
        elif self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            why = str(error) if isinstance(error, LogError | sqlite3.Error) else ""
            self._logger.error("forwarding_fails", error=self._trouble, why=why, retry_s=retry_s)

    def _recovered(self, complaints: Complaints) -> None:
        complaints.over()
        if self._trouble:
            self._logger.info("forwarding_again")
            self._trouble = ""

    def _wait_out(self, wait_s: float, stopped: threading.Event) -> None:
        """Wait; the lag stays true meanwhile."""
        while wait_s > 0 and not stopped.is_set():
            self._say_lag()
            stopped.wait(min(wait_s, WAIT_S))
            wait_s -= WAIT_S

    def _say_lag(self) -> None:
        with suppress(sqlite3.Error):
            LAG.set(self.log.last_position() - self._reached)

    def batches(self, stopped: threading.Event | None = None) -> Iterator[int]:
        """Send what is new, batch by batch, over one connection; yield the position reached after each."""
        stopped = stopped or threading.Event()
        options = self.broker.options()
        position = self._begin(options)
        producer = _producer(options)
        try:
            while not stopped.is_set():
                rows = list(islice(self.log.rows(after=position), BATCH))
                if rows:
                    position = self._reached = rows[-1].position
                    if not self._sent_in_a_row(producer, rows):
                        position = self._begin(options)
                elif time.monotonic() > self._look_again_at and self._is_others_there(options):
                    position = self._begin(options)
                LAG.set(self.log.last_position() - position)
                yield position
                if len(rows) < BATCH:
                    self._wake.wait(WAIT_S)
                    self._wake.clear()
        finally:
            _close(producer)

    def send_again(self, first: int, last: int) -> int:
        """Send rows of the log that were sent before once more, by their positions; return how many those were.

        Receivers count none twice. They are marked, so that a forwarder goes on behind the rows before them.

        Raises
        ------
        ValueError
            If the log holds no such rows, or they have not been sent yet.
        LogForkedError
            As `run` says.
        KafkaError
            If the broker does not take them; send the same again.
        """
        options = self.broker.options()
        sent_to = max(self._begin(options), _furthest(options, self.site))  # behind a hole, too
        if not 0 < first <= last <= sent_to:
            raise ValueError(f"rows {first} to {last} cannot be sent again: {self.site} has sent rows 1 to {sent_to}")
        producer, count = _producer(options), 0
        try:
            rows = takewhile(lambda row: row.position <= last, self.log.rows(after=first - 1))
            while batch := list(islice(rows, BATCH)):
                self._put_all(producer, [_marked(self._record(row)) for row in batch])
                count += len(batch)
        finally:
            _close(producer)
        return count

    def _is_others_there(self, options: dict[str, Any]) -> bool:
        """Whether somebody else has written on the site's topic since: it may be a request."""
        self._look_again_at = time.monotonic() + LOOK_AGAIN_S
        with closing(_reader(options)) as consumer:
            place = TopicPartition(device_events(self.site), 0)
            return bool(consumer.end_offsets([place])[place] != self._end)

    def _begin(self, options: dict[str, Any]) -> int:
        """Ask the broker how far the log was sent; return the position after which to go on, or refuse."""
        tail, self._end = _sent_so_far(options, self.site)
        self._look_again_at = time.monotonic() + LOOK_AGAIN_S
        self._reached = self._resume(tail)
        return self._reached

    def _sent_in_a_row(self, producer: KafkaProducer, rows: list[Row]) -> bool:
        """Send rows; return whether nothing of somebody else's came before or between them: it may be a request."""
        offsets = self._send(producer, rows)
        is_so = offsets == list(range(self._end, self._end + len(rows)))
        self._end = offsets[-1] + 1
        self._look_again_at = time.monotonic() + LOOK_AGAIN_S
        return is_so

    def _resume(self, tail: Tail | None) -> int:
        """Return the position after which to go on, or refuse."""
        if tail is None:
            FORKED.set(0)
            return 0
        row = next(self.log.rows(after=tail.position - 1), None)
        if row is None or row.position != tail.position or row.link != tail.link or self.log.log_id != tail.log_id:
            FORKED.set(1)
            self._logger.error("log_forked", site=self.site, position=tail.position)
            raise LogForkedError(
                f"the broker's log of {self.site} ends at position {tail.position} with another link than this one: "
                "was a copy restored, or is another computer sending under this name? If this log is the one that "
                "counts, the fleet is told so by `bonewatch fleet forget`"
            )
        FORKED.set(0)
        return tail.position

    def _send(self, producer: KafkaProducer, rows: list[Row]) -> list[int]:
        """Send rows and wait until the broker has them all, then anchor the head; return the rows' offsets."""
        offsets = self._put_all(producer, [self._record(row) for row in rows])
        SENT.inc(len(rows))
        last = rows[-1]
        head = Head(self.site, self.log.log_id, last.position, last.link.hex(), last.recorded_at)
        anchor = Record(self.site.encode(), msgspec.json.encode(head), [("content-type", b"application/json")])
        self._put(producer, SITE_HEADS, anchor).get(timeout=3 * REQUEST_MS / 1000)
        return offsets

    def _put_all(self, producer: KafkaProducer, records: list[Record]) -> list[int]:
        """Put records on the site's topic and wait until the broker has them all; return their offsets."""
        sent = [self._put(producer, device_events(self.site), record) for record in records]
        return [int(future.get(timeout=3 * REQUEST_MS / 1000).offset) for future in sent]

    def _record(self, row: Row) -> Record:
        try:
            event, headers = codec.decode_event(row.body), dict[str, bytes]()
        except codec.UndecodableError:
            event, headers = self._undecoded(row), {"ce_type": row.type.encode()}
        record = record_from_row(
            event, position=row.position, link=row.link, body=row.body, outcome_bodies=row.outcomes
        )
        if len(record.value) + HEADERS_BYTES <= MAX_RECORD_BYTES:
            return record._replace(headers=[(name, headers.get(name, said)) for name, said in record.headers])
        TOO_LARGE.inc()
        self._logger.error("event_too_large", device=row.device, device_seq=row.device_seq, size=len(record.value))
        return notice_from_row(event, position=row.position, link=row.link)

    def _undecoded(self, row: Row) -> Event:
        """Return what stands in for an event of a version unknown here: it travels as it is, its columns say whose."""
        UNDECODED.inc()
        self._logger.error("event_not_decoded", device=row.device, device_seq=row.device_seq, type=row.type)
        at = datetime.fromisoformat(row.recorded_at)
        return Event(row.event_id, row.device, self.log.log_id, row.device_seq, at, 0, TimeReached(at))

    @staticmethod
    def _put(producer: KafkaProducer, topic: str, record: Record) -> Any:
        return producer.send(topic, key=record.key, value=record.value, headers=record.headers, partition=0)


def _producer(options: dict[str, Any]) -> KafkaProducer:
    """Return a producer that gives no batch up while it lives: it would go on with the next one, and leave a hole.

    What waits too long is our own to say (`_put_all`), and ends the producer with all that it still holds.
    """
    return KafkaProducer(
        **options,
        acks="all",
        enable_idempotence=True,
        max_block_ms=REQUEST_MS,
        delivery_timeout_ms=NEVER_MS,
        request_timeout_ms=REQUEST_MS,
        bootstrap_timeout_ms=REQUEST_MS,
        reconnect_backoff_max_ms=BACKOFF_MS,
        linger_ms=5,
        max_request_size=MAX_RECORD_BYTES + HEADERS_BYTES,
    )


def _reader(options: dict[str, Any]) -> KafkaConsumer:
    return KafkaConsumer(
        **options,
        enable_auto_commit=False,
        request_timeout_ms=2 * REQUEST_MS,
        bootstrap_timeout_ms=REQUEST_MS,
        reconnect_backoff_max_ms=BACKOFF_MS,
    )


def _marked(record: Record) -> Record:
    return record._replace(headers=[*record.headers, (AGAIN, b"1")])


def _close(producer: KafkaProducer) -> None:
    """Close a producer for good, whatever it still holds: the log has it, and it goes with the next one.

    kafka-python 3 flushes first and, if the broker is away, gives up with its thread still running: that would send
    old rows when the broker is back, after those of the producer that took its place.
    """
    try:
        producer.close(timeout=CLOSE_S)
    except KafkaError:
        sender = producer._sender  # noqa: SLF001 - there is no public way to end it
        sender.force_close()
        sender.join(CLOSE_S)


def last_sent(options: dict[str, Any], site: str) -> Tail | None:
    """Return the last row on a site's topic before which none is missing, or None where there is none of its log.

    What stands behind it and is no row of a log (whoever put it there) is passed over.
    """
    return _sent_so_far(options, site)[0]


def _sent_so_far(options: dict[str, Any], site: str) -> tuple[Tail | None, int]:
    """Return the last row, as `last_sent` does, and the offset of the record to come."""
    place = TopicPartition(device_events(site), 0)
    with closing(_reader(options)) as consumer:
        consumer.assign([place])
        end = last = consumer.end_offsets([place])[place]
        while end > 0:
            begin = max(0, end - LOOK_BACK)
            tail, is_forgotten = _last_of(site, _between(consumer, place, begin, end))
            if tail is not None or is_forgotten:
                return tail, last
            end = begin
        return None, last


def _furthest(options: dict[str, Any], site: str) -> int:
    """Return the highest position among the last records of a site's topic; 0 where none of them is a row."""
    place = TopicPartition(device_events(site), 0)
    with closing(_reader(options)) as consumer:
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        last = _between(consumer, place, max(0, end - LOOK_BACK), end) if end else ()
        places = (place_of(record.headers) for record in last)
        return max((found.position for found in places if found is not None), default=0)


def _last_of(site: str, records: Iterable[Any]) -> tuple[Tail | None, bool]:
    """Return the last row among records before which none is missing, and whether the site was forgotten there.

    Behind a hole nothing counts until it is filled: going on there would leave it for ever. Rows that were sent again
    fill a hole, and never say where a log was sent to.
    """
    life, rows = SiteLife(), dict[int, Tail]()
    begun: int | None = None
    for record in records:
        headers = list(record.headers)
        after = life.after(site, record.offset, headers)
        if after is not life:
            life, begun, rows = after, None, {}
        place = place_of(headers)
        if place is None or not life.has(record.offset):
            continue
        rows[place.position] = Tail(*place)
        if begun is None and not any(name == AGAIN for name, _ in headers):
            begun = place.position
    if begun is None:
        return None, life.forgotten_at != NEVER
    while begun + 1 in rows:
        begun += 1
    return rows[begun], life.forgotten_at != NEVER


def _between(consumer: KafkaConsumer, place: TopicPartition, begin: int, end: int, *, tries: int = 10) -> Iterator[Any]:
    """Yield the records of a stretch of a topic.

    Raises
    ------
    KafkaError
        If the broker gives none of them in that many tries.
    """
    poll: Callable[..., dict[TopicPartition, list[Any]]] = consumer.poll
    consumer.seek(place, begin)
    while consumer.position(place) < end:
        new = poll(timeout_ms=1000).get(place, [])
        yield from (record for record in new if record.offset < end)
        tries -= not new
        if tries < 0:
            raise KafkaError(f"the last records of {place.topic} could not be read")
