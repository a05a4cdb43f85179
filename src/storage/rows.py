"""Rows of the tables: a field is a column of the same name, with its unit in it."""

from datetime import date, datetime
from typing import Final, NamedTuple

from storage.measurement_rows import (
    AmendmentRow,
    AssessmentRow,
    CrossCalibratedRow,
    DecisionWithdrawnRow,
    MeasurementRow,
    MeasurementTableRow,
    ReviewEndRow,
    ValueRow,
)


class EventRow(NamedTuple):
    """An event as it stands in the log; `fact` is JSON."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    type: str
    log_id: str
    log_position: int
    link: bytes
    fold_version: int
    fact: str


class ConfigurationRow(NamedTuple):
    """A device as configured from here; `phantoms`, `qc` and `duties` are JSON."""

    device: str
    device_seq: int
    recorded_at: datetime
    kind: str
    make: str
    model: str
    serial: str
    ae_title: str
    enforcement: str
    ring: str
    modes: list[str]
    phantoms: str
    qc: str
    duties: str


class CalendarRow(NamedTuple):
    """A device's clinics from here; `clinics` and `closures` are JSON."""

    device: str
    device_seq: int
    recorded_at: datetime
    time_zone: str
    clinics: str
    closures: str


class StageRow(NamedTuple):
    """A device's place in its life changed."""

    device: str
    device_seq: int
    recorded_at: datetime
    stage: str
    previous: str


class CheckRow(NamedTuple):
    """A scale or stadiometer was checked with a standard; kg or cm."""

    device: str
    device_seq: int
    recorded_at: datetime
    subject_event_id: str
    measured_at: datetime
    standard_id: str
    nominal: float
    read: float
    error: float
    verdict: str
    note: str
    performed_by: str
    source: str


class FaultRow(NamedTuple):
    """A fault was reported, or put right."""

    device: str
    device_seq: int
    recorded_at: datetime
    fault_id: str
    is_cleared: bool
    stops_scanning: bool
    text: str
    person: str
    person_role: str
    code: str = ""
    severity: str = ""
    component: str = ""


class QcRow(NamedTuple):
    """One revision of a judged reading; the chart's place is absent where there is no baseline or number."""

    device: str
    subject_event_id: str
    measured_at: datetime
    revision: int
    device_seq: int
    recorded_at: datetime
    outcome_id: str
    role: str
    phantom_id: str
    region: str
    verdict: str
    plausible: bool
    note: str
    bmd_g_cm2: float | None
    epoch: int | None = None
    target_g_cm2: float | None = None
    sigma_g_cm2: float | None = None
    lower_g_cm2: float | None = None
    upper_g_cm2: float | None = None
    deviation_percent: float | None = None
    cusum_upper_sigmas: float | None = None
    cusum_lower_sigmas: float | None = None
    cusum_h_sigmas: float | None = None
    signal: bool | None = None
    violated: list[str] | None = None


