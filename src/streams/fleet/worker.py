"""A fleet worker as a plain consumer group on aiokafka: sites come with their topics, states with a table's topic.

The order is that of DESIGN 6.2: outcomes acknowledged, then the table, then the source. Whatever dies in between is
done again, and what was there before is told by its number.
"""

import asyncio
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from prometheus_client import Counter, Gauge

from streams.broker import Broker
from streams.envelope import Record
from streams.fleet.desk import TOMBSTONE, Plan, SiteDesk
from streams.fleet.refolding import fold_anew
from streams.fleet.site_life import NEVER
from streams.fleet.topic_reader import CLIENT_TROUBLE, Left, restored, table_partition
from streams.refusal import Complaints
from streams.topics import DEVICE_EVENTS, WORKER_STATES, site_of

GROUP: Final = "bonewatch-fleet"
BATCH: Final = 2_000
POLL_MS: Final = 500
SESSION_MS: Final = 10_000
HEARTBEAT_MS: Final = 3_000
NEW_TOPICS_MS: Final = 5_000
STALLED_S: Final = 60.0
RETRY_S: Final = 2.0

ROWS: Final = Counter("bonewatch_fleet_rows_total", "Rows of site logs taken in, by what they were.", ["kind"])
PUBLISHED: Final = Counter("bonewatch_fleet_published_total", "Outcomes published and acknowledged.")
DIVERGED: Final = Counter("bonewatch_fleet_divergences_total", "Events whose outcomes the fold here does not confirm.")
PARKED: Final = Gauge("bonewatch_fleet_parked_devices", "Devices in this worker's hands that are parked.")
SITES: Final = Gauge("bonewatch_fleet_sites", "Sites in this worker's hands.")
LAG: Final = Gauge("bonewatch_fleet_lag_events", "Rows on this worker's topics that it has not taken in yet.")


class StalledError(Exception):
    """A site's work does not move: the process ends, and whoever watches it starts it again."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker joins the fleet."""

    broker: Broker
    group: str = GROUP
    batch: int = BATCH


