"""Forms about the gate itself: overrides, faults, retirement."""

from collections.abc import Sequence
from typing import Final

from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import ClearFault, EndOverride, LogFault, OverrideGate, RetireDevice
from streams.fold.decisions import OVERRIDABLE_BY_OPERATOR, OVERRIDABLE_ON_ADVICE
from streams.messages import GateStatus
from streams.readings import DeviceView
from streams.roles import Permission

_STOPS: Final = {"yes": "Yes: no patients until it is cleared", "no": "No: record it only"}


def _override_offered(view: DeviceView) -> bool:
    return view.gate.status is GateStatus.HELD and _may_be_overridden(view)


def _override_barred(view: DeviceView) -> str:
    if view.gate.status is not GateStatus.HELD or _may_be_overridden(view):
        return ""
    return "This hold cannot be overridden: what clears it is listed above."


def _may_be_overridden(view: DeviceView) -> bool:
    """Whether every reason may be, of every mode: an override is of the whole device."""
    codes = {reason.code.value for gate in (view.gate, *view.gates.values()) for reason in gate.holding}
    return codes <= OVERRIDABLE_BY_OPERATOR | OVERRIDABLE_ON_ADVICE


def _override_fields(console: Console, view: DeviceView) -> Sequence[Field]:
    ends = view.clinic_ends
    return (
        Field(name="reason", label="Why must patients be scanned now?", kind=FieldKind.LONG_TEXT),
        Field(
            name="until",
            label="Until, today",
            kind=FieldKind.CLOCK,
            hint="Left blank: the end of today's clinic",
            value=console.time.clock(ends) if ends and ends > console.clock() else "",
            required=False,
            local_policy=True,
        ),
        Field(
            name="advised_by",
            label="Physicist who advised it",
            hint="Needed after a failed QC, and while verification is required",
            required=False,
        ),
        Field(name="by_telephone", label="The advice was given by telephone", kind=FieldKind.TICK, required=False),
    )


def _override(asked: Asked, typed: Typed, _: DeviceView) -> OverrideGate:
    return OverrideGate(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        reason=typed.text("reason", "Say why patients must be scanned now"),
        until=typed.clock_today("until"),
        advised_by=typed.optional("advised_by"),
        by_telephone=typed.ticked("by_telephone"),
    )


def _end_override(asked: Asked, _: Typed, __: DeviceView) -> EndOverride:
    return EndOverride(device=asked.device, actor=asked.actor, request_id=asked.request_id)


def _fault_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(
            name="text",
            label="What is wrong?",
            kind=FieldKind.LONG_TEXT,
            hint="What you saw, and any error code. No patient names or numbers.",
        ),
        Field(name="stops_scanning", label="Does it stop scanning?", kind=FieldKind.CHOICE, choices=_STOPS),
    )


def _fault(asked: Asked, typed: Typed, _: DeviceView) -> LogFault:
    return LogFault(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        text=typed.text("text", "Say what is wrong"),
        stops_scanning=typed.choice("stops_scanning", _STOPS, "Say whether it stops scanning") == "yes",
    )


def _clear_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    faults = _faults(view)
    only = next(iter(faults)) if len(faults) == 1 else ""
    return (
        Field(name="fault_id", label="Which fault?", kind=FieldKind.CHOICE, choices=faults, value=only),
        Field(name="text", label="What put it right?", kind=FieldKind.LONG_TEXT),
    )


def _clear(asked: Asked, typed: Typed, view: DeviceView) -> ClearFault:
    return ClearFault(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        fault_id=typed.choice("fault_id", _faults(view), "Choose a fault"),
        text=typed.text("text", "Say what put it right"),
    )


def _faults(view: DeviceView) -> dict[str, str]:
    return {fault.fault_id: fault.text for fault in view.faults}


def _retire_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (Field(name="reason", label="Why does it leave service?", kind=FieldKind.LONG_TEXT),)


def _retire(asked: Asked, typed: Typed, _: DeviceView) -> RetireDevice:
    return RetireDevice(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        reason=typed.text("reason", "Say why it leaves service"),
    )


GATE_ACTIONS: Final = (
    Action(
        slug="override",
        title="Override the hold",
        intro="Patients are scanned although a reason holds. Your name, the reason and the end are recorded, an "
        "incident is opened, and every measurement until then is marked.",
        submit="Override and let patients be scanned",
        done="Override recorded; an incident is open.",
        permission=Permission.OVERRIDE_GATE,
        offered=_override_offered,
        fields=_override_fields,
        command=_override,
        grave=True,
        barred=_override_barred,
    ),
    Action(
        slug="end-override",
        title="End the override",
        intro="The gate goes back to what its evidence says, at once.",
        submit="End the override now",
        done="Override ended.",
        permission=Permission.OVERRIDE_GATE,
        offered=lambda view: view.gate.status is GateStatus.OVERRIDDEN,
        fields=lambda _, __: (),
        command=_end_override,
    ),
    Action(
        slug="log-fault",
        title="Report a fault",
        intro="Anything that may affect scanning or the numbers.",
        submit="Report fault",
        done="Fault reported.",
        permission=Permission.LOG_FAULT,
        offered=lambda view: view.stage != "retired",
        fields=_fault_fields,
        command=_fault,
    ),
    Action(
        slug="clear-fault",
        title="Clear a fault",
        intro="The fault is put right.",
        submit="Clear fault",
        done="Fault cleared.",
        permission=Permission.CLEAR_FAULT,
        offered=lambda view: bool(view.faults),
        fields=_clear_fields,
        command=_clear,
    ),
    Action(
        slug="retire",
        title="Retire the device",
        intro="It leaves service for good. This cannot be undone.",
        submit="Retire for good",
        done="Device retired.",
        permission=Permission.RETIRE_DEVICE,
        offered=lambda view: view.stage != "retired",
        fields=_retire_fields,
        command=_retire,
        grave=True,
    ),
)
