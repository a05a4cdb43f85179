"""Facts: what happened to a device, in the past tense."""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, Person, Source, UtcTime
from streams.messages.equipment import (
    AttachmentAdded,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DutyDone,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    StepReviewed,
    WatchInterrupted,
)
from streams.policy import ClinicCalendar, DevicePolicy

# --- facts: readings ---------------------------------------------------------------------------------------


class PhantomMeasured(Message, frozen=True, tag="bonewatch.phantom-measured.v1"):
    """A phantom was scanned: one region of one analysis.

    `acquisition_id` tells a repeat (another acquisition) from a re-analysis (the same one). `scan_mode` is as the
    scanner names it; `k` and `d0` are the calibration constants of a Hologic, which a recalibration moves.
    """

    phantom_id: str
    region: str
    bmd_g_cm2: float
    measured_at: UtcTime
    acquisition_id: str
    sop_instance_uid: str = ""
    software: str = ""
    source: Source = Source.DICOM
    performed_by: str = ""
    scan_mode: str = ""
    k: float | None = None
    d0: float | None = None


class VendorQcReported(Message, frozen=True, tag="bonewatch.vendor-qc-reported.v1"):
    """The scanner's own quality control was run; the manufacturer's program says passed or not."""

    passed: bool
    measured_at: UtcTime
    performed_by: str
    reviewed_by: str
    note: str = ""
    source: Source = Source.MANUAL


class PhantomScanRefused(Message, frozen=True, tag="bonewatch.phantom-scan-refused.v1"):
    """An object under a phantom's id was refused at the border and kept; it is no evidence of quality."""

    phantom_id: str
    reason: str
    sop_instance_uid: str = ""


class SessionPurpose(StrEnum):
    """What the readings of a scale or stadiometer are for while a session is open."""

    CHECK = "check"
    PATIENT = "patient"


class SessionOpened(Message, frozen=True, tag="bonewatch.session-opened.v1"):
    """Somebody said what a scale or stadiometer is used for until `until`: a check, or one patient's measurement.

    A check names a standard of the device's policy; a patient's session the request, by accession number.
    """

    session_id: str
    purpose: SessionPurpose
    opened_by: Person
    until: UtcTime
    standard_id: str = ""
    accession_number: str = ""


class SessionClosed(Message, frozen=True, tag="bonewatch.session-closed.v1"):
    """A session ended before its time."""

    session_id: str
    closed_by: Person


class CalibrationCheckRead(Message, frozen=True, tag="bonewatch.calibration-check-read.v1"):
    """A standard of known value was read by a scale (kg) or a stadiometer (cm).

    `session_id` names the session in which the device itself sent it; empty for an entry by hand.
    """

    standard_id: str
    read: float
    measured_at: UtcTime
    performed_by: str
    session_id: str = ""
    unit_sent: str = ""
    imperial: bool = False
    source: Source = Source.SERIAL


class RegionMeasured(msgspec.Struct, frozen=True):
    """One region of a patient's scan; scores as the scanner printed them, in its own reference population."""

    region: str
    bmd_g_cm2: float
    bmc_g: float | None = None
    area_cm2: float | None = None
    t_score: float | None = None
    z_score: float | None = None
    laterality: str = ""


class PatientMeasured(Message, frozen=True, tag="bonewatch.patient-measured.v1"):
    """A patient was measured: densities of one analysis of one scan, or weight or height.

    It names nobody: the request by its accession number, the person by a keyed pseudonym where one is known.
    `session_id` names the session in which a scale or stadiometer sent it. Analyses of one scan share their
    `acquisition_id`; `analysed_at` tells which is the newer. `anatomy` is ``spine``, ``hip``, ``forearm``,
    ``whole_body`` or empty; `mode` is one of the policy's, `scan_mode` is as the scanner names it.
    """

    accession_number: str
    measured_at: UtcTime
    acquisition_id: str
    pseudonym: str = ""
    regions: tuple[RegionMeasured, ...] = ()
    weight_kg: float | None = None
    height_cm: float | None = None
    procedure_code: str = ""
    mode: str = ""
    software: str = ""
    sop_instance_uid: str = ""
    session_id: str = ""
    unit_sent: str = ""
    imperial: bool = False
    performed_by: str = ""
    source: Source = Source.DICOM
    anatomy: str = ""
    study_instance_uid: str = ""
    analysed_at: UtcTime | None = None
    scan_mode: str = ""
    k: float | None = None
    d0: float | None = None


class PatientScanStarted(Message, frozen=True, tag="bonewatch.patient-scan-started.v1"):
    """A scanner reported that a patient's procedure step began (MPPS N-CREATE)."""

    accession_number: str
    started_at: UtcTime
    mpps_uid: str
    mode: str = ""
    procedure_code: str = ""
    pseudonym: str = ""


