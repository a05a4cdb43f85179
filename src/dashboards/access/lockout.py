"""Repeated failures lock a name or an address out for a while; the count survives a restart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from dashboards.user_tables import UserTables

FAILURES_ALLOWED: Final = 5
"""Failures in a row before whoever failed is locked out; local policy."""

LOCKED_FOR: Final = timedelta(minutes=15)
"""How long it lasts after the last failure; local policy."""


class SignInError(Exception):
    """Base of why a sign-in is refused."""


class LockedOutError(SignInError):
    """Too many failures; try again at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until

    def __str__(self) -> str:
        return f"Too many wrong passwords or tokens; locked until {self.until:%H:%M} UTC"


class Lockout:
    """Counts failures in the file of the accounts, by a digest of who failed.

    A digest, for some people type their password where a name is asked for.
    """

    def __init__(self, tables: UserTables, clock: Callable[[], datetime]) -> None:
        self._tables = tables
        self._clock = clock

    def refuse_locked(self, who: str) -> None:
        """Raise LockedOutError for somebody who is locked out."""
        rows = self._tables.rows("SELECT failures, last_at FROM failed_sign_in WHERE key = ?", _hidden(who))
        self._judge(rows[0] if rows else None)

    def count(self, who: str) -> None:
        """Count a failure, or raise LockedOutError, in one transaction."""
        now = self._clock()
        with self._tables.transaction() as connection:
            forgotten = (now - LOCKED_FOR).timestamp()
            connection.execute("DELETE FROM failed_sign_in WHERE last_at <= ?", (forgotten,))
            query = "SELECT failures, last_at FROM failed_sign_in WHERE key = ?"
            self._judge(connection.execute(query, (_hidden(who),)).fetchone())
            connection.execute(
                "INSERT INTO failed_sign_in VALUES (?, 1, ?)"
                " ON CONFLICT (key) DO UPDATE SET failures = failures + 1, last_at = excluded.last_at",
                (_hidden(who), now.timestamp()),
            )

    def forget(self, who: str) -> None:
        """Forget somebody's failures."""
        with self._tables.transaction() as connection:
            connection.execute("DELETE FROM failed_sign_in WHERE key = ?", (_hidden(who),))

    def _judge(self, row: tuple[object, ...] | None) -> None:
        if row is not None and int(str(row[0])) >= FAILURES_ALLOWED:
            until = datetime.fromtimestamp(float(str(row[1])), UTC) + LOCKED_FOR
            if self._clock() < until:
                raise LockedOutError(until)


def _hidden(who: str) -> str:
    return sha256(who.encode()).hexdigest()
