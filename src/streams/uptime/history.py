"""What a device's facts and outcomes say of its availability: from when it was how, and what was repaired when."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streams.messages import (
    ClinicCalendarChanged,
    ClockCorrected,
    DeviceReconfigured,
    DeviceRegistered,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    FaultCleared,
    FaultLogged,
    GateChanged,
    GateOverridden,
    GateStatus,
    Message,
    Outcome,
    QcJudged,
    ReasonCode,
    ServicedRemotely,
    ServiceKind,
    StateChanged,
    TimeReached,
    UtcTime,
    Verdict,
    WatchInterrupted,
)
from streams.policy import ClinicCalendar, DevicePolicy
from streams.uptime.causes import FAILURE, NOT_PASSED, SERVICE, cause_of

NOT_REGISTERED: Final = "not_registered"
NOT_COMMISSIONED: Final = "not_commissioned"
RETIRED: Final = "retired"
_OUT: Final = {"commissioning": NOT_COMMISSIONED, "installed": NOT_COMMISSIONED, "retired": RETIRED}
"""Stages in which a device is in nobody's clinical use; after them it is again once it was `clinical`."""

Span = tuple[datetime, datetime]


class Entry(NamedTuple):
    """One event and its outcomes: a fact, what was drawn from it, and when that took effect."""

    at: datetime
    messages: tuple[Message, ...]


class Down(NamedTuple):
    """One mode that lets no patient through: what for, and whether that was planned service."""

    mode: str
    cause: ReasonCode
    is_planned: bool


class Moment(msgspec.Struct, frozen=True):
    """How a device is from `at` to the next moment; `absent` says why it is in no clinical use, empty if it is."""

    at: UtcTime
    calendar: ClinicCalendar
    absent: str = NOT_REGISTERED
    modes: tuple[str, ...] = ()
    down: tuple[Down, ...] = ()
    overridden: tuple[str, ...] = ()


class Repair(msgspec.Struct, frozen=True):
    """A failure and what became of it; what is not on record is None.

    `began_at` is when it held the gate first. `is_failure` is false where a repeat passed: that was no failure.
    """

    began_at: UtcTime
    reported_at: UtcTime
    cause: ReasonCode
    is_failure: bool = False
    attended_at: UtcTime | None = None
    fixed_at: UtcTime | None = None
    qa_passed_at: UtcTime | None = None
    released_at: UtcTime | None = None
    ended_at: UtcTime | None = None


class History(msgspec.Struct, frozen=True):
    """A device's past, for reckoning: moments in order of time, failures, times without watch, overrides."""

    device: str
    policy: DevicePolicy | None
    moments: tuple[Moment, ...]
    repairs: tuple[Repair, ...]
    interrupted: tuple[Span, ...]
    overrides: tuple[UtcTime, ...] = ()


def entry_of(event: Event, outcomes: Iterable[Outcome]) -> Entry:
    """Return an entry; a deadline takes effect when it was due, even where it was recorded later."""
    at = event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at
    return Entry(at, (event.fact, *outcomes))


def history_of(device: str, entries: Iterable[Entry]) -> History:
    """Return a device's history from its entries in the order of its log, from the first."""
    told = Historian(device)
    for entry in entries:
        told.take(entry)
    return told.history()


