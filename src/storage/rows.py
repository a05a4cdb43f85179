"""Rows of the tables: a field is a column of the same name, with its unit in it."""

from datetime import datetime
from typing import Final, NamedTuple

from storage.equipment_rows import (
    AttachmentRow,
    CommissioningRow,
    DutyChangeRow,
    DutyRecordRow,
    EquipmentTableRow,
    FaultRow,
    IncidentRow,
    LogEntryRow,
    ServiceRow,
)
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
from storage.qc_rows import (
    BaselineRow,
    CheckRow,
    CrossCalibrationRow,
    DecisionRow,
    QcRow,
    QcTableRow,
    ReviewRow,
    StepReviewRow,
    WithdrawalRow,
)

__all__ = [
    "TABLES",
    "BypassRow",
    "CalendarRow",
    "ConfigurationRow",
    "EventRow",
    "GateRow",
    "ReviewRow",
    "StageRow",
    "Table",
    "TableRow",
]


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


TableRow = (
    EventRow
    | ConfigurationRow
    | CalendarRow
    | StageRow
    | GateRow
    | BypassRow
    | QcTableRow
    | EquipmentTableRow
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
