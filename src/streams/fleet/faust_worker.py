"""A fleet worker on Faust, behind the same desk as the plain one; **not for service**: it loses outcomes.

It stands here to be measured against and to be looked at again when Faust changes. What it does wrong is held by
``tests/integration/test_faust_worker.py``, why the plain group was chosen is told in ``docs/fleet-spike.md``:

- Offsets are committed past events that were never acknowledged: what an exception interrupts never comes again.
- Topics by pattern are not followed, so the sites are a list, and a new one needs a restart.
- Partition p of every topic lies on one worker. A site's topic has one partition, so one worker does all the work.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust
import structlog

from streams.broker import Broker
from streams.envelope import Record
from streams.fleet.desk import TOMBSTONE, Plan, SiteDesk
from streams.fleet.refolding import fold_anew
from streams.fleet.topic_reader import partitions_of, restored, table_partition
from streams.topics import MAX_RECORD_BYTES, WORKER_STATES, device_events, site_of

GROUP: Final = "bonewatch-fleet-faust"
BATCH: Final = 2_000
WITHIN_S: Final = 0.1
SESSION_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
LINGER_S: Final = 0.005
RAW: Final = {"key_type": bytes, "value_type": bytes}
"""Bytes as they come: what they mean is the desk's affair."""


@dataclass(frozen=True, slots=True)
class FaustSettings:
    """How a Faust worker joins its group, and the sites it works on."""

    broker: Broker
    sites: tuple[str, ...]
    group: str = GROUP
    batch: int = BATCH


def app_from(broker: Broker, group: str, **settings: Any) -> Any:
    """Return a Faust application as a fleet worker needs it: no web server, no topics of its own making."""
    options = broker.options()
    credentials: Any = None
    if broker.username is not None:
        credentials = faust.SASLCredentials(
            mechanism=options["sasl_mechanism"],
            username=broker.username,
            password=broker.password,
            ssl_context=options.get("ssl_context"),
        )
    elif broker.ca_file is not None:
        credentials = faust.SSLCredentials(options["ssl_context"])
    return faust.App(
        group,
        broker=[f"kafka://{server}" for server in options["bootstrap_servers"]],
        broker_credentials=credentials,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        key_serializer="raw",
        value_serializer="raw",
        producer_acks=-1,
        producer_linger=LINGER_S,
        producer_max_request_size=2 * MAX_RECORD_BYTES,
        store="memory://",
        datadir=str(Path(tempfile.gettempdir()) / group),  # it makes one, though nothing of ours is kept in it
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        **settings,
    )


class FaustWorker:
    """One worker over a list of sites, in the order of DESIGN 6.2 as far as Faust keeps it.

    The table is the plain worker's own topic, not one of Faust's: batches need ``use_partitioner=True`` there, and
    then the first write fails in a producer that has not heard of the changelog (even when that was made before).
    """

    def __init__(self, settings: FaustSettings) -> None:
        self._settings = settings
        self._app = app_from(settings.broker, settings.group)
        self._desks: dict[str, SiteDesk] = {}
        self._logger = structlog.get_logger("streams.fleet.faust")
        sources = [device_events(site) for site in settings.sites]
        self._app.agent(self._app.topic(*sources, **RAW))(self._work)
        self._app.on_partitions_revoked.connect(self._forget)

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until stopped, or until Faust gives up."""
        self._partitions = await partitions_of(self._settings.broker, WORKER_STATES)
        await self._app.start()
        try:
            await self._app.wait(stopped)
        finally:
            await self._app.stop()

    async def _work(self, stream: Any) -> None:
        async for events in _batches(stream, self._settings.batch):
            try:
                await self._take(events)
            except BaseException:
                self._desks.clear()  # they know what was never published
                raise
            for event in events:
                event.ack()

    async def _take(self, events: list[Any]) -> None:
        """Take in one batch: outcomes, then table."""
        plan = Plan()
        await self._restore({site_of(event.message.topic) or "" for event in events})
        for event in events:
            said = event.message
            self._desks[site_of(said.topic) or ""].take(
                plan, said.key, said.value, list(said.headers), offset=said.offset
            )
        for device, log_id in plan.gaps.items():
            desk = self._desks[device.partition("/")[0]]
            await fold_anew(self._settings.broker, desk, plan, {device: log_id}, lambda: self._publish_outcomes(plan))
        await self._publish_outcomes(plan)
        await self._send(plan.records(), by_site=True)

    async def _publish_outcomes(self, plan: Plan) -> None:
        await self._send([*plan.outcomes, *plan.reads])
        plan.outcomes, plan.reads = [], []

    async def _restore(self, sites: Iterable[str]) -> None:
        """Read the devices of sites that are new here from the table."""
        new = [site for site in sites if site not in self._desks]
        if new:
            known = await restored(self._settings.broker, new, self._partitions)
            self._desks |= {site: SiteDesk(site, *known[site]) for site in new}

    async def _send(self, records: Iterable[tuple[str, Record]], *, by_site: bool = False) -> None:
        """Send, and wait until the broker has it all."""
        sent = []
        for topic, (key, value, headers) in records:
            partition = table_partition(key, self._partitions) if by_site else None
            to = self._app.topic(topic, **RAW)
            content = None if value == TOMBSTONE else value
            sent.append(await to.send(key=key, value=content, headers=headers, partition=partition))
        await asyncio.gather(*sent)

    async def _forget(self, _sender: Any, _revoked: Any, **_kwargs: Any) -> None:
        """Let the desks go: the table says how things stand when the sites come back."""
        self._desks.clear()


def _batches(stream: Any, size: int) -> AsyncIterator[list[Any]]:
    """Return batches of events that Faust does not acknowledge by itself (what it says; see the module)."""
    batches: AsyncIterator[list[Any]] = stream.noack_take(size, within=WITHIN_S)
    return batches
