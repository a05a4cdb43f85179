"""Accounts: people with a role and an argon2 password; repeated failures lock a name out for a while."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from msgspec.structs import replace

from dashboards.access.lockout import Lockout, SignInError
from dashboards.access.tokens import TokenStore
from dashboards.manner.answers import AnswerStore
from dashboards.passwords import WAITS_S, HashingTurns
from dashboards.sessions import SessionStore
from dashboards.user_tables import UserTables, utc_now
from streams.roles import Role

MIN_PASSWORD_CHARACTERS: Final = 12
"""Local policy."""


class WrongCredentialsError(SignInError):
    """Name or password is wrong, or the account is disabled; which of them is not told."""

    def __str__(self) -> str:
        return "The name or the password is not right"


class LastOfRoleError(Exception):
    """The account is the last open one of its role; nothing was changed."""

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.role = role

    def __str__(self) -> str:
        return f"This is the last open account of the role {self.role.value}"


class User(msgspec.Struct, frozen=True):
    """An account as administrators see it."""

    name: str
    role: Role
    enabled: bool
    created_at: datetime
    last_sign_in: datetime | None = None


class Account(msgspec.Struct, frozen=True):
    """An account, and what changes with its password."""

    user: User
    password_digest: str


class UserStore:
    """Accounts, sessions and tokens in one SQLite file of their own, readable by its owner alone.

    Parameters
    ----------
    path
        The file; made if absent.
    clock
        Returns the aware time now.
    hasher
        Argon2 parameters; the library's defaults follow RFC 9106.
    waits_s
        How long a sign-in waits while others' passwords are checked.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        hasher: PasswordHasher | None = None,
        waits_s: float = WAITS_S,
    ) -> None:
        self._tables = UserTables(Path(path))
        self._clock = clock
        self._hashing = HashingTurns(hasher or PasswordHasher(), waits_s=waits_s)
        self._nobodys_hash = self._hash("a password nobody has")
        self.sessions = SessionStore(self._tables, clock)
        self.tokens = TokenStore(self._tables, clock)
        self.lockout = Lockout(self._tables, clock)
        self.answers = AnswerStore(self._tables, clock)

    def add_user(self, name: str, role: Role, password: str) -> User:
        """Make an account.

        Raises
        ------
        ValueError
            The name is blank, too long or taken (letter case aside), or the password too short.
        """
        name = " ".join(name.split())
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise ValueError("a name has 1 to 80 printable characters")
        user = User(name, Role(role), enabled=True, created_at=self._clock())
        row = (_key(name), name, user.role.value, self._hash(password), user.created_at.timestamp())
        with self._tables.transaction() as connection:
            if connection.execute("SELECT 1 FROM account WHERE key = ?", row[:1]).fetchone():
                raise ValueError(f"there is an account named {name} already")
            connection.execute("INSERT INTO account VALUES (?, ?, ?, ?, 1, ?)", row)
        return user

    def verify(self, name: str, password: str) -> User:
        """Return the user if the password is right; takes as long for a name that does not exist.

        An attempt counts as failed before it is checked: however many come at once, no more than those allowed are.

        Raises
        ------
        LockedOutError
            Too many failures of late; nothing was checked.
        HashingBusyError
            Too many passwords are being checked; this one was not, and does not count.
        WrongCredentialsError
            Anything else that is not right; the failure counts.
        """
        return self._verified(name, password)[0]

    def _verified(self, name: str, password: str) -> tuple[User, str]:
        """Return the user, and the hash that the password was right for."""
        key = _key(name)
        self.lockout.refuse_locked(key)
        with self._hashing.turn() as hasher:
            self.lockout.count(key)
            rows = self._tables.rows(
                "SELECT name, role, enabled, created_at, password_hash FROM account WHERE key = ?", key
            )
            kept_hash = str(rows[0][4]) if rows else self._nobodys_hash
            if not _matches(hasher, kept_hash, password) or not rows or not rows[0][2]:
                raise WrongCredentialsError
            new_hash = hasher.hash(password) if hasher.check_needs_rehash(kept_hash) else kept_hash
        self.lockout.forget(key)
        if new_hash != kept_hash:
            with self._tables.transaction() as connection:
                renewal = (new_hash, key, kept_hash)  # not over a password that was set meanwhile
                connection.execute("UPDATE account SET password_hash = ? WHERE key = ? AND password_hash = ?", renewal)
        return _user(rows[0]), new_hash

    def sign_in(self, name: str, password: str, lasts: timedelta) -> str:
        """Verify and begin a session; return its token. Raises what `verify` raises.

        A password that was replaced while it was being checked begins none.
        """
        user, right_for = self._verified(name, password)
        with self._tables.transaction() as connection:
            connection.execute(
                "INSERT INTO last_sign_in VALUES (?, ?) ON CONFLICT (account_key) DO UPDATE SET at = excluded.at",
                (_key(user.name), self._clock().timestamp()),
            )
        token = self.sessions.start(user.name, user.role, lasts, account_key=_key(user.name))
        standing = "SELECT 1 FROM account WHERE key = ? AND password_hash = ? AND enabled"
        if not self._tables.rows(standing, _key(user.name), right_for):
            self.sessions.end(token)
            raise WrongCredentialsError
        return token

    def users(self) -> Sequence[User]:
        """Return every account by name."""
        return [
            replace(_user(row), last_sign_in=datetime.fromtimestamp(float(str(row[4])), UTC) if row[4] else None)
            for row in self._tables.rows(
                "SELECT name, role, enabled, created_at, at FROM account"
                " LEFT JOIN last_sign_in ON account_key = key ORDER BY key"
            )
        ]

    def known(self, name: str) -> str:
        """Return the name of an account, open or closed, as it was given; blank if there is none."""
        rows = self._tables.rows("SELECT name FROM account WHERE key = ?", _key(name))
        return str(rows[0][0]) if rows else ""

    def account(self, name: str) -> Account | None:
        """Return an open account as it stands; None if it is closed or gone."""
        query = "SELECT name, role, enabled, created_at, password_hash FROM account WHERE key = ? AND enabled"
        rows = self._tables.rows(query, _key(name))
        return Account(_user(rows[0]), sha256(str(rows[0][4]).encode()).hexdigest()) if rows else None

    def disable(self, name: str, *, keep: Role | None = None) -> None:
        """Close an account and end its sessions; KeyError if there is none.

        Raises
        ------
        LastOfRoleError
            It is the last open account of the role `keep`.
        """
        self._update(name, "enabled = 0", (), keep=keep)

    def set_password(self, name: str, password: str) -> None:
        """Replace a password, reopen the account and end its sessions; KeyError if there is none."""
        self._update(name, "enabled = 1, password_hash = ?", (self._hash(password),))

    def secret(self, purpose: str) -> str:
        """Return the kept random secret for `purpose`."""
        return self._tables.secret(purpose)

    def close(self) -> None:
        """Close the file."""
        self._tables.close()

    def _update(self, name: str, assignment: str, values: tuple[object, ...], *, keep: Role | None = None) -> None:
        key = _key(name)
        with self._tables.transaction() as connection:
            open_ones = connection.execute("SELECT key FROM account WHERE role = ? AND enabled", (keep,)).fetchall()
            if keep is not None and open_ones == [(key,)]:
                raise LastOfRoleError(keep)
            # the assignment is one of the two literals above
            changed = connection.execute(f"UPDATE account SET {assignment} WHERE key = ?", (*values, key))  # noqa: S608
            if not changed.rowcount:
                raise KeyError(name)
            connection.execute("DELETE FROM session WHERE account_key = ?", (key,))
        self.lockout.forget(key)

    def _hash(self, password: str) -> str:
        if len(password) < MIN_PASSWORD_CHARACTERS:
            raise ValueError(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")
        with self._hashing.turn() as hasher:
            return hasher.hash(password)


def _matches(hasher: PasswordHasher, kept_hash: str, password: str) -> bool:
    try:
        return hasher.verify(kept_hash, password)
    except VerifyMismatchError:
        return False


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()[:80]


def _user(row: tuple[object, ...]) -> User:
    name, role, enabled, created_at = row[:4]
    return User(str(name), Role(str(role)), bool(enabled), datetime.fromtimestamp(float(str(created_at)), UTC))
