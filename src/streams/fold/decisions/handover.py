"""A device to an engineer and back: who signs what, and what is missing (DESIGN 5.3).

The engineer says what was done and never certifies fitness for clinical use; the department decides on the return.
"""

from datetime import datetime
from statistics import fmean

from streams.commands import (
    DecideReturn,
    Decision,
    HandBack,
    HandOver,
    RecordRemoteService,
    Refusal,
    SaidAffected,
    VerifyMeasurement,
)
from streams.fold.decisions.base import (
    FORBIDDEN,
    MISSING,
    NOT_NOW,
    decided,
    drafts_from,
    refuse_role,
    refuse_text,
)
from streams.fold.handover import AGREES_PERCENT, COMPARED, HANDED_BACK, WITH_ENGINEER
from streams.fold.state import DeviceState, Service
from streams.messages import (
    Affected,
    EquipmentHandedBack,
    EquipmentHandedOver,
    HandoverForm,
    MeasurementVerified,
    ReturnDecided,
    ServicedRemotely,
    event_id,
)
from streams.policy import DeviceKind
from streams.roles import Permission, Role

_ASKED = {
    "dose": "the radiation dose",
    "image_quality": "image quality",
    "safety": "safety features",
    "measurement": "what is measured (tube, detector, software, calibration)",
}


