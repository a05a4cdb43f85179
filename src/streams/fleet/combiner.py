"""Reads what the workers found comparable, and publishes what the comparison of scanners comes to.

Nothing is remembered outside the topics: who takes a partition over reads it from its beginning, and publishes the
comparisons that stand, which are the ones that stood. Start several: phantoms and makes are dealt among them.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from prometheus_client import Counter, Gauge

from streams.broker import Broker
from streams.envelope import record_from_comparison
from streams.fleet.combine import Combination
from streams.fleet.messages import Comparison, Read, SharedStepEstimated
from streams.fleet.topic_reader import CLIENT_TROUBLE
from streams.refusal import Complaints
from streams.topics import COMPARISONS, READS

GROUP: Final = "bonewatch-comparison"
BATCH: Final = 5_000
POLL_MS: Final = 500
SESSION_MS: Final = 10_000
HEARTBEAT_MS: Final = 3_000
NEWS_EVERY_S: Final = 2.0
SHARE: Final = 9.0
"""So many times as long as working news out took, it is left alone."""
RETRY_S: Final = 2.0

READ: Final = Counter("bonewatch_comparison_reads_total", "Readings taken into comparisons of scanners.")
UNREADABLE: Final = Counter("bonewatch_comparison_unreadable_total", "Records that are no reading to compare.")
FAILED: Final = Counter("bonewatch_comparison_failed_total", "Times that a phantom or make could not be compared.")
PUBLISHED: Final = Counter("bonewatch_comparison_published_total", "Comparisons published.", ["kind"])
SHARED: Final = Gauge("bonewatch_comparison_shared_steps", "Steps that scanners share, in this process's hands.")

_decoder: Final = msgspec.json.Decoder(Read)


class Combiner(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One process that compares scanners; one is enough for a country, a second takes over when it dies."""

    def __init__(self, broker: Broker, *, group: str = GROUP) -> None:
        self._broker, self._group = broker, group
        self._busy = asyncio.Lock()
        self._combination = Combination()
        self._shared: dict[str, bool] = {}
        self._until: dict[Any, int] | None = None
        self._next_news = 0.0
        self._logger = structlog.get_logger("streams.fleet.combiner")
        self._complaints = Complaints(broker, self._logger)

    async def run(self, stopped: asyncio.Event) -> None:
        """Compare until stopped; the broker's absence is waited out."""
        while not stopped.is_set():
            try:
                await self._work(stopped)
            except CLIENT_TROUBLE as error:
                await asyncio.to_thread(self._complaints.say, error, retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _work(self, stopped: asyncio.Event) -> None:
        options = self._broker.options()
        self._consumer = AIOKafkaConsumer(
            **options,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
        )
        self._producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True, linger_ms=5)
        try:
            await self._producer.start()
            self._consumer.subscribe(sorted(READS.values()), listener=self)
            await self._consumer.start()
            while not stopped.is_set():
                batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
                self._complaints.over()
                async with self._busy:
                    self._take(record for records in batches.values() for record in records)
                    if await self._is_time():
                        await self._tell()
        finally:
            await self._consumer.stop()
            await self._producer.stop()

    def _take(self, records: Iterable[Any]) -> None:
        for record in records:
            try:
                READ.inc(self._combination.take(_decoder.decode(record.value or b"")))
            except msgspec.DecodeError as error:
                UNREADABLE.inc()
                self._logger.warning("unreadable", topic=record.topic, offset=record.offset, error=str(error))

    async def _is_time(self) -> bool:
        """Whether what was there at the beginning has been read, and the last news is old enough.

        News of a part of the readings would say other things than the whole; and working them out takes longer the
        more scanners there are, so they are given no more than a tenth of the time.
        """
        places = self._consumer.assignment()
        if self._until is None and places:
            self._until = await self._consumer.end_offsets(places)
        for place, end in (self._until or {}).items():
            if await self._consumer.position(place) < end:
                return False
        self._until = {} if self._until is not None else None
        return time.monotonic() >= self._next_news

    async def _tell(self) -> None:
        """Publish the news, and wait until the broker has it."""
        began = time.monotonic()
        news = await asyncio.to_thread(self._combination.news)
        self._next_news = time.monotonic() + max(NEWS_EVERY_S, SHARE * (time.monotonic() - began))
        for group, why in news.failures:
            FAILED.inc()
            self._logger.error("not_compared", group=group, why=why)
        sent = []
        for key, comparison in news.comparisons:
            record = record_from_comparison(key, comparison)
            topic = COMPARISONS[type(comparison)]
            sent.append(await self._producer.send(topic, value=record.value, key=record.key, headers=record.headers))
            self._note(key, comparison)
        for acknowledged in sent:
            await acknowledged

    def _begin_anew(self) -> None:
        self._combination, self._shared, self._until = Combination(), {}, None

    def _note(self, key: str, comparison: Comparison) -> None:
        PUBLISHED.labels(type(comparison).__name__).inc()
        if not isinstance(comparison, SharedStepEstimated):
            return
        if comparison.shared and not self._shared.get(key):
            self._logger.warning(
                "shared_step",
                make=comparison.make,
                software=comparison.software or None,
                since=comparison.since.isoformat(),
                percent=round(comparison.percent.value, 2),
                scanners=len(comparison.scanners),
            )
        self._shared[key] = comparison.shared
        SHARED.set(sum(self._shared.values()))

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:  # noqa: ARG002 - the listener's form
        """Nothing is kept of what another may read now."""
        async with self._busy:
            self._begin_anew()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Read what fell to this process from its beginning."""
        async with self._busy:
            self._begin_anew()
            places = list(assigned)
            if places:
                await self._consumer.seek_to_beginning(*places)
