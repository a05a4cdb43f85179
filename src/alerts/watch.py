"""Looks how things stand, at each commit of the site and every few seconds, and queues what people must be told.

It is a thread of its own: nothing of the site waits for it. Whatever fails in it is said on the console, and tried
again.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from msgspec.structs import replace

from alerts import metrics
from alerts.book import Book
from alerts.change import Change
from alerts.conditions import find
from alerts.deliverer import Deliverer
from alerts.deliveries import Route
from alerts.desk import Desk
from alerts.passing_on import pass_on
from alerts.policy import Note, step
from alerts.queue import Queue
from alerts.rota import Rota
from alerts.rules import AlertRules
from alerts.situation import Situation

TICK_S: Final = 15.0
"""How often it is looked at the latest."""
SOONEST_S: Final = 1.0
"""Commits that come faster are looked at together."""
REST: Final = 9.0
"""So many times as long as a look takes it rests: a tenth of a processor, whatever comes in."""
LONGEST_REST_S: Final = 5.0
"""And no longer than this: on a slow machine people are told in time all the same."""
NOTED: Final = timedelta(minutes=1)
"""How often a look that found nothing new is written down: it costs a write to the disk."""
STOP_S: Final = 15.0
SWEEP: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Plan:
    """What is told when, to whom, by which channels (by the person's name), and how long.

    What reaches nobody for `pass_on_after` goes to the next person; notes and history are kept for `kept`.
    """

    rules: AlertRules
    rota: Rota
    routes: Mapping[str, Route]
    pass_on_after: timedelta
    kept: timedelta


class Watch:
    """Runs the alerts of one site; `start` it, `stop` it.

    Parameters
    ----------
    queue, desk, deliverer
        Where alerts are kept, who hears of changes, and what sends; the deliverer is started and stopped with it.
    gather
        Says how things stand at an instant.
    plan
        Who is told what.
    """

    def __init__(
        self,
        queue: Queue,
        desk: Desk,
        deliverer: Deliverer,
        gather: Callable[[datetime], Situation],
        plan: Plan,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._queue, self._desk, self._deliverer, self._gather = queue, desk, deliverer, gather
        self._plan, self._clock = plan, clock
        self._swept_at: datetime | None = None
        self._news, self._stopping = threading.Event(), threading.Event()
        self._logger: Any = structlog.get_logger("alerts")
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to look and to deliver."""
        metrics.STEPPED.set(self._clock().timestamp())  # a look is due from now on
        self._deliverer.start()
        self._thread.start()

    def wake(self) -> None:
        """Say that something was committed; returns at once."""
        self._news.set()

    def stop(self) -> None:
        """End; what waits stays in the queue."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        self._deliverer.stop()

    def look(self) -> datetime | None:
        """Look once: derive, decide, queue; return when to look again at the latest, None: at the usual time."""
        at, plan = self._clock(), self._plan
        findings = find(self._gather(at), plan.rules)
        with self._queue.changing() as change:
            before = change.book
            result = step(before, findings, at, plan.rules, plan.rota)
            queued = sum(self._tell(change, note, at) for note in result.notes)
            if queued or _differs(before, result.book):
                change.keep(result.book, at.timestamp())
        passed = pass_on(self._queue, plan.rota, plan.routes, at, plan.pass_on_after)
        self._sweep(at)
        self._count(at, queued, passed)
        if queued or passed:
            self._deliverer.wake()
        if queued or passed or before.alerts != result.book.alerts:
            self._desk.tell()
        return result.next_at

    def _tell(self, change: Change, note: Note, at: datetime) -> bool:
        return change.tell(note, self._plan.routes.get(note.person, Route(())), at.timestamp())

    def _count(self, at: datetime, queued: int, passed: int) -> None:
        metrics.NOTES.labels(metrics.QUEUED).inc(queued)
        metrics.NOTES.labels(metrics.PASSED_ON).inc(passed)
        self._desk.count()
        metrics.STEPPED.set(at.timestamp())
        oldest = self._queue.oldest_waiting()
        metrics.OLDEST.set(0.0 if oldest is None else max(0.0, at.timestamp() - oldest))

    def look_safely(self) -> datetime | None:
        """Look once; what fails is said and counted, and looked at again at the usual time."""
        try:
            next_at = self.look()
        except Exception as error:  # noqa: BLE001 - alerts must go on, whatever one look ran into
            self._fail(error)
            return None
        self._well()
        return next_at

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            began = time.monotonic()
            next_at, wait_s = self.look_safely(), TICK_S
            rests_s = min(LONGEST_REST_S, max(SOONEST_S, REST * (time.monotonic() - began)))
            if next_at is not None:
                wait_s = min(TICK_S, max(SOONEST_S, (next_at - self._clock()).total_seconds()))
            self._news.wait(wait_s)
            self._stopping.wait(rests_s)

    def _fail(self, error: Exception) -> None:
        metrics.FAILED.inc()
        why = f"alerts are not looked for: {type(error).__name__}"
        if self._desk.failing != why:
            self._logger.error("alerts_fail", error=type(error).__name__, exc_info=error)
            self._desk.failing = why
            self._desk.tell()

    def _well(self) -> None:
        if self._desk.failing:
            self._logger.info("alerts_again")
            self._desk.failing = ""
            self._desk.tell()

    def _sweep(self, at: datetime) -> None:
        if self._swept_at is None or not timedelta() <= at - self._swept_at < SWEEP:
            self._swept_at = at
            self._queue.forget((at - self._plan.kept).timestamp())


def _differs(before: Book, after: Book) -> bool:
    """Whether a book says something new; merely having looked again is written down now and then."""
    if before.stepped_at is None or after.stepped_at is None:
        return before != after
    is_due = not timedelta() <= after.stepped_at - before.stepped_at < NOTED
    return is_due or replace(before, stepped_at=after.stepped_at) != after
