"""The site's durable log in SQLite: events, outcomes and device states, committed together.

One process writes, from one thread. WAL with ``synchronous=FULL``: what is committed is on the disk.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from streams import codec
from streams.chain import first_link, next_link
from streams.fold import FOLD_VERSION
from streams.fold.state import DeviceState, blob_from_state
from streams.messages import Event, RecordedOutcome, type_name

SCHEMA_VERSION: Final = "1"

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    device_seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    fact BLOB NOT NULL,
    body BLOB NOT NULL,
    link BLOB NOT NULL,
    UNIQUE (device, device_seq)
) STRICT;
CREATE INDEX events_by_type ON events (device, type, position);
CREATE TABLE outcomes (
    position INTEGER PRIMARY KEY,
    outcome_id TEXT NOT NULL UNIQUE,
    event_position INTEGER NOT NULL REFERENCES events (position),
    device TEXT NOT NULL,
    type TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX outcomes_by_event ON outcomes (event_position);
CREATE INDEX outcomes_by_device ON outcomes (device, type, position);
CREATE TABLE states (
    device TEXT PRIMARY KEY,
    device_seq INTEGER NOT NULL,
    fold_version INTEGER NOT NULL,
    blob BLOB NOT NULL
) STRICT;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER events_stand BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER outcomes_are_kept BEFORE DELETE ON outcomes
BEGIN SELECT RAISE(ABORT, 'outcomes are never deleted'); END;
CREATE TRIGGER outcomes_stand BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'outcomes are never changed'); END;
"""


class LogError(Exception):
    """The log cannot be used as it is; the text says why and what to do."""


class Row(NamedTuple):
    """One event as it stands in the log, with its outcomes, all as bytes."""

    position: int
    event_id: str
    device: str
    device_seq: int
    body: bytes
    link: bytes
    outcomes: tuple[bytes, ...]
    type: str = ""
    recorded_at: str = ""


class StoredState(NamedTuple):
    """A device's state as last committed."""

    device: str
    device_seq: int
    fold_version: int
    blob: bytes


