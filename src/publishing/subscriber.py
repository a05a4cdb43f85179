"""Follows the site's log for one subscriber: queues what is published, delivers what is queued, in a thread of its own.

Nothing of the site waits for it. Each device's messages go in the log's order; one that a receiver does not take now
stops its own device alone, a receiver that is away stops all.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from publishing import metrics
from publishing.delivery import Channel, ComposeError, Delivered, Delivery, Message, Postponed, Refused, Result
from publishing.published import Notice, Place, PublishedLog, Reached, Selection
from publishing.queue import Entry, Queue
from publishing.settings import Subscription
from streams.patience import Patience
from streams.sqlite_log import LogError

BATCH: Final = 200
MOST_WAITING: Final = 5_000
"""More are not queued: the log keeps them."""
MOST_BEHIND: Final = 50_000
"""Where a receiver takes nothing of some devices, so many: what lies behind in the log is of others, too."""
MOST_DEAD: Final = 10_000
"""The oldest dead letters beyond go: the log keeps them, too."""
SPAN: Final = 20_000
"""Events of the log that are looked through at once: a long log leaves the rest of the process its turns."""
STRIDE: Final = 500
"""Events in which nothing was published after which that is noted: looking again costs more than a write."""
TICK_S: Final = 1.0
STOP_S: Final = 15.0
JITTER: Final = 0.5
MOST_WAIT_S: Final = 24 * 3600.0
"""A receiver that asks to be left alone for longer is tried after this long."""
FORKED: Final = "the record here is another one than it was told of: `bonewatch publish replay` says where to go on"


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
        for counter in (metrics.DELIVERED, metrics.RETRIED, metrics.DIED):
            counter.labels(settings.name)  # 0 until something happens, not absent
        self._thread = threading.Thread(target=self._run, name=f"publish-{settings.name}", daemon=True)

    def start(self) -> None:
        """Begin: a new subscription with what happens from now on, another where it stopped.

        Trouble with queue or log is said and tried again; a site starts without those it would tell.
        """
        try:
            with Queue(self._data_dir) as queue, PublishedLog(self._log_path) as log:
                self._begin(queue, log)
        except (OSError, sqlite3.Error, LogError) as error:
            self._failed(error)
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something new; otherwise it looks every second."""
        self._wake.set()

    def end(self) -> None:
        """Ask it to end after the message that is on its way; what waits stays in the queue."""
        self._stopping.set()
        self._wake.set()

    def stop(self, within_s: float = STOP_S) -> None:
        """End, and wait until it has; no longer than this, for what is on its way is sent again in any case."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    with Queue(self._data_dir) as queue, PublishedLog(self._log_path) as log:
                        self._follow(queue, log)
                except Exception as error:  # noqa: BLE001 - whatever it is, log and queue have everything
                    self._failed(error)
                    self._stopping.wait(self._settings.retry_s)
        finally:
            self._channel.close()

    def _failed(self, error: Exception) -> None:
        metrics.TROUBLE.labels(self._settings.name).set(1)
        if self._fault != type(error).__name__:
            self._fault = type(error).__name__
            why = str(error) if isinstance(error, OSError | sqlite3.Error | LogError) else ""
            self._said = f"the site cannot tell it anything: {why or self._fault}"
            self._logger.error("publishing_fails", error=self._fault, why=why)

    def _begin(self, queue: Queue, log: PublishedLog) -> None:
        queue.begin(self._settings.name, log.reached(log.end()))

    def _follow(self, queue: Queue, log: PublishedLog) -> None:
        self._begin(queue, log)
        queue.say_trouble(self._settings.name, self._said)
        while not self._stopping.is_set():
            self._wake.clear()
            is_busy = self._go_on(queue, log)
            self._show(queue)
            if self._fault:
                self._fault = ""
                metrics.TROUBLE.labels(self._settings.name).set(bool(self._said))
                self._logger.info("publishing_again")
            if not is_busy:
                self._wake.wait(min(TICK_S, self._settings.retry_s))

    def _go_on(self, queue: Queue, log: PublishedLog) -> bool:
        """Take in what is new and deliver what is due; nothing of either where the log is another one."""
        reached = queue.reached(self._settings.name)
        is_forked = not log.holds(reached)
        metrics.FORKED.labels(self._settings.name).set(is_forked)
        if is_forked:
            self._say(queue, FORKED)
            return False
        is_busy = self._take_in(queue, log, reached)
        return self._deliver_due(queue) or is_busy

    # --- taking in -----------------------------------------------------------------------------------------

    def _take_in(self, queue: Queue, log: PublishedLog, reached: Reached) -> bool:
        """Queue what is new, one batch of it; return whether there may be more."""
        name = self._settings.name
        is_partly_stuck = not self._whole.tries and any(patience.tries for patience in self._devices.values())
        if queue.standing(name).waiting >= (MOST_BEHIND if is_partly_stuck else MOST_WAITING):
            return False
        place = self._looked_to[1] if self._looked_to and self._looked_to[0] == reached else reached.place
        batch = log.after(place, self._selection, BATCH, span=SPAN)
        is_more = bool(batch.notices) or batch.reached < log.end()
        if not batch.notices:  # only then: news that could not be queued is looked for again
            self._looked_to = (reached, batch.reached)
            if batch.reached.position < reached.place.position + STRIDE:
                return is_more
        entries = [entry for notice in batch.notices for entry in self._entries(notice)]
        queue.add(name, entries, before=reached, reached=log.reached(batch.reached), now=self._clock())
        return is_more

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
        is_busy, heads = False, queue.heads(self._settings.name)
        waiting = {delivery.device for delivery in heads}
        self._devices = {device: patience for device, patience in self._devices.items() if device in waiting}
        for delivery in heads:
            if self._stopping.is_set() or not self._whole.is_over:
                break
            patience = self._devices.setdefault(delivery.device, self._patience())
            if patience.is_over:
                is_busy |= self._settle(queue, delivery, self._channel.deliver(delivery), patience)
        if not self._whole.tries and not any(patience.tries for patience in self._devices.values()):
            self._say(queue, "")
        return is_busy

    def _settle(self, queue: Queue, delivery: Delivery, result: Result, patience: Patience) -> bool:
        name = self._settings.name
        if isinstance(result, Postponed):
            metrics.RETRIED.labels(name).inc()
            queue.failed(delivery.id, result.why)
            (self._whole if result.everything else patience).failed(min(result.wait_s, MOST_WAIT_S))
            self._give_up(queue, result, delivery)
            self._say(queue, result.why)
            return False
        self._whole.succeeded()
        self._devices.pop(delivery.device, None)
        match result:
            case Delivered():
                queue.delivered(name, delivery.id, now=self._clock())
                metrics.DELIVERED.labels(name).inc()
            case Refused(why):
                queue.died(delivery.id, why)
                self._buried(queue, 1)
                self._logger.error("message_refused", why=why, message=delivery.message_id)
        return True

    def _give_up(self, queue: Queue, result: Postponed, delivery: Delivery) -> None:
        """Make dead letters of what has waited too long."""
        hours = self._settings.give_up_hours
        device = None if result.everything else delivery.device
        why = f"given up after {hours:g} h: {result.why}"
        count = queue.expire(self._settings.name, why, queued_before=self._clock() - hours * 3600.0, device=device)
        if count:
            self._buried(queue, count)
            self._logger.error("messages_given_up", count=count, why=result.why)

    def _buried(self, queue: Queue, count: int) -> None:
        metrics.DIED.labels(self._settings.name).inc(count)
        if gone := queue.forget_dead(self._settings.name, MOST_DEAD):
            self._logger.warning("dead_letters_dropped", count=gone, kept=MOST_DEAD)

    # --- saying --------------------------------------------------------------------------------------------

    def _say(self, queue: Queue, why: str) -> None:
        """Say trouble once for as long as it is the same, and that it is over."""
        if why == self._said:
            return
        self._said = why
        metrics.TROUBLE.labels(self._settings.name).set(bool(why))
        queue.say_trouble(self._settings.name, why)
        if why:
            self._logger.warning("subscription_in_trouble", why=why)
        else:
            self._logger.info("subscription_well_again")

    def _show(self, queue: Queue) -> None:
        standing = queue.standing(self._settings.name)
        if standing.trouble != self._said:  # a replay, of another process, has taken it for over
            queue.say_trouble(standing.name, self._said)
        oldest = standing.oldest_queued_at
        metrics.WAITING.labels(standing.name).set(standing.waiting)
        metrics.DEAD.labels(standing.name).set(standing.dead)
        metrics.LAG.labels(standing.name).set(0.0 if oldest is None else max(0.0, self._clock() - oldest))

    def _patience(self) -> Patience:
        return Patience(self._settings.retry_s, self._settings.retry_max_s, JITTER)
