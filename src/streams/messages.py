"""The one vocabulary: facts that happened to a device, outcomes the fold draws from them.

Facts and outcomes are frozen values in the past tense with a versioned type name; times are aware UTC. Nothing
here names a patient: phantom scans carry the phantom's id, people who act are staff.
"""

from base64 import urlsafe_b64encode
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated

import msgspec

from streams.policy import ClinicCalendar, DevicePolicy, PhantomRole

UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware time; the codec writes UTC."""


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """A fact or an outcome; its tag is its versioned type name."""


class Source(StrEnum):
    """How a reading reached us."""

    DICOM = "dicom"
    MANUAL = "manual"
    IMPORT = "import"
    SERIAL = "serial"


class Person(msgspec.Struct, frozen=True):
    """A member of staff who acted, with the role they acted in."""

    name: str
    role: str


# --- facts: readings ---------------------------------------------------------------------------------------


class PhantomMeasured(Message, frozen=True, tag="bonewatch.phantom-measured.v1"):
    """A phantom was scanned: one region of one analysis.

    `acquisition_id` tells a repeat (another acquisition) from a re-analysis (the same one).
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
    `session_id` names the session in which a scale or stadiometer sent it.
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


class DeviceHeard(Message, frozen=True, tag="bonewatch.device-heard.v1"):
    """A device's line stands otherwise than before; `state` is a word of its collector, `why` for people."""

    state: str
    why: str
    serial: str = ""


# --- facts: decisions of people ----------------------------------------------------------------------------


class BaselineAccepted(Message, frozen=True, tag="bonewatch.baseline-accepted.v1"):
    """A physicist accepted a baseline: a new epoch of one phantom's chart; never edited afterwards."""

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


class IncidentRecorded(Message, frozen=True, tag="bonewatch.incident-recorded.v1"):
    """Something that must be looked into later; an override opens one."""

    kind: str
    text: str
    recorded_by: Person


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
    | DeviceHeard
    | BaselineAccepted
    | QcReleased
    | ReviewDecided
    | GateOverridden
    | OverrideEnded
    | IncidentRecorded
    | FaultLogged
    | FaultCleared
    | DeviceRegistered
    | DeviceReconfigured
    | ClinicCalendarChanged
    | DeviceRetired
    | TimeReached
    | ClockCorrected
    | FoldUpgraded
)


# --- outcomes ----------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What one quality reading says; only the two passes ever open a gate."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    PASS_WITH_NOTE = "pass_with_note"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    FAIL_CONFIRMED = "fail_confirmed"
    WRONG_PHANTOM = "wrong_phantom"
    IMPLAUSIBLE = "implausible"
    NO_BASELINE = "no_baseline"
    CLOCK_SUSPECT = "clock_suspect"
    TOO_LATE = "too_late"
    REANALYSIS = "reanalysis"

    @property
    def passed(self) -> bool:
        """Whether this verdict is a pass."""
        return self in {Verdict.PASS, Verdict.PASS_WITH_NOTE}


class ChartPoint(msgspec.Struct, frozen=True, array_like=True):
    """Where a reading stands on its control chart; BMD in g/cm2, CUSUM sums in sigmas.

    `violated` are the run rules that this very reading violates, `signal` says whether CUSUM or rules signal.
    """

    epoch: int
    target: float
    sigma: float
    lower: float
    upper: float
    deviation_percent: float
    cusum_upper: float
    cusum_lower: float
    cusum_h: float
    signal: bool
    violated: tuple[str, ...] = ()


class QcJudged(Message, frozen=True, tag="bonewatch.qc-judged.v1"):
    """A quality reading was judged; a later revision of the same subject replaces it.

    `plausible` is false where the value cannot be this phantom's, whatever else the verdict says.
    """

    subject_event_id: str
    revision: int
    role: PhantomRole
    phantom_id: str
    region: str
    measured_at: UtcTime
    verdict: Verdict
    bmd_g_cm2: float | None = None
    chart: ChartPoint | None = None
    note: str = ""
    plausible: bool = True


