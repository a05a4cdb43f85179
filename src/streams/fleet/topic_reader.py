"""Reads topics from their beginnings to where they end now: a worker's table, or a site's topic for one device."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from zlib import crc32

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.broker import Broker
from streams.chain import next_link
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.fleet.check import Known, OnTopic, known_from_blob
from streams.fleet.site_life import SiteLife, life_from_blob, life_key, site_of_life
from streams.record_border import Place, number_from_text, place_of, texts
from streams.topics import WORKER_STATES, device_events

POLL_MS: Final = 500
BREATHE: Final = 300
CLIENT_TROUBLE: Final = (KafkaError, AssertionError)
"""What aiokafka raises while a broker comes back; it asserts that its metadata names one. Join anew, then."""


async def whole(broker: Broker, places: Collection[Any], *, begins: int = 0) -> AsyncIterator[Any]:
    """Yield every record of some partitions from an offset on, up to where they end now."""
    consumer = AIOKafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(list(places))
        for place in places:
            consumer.seek(place, begins)
        ends = await consumer.end_offsets(places)
        waiting = {place for place in places if ends[place] > await consumer.position(place)}
        while waiting:
            for place, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            waiting = {place for place in waiting if await consumer.position(place) < ends[place]}
    finally:
        await consumer.stop()


async def partitions_of(broker: Broker, topic: str) -> int:
    """Return how many partitions a topic has; 0 where it is not there."""
    consumer = AIOKafkaConsumer(topic, **broker.options(), enable_auto_commit=False)
    try:
        await consumer.start()
        return len(consumer.partitions_for_topic(topic) or ())
    finally:
        await consumer.stop()


def table_partition(key: bytes, partitions: int) -> int:
    """Return the partition of the table that holds a device, by its key: all of a site lie in one."""
    return crc32(key.partition(b"/")[0]) % partitions


class Left(NamedTuple):
    """A site as the last worker left it in the table: its devices, and where its rows begin on its topic."""

    devices: tuple[Known, ...] = ()
    life: SiteLife = SiteLife()


async def restored(broker: Broker, sites: Collection[str], partitions: int) -> dict[str, Left]:
    """Return some sites as the last worker left them in the table, which has so many partitions.

    What a worker said of a device before its site was forgotten counts no longer, whenever it was written.
    """
    found: dict[str, dict[str, Known]] = {site: {} for site in sites}
    lives = dict.fromkeys(sites, SiteLife())
    wanted = {table_partition(life_key(site), partitions) for site in sites}
    async for record in whole(broker, [TopicPartition(WORKER_STATES, partition) for partition in wanted]):
        site, device = record.key.decode().partition("/")[0], record.key.decode()
        if site not in found:
            continue
        if record.value is None:
            found[site].pop(device, None)
        elif site_of_life(record.key) is not None:
            lives[site] = max(lives[site], life_from_blob(record.value), key=SiteLife.order)
        else:
            known, before = known_from_blob(record.value), found[site].get(device)
            if before is None or _stands(known) >= _stands(before):
                found[site][device] = known
    return {site: Left(_of_life(devices.values(), lives[site]), lives[site]) for site, devices in found.items()}


def _stands(known: Known) -> tuple[int, int]:
    return known.life, known.state.device_seq


def _of_life(devices: Iterable[Known], life: SiteLife) -> tuple[Known, ...]:
    return tuple(known for known in devices if known.life == life.forgotten_at)


async def on_topic(broker: Broker, site: str, devices: Collection[str], *, begins: int = 0) -> dict[str, OnTopic]:
    """Return every row of some devices on their site's topic that the chain does not gainsay, in the order they came.

    Rows of before the offset where the site's log `begins` are not looked at.

    The topic is read once; once more only where a row did not come right behind the one before it in the log.
    """
    found = {device: Found() for device in devices}
    keys, before = {device.encode(): device for device in devices}, None
    async for record in _all_of(broker, site, begins):
        device, place = keys.get(record.key), place_of(record.headers)
        if device is not None:
            found[device].take(site, record, before)
        before = place if place is not None else before
    wanted = {row.position - 1 for one in found.values() for row in one.open}
    links: dict[int, set[bytes]] = {}
    if wanted:
        async for record in _all_of(broker, site, begins):
            place = place_of(record.headers)
            if place is not None and place.position in wanted:
                links.setdefault(place.position, set()).add(place.link)
    return {device: one.there(links) for device, one in found.items()}


async def _all_of(broker: Broker, site: str, begins: int) -> AsyncIterator[Any]:
    """Yield a site's records and let others work in between: the client has its heartbeats to send."""
    count = 0
    async for record in whole(broker, [TopicPartition(device_events(site), 0)], begins=begins):
        yield record
        count += 1
        if count % BREATHE == 0:
            await asyncio.sleep(0)


@dataclass
class Found:
    """What a topic holds of one device: rows as they came, and those among them whose link is not confirmed yet."""

    rows: list[LogRow] = field(default_factory=list)
    open: list[LogRow] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)

    def take(self, site: str, record: Any, before: Place | None) -> None:
        """Take in a record, with where the record before it stood in the log."""
        try:
            row = row_from_record(site, record.key, record.value, list(record.headers))
        except RejectedRecordError:
            with suppress(KeyError, ValueError):
                self.unread.add(number_from_text(texts(record.headers)["ce_deviceseq"]))
            return
        self.rows.append(row)
        if before is None or before.position + 1 != row.position or not _follows(row, before.link):
            self.open.append(row)

    def there(self, links: dict[int, set[bytes]]) -> OnTopic:
        """Return what the chain does not gainsay; a row before whose place nothing stands follows from nothing."""
        gainsaid = {id(row) for row in self.open if (at := links.get(row.position - 1)) and not _any_before(row, at)}
        unread = {row.event.device_seq for row in self.rows if id(row) in gainsaid}
        return OnTopic(tuple(row for row in self.rows if id(row) not in gainsaid), frozenset(self.unread | unread))


def _any_before(row: LogRow, links: Collection[bytes]) -> bool:
    return any(_follows(row, link) for link in links)


def _follows(row: LogRow, link: bytes) -> bool:
    return next_link(link, row.body, row.outcome_bodies) == row.link
