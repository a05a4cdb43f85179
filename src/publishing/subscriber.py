"""Follows the site's log for one subscriber: queues what is published, delivers what is queued, in a thread of its own.

Nothing of the site waits for it. Each device's messages go in the log's order; one that a receiver does not take now
stops its own device alone, a receiver that is away stops all.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from publishing import metrics
from publishing.delivery import Channel, ComposeError, Delivered, Delivery, Message, Postponed, Refused, Result
from publishing.published import Notice, Place, PublishedLog, Selection
from publishing.queue import Entry, Queue, Reached
from publishing.settings import Subscription

BATCH: Final = 200
MOST_WAITING: Final = 5_000
"""More are not queued: the log keeps them."""
TICK_S: Final = 1.0
STOP_S: Final = 15.0
MOST_WAIT_S: Final = 24 * 3600.0
"""A receiver that asks to be left alone for longer is tried after this long."""
FORKED: Final = "the record here is another one than it was told of: `bonewatch publish replay` says where to go on"


@dataclass
class Patience:
    """When to try again: later each time, never in step with other sites."""

    first_s: float
    most_s: float
    tries: int = 0
    until: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self.until

    def failed(self, at_least_s: float) -> None:
        """Wait longer than the last time, and as long as the receiver asks."""
        self.tries += 1
        wait_s = min(self.most_s, self.first_s * 2 ** min(self.tries - 1, 30))
        wait_s *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self.until = time.monotonic() + max(wait_s, min(at_least_s, MOST_WAIT_S))


class Subscriber:
    """Tells one receiver; `start` it, `stop` it.

    Parameters
    ----------
    settings
        Of the subscription.
    selection
        What of the log it is told of.
    channel
        How it is told; closed with the subscriber.
    data_dir
        Where the queue lies.
    log
        The site log's file.
    """

    def __init__(
        self,
        settings: Subscription,
        selection: Selection,
        channel: Channel,
        *,
        data_dir: Path,
        log: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._selection, self._channel = settings, selection, channel
        self._data_dir, self._log_path, self._clock = data_dir, log, clock
        self._whole = self._patience()
        self._devices: dict[str, Patience] = {}
        self._looked_to: tuple[Reached, Place] | None = None
        self._said = self._fault = ""
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._logger: Any = structlog.get_logger("publishing").bind(subscription=settings.name)
        self._thread = threading.Thread(target=self._run, name=f"publish-{settings.name}", daemon=True)

    def start(self) -> None:
        """Begin: a new subscription with what happens from now on, another where it stopped."""
        with Queue(self._data_dir) as queue, PublishedLog(self._log_path) as log:
            queue.begin(self._settings.name, Reached(log.log_id, log.end()))
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something new; otherwise it looks every second."""
        self._wake.set()

    def stop(self) -> None:
        """End after the message that is on its way; what waits stays in the queue."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    with Queue(self._data_dir) as queue, PublishedLog(self._log_path) as log:
                        self._follow(queue, log)
                except Exception as error:  # noqa: BLE001 - whatever it is, log and queue have everything
                    self._failed(error)
        finally:
            self._channel.close()

    def _failed(self, error: Exception) -> None:
        if self._fault != type(error).__name__:
            self._fault = type(error).__name__
            why = str(error) if isinstance(error, sqlite3.Error) else ""
            self._logger.error("publishing_fails", error=self._fault, why=why)
        self._stopping.wait(self._settings.retry_s)

    def _follow(self, queue: Queue, log: PublishedLog) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            is_busy = self._take_in(queue, log)
            is_busy |= self._deliver_due(queue)
            self._show(queue)
            if self._fault:
                self._fault = ""
                self._logger.info("publishing_again")
            if not is_busy:
                self._wake.wait(min(TICK_S, self._settings.retry_s))

    # --- taking in -----------------------------------------------------------------------------------------

    def _take_in(self, queue: Queue, log: PublishedLog) -> bool:
        """Queue what is new, one batch of it; return whether there was any."""
        name = self._settings.name
        reached = queue.reached(name)
        is_forked = reached.log_id != log.log_id or reached.place.position > log.end().position
        metrics.FORKED.labels(name).set(is_forked)
        if is_forked:
            self._say(queue, FORKED)
            return False
        if queue.standing(name).waiting >= MOST_WAITING:
            return False
        is_known = self._looked_to is not None and self._looked_to[0] == reached
        place = self._looked_to[1] if self._looked_to is not None and is_known else reached.place
        batch = log.after(place, self._selection, BATCH)
        self._looked_to = (reached, batch.reached)
        if not batch.notices:
            return False  # it is not worth a write to have looked where nothing was
        entries = [entry for notice in batch.notices for entry in self._entries(notice)]
        queue.add(name, entries, before=reached, reached=batch.reached, now=self._clock())
        return True

    def _entries(self, notice: Notice) -> list[Entry]:
        try:
            return [Entry(notice, message) for message in self._channel.compose(notice)]
        except ComposeError as error:
            self._logger.warning("message_not_composed", why=str(error), position=notice.place.position)
            metrics.DIED.labels(self._settings.name).inc()
            return [Entry(notice, Message(notice.id, b""), str(error))]

    # --- delivering ----------------------------------------------------------------------------------------

    def _deliver_due(self, queue: Queue) -> bool:
        """Send each device's first message; return whether any was taken."""
        is_busy = False
        for delivery in queue.heads(self._settings.name):
            if self._stopping.is_set() or not self._whole.is_over:
                break
            patience = self._devices.setdefault(delivery.device, self._patience())
            if patience.is_over:
                is_busy |= self._settle(queue, delivery, self._channel.deliver(delivery), patience)
        return is_busy

    def _settle(self, queue: Queue, delivery: Delivery, result: Result, patience: Patience) -> bool:
        name = self._settings.name
        if isinstance(result, Postponed):
            metrics.RETRIED.labels(name).inc()
            queue.failed(delivery.id, result.why)
            (self._whole if result.everything else patience).failed(result.wait_s)
            self._give_up(queue, result, delivery)
            self._say(queue, result.why)
            return False
        self._whole = self._patience()
        self._devices.pop(delivery.device, None)
        match result:
            case Delivered():
                queue.delivered(name, delivery.id, now=self._clock())
                metrics.DELIVERED.labels(name).inc()
                if not self._devices or all(other.is_over for other in self._devices.values()):
                    self._say(queue, "")
            case Refused(why):
                queue.died(delivery.id, why)
                metrics.DIED.labels(name).inc()
                self._logger.error("message_refused", why=why, message=delivery.message_id)
        return True

    def _give_up(self, queue: Queue, result: Postponed, delivery: Delivery) -> None:
        """Make dead letters of what has waited too long."""
        hours = self._settings.give_up_hours
        device = None if result.everything else delivery.device
        why = f"given up after {hours:g} h: {result.why}"
        count = queue.expire(self._settings.name, why, queued_before=self._clock() - hours * 3600.0, device=device)
        if count:
            metrics.DIED.labels(self._settings.name).inc(count)
            self._logger.error("messages_given_up", count=count, why=result.why)

    # --- saying --------------------------------------------------------------------------------------------

    def _say(self, queue: Queue, why: str) -> None:
        """Say trouble once for as long as it is the same, and that it is over."""
        if why == self._said:
            return
        self._said = why
        queue.say_trouble(self._settings.name, why)
        if why:
            self._logger.warning("subscription_in_trouble", why=why)
        else:
            self._logger.info("subscription_well_again")

    def _show(self, queue: Queue) -> None:
        standing = queue.standing(self._settings.name)
        oldest = standing.oldest_queued_at
        metrics.WAITING.labels(standing.name).set(standing.waiting)
        metrics.DEAD.labels(standing.name).set(standing.dead)
        metrics.LAG.labels(standing.name).set(0.0 if oldest is None else max(0.0, self._clock() - oldest))

    def _patience(self) -> Patience:
        return Patience(self._settings.retry_s, self._settings.retry_max_s)
