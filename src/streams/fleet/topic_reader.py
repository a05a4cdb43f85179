"""Reads topics from their beginnings to where they end now: a worker's table, or a site's topic for one device."""

from collections.abc import AsyncIterator, Collection
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import Broker
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.fleet.check import Known, refold_known
from streams.topics import DEVICE_EVENTS

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
