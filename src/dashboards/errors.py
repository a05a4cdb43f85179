"""What goes wrong, told to a program as problem+json and to a person as a page."""

import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response import Redirect, Template

from dashboards.access.needs import PROBLEM, Problem, is_api
from dashboards.fhir.outcome import is_fhir, outcome
from dashboards.security import CSRF_COOKIE

_log = structlog.get_logger("dashboards")

_TITLES = {
    400: "This cannot be read",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "It has changed meanwhile",
    413: "Too long",
    429: "Too often",
    500: "Something went wrong",
    503: "Not now",
}
"""In plain words; HTTP's own for what is not here."""

_UNSAID = {
    404: "There is no such page.",
    405: "This address does something else.",
    413: "What was sent is too long.",
}

_OUTDATED = "This form is out of date. Nothing was recorded. Go back, load the page anew and send it again."

_ADVICE = {
    403: "If you think you should be allowed to, ask your administrator.",
    404: "The address may be mistyped, or the device is no longer configured.",
    413: "Nothing was recorded. Write less; a file may have at most 10 MB: make it smaller, or split it.",
    503: "Nothing was recorded. Try again in a moment.",
}


_NOT_RIGHT = "Some parameters or fields are missing or not right"


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an exception in the way the caller understands; what we did not expect is logged, not told."""
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, error.headers
    else:
        _log.error("request failed", route=request.scope.get("path_template", ""), traceback=_traceback(error))
        status, detail, headers = 500, "Something went wrong here; it is in the log", None
    if is_api(request.url.path):
        errors = _errors(error)
        words = _NOT_RIGHT if status == 400 and errors else detail
        return told(request.url.path, status, words, errors=errors, headers=headers)
    if isinstance(error, NotAuthorizedException):
        return _to_sign_in(request, "/wall/open" if request.url.path == "/wall" else "/sign-in")
    return _page(request, status, detail)


def refusal(status: int, detail: str, errors: Mapping[str, str] | None = None) -> HTTPException:
    """Return what to raise for a refusal; `errors` says what is wrong with which field."""
    return HTTPException(detail=detail, status_code=status, extra=dict(errors or {}))


def _errors(error: Exception) -> dict[str, str]:
    """Return what is wrong with which field: as a handler says it, or as Litestar does of what it could not read."""
    extra = error.extra if isinstance(error, HTTPException) else None
    if isinstance(extra, list):
        return {str(one.get("key", "body")): str(one.get("message", "")) for one in extra if isinstance(one, dict)}
    return {str(name): str(words) for name, words in (extra or {}).items()}


def _traceback(error: Exception) -> str:
    """Return where it happened without the message or any value: those could hold what somebody typed."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__name__}"


def answer_failure(request: Request[Any, Any, Any], status: int, detail: str) -> Response[Any]:
    """Tell a program or a person what went wrong, in the way that is spoken at the address."""
    path = request.url.path
    return told(path, status, detail) if is_api(path) else _page(request, status, detail)


def told(
    path: str,
    status: int,
    detail: str,
    *,
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """Tell a program what went wrong, in the way that is spoken at the path."""
    tell = outcome if is_fhir(path) else problem
    return tell(status, detail, errors=errors, headers=headers)


def problem(
    status: int, detail: str, *, errors: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Response[Problem]:
    """Return problem details (RFC 9457); `errors` says what is wrong with which field."""
    told = Problem("about:blank", HTTPStatus(status).phrase, status, detail, dict(errors or {}))
    return Response(told, status_code=status, media_type=PROBLEM, headers=dict(headers or {}))


def _to_sign_in(request: Request[Any, Any, Any], entrance: str) -> Response[Any]:
    there = quote(request.url.path if request.method == "GET" else "/", safe="/")
    if request.headers.get("hx-request"):
        return Response(b"", status_code=401, headers={"HX-Redirect": "/sign-in"})
    if request.method == "GET":
        return Redirect(entrance if entrance != "/sign-in" else f"/sign-in?next={there}")
    return _page(request, 401, "You are not signed in, or your sign-in has ended. Nothing was recorded.")


def _plain(status: int, detail: str) -> str:
    """Return what is told to a person: neither the framework's own words nor the address over again."""
    if detail.startswith("Validation failed"):
        return "Something in the address is missing or not right."
    if detail == HTTPStatus(status).phrase:
        return _UNSAID.get(status, "")
    return detail if detail.endswith(".") else f"{detail}."


def _page(request: Request[Any, Any, Any], status: int, detail: str) -> Response[Any]:
    console = request.app.state.console
    is_outdated = status == 403 and "CSRF" in detail
    context = {
        "console": console,
        "t": console.time,
        "visitor": request.scope.get("user"),
        "status": status,
        "title": "Not recorded" if is_outdated else _TITLES.get(status, HTTPStatus(status).phrase),
        "detail": _OUTDATED if is_outdated else _plain(status, detail),
        "advice": "" if is_outdated else _ADVICE.get(status, ""),
    }
    page = Template("error.html", context=context, status_code=status)
    if is_outdated:
        page.delete_cookie(CSRF_COOKIE)
    return page
