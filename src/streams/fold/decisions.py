"""Turn what a person asks for into facts, or refuse with what is missing. Pure: `now` is handed in."""

from datetime import UTC, datetime, timedelta
from functools import singledispatch
from typing import Final

from qa_models.baseline import Baseline
from streams.commands import (
    AcceptBaseline,
    ClearFault,
    CloseSession,
    Command,
    DecideReview,
    Decision,
    EndOverride,
    EnterCheck,
    EnterMeasurement,
    EnterPhantomScan,
    EnterVendorQc,
    LogFault,
    OpenSession,
    OverrideGate,
    Refusal,
    ReleaseQc,
    Request,
    RetireDevice,
)
from streams.fold.device import OPEN_FAULTS
from streams.fold.gate import assess
from streams.fold.schedule import clinic_ends
from streams.fold.state import DeviceState
from streams.messages import (
    BaselineAccepted,
    CalibrationCheckRead,
    DeviceRetired,
    Draft,
    Fact,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    GateStatus,
    IncidentRecorded,
    OverrideEnded,
    PatientMeasured,
    PhantomMeasured,
    QcReleased,
    ReasonCode,
    ReviewDecided,
    SessionClosed,
    SessionOpened,
    SessionPurpose,
    Source,
    VendorQcReported,
    event_id,
)
from streams.policy import SECONDS_AHEAD_SUSPECT, DeviceKind
from streams.roles import Permission, Role, may

STALE: Final = "stale"
FORBIDDEN: Final = "forbidden"
MISSING: Final = "missing"
NOT_NOW: Final = "not_now"

MAX_TEXT: Final = 500
EARLIEST_YEAR: Final = 1990
"""No DXA scanner of today measured anything before."""

SESSION_LASTS: Final = timedelta(minutes=10)
"""A session nobody ended is over then: the next reading is somebody else's (local policy)."""
MAX_ACCESSION: Final = 16
"""Characters of an accession number (DICOM SH)."""
MOST_READ: Final = 1000.0
PATIENTS_KG: Final = (1.0, 500.0, "kg")
PATIENTS_CM: Final = (30.0, 260.0, "cm")
"""What a person can weigh and measure; a slip of the decimal point lies outside (local policy)."""

OVERRIDABLE_BY_OPERATOR: Final = frozenset({ReasonCode.STATE_UNKNOWN.value, ReasonCode.INDEPENDENT_OVERDUE.value})
"""Reasons that an operator may override, to the end of the clinic (DESIGN 5.2)."""
OVERRIDABLE_ON_ADVICE: Final = frozenset({ReasonCode.QC_FAILED.value, ReasonCode.VERIFICATION_REQUIRED.value})
"""Reasons that a physicist may override, or an operator on a named physicist's advice (DESIGN 5.2)."""


def decide(state: DeviceState, command: Command, *, expected_device_seq: int, now: datetime) -> Decision:
    """Return the facts that `command` becomes, or why it is refused; the state is left as it is."""
    if expected_device_seq != state.device_seq:
        text = "This page is out of date: the device has changed since it was loaded. Look again, then decide."
        return Refusal(STALE, text)
    if state.policy is None:
        return Refusal(NOT_NOW, "This device has no configuration yet.")
    return _decide(command, state, now)