class Historian:
    """What the entries so far have told of one device; take them in order, and ask for the history at any time."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.policy: DevicePolicy | None = None
        self.moments: list[Moment] = []
        self.repairs: list[Repair] = []
        self.repair: Repair | None = None
        self.interrupted: list[Span] = []
        self.overrides: list[datetime] = []
        self._calendar = ClinicCalendar()
        self._absent = NOT_REGISTERED
        self._is_planned = False
        self._is_away = False
        self._gates: dict[str, GateChanged] = {}
        self._faults: dict[str, datetime] = {}
        self._passed_at: datetime | None = None
        self._at: datetime | None = None

    def history(self) -> History:
        """Return the history as far as it is told."""
        moments, gates = list(self.moments), dict(self._gates)
        self._lapse(None)
        moments, self.moments, self._gates = self.moments, moments, gates  # what lapses may yet be heard of
        repairs = tuple(self.repairs) + ((self.repair,) if self.repair else ())
        return History(
            self.device, self.policy, tuple(moments), repairs, tuple(self.interrupted), tuple(self.overrides)
        )

    def take(self, entry: Entry) -> None:
        """Take the next entry."""
        at = entry.at
        if any(isinstance(message, ClockCorrected) for message in entry.messages):
            self.moments = [moment for moment in self.moments if moment.at <= at]
        elif self._at is not None:
            at = max(at, self._at)
            self._lapse(at)
        self._at = at
        self.overrides += [at for message in entry.messages if isinstance(message, GateOverridden)]
        for message in entry.messages:
            self._note(message, at)
        moment = self._moment(at)
        self.moments.append(moment)
        self._follow(moment, entry)

    def _lapse(self, before: datetime | None) -> None:
        """Hold what was open until a time that has passed unheard: past `valid_until` a gate is held, whoever asks."""
        while True:
            ends = [g.valid_until for g in self._gates.values() if g.status is not GateStatus.HELD and g.valid_until]
            at = min(ends, default=None)
            if at is None or (before is not None and at >= before):
                return
            for mode, gate in self._gates.items():
                if gate.status is not GateStatus.HELD and gate.valid_until is not None and gate.valid_until <= at:
                    self._gates[mode] = replace(gate, status=GateStatus.HELD, valid_until=None)
            self.moments.append(self._moment(at))

    def _note(self, message: Message, at: datetime) -> None:
        match message:
            case DeviceRegistered():
                self._configured(message.policy)
                self._calendar = message.calendar
            case DeviceReconfigured():
                self._configured(message.policy)
            case ClinicCalendarChanged():
                self._calendar = message.calendar
            case StateChanged():
                self._staged(message.stage)
            case GateChanged():
                self._gates[message.mode] = message
            case FaultLogged():
                self._faults[message.fault_id] = at
            case EquipmentHandedOver():
                is_planned = message.kind is not ServiceKind.BREAKDOWN
                self._is_planned = is_planned and (self._is_planned or not self._is_away)
                self._is_away = True
            case ServicedRemotely():
                self._is_planned = self._is_planned and self._is_away
            case WatchInterrupted():
                self.interrupted.append((message.since, message.until))

    def _configured(self, policy: DevicePolicy) -> None:
        self.policy = policy
        self._gates = {mode: gate for mode, gate in self._gates.items() if mode in policy.mode_names}

    def _staged(self, stage: str) -> None:
        if stage == "clinical":
            self._absent, self._is_planned, self._is_away = "", False, False
        elif stage in _OUT:
            self._absent = _OUT[stage]

    def _moment(self, at: datetime) -> Moment:
        modes = self.policy.mode_names if self.policy else ()
        gates = [gate for mode in modes if (gate := self._gates.get(mode)) is not None]
        if self._absent:
            return Moment(at, self._calendar, self._absent, modes)
        return Moment(
            at,
            self._calendar,
            "",
            modes,
            tuple(self._down(gate) for gate in gates if gate.status is GateStatus.HELD),
            tuple(gate.mode for gate in gates if gate.status is GateStatus.OVERRIDDEN),
        )

    def _down(self, gate: GateChanged) -> Down:
        cause = cause_of(_codes(gate))
        return Down(gate.mode, cause, self._is_planned and cause in SERVICE)

    def _follow(self, moment: Moment, entry: Entry) -> None:
        """Follow a failure from what held the gate first until nothing of it does."""
        codes = frozenset(code for gate in self._gates.values() for code in _codes(gate))
        trouble = codes & (FAILURE if self._is_planned else FAILURE | SERVICE)
        self._passed_at = None if codes & NOT_PASSED else (self._passed_at or moment.at)
        if moment.absent or not trouble:
            self._end(moment.at, is_released=not moment.absent)
            return
        if self.repair is None:
            self.repair = Repair(moment.at, moment.at, cause_of(trouble))
        for message in entry.messages:
            self.repair = self._stamped(self.repair, message, moment.at)
        certain = {ReasonCode.FAULT_STOPS_SCANNING, ReasonCode.CHECK_FAILED}
        certain |= set() if self._is_planned else {ReasonCode.WITH_ENGINEER}
        is_confirmed = any(isinstance(m, QcJudged) and m.verdict is Verdict.FAIL_CONFIRMED for m in entry.messages)
        if trouble & certain or is_confirmed:
            self.repair = replace(self.repair, is_failure=True)

    def _stamped(self, repair: Repair, message: Message, at: datetime) -> Repair:
        match message:
            case EquipmentHandedOver():
                reported_at = min(repair.reported_at, self._faults.get(message.fault_id, at))
                return replace(repair, reported_at=reported_at, attended_at=repair.attended_at or at, fixed_at=None)
            case EquipmentHandedBack() if message.is_working:
                return replace(repair, fixed_at=at)
            case ServicedRemotely():
                return replace(repair, attended_at=repair.attended_at or at, fixed_at=at)
            case FaultCleared() if not self._is_away:
                return replace(repair, fixed_at=at)
        return repair

    def _end(self, at: datetime, *, is_released: bool) -> None:
        repair, self.repair = self.repair, None
        if repair is None:
            return
        if not is_released:
            self.repairs.append(replace(repair, ended_at=at))
            return
        passed_at = max(self._passed_at or at, repair.fixed_at or repair.reported_at)
        self.repairs.append(replace(repair, qa_passed_at=passed_at, released_at=at, ended_at=at))


def _codes(gate: GateChanged) -> frozenset[ReasonCode]:
    """Return what holds a gate, whether or not it is overridden."""
    return frozenset(reason.code for reason in gate.reasons if reason.holds)
