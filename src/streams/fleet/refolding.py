"""Folds devices of a site anew from its topic: what a worker does for a gap, for new rules and when somebody asks.

The topic is gone through as often as it takes, never kept: memory does not grow with it. Others work in between, so
that the client can send its heartbeats.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import Broker
from streams.chain import next_link
from streams.envelope import LogRow, RejectedRecordError, row_from_record
from streams.fleet.desk import Plan, SiteDesk
from streams.fleet.taking_up import Survey, TakingUp
from streams.fleet.topic_reader import whole
from streams.record_border import Place, number_from_text, place_of, texts
from streams.topics import device_events

BREATHE: Final = 100
OPEN: Final = 100
"""Rows that are held because they did not come right behind the one before them; of more, all is read once more."""
PUBLISH_AT: Final = 2_000
"""Outcomes that are published before more is folded."""


IsWanted = Callable[[str, int], bool]
"""Whether a record of a device with this number, 0 where it names none, is to be looked at."""


class Found(NamedTuple):
    """A record of a device; no row where it cannot be read or the chain gainsays it, `number` says which, 0 unknown."""

    device: str
    number: int
    row: LogRow | None


class Stretch:
    """The records on a site's topic from where its log begins to where the topic ends now.

    A row that did not come right behind the one before it in the log (`wanted` is where that stands) is gainsaid if it
    follows from none of the `links` there; a row before whose place nothing stands follows from nothing.
    """

    def __init__(self, broker: Broker, desk: SiteDesk, devices: Mapping[str, object]) -> None:
        self._broker, self._desk = broker, desk
        self._keys = {device.encode(): device for device in devices}
        self._place = TopicPartition(device_events(desk.site), 0)
        self._until: int | None = None
        self._links: dict[int, set[bytes]] = {}
        self._open: list[LogRow] = []
        self.wanted: set[int] = set()

    async def of_devices(self, is_wanted: IsWanted = lambda _device, _number: True) -> AsyncIterator[Found]:
        """Yield the records of the devices as they came, without those whose headers name a number not wanted."""
        before: Place | None = None
        async for record in self._records():
            place, device = place_of(record.headers), self._keys.get(record.key)
            if device is not None and is_wanted(device, _number(record)):
                yield self._found(device, record, before)
            before = place if place is not None else before

    async def find_links(self) -> bool:
        """Look for the links that are wanted; return whether they may gainsay a row that was found before."""
        self._links = {position: set() for position in self.wanted}
        async for record in self._records():
            place = place_of(record.headers)
            if place is not None and place.position in self.wanted:
                self._links[place.position].add(place.link)
        open_rows, self._open = self._open, []
        return len(open_rows) == OPEN or any(self._is_gainsaid(row) for row in open_rows)

    def _found(self, device: str, record: Any, before: Place | None) -> Found:
        try:
            row = row_from_record(self._desk.site, record.key, record.value, list(record.headers))
        except RejectedRecordError:
            return Found(device, _number(record), None)
        number = row.event.device_seq
        if row.position == 1 or (before and before.position + 1 == row.position and _follows(row, before.link)):
            return Found(device, number, row)
        if row.position - 1 not in self._links:
            self.wanted.add(row.position - 1)
            self._open = [*self._open, row][:OPEN]
        return Found(device, number, None if self._is_gainsaid(row) else row)

    def _is_gainsaid(self, row: LogRow) -> bool:
        links = self._links.get(row.position - 1)
        return bool(links) and not any(_follows(row, link) for link in links or ())

    async def _records(self) -> AsyncIterator[Any]:
        if self._until is None:
            self._until = await _end_of(self._broker, self._place)
        count = 0
        async for record in whole(self._broker, [self._place], begins=self._desk.life.begins, until=self._until):
            yield record
            count += 1
            if count % BREATHE == 0:
                await asyncio.sleep(0)


async def survey(stretch: Stretch, logs: Mapping[str, str]) -> dict[str, Survey]:
    """Return what a stretch holds of devices, each with the log that it is known by."""
    found = await _surveyed(stretch, logs)
    if stretch.wanted and await stretch.find_links():
        found = await _surveyed(stretch, logs)
    return found


async def _surveyed(stretch: Stretch, logs: Mapping[str, str]) -> dict[str, Survey]:
    surveys = {device: Survey(log_id) for device, log_id in logs.items()}
    async for device, number, row in stretch.of_devices():
        if row is not None:
            surveys[device].take(row)
        else:
            surveys[device].pass_over(number)
    return surveys


async def fold_anew(
    broker: Broker, desk: SiteDesk, plan: Plan, gaps: Mapping[str, str], publish: Callable[[], Awaitable[None]]
) -> None:
    """Fold devices of a desk's site anew; what of them was not published before is now.

    Parameters
    ----------
    gaps
        The devices, each with its log (see `Plan`).
    publish
        Publishes what stands in the plan, and takes it out.
    """
    before = {device: desk.before(device, log_id) for device, log_id in gaps.items()}
    stretch = Stretch(broker, desk, gaps)
    surveys = await survey(stretch, {device: known.log_id for device, known in before.items()})
    taking = {device: TakingUp(before[device], surveys[device]) for device in gaps}
    while waiting := [one for one in taking.values() if not one.is_done]:
        reached = sum(one.reached for one in waiting)
        async for device, _, row in stretch.of_devices(lambda device, number: taking[device].wants(number)):
            for new in taking[device].take(row) if row is not None else ():
                desk.keep_row(plan, *new)
            if len(plan.outcomes) >= PUBLISH_AT:
                await publish()
        if sum(one.reached for one in waiting) == reached:
            break  # what the survey saw is gone: the device is parked for it
    for device, one in taking.items():
        known = desk.take_up(plan, device, one.end(), before[device])
        structlog.get_logger("streams.fleet").warning("device_refolded", device=device, parked=known.parked or None)


async def _end_of(broker: Broker, place: Any) -> int:
    consumer = AIOKafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        await consumer.start()
        return int((await consumer.end_offsets([place]))[place])
    finally:
        await consumer.stop()


def _number(record: Any) -> int:
    """Return the number of a record in its device as its headers say, 0 where they do not."""
    try:
        return number_from_text(texts(record.headers)["ce_deviceseq"])
    except (KeyError, ValueError):
        return 0


def _follows(row: LogRow, link: bytes) -> bool:
    return next_link(link, row.body, row.outcome_bodies) == row.link
