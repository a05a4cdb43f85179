"""Due work over all devices: a page, and a calendar to subscribe to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import icalendar
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, ValidationException
from litestar.params import FromQuery
from litestar.response import Template

from dashboards.auth import PUBLIC, Visit
from dashboards.basic import person_by_password
from dashboards.console import wording
from dashboards.console.templates import page
from dashboards.context import Console
from streams.due import URGENCY, DueItem, QcKind
from streams.messages import DutyStanding
from streams.policy import DutyKind
from streams.readings import DeviceView
from streams.roles import Permission, may

KINDS: Final[tuple[QcKind | DutyKind, ...]] = (*QcKind, *DutyKind)
_ASK: Final = {"WWW-Authenticate": 'Basic realm="Bonewatch", charset="UTF-8"'}


class Due(NamedTuple):
    """One piece of work and the device that it is of."""

    view: DeviceView
    item: DueItem


@get("/due", sync_to_thread=True)
def due_page(console: NamedDependency[Console], request: Visit, *, kind: FromQuery[str] = "") -> Template:
    """Show what is overdue, due, due soon and coming on every device, of one kind or of all."""
    if kind and kind not in KINDS:
        raise ValidationException(f"There is no such kind of work; there are {', '.join(KINDS)}")
    everything = _due(console)
    groups = {
        standing: [one for one in everything if one.item.standing is standing and kind in {"", one.item.kind}]
        for standing in URGENCY
    }
    may_record = request.user is not None and may(request.user.role, Permission.RECORD_DUTY)
    kinds = [one for one in KINDS if any(due.item.kind == one for due in everything)]
    return page(console, request, "due.html", groups=groups, kind=kind, kinds=kinds, may_record=may_record)


@get("/due.ics", opt=PUBLIC, sync_to_thread=True)
def due_calendar(console: NamedDependency[Console], request: Visit) -> Response[bytes]:
    """Return the next day of each piece of work as a calendar; for a session, or a name and password as of the API."""
    if request.user is None:
        if not request.headers.get("authorization"):
            return Response(b"Sign in with name and password", status_code=401, headers=_ASK, media_type="text/plain")
        try:
            person_by_password(console, request.headers.get("authorization", ""))
        except NotAuthorizedException as error:
            return Response(error.detail.encode(), status_code=401, headers=_ASK, media_type="text/plain")
    return Response(_calendar(console).to_ical(), media_type="text/calendar", headers={"Cache-Control": "no-store"})


def _due(console: Console) -> Sequence[Due]:
    """Return everything with a due day, the most urgent first, of one urgency by its day."""
    found = [Due(view, item) for view in console.readings.devices() for item in view.due if item.due_on]
    return sorted(found, key=lambda due: (URGENCY.index(due.item.standing), str(due.item.due_on), due.view.id))


def _calendar(console: Console) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("PRODID", "-//Bonewatch//due work//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("X-WR-CALNAME", f"Due work, {console.settings.site_name}")
    for view, item in _due(console):
        if item.due_on is None:
            continue
        event = icalendar.Event()
        name = item.duty_id or f"{item.kind}.{item.name.replace(' ', '-')}"
        event.add("UID", f"{name}.{view.device.replace('/', '.')}@bonewatch")
        event.add("DTSTAMP", console.clock())
        event.add("DTSTART", item.due_on)
        event.add("DTEND", item.due_on + timedelta(days=1))
        event.add("SUMMARY", f"{_mark(item)}{wording.device_name(view)}: {item.name}")
        event.add("CATEGORIES", [wording.due_kind(item.kind)])
        done = f"Done last on {item.done_on.isoformat()}." if item.done_on else "Not recorded yet."
        event.add("DESCRIPTION", f"{wording.standing(item.standing)}. {done}")
        event.add("TRANSP", "TRANSPARENT")
        calendar.add_component(event)
    return calendar


def _mark(item: DueItem) -> str:
    return "OVERDUE " if item.standing is DutyStanding.OVERDUE else ""


due_handlers = (due_page, due_calendar)
