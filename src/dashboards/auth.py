"""Who asks: the session or the API's credential, that nothing is served without unless it says so, permissions."""

import ipaddress
from typing import Any, Final

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, State
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from dashboards.access.caller import Caller
from dashboards.access.credentials import Credentials, require_scope
from dashboards.access.needs import is_api, method_of, needs_of
from dashboards.access.scopes import Scope as Part
from dashboards.access.tokens import TokenError
from dashboards.context import Console
from dashboards.sessions import Session
from streams.roles import Permission

SESSION_COOKIE: Final = "bonewatch_session"

SCREEN_COOKIE: Final = "bonewatch_screen"
"""Holds the token with which a screen on the wall shows the status where the site does not show it to everybody."""

PUBLIC: Final = {"public": "always"}
"""Option of a route that needs no sign-in."""

PUBLIC_STATUS: Final = {"public": "status"}
"""Option of a route that needs no sign-in where the site's policy shows its status to everybody."""


Visit = Request[Session | None, Any, State]
"""A request whose `user` is the session, or None."""


class SessionMiddleware(ASGIMiddleware):
    """Finds the session that the cookie names, or who calls a route of the API.

    A demonstration's session counts in a demonstration only.
    """

    def __init__(self, console: Console, credentials: Credentials) -> None:
        self._console = console
        self._credentials = credentials

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Put who asks, or None, into the request."""
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        session = await session_of(connection, self._console)
        needs = needs_of(scope)
        if needs is not None:
            caller = await self._credentials.caller(connection, session, needs)
            scope["user"] = caller.session(self._console.clock()) if caller else None
            scope["auth"] = caller
            await next_app(scope, receive, send)
            return
        scope["user"] = session
        scope["auth"] = connection.cookies.get(SESSION_COOKIE) if session else None
        if (
            session is None
            and not self._console.settings.public_status
            and (token := connection.cookies.get(SCREEN_COOKIE))
        ):
            scope["state"]["is_screen"] = await sync_to_thread(opens_status, self._console, token)
        await next_app(scope, receive, send)


async def session_of(connection: ASGIConnection[Any, Any, Any, Any], console: Console) -> Session | None:
    """Return the session that a connection's cookie names, or None."""
    token = connection.cookies.get(SESSION_COOKIE)
    session = await sync_to_thread(console.users.sessions.find, token) if token else None
    if session is not None and session.demo and console.demo is None:
        return None
    return session


def opens_status(console: Console, token: str) -> bool:
    """Whether a token lets a screen show the status: it counts now, and has the scope for gates."""
    try:
        return Part.GATES_READ in console.users.tokens.find(token).scopes
    except TokenError:
        return False


def require_sign_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a visitor who is not signed in, or who may not use that part of the API, unless the route is public."""
    caller, needs = connection.scope.get("auth"), needs_of(connection.scope)
    if needs is not None:
        if isinstance(caller, Caller):
            require_scope(caller, needs)
        return  # without a caller only what the site shows to everybody came so far
    public = handler.opt.get("public")
    if public != "always" and is_api(connection.scope["path"]) and method_of(connection.scope) != "OPTIONS":
        raise PermissionDeniedException("This does not say who may use it, so nobody may")
    if public == "always" or connection.scope.get("user") is not None:
        return
    console: Console = connection.app.state.console
    if public == "status" and (console.settings.public_status or connection.scope["state"].get("is_screen")):
        return
    raise NotAuthorizedException("Sign in first")


def signed_in(visit: Visit) -> Session:
    """Return the session of a visit that the guard has let through."""
    if visit.user is None:
        raise NotAuthorizedException("Sign in first")
    return visit.user


def require(visit: Visit, permission: Permission) -> Session:
    """Return the session if its role permits it, or answer 403."""
    session = signed_in(visit)
    if not session.may(permission):
        raise PermissionDeniedException(f"The role {session.role.value} may not do this")
    return session


def require_loopback(visit: Visit) -> None:
    """Refuse whoever is not on this machine, by the socket's own address and the name asked for, not by a proxy's word.

    The host name is checked too: another site's page must not reach a demonstration under a name of its own.
    """
    client = visit.client.host if visit.client else ""
    host = visit.base_url.hostname or ""
    if not (_is_loopback(client) and (host == "localhost" or _is_loopback(host))):
        raise PermissionDeniedException("A role can be chosen on this machine only")


def session_cookie(console: Console, token: str) -> Cookie:
    """Return the cookie that carries a session's token."""
    return Cookie(
        key=SESSION_COOKIE,
        value=token,
        max_age=int(console.settings.session_hours * 3600),
        httponly=True,
        samesite="strict",
        secure=console.settings.secure_cookies,
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
