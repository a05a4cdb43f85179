"""The way in of a screen on the wall, where the site does not show its status to everybody: a token, no person."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect

from dashboards.access.credentials import address_of
from dashboards.access.lockout import LockedOutError
from dashboards.access.scopes import Scope
from dashboards.access.tokens import TokenError
from dashboards.auth import PUBLIC, SCREEN_COOKIE, Visit
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console

KEPT_S: Final = 366 * 24 * 3600
"""The token ends sooner; a screen need not be opened anew before."""

NOT_RIGHT: Final = "This token does not open the wall: it needs the scope gates:read and must not have ended"

OPENS_MORE: Final = "This token opens more than the wall: have one made with the scope gates:read alone"
"""A screen that anybody can walk up to must not hold it."""


@get("/wall/open", opt=PUBLIC, sync_to_thread=True)
def open_wall_page(console: NamedDependency[Console], request: Visit) -> Response[Any]:
    """Ask for the token; a link that ends in ``#`` and the token fills it in, and no server sees it in an address."""
    return page(console, request, "open_wall.html", typed=Typed({}, console.time))


@post("/wall/open", opt=PUBLIC, sync_to_thread=True, status_code=200)
def open_wall(console: NamedDependency[Console], request: Visit, data: FormData) -> Response[Any]:
    """Let this browser show the wall for as long as the token counts."""
    typed = Typed(data, console.time)
    token = typed.text("token", "Give the token")
    status = 422
    scopes = _scopes(console, token)
    if not typed.errors and Scope.GATES_READ in scopes:
        if scopes != {Scope.GATES_READ}:
            typed.errors["token"] = OPENS_MORE
    elif not typed.errors:
        typed.errors["token"], status = NOT_RIGHT, 401
        try:
            console.users.lockout.count(f"address {address_of(request)}")
        except LockedOutError as error:
            typed.errors["token"], status = str(error), 429
    if typed.errors:
        typed.values.pop("token", None)
        return page(console, request, "open_wall.html", typed=typed, status_code=status)
    answer = Redirect("/wall", status_code=303)
    secure = console.settings.secure_cookies
    answer.set_cookie(
        Cookie(key=SCREEN_COOKIE, value=token, max_age=KEPT_S, httponly=True, samesite="strict", secure=secure)
    )
    return answer


def _scopes(console: Console, token: str) -> frozenset[Scope]:
    try:
        return console.users.tokens.find(token).scopes
    except TokenError:
        return frozenset()


screen_handlers = (open_wall_page, open_wall)
