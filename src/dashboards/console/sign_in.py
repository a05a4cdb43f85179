"""Signing in and out; in a demonstration also by choosing a role, on this machine only."""

from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.response import Redirect

from dashboards.access.lockout import LockedOutError
from dashboards.access.needs import SIGN_IN_ON_RECORD
from dashboards.audit.middleware import note_person
from dashboards.auth import PUBLIC, SESSION_COOKIE, Visit, require_loopback, session_cookie, signed_in
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.console.wording import DEMO_ROLES
from dashboards.context import Console
from dashboards.passwords import HashingBusyError
from dashboards.users import WrongCredentialsError


@get("/sign-in", opt=PUBLIC, sync_to_thread=True)
def sign_in_page(console: NamedDependency[Console], request: Visit) -> Response[Any]:
    """Show the sign-in form, and in a demonstration the roles."""
    return _sign_in_form(console, request, request.query_params.get("next", "/"))


@post("/sign-in", opt=PUBLIC | SIGN_IN_ON_RECORD, sync_to_thread=True, status_code=200)
def sign_in(console: NamedDependency[Console], request: Visit, data: FormData) -> Response[Any]:
    """Begin a session, or say what was wrong without saying which."""
    name, password, there = str(data.get("name", "")), str(data.get("password", "")), str(data.get("next", "/"))
    lasts = timedelta(hours=console.settings.session_hours)
    try:
        token = console.users.sign_in(name[:200], password[:1000], lasts)
    except WrongCredentialsError as error:
        note_person(request.scope, console.users.known(name[:200]))
        return _sign_in_form(console, request, there, name=name, problem=f"{error}.", status_code=401)
    except LockedOutError as error:
        problem = f"Too many wrong passwords for this name. Try again after {console.time.clock_s(error.until)}."
        return _sign_in_form(console, request, there, name=name, problem=problem, status_code=429)
    except HashingBusyError as error:
        return _sign_in_form(console, request, there, name=name, problem=f"{error}.", status_code=503)
    note_person(request.scope, console.users.known(name[:200]))
    return _enter(console, request, token, there)


@post("/demo/sign-in", opt=PUBLIC, sync_to_thread=True, status_code=200)
def demo_sign_in(console: NamedDependency[Console], request: Visit, data: FormData) -> Response[Any]:
    """Begin a demonstration's session in the chosen role."""
    require_loopback(request)
    role = next((role for role in DEMO_ROLES if role == data.get("role")), None)
    if role is None:
        raise ValidationException("Choose one of the roles")
    lasts = timedelta(hours=console.settings.session_hours)
    token = console.users.sessions.start(f"Demo {role.value}", role, lasts)
    return _enter(console, request, token, str(data.get("next", "/")))


@post("/sign-out", opt=SIGN_IN_ON_RECORD, sync_to_thread=True, status_code=200)
def sign_out(console: NamedDependency[Console], request: Visit) -> Response[Any]:
    """End the session."""
    signed_in(request)
    console.users.sessions.end(str(request.auth))
    answer = Redirect("/", status_code=303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def _enter(console: Console, request: Visit, token: str, there: str) -> Response[Any]:
    if request.auth:
        console.users.sessions.end(str(request.auth))
    answer = Redirect(_local(there), status_code=303)
    answer.set_cookie(session_cookie(console, token))
    return answer


def _local(there: str) -> str:
    """Return `there` if it is a path of ours, else the start page: a link must not lead elsewhere after sign-in."""
    plain = there.startswith("/") and not there.startswith("//") and "\\" not in there and there.isprintable()
    return there if plain else "/"


def _sign_in_form(
    console: Console, visit: Visit, there: str, *, name: str = "", problem: str = "", status_code: int = 200
) -> Response[Any]:
    return page(
        console,
        visit,
        "sign_in.html",
        status_code=status_code,
        there=_local(there),
        name=name,
        problem=problem,
        choose_role=console.demo is not None,
    )


sign_in_handlers = (sign_in_page, sign_in, sign_out)
