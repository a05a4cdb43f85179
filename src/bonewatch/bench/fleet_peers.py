"""One process that works on the sites' topics, for `bench fleet` to time: our worker, or a peer over the same fold.

It says how far it is in lines of JSON, begins at the line ``go``, and ends with its input.
"""

import asyncio
import json
import re
import resource
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from streams import codec
from streams.broker import Broker
from streams.envelope import Record
from streams.fleet.desk import Plan, published
from streams.fleet.faust_worker import RAW, FaustSettings, FaustWorker, app_from
from streams.fleet.worker import FleetWorker, WorkerSettings
from streams.fold.state import DeviceState, blob_from_state, state_from_blob
from streams.refold import fold_or_park, recorded
from streams.topics import DEVICE_EVENTS, OUTCOMES, Topic, device_events, site_of

TELL_S: Final = 0.05
TABLE: Final = "states"


@dataclass
class Meter:
    """What a peer has done so far, and where our worker's time went."""

    stopped: asyncio.Event
    gate: asyncio.Event
    sites: int = 0
    rows: int = 0
    sections: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Count the seconds spent inside."""
        started = time.perf_counter()
        yield
        self.sections[name] = self.sections.get(name, 0.0) + time.perf_counter() - started

    async def tell(self) -> None:
        """Say how far it is whenever that has changed."""
        said = (-1, -1)
        while True:
            if said != (self.sites, self.rows):
                said = (self.sites, self.rows)
                line = {"sites": self.sites, "rows": self.rows, "at": time.monotonic(), "cpu": time.process_time()}
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                sys.stdout.write(json.dumps({**line, "memory_mb": memory, "sections": self.sections}) + "\n")
                sys.stdout.flush()
            await asyncio.sleep(TELL_S)


class TimedWorker(FleetWorker):
    """The worker as it is, with a gate before it and a clock around its parts."""

    def __init__(self, settings: WorkerSettings, meter: Meter) -> None:
        super().__init__(settings)
        self._meter = meter

    async def _turn(self) -> None:
        self._meter.sites = len(self._desks)
        if not self._meter.gate.is_set():
            await asyncio.sleep(TELL_S)
            return
        await super()._turn()

    def _taken(self, plan: Plan, place: Any, records: list[Any]) -> bool:
        with self._meter.section("take"):
            return super()._taken(plan, place, records)

    async def _send(self, records: Iterable[tuple[str, Record]], *, by_site: bool = False) -> None:
        with self._meter.section("table" if by_site else "produce"):
            await super()._send(records, by_site=by_site)

    def _tell(self, plan: Plan) -> None:
        super()._tell(plan)
        self._meter.rows += sum(plan.counts.values())


class TimedFaustWorker(FaustWorker):
    """The Faust adapter as it is, with a gate and a counter."""

    def __init__(self, settings: FaustSettings, meter: Meter) -> None:
        super().__init__(settings)
        self._meter = meter
        meter.sites = len(settings.sites)

    async def _take(self, events: list[Any]) -> None:
        await self._meter.gate.wait()
        await super()._take(events)
        self._meter.rows += len(events)


class _Body(msgspec.Struct):
    event: msgspec.Raw


_body: Final = msgspec.json.Decoder(_Body)


def folded(states: Any, key: Any, value: bytes) -> list[tuple[str, Record]]:
    """Do the least that any worker must: decode the event, fold it, encode its outcomes."""
    event = codec.decode_event(bytes(_body.decode(value).event))
    step = fold_or_park(states.get(key) or DeviceState(event.device), event)
    states[key] = step.state
    at = event.recorded_at.isoformat()
    return [published(outcome, at=at) for outcome in recorded(event, step.outcomes)]


async def bare(broker: Broker, group: str, batch: int, meter: Meter) -> None:
    """Consume, fold, produce and commit with aiokafka and nothing else: states only in memory, nothing checked."""
    consumer = AIOKafkaConsumer(
        **broker.options(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
    )
    producer = AIOKafkaProducer(**broker.options(), acks="all", enable_idempotence=True, linger_ms=5)
    consumer.subscribe(pattern=f"^{re.escape(DEVICE_EVENTS)}")
    states: dict[bytes, DeviceState] = {}
    await producer.start()
    await consumer.start()
    while not meter.stopped.is_set():
        meter.sites = len(consumer.assignment())
        if not meter.gate.is_set():
            await asyncio.sleep(TELL_S)
            continue
        came = [
            record
            for records in (await consumer.getmany(timeout_ms=200, max_records=batch)).values()
            for record in records
        ]
        sent = []
        for record in came:
            for topic, (key, value, headers) in folded(states, record.key, record.value):
                sent.append(await producer.send(topic, value=value, key=key, headers=headers))
        for acknowledged in sent:
            await acknowledged
        if came:
            await consumer.commit()
            meter.rows += len(came)
    await consumer.stop()
    await producer.stop()


class TableOfStates:
    """States in a table of Faust's, which holds bytes; decoded ones are kept, to be fair."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._decoded: dict[bytes, DeviceState] = {}

    def get(self, key: bytes) -> DeviceState | None:
        """Return a device's state."""
        if key not in self._decoded and key in self._table:
            self._decoded[key] = state_from_blob(self._table[key])
        return self._decoded.get(key)

    def __setitem__(self, key: bytes, state: DeviceState) -> None:
        self._decoded[key] = state
        self._table[key] = blob_from_state(state)


def changelog(group: str) -> Topic:
    """Return the topic of the plain Faust agent's table."""
    return Topic(f"{group}-{TABLE}-changelog", 1, {"cleanup.policy": "compact"})


async def plain_faust(broker: Broker, group: str, sites: tuple[str, ...], meter: Meter) -> None:
    """Fold one event after the other with a Table, as Faust's own guide has it; acknowledgements are not awaited."""
    app = app_from(broker, group)
    states = TableOfStates(app.Table(TABLE, **RAW))
    outputs = {name: app.topic(name, **RAW) for name in OUTCOMES.values()}

    async def work(stream: Any) -> None:
        await meter.gate.wait()
        async for event in stream.events():
            for topic, (key, value, headers) in folded(states, event.message.key, event.message.value):
                await outputs[topic].send(key=key, value=value, headers=headers)
            meter.rows += 1

    app.agent(app.topic(*map(device_events, sites), **RAW))(work)
    await app.start()
    while not meter.stopped.is_set():
        meter.sites = sum(site_of(place.topic) is not None for place in app.consumer.assignment())
        await asyncio.sleep(TELL_S)


def peer(kind: str, broker: Broker, group: str, sites: tuple[str, ...], meter: Meter) -> Coroutine[Any, Any, None]:
    """Return what runs a kind of worker."""
    kinds: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "worker": lambda: TimedWorker(WorkerSettings(broker, group), meter).run(meter.stopped),
        "bare": lambda: bare(broker, group, 2_000, meter),
        "faust": lambda: plain_faust(broker, group, sites, meter),
        "adapter": lambda: TimedFaustWorker(FaustSettings(broker, sites, group), meter).run(meter.stopped),
    }
    return kinds[kind]()


async def _main(kind: str, servers: str, group: str, *sites: str) -> None:
    meter = Meter(asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                loop.call_soon_threadsafe(meter.gate.set)
        loop.call_soon_threadsafe(meter.stopped.set)

    threading.Thread(target=listen, daemon=True).start()
    telling = asyncio.create_task(meter.tell())
    work = asyncio.create_task(peer(kind, Broker(servers), group, sites, meter))
    await asyncio.wait([work, asyncio.create_task(meter.stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
