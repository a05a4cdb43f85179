"""Who uses the API, by which credential, and how much of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from dashboards.access.scopes import ROLE_OF_PROGRAMS, Scope, scopes_of_role
from dashboards.access.tokens import Token
from dashboards.sessions import Session
from streams.roles import Role


class Way(StrEnum):
    """By what somebody is known."""

    SESSION = "session"
    PASSWORD = "password"  # noqa: S105 - the name of a way in
    TOKEN = "token"  # noqa: S105 - likewise
    OPENID = "openid"


class Caller(msgspec.Struct, frozen=True):
    """A person in a role, or a program with a token; `scopes` is what both may use."""

    name: str
    role: Role
    way: Way
    scopes: frozenset[Scope]

    @property
    def key(self) -> str:
        """What tells one caller from every other."""
        return f"{self.way.value}:{self.name.casefold()}"

    def session(self, until: datetime) -> Session:
        """Return the caller as handlers know people."""
        return Session(self.name, self.role, until, demo=False)


def caller_from_session(session: Session, way: Way) -> Caller:
    """Return the caller that a signed-in person is."""
    return Caller(session.name, session.role, way, scopes_of_role(session.role))


def caller_from_token(token: Token) -> Caller:
    """Return the program that a token was made for."""
    return Caller(token.name, ROLE_OF_PROGRAMS, Way.TOKEN, token.scopes)


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    """Return who calls a route of the API; None for a visitor without credential."""
    auth = connection.scope.get("auth")
    return auth if isinstance(auth, Caller) else None
