"""Into clinical use, and what may be compared across epochs and scanners: who decides, and what is missing."""

import math
import re
from datetime import datetime
from typing import Final

from streams.commands import (
    AcceptCrossCalibration,
    Decision,
    RecordCommissioning,
    Refusal,
    ReviewStep,
    SignOffCommissioning,
    WithdrawCrossCalibration,
)
from streams.fold import commissioning
from streams.fold.decisions.base import (
    MISSING,
    NOT_NOW,
    decided,
    drafts_from,
    refuse_day,
    refuse_role,
    refuse_text,
)
from streams.fold.schedule import local_day
from streams.fold.state import DeviceState
from streams.messages import (
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    StepReviewed,
    StudyKind,
)
from streams.policy import CommissioningStep, DeviceKind
from streams.roles import Permission

MIN_PAIRS: Final = {StudyKind.PHANTOM: 10, StudyKind.IN_VIVO: 30}
"""A cross-calibration rests on no fewer: ten phantom scans on each scanner, or thirty patients (ISCD 2019)."""
MAX_STUDIES: Final = 12
"""So many names of studies a device may have; each has as many versions as it likes."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@decided.register
def _record_commissioning(command: RecordCommissioning, state: DeviceState, now: datetime) -> Decision:
    is_critical = command.step is CommissioningStep.CRITICAL_EXAMINATION
    refusal = (
        refuse_role(command, Permission.RECORD_COMMISSIONING)
        or _commissioning_now(state)
        or refuse_day("the day on which it was done", command.done_on, state, now)
        or refuse_text("who did it", command.done_by)
        or refuse_text("their organisation", command.organisation)
        or refuse_text("the result", command.result, required=not command.is_satisfactory)
        or refuse_text("the reference of the report", command.reference, required=False)
        or refuse_text("the radiation protection adviser who endorsed it", command.endorsed_by, required=is_critical)
    )
    return refusal or drafts_from(
        command,
        CommissioningRecorded(
            step=command.step,
            done_on=command.done_on,
            done_by=command.done_by.strip(),
            organisation=command.organisation.strip(),
            is_satisfactory=command.is_satisfactory,
            recorded_by=command.actor,
            result=command.result.strip(),
            reference=command.reference.strip(),
            endorsed_by=command.endorsed_by.strip(),
        ),
    )


@decided.register
def _sign_off(command: SignOffCommissioning, state: DeviceState, now: datetime) -> Decision:
    is_adopted = bool(command.in_service_since)
    refusal = refuse_role(command, Permission.SIGN_OFF) or _commissioning_now(state)
    if refusal is None and is_adopted:
        refusal = refuse_day("the day from which it was in service", command.in_service_since, state, now)
        refusal = refusal or refuse_text("where the records of its past commissioning are", command.note)
        begun = state.commissioning.begun
        if refusal is None and begun and command.in_service_since >= str(local_day(begun, state.calendar.time_zone)):
            text = "A scanner is adopted that was in service before it came under watch here; this one was not."
            refusal = Refusal(NOT_NOW, f"{text} Put its commissioning on record.")
    refusal = refusal or refuse_text("the note", command.note, required=False)
    if refusal is None:
        missing = [f"a baseline for {name}" for name in commissioning.phantoms_without_baseline(state)]
        if not is_adopted:
            missing += [commissioning.WORDS[step] for step in commissioning.steps_without_record(state)]
        failed = [commissioning.WORDS[step] for step in state.commissioning.failed]
        if failed:
            refusal = Refusal(
                NOT_NOW, f"On record as not satisfactory: {', '.join(failed)}. Record how it was put right."
            )
        elif missing:
            refusal = Refusal(NOT_NOW, f"Still missing: {', '.join(missing)}.")
    return refusal or drafts_from(
        command, CommissioningSignedOff(command.actor, command.in_service_since, command.note.strip())
    )


@decided.register
def _review_step(command: ReviewStep, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.ACCEPT_STUDY) or refuse_text("your decision", command.decision)
    step = state.chart(command.phantom_id).unreviewed_step
    if refusal or step is None:
        return refusal or Refusal(NOT_NOW, "No step between two epochs waits for a review on this chart.")
    return drafts_from(
        command,
        StepReviewed(command.phantom_id, step[0], command.is_comparable, command.decision.strip(), command.actor),
    )


@decided.register
def _accept_cross_calibration(command: AcceptCrossCalibration, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = (
        refuse_role(command, Permission.ACCEPT_STUDY)
        or refuse_text("the name of the study", command.study_id)
        or refuse_text("the other device", command.other_device)
        or refuse_text("the region", command.region)
        or refuse_text("the reason", command.reason)
        or refuse_text("the approval's reference", command.approval_reference, required=False)
        or _impossible(command, state)
    )
    if refusal is None and len({*dict(state.studies), command.study_id.strip()}) > MAX_STUDIES:
        refusal = Refusal(NOT_NOW, f"{MAX_STUDIES} studies are on record for this device: use the name of one of them.")
    return refusal or drafts_from(
        command,
        CrossCalibrationAccepted(
            study_id=command.study_id.strip(),
            version=dict(state.studies).get(command.study_id.strip(), 0) + 1,
            kind=command.kind,
            other_device=command.other_device.strip(),
            region=command.region.strip(),
            method=command.method,
            slope=command.slope,
            intercept_g_cm2=command.intercept_g_cm2,
            standard_error_g_cm2=command.standard_error_g_cm2,
            lower_g_cm2=command.lower_g_cm2,
            upper_g_cm2=command.upper_g_cm2,
            n=command.n,
            data_digest=command.data_digest,
            valid_from=command.valid_from,
            accepted_by=command.actor,
            reason=command.reason.strip(),
            valid_until=command.valid_until,
            approval_reference=command.approval_reference.strip(),
        ),
    )


@decided.register
def _withdraw(command: WithdrawCrossCalibration, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.ACCEPT_STUDY) or refuse_text("the reason", command.reason)
    if refusal is None and command.study_id not in dict(state.studies):
        refusal = Refusal(NOT_NOW, f"No study named {command.study_id} is on record for this device.")
    return refusal or drafts_from(
        command, CrossCalibrationWithdrawn(command.study_id, command.reason.strip(), command.actor)
    )


def _commissioning_now(state: DeviceState) -> Refusal | None:
    if state.policy is None or state.policy.kind is not DeviceKind.SCANNER:
        return Refusal(NOT_NOW, "Scanners are commissioned so; other equipment is in use once its standards pass.")
    if state.stage != commissioning.COMMISSIONING:
        return Refusal(NOT_NOW, f"It is not in commissioning: it is {state.stage.replace('_', ' ')}.")
    return None


def _impossible(command: AcceptCrossCalibration, state: DeviceState) -> Refusal | None:
    """Refuse an equation that cannot be one."""
    least = MIN_PAIRS[command.kind]
    wrong = {
        "A scanner is not cross-calibrated with itself: name the other one.": (
            command.other_device.strip() in {state.device, state.device.rpartition("/")[2]}
        ),
        "A study on patients or volunteers needs the reference of its approval.": (
            command.kind is StudyKind.IN_VIVO and not command.approval_reference.strip()
        ),
        "The equation needs a positive slope and finite numbers.": not _is_equation(command),
        "The range of the study's values is empty: derive the equation from its data.": not (
            0 < command.lower_g_cm2 < command.upper_g_cm2 < math.inf
        ),
        f"At least {least} pairs are needed; the study has {command.n}.": command.n < least,
        "The digest of the study's data is missing: derive the equation from a kept file.": (
            _DIGEST.fullmatch(command.data_digest) is None
        ),
        "The study's validity has no time zone, or ends before it begins.": not _is_span(
            command.valid_from, command.valid_until
        ),
    }
    return next((Refusal(MISSING, text) for text, is_wrong in wrong.items() if is_wrong), None)


def _is_equation(command: AcceptCrossCalibration) -> bool:
    numbers = (command.slope, command.intercept_g_cm2, command.standard_error_g_cm2)
    return all(map(math.isfinite, numbers)) and command.slope > 0 and command.standard_error_g_cm2 >= 0


def _is_span(first: datetime, last: datetime | None) -> bool:
    if first.tzinfo is None:
        return False
    return last is None or (last.tzinfo is not None and last > first)
