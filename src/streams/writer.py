"""The site's one writer: a thread that folds what is submitted and commits it in groups.

Each submission is folded against the state at its turn; the group's events, outcomes and states are written in one
transaction, and only then does any caller get an answer.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

from streams import codec
from streams.commands import Refusal
from streams.fold import FOLD_VERSION
from streams.fold.state import DeviceState
from streams.messages import Draft, Event, RecordedOutcome, TimeReached, event_id, type_name
from streams.refold import fold_or_park, recorded
from streams.site import EventConflictError, Receipt, SiteUnavailableError
from streams.sqlite_log import SqliteEventLog

GROUP: Final = 256
WAIT_S: Final = 30.0
RETRY_S: Final = 5.0
CLOCK_BACK: Final = timedelta(minutes=5)

EVENTS: Final = Counter("bonewatch_events_total", "Events committed to the site log.", ["type"])
DUPLICATES: Final = Counter("bonewatch_duplicate_events_total", "Events that were in the log before, unchanged.")
CONFLICTS: Final = Counter("bonewatch_conflicting_events_total", "Events refused: same identity, other content.")
PARKED: Final = Gauge("bonewatch_devices_parked", "Devices whose events are not understood.")
FOLD_SECONDS: Final = Histogram(
    "bonewatch_fold_seconds",
    "Fold of one group: what its events decide, before it is written.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0),
)
COMMIT_SECONDS: Final = Histogram(
    "bonewatch_commit_seconds",
    "Write and sync of one group.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0),
)
COMMIT_FAILURES: Final = Counter("bonewatch_commit_failures_total", "Groups that could not be committed.")

Answer = Receipt | Refusal


class Submission(NamedTuple):
    """One request to the writer; `work` makes drafts from the device's state at its turn, or refuses."""

    device: str | None
    work: Callable[[DeviceState, datetime], Sequence[Draft] | Refusal]
    future: "Future[Answer]"


class Group:
    """What one transaction will hold: written rows and the states they lead to, before they count."""

    def __init__(self, states: Mapping[str, DeviceState]) -> None:
        self._before = states
        self.states: dict[str, DeviceState] = {}
        self.rows: list[tuple[Event, tuple[RecordedOutcome, ...]]] = []
        self.contents: dict[str, tuple[str, bytes]] = {}

    def state(self, device: str) -> DeviceState:
        """Return a device's state as this group leaves it."""
        return self.states.get(device) or self._before.get(device) or DeviceState(device)