class BaselineRow(NamedTuple):
    """An accepted baseline: an epoch of one phantom's chart."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    phantom_id: str
    epoch: int
    n: int
    mean_g_cm2: float
    sd_g_cm2: float
    sigma_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    established: bool
    accepted_by: str
    accepted_by_role: str
    reason: str
    step_percent: float | None


class ReviewRow(NamedTuple):
    """Something wants a physicist's eyes; `place` is the outcome's among those of its event, `sizes` are JSON."""

    device: str
    device_seq: int
    outcome_id: str
    recorded_at: datetime
    phantom_id: str
    basis: str
    since: datetime | None
    text: str
    review_id: str = ""
    revision: int = 0
    place: int = 0
    modes: list[str] = []  # noqa: RUF012 - a row is never changed
    unit: str = ""
    sizes: str = "[]"


class DecisionRow(NamedTuple):
    """A physicist decided on a signal, or released a chart after a failure."""

    device: str
    device_seq: int
    recorded_at: datetime
    phantom_id: str
    is_release: bool
    decision: str
    decided_by: str
    decided_by_role: str
    review_id: str = ""
    verdict: str = ""
    unit: str = ""
    sizes: str = "[]"


class BypassRow(NamedTuple):
    """A patient was scanned while the gate was held, by what held it."""

    device: str
    device_seq: int
    recorded_at: datetime
    subject_event_id: str
    scanned_at: datetime
    accession_number: str
    mode: str
    evidence: str
    reason_codes: list[str]
    enforcement: str


class ServiceRow(NamedTuple):
    """A step of a handover, of service from afar, or of the comparison after it; `person` is who took it here."""

    device: str
    device_seq: int
    recorded_at: datetime
    step: str
    handover_id: str
    engineer: str
    company: str
    person: str
    person_role: str
    text: str
    report: str
    affected: list[str]
    accepted: bool | None = None
    step_percent: float | None = None


class DutyRecordRow(NamedTuple):
    """Due work was recorded as done; a day is absent where the log holds none that can be read."""

    device: str
    device_seq: int
    recorded_at: datetime
    duty_id: str
    done_on: date | None
    done_by: str
    valid_until: date | None
    note: str
    reference: str
    person: str
    person_role: str


class DutyChangeRow(NamedTuple):
    """Due work stands otherwise from `effective_at` on."""

    device: str
    device_seq: int
    recorded_at: datetime
    duty_id: str
    effective_at: datetime
    standing: str
    due_at: datetime | None
    done_on: date | None


class LogEntryRow(NamedTuple):
    """Somebody wrote into the equipment log; a comment is `about` an event or outcome."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    kind: str
    text: str
    about: str
    person: str
    person_role: str


class IncidentRow(NamedTuple):
    """An incident was opened, or closed; a bypass opens one without a person."""

    device: str
    device_seq: int
    recorded_at: datetime
    incident_id: str
    is_closed: bool
    kind: str
    text: str
    person: str
    person_role: str


