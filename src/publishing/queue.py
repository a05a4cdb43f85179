"""What subscribers are still to be told: durable, each device's messages in their order, until the receiver has them.

A message leaves the queue after the receiver has taken it; the power may go between the two, and then it is sent
again under the same id. How far the log was taken in stands in the same transaction as what it became.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from publishing.delivery import Delivery, Message
from publishing.published import Notice, Place, Reached

QUEUE_FILE: Final = "publishing.sqlite"
BUSY_S: Final = 20.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS subscribers (
    name TEXT PRIMARY KEY,
    log_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    link TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    delivered_at REAL,
    trouble TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL,
    message_id TEXT NOT NULL,
    type TEXT NOT NULL,
    device TEXT NOT NULL,
    position INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    body BLOB NOT NULL,
    queued_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    is_dead INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_subscriber ON messages (subscriber, is_dead, device, id, queued_at);
"""
_COLUMNS: Final = "id, message_id, type, device, position, body, queued_at, tries"


class Entry(NamedTuple):
    """A message made of a notice, or (with `why`) one that could not be made: it is dead from the start."""

    notice: Notice
    message: Message
    why: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How a subscription stands; `oldest_queued_at` is of what waits, `trouble` why nothing or not all goes through."""

    name: str
    log_id: str
    position: int
    waiting: int
    dead: int
    delivered: int
    delivered_at: float | None
    oldest_queued_at: float | None
    trouble: str


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that was given up, without its contents."""

    id: int
    subscriber: str
    message_id: str
    type: str
    device: str
    position: int
    queued_at: float
    tries: int
    why: str


