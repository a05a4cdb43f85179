"""What is published, as it happens: from a place of the site's log on, in pieces, until there is a reason to end."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import structlog
from litestar.concurrency import sync_to_thread
from litestar.response import ServerSentEventMessage

from dashboards.access.permit import Permit
from dashboards.context import Console
from publishing.published import Batch, Notice, Place, PublishedLog, Selection, cloud_event

RETRY_MS: Final = 3000
"""After how long who was cut off comes back."""

AT_ONCE: Final = 50
"""Notices that are held for a stream."""

SPAN: Final = 20_000
"""Events of the log that one look goes through: the others' turn comes soon, however far back somebody begins."""

CATCH_UP_S: Final = 3600.0
"""So long may it take to tell what there is."""

Begin = tuple[Place, str]
"""A place and its mark."""

_log = structlog.get_logger("dashboards.api")


class EventStream:
    """One caller's stream.

    Parameters
    ----------
    console
        The site.
    log
        What is published.
    news
        Set whenever it is time to look.
    permit
        What must stand for it to go on.
    lasts_s
        It ends after so long; 0: when it has told what there is.
    """

    def __init__(
        self,
        console: Console,
        log: PublishedLog,
        news: asyncio.Event,
        permit: Permit,
        lasts_s: float,
    ) -> None:
        self._console = console
        self._log = log
        self._news = news
        self._permit = permit
        self._lasts_s = lasts_s
        self._begun = self._checked = self._said = time.monotonic()

    async def after(self, begin: Begin, selection: Selection) -> AsyncIterator[ServerSentEventMessage]:
        """Yield what is published behind a place, signs of life between, and last the reason of the end.

        Signs of life name the place that was reached: who is cut off before the first event, or in a long time without
        one, comes back to there.
        """
        place, mark = begin
        yield self._sign("begins", mark, retry_ms=RETRY_MS)
        while True:
            self._news.clear()
            try:
                batch, reached = await self._read(place, mark, selection)
            except sqlite3.Error as error:
                _log.error("stream_cannot_read", error=type(error).__name__)
                yield self._sign("ends: the log cannot be read now", mark)
                return
            for notice in batch.notices:
                if reason := await self._ended(is_up_to_date=False):
                    yield self._sign(f"ends: {reason}", mark)
                    return
                yield message(notice)
                mark, self._said = notice.mark, time.monotonic()
            is_up_to_date, place, mark = batch.reached == place, batch.reached, reached
            if reason := await self._ended(is_up_to_date=is_up_to_date):
                yield self._sign(f"ends: {reason}", mark)
                return
            if time.monotonic() - self._said >= self._console.settings.heartbeat_s:
                yield self._sign("goes on", mark)
            if is_up_to_date:
                await self._wait()

    async def _read(self, place: Place, mark: str, selection: Selection) -> tuple[Batch, str]:
        """Return what comes next, and the mark of the place that is then reached.

        One stream at a time: many that begin long ago must not take all the threads that answer everybody.
        """

        def read() -> tuple[Batch, str]:
            batch = self._log.after(place, selection, AT_ONCE, span=SPAN)
            return batch, mark if batch.reached == place else self._log.mark(batch.reached)

        async with self._console.live.looking:
            return await sync_to_thread(read)

    def _sign(self, words: str, mark: str, retry_ms: int | None = None) -> ServerSentEventMessage:
        """Return a comment that names a place: an event without data, which readers do not see and remember."""
        self._said = time.monotonic()
        return ServerSentEventMessage(data=None, comment=words, id=mark, retry=retry_ms)

    async def _ended(self, *, is_up_to_date: bool) -> str:
        """Return why it is over, blank if it is not; who asked for no time at all gets what there is."""
        now = time.monotonic()
        if not self._console.live.is_open:
            return "the site stops; come back"
        if now - self._begun >= (self._lasts_s or (0.0 if is_up_to_date else CATCH_UP_S)):
            return "its time is over; come back"
        if now - self._checked >= self._console.settings.streams.checked_every_s:
            self._checked = now
            if not await self._permit.stands():
                return "the credential does not suffice any more"
        return ""

    async def _wait(self) -> None:
        """Wait for news, a sign of life that is due, or a look at the credential or the time that is."""
        settings = self._console.settings
        due = min(
            self._said + settings.heartbeat_s,
            self._checked + settings.streams.checked_every_s,
            self._begun + self._lasts_s,
        )
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(0.0, due - time.monotonic()))


def message(notice: Notice) -> ServerSentEventMessage:
    """Return a notice as a server-sent event."""
    return ServerSentEventMessage(data=cloud_event(notice), event=notice.type, id=notice.mark)