class RefusedRequest(msgspec.Struct, frozen=True):
    """A request that a scanner was refused, by its accession number; `mode` is empty where its codes ask for none."""

    accession_number: str
    scheduled_at: UtcTime | None = None
    mode: str = ""


class WorklistRefused(Message, frozen=True, tag="bonewatch.worklist-refused.v1"):
    """Requests were refused on a scanner's worklist while its gate was held: each is told once in a held time.

    `held_since` is when that began, `reasons` what held. It names nobody; of very many, `left_out` are not listed.
    """

    held_since: UtcTime | None
    reasons: tuple[str, ...]
    requests: tuple[RefusedRequest, ...]
    left_out: int = 0


class ObjectKind(StrEnum):
    """What a patient's object without values is."""

    IMAGE = "image"
    DOCUMENT = "document"
    PRESENTATION_STATE = "presentation_state"
    REPORT = "report"
    OTHER = "other"


class PatientObjectReceived(Message, frozen=True, tag="bonewatch.patient-object-received.v1"):
    """An object of a patient's scan came that says no density: an image, a document, a report nobody can read.

    `acquisition_id` is that of the scan it belongs to; `why` says why a report could not be read.
    """

    kind: ObjectKind
    accession_number: str
    acquisition_id: str
    acquired_at: UtcTime | None = None
    sop_instance_uid: str = ""
    mode: str = ""
    pseudonym: str = ""
    study_instance_uid: str = ""
    why: str = ""


class DeviceHeard(Message, frozen=True, tag="bonewatch.device-heard.v1"):
    """A device's line stands otherwise than before; `state` is a word of its collector, `why` for people."""

    state: str
    why: str
    serial: str = ""


# --- facts: decisions of people ----------------------------------------------------------------------------


class BaselineAccepted(Message, frozen=True, tag="bonewatch.baseline-accepted.v1"):
    """A physicist accepted a baseline: a new epoch of one phantom's chart; never edited afterwards.

    `first` and `last` are the days (ISO 8601) of its scans, where it was taken out of a scanner's history.
    """

    phantom_id: str
    epoch: int
    n: int
    mean_g_cm2: float
    sd_g_cm2: float
    sigma_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    established: bool
    accepted_by: Person
    reason: str
    step_percent: float | None = None
    first: str = ""
    last: str = ""


class QcReleased(Message, frozen=True, tag="bonewatch.qc-released.v1"):
    """A physicist released a phantom's chart after a confirmed failure, with the cause found."""

    phantom_id: str
    cause: str
    released_by: Person


class ReviewDecided(Message, frozen=True, tag="bonewatch.review-decided.v1"):
    """A physicist looked at a drift signal of one chart and decided."""

    phantom_id: str
    decision: str
    decided_by: Person


class GateOverridden(Message, frozen=True, tag="bonewatch.gate-overridden.v1"):
    """Somebody opened a held gate for named reasons until a named time, and said why."""

    codes: tuple[str, ...]
    overridden_by: Person
    reason: str
    until: UtcTime
    advised_by: str = ""
    by_telephone: bool = False


class OverrideEnded(Message, frozen=True, tag="bonewatch.override-ended.v1"):
    """Somebody ended an override before its time."""

    ended_by: Person


class Severity(StrEnum):
    """How bad a line of a log is, in the words of RFC 5424."""

    EMERGENCY = "emergency"
    ALERT = "alert"
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


class FaultLogged(Message, frozen=True, tag="bonewatch.fault-logged.v1"):
    """A fault was reported by a person, or by the device's log: then with its code there, and what else was said."""

    fault_id: str
    text: str
    stops_scanning: bool
    logged_by: Person
    code: str = ""
    severity: Severity | None = None
    component: str = ""


class FaultCleared(Message, frozen=True, tag="bonewatch.fault-cleared.v1"):
    """A fault was put right."""

    fault_id: str
    text: str
    cleared_by: Person


# --- facts: service and handover ---------------------------------------------------------------------------


class HandoverForm(StrEnum):
    """By which form equipment is handed over: with its radiation controlled area, or equipment alone."""

    CONTROLLED_AREA = "controlled_area"
    GENERAL = "general"


class ServiceKind(StrEnum):
    """Why an engineer has a device, as the handover form asks; planned work counts apart in uptime."""

    BREAKDOWN = "breakdown"
    PLANNED_MAINTENANCE = "planned_maintenance"
    UPGRADE = "upgrade"
    INSTALLATION = "installation"


class Affected(msgspec.Struct, frozen=True):
    """What work could have affected, as the engineer says; `measurement` is work that changes what is measured.

    Such work is a change of tube, detector, software or calibration.
    """

    dose: bool
    image_quality: bool
    safety: bool
    measurement: bool


