"""Forms about measurements in doubt: deciding a review, taking a decision back."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import Command, DecideReview, WithdrawDecision
from streams.messages import ReviewVerdict
from streams.readings import DeviceView, ReviewStatus
from streams.roles import Permission

VERDICTS: Final = {
    ReviewVerdict.NONE.value: "Nothing follows: no measurement was wrong, or none by enough to matter",
    ReviewVerdict.ANNOTATE.value: "Annotate the measurements: who reports them is told",
    ReviewVerdict.AMEND.value: "Amend: the record says how far off they may be",
    ReviewVerdict.RECALL.value: "Recall patients to be measured again",
}


def waiting(view: DeviceView) -> tuple[ReviewStatus, ...]:
    """Return the reviews of a device that wait for a decision."""
    return tuple(one for one in view.reviews if not one.verdict)


def _decided(view: DeviceView) -> tuple[ReviewStatus, ...]:
    return tuple(one for one in view.reviews if one.verdict)


def _choices(reviews: Sequence[ReviewStatus]) -> dict[str, str]:
    return {one.review_id: f"{one.text} (told {one.opened_at:%d %b %Y})" for one in reviews}


def _which(reviews: Sequence[ReviewStatus]) -> Field:
    choices = _choices(reviews)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return Field(name="review_id", label="Which review?", kind=FieldKind.CHOICE, choices=choices, value=only)


def _decide_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (
        _which(waiting(view)),
        Field(
            name="verdict",
            label="What follows for the measurements in it?",
            kind=FieldKind.CHOICE,
            choices=VERDICTS,
            hint="Nothing reaches a record before this decision; it can be taken back.",
        ),
        Field(
            name="decision",
            label="Your reasons",
            kind=FieldKind.LONG_TEXT,
            hint="For example: false alarm; or: real, 0.8 % low since March, service called",
        ),
    )


def _decide(asked: Asked, typed: Typed, view: DeviceView) -> DecideReview:
    verdict = typed.choice("verdict", VERDICTS, "Choose what follows")
    return DecideReview(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        review_id=typed.choice("review_id", _choices(waiting(view)), "Choose a review"),
        verdict=ReviewVerdict(verdict) if verdict in VERDICTS else ReviewVerdict.NONE,
        decision=typed.text("decision", "Record your reasons"),
    )


def _with_estimate(_: Console, view: DeviceView, __: Typed, command: Command) -> Command:
    """Add the estimate on record: the decision says what it rests on."""
    if not isinstance(command, DecideReview):
        return command
    one = next((one for one in view.reviews if one.review_id == command.review_id), None)
    return command if one is None else replace(command, unit=one.unit, sizes=one.sizes)


def _withdraw_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (
        _which(_decided(view)),
        Field(name="reason", label="Why is the decision taken back?", kind=FieldKind.LONG_TEXT),
    )


def _withdraw(asked: Asked, typed: Typed, view: DeviceView) -> WithdrawDecision:
    return WithdrawDecision(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        review_id=typed.choice("review_id", _choices(_decided(view)), "Choose a review"),
        reason=typed.text("reason", "Record why"),
    )


def _named(_: DeviceView, asked: Mapping[str, str]) -> Mapping[str, str]:
    return {"review_id": asked["review"]} if "review" in asked else {}


REVIEW_ACTIONS: Final = (
    Action(
        slug="decide-review",
        title="Decide a review",
        intro="Measurements may have been wrong. Look at the chart first; nothing is published until somebody decides.",
        submit="Record decision",
        done="Review decided.",
        permission=Permission.DECIDE_REVIEW,
        offered=lambda view: bool(waiting(view)),
        fields=_decide_fields,
        command=_decide,
        prepare=_with_estimate,
        prefill=_named,
    ),
    Action(
        slug="withdraw-decision",
        title="Take a review's decision back",
        intro="The record stands as before the decision, and the review waits again.",
        submit="Take the decision back",
        done="Decision withdrawn; the review waits again.",
        permission=Permission.DECIDE_REVIEW,
        offered=lambda view: bool(_decided(view)),
        fields=_withdraw_fields,
        command=_withdraw,
        prefill=_named,
        grave=True,
    ),
)
