"""The site's engine: one writer thread commits events, states and outcomes together, in groups.

Callers wait until their commit is on the disk. Reads take the last committed states without a lock; a read of a
gate whose deadline has passed first lets time pass in the log.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

from streams import codec
from streams.commands import Command, Refusal
from streams.fold import FOLD_VERSION
from streams.fold.decisions import decide
from streams.fold.state import DeviceState, state_from_blob
from streams.gates import gate_from_state, held_unknown
from streams.messages import (
    ClinicCalendarChanged,
    DeviceReconfigured,
    DeviceRegistered,
    Draft,
    Event,
    Fact,
    FoldUpgraded,
    RecordedOutcome,
    TimeReached,
    event_id,
    type_name,
)
from streams.policy import ClinicCalendar, DevicePolicy
from streams.refold import fold_or_park, recorded, refold
from streams.site import EventConflictError, Gate, Receipt, SiteUnavailableError
from streams.sqlite_log import SqliteEventLog

GROUP: Final = 256
WAIT_S: Final = 30.0
GATE_WAIT_S: Final = 2.0
RETRY_S: Final = 5.0
CLOCK_BACK: Final = timedelta(minutes=5)

EVENTS: Final = Counter("bonewatch_events_total", "Events committed to the site log.", ["type"])
DUPLICATES: Final = Counter("bonewatch_duplicate_events_total", "Events that were in the log before, unchanged.")
CONFLICTS: Final = Counter("bonewatch_conflicting_events_total", "Events refused: same identity, other content.")
PARKED: Final = Gauge("bonewatch_devices_parked", "Devices whose events are not understood.")
COMMIT_SECONDS: Final = Histogram(
    "bonewatch_commit_seconds",
    "Write and sync of one group.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0),
)
COMMIT_FAILURES: Final = Counter("bonewatch_commit_failures_total", "Groups that could not be committed.")

Answer = Receipt | Refusal


class _Submission(NamedTuple):
    """One request to the writer; `work` makes drafts from the device's state at its turn, or refuses."""

    device: str | None
    work: Callable[[DeviceState, datetime], Sequence[Draft] | Refusal]
    future: "Future[Answer]"


class _Group:
    """What one transaction will hold: written rows and the states they lead to, before they count."""

    def __init__(self, states: Mapping[str, DeviceState]) -> None:
        self._before = states
        self.states: dict[str, DeviceState] = {}
        self.rows: list[tuple[Event, tuple[RecordedOutcome, ...]]] = []
        self.contents: dict[str, tuple[str, bytes]] = {}

    def state(self, device: str) -> DeviceState:
        return self.states.get(device) or self._before.get(device) or DeviceState(device)