@singledispatch
def _decide(command: Command, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001 - the dispatch's signature
    raise TypeError(f"no decision is written for {type(command).__name__}")


@_decide.register
def _enter_vendor_qc(command: EnterVendorQc, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    measured_at = command.measured_at or now
    refusal = (
        _role(command, Permission.ENTER_QC)
        or _text("the reviewer's name", command.reviewed_by)
        or _text("the note", command.note, required=False)
        or _time(measured_at, now)
    )
    fact = VendorQcReported(
        passed=command.passed,
        measured_at=measured_at,
        performed_by=command.actor.name,
        reviewed_by=command.reviewed_by.strip(),
        note=command.note.strip(),
        source=Source.MANUAL,
    )
    return refusal or _drafts(command, fact)


@_decide.register
def _enter_phantom_scan(command: EnterPhantomScan, state: DeviceState, now: datetime) -> Decision:
    measured_at = command.measured_at or now
    phantom = state.policy.phantom(command.phantom_id) if state.policy else None
    refusal = _role(command, Permission.ENTER_QC) or _time(measured_at, now)
    if refusal:
        return refusal
    if phantom is None:
        return Refusal(MISSING, f"{command.phantom_id} is not a phantom of this scanner.")
    if not 0.0 < command.bmd_g_cm2 <= 5.0:
        return Refusal(MISSING, "BMD must be a number between 0 and 5 g/cm2.")
    if state.chart(command.phantom_id).head.failures and not command.repeat:
        text = "The last scan failed: say that the phantom was repositioned and scanned again (repeat)."
        return Refusal(MISSING, text)
    return _drafts(
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


@_decide.register
def _open_session(command: OpenSession, state: DeviceState, now: datetime) -> Decision:
    refusal = _role(command, Permission.ENTER_QC) or _weighs(state)
    if refusal:
        return refusal
    standard_id, accession_number = "", ""
    if command.purpose is SessionPurpose.CHECK:
        standard_id = command.standard_id
        refusal = _standard(state, standard_id)
    else:
        accession_number = command.accession_number.strip()
        refusal = _accession_number(accession_number, command.read_back.strip()) or _in_use(state)
    return refusal or _drafts(
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


@_decide.register
def _close_session(command: CloseSession, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.ENTER_QC)
    if refusal is None and state.session is None:
        refusal = Refusal(NOT_NOW, "No session is open.")
    session_id = state.session.session_id if state.session else ""
    return refusal or _drafts(command, SessionClosed(session_id, command.actor))


@_decide.register
def _enter_check(command: EnterCheck, state: DeviceState, now: datetime) -> Decision:
    measured_at = command.measured_at or now
    refusal = (
        _role(command, Permission.ENTER_QC)
        or _weighs(state)
        or _standard(state, command.standard_id)
        or _time(measured_at, now)
    )
    if refusal is None and not -MOST_READ <= command.read <= MOST_READ:
        refusal = Refusal(MISSING, f"The reading must be a number of kg or cm below {MOST_READ:g}.")
    return refusal or _drafts(
        command,
        CalibrationCheckRead(
            standard_id=command.standard_id,
            read=command.read,
            measured_at=measured_at,
            performed_by=command.actor.name,
            source=Source.MANUAL,
        ),
    )


@_decide.register
def _enter_measurement(command: EnterMeasurement, state: DeviceState, now: datetime) -> Decision:
    measured_at, number = command.measured_at or now, command.accession_number.strip()
    refusal = (
        _role(command, Permission.ENTER_QC)
        or _weighs(state)
        or _accession_number(number, command.read_back.strip())
        or _in_use(state)
        or _time(measured_at, now)
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
    return _drafts(command, fact)


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


@_decide.register
def _accept_baseline(command: AcceptBaseline, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.ACCEPT_BASELINE) or _text("the reason", command.reason)
    if refusal:
        return refusal
    if state.policy is None or state.policy.phantom(command.phantom_id) is None:
        return Refusal(MISSING, f"{command.phantom_id} is not a phantom of this scanner.")
    rules, chart = state.policy.qc, state.chart(command.phantom_id)
    if len(chart.candidates) < rules.min_scans:
        text = f"A baseline needs {rules.min_scans} scans; {len(chart.candidates)} are on record."
        return Refusal(NOT_NOW, text)
    new = Baseline.from_scans(
        [value for _, value in chart.candidates],
        min_scans=rules.min_scans,
        tolerance_percent=rules.tolerance_percent,
        sigma_floor_percent=rules.sigma_floor_percent,
        established_at=rules.established_at,
    )
    old = chart.baseline
    return _drafts(
        command,
        BaselineAccepted(
            phantom_id=command.phantom_id,
            epoch=old.epoch + 1 if old else 1,
            n=new.n,
            mean_g_cm2=new.mean,
            sd_g_cm2=new.sd,
            sigma_g_cm2=new.sigma,
            lower_g_cm2=new.lower,
            upper_g_cm2=new.upper,
            established=new.established,
            accepted_by=command.actor,
            reason=command.reason.strip(),
            step_percent=100.0 * (new.mean / old.mean_g_cm2 - 1.0) if old else None,
        ),
    )


@_decide.register
def _release_qc(command: ReleaseQc, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.RELEASE_QC) or _text("the cause", command.cause)
    head = state.chart(command.phantom_id).head
    if refusal:
        return refusal
    if not head.confirmed:
        return Refusal(NOT_NOW, "There is no confirmed failure to release.")
    if not head.passed_since:
        return Refusal(NOT_NOW, "No scan has passed since the failure: scan the phantom first.")
    return _drafts(
        command,
        QcReleased(phantom_id=command.phantom_id, cause=command.cause.strip(), released_by=command.actor),
    )


@_decide.register
def _decide_review(command: DecideReview, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.DECIDE_REVIEW) or _text("the decision", command.decision)
    if refusal is None and not state.chart(command.phantom_id).head.drift_open:
        refusal = Refusal(NOT_NOW, "No drift signal waits for a decision on this chart.")
    return refusal or _drafts(
        command,
        ReviewDecided(phantom_id=command.phantom_id, decision=command.decision.strip(), decided_by=command.actor),
    )


@_decide.register
def _override_gate(command: OverrideGate, state: DeviceState, now: datetime) -> Decision:
    longest = clinic_ends(state.calendar, now)
    until = min(command.until or longest, longest)
    refusal = _role(command, Permission.OVERRIDE_GATE) or _text("the reason", command.reason)
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
    return _drafts(command, overridden, IncidentRecorded("override", text, command.actor))


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


@_decide.register
def _end_override(command: EndOverride, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.OVERRIDE_GATE)
    if refusal is None and state.override is None:
        refusal = Refusal(NOT_NOW, "No override is running.")
    return refusal or _drafts(command, OverrideEnded(command.actor))


@_decide.register
def _log_fault(command: LogFault, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.LOG_FAULT) or _text("what is wrong", command.text)
    if refusal is None and len(state.faults) >= OPEN_FAULTS:
        refusal = Refusal(NOT_NOW, f"{OPEN_FAULTS} faults are open: clear one before another is reported.")
    fault_id = event_id("fault", command.request_id)[:8]
    return refusal or _drafts(
        command, FaultLogged(fault_id, command.text.strip(), command.stops_scanning, command.actor)
    )


@_decide.register
def _clear_fault(command: ClearFault, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.CLEAR_FAULT) or _text("what was done", command.text)
    if refusal is None and not any(f.fault_id == command.fault_id for f in state.faults):
        refusal = Refusal(NOT_NOW, "That fault is not open.")
    return refusal or _drafts(command, FaultCleared(command.fault_id, command.text.strip(), command.actor))


@_decide.register
def _retire_device(command: RetireDevice, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = _role(command, Permission.RETIRE_DEVICE) or _text("the reason", command.reason)
    if refusal is None and state.stage == "retired":
        refusal = Refusal(NOT_NOW, "The device is retired already.")
    return refusal or _drafts(command, DeviceRetired(command.reason.strip(), command.actor))


def _drafts(command: Request, *facts: Fact) -> tuple[Draft, ...]:
    return tuple(
        Draft(event_id("command", command.device, command.request_id, str(place)), command.device, fact)
        for place, fact in enumerate(facts)
    )


def _role(command: Request, permission: Permission) -> Refusal | None:
    if may(command.actor.role, permission):
        return None
    return Refusal(FORBIDDEN, f"The role {command.actor.role} may not do this.")


def _text(what: str, text: str, *, required: bool = True) -> Refusal | None:
    if required and not text.strip():
        return Refusal(MISSING, f"Give {what}.")
    if len(text) > MAX_TEXT:
        return Refusal(MISSING, f"Keep {what} under {MAX_TEXT} characters.")
    return None


def _time(measured_at: datetime, now: datetime) -> Refusal | None:
    if measured_at.tzinfo is None:
        return Refusal(MISSING, "The time of measurement needs a time zone.")
    if measured_at.year < EARLIEST_YEAR:
        return Refusal(MISSING, f"The time of measurement lies before {EARLIEST_YEAR}.")
    if measured_at.astimezone(UTC) > now + timedelta(seconds=SECONDS_AHEAD_SUSPECT):
        return Refusal(MISSING, "The time of measurement lies in the future.")
    return None
