"""Sign-in sessions: a random token in the browser, its hash here, an end that nothing extends."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from dashboards.user_tables import UserTables
from streams.messages import Person
from streams.roles import Permission, Role, may


class Session(msgspec.Struct, frozen=True):
    """Who is signed in, in which role, until when; `demo` if the role was merely chosen in a demonstration."""

    name: str
    role: Role
    expires_at: datetime
    demo: bool

    @property
    def person(self) -> Person:
        """The person as commands name them."""
        return Person(name=self.name, role=self.role.value)

    def may(self, permission: Permission) -> bool:
        """Whether this person's role permits it."""
        return may(self.role, permission)


class SessionStore:
    """Sessions in the file of the accounts."""

    def __init__(self, tables: UserTables, clock: Callable[[], datetime]) -> None:
        self._tables = tables
        self._clock = clock

    def start(self, name: str, role: Role, lasts: timedelta, *, account_key: str | None = None) -> str:
        """Begin a session and return its token; without an account it is a demonstration's."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        row = (_hashed(token), account_key, name, role.value, now.timestamp(), (now + lasts).timestamp())
        with self._tables.transaction() as connection:
            connection.execute("DELETE FROM session WHERE expires_at <= ?", (now.timestamp(),))
            connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", row)
        return token

    def find(self, token: str) -> Session | None:
        """Return the living session of `token`; none if expired, ended, or its account is disabled or gone."""
        rows = self._tables.rows(
            "SELECT session.name, coalesce(account.role, session.role), expires_at, account_key IS NULL"
            " FROM session LEFT JOIN account ON account.key = account_key"
            " WHERE token_hash = ? AND expires_at > ? AND (account_key IS NULL OR account.enabled)",
            _hashed(token),
            self._clock().timestamp(),
        )
        if not rows:
            return None
        name, role, expires_at, demo = rows[0]
        return Session(str(name), Role(str(role)), datetime.fromtimestamp(float(str(expires_at)), UTC), bool(demo))

    def end(self, token: str) -> None:
        """End one session, if it lives."""
        with self._tables.transaction() as connection:
            connection.execute("DELETE FROM session WHERE token_hash = ?", (_hashed(token),))


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