class CheckVerdict(StrEnum):
    """What a check of a scale or stadiometer comes to; a warning is within what is permitted, but only just."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    NOT_JUDGED = "not_judged"


class CheckJudged(Message, frozen=True, tag="bonewatch.check-judged.v1"):
    """A check of a scale (kg) or stadiometer (cm) was judged: reading less nominal value, against what is permitted.

    `note` says why a check could not be judged, or how it stands with its limits.
    """

    subject_event_id: str
    standard_id: str
    nominal: float
    read: float
    measured_at: UtcTime
    verdict: CheckVerdict
    error: float
    note: str = ""


class GateStatus(StrEnum):
    """Whether patients may be scanned."""

    OPEN = "open"
    HELD = "held"
    OVERRIDDEN = "overridden"


class ReasonCode(StrEnum):
    """Why a gate is held; `DRIFT_UNREVIEWED` warns unless policy makes it hold."""

    QC_MISSING = "qc_missing"
    QC_FAILED = "qc_failed"
    INDEPENDENT_OVERDUE = "independent_overdue"
    NO_BASELINE = "no_baseline"
    FAULT_STOPS_SCANNING = "fault_stops_scanning"
    WITH_ENGINEER = "with_engineer"
    VERIFICATION_REQUIRED = "verification_required"
    CHECK_DUE = "check_due"
    CHECK_FAILED = "check_failed"
    NOT_COMMISSIONED = "not_commissioned"
    RETIRED = "retired"
    CLOCK_SUSPECT = "clock_suspect"
    STATE_UNKNOWN = "state_unknown"
    DRIFT_UNREVIEWED = "drift_unreviewed"


class Reason(msgspec.Struct, frozen=True):
    """One reason in plain words, what would clear it, and whether it holds the gate or only warns."""

    code: ReasonCode
    text: str
    clears_when: str
    holds: bool = True


class GateChanged(Message, frozen=True, tag="bonewatch.gate-changed.v1"):
    """The gate of one mode of a device is now this; past `valid_until` it is held, whoever asks."""

    mode: str
    status: GateStatus
    since: UtcTime
    valid_until: UtcTime | None
    reasons: tuple[Reason, ...]
    overridden_until: UtcTime | None = None
    overridden_by: str = ""


class ReviewOpened(Message, frozen=True, tag="bonewatch.review-opened.v1"):
    """Readings of a device since `since` want a physicist's eyes; nothing is published by this."""

    phantom_id: str
    basis: str
    since: UtcTime | None
    text: str


class StateChanged(Message, frozen=True, tag="bonewatch.state-changed.v1"):
    """A device's place in its life changed."""

    stage: str
    previous: str


Outcome = QcJudged | CheckJudged | GateChanged | ReviewOpened | StateChanged


# --- envelopes ---------------------------------------------------------------------------------------------


class Draft(msgspec.Struct, frozen=True):
    """A fact on its way into the log; `event_id` makes it count once."""

    event_id: str
    device: str
    fact: Fact


class Event(msgspec.Struct, frozen=True):
    """A fact with its place in the log; `device` is ``site/device``."""

    event_id: str
    device: str
    log_id: str
    device_seq: int
    recorded_at: UtcTime
    fold_version: int
    fact: Fact


class RecordedOutcome(msgspec.Struct, frozen=True):
    """An outcome with the event that caused it."""

    outcome_id: str
    event_id: str
    device: str
    device_seq: int
    outcome: Outcome


def type_name(message: Message) -> str:
    """Return the versioned type name, such as ``bonewatch.gate-changed.v1``."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)  # noqa: S101 - every message is declared with one
    return tag


def event_id(*parts: str) -> str:
    """Return the 24-character identity of a fact that these parts name, such as SOP Instance UID and region.

    144 bits of SHA-256: short enough for bounded state, and the parts themselves stay in the fact.
    """
    digest = sha256("\x1f".join(parts).encode()).digest()
    return urlsafe_b64encode(digest[:18]).decode("ascii")
