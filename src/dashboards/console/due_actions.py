"""The form that records work that comes round as done."""

from collections.abc import Sequence

from dashboards.console import wording
from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import RecordDuty
from streams.policy import DutyKind
from streams.readings import DeviceView
from streams.roles import Permission


def _choices(view: DeviceView) -> dict[str, str]:
    return {item.duty_id: item.name for item in view.due if item.duty_id}


def _fields(console: Console, view: DeviceView) -> Sequence[Field]:
    t = console.time
    due = {item.duty_id: f"{item.name}: {wording.due_when(item, t)}" for item in view.due if item.duty_id}
    has_certificate = any(item.kind is DutyKind.CERTIFICATE for item in view.due)
    valid = Field(
        name="valid_until",
        label="The new certificate is valid until",
        kind=FieldKind.DAY,
        hint="For a certificate alone: it is due again then",
        required=False,
    )
    return (
        Field(name="duty_id", label="What was done?", kind=FieldKind.CHOICE, choices=due),
        Field(name="done_on", label="On which day?", kind=FieldKind.DAY, value=t.now.date().isoformat()),
        Field(name="done_by", label="Who did it?", hint="A person, or a company and its engineer"),
        *((valid,) if has_certificate else ()),
        Field(name="reference", label="Number of the report or certificate", required=False),
        Field(name="note", label="Note", kind=FieldKind.LONG_TEXT, required=False, later=True),
    )


def _command(asked: Asked, typed: Typed, view: DeviceView) -> RecordDuty:
    return RecordDuty(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        duty_id=typed.choice("duty_id", _choices(view), "Choose what was done"),
        done_on=typed.day("done_on") or typed.text("done_on", "Enter the day on which it was done"),
        done_by=typed.text("done_by", "Enter who did it"),
        valid_until=typed.day("valid_until"),
        note=typed.optional("note"),
        reference=typed.optional("reference"),
    )


DUE_ACTIONS = (
    Action(
        slug="duty-done",
        title="Record due work as done",
        intro="Done late, the next due day stays where it was. Done while it is due soon, it counts for that day.",
        submit="Record as done",
        done="Recorded as done.",
        permission=Permission.RECORD_DUTY,
        offered=lambda view: view.stage != "retired" and bool(_choices(view)),
        fields=_fields,
        command=_command,
    ),
)
