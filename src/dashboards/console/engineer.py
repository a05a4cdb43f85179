"""What is with engineers, and every fault that is open: where a repair starts and where it is handed back."""

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from dashboards.auth import Visit, require
from dashboards.console.templates import page
from dashboards.context import Console
from streams.readings import DeviceView, WithEngineer
from streams.roles import Permission, Role


@get("/engineer", sync_to_thread=True)
def engineer_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Show an engineer the devices that were handed to them, and everybody who works on devices the open faults."""
    session = require(request, Permission.HAND_BACK)
    views = console.readings.devices()
    away = [view for view in views if view.service is not None and view.stage in {"with_engineer", "handed_back"}]
    is_engineer = session.role is Role.ENGINEER
    mine = [view for view in away if is_engineer and _is_of(view.service, session.name)]
    return page(
        console,
        request,
        "engineer.html",
        is_engineer=is_engineer,
        mine=mine,
        others=[view for view in away if view not in mine],
        faulty=sorted((view for view in views if view.faults), key=_stops_first),
    )


def _is_of(service: WithEngineer | None, name: str) -> bool:
    return service is not None and _plain(service.engineer) == _plain(name)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _stops_first(view: DeviceView) -> bool:
    return not any(fault.stops_scanning for fault in view.faults)
