"""What a row of a log means to the database. Pure: ``LogRow -> rows of tables``.

PostgreSQL's text has no NUL character. One that stands in a log (a free text from a device or a person) becomes
U+FFFD here, so that no gate or verdict is lost for it; the log keeps it as it came.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from storage.equipment_projection import equipment_fact_row
from storage.equipment_rows import DutyChangeRow, IncidentRow
from storage.measurement_projection import measurement_fact_rows, measurement_outcome_rows
from storage.places import Place, effective_at, placed
from storage.qc_projection import qc_fact_row, qc_outcome_rows
from storage.rows import BypassRow, CalendarRow, ConfigurationRow, EventRow, GateRow, StageRow, TableRow
from storage.texts import cleaned_value, json_text
from streams.envelope import LogRow
from streams.fold.due_dates import day_of
from streams.log_names import opens_incident
from streams.messages import (
    BypassDetected,
    CalibrationCheckRead,
    CheckJudged,
    ClinicCalendarChanged,
    DeviceReconfigured,
    DeviceRegistered,
    DutyChanged,
    Event,
    GateChanged,
    RecordedOutcome,
    StateChanged,
    type_name,
)
from streams.policy import ClinicCalendar, DevicePolicy


def rows_from(row: LogRow) -> Iterator[TableRow]:
    """Yield the rows that one row of a log puts into the tables."""
    event = row.event
    yield EventRow(
        *placed(event),
        event_id=event.event_id,
        type=type_name(event.fact),
        log_id=event.log_id,
        log_position=row.position,
        link=row.link,
        fold_version=event.fold_version,
        fact=json_text(event.fact),
    )
    yield from _device_rows(event)
    for of_fact in (qc_fact_row, equipment_fact_row):
        if (one := of_fact(event.fact, event)) is not None:
            yield one
    yield from measurement_fact_rows(event)
    for n, recorded in enumerate(row.outcomes):
        yield from _outcome_rows(recorded, event)
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


def _device_rows(event: Event) -> tuple[TableRow, ...]:
    """Return how a device is configured from here, and its clinics."""
    match event.fact:
        case DeviceRegistered(policy=policy, calendar=calendar):
            return _configuration(policy, placed(event)), _calendar(calendar, placed(event))
        case DeviceReconfigured(policy=policy):
            return (_configuration(policy, placed(event)),)
        case ClinicCalendarChanged(calendar=calendar):
            return (_calendar(calendar, placed(event)),)
        case _:
            return ()


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


def _outcome_rows(recorded: RecordedOutcome, event: Event) -> Iterator[TableRow]:
    """Yield the rows of what became of a gate, of a stage, of due work or of a reading."""
    outcome, place = recorded.outcome, placed(event)
    match outcome:
        case GateChanged():
            yield _gate(outcome, event)
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
                effective_at=effective_at(event),
                standing=outcome.standing.value,
                due_at=outcome.due_at,
                done_on=day_of(outcome.done_on),
            )
        case _:
            yield from qc_outcome_rows(outcome, recorded, event)


def _gate(gate: GateChanged, event: Event) -> GateRow:
    return GateRow(
        device=event.device,
        mode=gate.mode,
        device_seq=event.device_seq,
        recorded_at=event.recorded_at,
        effective_at=effective_at(event),
        status=gate.status.value,
        since=gate.since,
        valid_until=gate.valid_until,
        reason_codes=[reason.code.value for reason in gate.reasons if reason.holds],
        warning_codes=[reason.code.value for reason in gate.reasons if not reason.holds],
        reasons=json_text(gate.reasons),
        overridden_until=gate.overridden_until,
        overridden_by=gate.overridden_by,
    )