class FleetWorker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One worker; run as many as there is work for, up to one a site."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._desks: dict[str, SiteDesk] = {}
        self._next: dict[Any, int] = {}
        self._busy = asyncio.Lock()
        self._waited: dict[Any, float] = {}
        self._trouble: Exception | None = None
        self._fresh: list[SiteDesk] = []
        self._logger = structlog.get_logger("streams.fleet")
        self._complaints = Complaints(settings.broker, self._logger)

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until stopped; what is in hand is finished first. The broker's absence is waited out.

        Raises
        ------
        StalledError
            If the rows of a site were waited for in vain for a minute, or the site was not taken over.
        """
        while not stopped.is_set():
            try:
                await self._work(stopped)
            except CLIENT_TROUBLE as error:
                await asyncio.to_thread(self._complaints.say, error, retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _work(self, stopped: asyncio.Event) -> None:
        options = self._settings.broker.options()
        self._consumer = AIOKafkaConsumer(
            **options,
            group_id=self._settings.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            metadata_max_age_ms=NEW_TOPICS_MS,
            # The range assignor, the default, would give the first worker every topic of one partition.
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )
        self._producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True, linger_ms=5)
        self._trouble = None
        try:
            await self._producer.start()
            self._consumer.subscribe(pattern=f"^{re.escape(DEVICE_EVENTS)}", listener=self)
            await self._consumer.start()
            while not stopped.is_set():
                await self._turn()
                self._complaints.over()
        finally:
            self._desks, self._next, self._waited, self._fresh = {}, {}, {}, []
            await self._consumer.stop()
            await self._producer.stop()

    async def _turn(self) -> None:
        """Take in one batch: outcomes, table, source, in this order."""
        asked_at = time.monotonic()
        batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._settings.batch)
        waited_s = time.monotonic() - asked_at
        async with self._busy:
            if self._trouble is not None:
                raise self._trouble
            await self._renew()
            plan, offsets = Plan(), {}
            for place, records in batches.items():
                if self._taken(plan, place, records):
                    offsets[place] = records[-1].offset + 1
            await self._publish(plan)
            if offsets:
                await self._consumer.commit(offsets)
                self._next |= offsets
            self._tell(plan)
            self._watch(waited_s, offsets)

    async def _renew(self) -> None:
        """Fold anew what other rules made of the devices that were just taken over, before their next rows come."""
        plan = Plan()
        for desk in self._fresh:
            desk.renew(plan)
        if plan.gaps:
            await self._publish(plan)
            self._tell(plan)
        self._fresh = []

    async def _publish(self, plan: Plan) -> None:
        """Publish outcomes, then the table, with all that is to be folded anew from its topic."""
        for site in {device.partition("/")[0] for device in plan.gaps}:
            await self._refold(plan, site)
        await self._publish_outcomes(plan)
        await self._send(plan.records(), by_site=True)

    async def _publish_outcomes(self, plan: Plan) -> None:
        """Publish what stands in the plan so far, and take it out."""
        await self._send([*plan.outcomes, *plan.reads])
        PUBLISHED.inc(len(plan.outcomes))
        DIVERGED.inc(len(plan.divergences))
        for divergence in plan.divergences:
            self._logger.error("fold_diverges", first=divergence)
        plan.outcomes, plan.reads, plan.divergences = [], [], []

    def _taken(self, plan: Plan, place: Any, records: list[Any]) -> bool:
        """Take in what came of one site, if it goes on where the last batch ended.

        A batch that was fetched before the site was taken over may begin elsewhere: it is not used, and what it
        skipped is asked for again. What was taken in before the seek and came again is left out.
        """
        desk, expected = self._desks.get(site_of(place.topic) or ""), self._next.get(place)
        if desk is None or expected is None or records[-1].offset < expected:
            return False
        if records[0].offset > expected:
            self._consumer.seek(place, expected)
            return False
        for record in records:
            if record.offset >= expected:
                desk.take(plan, record.key, record.value, list(record.headers), offset=record.offset)
        return True

    async def _send(self, records: Iterable[tuple[str, Record]], *, by_site: bool = False) -> None:
        """Send, and wait until the broker has it all."""
        sent, partitions = [], await self._table_partitions()
        for topic, (key, value, headers) in records:
            partition = table_partition(key, partitions) if by_site else None
            content = None if value == TOMBSTONE else value
            sent.append(await self._producer.send(topic, value=content, key=key, headers=headers, partition=partition))
        for acknowledged in sent:
            await acknowledged

    async def _table_partitions(self) -> int:
        return len(await self._producer.partitions_for(WORKER_STATES))

    def _tell(self, plan: Plan) -> None:
        for kind, count in plan.counts.items():
            ROWS.labels(kind).inc(count)
        PARKED.set(sum(desk.parked() for desk in self._desks.values()))
        for site, life in plan.lives.items():
            begins = None if life.begins == NEVER else life.begins
            self._logger.warning("site_forgotten", site=site, at=life.forgotten_at, begins=begins)
        for device, why in plan.parked.items():
            self._logger.error("device_parked", device=device, why=why)

    def _watch(self, waited_s: float, moved: Collection[Any]) -> None:
        """Measure the lag; end the process where a site has work, or no desk, and nothing moves.

        Only time that was spent waiting for records counts: a site is not stalled while others are worked on.
        """
        lags = {
            p: max(0, (self._consumer.highwater(p) or 0) - self._next.get(p, 0)) for p in self._consumer.assignment()
        }
        LAG.set(sum(lags.values()))
        stuck = [place for place, lag in lags.items() if place not in moved and (lag or place not in self._next)]
        self._waited = {place: self._waited.get(place, 0.0) + waited_s for place in stuck}
        for place, waiting_s in self._waited.items():
            if waiting_s > STALLED_S:
                raise StalledError(
                    f"{lags[place]} rows of {place.topic} wait and none was taken in for {STALLED_S:g} s"
                )

    # --- sites come and go ---------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Finish what is in hand, then let the sites go."""
        async with self._busy:
            for place in revoked:
                self._desks.pop(site_of(place.topic) or "", None)
                self._next.pop(place, None)
            SITES.set(len(self._desks))

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Take sites over: their devices as the last worker left them in the table.

        The client logs and forgets what is raised here; the next turn raises it, and the membership is begun anew.
        """
        async with self._busy:
            try:
                await self._take_over(list(assigned))
            except Exception as error:  # noqa: BLE001 - whatever it is, no site may be left without a desk
                self._trouble = error

    async def _take_over(self, assigned: list[Any]) -> None:
        known = await self._known_devices({site for place in assigned if (site := site_of(place.topic)) is not None})
        for place in assigned:
            site = site_of(place.topic) or ""
            begin = await self._begin(place)
            left = known.get(site, Left())
            self._desks[site] = SiteDesk(site, left.devices, left.life)
            self._next[place] = begin
            self._consumer.seek(place, begin)
        self._fresh = list(self._desks.values())
        self._waited = {}
        SITES.set(len(self._desks))

    async def _known_devices(self, sites: set[str]) -> dict[str, Left]:
        return await restored(self._settings.broker, sites, await self._table_partitions()) if sites else {}

    async def _begin(self, place: Any) -> int:
        """Return where a site's topic was left off."""
        return await self._consumer.committed(place) or 0

    async def _refold(self, plan: Plan, site: str) -> None:
        """Fold devices anew from their site's topic; what of them was not published before is now."""
        gaps = {device: log_id for device, log_id in plan.gaps.items() if device.startswith(f"{site}/")}
        await fold_anew(self._settings.broker, self._desks[site], plan, gaps, lambda: self._publish_outcomes(plan))
