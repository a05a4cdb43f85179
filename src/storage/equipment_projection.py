"""What people did with a device, and wrote of it, means to the tables."""

from functools import singledispatch

from storage.equipment_rows import (
    AttachmentRow,
    CommissioningRow,
    DutyRecordRow,
    EquipmentTableRow,
    FaultRow,
    IncidentRow,
    LogEntryRow,
    ServiceRow,
)
from storage.places import placed
from streams.fold.due_dates import day_of
from streams.messages import (
    Affected,
    AttachmentAdded,
    CommissioningRecorded,
    CommissioningSignedOff,
    DutyDone,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    Fact,
    FaultCleared,
    FaultLogged,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    MeasurementVerified,
    ReturnDecided,
    ServicedRemotely,
)


@singledispatch
def equipment_fact_row(fact: Fact, event: Event) -> EquipmentTableRow | None:  # noqa: ARG001 - the dispatch's signature
    """Return the row of a fact of the equipment log; none for any other."""
    return None


@equipment_fact_row.register
def _fault_logged(fact: FaultLogged, event: Event) -> EquipmentTableRow:
    by = fact.logged_by
    stops = fact.stops_scanning
    return FaultRow(
        *placed(event),
        fact.fault_id,
        is_cleared=False,
        stops_scanning=stops,
        text=fact.text,
        person=by.name,
        person_role=by.role,
        code=fact.code,
        severity=fact.severity.value if fact.severity else "",
        component=fact.component,
    )


@equipment_fact_row.register
def _fault_cleared(fact: FaultCleared, event: Event) -> EquipmentTableRow:
    by = fact.cleared_by
    return FaultRow(
        *placed(event),
        fact.fault_id,
        is_cleared=True,
        stops_scanning=False,
        text=fact.text,
        person=by.name,
        person_role=by.role,
    )


@equipment_fact_row.register
def _handed_over(fact: EquipmentHandedOver, event: Event) -> EquipmentTableRow:
    by, about = fact.handed_over_by, (fact.handover_id, fact.engineer, fact.company)
    return ServiceRow(*placed(event), "handed_over", *about, by.name, by.role, fact.reason, "", [])


@equipment_fact_row.register
def _handed_back(fact: EquipmentHandedBack, event: Event) -> EquipmentTableRow:
    by, about = fact.recorded_by, (fact.handover_id, fact.engineer, "")
    affected = _affected(fact.affected)
    return ServiceRow(
        *placed(event), "handed_back", *about, by.name, by.role, fact.work_done, fact.report, affected, fact.is_working
    )


@equipment_fact_row.register
def _return_decided(fact: ReturnDecided, event: Event) -> EquipmentTableRow:
    by = fact.decided_by
    return ServiceRow(
        *placed(event), "return_decided", fact.handover_id, "", "", by.name, by.role, fact.note, "", [], fact.returns
    )


@equipment_fact_row.register
def _serviced_remotely(fact: ServicedRemotely, event: Event) -> EquipmentTableRow:
    by, affected = fact.recorded_by, _affected(fact.affected)
    return ServiceRow(
        *placed(event),
        "remote",
        "",
        fact.engineer,
        fact.company,
        by.name,
        by.role,
        fact.work_done,
        fact.report,
        affected,
    )


@equipment_fact_row.register
def _verified(fact: MeasurementVerified, event: Event) -> EquipmentTableRow:
    by = fact.verified_by
    return ServiceRow(
        *placed(event),
        "verified",
        "",
        "",
        "",
        by.name,
        by.role,
        fact.phantom_id,
        "",
        [],
        step_percent=fact.step_percent,
    )


@equipment_fact_row.register
def _commissioning_recorded(fact: CommissioningRecorded, event: Event) -> EquipmentTableRow:
    by = fact.recorded_by
    return CommissioningRow(
        *placed(event),
        step=fact.step.value,
        done_on=fact.done_on,
        done_by=fact.done_by,
        organisation=fact.organisation,
        is_satisfactory=fact.is_satisfactory,
        result=fact.result,
        reference=fact.reference,
        endorsed_by=fact.endorsed_by,
        person=by.name,
        person_role=by.role,
    )


@equipment_fact_row.register
def _signed_off(fact: CommissioningSignedOff, event: Event) -> EquipmentTableRow:
    by, blank = fact.signed_by, ("", "")
    return CommissioningRow(
        *placed(event),
        "signed_off",
        fact.in_service_since,
        *blank,
        True,  # noqa: FBT003
        fact.note,
        "",
        "",
        by.name,
        by.role,
    )


@equipment_fact_row.register
def _duty_done(fact: DutyDone, event: Event) -> EquipmentTableRow:
    by = fact.recorded_by
    return DutyRecordRow(
        *placed(event),
        duty_id=fact.duty_id,
        done_on=day_of(fact.done_on),
        done_by=fact.done_by,
        valid_until=day_of(fact.valid_until),
        note=fact.note,
        reference=fact.reference,
        person=by.name,
        person_role=by.role,
    )


@equipment_fact_row.register
def _entry_made(fact: LogEntryMade, event: Event) -> EquipmentTableRow:
    by = fact.made_by
    return LogEntryRow(*placed(event), event.event_id, fact.kind.value, fact.text, fact.about, by.name, by.role)


@equipment_fact_row.register
def _incident_recorded(fact: IncidentRecorded, event: Event) -> EquipmentTableRow:
    by = fact.recorded_by
    return IncidentRow(
        *placed(event),
        event.event_id,
        is_closed=False,
        kind=fact.kind,
        text=fact.text,
        person=by.name,
        person_role=by.role,
    )


@equipment_fact_row.register
def _incident_closed(fact: IncidentClosed, event: Event) -> EquipmentTableRow:
    by = fact.closed_by
    return IncidentRow(
        *placed(event),
        fact.incident_id,
        is_closed=True,
        kind="",
        text=fact.finding,
        person=by.name,
        person_role=by.role,
    )


@equipment_fact_row.register
def _attached(fact: AttachmentAdded, event: Event) -> EquipmentTableRow:
    by, file = fact.added_by, fact.attachment
    about = (event.event_id, fact.about)
    return AttachmentRow(
        *placed(event), *about, file.digest, file.name, file.media_type, file.size, fact.text, by.name, by.role
    )


def _affected(affected: Affected) -> list[str]:
    return [name for name in affected.__struct_fields__ if getattr(affected, name)]
