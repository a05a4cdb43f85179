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
from dashboards.errors import told

ASKED_BY_POST = "asked_by_post"
"""Where a route that is asked by a POST puts the names of its parameters."""

_log = structlog.get_logger("dashboards.audit")


_SUBJECT: Final = "use_subject"


def note_subject(scope: Scope, subject: Mapping[str, str]) -> None:
    """Say what of the site was found by what stood in a request's body: it goes on record with the use."""
    scope["state"][_SUBJECT] = dict(subject)


class AuditMiddleware(ASGIMiddleware):
    """Records every read of a patient-linked route or page and every write through the API, by whoever is known.

    A read that cannot be put on record is not answered; a write that was done is, for it stands in the site's log.
    """

    def __init__(self, console: Console, trail: AuditTrail) -> None:
        self._console = console
        self._trail = trail

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Record the use as soon as its status is known."""
        needs = needs_of(scope)
        is_write = needs is not None and writes(scope)
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
                answer = told(scope["path"], 503, words)
                request: Request[Any, Any, Any] = Request(scope)
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
        try:
            await asyncio.wrap_future(self._trail.append(self._entry(scope, status)))
        except AuditError as error:
            _log.error("use_not_recorded", route=scope["path_template"], error=str(error))
            return False
        return True

    def _entry(self, scope: Scope, status: int) -> AuditEntry:
        request: Request[Any, Any, Any] = Request(scope)
        caller, visitor = caller_of(request), scope.get("user")
        was_found = status < 400
        return AuditEntry(
            at=self._console.clock(),
            who=caller.name if caller else getattr(visitor, "name", ""),
            way=caller.way.value if caller else Way.SESSION.value if visitor is not None else "",
            address=address_of(request),
            method=method_of(scope),
            route=scope["path_template"],
            status=status,
            subject=_subject(scope) if was_found else {},
            query=tuple(sorted(_parameters(scope) & {*request.query_params, *request.state.get(ASKED_BY_POST, ())})),
            shown=shown_by(scope) if was_found else (),
        )


def _is_on_record(scope: Scope) -> bool:
    """Whether it is a page that goes on record: of somebody who is signed in, or of anybody where it says so."""
    handler: object = scope.get("route_handler")
    said = handler.opt.get("on_record") if isinstance(handler, BaseRouteHandler) else None
    return said == "always" or (bool(said) and scope.get("user") is not None)


def _subject(scope: Scope) -> dict[str, str]:
    noted: dict[str, str] = scope["state"].get(_SUBJECT, {})
    return {name: str(value) for name, value in scope["path_params"].items()} | noted


def _parameters(scope: Scope) -> set[str]:
    """Return the names that a route knows: what else a caller writes there is not ours to keep."""
    handler = scope["route_handler"]
    return set(handler.parsed_fn_signature.parameters) | set(handler.opt.get("parameters", ()))
