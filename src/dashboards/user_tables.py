"""The SQLite file in which accounts, sessions, tokens and secrets live, apart from the site's log."""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS account (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1, created_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (
    token_hash BLOB PRIMARY KEY, account_key TEXT, name TEXT NOT NULL, role TEXT NOT NULL,
    started_at REAL NOT NULL, expires_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS failed_sign_in (
    key TEXT PRIMARY KEY, failures INTEGER NOT NULL, last_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS token (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, token_hash BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, revoked_at REAL, last_used_at REAL
) STRICT;
CREATE TABLE IF NOT EXISTS answer (
    caller TEXT NOT NULL, key_hash BLOB NOT NULL, asked_hash BLOB NOT NULL, begun_at REAL NOT NULL,
    status INTEGER, media_type TEXT, body BLOB, PRIMARY KEY (caller, key_hash)
) STRICT;
CREATE TABLE IF NOT EXISTS last_sign_in (account_key TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS secret (purpose TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class UserTables:
    """One connection, one lock; each `rows` or `change` is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside a write transaction; any failure, that of the commit included, rolls it back."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself has rolled back where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def secret(self, purpose: str) -> str:
        """Return the random secret for `purpose`, made at first use and kept."""
        with self.transaction() as connection:
            made = secrets.token_hex(32)
            connection.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (purpose, made))
            (value,) = connection.execute("SELECT value FROM secret WHERE purpose = ?", (purpose,)).fetchone()
        return str(value)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def utc_now() -> datetime:
    """Return the time now; the clock that stores and pages use unless a test brings its own."""
    return datetime.now(UTC)
