"""What measurements of patients, and their reviews, mean to the tables."""

from collections.abc import Iterator
from typing import Final

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
from storage.rows import ReviewRow
from storage.texts import json_text
from streams.messages import (
    DecisionWithdrawn,
    Event,
    MeasurementReleased,
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    Outcome,
    PatientMeasured,
    RecordedOutcome,
    ReviewAssessed,
    ReviewEnded,
    ReviewOpened,
)

RELEASED: Final = "released"
VALIDATED: Final = "validated"
WITHHELD: Final = "withheld"


def measurement_fact_rows(event: Event) -> Iterator[MeasurementTableRow]:
    """Yield the rows of a fact about a review."""
    fact, at = event.fact, (event.device, event.device_seq, event.recorded_at)
    match fact:
        case ReviewAssessed():
            onset = fact.onset
            yield AssessmentRow(
                *at,
                event_id=event.event_id,
                review_id=fact.review_id,
                method=fact.method,
                begins=min((begin for begin, _ in onset.spans), default=onset.likeliest),
                likeliest=onset.likeliest,
                spans=json_text(onset.spans),
                shape=onset.shape,
                readings=onset.readings,
                slope_per_day=onset.slope_per_day,
                slope_low=onset.slope_low,
                slope_high=onset.slope_high,
                is_open=onset.is_open,
                unit=fact.unit,
                sizes=json_text(fact.sizes),
                data_digest=fact.data_digest,
            )
        case DecisionWithdrawn():
            by = fact.withdrawn_by
            yield DecisionWithdrawnRow(*at, fact.review_id, fact.reason, by.name, by.role)


def measurement_outcome_rows(
    outcome: Outcome, recorded: RecordedOutcome, event: Event, place: int
) -> Iterator[MeasurementTableRow | ReviewRow]:
    """Yield the rows of an outcome about a measurement or review.

    Parameters
    ----------
    place
        The outcome's place among those of its event.
    """
    match outcome:
        case MeasurementValidated():
            yield from _validated(outcome, recorded, event)
        case MeasurementWithheld():
            yield _withheld(outcome, recorded, event)
        case ReviewOpened():
            yield _opened(outcome, recorded, event, place)
        case ReviewEnded(review_id=review_id, until=until):
            yield ReviewEndRow(event.device, event.device_seq, place, event.recorded_at, review_id, until)
        case MeasurementsAmended():
            yield _amended(outcome, recorded, event)


def _measured(event: Event) -> PatientMeasured | None:
    """Return what was measured, by the fact that an outcome was drawn from."""
    fact = event.fact
    if isinstance(fact, MeasurementReleased):
        return fact.measured
    return fact if isinstance(fact, PatientMeasured) else None


def _validated(one: MeasurementValidated, recorded: RecordedOutcome, event: Event) -> Iterator[MeasurementTableRow]:
    measured, by = _measured(event), one.released_by
    yield MeasurementRow(
        device=event.device,
        subject_event_id=one.subject_event_id,
        measured_at=one.measured_at,
        revision=one.revision,
        device_seq=event.device_seq,
        recorded_at=event.recorded_at,
        outcome_id=recorded.outcome_id,
        status=VALIDATED if by is None else RELEASED,
        accession_number=one.accession_number,
        acquisition_id=one.acquisition_id,
        pseudonym=one.pseudonym,
        mode=one.mode,
        anatomy=measured.anatomy if measured is not None else "",
        analysed_at=one.analysed_at,
        reason_codes=[],
        kind=one.kind,
        make=one.make,
        model=one.model,
        serial=one.serial,
        software=one.software,
        weight_kg=one.weight_kg,
        height_cm=one.height_cm,
        is_overridden=one.is_overridden,
        issue_codes=[code.value for code in one.issues],
        qc=json_text(one.qc),
        changes=json_text(one.changes),
        decisions=list(one.decisions),
        gate_since=one.gate_since,
        released_by=by.name if by is not None else "",
        released_by_role=by.role if by is not None else "",
        reason=one.reason,
    )
    key = (event.device, one.subject_event_id, one.measured_at, one.revision)
    for place, region in enumerate(one.regions):
        yield ValueRow(
            *key,
            place=place,
            region=region.region,
            laterality=region.laterality,
            bmd_g_cm2=region.bmd_g_cm2,
            bmc_g=region.bmc_g,
            area_cm2=region.area_cm2,
            t_score=region.t_score,
            z_score=region.z_score,
        )
    for place, value in enumerate(one.cross_calibrated):
        yield CrossCalibratedRow(
            *key,
            place=place,
            region=value.region,
            bmd_g_cm2=value.bmd_g_cm2,
            standard_error_g_cm2=value.standard_error_g_cm2,
            as_device=value.as_device,
            study_id=value.study_id,
            version=value.version,
        )


def _withheld(one: MeasurementWithheld, recorded: RecordedOutcome, event: Event) -> MeasurementRow:
    measured = _measured(event)
    return MeasurementRow(
        device=event.device,
        subject_event_id=one.subject_event_id,
        measured_at=one.measured_at,
        revision=one.revision,
        device_seq=event.device_seq,
        recorded_at=event.recorded_at,
        outcome_id=recorded.outcome_id,
        status=WITHHELD,
        accession_number=one.accession_number,
        acquisition_id=one.acquisition_id,
        pseudonym=one.pseudonym,
        mode=one.mode,
        anatomy=measured.anatomy if measured is not None else "",
        analysed_at=measured.analysed_at if measured is not None else None,
        reason_codes=[code.value for code in one.reasons],
        software=measured.software if measured is not None else "",
    )


def _opened(one: ReviewOpened, recorded: RecordedOutcome, event: Event, place: int) -> ReviewRow:
    return ReviewRow(
        device=event.device,
        device_seq=event.device_seq,
        outcome_id=recorded.outcome_id,
        recorded_at=event.recorded_at,
        phantom_id=one.phantom_id,
        basis=one.basis,
        since=one.since,
        text=one.text,
        review_id=one.review_id,
        revision=one.revision,
        place=place,
        modes=list(one.modes),
        unit=one.unit,
        sizes=json_text(one.sizes),
    )


def _amended(one: MeasurementsAmended, recorded: RecordedOutcome, event: Event) -> AmendmentRow:
    return AmendmentRow(
        device=event.device,
        review_id=one.review_id,
        revision=one.revision,
        device_seq=event.device_seq,
        recorded_at=event.recorded_at,
        outcome_id=recorded.outcome_id,
        verdict=one.verdict.value,
        since=one.since,
        until=one.until,
        modes=list(one.modes),
        unit=one.unit,
        sizes=json_text(one.sizes),
        text=one.text,
        decided_by=one.decided_by.name,
        decided_by_role=one.decided_by.role,
        decided_at=one.decided_at,
        is_withdrawn=one.is_withdrawn,
    )
