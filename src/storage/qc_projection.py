"""What judgements of quality control, and a physicist's decisions on them, mean to the tables."""

from functools import singledispatch
from typing import Any

from storage.places import placed
from storage.qc_rows import (
    BaselineRow,
    CheckRow,
    CrossCalibrationRow,
    DecisionRow,
    QcRow,
    QcTableRow,
    StepReviewRow,
    WithdrawalRow,
)
from storage.texts import json_text
from streams.messages import (
    BaselineAccepted,
    CalibrationCheckRead,
    CheckJudged,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    Event,
    Fact,
    Outcome,
    QcJudged,
    QcReleased,
    RecordedOutcome,
    ReviewDecided,
    StepReviewed,
)


@singledispatch
def qc_fact_row(fact: Fact, event: Event) -> QcTableRow | None:  # noqa: ARG001 - the dispatch's signature
    """Return the row of a fact about a baseline, a chart or a study; none for any other."""
    return None


@qc_fact_row.register
def _accepted(fact: BaselineAccepted, event: Event) -> QcTableRow:
    return BaselineRow(
        *placed(event),
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


@qc_fact_row.register
def _decided(fact: ReviewDecided, event: Event) -> QcTableRow:
    by = fact.decided_by
    return DecisionRow(
        *placed(event),
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


@qc_fact_row.register
def _released(fact: QcReleased, event: Event) -> QcTableRow:
    by = fact.released_by
    return DecisionRow(
        *placed(event),
        fact.phantom_id,
        is_release=True,
        decision=fact.cause,
        decided_by=by.name,
        decided_by_role=by.role,
    )


@qc_fact_row.register
def _step_reviewed(fact: StepReviewed, event: Event) -> QcTableRow:
    by = fact.decided_by
    return StepReviewRow(
        *placed(event), fact.phantom_id, fact.epoch, fact.is_comparable, fact.decision, by.name, by.role
    )


@qc_fact_row.register
def _study_accepted(fact: CrossCalibrationAccepted, event: Event) -> QcTableRow:
    return CrossCalibrationRow(
        *placed(event),
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


@qc_fact_row.register
def _study_withdrawn(fact: CrossCalibrationWithdrawn, event: Event) -> QcTableRow:
    by = fact.withdrawn_by
    return WithdrawalRow(*placed(event), fact.study_id, fact.reason, by.name, by.role)


def qc_outcome_rows(outcome: Outcome, recorded: RecordedOutcome, event: Event) -> tuple[QcTableRow, ...]:
    """Return the row of an outcome that judges a reading or a check; none for any other."""
    match outcome:
        case QcJudged():
            return (_judged(outcome, recorded, event),)
        case CheckJudged():
            return _checked(outcome, event)
        case _:
            return ()


def _checked(judged: CheckJudged, event: Event) -> tuple[CheckRow, ...]:
    """Return the check; nothing where the event is no reading of a standard (`misfit`)."""
    fact = event.fact
    if not isinstance(fact, CalibrationCheckRead):
        return ()
    return (
        CheckRow(
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
        ),
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
