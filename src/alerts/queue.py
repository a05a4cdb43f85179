"""What people are to be told: durable, each channel's messages to a person in their order, until the channel has them.

The book (what is known of every alert) and the notes that a step made stand in one transaction: killed anywhere,
nothing is lost and nothing is made twice. A message leaves after its channel has said yes; where the process dies
between that yes and the commit, and only there, it is sent a second time.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Self

import msgspec

from alerts.book import Book, decode
from alerts.change import Change, note_from_row, write_history
from alerts.deliveries import ChannelTrouble, DeliveryState, Unreached, Waiting
from alerts.notes import Note
from alerts.told import Happening, HistoryRow

QUEUE_FILE: Final = "alerts.sqlite"
SET_ASIDE: Final = ".unreadable"
BUSY_S: Final = 20.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS book (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS notes (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    alerts TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    urgent INTEGER NOT NULL,
    queued_at REAL NOT NULL,
    first_person TEXT NOT NULL,
    first_at REAL NOT NULL,
    is_passed_on INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    note TEXT NOT NULL REFERENCES notes (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    channel TEXT NOT NULL,
    rank INTEGER NOT NULL,
    needs_all INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL,
    sent_at REAL,
    why TEXT NOT NULL DEFAULT '',
    UNIQUE (note, channel)
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (channel, person, seq) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    alert TEXT NOT NULL,
    what TEXT NOT NULL,
    person TEXT NOT NULL,
    channel TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS history_by_alert ON history (alert, seq);
CREATE TABLE IF NOT EXISTS used_links (
    note TEXT NOT NULL,
    person TEXT NOT NULL,
    used_at REAL NOT NULL,
    PRIMARY KEY (note, person)
) STRICT, WITHOUT ROWID;
"""