class SiteWriter:
    """Folds and commits; `states` are the committed ones, `healthy` says whether commits succeed.

    Parameters
    ----------
    log
        The open log; nobody else writes it.
    clock
        Returns now as aware UTC.
    """

    def __init__(self, log: SqliteEventLog, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._clock = clock
        self.states: dict[str, DeviceState] = {}
        self._healthy = False
        self.last_at = datetime.fromisoformat(log.last_recorded_at) if log.last_recorded_at else None
        self._latest_seen: datetime | None = None
        self._queue: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._listeners: tuple[Callable[[Receipt], None], ...] = ()
        self._opened = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="site-writer", daemon=True)
        self._logger = structlog.get_logger("streams.writer")

    @property
    def healthy(self) -> bool:
        """Whether what is submitted will be committed: the thread lives and the last commit succeeded."""
        return self._healthy and self._thread.is_alive()

    def now(self) -> datetime:
        """Read the clock, and remember the latest that it ever said."""
        now = self._clock()
        self._latest_seen = now if self._latest_seen is None else max(self._latest_seen, now)
        return now

    def clock_went_back(self) -> bool:
        """Whether the clock now says a time well before one that it said, or that stands in the log."""
        now, latest = self._clock(), max(filter(None, (self._latest_seen, self.last_at)), default=None)
        return latest is not None and now < latest - CLOCK_BACK

    def start(self) -> None:
        """Begin to take submissions; `open` says when gates may be believed."""
        self._thread.start()

    def open(self) -> None:
        """Say that everything is restored and recorded: from here `healthy` follows the commits."""
        self._opened = self._healthy = True

    def stop(self) -> None:
        """Commit what is queued, then end; later submissions fail as unavailable."""
        self._stopping = True
        self._healthy = False
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(WAIT_S)

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        """Call `listener` on the writer's thread after each commit; return how to stop."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(kept for kept in self._listeners if kept is not listener)

        return stop

    def import_history(self, entries: Iterable[tuple[datetime, Draft]]) -> int:
        """Record facts of the past, each at its time, in order, before `start`; return how many were new."""
        group, count = Group(self.states), 0
        for at, draft in entries:
            now = at if self.last_at is None else max(at, self.last_at)
            self._let_time_pass(group, now)
            count += self._record(group, draft, now)
            self.last_at = now
            if len(group.rows) >= 2 * GROUP:
                group = self._imported(group)
        self._imported(group)
        return count

    def _imported(self, group: Group) -> Group:
        self._write(group)
        self.states = self.states | group.states
        return Group(self.states)

    def submit(
        self,
        device: str | None,
        work: Callable[[DeviceState, datetime], Sequence[Draft] | Refusal],
        *,
        wait_s: float = WAIT_S,
    ) -> Answer:
        """Hand in work for one device (None: only let time pass) and wait until it is committed or refused."""
        if self._stopping:
            raise SiteUnavailableError("the site is stopping")
        future: Future[Answer] = Future()
        self._queue.put(Submission(device, work, future))
        try:
            return future.result(timeout=wait_s)
        except FutureTimeoutError as error:
            if future.cancel():
                raise SiteUnavailableError(f"not committed within {wait_s:g} s; nothing was recorded") from error
            raise SiteUnavailableError(f"no answer within {wait_s:g} s; look whether it was recorded") from error

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._next_batch()
            try:
                self._turn(batch)
            except Exception as error:  # noqa: BLE001 - the one writer must outlive whatever happens in a turn
                self._failed(batch, error)
        for submission in self._next_batch(block=False)[0]:
            submission.future.set_exception(SiteUnavailableError("the site has stopped"))

    def _turn(self, batch: list[Submission]) -> None:
        """Commit what nobody has given up waiting for, and what time has brought."""
        taken = [submission for submission in batch if submission.future.set_running_or_notify_cancel()]
        if taken or self._due(self.now()):
            self._commit(taken)

    def _next_batch(self, *, block: bool = True) -> tuple[list[Submission], bool]:
        """Wait for a submission or the next deadline, then take what else is queued."""
        batch: list[Submission] = []
        timeout = self._seconds_to_deadline() if block else 0.0
        try:
            item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
            while item is not None:
                batch.append(item)
                if len(batch) == GROUP:
                    return batch, True
                item = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _seconds_to_deadline(self) -> float:
        deadlines = [state.deadline for state in self.states.values() if state.deadline]
        if not deadlines:
            return RETRY_S
        wait = (min(deadlines) - self.now()).total_seconds()
        return min(max(wait, 0.001), RETRY_S)

    def _due(self, now: datetime) -> bool:
        if not self._healthy and not self._stopping:
            return True  # a probe: commits may succeed again
        return any(state.deadline and state.deadline <= now for state in self.states.values())

    def _commit(self, batch: list[Submission]) -> None:
        """Process a batch in one transaction; tell the callers when it is on the disk."""
        group = Group(self.states)
        now = self._log_time()
        started = time.perf_counter()
        self._let_time_pass(group, now)
        answers = [(submission, self._process(group, submission, now)) for submission in batch]
        folded = time.perf_counter()
        self._write(group)
        committed = time.perf_counter()
        FOLD_SECONDS.observe(folded - started)
        self._publish(group, now, committed - folded)
        self._answer(answers, group, folded - started, committed - folded)

    def _write(self, group: Group) -> None:
        """Put a group on the disk; where there is nothing to write and trouble before, prove that a write works."""
        if not group.rows and self._healthy:
            return
        with self._log.transaction():
            for event, outcomes in group.rows:
                self._log.write(event, outcomes)
            for state in group.states.values():
                self._log.write_state(state)
            if not group.rows:
                self._log.probe()

    def _process(self, group: Group, submission: Submission, now: datetime) -> Receipt | Refusal | Exception:
        if submission.device is None:
            return Receipt((), ())
        mark, states, contents = len(group.rows), dict(group.states), dict(group.contents)
        try:
            drafts = submission.work(group.state(submission.device), now)
            if isinstance(drafts, Refusal):
                return drafts
            duplicates = tuple(draft.event_id for draft in drafts if not self._record(group, draft, now))
        except Exception as error:  # noqa: BLE001 - one caller's failure is that caller's answer, the group goes on
            del group.rows[mark:]
            group.states, group.contents = states, contents
            if isinstance(error, EventConflictError):
                CONFLICTS.inc()
            return error
        rows = group.rows[mark:]
        return Receipt(
            events=tuple(event for event, _ in rows),
            outcomes=tuple(outcome for _, outcomes in rows for outcome in outcomes),
            duplicates=duplicates,
            recorded_before=tuple(outcome for name in duplicates for outcome in self._recorded_before(group, name)),
        )

    def _recorded_before(self, group: Group, name: str) -> tuple[RecordedOutcome, ...]:
        for event, outcomes in group.rows:
            if event.event_id == name:
                return outcomes
        return tuple(codec.decode_outcome(body) for body in self._log.outcomes_of(name))

    def _record(self, group: Group, draft: Draft, now: datetime) -> bool:
        """Fold one draft into the group; return False for one that is in the log already."""
        fact = codec.in_utc(draft.fact)
        content = (draft.device, codec.encode(fact))
        known = group.contents.get(draft.event_id) or self._log.content_of(draft.event_id)
        if known is not None:
            if known != content:
                raise EventConflictError(draft.event_id)
            DUPLICATES.inc()
            return False
        state = group.state(draft.device)
        event = Event(
            event_id=draft.event_id,
            device=draft.device,
            log_id=self._log.log_id,
            device_seq=state.device_seq + 1,
            recorded_at=now,
            fold_version=FOLD_VERSION,
            fact=fact,
        )
        event = codec.decode_event(codec.encode(event))  # the fold sees what the log will give back
        folded = fold_or_park(state, event)
        if folded.state.parked is not None and state.parked is None:
            self._say("device_parked", device=draft.device, device_seq=event.device_seq, why=folded.state.parked)
        group.states[draft.device] = folded.state
        group.rows.append((event, recorded(event, folded.outcomes)))
        group.contents[draft.event_id] = content
        return True

    def _let_time_pass(self, group: Group, now: datetime) -> None:
        """Record each deadline that has come, of every device, before anything that happens after it."""
        for device in self.states | group.states:
            deadline = group.state(device).deadline
            while deadline is not None and deadline <= now:
                identity = event_id(self._log.log_id, device, "time", str(group.state(device).device_seq + 1))
                self._record(group, Draft(identity, device, TimeReached(deadline)), now)
                deadline = group.state(device).deadline

    def _log_time(self) -> datetime:
        """Return a time that never goes back in the log."""
        now = self.now()
        return now if self.last_at is None else max(now, self.last_at)

    def _publish(self, group: Group, now: datetime, commit_s: float) -> None:
        """Let readers see what is committed."""
        self.states = self.states | group.states
        if group.rows:
            self.last_at = now
        if not self._healthy and self._opened and not self._stopping:
            self._healthy = True
            self._say("log_writable_again")
        PARKED.set(sum(state.parked is not None for state in self.states.values()))
        COMMIT_SECONDS.observe(commit_s)
        for event, _ in group.rows:
            EVENTS.labels(type_name(event.fact)).inc()

    def _answer(
        self,
        answers: list[tuple[Submission, Receipt | Refusal | Exception]],
        group: Group,
        fold_s: float,
        commit_s: float,
    ) -> None:
        for submission, answer in answers:
            if isinstance(answer, Exception):
                submission.future.set_exception(answer)
            elif isinstance(answer, Receipt):
                submission.future.set_result(msgspec.structs.replace(answer, fold_s=fold_s, commit_s=commit_s))
            else:
                submission.future.set_result(answer)
        if not group.rows:
            return
        news = Receipt(tuple(r[0] for r in group.rows), tuple(o for r in group.rows for o in r[1]))
        for listener in self._listeners:
            try:
                listener(news)
            except Exception as error:  # noqa: BLE001 - a listener's fault is never the writer's
                self._say("listener_failed", error=type(error).__name__)

    def _failed(self, batch: list[Submission], error: Exception) -> None:
        """Hold every gate until a commit succeeds, and tell the callers that are still waiting."""
        self._healthy = False
        COMMIT_FAILURES.inc()
        for submission in batch:
            if not submission.future.done():
                submission.future.set_exception(SiteUnavailableError(f"the log cannot be written: {error}"))
        reason = f"{type(error).__name__}: {error}"
        self._say("commit_failed", reason=reason, consequence="all gates are held until the log can be written")
        if not batch:
            time.sleep(RETRY_S)

    def _say(self, event: str, **fields: object) -> None:
        """Log; where even that fails (a full disk), go on."""
        with contextlib.suppress(Exception):
            self._logger.error(event, **fields)