@decided.register
def _hand_over(command: HandOver, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = (
        refuse_role(command, Permission.HAND_OVER)
        or _in_service(state)
        or refuse_text("the reason", command.reason)
        or refuse_text("the engineer's name", command.engineer)
        or refuse_text("the engineer's company", command.company)
        or refuse_text("what the engineer was told", command.hazards, required=False)
        or _signed(command.engineer, command.actor.name, signed=command.engineer_signed)
    )
    if refusal is None and command.fault_id and not any(f.fault_id == command.fault_id for f in state.faults):
        refusal = Refusal(NOT_NOW, "That fault is not open.")
    if refusal or state.policy is None:
        return refusal or Refusal(NOT_NOW, "This device has no configuration yet.")
    is_scanner = state.policy.kind is DeviceKind.SCANNER
    return drafts_from(
        command,
        EquipmentHandedOver(
            handover_id=event_id("handover", command.request_id)[:8],
            form=HandoverForm.CONTROLLED_AREA if is_scanner else HandoverForm.GENERAL,
            reason=command.reason.strip(),
            handed_over_by=command.actor,
            engineer=command.engineer.strip(),
            company=command.company.strip(),
            hazards=command.hazards.strip(),
            fault_id=command.fault_id,
            kind=command.kind,
        ),
    )


@decided.register
def _hand_back(command: HandBack, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.HAND_BACK)
    if refusal is None and (state.stage != WITH_ENGINEER or state.service is None):
        refusal = Refusal(NOT_NOW, "It is not with an engineer: nothing can be handed back.")
    refusal = (
        refusal
        or refuse_text("the engineer's name", command.engineer)
        or refuse_text("what was done", command.work_done)
        or refuse_text("the report's number", command.report, required=False)
    )
    affected = _affected(command.affected)
    if refusal or isinstance(affected, Refusal) or state.service is None:
        return refusal or (affected if isinstance(affected, Refusal) else Refusal(NOT_NOW, "No handover is open."))
    if command.actor.role != Role.ENGINEER:
        refusal = _signed(command.engineer, command.actor.name, signed=command.engineer_signed)
    elif _plain(command.engineer) != _plain(command.actor.name):
        refusal = Refusal(FORBIDDEN, f"An engineer signs with the name of the account: enter {command.actor.name}.")
    return refusal or drafts_from(
        command,
        EquipmentHandedBack(
            handover_id=state.service.handover_id,
            engineer=command.engineer.strip(),
            work_done=command.work_done.strip(),
            affected=affected,
            is_working=command.is_working,
            recorded_by=command.actor,
            report=command.report.strip(),
        ),
    )


@decided.register
def _decide_return(command: DecideReturn, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.DECIDE_RETURN)
    service = state.service
    if refusal or state.stage != HANDED_BACK or service is None:
        return refusal or Refusal(NOT_NOW, "It has not been handed back: there is no return to decide on.")
    refusal = _not_the_engineer(command, service)
    if refusal is None and command.returns and not service.is_working:
        refusal = Refusal(NOT_NOW, "The engineer handed it back as not working: hand it over again.")
    if refusal is None and command.returns and service.affected and command.actor.role != Role.PHYSICIST:
        text = "The work could have affected dose, image quality, safety or what is measured: a physicist decides."
        refusal = Refusal(FORBIDDEN, text)
    refusal = refusal or refuse_text("the note", command.note, required=not command.returns)
    return refusal or drafts_from(
        command, ReturnDecided(service.handover_id, command.returns, command.actor, command.note.strip())
    )


@decided.register
def _record_remote_service(command: RecordRemoteService, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = (
        refuse_role(command, Permission.HAND_OVER)
        or _in_service(state)
        or refuse_text("the engineer's name", command.engineer)
        or refuse_text("the engineer's company", command.company)
        or refuse_text("what was done", command.work_done)
        or refuse_text("the report's number", command.report, required=False)
    )
    affected = _affected(command.affected)
    if refusal or isinstance(affected, Refusal):
        return refusal or affected  # type: ignore[return-value] # one of the two is a refusal
    return drafts_from(
        command,
        ServicedRemotely(
            engineer=command.engineer.strip(),
            company=command.company.strip(),
            work_done=command.work_done.strip(),
            affected=affected,
            recorded_by=command.actor,
            report=command.report.strip(),
        ),
    )


@decided.register
def _verify_measurement(command: VerifyMeasurement, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.VERIFY_MEASUREMENT)
    before = state.changed.before.get(command.phantom_id) if state.changed else None
    if refusal or before is None:
        return refusal or Refusal(NOT_NOW, "No work waits to be verified on this phantom.")
    values = [value for _, value in state.chart(command.phantom_id).candidates[:COMPARED]]
    if len(values) < COMPARED:
        return Refusal(NOT_NOW, f"{COMPARED} scans since the work are compared; {len(values)} are on record.")
    after = fmean(values)
    step = 100.0 * (after / before - 1.0)
    if abs(step) > AGREES_PERCENT:
        far = f"The mean moved by {step:+.2f} %, more than {AGREES_PERCENT:g} %"
        return Refusal(NOT_NOW, f"{far}: accept a new baseline, or have it mended.")
    return drafts_from(command, MeasurementVerified(command.phantom_id, COMPARED, before, after, step, command.actor))


def _in_service(state: DeviceState) -> Refusal | None:
    if state.stage == "retired":
        return Refusal(NOT_NOW, "It is retired from service.")
    if state.stage == WITH_ENGINEER and state.service is not None:
        return Refusal(NOT_NOW, f"It is with {state.service.engineer} already: it is handed back first.")
    return None


def _signed(engineer: str, actor: str, *, signed: bool) -> Refusal | None:
    """Refuse where the engineer has not signed, or is the person at the screen: one person signs one part."""
    if _plain(engineer) == _plain(actor):
        return Refusal(FORBIDDEN, "The engineer's and the department's part are signed by two people.")
    return None if signed else Refusal(MISSING, "The engineer signs on this screen: tick it when that is done.")


def _not_the_engineer(command: DecideReturn, service: Service) -> Refusal | None:
    if _plain(command.actor.name) in {_plain(name) for name in (service.engineer, *service.workers)}:
        return Refusal(FORBIDDEN, "Who did the work does not decide on the return.")
    return None


def _affected(said: SaidAffected) -> Affected | Refusal:
    """Return what was affected; a blank is no answer."""
    blank = [words for name, words in _ASKED.items() if getattr(said, name) is None]
    if blank:
        return Refusal(MISSING, f"Say yes or no: could the work have affected {', '.join(blank)}?")
    return Affected(bool(said.dose), bool(said.image_quality), bool(said.safety), bool(said.measurement))


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