class Queue:
    """Book, notes and deliveries of one site; safe from any thread, and beside another process that opens it.

    Parameters
    ----------
    data_dir
        Where it lies, as ``alerts.sqlite``; made if missing, readable by the site alone.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / QUEUE_FILE
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(_SCHEMA)

    @classmethod
    def opened(cls, data_dir: Path) -> tuple[Self, str]:
        """Return the queue, and why it begins anew where what lay there cannot be read; that is set aside.

        Begun anew, everything that is wrong is told once more: better than nobody being told.
        """
        try:
            with closing(cls(data_dir)) as tried:
                tried.book()
        except sqlite3.OperationalError:
            raise  # locked, or the disk is full: what lies there may be in order
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            for old in data_dir.glob(f"{QUEUE_FILE}*"):
                if SET_ASIDE not in old.name:
                    old.rename(old.with_name(old.name + SET_ASIDE))
            return cls(data_dir), str(error)
        return cls(data_dir), ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- the book ------------------------------------------------------------------------------------------

    def book(self) -> Book:
        """Return the book as it stands; an empty one at the very first."""
        with self._lock:
            row = self._db.execute("SELECT body FROM book").fetchone()
        return Book() if row is None else decode(row[0])

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Give the book for a change; what is written to the `Change` is kept as the block ends, all or none of it."""
        with self._transaction():
            yield Change(self._db, self.book())

    # --- delivering ----------------------------------------------------------------------------------------

    def due(self, channel: str, now: float, *, most_wait_s: float) -> list[Waiting]:
        """Return the first waiting message of each person on a channel, where it is time to try.

        A person's second channel is asked once the first has failed. A next try further off than any wait can be
        was set by a clock that has gone back since: it is due.
        """
        with self._lock:
            rows = self._db.execute(
                "SELECT d.seq, d.note, d.person, d.channel, n.reason, n.subject, n.text, n.urgent, d.tries, n.queued_at"
                " FROM deliveries d JOIN notes n ON n.id = d.note WHERE d.seq IN (SELECT min(seq) FROM deliveries"
                " WHERE state = 'waiting' AND channel = ? GROUP BY person)"
                " AND (d.next_try <= ? OR d.next_try > ?)"
                " AND (d.needs_all OR NOT EXISTS (SELECT 1 FROM deliveries b WHERE b.note = d.note"
                " AND b.rank < d.rank AND b.state = 'waiting' AND b.tries = 0)) ORDER BY d.tries, d.seq",
                (channel, now, now + most_wait_s),
            ).fetchall()
        return [Waiting._make((*row[:7], bool(row[7]), *row[8:])) for row in rows]

    def still_waits(self, seq: int) -> bool:
        """Whether a message is still to be sent: another channel may have told its person since."""
        with self._lock:
            row = self._db.execute("SELECT state FROM deliveries WHERE seq = ?", (seq,)).fetchone()
        return row is not None and row[0] == DeliveryState.WAITING

    def sent(self, seq: int, now: float) -> None:
        """Let a message go: its channel has it. Others of the same person are spared where one is enough."""
        with self._transaction():
            note, person, channel, alls = self._db.execute(
                "SELECT note, person, channel, needs_all FROM deliveries WHERE seq = ?", (seq,)
            ).fetchone()
            self._db.execute(
                "UPDATE deliveries SET state = 'sent', tries = tries + 1, sent_at = ?, why = '' WHERE seq = ?",
                (now, seq),
            )
            if not alls:
                self._db.execute(
                    "UPDATE deliveries SET state = 'spared', why = ? WHERE note = ? AND state = 'waiting'",
                    (f"told by {channel}", note),
                )
            (alerts,) = self._db.execute("SELECT alerts FROM notes WHERE id = ?", (note,)).fetchone()
            told = [
                HistoryRow(now, alert, Happening.TOLD, person, channel, "") for alert in msgspec.json.decode(alerts)
            ]
            write_history(self._db, told)

    def failed(self, seq: int, why: str, *, next_try: float, gives_up: bool) -> None:
        """Keep a message for another try, or give it up: it stays in the record."""
        state = DeliveryState.GIVEN_UP if gives_up else DeliveryState.WAITING
        with self._transaction():
            self._db.execute(
                "UPDATE deliveries SET state = ?, tries = tries + 1, why = ?, next_try = ? WHERE seq = ?",
                (state.value, why, next_try, seq),
            )

    def unreached(self, *, queued_before: float) -> list[Unreached]:
        """Return the notes that no channel has taken and that have waited, or that have no channel at all."""
        with self._lock:
            rows = self._db.execute(
                "SELECT n.id, n.person, n.reason, n.alerts, n.subject, n.text, n.urgent, n.first_person, n.first_at,"
                " n.is_passed_on, coalesce((SELECT why FROM deliveries d WHERE d.note = n.id AND why <> ''"
                " ORDER BY rank LIMIT 1), '') FROM notes n"
                " WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.note = n.id AND d.state = 'sent')"
                " AND (n.queued_at <= ? OR NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.note = n.id))"
                " ORDER BY n.first_at, n.queued_at",
                (queued_before,),
            ).fetchall()
        return [Unreached(note_from_row(row[:7]), row[7], row[8], bool(row[9]), row[10]) for row in rows]

    def asked_for(self, first_person: str, alerts: Sequence[str], first_at: float) -> frozenset[str]:
        """Return who has been asked with a message that was meant for somebody, first of all that somebody."""
        with self._lock:
            rows = self._db.execute(
                "SELECT person FROM notes WHERE first_person = ? AND alerts = ? AND first_at = ?",
                (first_person, msgspec.json.encode(alerts).decode(), first_at),
            )
            return frozenset({first_person, *(row[0] for row in rows.fetchall())})

    # --- looking -------------------------------------------------------------------------------------------

    def note(self, note_id: str) -> Note | None:
        """Return a note by its id; None where it is not kept any more."""
        with self._lock:
            row = self._db.execute(
                "SELECT id, person, reason, alerts, subject, text, urgent FROM notes WHERE id = ?", (note_id,)
            ).fetchone()
        return None if row is None else note_from_row(row)

    def history_of(self, alerts: Iterable[str]) -> list[HistoryRow]:
        """Return what happened to some alerts, the oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT at, alert, what, person, channel, text FROM history"
                " WHERE alert IN (SELECT value FROM json_each(?)) ORDER BY seq",
                (msgspec.json.encode(list(alerts)).decode(),),
            ).fetchall()
        return [HistoryRow(row[0], row[1], Happening(row[2]), *row[3:]) for row in rows]

    def troubles(self) -> list[ChannelTrouble]:
        """Return the channels that do not take what waits for them, by name."""
        with self._lock:
            rows = self._db.execute(
                "SELECT d.channel, count(*), min(n.queued_at), max(d.why) FROM deliveries d JOIN notes n"
                " ON n.id = d.note WHERE d.state = 'waiting' AND d.tries > 0 GROUP BY d.channel ORDER BY d.channel"
            ).fetchall()
        return [ChannelTrouble(*row) for row in rows]

    def counts(self) -> dict[tuple[str, DeliveryState], int]:
        """Return how many deliveries of each channel stand how."""
        with self._lock:
            rows = self._db.execute("SELECT channel, state, count(*) FROM deliveries GROUP BY channel, state")
            return {(channel, DeliveryState(state)): count for channel, state, count in rows.fetchall()}

    def oldest_waiting(self) -> float | None:
        """Return when the oldest note was queued that still waits for a first channel to take it."""
        with self._lock:
            row: tuple[float | None] = self._db.execute(
                "SELECT min(n.queued_at) FROM notes n WHERE EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.note = n.id AND d.state = 'waiting') AND NOT EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.note = n.id AND d.state = 'sent')"
            ).fetchone()
        return row[0]

    def used_at(self, note: str, person: str) -> float | None:
        """Return when the link of a person's note was used; None where it was not."""
        with self._lock:
            row = self._db.execute(
                "SELECT used_at FROM used_links WHERE note = ? AND person = ?", (note, person)
            ).fetchone()
        return None if row is None else float(row[0])

    def forget(self, before: float) -> None:
        """Let go of notes, history and used links from before a moment, but of nothing that waits."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM notes WHERE queued_at < ? AND NOT EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.note = notes.id AND d.state = 'waiting')",
                (before,),
            )
            self._db.execute("DELETE FROM history WHERE at < ?", (before,))
            self._db.execute("DELETE FROM used_links WHERE used_at < ?", (before,))

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
