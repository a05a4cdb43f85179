"""The page of one device: gate, control chart, phantoms, verdicts, and what the visitor may do about it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from dashboards.auth import Visit
from dashboards.console.catalogue import ACTIONS, barred, offered
from dashboards.console.chart_costs import costs
from dashboards.console.comments import comments_by_subject, subject
from dashboards.console.templates import page
from dashboards.context import Console
from streams.equipment_log import LogKind
from streams.messages import GateChanged, GateStatus
from streams.readings import DeviceView
from streams.roles import Permission, may

RANGES: Final = {"30 days": 30, "90 days": 90, "1 year": 365, "All": 0}
"""Spans of the chart; 0 shows everything."""

MOST_DAYS: Final = 36_525
"""A span beyond a century is everything."""

PARTS: Final = ("gate", "actions", "phantoms", "verdicts", "line", "standards", "comments")
"""What a live page reads anew; the chart reads the API."""

VERDICTS_SHOWN: Final = 15
HISTORY_READ: Final = 60
CHANGES_SHOWN: Final = 10
COMMENTS_SHOWN: Final = 5


@get("/devices/{device_id:str}", sync_to_thread=True)
def device_page(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    *,
    phantom: FromQuery[str] = "",
    days: FromQuery[int] = 90,
    done: FromQuery[str] = "",
) -> Template:
    """Show the whole page; `done` names the action that led here."""
    view = console.device(device_id)
    chosen = next((p for p in view.phantoms if p.patient_id == phantom), None)
    chosen = chosen or next((p for p in view.phantoms if p.mean is not None), None) or next(iter(view.phantoms), None)
    since = console.clock() - timedelta(days=days) if 0 < days <= MOST_DAYS else None
    action = ACTIONS.get(done)
    parts = {key: value for name in PARTS for key, value in _part(console, request, view, name).items()}
    return page(
        console,
        request,
        "device.html",
        chosen=chosen,
        costs=costs(console, view, chosen),
        ranges=RANGES,
        days=days,
        since=since,
        done=action.done if action else "",
        view=view,
        may_try=console.past is not None
        and request.user is not None
        and may(request.user.role, Permission.DECIDE_REVIEW),
        **parts,
    )


@get("/devices/{device_id:str}/parts/{part:str}", sync_to_thread=True)
def device_part(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], part: FromPath[str]
) -> Template:
    """Return one part of the page, for a live page."""
    if part not in PARTS:
        raise NotFoundException("There is no such part of the page")
    view = console.device(device_id)
    return page(console, request, f"parts/{part}.html", view=view, **_part(console, request, view, part))


def _part(console: Console, visit: Visit, view: DeviceView, name: str) -> dict[str, Any]:
    """Return what one part shows; each reads no more than it needs, for live pages ask often."""
    if name == "verdicts":
        return {
            "verdicts": list(console.readings.qc(view.id, limit=VERDICTS_SHOWN))[::-1],
            "comments": comments_by_subject(console, view),
            "may_comment": visit.user is not None and visit.user.may(Permission.WRITE_LOG),
        }
    if name == "comments":
        items = console.equipment_log.items(view.id, kinds=(LogKind.COMMENT,), limit=COMMENTS_SHOWN)
        return {"latest": [(item, subject(console, view, getattr(item.matter, "about", ""))) for item in items]}
    if name == "actions":
        return {"actions": offered(view, visit.user), "barred": barred(view, visit.user)}
    if name == "line":
        return {"line": console.lines.status(view.device)}
    if name == "phantoms":
        outcomes = (recorded.outcome for recorded in console.readings.history(view.id, limit=HISTORY_READ))
        now = console.clock()
        studies = [one for one in console.readings.studies(view.id) if one.is_in_force(now)]
        told = (outcome for outcome in outcomes if isinstance(outcome, GateChanged))
        return {"changes": _changes(told)[:CHANGES_SHOWN], "studies": studies}
    return {}


device_handlers = (device_page, device_part)


def _changes(told: Iterable[GateChanged]) -> list[GateChanged]:
    """Return each state that a gate came into, newest first, as it was told last: its reasons may change."""
    states: dict[tuple[str, GateStatus, datetime], GateChanged] = {}
    for one in told:
        states.setdefault((one.mode, one.status, one.since), one)
    return list(states.values())