class AttachmentRow(NamedTuple):
    """A file was added to what `about` names; `digest` is its SHA-256, `size` in bytes."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    about: str
    digest: str
    name: str
    media_type: str
    size: int
    text: str
    person: str
    person_role: str


class GateRow(NamedTuple):
    """The gate of one mode from `effective_at` on; `reasons` is JSON."""

    device: str
    mode: str
    device_seq: int
    recorded_at: datetime
    effective_at: datetime
    status: str
    since: datetime
    valid_until: datetime | None
    reason_codes: list[str]
    warning_codes: list[str]
    reasons: str
    overridden_until: datetime | None
    overridden_by: str


class CommissioningRow(NamedTuple):
    """A step of commissioning, or the sign-off: then `done_on` is since when an adopted device had been in service."""

    device: str
    device_seq: int
    recorded_at: datetime
    step: str
    done_on: str
    done_by: str
    organisation: str
    is_satisfactory: bool
    result: str
    reference: str
    endorsed_by: str
    person: str
    person_role: str


class StepReviewRow(NamedTuple):
    """A physicist decided what a step between two epochs means."""

    device: str
    device_seq: int
    recorded_at: datetime
    phantom_id: str
    epoch: int
    is_comparable: bool
    decision: str
    decided_by: str
    decided_by_role: str


class CrossCalibrationRow(NamedTuple):
    """An accepted version of a cross-calibration."""

    device: str
    device_seq: int
    recorded_at: datetime
    study_id: str
    version: int
    kind: str
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
    valid_until: datetime | None
    approval_reference: str
    accepted_by: str
    accepted_by_role: str
    reason: str


class WithdrawalRow(NamedTuple):
    """A cross-calibration was withdrawn."""

    device: str
    device_seq: int
    recorded_at: datetime
    study_id: str
    reason: str
    withdrawn_by: str
    withdrawn_by_role: str


TableRow = (
    EventRow
    | ConfigurationRow
    | CalendarRow
    | StageRow
    | CheckRow
    | FaultRow
    | QcRow
    | BaselineRow
    | ReviewRow
    | DecisionRow
    | BypassRow
    | ServiceRow
    | LogEntryRow
    | IncidentRow
    | AttachmentRow
    | CommissioningRow
    | StepReviewRow
    | CrossCalibrationRow
    | WithdrawalRow
    | DutyRecordRow
    | DutyChangeRow
    | GateRow
    | MeasurementTableRow
)


class Table(NamedTuple):
    """A table and how rows enter it.

    `key` tells rows apart. Without `newest_by` a row that is there stays; with it, the row highest in those columns
    stands. `time` names the column that it is partitioned by.
    """

    name: str
    row: type[TableRow]
    key: tuple[str, ...]
    newest_by: tuple[str, ...] = ()
    time: str = ""


TABLES: Final = (
    Table("events", EventRow, ("device", "device_seq", "recorded_at"), time="recorded_at"),
    Table("device_configurations", ConfigurationRow, ("device", "device_seq")),
    Table("clinic_calendars", CalendarRow, ("device", "device_seq")),
    Table("stage_changes", StageRow, ("device", "device_seq", "stage")),
    Table("checks", CheckRow, ("device", "device_seq")),
    Table("fault_reports", FaultRow, ("device", "device_seq")),
    Table("qc_revisions", QcRow, ("device", "device_seq", "outcome_id", "recorded_at"), time="recorded_at"),
    Table(
        "qc_readings",
        QcRow,
        ("device", "subject_event_id", "measured_at"),
        newest_by=("revision", "device_seq", "outcome_id"),
        time="measured_at",
    ),
    Table("baselines", BaselineRow, ("device", "device_seq")),
    Table("reviews", ReviewRow, ("device", "device_seq", "outcome_id")),
    Table("review_decisions", DecisionRow, ("device", "device_seq")),
    Table("review_ends", ReviewEndRow, ("device", "device_seq", "place")),
    Table("review_assessments", AssessmentRow, ("device", "device_seq")),
    Table("decision_withdrawals", DecisionWithdrawnRow, ("device", "device_seq")),
    Table("amendments", AmendmentRow, ("device", "review_id"), newest_by=("revision", "device_seq", "outcome_id")),
    Table("measurement_revisions", MeasurementRow, ("device", "device_seq", "outcome_id")),
    Table(
        "measurements",
        MeasurementRow,
        ("device", "subject_event_id"),
        newest_by=("revision", "device_seq", "outcome_id"),
    ),
    Table("measurement_values", ValueRow, ("device", "subject_event_id", "revision", "place")),
    Table("cross_calibrated_values", CrossCalibratedRow, ("device", "subject_event_id", "revision", "place")),
    Table("service_steps", ServiceRow, ("device", "device_seq")),
    Table("log_entries", LogEntryRow, ("device", "device_seq")),
    Table("incident_reports", IncidentRow, ("device", "device_seq", "incident_id")),
    Table("attachments", AttachmentRow, ("device", "device_seq")),
    Table("commissioning_records", CommissioningRow, ("device", "device_seq")),
    Table("step_reviews", StepReviewRow, ("device", "device_seq")),
    Table("studies", CrossCalibrationRow, ("device", "device_seq")),
    Table("study_withdrawals", WithdrawalRow, ("device", "device_seq")),
    Table("duty_records", DutyRecordRow, ("device", "device_seq")),
    Table("duty_changes", DutyChangeRow, ("device", "device_seq", "duty_id")),
    Table("bypasses", BypassRow, ("device", "device_seq")),
    Table("gate_changes", GateRow, ("device", "mode", "device_seq", "recorded_at"), time="recorded_at"),
    Table("gates", GateRow, ("device", "mode"), newest_by=("device_seq",)),
)
"""Every table that rows of a log enter."""
