"""One change of the book with the notes that go with it, inside one transaction of the queue."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from alerts.book import Book, encode
from alerts.deliveries import Route, Unreached
from alerts.notes import Note
from alerts.told import HistoryRow, rows_of


class Change:
    """One change of the book and what goes with it, inside its transaction; `Queue.changing` gives it."""

    def __init__(self, db: sqlite3.Connection, book: Book) -> None:
        self._db = db
        self.book = book
        """The book before."""

    def keep(self, book: Book, now: float) -> None:
        """Write the book, and into the history what it says that the one before did not."""
        if book == self.book:
            return
        self._db.execute(
            "INSERT INTO book VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body", (encode(book),)
        )
        write_history(self._db, rows_of(self.book, book, now))
        self.book = book

    def tell(self, note: Note, route: Route, now: float, *, instead_of: Unreached | None = None) -> bool:
        """Queue a note by all channels of its person; False where it was queued before.

        `instead_of` is the note that reached nobody and is passed on by this one.
        """
        first, first_at = (note.person, now) if instead_of is None else instead_of[1:3]
        added = self._db.execute(
            "INSERT INTO notes (id, person, reason, alerts, subject, text, urgent, queued_at, first_person, first_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*_values(note), now, first, first_at),
        ).rowcount
        if not added:
            return False
        self._db.executemany(
            "INSERT INTO deliveries (note, person, channel, rank, needs_all, state, next_try)"
            " VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
            [
                (note.id, note.person, channel, rank, route.all_of_them, now)
                for rank, channel in enumerate(route.channels)
            ],
        )
        return True

    def passed_on(self, note: str) -> None:
        """Note that a note which reached nobody has gone to somebody else, or has nobody left to go to."""
        self._db.execute("UPDATE notes SET is_passed_on = 1 WHERE id = ?", (note,))

    def use_link(self, note: str, person: str, now: float) -> bool:
        """Note that a link was used; False where it was used before."""
        return bool(
            self._db.execute(
                "INSERT INTO used_links VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (note, person, now)
            ).rowcount
        )

    def happened(self, rows: Iterable[HistoryRow]) -> None:
        """Write into the history."""
        write_history(self._db, rows)


def write_history(db: sqlite3.Connection, rows: Iterable[HistoryRow]) -> None:
    """Write into the history, within the transaction that is open."""
    db.executemany(
        "INSERT INTO history (at, alert, what, person, channel, text) VALUES (?, ?, ?, ?, ?, ?)",
        [(row.at, row.alert, row.what.value, row.person, row.channel, row.text) for row in rows],
    )


def _values(note: Note) -> tuple[object, ...]:
    alerts = msgspec.json.encode(note.alerts).decode()
    return (note.id, note.person, str(note.reason), alerts, note.subject, note.text, note.urgent)


def note_from_row(row: Sequence[object]) -> Note:
    """Return the note of a row: its id, person, reason, alerts, subject, text, urgent."""
    id_, person, reason, alerts, subject, text, urgent = row
    return msgspec.convert(
        {
            "id": id_,
            "person": person,
            "reason": reason,
            "alerts": msgspec.json.decode(str(alerts)),
            "subject": subject,
            "text": text,
            "urgent": bool(urgent),
        },
        Note,
    )
