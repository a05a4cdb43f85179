"""Forms on the way into clinical use: records, a baseline out of imported history, sign-off; the review of a step."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from msgspec.structs import replace

from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import AcceptBaseline, Command, RecordCommissioning, ReviewStep, SignOffCommissioning
from streams.fold.commissioning import COMMISSIONING, WORDS
from streams.fold.due_work import YEARS
from streams.messages import Verdict
from streams.policy import CommissioningStep
from streams.readings import DeviceView
from streams.roles import Permission

_STEPS: Final = {step.value: WORDS[step].removeprefix("the ").capitalize() for step in CommissioningStep}
_RESULT: Final = {"yes": "Satisfactory", "no": "Not satisfactory"}
_COMPARABLE: Final = {
    "yes": "Measurements on both sides may be compared",
    "no": "Measurements on both sides may not be compared",
}
_STRANGE: Final = frozenset({Verdict.WRONG_PHANTOM, Verdict.IMPLAUSIBLE, Verdict.CLOCK_SUSPECT, Verdict.REANALYSIS})
MOST_SCANS: Final = 400
"""A baseline over more scans than a year of days has is a typing error."""


def _is_being_commissioned(view: DeviceView) -> bool:
    return view.kind == "scanner" and view.stage == COMMISSIONING


def _record_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="step", label="What was done?", kind=FieldKind.CHOICE, choices=_STEPS),
        Field(name="done_on", label="On which day?", kind=FieldKind.DAY),
        Field(name="done_by", label="Who did it?"),
        Field(name="organisation", label="For which organisation?"),
        Field(name="is_satisfactory", label="How did it end?", kind=FieldKind.CHOICE, choices=_RESULT),
        Field(name="result", label="Result", kind=FieldKind.LONG_TEXT, required=False),
        Field(
            name="endorsed_by",
            label="Radiation protection adviser who endorsed it",
            hint="For the critical examination",
            required=False,
        ),
        Field(name="reference", label="Number of the report", required=False),
    )


def _record(asked: Asked, typed: Typed, _: DeviceView) -> RecordCommissioning:
    step = typed.choice("step", _STEPS, "Choose what was done")
    return RecordCommissioning(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        step=CommissioningStep(step) if step in _STEPS else CommissioningStep.ACCEPTANCE_TESTS,
        done_on=typed.text("done_on", "Enter the day"),
        done_by=typed.text("done_by", "Name who did it"),
        organisation=typed.text("organisation", "Name their organisation"),
        is_satisfactory=typed.choice("is_satisfactory", _RESULT, "Say how it ended") == "yes",
        result=typed.optional("result"),
        reference=typed.optional("reference"),
        endorsed_by=typed.optional("endorsed_by"),
    )


def _past_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    choices = {phantom.patient_id: phantom.patient_id for phantom in view.phantoms}
    only = next(iter(choices)) if len(choices) == 1 else ""
    return (
        Field(name="phantom_id", label="Which phantom?", kind=FieldKind.CHOICE, choices=choices, value=only),
        Field(name="first", label="First day of the scans", kind=FieldKind.DAY),
        Field(name="last", label="Last day of the scans", kind=FieldKind.DAY),
        Field(
            name="reason",
            label="Why these scans?",
            kind=FieldKind.LONG_TEXT,
            hint="For example: the 25 days after the tube was replaced; nothing has changed since",
        ),
    )


def _past(asked: Asked, typed: Typed, view: DeviceView) -> AcceptBaseline:
    return AcceptBaseline(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=typed.choice("phantom_id", {p.patient_id: "" for p in view.phantoms}, "Choose a phantom"),
        first=typed.text("first", "Enter the first day"),
        last=typed.text("last", "Enter the last day"),
        reason=typed.text("reason", "Say why these scans"),
    )


def _with_scans(console: Console, view: DeviceView, typed: Typed, command: Command) -> Command:
    """Look up the scans of the days that were named: nobody types them."""
    if not isinstance(command, AcceptBaseline):
        return command
    since, until = (_midnight(console, typed, name) for name in ("first", "last"))
    if since is None or until is None:
        return command
    if until < since:
        typed.errors["last"] = "The last day lies before the first"
        return command
    judged = console.readings.qc(view.id, since=since, until=until + timedelta(days=1), limit=MOST_SCANS + 1)
    scans = tuple(
        one.bmd_g_cm2
        for one in judged
        if one.phantom_id == command.phantom_id and one.bmd_g_cm2 is not None and one.verdict not in _STRANGE
    )
    if len(judged) > MOST_SCANS:
        typed.errors["last"] = f"More than {MOST_SCANS} readings lie between these days: choose fewer"
    return replace(command, scans=scans)


def _midnight(console: Console, typed: Typed, name: str) -> datetime | None:
    try:
        day = date.fromisoformat(typed.values.get(name, "").strip())
    except ValueError:
        typed.errors.setdefault(name, "Enter a day as year, month, day, such as 2026-06-01")
        return None
    if day.year not in YEARS:
        typed.errors.setdefault(name, f"Enter a day between {YEARS[0]} and {YEARS[-1]}, such as 2026-06-01")
        return None
    return datetime.combine(day, time.min, console.time.zone)


def _sign_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(
            name="in_service_since",
            label="In service since",
            kind=FieldKind.DAY,
            hint="For a scanner that was in use before Bonewatch watched it: the day. Else blank",
            required=False,
        ),
        Field(
            name="note",
            label="Note",
            kind=FieldKind.LONG_TEXT,
            hint="For a scanner that was in use before: where the records of its commissioning are",
            required=False,
        ),
    )


def _sign(asked: Asked, typed: Typed, _: DeviceView) -> SignOffCommissioning:
    return SignOffCommissioning(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        in_service_since=typed.optional("in_service_since"),
        note=typed.optional("note"),
    )


def _steps_open(view: DeviceView) -> dict[str, str]:
    return {
        phantom.patient_id: f"{phantom.patient_id}: {phantom.unreviewed_step[1]:+.2f} % at epoch "
        f"{phantom.unreviewed_step[0]}"
        for phantom in view.phantoms
        if phantom.unreviewed_step is not None
    }


def _step_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    choices = _steps_open(view)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return (
        Field(name="phantom_id", label="Which step?", kind=FieldKind.CHOICE, choices=choices, value=only),
        Field(name="is_comparable", label="What does it mean?", kind=FieldKind.CHOICE, choices=_COMPARABLE),
        Field(name="decision", label="Your decision and its grounds", kind=FieldKind.LONG_TEXT),
    )


def _step(asked: Asked, typed: Typed, view: DeviceView) -> ReviewStep:
    return ReviewStep(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=typed.choice("phantom_id", {p.patient_id: "" for p in view.phantoms}, "Choose a step"),
        is_comparable=typed.choice("is_comparable", _COMPARABLE, "Say what it means") == "yes",
        decision=typed.text("decision", "Record your decision and its grounds"),
    )


COMMISSIONING_ACTIONS: Final = (
    Action(
        slug="record-commissioning",
        title="Record a step of commissioning",
        intro="What was done before the first patient, by whom, and how it ended. The last record of a step counts.",
        submit="Put it on record",
        done="The step is on record.",
        permission=Permission.RECORD_COMMISSIONING,
        offered=_is_being_commissioned,
        fields=_record_fields,
        command=_record,
    ),
    Action(
        slug="baseline-from-history",
        title="Accept a baseline from its history",
        intro="For a scanner in service whose history was imported: the scans of the days that you name.",
        submit="Accept this baseline",
        done="Baseline accepted from the history.",
        permission=Permission.ACCEPT_BASELINE,
        offered=lambda view: _is_being_commissioned(view) and any(phantom.last for phantom in view.phantoms),
        fields=_past_fields,
        command=_past,
        prepare=_with_scans,
    ),
    Action(
        slug="sign-off",
        title="Sign off for clinical use",
        intro="You take responsibility for the clinical use of this scanner. Every QC still has to pass each day.",
        submit="Sign it off",
        done="Signed off for clinical use.",
        permission=Permission.SIGN_OFF,
        offered=_is_being_commissioned,
        fields=_sign_fields,
        command=_sign,
        grave=True,
    ),
    Action(
        slug="review-step",
        title="Review the step between two epochs",
        intro="A new baseline moved the chart. Until somebody decides, measurements across the step are not compared.",
        submit="Record decision",
        done="Step reviewed.",
        permission=Permission.ACCEPT_STUDY,
        offered=lambda view: bool(_steps_open(view)),
        fields=_step_fields,
        command=_step,
    ),
)
