"""What people ask for. A command is not a fact: `streams.fold.decisions.decide` turns it into facts or refuses.

Every command names its device, the person who asks, and a `request_id` made with the form, so that the same form
sent twice counts once.
"""

from datetime import datetime

import msgspec

from streams.messages import (
    Attachment,
    Draft,
    EntryKind,
    PatientMeasured,
    Person,
    ReviewVerdict,
    ServiceKind,
    SessionPurpose,
    SizeAt,
    StudyKind,
)
from streams.policy import CommissioningStep


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What every command carries; `device` is ``site/device``."""

    device: str
    actor: Person
    request_id: str


class EnterVendorQc(Request, frozen=True, kw_only=True):
    """Record the scanner's own QC by hand: the 30-second entry."""

    passed: bool
    reviewed_by: str
    measured_at: datetime | None = None
    note: str = ""


class EnterPhantomScan(Request, frozen=True, kw_only=True):
    """Record a phantom scan by hand, for a scanner that sends no structured report."""

    phantom_id: str
    bmd_g_cm2: float
    measured_at: datetime | None = None
    repeat: bool = False


class OpenSession(Request, frozen=True, kw_only=True):
    """Say what a scale or stadiometer is used for now: a check with a standard, or one patient's measurement.

    For a patient the accession number is given twice: as typed, and as read back from the request.
    """

    purpose: SessionPurpose
    standard_id: str = ""
    accession_number: str = ""
    read_back: str = ""


class CloseSession(Request, frozen=True, kw_only=True):
    """End the session that is open."""


class EnterCheck(Request, frozen=True, kw_only=True):
    """Record by hand what a scale (kg) or stadiometer (cm) read of a standard."""

    standard_id: str
    read: float
    measured_at: datetime | None = None


class EnterMeasurement(Request, frozen=True, kw_only=True):
    """Record by hand a patient's weight (kg) or height (cm), as a scale's or stadiometer's display showed it.

    The accession number is given twice: as typed, and as read back from the request.
    """

    accession_number: str
    read_back: str
    read: float
    measured_at: datetime | None = None


class AcceptBaseline(Request, frozen=True, kw_only=True):
    """Accept scans of a phantom as its baseline: those gathered, or those of the days that are named.

    Days are ISO 8601; `scans` are their values in g/cm2, as the record has them.
    """

    phantom_id: str
    reason: str
    first: str = ""
    last: str = ""
    scans: tuple[float, ...] = ()


class ReleaseQc(Request, frozen=True, kw_only=True):
    """Release a phantom's chart after a confirmed failure: the cause is found and a scan has passed since."""

    phantom_id: str
    cause: str


class DecideReview(Request, frozen=True, kw_only=True):
    """Decide a review: what it means for the measurements in it, and why; `decision` is in words.

    `unit` and `sizes` are the estimate on record, as the physicist saw it.
    """

    review_id: str
    verdict: ReviewVerdict
    decision: str
    unit: str = ""
    sizes: tuple[SizeAt, ...] = ()


class WithdrawDecision(Request, frozen=True, kw_only=True):
    """Take the decision of a review back."""

    review_id: str
    reason: str


class ReleaseMeasurement(Request, frozen=True, kw_only=True):
    """Release a measurement that was withheld; `measured` is what the record holds under its event id."""

    subject_event_id: str
    measured: PatientMeasured
    reason: str


class OverrideGate(Request, frozen=True, kw_only=True):
    """Open a held gate until a time, for a reason; `advised_by` names the physicist an operator has asked."""

    reason: str
    until: datetime | None = None
    advised_by: str = ""
    by_telephone: bool = False


class EndOverride(Request, frozen=True, kw_only=True):
    """End an override now."""


class LogFault(Request, frozen=True, kw_only=True):
    """Report a fault by hand."""

    text: str
    stops_scanning: bool


class ClearFault(Request, frozen=True, kw_only=True):
    """Say that a fault is put right."""

    fault_id: str
    text: str


class HandOver(Request, frozen=True, kw_only=True):
    """Stage 1 of a handover: give a device to an engineer, who signs for it on this screen or by an account."""

    reason: str
    engineer: str
    company: str
    engineer_signed: bool
    hazards: str = ""
    fault_id: str = ""
    kind: ServiceKind = ServiceKind.BREAKDOWN


class SaidAffected(msgspec.Struct, frozen=True):
    """What an engineer says that work could have affected; None where it was left blank, which is no answer."""

    dose: bool | None = None
    image_quality: bool | None = None
    safety: bool | None = None
    measurement: bool | None = None


