"""Reads topics from their beginnings to where they end now: a worker's table, or a site's topic for one device."""

from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any, Final
from zlib import crc32

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.broker import Broker
from streams.chain import next_link
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.fleet.check import Known, OnTopic, known_from_blob
from streams.record_border import number_from_text, place_of, texts
from streams.topics import WORKER_STATES, device_events

POLL_MS: Final = 500
CLIENT_TROUBLE: Final = (KafkaError, AssertionError)
"""What aiokafka raises while a broker comes back; it asserts that its metadata names one. Join anew, then."""


async def whole(broker: Broker, places: Collection[Any]) -> AsyncIterator[Any]:
    """Yield every record of some partitions, up to where they end now."""
    consumer = AIOKafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        await consumer.start()
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
    try:
        await consumer.start()
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


async def on_topic(broker: Broker, device: str) -> OnTopic:
    """Return every row of a device on its site's topic that the chain does not gainsay, in the order they came."""
    site = device.partition("/")[0]
    links: dict[int, set[bytes]] = {}
    rows, unread = list[LogRow](), set[int]()
    async for record in whole(broker, [TopicPartition(device_events(site), 0)]):
        place = place_of(record.headers)
        if place is not None:
            links.setdefault(place.position, set()).add(place.link)
        if record.key == device.encode():
            try:
                rows.append(row_from_record(site, record.key, record.value, list(record.headers)))
            except RejectedRecordError:
                with suppress(KeyError, ValueError):
                    unread.add(number_from_text(texts(record.headers)["ce_deviceseq"]))
    gainsaid = {row.event.device_seq for row in rows if not _continues(row, links)}
    return OnTopic(tuple(row for row in rows if _continues(row, links)), frozenset(unread | gainsaid))


def _continues(row: LogRow, links: dict[int, set[bytes]]) -> bool:
    """Whether a row's link follows from one that stands before it; true also where none does."""
    before = links.get(row.position - 1, set())
    return not before or any(next_link(link, row.body, row.outcome_bodies) == row.link for link in before)
