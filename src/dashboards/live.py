"""Live pages: commits of the site become small server-sent events; a slow page is told to refresh, never waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from streams.messages import GateChanged
from streams.site import Receipt, SitePort

MAX_PAGES: Final = 200
"""Live connections at once; more are told to come back later."""

BACKLOG: Final = 32
"""Messages kept for a page that does not read; then they become one `refresh`."""


class LiveMessage(msgspec.Struct, frozen=True):
    """An event for pages: `gate`, `device` (with its id), `alerts`, `refresh` or `heartbeat`."""

    event: str
    device_id: str = ""


REFRESH: Final = LiveMessage("refresh")
HEARTBEAT: Final = LiveMessage("heartbeat")
ALERTS: Final = LiveMessage("alerts")
_GOODBYE: Final = LiveMessage("goodbye")


class LiveHub:
    """Hands the site's commits from its writer's thread to the pages on the server's event loop."""

    def __init__(self, site: SitePort, heartbeat_s: float) -> None:
        self._site = site
        self._heartbeat_s = heartbeat_s
        self._queues: set[asyncio.Queue[LiveMessage]] = set()
        self._watchers: set[asyncio.Event] = set()
        self.looking = asyncio.Semaphore(1)
        """Held by a watcher while it looks what is new, so that they do it one after the other."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def pages(self) -> int:
        """How many pages are connected."""
        return len(self._queues)

    @property
    def watchers(self) -> int:
        """How many look for themselves whenever there is news."""
        return len(self._watchers)

    @property
    def is_open(self) -> bool:
        """Whether there will be news."""
        return self._loop is not None

    @property
    def full(self) -> bool:
        """Whether no more pages can connect."""
        return self.pages >= MAX_PAGES

    async def start(self) -> None:
        """Listen to the site; call on the server's event loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._site.subscribe(self._on_receipt)

    def close(self) -> None:
        """Stop listening and let every page's connection end; safe from any thread, and to call twice."""
        loop, self._loop = self._loop, None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._publish, [_GOODBYE])

    def alerts_changed(self) -> None:
        """Let pages read their alerts anew; safe from any thread, and returns at once."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._publish, [ALERTS])

    async def messages(self) -> AsyncIterator[LiveMessage]:
        """Yield a refresh, then what happens, with heartbeats between; ends when the hub closes."""
        queue: asyncio.Queue[LiveMessage] = asyncio.Queue(BACKLOG)
        self._queues.add(queue)
        try:
            yield REFRESH
            while self._loop is not None:
                try:
                    message = await asyncio.wait_for(queue.get(), self._heartbeat_s)
                except TimeoutError:
                    message = HEARTBEAT
                if message == _GOODBYE:
                    return
                yield message
        finally:
            self._queues.discard(queue)

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """Give what is set at each commit and when the hub closes, for who then looks for itself what is new."""
        news = asyncio.Event()
        self._watchers.add(news)
        try:
            yield news
        finally:
            self._watchers.discard(news)

    def _on_receipt(self, receipt: Receipt) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        messages = {_message_of(recorded.device, recorded.outcome): None for recorded in receipt.outcomes}
        messages |= {LiveMessage("device", _id_of(event.device)): None for event in receipt.events}
        if messages:
            loop.call_soon_threadsafe(self._publish, list(messages))

    def _publish(self, messages: list[LiveMessage]) -> None:
        for news in self._watchers:
            news.set()
        for queue in self._queues:
            for message in messages:
                if queue.full():
                    while not queue.empty():
                        queue.get_nowait()
                    message = message if message == _GOODBYE else REFRESH  # noqa: PLW2901 - what was lost is re-read
                queue.put_nowait(message)


def _id_of(device: str) -> str:
    return device.rsplit("/", 1)[-1]


def _message_of(device: str, outcome: object) -> LiveMessage:
    return LiveMessage("gate" if isinstance(outcome, GateChanged) else "device", _id_of(device))
