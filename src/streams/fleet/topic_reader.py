"""Reads topics from their beginnings to where they end now: a worker's table, or a site's topic for one device."""

from collections.abc import AsyncIterator, Collection
from typing import Any, Final
from zlib import crc32

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import Broker
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.fleet.check import Known, known_from_blob, refold_known
from streams.topics import DEVICE_EVENTS, WORKER_STATES

POLL_MS: Final = 500


async def whole(broker: Broker, places: Collection[Any]) -> AsyncIterator[Any]:
    """Yield every record of some partitions, up to where they end now."""
    consumer = AIOKafkaConsumer(**broker.options(), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(places))
        await consumer.seek_to_beginning(*places)
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
    await consumer.start()
    try:
        return len(consumer.partitions_for_topic(topic) or ())
    finally:
        await consumer.stop()


def table_partition(key: bytes, partitions: int) -> int:
    """Return the partition of the table that holds a device, by its key: all of a site lie in one."""
    return crc32(key.partition(b"/")[0]) % partitions


async def restored(broker: Broker, sites: Collection[str], partitions: int) -> dict[str, list[Known]]:
    """Return the devices of some sites as the last worker left them in the table, which has so many partitions."""
    found: dict[str, dict[str, Known]] = {site: {} for site in sites}
    wanted = {table_partition(f"{site}/".encode(), partitions) for site in sites}
    async for record in whole(broker, [TopicPartition(WORKER_STATES, partition) for partition in wanted]):
        device = record.key.decode()
        site = device.partition("/")[0]
        if site in found and record.value is not None:
            known, before = known_from_blob(record.value), found[site].get(device)
            if before is None or known.state.device_seq >= before.state.device_seq:
                found[site][device] = known
    return {site: list(devices.values()) for site, devices in found.items()}


async def folded_anew(broker: Broker, device: str, log_id: str) -> Known:
    """Fold a device from nothing over its site's topic, where a row is missing from what came."""
    site = device.partition("/")[0]
    rows: list[LogRow] = []
    async for record in whole(broker, [TopicPartition(DEVICE_EVENTS + site, 0)]):
        if record.key == device.encode():
            try:
                rows.append(row_from_record(site, record.key, record.value, list(record.headers)))
            except RejectedRecordError:
                continue  # it is missing, and named so
    return refold_known(device, log_id, rows)
