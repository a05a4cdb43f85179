"""The record of use: who read what is linked to patients, who wrote, when, how, with what result.

One append-only SQLite file; each link of its chain covers what is before it. No value that a caller sent stands in it
but those that named something the site has.
"""

import math
import queue
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from streams.chain import first_link, next_link

AUDIT_FILE: Final = "audit.sqlite"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entry (
    position INTEGER PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL, link BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entry_by_time ON entry (at);
CREATE TRIGGER IF NOT EXISTS entries_are_kept BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'the record of use is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS entries_stand BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'the record of use is never changed'); END;
"""

_MOST_AT_ONCE: Final = 500


class AuditError(Exception):
    """The record of use cannot be written or read; the text says why."""


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One use.

    Parameters
    ----------
    at
        When it was answered.
    who, way, address
        The person's or token's name, by which credential, from where.
    method, route
        What was asked, as the API's document writes it, such as ``/api/v1/devices/{device_id}/gate``.
    status
        The HTTP status.
    subject
        What of the site it was about, by the names in the route: only where that was found.
    query
        The names of the parameters given, without their values.
    shown
        The measurements that a list held, by their events' ids.
    """

    at: datetime
    who: str
    way: str
    address: str
    method: str
    route: str
    status: int
    subject: dict[str, str] = {}
    query: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


class AuditTrail(Protocol):
    """Where uses are put on record."""

    def append(self, entry: AuditEntry) -> "Future[None]":
        """Put a use on record; done when it cannot be lost any more, AuditError if it could not be."""

    def between(self, since: datetime, until: datetime) -> Sequence[AuditEntry]:
        """Return the uses from one moment up to another, oldest first; AuditError if they cannot be read."""

    def verified(self) -> "Verified":
        """Follow the chain from its beginning; AuditError if it cannot be read."""


class MemoryTrail:
    """A record that ends with the process, for an application that is made without a folder."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def append(self, entry: AuditEntry) -> "Future[None]":
        """Put a use on record."""
        self.entries.append(entry)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def between(self, since: datetime, until: datetime) -> Sequence[AuditEntry]:
        """Return the uses from one moment up to another."""
        return [entry for entry in self.entries if since <= entry.at < until]

    def verified(self) -> "Verified":
        """Nothing is chained that ends with the process."""
        return Verified(len(self.entries), [], "")


class SqliteTrail:
    """The record's file, written by one thread that commits what waits together.

    Raises
    ------
    AuditError
        If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        self._path = path
        try:
            self._db = _writing(path)
        except sqlite3.Error as error:
            raise AuditError(f"{path} cannot be opened as the record of use: {error}") from error
        self._waiting: queue.SimpleQueue[tuple[AuditEntry, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def append(self, entry: AuditEntry) -> "Future[None]":
        """Put a use on record."""
        done: Future[None] = Future()
        if not self._thread.is_alive():
            done.set_exception(AuditError("the record of use is closed"))
            return done
        self._waiting.put((entry, done))
        return done

    def between(self, since: datetime, until: datetime) -> Sequence[AuditEntry]:
        """Return the uses from one moment up to another, oldest first."""
        return list(uses(self._path, since=since, until=until))

    def verified(self) -> "Verified":
        """Follow the chain from its beginning."""
        return verify(self._path)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._waiting.put(None)
        self._thread.join(10.0)
        self._db.close()

    def _write(self) -> None:
        while (first := self._waiting.get()) is not None:
            taken, ends = [first], False
            while len(taken) < _MOST_AT_ONCE and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ends = True
                    break
                taken.append(following)
            self._commit(taken)
            if ends:
                return

    def _commit(self, taken: "list[tuple[AuditEntry, Future[None]]]") -> None:
        """Write a batch, also of those who have gone meanwhile; whatever happens, the thread lives and all are told."""
        asked = [done for _, done in taken if done.set_running_or_notify_cancel()]
        try:
            self._insert([entry for entry, _ in taken])
        except Exception as error:  # noqa: BLE001 - each who waits is told, and the next batch may succeed
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            for done in asked:
                done.set_exception(AuditError(f"the record of use cannot be written: {error}"))
            return
        for done in asked:
            done.set_result(None)

    def _insert(self, entries: Sequence[AuditEntry]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        head = _head(self._db)
        for entry in entries:
            body = msgspec.json.encode(entry)
            head = next_link(head, body, ())
            self._db.execute("INSERT INTO entry (at, body, link) VALUES (?, ?, ?)", (entry.at.timestamp(), body, head))
        self._db.execute("COMMIT")


class Verified(NamedTuple):
    """What the chain says: how many uses, those whose link is wrong, and its head."""

    entries: int
    faults: list[str]
    head: str


def uses(path: Path, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditEntry]:
    """Yield what is on record, oldest first; beside a running site or without one."""
    with _reading(path) as db:
        rows = db.execute(
            "SELECT body FROM entry WHERE at >= ? AND at < ? ORDER BY position",
            (since.timestamp() if since else 0, until.timestamp() if until else math.inf),
        )
        for (body,) in rows:
            yield msgspec.json.decode(body, type=AuditEntry)


def verify(path: Path) -> Verified:
    """Follow the chain from its beginning; a use that was changed or taken away shows.

    The end of the record can be cut off without a trace in it: compare the head with one that was noted elsewhere.
    """
    with _reading(path) as db:
        link, faults, place = _first(db), [], 0
        for place, (position, body, kept) in enumerate(
            db.execute("SELECT position, body, link FROM entry ORDER BY position"), start=1
        ):
            link = next_link(link, body, ())
            if position != place or link != kept:
                faults.append(f"entry {position}: it, or one before it, is not what was written")
                break
        return Verified(place, faults, link.hex())


def _head(db: sqlite3.Connection) -> bytes:
    row = db.execute("SELECT link FROM entry ORDER BY position DESC LIMIT 1").fetchone()
    return bytes(row[0]) if row else _first(db)


def _first(db: sqlite3.Connection) -> bytes:
    (trail_id,) = db.execute("SELECT value FROM meta WHERE key = 'trail_id'").fetchone()
    return first_link(trail_id)


def _writing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_SCHEMA)
        db.execute("INSERT OR IGNORE INTO meta VALUES ('trail_id', ?)", (uuid.uuid4().hex,))
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise AuditError(f"{path} is not there: this site has not run yet, or keeps its data elsewhere")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            yield db
    except sqlite3.Error as error:
        raise AuditError(f"{path} cannot be read as the record of use: {error}") from error
