"""Sends what is queued: a thread for each channel, so that one that is dead delays no other.

Each person's messages on a channel go in their order; one in vain is tried again later, and the person's next channel
is asked meanwhile.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from alerts import metrics
from alerts.channels import Channel, Outgoing
from alerts.deliveries import Waiting
from alerts.links import Links
from alerts.policy import NoteReason
from alerts.queue import Queue
from alerts.settings import DeliverySettings
from streams.patience import doubled_s

TICK_S: Final = 1.0
STOP_S: Final = 15.0
ANSWERED: Final = frozenset({NoteReason.RAISED, NoteReason.NEWS, NoteReason.ESCALATED})
"""What somebody can take on; an end or a digest asks nobody to."""
LATE_S: Final = 300.0
"""A message that waited longer says so."""


class Deliverer:
    """Delivers for every channel of a site; `start` it, `stop` it.

    Parameters
    ----------
    queue
        What waits, and what became of it.
    channels, addresses
        By name, and by the person's name.
    settings
        How long is tried.
    links
        Makes the link of a message.
    clock
        The aware time now.
    """

    def __init__(
        self,
        queue: Queue,
        channels: Mapping[str, Channel],
        addresses: Mapping[str, str],
        settings: DeliverySettings,
        links: Links,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._queue, self._channels, self._addresses = queue, channels, addresses
        self._settings, self._links, self._clock = settings, links, clock
        self._under_way: set[str] = set()
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._wakes = {name: threading.Event() for name in channels}
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"alerts-{name}", daemon=True) for name in channels
        ]
        self._logger: Any = structlog.get_logger("alerts")
        metrics.begin()

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that there is something new; otherwise it looks every second."""
        for event in self._wakes.values():
            event.set()

    def stop(self, within_s: float = STOP_S) -> None:
        """End after the messages that are on their way; what waits stays in the queue."""
        self._stopping.set()
        self.wake()
        until = time.monotonic() + within_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def deliver(self, channel: str) -> int:
        """Try everything that is due on a channel once; return how many messages went."""
        now, went = self._clock().timestamp(), 0
        for waiting in self._queue.due(channel, now, most_wait_s=self._settings.retry_max_s):
            if self._stopping.is_set():
                break
            if self._claim(waiting.note):
                try:
                    went += self._send(waiting)
                finally:
                    self._under_way.discard(waiting.note)
        return went

    def _claim(self, note: str) -> bool:
        """Take a note in hand; False where another channel is sending it: one is enough for its person."""
        with self._lock:
            if note in self._under_way:
                return False
            self._under_way.add(note)
            return True

    def _send(self, waiting: Waiting) -> bool:
        if not self._queue.still_waits(waiting.seq):
            return False  # another channel has told the person since
        now = self._clock()
        address = self._addresses.get(waiting.person, "")
        text = worded(waiting, self._links, now)
        why = self._channels[waiting.channel].send(
            Outgoing(waiting.person, address, waiting.subject, text, waiting.urgent)
        )
        if not why:
            self._queue.sent(waiting.seq, self._clock().timestamp())
            metrics.NOTES.labels(metrics.SENT).inc()
            self._logger.info("alert_told", channel=waiting.channel, note=waiting.note, tries=waiting.tries + 1)
            return True
        self._failed(waiting, why)
        return False

    def _failed(self, waiting: Waiting, why: str) -> None:
        settings, now = self._settings, self._clock().timestamp()
        gives_up = now - waiting.queued_at > settings.give_up_hours * 3600.0
        next_try = now + doubled_s(settings.retry_s, waiting.tries + 1, settings.retry_max_s)
        self._queue.failed(waiting.seq, why, next_try=next_try, gives_up=gives_up)
        metrics.NOTES.labels(metrics.GIVEN_UP if gives_up else metrics.RETRIED).inc()
        self._logger.warning(
            "alert_not_told", channel=waiting.channel, note=waiting.note, why=why, tries=waiting.tries + 1
        )
        for name, event in self._wakes.items():
            if name != waiting.channel:
                event.set()  # the person's next channel

    def _run(self, channel: str) -> None:
        while not self._stopping.is_set():
            self._wakes[channel].clear()
            try:
                went = self.deliver(channel)
            except (OSError, sqlite3.Error) as error:
                self._logger.warning("alert_queue_fails", channel=channel, error=type(error).__name__)
                self._stopping.wait(self._settings.retry_s)
                continue
            if not went:
                self._wakes[channel].wait(TICK_S)


def worded(waiting: Waiting, links: Links, now: datetime) -> str:
    """Return a message's text as it goes out: with the link that acknowledges, and with its delay where it had one."""
    parts = [waiting.text.rstrip()]
    link = links.link(waiting.note, waiting.person, now) if waiting.reason in ANSWERED else ""
    if link:
        parts.append(f"I am dealing with it: {link}")
    late_s = now.timestamp() - waiting.queued_at
    if late_s > LATE_S:
        minutes = f"{late_s / 60:.0f} minutes"
        parts.append(
            f"This message waited {minutes}: it could not be delivered before. The board shows what holds now."
        )
    return "\n\n".join(parts) + "\n"
