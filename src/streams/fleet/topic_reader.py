"""Reads topics to where they end now, and the workers' table from its beginning."""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, Final, NamedTuple
from zlib import crc32

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.broker import Broker
from streams.fleet.check import Known, known_from_blob
from streams.fleet.site_life import SiteLife, life_from_blob, life_key, site_of_life
from streams.topics import WORKER_STATES

POLL_MS: Final = 500
BREATHE: Final = 300
CLIENT_TROUBLE: Final = (KafkaError, AssertionError)
"""What aiokafka raises while a broker comes back; it asserts that its metadata names one. Join anew, then."""


async def whole(
    broker: Broker, places: Collection[Any], *, begins: int = 0, until: int | None = None
) -> AsyncIterator[Any]:
    """Yield every record of some partitions from an offset on, up to another one, or to where they end now."""
    consumer = AIOKafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(list(places))
        for place in places:
            consumer.seek(place, begins)
        ends = await consumer.end_offsets(places) if until is None else dict.fromkeys(places, until)
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
