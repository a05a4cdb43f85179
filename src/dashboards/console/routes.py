"""Every page of the console."""

from typing import Any

from litestar import Response, Router, get
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from dashboards.auth import PUBLIC
from dashboards.console.alerts import alert_handlers
from dashboards.console.audit import audit_handlers
from dashboards.console.before_scan import before_scan_handlers
from dashboards.console.demo import run_demo_action
from dashboards.console.device import device_handlers
from dashboards.console.due import due_handlers
from dashboards.console.engineer import engineer_page
from dashboards.console.equipment_log import log_handlers
from dashboards.console.events import events
from dashboards.console.forms import form_handlers
from dashboards.console.measurements import measurement_handlers
from dashboards.console.paper import paper_handlers
from dashboards.console.people import people_handlers
from dashboards.console.reports import report_handlers
from dashboards.console.reviews import review_handlers
from dashboards.console.screen import screen_handlers
from dashboards.console.sign_in import demo_sign_in, sign_in_handlers
from dashboards.console.status import status_handlers
from dashboards.console.templates import STATIC
from dashboards.console.uptime import uptime_handlers
from dashboards.console.what_if import what_if_handlers
from dashboards.console.whole_log import whole_log_page


@get("/favicon.ico", opt=PUBLIC, sync_to_thread=True)
def favicon() -> Response[Any]:
    """Serve the mark to browsers that do not read the page's link."""
    return Response((STATIC / "mark.svg").read_bytes(), media_type="image/svg+xml")


def console_router(*, demo: bool) -> Router:
    """Return the pages; the demonstration's routes exist in a demonstration only.

    One router registers them all at once: Litestar 2.25 wraps a synchronous handler twice if another of the same
    path is registered after it.
    """
    static = create_static_files_router(path="/static", directories=[STATIC], opt=PUBLIC)
    handlers: list[ControllerRouterHandler] = [
        *status_handlers,
        *alert_handlers,
        *screen_handlers,
        *device_handlers,
        *form_handlers,
        *due_handlers,
        *log_handlers,
        engineer_page,
        *paper_handlers,
        *sign_in_handlers,
        *uptime_handlers,
        *report_handlers,
        *what_if_handlers,
        *review_handlers,
        *audit_handlers,
        *people_handlers,
        *measurement_handlers,
        whole_log_page,
        *before_scan_handlers,
        events,
        favicon,
        static,
    ]
    if demo:
        handlers += [demo_sign_in, run_demo_action]
    return Router(path="/", route_handlers=handlers, include_in_schema=False)
