"""Forms about scales and stadiometers: what the next reading is for, and checks entered by hand."""

from collections.abc import Sequence
from typing import Final

from dashboards.console import wording
from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import CloseSession, EnterCheck, EnterMeasurement, OpenSession
from streams.messages import SessionPurpose
from streams.readings import DeviceView
from streams.roles import Permission

_MEASURED_AT: Final = Field(
    name="measured_at",
    label="When it was done",
    kind=FieldKind.MOMENT,
    hint="Leave blank if it was just now",
    required=False,
    later=True,
)


def _standards(view: DeviceView) -> dict[str, str]:
    return {standard.standard_id: wording.standard_name(standard) for standard in view.standards}


def _standard_field(view: DeviceView) -> Field:
    choices = _standards(view)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return Field(name="standard_id", label="Which standard?", kind=FieldKind.CHOICE, choices=choices, value=only)


def _check_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (_standard_field(view),)


def _start_check(asked: Asked, typed: Typed, view: DeviceView) -> OpenSession:
    return OpenSession(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        purpose=SessionPurpose.CHECK,
        standard_id=typed.choice("standard_id", _standards(view), "Choose a standard"),
    )


def _patient_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="accession_number", label="Accession number of the request", hint="As printed on the request"),
        Field(
            name="read_back",
            label="The same number again, read from the request",
            hint="Not from the field above: this is how a slip is found",
        ),
    )


def _patient(asked: Asked, typed: Typed, _: DeviceView) -> OpenSession:
    number, again = _request_number(typed)
    return OpenSession(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        purpose=SessionPurpose.PATIENT,
        accession_number=number,
        read_back=again,
    )


def _close(asked: Asked, _: Typed, __: DeviceView) -> CloseSession:
    return CloseSession(device=asked.device, actor=asked.actor, request_id=asked.request_id)


def _entry_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    unit = view.standards[0].unit if view.standards else "kg"
    return (
        _standard_field(view),
        Field(name="read", label=f"What it read, in {unit}", kind=FieldKind.NUMBER, hint="As the display shows it"),
        _MEASURED_AT,
    )


def _entry(asked: Asked, typed: Typed, view: DeviceView) -> EnterCheck:
    return EnterCheck(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        standard_id=typed.choice("standard_id", _standards(view), "Choose a standard"),
        read=typed.number("read", "Enter what the display showed, such as 20.0"),
        measured_at=typed.moment("measured_at"),
    )


def _measurement_fields(console: Console, view: DeviceView) -> Sequence[Field]:
    what = "Height in cm" if view.kind == "stadiometer" else "Weight in kg"
    reading = Field(name="read", label=what, kind=FieldKind.NUMBER, hint="As the display shows it")
    return (*_patient_fields(console, view), reading, _MEASURED_AT)


def _measurement(asked: Asked, typed: Typed, _: DeviceView) -> EnterMeasurement:
    number, again = _request_number(typed)
    return EnterMeasurement(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        accession_number=number,
        read_back=again,
        read=typed.number("read", "Enter what the display showed, such as 71.5"),
        measured_at=typed.moment("measured_at"),
    )


def _request_number(typed: Typed) -> tuple[str, str]:
    """Return the accession number as typed and as read back; a difference is a slip, and said."""
    number = typed.text("accession_number", "Enter the accession number")
    again = typed.text("read_back", "Read the number from the request once more")
    if number and again and number != again:
        typed.errors.setdefault("read_back", "The two numbers differ: look at the request again")
    return number, again


def _in_service(view: DeviceView) -> bool:
    return bool(view.standards) and view.stage != "retired"


def _for_patients(view: DeviceView) -> bool:
    return view.kind != "scanner" and view.stage != "retired"


CHECK_ACTIONS: Final = (
    Action(
        slug="start-check",
        title="Check it now",
        intro="Choose the standard, start, then put it on. The first stable reading is the check.",
        submit="Start the check",
        done="The check has started: put the standard on now.",
        permission=Permission.ENTER_QC,
        offered=_in_service,
        fields=_check_fields,
        command=_start_check,
    ),
    Action(
        slug="measure-patient",
        title="Measure a patient",
        intro="Name the request first. Readings go to it until you finish, or for ten minutes.",
        submit="Start",
        done="Ready: ask the patient to step on now.",
        permission=Permission.ENTER_QC,
        offered=lambda view: _for_patients(view) and view.gate.lets_patients_through,
        fields=_patient_fields,
        command=_patient,
    ),
    Action(
        slug="end-session",
        title="Finish",
        intro="The next reading belongs to nobody until somebody says what it is for.",
        submit="Finish now",
        done="Finished.",
        permission=Permission.ENTER_QC,
        offered=lambda view: view.session is not None,
        fields=lambda _, __: (),
        command=_close,
    ),
    Action(
        slug="enter-check",
        title="Enter a check",
        intro="For a device that is not connected. Checks that it sends itself need no entry.",
        submit="Record check",
        done="Check recorded.",
        permission=Permission.ENTER_QC,
        offered=_in_service,
        fields=_entry_fields,
        command=_entry,
    ),
    Action(
        slug="enter-measurement",
        title="Enter a patient's reading",
        intro="For a device that is not connected: what its display showed, for the request in your hand.",
        submit="Record reading",
        done="Reading recorded.",
        permission=Permission.ENTER_QC,
        offered=lambda view: _for_patients(view) and view.gate.lets_patients_through,
        fields=_measurement_fields,
        command=_measurement,
    ),
)