class EquipmentHandedOver(Message, frozen=True, tag="bonewatch.equipment-handed-over.v1"):
    """Stage 1: the customer handed a device over to an engineer, who signed for it.

    `handed_over_by` is the customer; `engineer` signed, on the customer's screen where the engineer has no account.
    `hazards` is what the engineer was told; `fault_id` names the fault that it is about, if one.
    """

    handover_id: str
    form: HandoverForm
    reason: str
    handed_over_by: Person
    engineer: str
    company: str
    hazards: str = ""
    fault_id: str = ""
    kind: ServiceKind = ServiceKind.BREAKDOWN


class EquipmentHandedBack(Message, frozen=True, tag="bonewatch.equipment-handed-back.v1"):
    """Stage 2: the engineer said what was done, what it could have affected, and handed the device back.

    `recorded_by` is the person at the screen; the engineer's own statement never certifies fitness for clinical use.
    """

    handover_id: str
    engineer: str
    work_done: str
    affected: Affected
    is_working: bool
    recorded_by: Person
    report: str = ""


class ReturnDecided(Message, frozen=True, tag="bonewatch.return-decided.v1"):
    """Stage 3: the customer decided: `returns` to verification and then clinical use, or stays out of it."""

    handover_id: str
    returns: bool
    decided_by: Person
    note: str = ""


class ServicedRemotely(Message, frozen=True, tag="bonewatch.serviced-remotely.v1"):
    """A device was serviced from afar: no area was transferred, and it is verified all the same."""

    engineer: str
    company: str
    work_done: str
    affected: Affected
    recorded_by: Person
    report: str = ""


class MeasurementVerified(Message, frozen=True, tag="bonewatch.measurement-verified.v1"):
    """A physicist accepted that work did not change what is measured: ten scans after it against ten before.

    `step_percent` is the mean after less the mean before, in percent of that before; `n` scans were taken on each side.
    """

    phantom_id: str
    n: int
    before_g_cm2: float
    after_g_cm2: float
    step_percent: float
    verified_by: Person


# --- facts: the device, its configuration, time ------------------------------------------------------------


class DeviceRegistered(Message, frozen=True, tag="bonewatch.device-registered.v1"):
    """A device came under watch, with the policy and the calendar that stand from here."""

    policy: DevicePolicy
    calendar: ClinicCalendar


class DeviceReconfigured(Message, frozen=True, tag="bonewatch.device-reconfigured.v1"):
    """The complete resolved policy of a device, in force from here."""

    policy: DevicePolicy


class ClinicCalendarChanged(Message, frozen=True, tag="bonewatch.clinic-calendar-changed.v1"):
    """The complete clinic calendar of a device, in force from here."""

    calendar: ClinicCalendar


class DeviceRetired(Message, frozen=True, tag="bonewatch.device-retired.v1"):
    """A device left service for good."""

    reason: str
    retired_by: Person


class TimeReached(Message, frozen=True, tag="bonewatch.time-reached.v1"):
    """The deadline that a device's state had named is due."""

    due_at: UtcTime


class ClockCorrected(Message, frozen=True, tag="bonewatch.clock-corrected.v1"):
    """The computer's clock had run ahead and was set back: from here recorded times begin anew.

    `was_at` is the last time that stands in the log; passes dated after this event are void.
    """

    was_at: UtcTime
    reason: str
    corrected_by: Person


class FoldUpgraded(Message, frozen=True, tag="bonewatch.fold-upgraded.v1"):
    """The state was folded anew by other rules; decisions that differ are listed, and take effect after this."""

    from_version: int
    to_version: int
    differences: tuple[str, ...] = ()


Fact = (
    PhantomMeasured
    | VendorQcReported
    | PhantomScanRefused
    | SessionOpened
    | SessionClosed
    | CalibrationCheckRead
    | PatientMeasured
    | PatientScanStarted
    | PatientObjectReceived
    | WorklistRefused
    | DeviceHeard
    | BaselineAccepted
    | QcReleased
    | ReviewDecided
    | GateOverridden
    | OverrideEnded
    | IncidentRecorded
    | FaultLogged
    | FaultCleared
    | EquipmentHandedOver
    | EquipmentHandedBack
    | ReturnDecided
    | ServicedRemotely
    | MeasurementVerified
    | CommissioningRecorded
    | CommissioningSignedOff
    | StepReviewed
    | CrossCalibrationAccepted
    | CrossCalibrationWithdrawn
    | DutyDone
    | LogEntryMade
    | AttachmentAdded
    | IncidentClosed
    | WatchInterrupted
    | DeviceRegistered
    | DeviceReconfigured
    | ClinicCalendarChanged
    | DeviceRetired
    | TimeReached
    | ClockCorrected
    | FoldUpgraded
)
