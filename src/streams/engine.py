"""The site's engine: restores states, takes facts and commands, answers gates (see `streams.site.SitePort`).

`streams.writer` commits. Reads take the last committed states without a lock; a read of a gate whose deadline has
passed first lets time pass in the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from streams import codec
from streams.commands import Command, Refusal
from streams.fold import FOLD_VERSION
from streams.fold.decisions import decide
from streams.fold.decisions.records import refuse_unnamed
from streams.fold.state import DeviceState, state_from_blob
from streams.gates import gate_from_state, held_unknown
from streams.log_names import LogNames
from streams.messages import (
    ClinicCalendarChanged,
    ClockCorrected,
    DeviceReconfigured,
    DeviceRegistered,
    Draft,
    Fact,
    FoldUpgraded,
    Person,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy
from streams.refold import refold
from streams.site import CurrentSession, Gate, Receipt, SiteUnavailableError
from streams.sqlite_log import SqliteEventLog, StoredState
from streams.writer import SiteWriter

GATE_WAIT_S: Final = 2.0


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
        self._devices: frozenset[str] = frozenset()
        self._restored = False
        self._upgrades: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._writer = SiteWriter(log, clock)
        self._named = LogNames(log.fetch)
        self._logger = structlog.get_logger("streams.engine")

    # --- life ----------------------------------------------------------------------------------------------

    def start(self, devices: Mapping[str, tuple[DevicePolicy, ClinicCalendar]]) -> None:
        """Restore every state, start the writer, and record what is configured where it differs from the log."""
        self._restore()
        self._devices = frozenset(devices)
        self._writer.start()
        for device, (from_version, places) in self._upgrades.items():
            self._submit_facts(device, [FoldUpgraded(from_version, FOLD_VERSION, places)])
        for device, (policy, calendar) in devices.items():
            facts = _configuration_facts(self._writer.states.get(device), policy, calendar)
            if facts:
                self._submit_facts(device, facts)
        self._writer.submit(None, lambda _state, _now: ())  # what fell due while the site was down
        self._writer.open()

    def import_history(self, entries: Iterable[tuple[datetime, Draft]]) -> int:
        """Record facts of the past, each at its time, in order, before `start`; return how many were new."""
        self._restore()
        return self._writer.import_history(entries)

    def correct_clock(self, person: Person, reason: str) -> int:
        """Let recorded times begin anew after the clock had run ahead, before `start`; return for how many devices."""
        self._restore()
        was_at, now = self._writer.last_at, self._clock()
        if was_at is None or now >= was_at:
            return 0
        self._writer.last_at = None
        entries = []
        for device, state in self._writer.states.items():
            identity = event_id(self._log.log_id, device, "clock", str(state.device_seq + 1))
            entries.append((now, Draft(identity, device, ClockCorrected(was_at, reason, person))))
        return self._writer.import_history(entries)

    def stop(self) -> None:
        """Commit what is queued, then end the writer; later calls fail as unavailable."""
        self._writer.stop()

    def _restore(self) -> None:
        """Load the states, once; fold anew those that are not of the log's end or of this fold's version."""
        if self._restored:
            return
        self._restored = True
        stored = {state.device: state for state in self._log.states()}
        for device, seq in self._log.last_seqs().items():
            kept = stored.get(device)
            state = _usable(kept, seq)
            if state is None:
                folded = refold(device, self._log.rows(device))
                state = folded.state
                if kept is not None and kept.fold_version != FOLD_VERSION:
                    self._upgrades[device] = (kept.fold_version, folded.differences[:100])
                else:
                    with self._log.transaction():
                        self._log.write_state(state)
                self._logger.warning("state_folded_anew", device=device, events=folded.events)
            self._writer.states[device] = state

    # --- the port ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether states are known and commits succeed."""
        return self._writer.healthy

    def now(self) -> datetime:
        """Return the site's time."""
        return self._writer.now()

    @property
    def states(self) -> Mapping[str, DeviceState]:
        """The committed state of each device; never changed in place."""
        return self._writer.states

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        """Record facts of one device, all or none (see `SitePort.append`)."""
        device = _one_device(drafts)
        if device not in self._devices:
            raise ValueError(f"{device} is not in this site's configuration")
        for draft in drafts:
            codec.refuse_non_finite(draft.fact)
        answer = self._writer.submit(device, lambda _state, _now: drafts)
        assert isinstance(answer, Receipt)  # noqa: S101 - drafts are never refused
        return answer

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        """Decide a command against the state at its turn, and record what it becomes."""
        if command.device not in self._devices:
            return Refusal("missing", f"There is no device {command.device}.")

        def work(state: DeviceState, now: datetime) -> Sequence[Draft] | Refusal:
            decision = decide(state, command, expected_device_seq=expected_device_seq, now=now)
            return decision if isinstance(decision, Refusal) else refuse_unnamed(command, self._named) or decision

        return self._writer.submit(command.device, work)

    def session(self, device: str) -> CurrentSession | None:
        """Return the session that is open on a device now; one past its time is over, recorded or not."""
        state = self._writer.states.get(device)
        session = state.session if state is not None else None
        if session is None or session.until <= self._writer.now():
            return None
        return CurrentSession(
            session.session_id,
            session.purpose,
            session.until,
            session.by,
            session.standard_id,
            session.accession_number,
        )

    def open_faults(self, device: str) -> Mapping[str, bool]:
        """Return the faults that are open on a device, by fault id: whether each stops scanning."""
        state = self._writer.states.get(device)
        return {} if state is None else {fault.fault_id: fault.stops_scanning for fault in state.faults}

    def gate(self, device: str, mode: str | None = None) -> Gate:
        """Read a gate now; unknown, lapsed or undecidable is held."""
        if not self._writer.healthy:
            return held_unknown("Bonewatch is starting, or cannot record")
        if device not in self._devices or device not in self._writer.states:
            return held_unknown("this device is not configured")
        if self._writer.clock_went_back():
            return held_unknown("the clock of Bonewatch's computer went back")
        now = self._writer.now()
        state = self._writer.states[device]
        if state.deadline is not None and state.deadline <= now:
            try:
                self._writer.submit(device, lambda _state, _now: (), wait_s=GATE_WAIT_S)
            except SiteUnavailableError:
                return held_unknown("Bonewatch cannot record")
        return gate_from_state(self._writer.states[device], mode, now)

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        """Call `listener` on the writer's thread after each commit; return how to stop."""
        return self._writer.subscribe(listener)

    def _submit_facts(self, device: str, facts: Sequence[Fact]) -> None:
        def drafts(state: DeviceState, _now: datetime) -> list[Draft]:
            place = f"{state.device_seq + 1}"
            return [
                Draft(event_id(self._log.log_id, device, place, str(i)), device, fact) for i, fact in enumerate(facts)
            ]

        self._writer.submit(device, drafts)


def _usable(kept: StoredState | None, seq: int) -> DeviceState | None:
    """Return a stored state that belongs to the log's end, by this fold's version, and is not parked; else None."""
    if kept is None or kept.device_seq != seq or kept.fold_version != FOLD_VERSION:
        return None
    try:
        state = state_from_blob(kept.blob)
    except msgspec.DecodeError:
        return None
    return state if state.parked is None else None


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
