"""What is known of procedure steps, and what of them the RIS does not know yet: durable, sealed, bounded.

Of a step only its UID, device and status are known for longer; its attributes are sealed, and only while they wait.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from collectors.errors import NoRoomError
from collectors.sealed_store import SealedStore

MAX_STEPS: Final = 20_000
MAX_REFUSED: Final = 1_000
"""What the RIS refused is no part of the queue, and takes no room from it."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS steps (
    uid TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    status TEXT NOT NULL,
    given TEXT NOT NULL DEFAULT '',
    updated_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS steps_by_time ON steps (updated_at);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL,
    operation TEXT NOT NULL,
    device TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    kept_at REAL NOT NULL,
    unsure INTEGER NOT NULL,
    refused INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    try_at REAL NOT NULL DEFAULT 0,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_uid ON messages (refused, uid, id);
"""
_ADDED: Final = (
    ("messages", "tries", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "try_at", "REAL NOT NULL DEFAULT 0"),
)
_COLUMNS: Final = "id, uid, operation, device, calling_ae, unsure, kept_at, tries"


class Operation(StrEnum):
    """What a scanner does with a step."""

    CREATE = "create"
    SET = "set"


class Step(msgspec.Struct, frozen=True):
    """A step as it stands; `given` are the attributes that its end needs and that were given so far."""

    uid: str
    device: str
    status: str
    given: frozenset[str] = frozenset()


class Queued(msgspec.Struct, frozen=True):
    """A message that waits for the RIS; `unsure`: it was sent before, and nobody knows whether it arrived.

    `tries` counts how often the RIS could not take it.
    """

    id: int
    uid: str
    operation: Operation
    device: str
    calling_ae: str
    unsure: bool
    kept_at: float
    tries: int = 0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StepStore:
    """The steps of one site; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder.
    max_waiting, kept_days, min_free_bytes, retry_max_s
        Limits; no message is postponed for longer than `retry_max_s`.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        max_waiting: int = 5_000,
        kept_days: float = 14.0,
        min_free_bytes: int = 0,
        retry_max_s: float = 300.0,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._max_waiting, self._kept_s, self._clock = max_waiting, kept_days * 86_400.0, clock
        self._retry_max_s = retry_max_s
        self._store = SealedStore(
            data_dir, "mpps", _SCHEMA, sealed_table="messages", min_free_bytes=min_free_bytes, added=_ADDED
        )
        self.news = threading.Event()

    def step(self, uid: str) -> Step | None:
        """Return what is known of a step."""
        with self._store.reading() as db:
            row = db.execute("SELECT uid, device, status, given FROM steps WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else Step(row[0], row[1], row[2], frozenset(row[3].split()))

    def note(self, step: Step) -> None:
        """Keep a step as it stands now, durably.

        Raises
        ------
        NoRoomError
            The disk is full.
        """
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO steps (uid, device, status, given, updated_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (uid) DO UPDATE SET"
                " status = excluded.status, given = excluded.given, updated_at = excluded.updated_at",
                (step.uid, step.device, step.status, " ".join(sorted(step.given)), self._now()),
            )

    def waits(self, uid: str) -> bool:
        """Whether a message of a step waits: what comes after it must wait too."""
        with self._store.reading() as db:
            found = db.execute("SELECT 1 FROM messages WHERE refused = 0 AND uid = ? LIMIT 1", (uid,)).fetchone()
        return found is not None

    def queue(
        self, uid: str, operation: Operation, device: str, calling_ae: str, attributes: bytes, *, unsure: bool
    ) -> None:
        """Keep a message for the RIS; durable when this returns.

        Raises
        ------
        NoRoomError
            Too many wait, or the disk is full.
        """
        self._store.check_room(len(attributes))
        with self._store.transaction() as db:
            (count,) = db.execute("SELECT count(*) FROM messages WHERE refused = 0").fetchone()
            if count >= self._max_waiting:
                raise NoRoomError
            db.execute(
                "INSERT INTO messages (uid, operation, device, calling_ae, kept_at, unsure, sealed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (uid, operation, device, calling_ae, self._now(), unsure, self._store.seal.close(uid, attributes)),
            )
        self.news.set()

    def next_messages(self, limit: int) -> list[Queued]:
        """Return the first waiting message of each step, without those that were postponed."""
        now = self._now()
        with self._store.reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM messages WHERE id IN"  # noqa: S608 - ours
                " (SELECT min(id) FROM messages WHERE refused = 0 GROUP BY uid)"
                " AND NOT try_at BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (now, now + self._retry_max_s, limit),  # one further ahead was set by a clock that went wrong
            ).fetchall()
        return [Queued(row[0], row[1], Operation(row[2]), row[3], row[4], bool(row[5]), *row[6:]) for row in rows]

    def attributes(self, message: Queued) -> bytes:
        """Return a message's encoded attributes, as the scanner sent them."""
        with self._store.reading() as db:
            row = db.execute("SELECT sealed FROM messages WHERE id = ?", (message.id,)).fetchone()
        return self._store.seal.open(message.uid, row[0])

    def sent(self, message: Queued) -> None:
        """Note that the RIS has a message."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM messages WHERE id = ?", (message.id,))

    def unsure(self, message: Queued) -> None:
        """Note, before it is sent, that a message may reach the RIS without our learning of it."""
        if not message.unsure:
            with self._store.transaction() as db:
                db.execute("UPDATE messages SET unsure = 1 WHERE id = ?", (message.id,))

    def postponed(self, message: Queued, wait_s: float) -> None:
        """Note that the RIS cannot take a message now: it, and what is behind it of its step, goes later."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE messages SET tries = tries + 1, try_at = ?, unsure = ? WHERE id = ?",
                (self._now() + wait_s, message.unsure, message.id),
            )

    def refused(self, message: Queued) -> None:
        """Note that the RIS refuses a message: it and what waits behind it of its step are not sent any more."""
        with self._store.transaction() as db:
            db.execute("UPDATE messages SET refused = 1 WHERE uid = ?", (message.uid,))
            db.execute(
                "DELETE FROM messages WHERE id IN"
                " (SELECT id FROM messages WHERE refused = 1 ORDER BY id DESC LIMIT -1 OFFSET ?)",
                (MAX_REFUSED,),
            )

    def waiting(self) -> tuple[int, float]:
        """Return how many messages wait, and how old the oldest is."""
        with self._store.reading() as db:
            count, oldest = db.execute("SELECT count(*), min(kept_at) FROM messages WHERE refused = 0").fetchone()
        return count, max(0.0, self._now() - oldest) if oldest is not None else 0.0

    def tidy(self) -> None:
        """Forget steps of long ago, and what the RIS refused."""
        before = self._now() - self._kept_s
        with self._store.transaction() as db:
            db.execute("DELETE FROM steps WHERE updated_at < ?", (before,))
            db.execute(
                "DELETE FROM steps WHERE uid IN (SELECT uid FROM steps ORDER BY updated_at DESC LIMIT -1 OFFSET ?)",
                (MAX_STEPS,),
            )
            db.execute("DELETE FROM messages WHERE refused = 1 AND kept_at < ?", (before,))
        self._store.give_back()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _now(self) -> float:
        return self._clock().timestamp()
