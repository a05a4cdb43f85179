"""What a physicist decides about measurements: reviews, decisions taken back, releases of what was withheld."""

from datetime import datetime

from streams.commands import DecideReview, Decision, Refusal, ReleaseMeasurement, WithdrawDecision
from streams.fold.decisions.base import MISSING, NOT_NOW, decided, drafts_from, refuse_role, refuse_text
from streams.fold.reviews import review
from streams.fold.state import DeviceState
from streams.messages import DecisionWithdrawn, MeasurementReleased, ReviewDecided, ReviewVerdict
from streams.roles import Permission

_PARKED = "Bonewatch does not understand this device's record now: decide when it has been folded anew."


@decided.register
def _decide_review(command: DecideReview, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.DECIDE_REVIEW) or refuse_text("the reason", command.decision)
    one = review(state, command.review_id)
    if refusal:
        return refusal
    if state.parked is not None:
        return Refusal(NOT_NOW, _PARKED)
    if one is None:
        return Refusal(MISSING, "There is no such review of this device.")
    if one.verdict is not None:
        return Refusal(NOT_NOW, "This review is decided; withdraw its decision first.")
    if one.since is None and command.verdict is not ReviewVerdict.NONE:
        return Refusal(NOT_NOW, "No measurement is in doubt here: decide that nothing follows for the record.")
    return drafts_from(
        command,
        ReviewDecided(
            phantom_id=one.subject,
            decision=command.decision.strip(),
            decided_by=command.actor,
            review_id=one.review_id,
            verdict=command.verdict,
            unit=command.unit,
            sizes=command.sizes,
        ),
    )


@decided.register
def _withdraw_decision(command: WithdrawDecision, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.DECIDE_REVIEW) or refuse_text("the reason", command.reason)
    one = review(state, command.review_id)
    if refusal:
        return refusal
    if state.parked is not None:
        return Refusal(NOT_NOW, _PARKED)
    if one is None or one.verdict is None:
        return Refusal(NOT_NOW, "No decision of this review stands.")
    return drafts_from(
        command,
        DecisionWithdrawn(review_id=one.review_id, reason=command.reason.strip(), withdrawn_by=command.actor),
    )


@decided.register
def _release_measurement(command: ReleaseMeasurement, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.RELEASE_MEASUREMENT) or refuse_text("the reason", command.reason)
    if refusal:
        return refusal
    if state.parked is not None:
        return Refusal(NOT_NOW, _PARKED)
    if state.policy is None:
        return Refusal(NOT_NOW, "This device has no configuration.")
    return drafts_from(
        command,
        MeasurementReleased(
            subject_event_id=command.subject_event_id,
            measured=command.measured,
            reason=command.reason.strip(),
            released_by=command.actor,
        ),
    )
