"""The status board: per device, may patients be scanned; if not why, what clears it, whom to ring."""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec
import structlog
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from dashboards.auth import PUBLIC_STATUS, Visit
from dashboards.console.alert_words import board_note
from dashboards.console.templates import page
from dashboards.console.wording import device_name
from dashboards.context import Console
from dashboards.demo_panel import DemoAction
from streams.readings import DeviceView
from streams.roles import Permission, may


@get("/", opt=PUBLIC_STATUS, sync_to_thread=True)
def status_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Show the board with the site's header and what the visitor may do."""
    return _board(console, request, "status.html", wall=False)


@get("/wall", opt=PUBLIC_STATUS, sync_to_thread=True)
def wall_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Show the board alone and large, for a screen on the wall."""
    return _board(console, request, "status.html", wall=True)


@get("/parts/board", opt=PUBLIC_STATUS, sync_to_thread=True)
def board_part(console: NamedDependency[Console], request: Visit, *, wall: FromQuery[bool] = False) -> Template:
    """Return the board itself, for a live page."""
    return _board(console, request, "parts/board.html", wall=wall)


def _board(console: Console, visit: Visit, template: str, *, wall: bool) -> Template:
    # a visitor who is not signed in is offered the entry too: signing in comes on the way
    may_enter = not wall and (visit.user is None or may(visit.user.role, Permission.ENTER_QC))
    views = console.readings.devices()
    demo = _demo_groups(console, views) if not wall else {}
    note = _alerts_note(console)
    return page(
        console, visit, template, views=views, wall=wall, may_enter=may_enter, demo_groups=demo, alerts_note=note
    )


def _alerts_note(console: Console) -> str:
    """Return what is said of alerts; the board itself is shown whatever becomes of them."""
    if console.alerts is None:
        return ""
    if console.alerts.failing:
        return "Alerts are not looked for at the moment: rely on this board"
    try:
        return board_note(console.alerts.open())
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        structlog.get_logger("dashboards").warning("alerts_not_read", error=type(error).__name__)
        return "Alerts cannot be read at the moment: rely on this board"


def _demo_groups(console: Console, views: Sequence[DeviceView]) -> Mapping[str, Sequence[DemoAction]]:
    """Return what a demonstration can make happen, under the name of the device that it happens to."""
    if console.demo is None:
        return {}
    names = {view.id: device_name(view) for view in views}
    groups: dict[str, list[DemoAction]] = {}
    for action in console.demo.actions():
        groups.setdefault(names.get(action.device_id or "", "The whole department"), []).append(action)
    return groups


status_handlers = (status_page, wall_page, board_part)