class SiteEngine:
    """A running site (see `streams.site.SitePort`).

    Parameters
    ----------
    log
        The open log; the engine is its one writer from `start` to `stop`.
    clock
        Returns now as aware UTC; tests and imports of history hand in their own.
    """

    def __init__(self, log: SqliteEventLog, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._log = log
        self._clock = clock
        self._states: dict[str, DeviceState] = {}
        self._devices: frozenset[str] = frozenset()
        self._queue: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()
        self._listeners: tuple[Callable[[Receipt], None], ...] = ()
        self._last_at = datetime.fromisoformat(log.last_recorded_at) if log.last_recorded_at else None
        self._healthy = False
        self._started = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="site-writer", daemon=True)
        self._logger = structlog.get_logger("streams.engine")

    # --- life ----------------------------------------------------------------------------------------------

    def start(self, devices: Mapping[str, tuple[DevicePolicy, ClinicCalendar]]) -> None:
        """Restore every state, start the writer, and record what is configured where it differs from the log."""
        upgrades = self._restore()
        self._devices = frozenset(devices)
        self._thread.start()
        for device, differences in upgrades.items():
            from_version, places = differences
            self._submit_facts(device, [FoldUpgraded(from_version, FOLD_VERSION, places)])
        for device, (policy, calendar) in devices.items():
            facts = _configuration_facts(self._states.get(device), policy, calendar)
            if facts:
                self._submit_facts(device, facts)
        self._submit(None, lambda _state, _now: ())  # what fell due while the site was down
        self._started = self._healthy = True

    def import_history(self, entries: Iterable[tuple[datetime, Draft]]) -> int:
        """Record facts of the past, each at its time, in order, before `start`; return how many were new."""
        group, count = _Group(self._states), 0
        for at, draft in entries:
            now = at if self._last_at is None else max(at, self._last_at)
            self._let_time_pass(group, now)
            count += self._record(group, draft, now)
            self._last_at = now
            if len(group.rows) >= 2 * GROUP:
                group = self._imported(group)
        self._imported(group)
        return count

    def _imported(self, group: _Group) -> _Group:
        self._write(group)
        self._states = self._states | group.states
        return _Group(self._states)

    def stop(self) -> None:
        """Commit what is queued, then end the writer; later calls fail as unavailable."""
        self._stopping = True
        self._healthy = False
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(WAIT_S)

    def _restore(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Load the states; fold anew those that do not belong to the log's end or to this fold's version."""
        stored = {state.device: state for state in self._log.states()}
        upgrades: dict[str, tuple[int, tuple[str, ...]]] = {}
        for device, seq in self._log.last_seqs().items():
            kept = stored.get(device)
            if kept is not None and kept.device_seq == seq and kept.fold_version == FOLD_VERSION:
                try:
                    self._states[device] = state_from_blob(kept.blob)
                except msgspec.DecodeError:
                    kept = None
                else:
                    if self._states[device].parked is None:
                        continue
            folded = refold(device, self._log.rows(device))
            self._states[device] = folded.state
            if kept is not None and kept.fold_version != FOLD_VERSION:
                upgrades[device] = (kept.fold_version, folded.differences[:100])
            self._logger.warning("state_folded_anew", device=device, events=folded.events)
        return upgrades

    # --- the port ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether states are known and commits succeed."""
        return self._healthy

    def now(self) -> datetime:
        """Return the site's time."""
        return self._clock()

    @property
    def states(self) -> Mapping[str, DeviceState]:
        """The committed state of each device; never changed in place."""
        return self._states

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        """Record facts of one device, all or none (see `SitePort.append`)."""
        device = _one_device(drafts)
        if device not in self._devices:
            raise ValueError(f"{device} is not in this site's configuration")
        for draft in drafts:
            codec.refuse_non_finite(draft.fact)
        answer = self._submit(device, lambda _state, _now: drafts)
        assert isinstance(answer, Receipt)  # noqa: S101 - drafts are never refused
        return answer

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        """Decide a command against the state at its turn, and record what it becomes."""
        if command.device not in self._devices:
            return Refusal("missing", f"There is no device {command.device}.")
        return self._submit(
            command.device, lambda state, now: decide(state, command, expected_device_seq=expected_device_seq, now=now)
        )

    def gate(self, device: str, mode: str | None = None) -> Gate:
        """Read a gate now; unknown, lapsed or undecidable is held."""
        if not self._healthy:
            return held_unknown("Bonewatch is starting, or cannot record")
        if device not in self._devices or device not in self._states:
            return held_unknown("this device is not configured")
        now = self._clock()
        if self._last_at is not None and now < self._last_at - CLOCK_BACK:
            return held_unknown("the clock of Bonewatch's computer went back")
        state = self._states[device]
        if state.deadline is not None and state.deadline <= now:
            try:
                self._submit(device, lambda _state, _now: (), wait_s=GATE_WAIT_S)
            except SiteUnavailableError:
                return held_unknown("Bonewatch cannot record")
        return gate_from_state(self._states[device], mode, now)

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        """Call `listener` on the writer's thread after each commit; return how to stop."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(kept for kept in self._listeners if kept is not listener)

        return stop

    # --- the writer ----------------------------------------------------------------------------------------

    def _submit_facts(self, device: str, facts: Sequence[Fact]) -> None:
        def drafts(state: DeviceState, _now: datetime) -> list[Draft]:
            place = f"{state.device_seq + 1}"
            return [
                Draft(event_id(self._log.log_id, device, place, str(i)), device, fact) for i, fact in enumerate(facts)
            ]

        self._submit(device, drafts)

    def _submit(
        self,
        device: str | None,
        work: Callable[[DeviceState, datetime], Sequence[Draft] | Refusal],
        *,
        wait_s: float = WAIT_S,
    ) -> Answer:
        if self._stopping:
            raise SiteUnavailableError("the site is stopping")
        future: Future[Answer] = Future()
        self._queue.put(_Submission(device, work, future))
        try:
            return future.result(timeout=wait_s)
        except FutureTimeoutError as error:
            raise SiteUnavailableError(f"no commit within {wait_s:g} s") from error

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._next_batch()
            if batch or self._due(self._clock()):
                self._commit(batch)
        for submission in self._next_batch(block=False)[0]:
            submission.future.set_exception(SiteUnavailableError("the site has stopped"))

    def _next_batch(self, *, block: bool = True) -> tuple[list[_Submission], bool]:
        """Wait for a submission or the next deadline, then take what else is queued."""
        batch: list[_Submission] = []
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
        deadlines = [state.deadline for state in self._states.values() if state.deadline]
        if not deadlines:
            return RETRY_S
        wait = (min(deadlines) - self._clock()).total_seconds()
        return min(max(wait, 0.001), RETRY_S)

    def _due(self, now: datetime) -> bool:
        if not self._healthy and not self._stopping:
            return True  # a probe: commits may succeed again
        return any(state.deadline and state.deadline <= now for state in self._states.values())

    def _commit(self, batch: list[_Submission]) -> None:
        """Process a batch in one transaction; tell the callers when it is on the disk."""
        group = _Group(self._states)
        now = self._now()
        started = time.perf_counter()
        try:
            self._let_time_pass(group, now)
            answers = [(submission, self._process(group, submission, now)) for submission in batch]
            folded = time.perf_counter()
            self._write(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was committed and every gate must hold
            self._failed(batch, error)
            return
        committed = time.perf_counter()
        self._publish(group, now, committed - folded)
        self._answer(answers, group, folded - started, committed - folded)

    def _write(self, group: _Group) -> None:
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

    def _process(self, group: _Group, submission: _Submission, now: datetime) -> Receipt | Refusal | Exception:
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
        return Receipt(tuple(r[0] for r in rows), tuple(o for r in rows for o in r[1]), duplicates)

    def _record(self, group: _Group, draft: Draft, now: datetime) -> bool:
        """Fold one draft into the group; return False for one that is in the log already."""
        content = (draft.device, codec.encode(draft.fact))
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
            fact=draft.fact,
        )
        event = codec.decode_event(codec.encode(event))  # the fold sees what the log will give back
        folded = fold_or_park(state, event)
        if folded.state.parked is not None and state.parked is None:
            self._logger.error(
                "device_parked", device=draft.device, device_seq=event.device_seq, why=folded.state.parked
            )
        group.states[draft.device] = folded.state
        group.rows.append((event, recorded(event, folded.outcomes)))
        group.contents[draft.event_id] = content
        return True

    def _let_time_pass(self, group: _Group, now: datetime) -> None:
        """Record each deadline that has come, of every device, before anything that happens after it."""
        for device in self._states | group.states:
            deadline = group.state(device).deadline
            while deadline is not None and deadline <= now:
                identity = event_id(self._log.log_id, device, "time", str(group.state(device).device_seq + 1))
                self._record(group, Draft(identity, device, TimeReached(deadline)), now)
                deadline = group.state(device).deadline

    def _now(self) -> datetime:
        """Return a time that never goes back in the log."""
        now = self._clock()
        return now if self._last_at is None else max(now, self._last_at)

    def _publish(self, group: _Group, now: datetime, commit_s: float) -> None:
        self._states = self._states | group.states
        PARKED.set(sum(state.parked is not None for state in self._states.values()))
        COMMIT_SECONDS.observe(commit_s)
        if group.rows:
            self._last_at = now
        if not self._healthy and self._started and not self._stopping:
            self._healthy = True
            self._logger.info("log_writable_again")
        for event, _ in group.rows:
            EVENTS.labels(type_name(event.fact)).inc()

    def _answer(
        self,
        answers: list[tuple[_Submission, Receipt | Refusal | Exception]],
        group: _Group,
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
                self._logger.error("listener_failed", error=type(error).__name__)  # noqa: TRY400 - no stack in a log

    def _failed(self, batch: list[_Submission], error: Exception) -> None:
        """Nothing was recorded: say so to the callers, and hold every gate until a commit succeeds."""
        COMMIT_FAILURES.inc()
        self._healthy = False
        self._logger.error(
            "commit_failed", reason=str(error), consequence="all gates held until the log can be written"
        )
        for submission in batch:
            failure = SiteUnavailableError(f"the log cannot be written: {error}")
            submission.future.set_exception(failure)
        if not batch:
            time.sleep(RETRY_S)


def _one_device(drafts: Sequence[Draft]) -> str:
    devices = {draft.device for draft in drafts}
    if len(devices) != 1:
        raise ValueError(f"a submission is of one device, not of {len(devices)}")
    return devices.pop()


def _configuration_facts(state: DeviceState | None, policy: DevicePolicy, calendar: ClinicCalendar) -> list[Fact]:
    """Return what must be recorded so that the log stands as the file says."""
    if state is None or state.policy is None:
        return [DeviceRegistered(policy, calendar)]
    facts: list[Fact] = []
    if state.policy != policy:
        facts.append(DeviceReconfigured(policy))
    if state.calendar != calendar:
        facts.append(ClinicCalendarChanged(calendar))
    return facts
