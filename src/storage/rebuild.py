"""Drop the database's content and make it again from the log."""

from collections.abc import Callable
from typing import Final, NamedTuple

from storage.checksum import checksums
from storage.connection import Database, Db
from storage.errors import DatabaseAwayError, StorageError
from storage.log_rows import batches, readable
from storage.migrate import drop_everything, migrate, status
from storage.sink import Sink
from streams.pseudonyms import PseudonymKeys
from streams.sqlite_log import SqliteEventLog

BATCH: Final = 1000


class Rebuilt(NamedTuple):
    """What a rebuild did; `unreadable` events are of a version that this program does not know.

    `before` is None where the content of before could not be read by this program.
    """

    events: int
    unreadable: int
    refused: int
    before: str | None
    after: str

    @property
    def is_same(self) -> bool:
        """Whether the content is what it was before."""
        return self.before == self.after


def rebuild(
    database: Database,
    log: SqliteEventLog,
    site: str,
    *,
    progress: Callable[[int], None] = lambda _events: None,
    keys: PseudonymKeys | None = None,
) -> Rebuilt:
    """Drop everything, migrate, replay the log; with the site's keys pseudonyms are of the newest version.

    Raises
    ------
    StorageError
        If rows of other sources stand there too: this log could not bring them back.
    """
    with database.connect() as db:
        before = _content(db)
        others = _other_sources(db, site)
        if others:
            raise StorageError(f"the database also holds {', '.join(others)}, which this log cannot bring back")
        drop_everything(db)
        migrate(db)
        sink = Sink(database.connect)
        events = unreadable = refused = 0
        for batch in batches(log.rows(), BATCH):
            taken = readable(batch, keys)
            refused += sink.apply(site, taken, batch[-1].position).refused
            events += len(taken)
            unreadable += len(batch) - len(taken)
            progress(events)
        sink.close()
        return Rebuilt(events, unreadable, refused, before, checksums(db)[""])


def _content(db: Db) -> str | None:
    found = status(db)
    try:
        return checksums(db)[""] if found.applied and not found.pending else None
    except DatabaseAwayError:
        return None  # tables of another program's making


def _other_sources(db: Db, site: str) -> list[str]:
    if not status(db).applied:
        return []
    known = db.execute("SELECT to_regclass('sink_positions')").fetchone()
    if known is None or known[0] is None:
        return []
    rows = db.execute("SELECT source FROM sink_positions WHERE source <> %s ORDER BY source", (site,))
    return [row[0] for row in rows]
