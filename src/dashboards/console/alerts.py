"""Alerts: what stands, who was told, who takes it; and the page that the link in a message opens."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template

from alerts.desk import Desk
from alerts.links import PATH, Linked, LinkError
from alerts.policy import NotAcknowledged
from dashboards.access.credentials import Credentials
from dashboards.access.needs import ALWAYS_ON_RECORD, ON_RECORD
from dashboards.audit.middleware import note_subject
from dashboards.auth import PUBLIC, Visit, require
from dashboards.console import alert_words
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.context import Console
from streams.roles import Permission, may

_LINKED: Final = PUBLIC | ALWAYS_ON_RECORD


@get("/alerts", sync_to_thread=True)
def alerts_page(console: NamedDependency[Console], request: Visit, *, done: FromQuery[str] = "") -> Template:
    """Show every open alert, those lately over, and what cannot be delivered."""
    return _page(console, request, "alerts.html", done=done == "taken")


@get("/parts/alerts", sync_to_thread=True)
def alerts_part(console: NamedDependency[Console], request: Visit) -> Template:
    """Return the list itself, for a live page."""
    return _page(console, request, "parts/alerts.html")


@post("/alerts/{alert_id:str}/acknowledge", opt=ON_RECORD, sync_to_thread=True, status_code=200)
def acknowledge_alert(console: NamedDependency[Console], request: Visit, alert_id: FromPath[str]) -> Response[Any]:
    """Take an alert, or say why it cannot be taken."""
    session = require(request, Permission.ACKNOWLEDGE_ALERT)
    result = desk_of(console).acknowledge(alert_id, session.name)
    if isinstance(result, NotAcknowledged):
        return _page(console, request, "alerts.html", problem=result.why, status_code=409)
    return Redirect("/alerts?done=taken", status_code=303)


@get(PATH, opt=_LINKED)
async def link_page(
    console: NamedDependency[Console],
    credentials: NamedDependency[Credentials],
    request: Visit,
    *,
    token: FromQuery[str],
) -> Template:
    """Show the alerts of a link and a button; nothing is acknowledged, for mail scanners follow links too."""
    await credentials.count_stranger(request)
    try:
        linked, views = await sync_to_thread(desk_of(console).linked, token)
    except LinkError as error:
        return _link_page(console, request, problem=str(error), status_code=410)
    _note(request, linked)
    return _link_page(console, request, linked=linked, views=views, token=token)


@post(PATH, opt=_LINKED, status_code=200)
async def use_link(
    console: NamedDependency[Console], credentials: NamedDependency[Credentials], request: Visit, data: FormData
) -> Template:
    """Take the alerts of a link in the name of its person; it serves once."""
    await credentials.count_stranger(request)
    try:
        linked, answered = await sync_to_thread(desk_of(console).acknowledge_linked, str(data.get("token", "")))
    except LinkError as error:
        return _link_page(console, request, problem=str(error), status_code=410)
    _note(request, linked)
    return _link_page(console, request, linked=linked, answered=answered)


def desk_of(console: Console) -> Desk:
    """Return the alerts of the site, or answer 404 where none are configured."""
    if console.alerts is None:
        raise NotFoundException("Alerts are not configured at this site")
    return console.alerts


def _note(request: Visit, linked: Linked) -> None:
    note_subject(request.scope, {"message": linked.note, "person": linked.person})


def _page(
    console: Console, visit: Visit, template: str, *, status_code: int = 200, done: bool = False, problem: str = ""
) -> Template:
    desk = desk_of(console)
    return page(
        console,
        visit,
        template,
        status_code=status_code,
        words=alert_words,
        open_alerts=desk.open(),
        resolved=desk.resolved(),
        troubles=desk.troubles(),
        unreached=desk.unreached(),
        failing=desk.failing,
        may_take=visit.user is not None and may(visit.user.role, Permission.ACKNOWLEDGE_ALERT),
        done=done,
        problem=problem,
    )


def _link_page(console: Console, visit: Visit, *, status_code: int = 200, **shown: Any) -> Template:
    known = {"linked": None, "views": (), "token": "", "problem": "", "answered": None}
    return page(console, visit, "alert_link.html", status_code=status_code, words=alert_words, **(known | shown))


alert_handlers = (alerts_page, alerts_part, acknowledge_alert, link_page, use_link)
