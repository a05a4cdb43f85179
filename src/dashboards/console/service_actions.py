"""Forms of a handover in its three stages (AXREM's, a local procedure), of remote service, of verification."""

from collections.abc import Mapping, Sequence
from typing import Final

from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.log_words import SERVICE_KINDS
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import DecideReturn, HandBack, HandOver, RecordRemoteService, SaidAffected, VerifyMeasurement
from streams.fold.handover import COMPARED, HANDED_BACK, WITH_ENGINEER
from streams.messages import ServiceKind
from streams.readings import DeviceView
from streams.roles import Permission

_KINDS: Final = {kind.value: words for kind, words in SERVICE_KINDS.items()}
_YES_NO: Final = {"yes": "Yes", "no": "No"}
_WORKING: Final = {"yes": "Yes: it works", "no": "No: it must not be used"}
_DECISION: Final = {
    "returns": "It returns: every QC is run again first",
    "stays": "It stays out of use",
}
_AFFECTED: Final = {
    "dose": "Could the work have affected the radiation dose?",
    "image_quality": "Could it have affected image quality?",
    "safety": "Could it have affected safety features?",
    "measurement": "Did it change the tube, the detector, software or calibration?",
}
_BLANK: Final = {
    "dose": "Say yes or no for the radiation dose",
    "image_quality": "Say yes or no for image quality",
    "safety": "Say yes or no for safety features",
    "measurement": "Say yes or no for tube, detector, software, calibration",
}
_SIGNED: Final = Field(
    name="engineer_signed",
    label="The engineer has read this and signs for it on this screen",
    kind=FieldKind.TICK,
    required=False,
)


def _engineer_fields(view: DeviceView) -> tuple[Field, ...]:
    name, company = (view.service.engineer, view.service.company) if view.service else ("", "")
    return (
        Field(name="engineer", label="Engineer's name", value=name),
        Field(name="company", label="Engineer's company", value=company),
    )


def _work_fields() -> tuple[Field, ...]:
    return (
        Field(name="work_done", label="What was done?", kind=FieldKind.LONG_TEXT),
        *(Field(name=name, label=label, kind=FieldKind.CHOICE, choices=_YES_NO) for name, label in _AFFECTED.items()),
        Field(name="report", label="Number of the service report", required=False),
    )


def _over_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    faults = {"": "None of these", **{fault.fault_id: fault.text for fault in view.faults}}
    about = (
        [
            Field(
                name="fault_id", label="Which fault is it about?", kind=FieldKind.CHOICE, choices=faults, required=False
            )
        ]
        if view.faults
        else []
    )
    return (
        Field(name="kind", label="What is it for?", kind=FieldKind.CHOICE, choices=_KINDS),
        Field(name="reason", label="Why is it handed over?", kind=FieldKind.LONG_TEXT),
        *about,
        *_engineer_fields(view),
        Field(
            name="hazards",
            label="What was the engineer told?",
            kind=FieldKind.LONG_TEXT,
            hint="Hazards, faults seen, where the department's local rules stop and the engineer's begin",
            required=False,
        ),
        _SIGNED,
    )


def _over_prefill(view: DeviceView, query: Mapping[str, str]) -> Mapping[str, str]:
    """Fill in the fault that somebody starts from."""
    fault = next((fault for fault in view.faults if fault.fault_id == query.get("fault_id")), None)
    if fault is None:
        return {}
    return {"fault_id": fault.fault_id, "reason": fault.text, "kind": ServiceKind.BREAKDOWN.value}


def _over(asked: Asked, typed: Typed, view: DeviceView) -> HandOver:
    kind = typed.choice("kind", _KINDS, "Say what it is for")
    faults = {"": "", **{fault.fault_id: fault.text for fault in view.faults}}
    return HandOver(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        reason=typed.text("reason", "Say why it is handed over"),
        engineer=typed.text("engineer", "Enter the engineer's name"),
        company=typed.text("company", "Enter the engineer's company"),
        hazards=typed.optional("hazards"),
        fault_id=typed.choice("fault_id", faults, "Choose a fault, or none") if view.faults else "",
        engineer_signed=typed.ticked("engineer_signed"),
        kind=ServiceKind(kind) if kind in _KINDS else ServiceKind.BREAKDOWN,
    )


def _affected(typed: Typed) -> SaidAffected:
    said = {name: typed.choice(name, _YES_NO, _BLANK[name]) for name in _AFFECTED}
    return SaidAffected(**{name: answer == "yes" if answer in _YES_NO else None for name, answer in said.items()})