class Queue:
    """The queue of a site's subscribers; safe from any thread, and beside another process that opens it.

    Parameters
    ----------
    data_dir
        Where it lies, as ``publishing.sqlite``; made if missing, readable by the site alone.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / QUEUE_FILE
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- taking in -----------------------------------------------------------------------------------------

    def begin(self, name: str, at: Reached) -> Reached:
        """Return how far the log was taken in for a subscriber; a new one begins at this place."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO subscribers (name, log_id, position, nth, link) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (name, at.log_id, *at.place, at.link),
            )
            return self._reached(name)

    def reached(self, name: str) -> Reached:
        """Return how far the log was taken in for a subscriber that has begun."""
        with self._lock:
            return self._reached(name)

    def _reached(self, name: str) -> Reached:
        query = "SELECT log_id, position, nth, link FROM subscribers WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        return Reached(row[0], Place(row[1], row[2]), row[3])

    def add(self, name: str, entries: Iterable[Entry], *, before: Reached, reached: Reached, now: float) -> bool:
        """Queue messages and move on in the log, both or neither; False where somebody set another place meanwhile."""
        with self._transaction():
            if self._reached(name) != before:
                return False
            self._db.executemany(
                "INSERT INTO messages (subscriber, message_id, type, device, position, nth, body, queued_at, why,"
                " is_dead) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (name, message.id, one.type, one.device, *one.place, message.body, now, why, bool(why))
                    for one, message, why in entries
                ],
            )
            self._move(name, reached)
            return True

    def _move(self, name: str, reached: Reached) -> None:
        self._db.execute(
            "UPDATE subscribers SET log_id = ?, position = ?, nth = ?, link = ? WHERE name = ?",
            (reached.log_id, *reached.place, reached.link, name),
        )

    def replay(self, name: str, at: Reached, *, of_another_log: bool = False) -> None:
        """Let a subscriber be told again of all behind a place; what is queued of that is queued anew.

        What waits of another log is dropped: it is not on the record here. Its dead letters stay in the list, and
        without their contents, so that nobody sends them again.
        """
        with self._transaction():
            if of_another_log:
                self._db.execute("DELETE FROM messages WHERE subscriber = ? AND NOT is_dead", (name,))
                self._db.execute("UPDATE messages SET body = x'' WHERE subscriber = ?", (name,))
            else:
                self._db.execute(
                    "DELETE FROM messages WHERE subscriber = ? AND (position, nth) > (?, ?)"
                    " AND (NOT is_dead OR length(body) > 0)",
                    (name, *at.place),
                )
            self._move(name, at)
            self._db.execute("UPDATE subscribers SET trouble = '' WHERE name = ?", (name,))

    # --- delivering ----------------------------------------------------------------------------------------

    def heads(self, name: str) -> list[Delivery]:
        """Return the first waiting message of each device, those that were tried least before others."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM messages WHERE id IN (SELECT min(id) FROM messages"  # noqa: S608 - names
                " WHERE subscriber = ? AND is_dead = 0 GROUP BY device) ORDER BY tries, id",
                (name,),
            ).fetchall()
        return [Delivery(*row) for row in rows]

    def delivered(self, name: str, id_: int, *, now: float) -> None:
        """Let a message go: the receiver has it."""
        with self._transaction():
            self._db.execute("DELETE FROM messages WHERE id = ?", (id_,))
            self._db.execute(
                "UPDATE subscribers SET delivered = delivered + 1, delivered_at = ? WHERE name = ?", (now, name)
            )

    def failed(self, id_: int, why: str) -> None:
        """Keep a message for another try."""
        with self._transaction():
            self._db.execute("UPDATE messages SET tries = tries + 1, why = ? WHERE id = ?", (why, id_))

    def died(self, id_: int, why: str) -> None:
        """Give a message up; it is kept."""
        with self._transaction():
            self._db.execute("UPDATE messages SET tries = tries + 1, why = ?, is_dead = 1 WHERE id = ?", (why, id_))

    def forget_dead(self, name: str, keep: int) -> int:
        """Keep so many dead letters of a subscriber, the newest; return how many went."""
        with self._transaction():
            return self._db.execute(
                "DELETE FROM messages WHERE subscriber = ? AND is_dead AND id <= (SELECT id FROM messages"
                " WHERE subscriber = ? AND is_dead ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (name, name, keep),
            ).rowcount

    def expire(self, name: str, why: str, *, queued_before: float, device: str | None = None) -> int:
        """Give up what has waited too long, of one device or of all; return how many."""
        of_device = "" if device is None else " AND device = ?"
        values = (why, name, queued_before, *([] if device is None else [device]))
        with self._transaction():
            return self._db.execute(
                "UPDATE messages SET is_dead = 1, why = ? WHERE subscriber = ? AND is_dead = 0"  # noqa: S608
                f" AND queued_at < ?{of_device}",
                values,
            ).rowcount

    def say_trouble(self, name: str, why: str) -> None:
        """Keep why a subscription stands still, or (empty) that it does not, for whoever asks."""
        with self._transaction():
            self._db.execute("UPDATE subscribers SET trouble = ? WHERE name = ?", (why, name))

    # --- looking -------------------------------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Return how every subscription stands, those that are configured no more too."""
        return self._standings("", ())

    def standing(self, name: str) -> Standing:
        """Return how one subscription stands."""
        return self._standings("WHERE s.name = ?", (name,))[0]

    def _standings(self, where: str, values: tuple[str, ...]) -> list[Standing]:
        of_it = "FROM messages m WHERE m.subscriber = s.name AND m.is_dead ="
        with self._lock:
            rows = self._db.execute(
                f"SELECT s.name, s.log_id, s.position, (SELECT count(*) {of_it} 0), (SELECT count(*) {of_it} 1),"  # noqa: S608
                f" s.delivered, s.delivered_at, (SELECT min(m.queued_at) {of_it} 0), s.trouble"
                f" FROM subscribers s {where} ORDER BY s.name",
                values,
            ).fetchall()
        return [Standing(*row) for row in rows]

    def dead(self, name: str | None = None) -> list[DeadLetter]:
        """Return what was given up, the oldest first, of one subscriber or of all."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, subscriber, message_id, type, device, position, queued_at, tries, why FROM messages"
                " WHERE is_dead AND subscriber = coalesce(?, subscriber) ORDER BY id",
                (name,),
            ).fetchall()
        return [DeadLetter(*row) for row in rows]

    def revive(self, name: str, ids: Sequence[int] = (), *, now: float) -> int:
        """Queue dead letters of a subscriber again, these or all, as if they came now; return how many."""
        only = f" AND id IN ({', '.join('?' for _ in ids)})" if ids else ""
        with self._transaction():
            return self._db.execute(
                "UPDATE messages SET is_dead = 0, tries = 0, queued_at = ? WHERE subscriber = ? AND is_dead"  # noqa: S608
                f" AND length(body) > 0{only}",
                (now, name, *ids),
            ).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
