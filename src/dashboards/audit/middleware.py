"""Puts uses of the API on record before they are answered."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog
from litestar import Request
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.caller import Way, caller_of
from dashboards.access.credentials import address_of
from dashboards.access.needs import method_of, needs_of, writes
from dashboards.audit.shown import shown_by
from dashboards.audit.trail import AuditEntry, AuditError, AuditTrail
from dashboards.context import Console
from dashboards.errors import answer_failure

ASKED_BY_POST = "asked_by_post"
"""Where a route that is asked by a POST puts the names of its parameters."""

_log = structlog.get_logger("dashboards.audit")


_SUBJECT: Final = "use_subject"
_PERSON: Final = "use_by"


def note_subject(scope: Scope, subject: Mapping[str, str]) -> None:
    """Say what of the site was found by what stood in a request's body: it goes on record with the use."""
    scope["state"][_SUBJECT] = dict(subject)


def note_person(scope: Scope, name: str) -> None:
    """Say whose account it was that was signed in to, or tried: it goes on record with the use."""
    scope["state"][_PERSON] = name


class AuditMiddleware(ASGIMiddleware):
    """Records every read of a patient-linked route or page and every write through the API, by whoever is known.

    A read that cannot be put on record is not answered; a write that was done is, for it stands in the site's log. So
    is signing in: a record that cannot be written must not keep anybody from the gates.
    """

    def __init__(self, console: Console, trail: AuditTrail) -> None:
        self._console = console
        self._trail = trail

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Record the use as soon as its status is known."""
        needs = needs_of(scope)
        is_write = (needs is not None and writes(scope)) or _is_sign_in(scope)
        if not (is_write or (needs is not None and needs.patient_linked) or _is_on_record(scope)):
            await next_app(scope, receive, send)
            return
        replaced = is_told = False

        async def recording(message: Message) -> None:
            nonlocal replaced, is_told
            is_told |= message["type"] == "http.response.start"
            if (
                message["type"] == "http.response.start"
                and not await self._recorded(scope, message["status"])
                and not is_write
            ):
                replaced = True
                words = "Nothing is answered: the record of use cannot be written now"
                request: Request[Any, Any, Any] = Request(scope)
                answer = answer_failure(request, 503, words)
                await answer.to_asgi_response(app=None, request=request)(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await next_app(scope, receive, recording)
        except Exception as error:
            if not is_told:  # it is answered further out
                await self._recorded(scope, error.status_code if isinstance(error, HTTPException) else 500)
            raise

    async def _recorded(self, scope: Scope, status: int) -> bool:
        if _is_sign_in(scope) and not _person(scope):
            return True  # of strangers nothing is kept: they could fill the disk
        done = self._trail.append(self._entry(scope, status))
        if _is_sign_in(scope) and status >= 400:
            return True  # not waited for: how long the answer takes must not tell which names there are
        try:
            await asyncio.wrap_future(done)
        except AuditError as error:
            _log.error("use_not_recorded", route=scope["path_template"], error=str(error))
            return False
        return True

    def _entry(self, scope: Scope, status: int) -> AuditEntry:
        request: Request[Any, Any, Any] = Request(scope)
        caller = caller_of(request)
        was_found = status < 400
        return AuditEntry(
            at=self._console.clock(),
            who=caller.name if caller else _person(scope),
            way=caller.way.value if caller else _way(scope),
            address=address_of(request),
            method=method_of(scope),
            route=scope["path_template"],
            status=status,
            subject=_subject(scope) if was_found else {},
            query=tuple(sorted(_parameters(scope) & {*request.query_params, *request.state.get(ASKED_BY_POST, ())})),
            shown=shown_by(scope) if was_found else (),
        )


def _is_sign_in(scope: Scope) -> bool:
    handler: object = scope.get("route_handler")
    return isinstance(handler, BaseRouteHandler) and handler.opt.get("on_record") == "sign_in"


def _person(scope: Scope) -> str:
    """Return who signs in, or else who is signed in; blank for a stranger."""
    return str(scope["state"].get(_PERSON, "")) or getattr(scope.get("user"), "name", "")


def _way(scope: Scope) -> str:
    if scope["state"].get(_PERSON):
        return Way.PASSWORD.value
    return Way.SESSION.value if scope.get("user") is not None else ""


def _is_on_record(scope: Scope) -> bool:
    """Whether it is a page that goes on record: of somebody who is signed in, or of anybody where it says so."""
    handler: object = scope.get("route_handler")
    said = handler.opt.get("on_record") if isinstance(handler, BaseRouteHandler) else None
    return said in {"always", "sign_in"} or (bool(said) and scope.get("user") is not None)


def _subject(scope: Scope) -> dict[str, str]:
    noted: dict[str, str] = scope["state"].get(_SUBJECT, {})
    return {name: str(value) for name, value in scope["path_params"].items()} | noted


def _parameters(scope: Scope) -> set[str]:
    """Return the names that a route knows: what else a caller writes there is not ours to keep."""
    handler = scope["route_handler"]
    return set(handler.parsed_fn_signature.parameters) | set(handler.opt.get("parameters", ()))