def _back_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (
        _engineer_fields(view)[0],
        *_work_fields(),
        Field(name="is_working", label="Does it work?", kind=FieldKind.CHOICE, choices=_WORKING),
        _SIGNED,
    )


def _back(asked: Asked, typed: Typed, _: DeviceView) -> HandBack:
    return HandBack(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        engineer=typed.text("engineer", "Enter the engineer's name"),
        work_done=typed.text("work_done", "Say what was done"),
        affected=_affected(typed),
        is_working=typed.choice("is_working", _WORKING, "Say whether it works") == "yes",
        report=typed.optional("report"),
        engineer_signed=typed.ticked("engineer_signed"),
    )


def _return_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="decision", label="What do you decide?", kind=FieldKind.CHOICE, choices=_DECISION),
        Field(
            name="note",
            label="Note",
            kind=FieldKind.LONG_TEXT,
            hint="Needed where it stays out of use: why, and until when",
            required=False,
        ),
    )


def _return(asked: Asked, typed: Typed, _: DeviceView) -> DecideReturn:
    return DecideReturn(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        returns=typed.choice("decision", _DECISION, "Decide whether it returns") == "returns",
        note=typed.optional("note"),
    )


def _remote_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (*_engineer_fields(view), *_work_fields())


def _remote(asked: Asked, typed: Typed, _: DeviceView) -> RecordRemoteService:
    return RecordRemoteService(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        engineer=typed.text("engineer", "Enter the engineer's name"),
        company=typed.text("company", "Enter the engineer's company"),
        work_done=typed.text("work_done", "Say what was done, by the report"),
        affected=_affected(typed),
        report=typed.optional("report"),
    )


def _waiting(view: DeviceView) -> dict[str, str]:
    return {phantom_id: phantom_id for phantom_id in view.to_verify}


def _verify_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    choices = _waiting(view)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return (Field(name="phantom_id", label="Which phantom?", kind=FieldKind.CHOICE, choices=choices, value=only),)


def _verify(asked: Asked, typed: Typed, view: DeviceView) -> VerifyMeasurement:
    return VerifyMeasurement(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=typed.choice("phantom_id", _waiting(view), "Choose a phantom"),
    )


SERVICE_ACTIONS: Final = (
    Action(
        slug="hand-over",
        title="Hand over to an engineer",
        intro="Stage 1: the department hands the device, and a scanner's controlled area, over. Nobody scans patients"
        " on it until it is back; QC is never locked out.",
        submit="Hand over",
        done="Handed over. The engineer works by the company's local rules now.",
        permission=Permission.HAND_OVER,
        offered=lambda view: view.stage not in {"retired", WITH_ENGINEER},
        fields=_over_fields,
        prefill=_over_prefill,
        command=_over,
        grave=True,
    ),
    Action(
        slug="hand-back",
        title="Hand back",
        intro="Stage 2: the engineer says what was done and what it could have affected. That certifies nothing.",
        submit="Hand back",
        done="Handed back. The department decides on its return.",
        permission=Permission.HAND_BACK,
        offered=lambda view: view.stage == WITH_ENGINEER,
        fields=_back_fields,
        command=_back,
    ),
    Action(
        slug="decide-return",
        title="Decide on its return",
        intro="Stage 3: the department decides. A physicist does where anything could have been affected.",
        submit="Record decision",
        done="Decision recorded. Before patients, every QC passes again.",
        permission=Permission.DECIDE_RETURN,
        offered=lambda view: view.stage == HANDED_BACK,
        fields=_return_fields,
        command=_return,
    ),
    Action(
        slug="remote-service",
        title="Record remote service",
        intro="For service from afar, by its report. No area is handed over, and every QC passes again.",
        submit="Record service",
        done="Service recorded: every QC passes again before patients.",
        permission=Permission.HAND_OVER,
        offered=lambda view: view.stage not in {"retired", WITH_ENGINEER},
        fields=_remote_fields,
        command=_remote,
    ),
    Action(
        slug="verify-measurement",
        title="Compare before and after service",
        intro=f"The means of {COMPARED} scans before and after the work are compared."
        " Beyond 1 % it takes a new baseline.",
        submit="Compare",
        done="They agree: the baseline stands.",
        permission=Permission.VERIFY_MEASUREMENT,
        offered=lambda view: bool(view.to_verify),
        fields=_verify_fields,
        command=_verify,
    ),
)