class HandBack(Request, frozen=True, kw_only=True):
    """Stage 2: the engineer says what was done and hands the device back."""

    engineer: str
    work_done: str
    affected: SaidAffected
    is_working: bool
    engineer_signed: bool
    report: str = ""


class DecideReturn(Request, frozen=True, kw_only=True):
    """Stage 3: the customer decides whether the device returns, to be verified, or stays out of use."""

    returns: bool
    note: str = ""


class RecordRemoteService(Request, frozen=True, kw_only=True):
    """Record service from afar, by its report: no area is transferred, and the device is verified."""

    engineer: str
    company: str
    work_done: str
    affected: SaidAffected
    report: str = ""


class VerifyMeasurement(Request, frozen=True, kw_only=True):
    """Accept that work did not change what a phantom measures: ten scans after agree with ten before."""

    phantom_id: str


class RecordCommissioning(Request, frozen=True, kw_only=True):
    """Put one step of commissioning on record; `done_on` is a date (ISO 8601)."""

    step: CommissioningStep
    done_on: str
    done_by: str
    organisation: str
    is_satisfactory: bool
    result: str = ""
    reference: str = ""
    endorsed_by: str = ""


class SignOffCommissioning(Request, frozen=True, kw_only=True):
    """Take responsibility for a device's clinical use; `in_service_since` is a date where a device is adopted."""

    in_service_since: str = ""
    note: str = ""


class ReviewStep(Request, frozen=True, kw_only=True):
    """Decide what the step between two epochs of a phantom's chart means for comparisons across it."""

    phantom_id: str
    is_comparable: bool
    decision: str


class AcceptCrossCalibration(Request, frozen=True, kw_only=True):
    """Accept a cross-calibration of this device against another, as it was derived from its data.

    Lower, upper, intercept and standard error are in g/cm2; dates are ISO 8601.
    """

    study_id: str
    kind: StudyKind
    other_device: str
    region: str
    method: str
    slope: float
    intercept_g_cm2: float
    standard_error_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    n: int
    data_digest: str
    valid_from: datetime
    reason: str
    valid_until: datetime | None = None
    approval_reference: str = ""


class WithdrawCrossCalibration(Request, frozen=True, kw_only=True):
    """Withdraw a study: none of its versions is in force any more."""

    study_id: str
    reason: str


class RecordDuty(Request, frozen=True, kw_only=True):
    """Record that work that comes round was done; dates are ISO 8601."""

    duty_id: str
    done_on: str
    done_by: str
    valid_until: str = ""
    note: str = ""
    reference: str = ""


class MakeLogEntry(Request, frozen=True, kw_only=True):
    """Write into the equipment log; a comment names the event that it is about."""

    kind: EntryKind
    text: str
    about: str = ""


class AddAttachment(Request, frozen=True, kw_only=True):
    """Add a file, already kept, to what `about` names."""

    attachment: Attachment
    about: str
    text: str = ""


class RecordIncident(Request, frozen=True, kw_only=True):
    """Record an incident or a near miss."""

    kind: str
    text: str


class CloseIncident(Request, frozen=True, kw_only=True):
    """Say what came of looking into an incident."""

    incident_id: str
    finding: str


class RetireDevice(Request, frozen=True, kw_only=True):
    """Take a device out of service for good."""

    reason: str


Command = (
    EnterVendorQc
    | EnterPhantomScan
    | OpenSession
    | CloseSession
    | EnterCheck
    | EnterMeasurement
    | AcceptBaseline
    | ReleaseQc
    | DecideReview
    | WithdrawDecision
    | ReleaseMeasurement
    | OverrideGate
    | EndOverride
    | LogFault
    | ClearFault
    | HandOver
    | HandBack
    | DecideReturn
    | RecordRemoteService
    | VerifyMeasurement
    | RecordCommissioning
    | SignOffCommissioning
    | ReviewStep
    | AcceptCrossCalibration
    | WithdrawCrossCalibration
    | RecordDuty
    | MakeLogEntry
    | AddAttachment
    | RecordIncident
    | CloseIncident
    | RetireDevice
)


class Refusal(msgspec.Struct, frozen=True):
    """Why a command was not carried out: a code for programs, and words that say what is missing."""

    code: str
    text: str


Decision = tuple[Draft, ...] | Refusal
"""The facts a command became, or why it became none."""
