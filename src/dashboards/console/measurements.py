"""Measurements of a day: which may be used, which are withheld and why; a physicist releases one.

They are read from the database. A request's number is all that says whose they are, and what was shown goes on record.
"""

import secrets
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException, ValidationException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from msgspec.structs import replace

from dashboards.access.needs import ON_RECORD
from dashboards.audit.shown import note_shown
from dashboards.auth import Visit, require
from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.carrying_out import CarriedOut, carry_out
from dashboards.console.forms import FormData
from dashboards.console.navigation import reads_measurements
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.reading import reading
from streams.commands import ReleaseMeasurement
from streams.measurements import Measurement, MeasurementQuery, Measurements
from streams.messages import PatientMeasured
from streams.readings import DeviceView
from streams.roles import Permission

SHOWN: Final = 500
STATUSES: Final = {
    "validated": "Validated",
    "released": "Released",
    "withheld": "Withheld",
    "superseded": "Superseded",
}
TOO_OFTEN: Final = (
    "You have had measurements shown {most} times within an hour, the most allowed. Try again after {again}"
)
RELEASED: Final = "Measurement released. The list shows it as soon as the database has followed."
_REASON: Final = Field(
    name="reason",
    label="Why may it be used?",
    kind=FieldKind.LONG_TEXT,
    hint="It stands with the measurement wherever it is read. No patient names or numbers.",
)


def _no_command(asked: Asked, typed: Typed, view: DeviceView) -> ReleaseMeasurement:
    raise NotImplementedError("a measurement is released by the form that names it")


RELEASE: Final = Action(
    slug="release-measurement",
    title="Release a measurement",
    intro="It was withheld because its device was not known to be in order. Release it only if you know that it was.",
    submit="Release",
    done=RELEASED,
    permission=Permission.RELEASE_MEASUREMENT,
    offered=lambda _: False,
    fields=lambda _, __: (_REASON,),
    command=_no_command,
    grave=True,
)


@get("/measurements", opt=ON_RECORD, sync_to_thread=True)
def measurements_page(
    console: NamedDependency[Console],
    request: Visit,
    *,
    day: FromQuery[str] = "",
    device: FromQuery[str] = "",
    status: FromQuery[str] = "",
    done: FromQuery[str] = "",
) -> Response[Any]:
    """Show a day, today unless another is chosen; say so where the database is away."""
    if not reads_measurements(request.user):
        raise PermissionDeniedException("Your role does not read measurements")
    chosen = _day(console, day)
    views = console.readings.devices()
    only = console.device(device).device if device else None
    again = console.days_shown.count(request.user.name, console.clock()) if request.user is not None else None
    if again is None:
        rows, problem = _read(console, chosen, only)
    else:
        rows, problem = [], TOO_OFTEN.format(most=console.days_shown.most, again=console.time.clock_s(again))
    shown = [row for row in rows if status in {"", row.status}]
    note_shown(request, [row.event_id for row in shown])
    return page(
        console,
        request,
        "measurements.html",
        status_code=429 if again is not None else 503 if problem else 200,
        rows=shown,
        counts={name: sum(row.status == name for row in rows) for name in STATUSES},
        statuses=STATUSES,
        names={view.device: view for view in views},
        views=views,
        day=chosen,
        device=device,
        status=status,
        problem=problem,
        is_cut=len(rows) == SHOWN,
        done=RELEASED if done == RELEASE.slug else "",
        may_release=request.user is not None and request.user.may(Permission.RELEASE_MEASUREMENT),
    )


@get("/devices/{device_id:str}/measurements/{event_id:str}/release", opt=ON_RECORD, sync_to_thread=True)
def release_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], event_id: FromPath[str]
) -> Response[Any]:
    """Show the form that releases a withheld measurement."""
    require(request, RELEASE.permission)
    view = console.device(device_id)
    _measured(console, view, event_id)
    return _form(console, request, view, event_id, typed=Typed({}, console.time))


@post(
    "/devices/{device_id:str}/measurements/{event_id:str}/release", opt=ON_RECORD, sync_to_thread=True, status_code=200
)
def release(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    event_id: FromPath[str],
    data: FormData,
) -> Response[Any]:
    """Release it, or show the form again with what is missing."""
    session = require(request, RELEASE.permission)
    view = console.device(device_id)
    measured, typed = _measured(console, view, event_id), Typed(data, console.time)

    def command(asked: Asked, typed: Typed, _: DeviceView) -> ReleaseMeasurement:
        return ReleaseMeasurement(
            device=asked.device,
            actor=asked.actor,
            request_id=asked.request_id,
            subject_event_id=event_id,
            measured=measured,
            reason=typed.text("reason", "Say why it may be used"),
        )

    result = carry_out(console, replace(RELEASE, command=command), view, session, typed)
    if result.is_done:
        day = measured.measured_at.astimezone(console.settings.zone).date()
        return Redirect(f"/measurements?day={day}&done={RELEASE.slug}", status_code=303)
    return _form(console, request, console.device(device_id), event_id, typed=typed, result=result)


def _form(
    console: Console,
    visit: Visit,
    view: DeviceView,
    event_id: str,
    *,
    typed: Typed,
    result: CarriedOut | None = None,
) -> Response[Any]:
    return page(
        console,
        visit,
        "release.html",
        status_code=result.status if result else 200,
        action=RELEASE,
        view=view,
        measured=_measured(console, view, event_id),
        event_id=event_id,
        reason=_REASON,
        typed=typed,
        refusal=result.refusal if result else None,
        request_id=typed.values.get("request_id") or secrets.token_hex(16),
    )


def _measured(console: Console, view: DeviceView, event_id: str) -> PatientMeasured:
    """Return what the record holds under an id, for it is what is released."""
    found = console.readings.measured(view.id, event_id)
    if found is None:
        raise NotFoundException("There is no such measurement of this device in the record")
    return found


def _read(console: Console, day: date, device: str | None) -> tuple[list[Measurement], str]:
    """Return the day's measurements, the newest first, or why they cannot be read."""
    since = datetime.combine(day, time(), console.settings.zone).astimezone(UTC)
    until = datetime.combine(day + timedelta(days=1), time(), console.settings.zone).astimezone(UTC)
    query = MeasurementQuery(device=device, since=since, until=until - timedelta(microseconds=1))
    try:
        with reading(console) as measurements:
            return list(reversed(_page(measurements, query))), ""
    except HTTPException as error:
        return [], error.detail


def _page(measurements: Measurements, query: MeasurementQuery) -> list[Measurement]:
    return list(measurements.page(query, None, SHOWN))


def _day(console: Console, text: str) -> date:
    try:
        chosen = date.fromisoformat(text) if text else console.time.now.date()
    except ValueError as error:
        raise ValidationException("A day is written as year, month and day, such as 2026-11-20") from error
    if not 1990 <= chosen.year < 9999:
        raise ValidationException("Nothing was measured on that day")
    return chosen


measurement_handlers = (measurements_page, release_form, release)
