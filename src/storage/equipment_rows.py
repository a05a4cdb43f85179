"""Rows of the tables of a device's equipment log: faults, service, commissioning, due work, entries and files."""

from datetime import date, datetime
from typing import NamedTuple


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


EquipmentTableRow = (
    FaultRow | ServiceRow | CommissioningRow | DutyRecordRow | DutyChangeRow | LogEntryRow | IncidentRow | AttachmentRow
)
