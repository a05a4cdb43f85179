"""Overrides, faults, the end of service."""

from datetime import datetime
from typing import Final

from streams.commands import ClearFault, Decision, EndOverride, LogFault, OverrideGate, Refusal, RetireDevice
from streams.fold.decisions.base import FORBIDDEN, MISSING, NOT_NOW, decided, drafts_from, refuse_role, refuse_text
from streams.fold.device import OPEN_FAULTS
from streams.fold.gate import assess
from streams.fold.schedule import clinic_ends
from streams.fold.state import DeviceState
from streams.messages import (
    DeviceRetired,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    IncidentRecorded,
    OverrideEnded,
    ReasonCode,
    event_id,
)
from streams.roles import Permission, Role

OVERRIDABLE_BY_OPERATOR: Final = frozenset({ReasonCode.STATE_UNKNOWN.value, ReasonCode.INDEPENDENT_OVERDUE.value})
"""Reasons that an operator may override, to the end of the clinic (DESIGN 5.2)."""
OVERRIDABLE_ON_ADVICE: Final = frozenset({ReasonCode.QC_FAILED.value, ReasonCode.VERIFICATION_REQUIRED.value})
"""Reasons that a physicist may override, or an operator on a named physicist's advice (DESIGN 5.2)."""


@decided.register
def _override_gate(command: OverrideGate, state: DeviceState, now: datetime) -> Decision:
    longest = clinic_ends(state.calendar, now)
    until = min(command.until or longest, longest)
    refusal = refuse_role(command, Permission.OVERRIDE_GATE) or refuse_text("the reason", command.reason)
    if refusal:
        return refusal
    if until <= now:
        return Refusal(MISSING, "An override must end in the future.")
    modes = state.policy.mode_names if state.policy else ()
    codes = {r.code.value for mode in modes for r in assess(state, mode).reasons if r.holds}
    refusal = _overridable(command, codes)
    if refusal:
        return refusal
    overridden = GateOverridden(
        codes=tuple(sorted(codes)),
        overridden_by=command.actor,
        reason=command.reason.strip(),
        until=until,
        advised_by=command.advised_by.strip(),
        by_telephone=command.by_telephone,
    )
    text = f"Gate overridden ({', '.join(sorted(codes))}): {command.reason.strip()}"
    return drafts_from(command, overridden, IncidentRecorded("override", text, command.actor))


def _overridable(command: OverrideGate, codes: set[str]) -> Refusal | None:
    """Apply the table of DESIGN 5.2: who may override what, and on whose advice."""
    if not codes:
        return Refusal(NOT_NOW, "The gate is not held: there is nothing to override.")
    never = sorted(codes - OVERRIDABLE_BY_OPERATOR - OVERRIDABLE_ON_ADVICE)
    if never:
        return Refusal(FORBIDDEN, f"{', '.join(never)} can never be overridden: clear it instead.")
    advised = command.actor.role == Role.PHYSICIST or command.advised_by.strip()
    if codes & OVERRIDABLE_ON_ADVICE and not advised:
        return Refusal(MISSING, "Name the physicist who advised it (by telephone if need be).")
    return None


@decided.register
def _end_override(command: EndOverride, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.OVERRIDE_GATE)
    if refusal is None and state.override is None:
        refusal = Refusal(NOT_NOW, "No override is running.")
    return refusal or drafts_from(command, OverrideEnded(command.actor))


@decided.register
def _log_fault(command: LogFault, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.LOG_FAULT) or refuse_text("what is wrong", command.text)
    if refusal is None and len(state.faults) >= OPEN_FAULTS:
        refusal = Refusal(NOT_NOW, f"{OPEN_FAULTS} faults are open: clear one before another is reported.")
    fault_id = event_id("fault", command.request_id)[:8]
    return refusal or drafts_from(
        command, FaultLogged(fault_id, command.text.strip(), command.stops_scanning, command.actor)
    )


@decided.register
def _clear_fault(command: ClearFault, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.CLEAR_FAULT) or refuse_text("what was done", command.text)
    if refusal is None and not any(f.fault_id == command.fault_id for f in state.faults):
        refusal = Refusal(NOT_NOW, "That fault is not open.")
    return refusal or drafts_from(command, FaultCleared(command.fault_id, command.text.strip(), command.actor))


@decided.register
def _retire_device(command: RetireDevice, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.RETIRE_DEVICE) or refuse_text("the reason", command.reason)
    if refusal is None and state.stage == "retired":
        refusal = Refusal(NOT_NOW, "The device is retired already.")
    return refusal or drafts_from(command, DeviceRetired(command.reason.strip(), command.actor))
