"""Service tokens: what a program signs in with. Shown once, kept as a hash, with scopes and an end.

A token is 256 random bits, so that a plain SHA-256 of it can neither be reversed nor guessed: the slow hash that a
password needs would only cost time at every request.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec
import structlog

from dashboards.access.lockout import SignInError
from dashboards.access.scopes import Scope, known_scopes
from dashboards.user_tables import UserTables

PREFIX: Final = "bwt_"
"""What every token begins with, so that people and scanners for leaked secrets know one when they see it."""

DEFAULT_DAYS: Final = 365
"""Local policy."""

LONGEST_DAYS: Final = 3660

_USED_EVERY: Final = timedelta(minutes=1)
"""How exactly the last use is kept: each time would be a write to the disk for every request."""

_COLUMNS: Final = "name, scopes, created_at, expires_at, revoked_at, last_used_at"


_log: Final = structlog.get_logger("dashboards.access")


class TokenError(SignInError):
    """A token that does not count; `counts` says whether it may have been a guess."""

    counts = False


class UnknownTokenError(TokenError):
    """Nobody was given this token."""

    counts = True

    def __str__(self) -> str:
        return "The token is not right"


class ExpiredTokenError(TokenError):
    """Its time is over."""

    def __str__(self) -> str:
        return "The token has expired: have a new one made"


class RevokedTokenError(TokenError):
    """It was taken back."""

    def __str__(self) -> str:
        return "The token was revoked"


class Token(msgspec.Struct, frozen=True):
    """A token as administrators see it."""

    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return ``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if now < self.expires_at else "expired"


class TokenStore:
    """Tokens in the file of the accounts; another process that revokes one is heeded at the next request."""

    def __init__(self, tables: UserTables, clock: Callable[[], datetime]) -> None:
        self._tables = tables
        self._clock = clock

    def create(self, name: str, scopes: Iterable[Scope], lasts: timedelta) -> str:
        """Make a token and return it: it cannot be shown again.

        Raises
        ------
        ValueError
            The name is blank, too long or was used before (letter case aside), there is no scope, or it lasts for
            nothing or for more than ten years.
        """
        name, wanted = " ".join(name.split()), sorted(set(scopes))
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise ValueError("a token's name has 1 to 80 printable characters")
        if not wanted:
            raise ValueError("a token needs at least one scope")
        if not timedelta(0) < lasts <= timedelta(days=LONGEST_DAYS):
            raise ValueError(f"a token lasts for 1 to {LONGEST_DAYS} days")
        token, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        row = (name.casefold(), name, _hashed(token), " ".join(wanted), now.timestamp(), (now + lasts).timestamp())
        with self._tables.transaction() as connection:
            if connection.execute("SELECT 1 FROM token WHERE key = ?", row[:1]).fetchone():
                raise ValueError(f"there is a token named {name} already; a name in the record means one token")
            connection.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", row)
        return token

    def find(self, token: str) -> Token:
        """Return what a token stands for, and note that it was used; raises TokenError."""
        rows = self._tables.rows(f"SELECT {_COLUMNS} FROM token WHERE token_hash = ?", _hashed(token))  # noqa: S608 - ours
        if not rows:
            raise UnknownTokenError
        found, now = _token(rows[0]), self._clock()
        if found.revoked_at is not None:
            raise RevokedTokenError
        if now >= found.expires_at:
            raise ExpiredTokenError
        if found.last_used_at is None or now - found.last_used_at >= _USED_EVERY:
            used = (now.timestamp(), found.name.casefold())
            try:
                with self._tables.transaction() as connection:
                    connection.execute("UPDATE token SET last_used_at = ? WHERE key = ?", used)
            except sqlite3.Error as error:  # a full disk takes no right from anybody
                _log.warning("use_of_token_not_noted", error=type(error).__name__)
        return found

    def tokens(self) -> Sequence[Token]:
        """Return every token by name."""
        return [_token(row) for row in self._tables.rows(f"SELECT {_COLUMNS} FROM token ORDER BY key")]  # noqa: S608

    def revoke(self, name: str) -> None:
        """Take a token back for good; KeyError if there is none of the name."""
        key = " ".join(name.split()).casefold()
        with self._tables.transaction() as connection:
            values = (self._clock().timestamp(), key)
            query = "UPDATE token SET revoked_at = coalesce(revoked_at, ?) WHERE key = ?"
            if not connection.execute(query, values).rowcount:
                raise KeyError(name)


def _hashed(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _token(row: tuple[object, ...]) -> Token:
    name, scopes, *times = row
    created_at, expires_at, revoked_at, last_used_at = times
    return Token(
        str(name),
        known_scopes(str(scopes).split()),
        _moment(created_at),
        _moment(expires_at),
        None if revoked_at is None else _moment(revoked_at),
        None if last_used_at is None else _moment(last_used_at),
    )


def _moment(kept: object) -> datetime:
    return datetime.fromtimestamp(float(str(kept)), UTC)