class SqliteEventLog:
    """The log's file.

    Parameters
    ----------
    path
        The SQLite file; made, with a new `log_id`, where there is none.
    read_only
        Open for reading beside a running site.

    Raises
    ------
    LogError
        If the file is no log of this version, or cannot be opened.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        try:
            self._db = _connect(path, read_only=read_only)
            if not read_only:
                self._create()
            version, self.log_id = self._meta("schema_version"), self._meta("log_id")
        except sqlite3.Error as error:
            raise LogError(f"{path} cannot be opened as a site log: {error}") from error
        if version != SCHEMA_VERSION:
            raise LogError(f"{path} is a log of version {version}; this program reads version {SCHEMA_VERSION}")
        row = self._db.execute(
            "SELECT position, link, recorded_at FROM events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self._head: bytes = row[1] if row else first_link(self.log_id)
        self.last_recorded_at: str | None = row[2] if row else None

    def _create(self) -> None:
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            return
        values = f"('schema_version', '{SCHEMA_VERSION}'), ('log_id', '{uuid.uuid4().hex}')"
        meta = f"INSERT INTO meta VALUES {values};"  # noqa: S608 - both values are made here
        self._db.executescript(f"BEGIN; {_SCHEMA} {meta} COMMIT;")

    def _meta(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise LogError(f"{self._path} has no {key}: it is no site log")
        return str(row[0])

    @property
    def head(self) -> bytes:
        """The last link of the chain."""
        return self._head

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- writing -------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, durably, or nothing of it."""
        head = self._head
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._head = head
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def write(self, event: Event, outcomes: tuple[RecordedOutcome, ...]) -> None:
        """Append one event and its outcomes; only inside `transaction`."""
        body = codec.encode(event)
        bodies = [codec.encode(outcome) for outcome in outcomes]
        self._head = next_link(self._head, body, bodies)
        cursor = self._db.execute(
            "INSERT INTO events (event_id, device, device_seq, type, recorded_at, fact, body, link)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.event_id,
                event.device,
                event.device_seq,
                type_name(event.fact),
                event.recorded_at.isoformat(),
                codec.encode(event.fact),
                body,
                self._head,
            ),
        )
        self._db.executemany(
            "INSERT INTO outcomes (outcome_id, event_position, device, type, body) VALUES (?, ?, ?, ?, ?)",
            [
                (outcome.outcome_id, cursor.lastrowid, outcome.device, type_name(outcome.outcome), data)
                for outcome, data in zip(outcomes, bodies, strict=True)
            ],
        )

    def write_state(self, state: DeviceState) -> None:
        """Store a device's whole state; only inside `transaction`."""
        self._db.execute(
            "INSERT INTO states VALUES (?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
            " device_seq = excluded.device_seq, fold_version = excluded.fold_version, blob = excluded.blob",
            (state.device, state.device_seq, FOLD_VERSION, blob_from_state(state)),
        )

    def probe(self) -> None:
        """Prove that a commit reaches the disk; raise sqlite3.Error if it does not."""
        self._db.execute("INSERT INTO meta VALUES ('probed', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1")

    # --- reading -------------------------------------------------------------------------------------------

    def content_of(self, event_id: str) -> tuple[str, bytes] | None:
        """Return device and encoded fact of an event, or None if the log has no such event."""
        row = self._db.execute("SELECT device, fact FROM events WHERE event_id = ?", (event_id,)).fetchone()
        return (row[0], bytes(row[1])) if row else None

    def outcomes_of(self, event_id: str) -> tuple[bytes, ...]:
        """Return the encoded outcomes of an event, in order."""
        rows = self._db.execute(
            "SELECT o.body FROM outcomes o JOIN events e ON e.position = o.event_position"
            " WHERE e.event_id = ? ORDER BY o.position",
            (event_id,),
        )
        return tuple(bytes(row[0]) for row in rows)

    def fetch(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Return what a query finds, on the log's own connection."""
        return self._db.execute(sql, values).fetchall()

    def states(self) -> list[StoredState]:
        """Return the states as last committed."""
        rows = self._db.execute("SELECT device, device_seq, fold_version, blob FROM states ORDER BY device")
        return [StoredState(*row) for row in rows]

    def last_seqs(self) -> dict[str, int]:
        """Return each device's last sequence number."""
        return dict(self._db.execute("SELECT device, MAX(device_seq) FROM events GROUP BY device"))

    def rows(self, device: str | None = None, *, after: int = 0) -> Iterator[Row]:
        """Yield events in log order with their outcomes, of one device or of all, after a position."""
        where = "position > ? AND device = ?" if device else "position > ?"
        columns = "position, event_id, device, device_seq, body, link, type, recorded_at"
        query = f"SELECT {columns} FROM events WHERE {where} ORDER BY position"  # noqa: S608
        with closing(self._db.execute(query, (after, device) if device else (after,))) as cursor:
            for position, event_id, name, seq, body, link, type_, at in cursor:
                found = self._db.execute(
                    "SELECT body FROM outcomes WHERE event_position = ? ORDER BY position", (position,)
                ).fetchall()
                outcomes = tuple(bytes(o[0]) for o in found)
                yield Row(position, event_id, name, seq, bytes(body), bytes(link), outcomes, type_, at)

    def last_position(self) -> int:
        """Return the position of the last event, 0 where there is none."""
        return int(self._db.execute("SELECT COALESCE(MAX(position), 0) FROM events").fetchone()[0])

    def count(self) -> tuple[int, int]:
        """Return how many events and outcomes the log holds."""
        events = self._db.execute("SELECT COUNT(*) FROM events").fetchone()[0]
        return events, self._db.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0]


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file; the one writer's connection moves from the opening thread to the writer's."""
    if read_only:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA query_only = ON")
        return db
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db
