"""Before the scan: what whoever scans somebody again must know of the last visit. What is typed is kept nowhere."""

from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException

from dashboards.access.needs import ON_RECORD
from dashboards.auth import Visit, require
from dashboards.console import wording
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.looking_up import last_visit
from streams.readings import DeviceView
from streams.roles import Permission
from streams.visits import FollowUp, LastVisit

NEEDED: Final = "Type the patient's id, or the accession number of an earlier scan"
NOT_BOTH: Final = "Type one of the two, not both"
TOO_OFTEN: Final = "You have looked patients up {most} times within an hour, the most allowed. Try again after {again}."
LONGEST: Final = 64


class Where(NamedTuple):
    """Where to measure again, and how that scanner stands now.

    None where it is out of use: retired, or not one of this site any more.
    """

    follow_up: FollowUp
    view: DeviceView | None


@get("/before-the-scan", sync_to_thread=True)
def before_scan_page(console: NamedDependency[Console], request: Visit) -> Response[Any]:
    """Show the empty form."""
    require(request, Permission.LOOK_UP_PATIENT)
    return _page(console, request, Typed({}, console.time))


@post("/before-the-scan", opt=ON_RECORD, sync_to_thread=True, status_code=200)
def before_scan(console: NamedDependency[Console], request: Visit, data: FormData) -> Response[Any]:
    """Show the last visit, never what was typed."""
    session = require(request, Permission.LOOK_UP_PATIENT)
    typed = Typed(data, console.time)
    patient_id = typed.optional("patient_id")
    number = typed.optional("accession_number")
    if len(patient_id) > LONGEST or len(number) > LONGEST:
        typed.errors["patient_id"] = f"An id or a number has at most {LONGEST} characters"
    elif bool(patient_id) == bool(number):
        typed.errors["patient_id"] = NOT_BOTH if patient_id else NEEDED
    if typed.errors:
        return _page(console, request, typed, status_code=422)
    again = console.look_ups.count(session.name, console.clock())
    if again is not None:
        problem = TOO_OFTEN.format(most=console.look_ups.most, again=console.time.clock_s(again))
        return _page(console, request, typed, problem=problem, status_code=429)
    try:
        found = last_visit(console, request.scope, patient_id=patient_id, accession_number=number)
    except HTTPException as error:
        return _page(console, request, typed, problem=error.detail, status_code=error.status_code)
    return _page(console, request, typed, found=found, is_asked=True)


def _page(
    console: Console,
    visit: Visit,
    typed: Typed,
    *,
    found: LastVisit | None = None,
    is_asked: bool = False,
    problem: str = "",
    status_code: int = 200,
) -> Response[Any]:
    return page(
        console,
        visit,
        "before_scan.html",
        status_code=status_code,
        errors=typed.errors,
        problem=problem,
        found=found,
        is_asked=is_asked,
        where=[Where(one, _in_use(console, one.device)) for one in found.follow_up] if found is not None else [],
        name_of=lambda device: _name(console, device),
    )


def _view(console: Console, device: str) -> DeviceView | None:
    return next((view for view in console.readings.devices() if view.device == device), None)


def _in_use(console: Console, device: str) -> DeviceView | None:
    view = _view(console, device)
    return None if view is None or view.stage == "retired" else view


def _name(console: Console, device: str) -> str:
    view = _view(console, device)
    return device if view is None else wording.device_name(view)


before_scan_handlers = (before_scan_page, before_scan)
