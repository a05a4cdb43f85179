"""Facts: what people decide about a device, what becomes of it, and every kind of fact there is."""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, Person, UtcTime
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
from streams.messages.measurements import DecisionWithdrawn, MeasurementReleased, ReviewAssessed, ReviewDecided
from streams.messages.readings import (
    CalibrationCheckRead,
    DeviceHeard,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    PhantomMeasured,
    PhantomScanRefused,
    SessionClosed,
    SessionOpened,
    VendorQcReported,
    WorklistRefused,
)
from streams.policy import ClinicCalendar, DevicePolicy

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
    | ReviewAssessed
    | ReviewDecided
    | DecisionWithdrawn
    | MeasurementReleased
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
