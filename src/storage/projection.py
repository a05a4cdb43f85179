"""What a row of a log means to the database. Pure: ``LogRow -> rows of tables``.

PostgreSQL's text has no NUL character. One that stands in a log (a free text from a device or a person) becomes
U+FFFD here, so that no gate or verdict is lost for it; the log keeps it as it came.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import singledispatch
from typing import Any, NamedTuple

import msgspec

from storage.measurement_projection import measurement_fact_rows, measurement_outcome_rows
from storage.rows import (
    AttachmentRow,
    BaselineRow,
    BypassRow,
    CalendarRow,
    CheckRow,
    CommissioningRow,
    ConfigurationRow,
    CrossCalibrationRow,
    DecisionRow,
    DutyChangeRow,
    DutyRecordRow,
    EventRow,
    FaultRow,
    GateRow,
    IncidentRow,
    LogEntryRow,
    QcRow,
    ServiceRow,
    StageRow,
    StepReviewRow,
    TableRow,
    WithdrawalRow,
)
from storage.texts import cleaned_value, json_text
from streams.envelope import LogRow
from streams.fold.due_dates import day_of
from streams.log_names import opens_incident
from streams.messages import (
    Affected,
    AttachmentAdded,
    BaselineAccepted,
    BypassDetected,
    CalibrationCheckRead,
    CheckJudged,
    ClinicCalendarChanged,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DeviceReconfigured,
    DeviceRegistered,
    DutyChanged,
    DutyDone,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    Fact,
    FaultCleared,
    FaultLogged,
    GateChanged,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    MeasurementVerified,
    Outcome,
    Person,
    QcJudged,
    QcReleased,
    RecordedOutcome,
    ReturnDecided,
    ReviewDecided,
    ServicedRemotely,
    StateChanged,
    StepReviewed,
    TimeReached,
    type_name,
)
from streams.policy import ClinicCalendar, DevicePolicy


class Place(NamedTuple):
    """Where in the log a row of a table comes from."""

    device: str
    device_seq: int
    recorded_at: datetime


def rows_from(row: LogRow) -> Iterator[TableRow]:
    """Yield the rows that one row of a log puts into the tables."""
    event = row.event
    place = Place(event.device, event.device_seq, event.recorded_at)
    yield EventRow(
        *place,
        event_id=event.event_id,
        type=type_name(event.fact),
        log_id=event.log_id,
        log_position=row.position,
        link=row.link,
        fold_version=event.fold_version,
        fact=json_text(event.fact),
    )
    yield from _of_fact(event.fact, event, place)
    yield from measurement_fact_rows(event)
    for n, recorded in enumerate(row.outcomes):
        yield from _of_outcome(recorded.outcome, recorded, event)
        yield from measurement_outcome_rows(recorded.outcome, recorded, event, n)


def misfit(row: LogRow) -> str:
    """Return which outcome of a row fits no table, because its event is none that is judged so; empty if all fit."""
    if isinstance(row.event.fact, CalibrationCheckRead):
        return ""
    return next((type(one.outcome).__name__ for one in row.outcomes if isinstance(one.outcome, CheckJudged)), "")


def without_nul(row: TableRow) -> TableRow:
    """Return the row with every NUL in its texts replaced; its JSON never has one."""
    values: Any = (cleaned_value(value) for value in row)
    return type(row)(*values)


# --- facts -------------------------------------------------------------------------------------------------


@singledispatch
def _of_fact(fact: Fact, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001 - the dispatch's signature
    """Facts without a table of their own stand in `events`."""
    return iter(())


@_of_fact.register
def _registered(fact: DeviceRegistered, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    yield _configuration(fact.policy, place)
    yield _calendar(fact.calendar, place)


@_of_fact.register
def _reconfigured(fact: DeviceReconfigured, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    yield _configuration(fact.policy, place)


@_of_fact.register
def _calendar_changed(fact: ClinicCalendarChanged, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    yield _calendar(fact.calendar, place)


@_of_fact.register
def _accepted(fact: BaselineAccepted, event: Event, place: Place) -> Iterator[TableRow]:
    yield BaselineRow(
        *place,
        event_id=event.event_id,
        phantom_id=fact.phantom_id,
        epoch=fact.epoch,
        n=fact.n,
        mean_g_cm2=fact.mean_g_cm2,
        sd_g_cm2=fact.sd_g_cm2,
        sigma_g_cm2=fact.sigma_g_cm2,
        lower_g_cm2=fact.lower_g_cm2,
        upper_g_cm2=fact.upper_g_cm2,
        established=fact.established,
        accepted_by=fact.accepted_by.name,
        accepted_by_role=fact.accepted_by.role,
        reason=fact.reason,
        step_percent=fact.step_percent,
    )


@_of_fact.register
def _decided(fact: ReviewDecided, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.decided_by
    yield DecisionRow(
        *place,
        fact.phantom_id,
        is_release=False,
        decision=fact.decision,
        decided_by=by.name,
        decided_by_role=by.role,
        review_id=fact.review_id,
        verdict=fact.verdict.value,
        unit=fact.unit,
        sizes=json_text(fact.sizes),
    )


@_of_fact.register
def _released(fact: QcReleased, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.released_by
    yield DecisionRow(
        *place, fact.phantom_id, is_release=True, decision=fact.cause, decided_by=by.name, decided_by_role=by.role
    )


@_of_fact.register
def _fault_logged(fact: FaultLogged, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.logged_by
    stops = fact.stops_scanning
    yield FaultRow(
        *place,
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


@_of_fact.register
def _fault_cleared(fact: FaultCleared, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.cleared_by
    yield FaultRow(
        *place,
        fact.fault_id,
        is_cleared=True,
        stops_scanning=False,
        text=fact.text,
        person=by.name,
        person_role=by.role,
    )


@_of_fact.register
def _handed_over(fact: EquipmentHandedOver, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by, about = fact.handed_over_by, (fact.handover_id, fact.engineer, fact.company)
    yield ServiceRow(*place, "handed_over", *about, by.name, by.role, fact.reason, "", [])


@_of_fact.register
def _handed_back(fact: EquipmentHandedBack, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by, about = fact.recorded_by, (fact.handover_id, fact.engineer, "")
    affected = _affected(fact.affected)
    yield ServiceRow(
        *place, "handed_back", *about, by.name, by.role, fact.work_done, fact.report, affected, fact.is_working
    )


@_of_fact.register
def _return_decided(fact: ReturnDecided, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.decided_by
    yield ServiceRow(
        *place, "return_decided", fact.handover_id, "", "", by.name, by.role, fact.note, "", [], fact.returns
    )


@_of_fact.register
def _serviced_remotely(fact: ServicedRemotely, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by, affected = fact.recorded_by, _affected(fact.affected)
    yield ServiceRow(
        *place, "remote", "", fact.engineer, fact.company, by.name, by.role, fact.work_done, fact.report, affected
    )


@_of_fact.register
def _verified(fact: MeasurementVerified, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.verified_by
    yield ServiceRow(
        *place, "verified", "", "", "", by.name, by.role, fact.phantom_id, "", [], step_percent=fact.step_percent
    )


@_of_fact.register
def _commissioning_recorded(fact: CommissioningRecorded, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.recorded_by
    yield CommissioningRow(
        *place,
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


@_of_fact.register
def _duty_done(fact: DutyDone, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.recorded_by
    yield DutyRecordRow(
        *place,
        duty_id=fact.duty_id,
        done_on=day_of(fact.done_on),
        done_by=fact.done_by,
        valid_until=day_of(fact.valid_until),
        note=fact.note,
        reference=fact.reference,
        person=by.name,
        person_role=by.role,
    )


@_of_fact.register
def _signed_off(fact: CommissioningSignedOff, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by, blank = fact.signed_by, ("", "")
    yield CommissioningRow(
        *place,
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


@_of_fact.register
def _step_reviewed(fact: StepReviewed, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.decided_by
    yield StepReviewRow(*place, fact.phantom_id, fact.epoch, fact.is_comparable, fact.decision, by.name, by.role)


@_of_fact.register
def _study_accepted(fact: CrossCalibrationAccepted, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    yield CrossCalibrationRow(
        *place,
        study_id=fact.study_id,
        version=fact.version,
        kind=fact.kind.value,
        other_device=fact.other_device,
        region=fact.region,
        method=fact.method,
        slope=fact.slope,
        intercept_g_cm2=fact.intercept_g_cm2,
        standard_error_g_cm2=fact.standard_error_g_cm2,
        lower_g_cm2=fact.lower_g_cm2,
        upper_g_cm2=fact.upper_g_cm2,
        n=fact.n,
        data_digest=fact.data_digest,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        approval_reference=fact.approval_reference,
        accepted_by=fact.accepted_by.name,
        accepted_by_role=fact.accepted_by.role,
        reason=fact.reason,
    )


@_of_fact.register
def _study_withdrawn(fact: CrossCalibrationWithdrawn, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.withdrawn_by
    yield WithdrawalRow(*place, fact.study_id, fact.reason, by.name, by.role)


@_of_fact.register
def _entry_made(fact: LogEntryMade, event: Event, place: Place) -> Iterator[TableRow]:
    by = fact.made_by
    yield LogEntryRow(*place, event.event_id, fact.kind.value, fact.text, fact.about, by.name, by.role)


@_of_fact.register
def _incident_recorded(fact: IncidentRecorded, event: Event, place: Place) -> Iterator[TableRow]:
    by = fact.recorded_by
    yield IncidentRow(
        *place, event.event_id, is_closed=False, kind=fact.kind, text=fact.text, person=by.name, person_role=by.role
    )


@_of_fact.register
def _incident_closed(fact: IncidentClosed, event: Event, place: Place) -> Iterator[TableRow]:  # noqa: ARG001
    by = fact.closed_by
    yield IncidentRow(
        *place, fact.incident_id, is_closed=True, kind="", text=fact.finding, person=by.name, person_role=by.role
    )


@_of_fact.register
def _attached(fact: AttachmentAdded, event: Event, place: Place) -> Iterator[TableRow]:
    by, file = fact.added_by, fact.attachment
    about = (event.event_id, fact.about)
    yield AttachmentRow(*place, *about, file.digest, file.name, file.media_type, file.size, fact.text, by.name, by.role)


def _affected(affected: Affected) -> list[str]:
    return [name for name in affected.__struct_fields__ if getattr(affected, name)]


def _decision(phantom_id: str, decision: str, by: Person, place: Place, *, is_release: bool) -> DecisionRow:
    return DecisionRow(
        *place,
        phantom_id=phantom_id,
        is_release=is_release,
        decision=decision,
        decided_by=by.name,
        decided_by_role=by.role,
    )


def _configuration(policy: DevicePolicy, place: Place) -> ConfigurationRow:
    return ConfigurationRow(
        *place,
        kind=policy.kind.value,
        make=policy.make,
        model=policy.model,
        serial=policy.serial,
        ae_title=policy.ae_title,
        enforcement=policy.enforcement.value,
        ring=policy.ring,
        modes=list(policy.mode_names),
        phantoms=json_text([msgspec.structs.asdict(phantom) for phantom in policy.phantoms]),
        qc=json_text(msgspec.structs.asdict(policy.qc)),
        duties=json_text([msgspec.structs.asdict(duty) for duty in policy.duties]),
    )


def _calendar(calendar: ClinicCalendar, place: Place) -> CalendarRow:
    clinics = [msgspec.structs.asdict(clinic) for clinic in calendar.clinics]
    closures = [msgspec.structs.asdict(closure) for closure in calendar.closures]
    return CalendarRow(*place, time_zone=calendar.time_zone, clinics=json_text(clinics), closures=json_text(closures))


# --- outcomes ----------------------------------------------------------------------------------------------


def _of_outcome(outcome: Outcome, recorded: RecordedOutcome, event: Event) -> Iterator[TableRow]:
    place = Place(event.device, event.device_seq, event.recorded_at)
    match outcome:
        case QcJudged():
            yield _judged(outcome, recorded, event)
        case GateChanged():
            yield _gate(outcome, event)
        case CheckJudged() as checked:
            yield from _checked(checked, event)
        case BypassDetected():
            yield BypassRow(
                *place,
                subject_event_id=outcome.subject_event_id,
                scanned_at=outcome.at,
                accession_number=outcome.accession_number,
                mode=outcome.mode,
                evidence=outcome.evidence.value,
                reason_codes=[code.value for code in outcome.reasons],
                enforcement=outcome.enforcement.value,
            )
            if opens_incident(outcome):
                held = ", ".join(code.value for code in outcome.reasons)  # not the request: views leave it out
                name = recorded.outcome_id
                yield IncidentRow(*place, name, is_closed=False, kind="bypass", text=held, person="", person_role="")
        case StateChanged(stage=stage, previous=previous):
            yield StageRow(*place, stage=stage, previous=previous)
        case DutyChanged():
            yield DutyChangeRow(
                *place,
                duty_id=outcome.duty_id,
                effective_at=_effective_at(event),
                standing=outcome.standing.value,
                due_at=outcome.due_at,
                done_on=day_of(outcome.done_on),
            )


def _checked(judged: CheckJudged, event: Event) -> Iterator[CheckRow]:
    """Yield the check; nothing where the event is no reading of a standard (`misfit`)."""
    fact = event.fact
    if isinstance(fact, CalibrationCheckRead):
        yield CheckRow(
            device=event.device,
            device_seq=event.device_seq,
            recorded_at=event.recorded_at,
            subject_event_id=judged.subject_event_id,
            measured_at=judged.measured_at,
            standard_id=judged.standard_id,
            nominal=judged.nominal,
            read=judged.read,
            error=judged.error,
            verdict=judged.verdict.value,
            note=judged.note,
            performed_by=fact.performed_by,
            source=fact.source.value,
        )


def _judged(judged: QcJudged, recorded: RecordedOutcome, event: Event) -> QcRow:
    point = judged.chart
    chart: tuple[Any, ...] = ()
    if point is not None:
        chart = (
            point.epoch,
            point.target,
            point.sigma,
            point.lower,
            point.upper,
            point.deviation_percent,
            point.cusum_upper,
            point.cusum_lower,
            point.cusum_h,
            point.signal,
            list(point.violated),
        )
    return QcRow(
        event.device,
        judged.subject_event_id,
        judged.measured_at,
        judged.revision,
        event.device_seq,
        event.recorded_at,
        recorded.outcome_id,
        judged.role.value,
        judged.phantom_id,
        judged.region,
        judged.verdict.value,
        judged.plausible,
        judged.note,
        judged.bmd_g_cm2,
        *chart,
    )


def _effective_at(event: Event) -> datetime:
    """Return when a change took effect: one that time brought when it fell due, not when it was recorded."""
    return event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at


def _gate(gate: GateChanged, event: Event) -> GateRow:
    return GateRow(
        device=event.device,
        mode=gate.mode,
        device_seq=event.device_seq,
        recorded_at=event.recorded_at,
        effective_at=_effective_at(event),
        status=gate.status.value,
        since=gate.since,
        valid_until=gate.valid_until,
        reason_codes=[reason.code.value for reason in gate.reasons if reason.holds],
        warning_codes=[reason.code.value for reason in gate.reasons if not reason.holds],
        reasons=json_text(gate.reasons),
        overridden_until=gate.overridden_until,
        overridden_by=gate.overridden_by,
    )
