"""What people enter by hand: QC, scans, sessions, checks, readings of patients."""

from datetime import datetime, timedelta
from typing import Final

from streams.commands import (
    CloseSession,
    Decision,
    EnterCheck,
    EnterMeasurement,
    EnterPhantomScan,
    EnterVendorQc,
    OpenSession,
    Refusal,
)
from streams.fold.decisions.base import MISSING, NOT_NOW, decided, drafts_from, refuse_role, refuse_text, refuse_time
from streams.fold.state import DeviceState
from streams.messages import (
    CalibrationCheckRead,
    GateStatus,
    PatientMeasured,
    PhantomMeasured,
    SessionClosed,
    SessionOpened,
    SessionPurpose,
    Source,
    VendorQcReported,
    event_id,
)
from streams.policy import DeviceKind
from streams.roles import Permission

SESSION_LASTS: Final = timedelta(minutes=10)
"""A session nobody ended is over then: the next reading is somebody else's (local policy)."""
MAX_ACCESSION: Final = 16
"""Characters of an accession number (DICOM SH)."""
MOST_READ: Final = 1000.0
PATIENTS_KG: Final = (1.0, 500.0, "kg")
PATIENTS_CM: Final = (30.0, 260.0, "cm")
"""What a person can weigh and measure; a slip of the decimal point lies outside (local policy)."""


@decided.register
def _enter_vendor_qc(command: EnterVendorQc, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    measured_at = command.measured_at or now
    refusal = (
        refuse_role(command, Permission.ENTER_QC)
        or refuse_text("the reviewer's name", command.reviewed_by)
        or refuse_text("the note", command.note, required=False)
        or refuse_time(measured_at, now)
    )
    fact = VendorQcReported(
        passed=command.passed,
        measured_at=measured_at,
        performed_by=command.actor.name,
        reviewed_by=command.reviewed_by.strip(),
        note=command.note.strip(),
        source=Source.MANUAL,
    )
    return refusal or drafts_from(command, fact)


@decided.register
def _enter_phantom_scan(command: EnterPhantomScan, state: DeviceState, now: datetime) -> Decision:
    measured_at = command.measured_at or now
    phantom = state.policy.phantom(command.phantom_id) if state.policy else None
    refusal = refuse_role(command, Permission.ENTER_QC) or refuse_time(measured_at, now)
    if refusal:
        return refusal
    if phantom is None:
        return Refusal(MISSING, f"{command.phantom_id} is not a phantom of this scanner.")
    if not 0.0 < command.bmd_g_cm2 <= 5.0:
        return Refusal(MISSING, "BMD must be a number between 0 and 5 g/cm2.")
    if state.chart(command.phantom_id).head.failures and not command.repeat:
        text = "The last scan failed: say that the phantom was repositioned and scanned again (repeat)."
        return Refusal(MISSING, text)
    return drafts_from(
        command,
        PhantomMeasured(
            phantom_id=command.phantom_id,
            region=phantom.region,
            bmd_g_cm2=command.bmd_g_cm2,
            measured_at=measured_at,
            acquisition_id=f"manual/{command.request_id}",
            source=Source.MANUAL,
            performed_by=command.actor.name,
        ),
    )


@decided.register
def _open_session(command: OpenSession, state: DeviceState, now: datetime) -> Decision:
    refusal = refuse_role(command, Permission.ENTER_QC) or _weighs(state)
    if refusal:
        return refusal
    standard_id, accession_number = "", ""
    if command.purpose is SessionPurpose.CHECK:
        standard_id = command.standard_id
        refusal = _standard(state, standard_id)
    else:
        accession_number = command.accession_number.strip()
        refusal = _accession_number(accession_number, command.read_back.strip()) or _in_use(state)
    return refusal or drafts_from(
        command,
        SessionOpened(
            session_id=event_id("session", command.request_id),
            purpose=command.purpose,
            opened_by=command.actor,
            until=now + SESSION_LASTS,
            standard_id=standard_id,
            accession_number=accession_number,
        ),
    )


@decided.register
def _close_session(command: CloseSession, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.ENTER_QC)
    if refusal is None and state.session is None:
        refusal = Refusal(NOT_NOW, "No session is open.")
    session_id = state.session.session_id if state.session else ""
    return refusal or drafts_from(command, SessionClosed(session_id, command.actor))


@decided.register
def _enter_check(command: EnterCheck, state: DeviceState, now: datetime) -> Decision:
    measured_at = command.measured_at or now
    refusal = (
        refuse_role(command, Permission.ENTER_QC)
        or _weighs(state)
        or _standard(state, command.standard_id)
        or refuse_time(measured_at, now)
    )
    if refusal is None and not -MOST_READ <= command.read <= MOST_READ:
        refusal = Refusal(MISSING, f"The reading must be a number of kg or cm below {MOST_READ:g}.")
    return refusal or drafts_from(
        command,
        CalibrationCheckRead(
            standard_id=command.standard_id,
            read=command.read,
            measured_at=measured_at,
            performed_by=command.actor.name,
            source=Source.MANUAL,
        ),
    )


@decided.register
def _enter_measurement(command: EnterMeasurement, state: DeviceState, now: datetime) -> Decision:
    measured_at, number = command.measured_at or now, command.accession_number.strip()
    refusal = (
        refuse_role(command, Permission.ENTER_QC)
        or _weighs(state)
        or _accession_number(number, command.read_back.strip())
        or _in_use(state)
        or refuse_time(measured_at, now)
    )
    if refusal or state.policy is None:
        return refusal or Refusal(NOT_NOW, "This device has no configuration yet.")
    is_height = state.policy.kind is DeviceKind.STADIOMETER
    least, most, unit = PATIENTS_CM if is_height else PATIENTS_KG
    if not least <= command.read <= most:
        return Refusal(MISSING, f"A patient's reading lies between {least:g} and {most:g} {unit}.")
    fact = PatientMeasured(
        accession_number=number,
        measured_at=measured_at,
        acquisition_id=event_id("entered", command.request_id),
        weight_kg=None if is_height else command.read,
        height_cm=command.read if is_height else None,
        performed_by=command.actor.name,
        source=Source.MANUAL,
    )
    return drafts_from(command, fact)


def _weighs(state: DeviceState) -> Refusal | None:
    if state.policy is None or state.policy.kind is DeviceKind.SCANNER:
        return Refusal(NOT_NOW, "This is neither a scale nor a stadiometer.")
    return Refusal(NOT_NOW, "It is retired from service.") if state.stage == "retired" else None


def _standard(state: DeviceState, standard_id: str) -> Refusal | None:
    if state.policy is not None and state.policy.checks.standard(standard_id) is not None:
        return None
    return Refusal(MISSING, f"{standard_id or 'Nothing'} is not a standard that this device is checked with.")


def _accession_number(typed: str, read_back: str) -> Refusal | None:
    if not typed or len(typed) > MAX_ACCESSION or not typed.isprintable():
        return Refusal(MISSING, f"The accession number of the request is needed, at most {MAX_ACCESSION} characters.")
    if typed != read_back:
        return Refusal(MISSING, "The accession number was read back differently: look at the request again.")
    return None


def _in_use(state: DeviceState) -> Refusal | None:
    """Refuse a patient on a device that may not be used: what it reads would be withheld."""
    gates = [gate for gate in state.gates.values() if gate.status is GateStatus.HELD]
    if gates:
        reasons = "; ".join(reason.text for reason in gates[0].reasons if reason.holds)
        return Refusal(NOT_NOW, f"It may not be used for patients now: {reasons}.")
    return None
