"""Takes rows of logs into the database: staged with COPY, merged by identity and revision, in one transaction.

How far a source has been taken in stands in the same transaction, so whatever is delivered again counts once. The
same code serves a site (from its log) and the fleet (from Kafka).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final

import psycopg

from storage.batch import Applied, Batch, FleetDevice, Reached, Refusal, SinkRow
from storage.connection import Db
from storage.errors import DatabaseAwayError
from storage.renaming import Renamed, rename
from storage.staging import Staging
from storage.texts import cleaned
from storage.writing import REFUSED, Month, forget, months_of, reached_by, reached_from, work_from, write
from streams.pseudonyms import PseudonymKeys

__all__ = ["Applied", "Batch", "FleetDevice", "Reached", "Refusal", "Sink", "SinkRow", "positions"]

_MERGE_DEVICES: Final = """
    INSERT INTO fleet_devices AS t (device, device_seq, parked, changed_at, diverged_at_seq)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::timestamptz[], %s::bigint[])
    ON CONFLICT (device) DO UPDATE SET device_seq = excluded.device_seq, parked = excluded.parked,
        diverged_at_seq = excluded.diverged_at_seq,
        changed_at = CASE WHEN t.parked = excluded.parked THEN t.changed_at ELSE excluded.changed_at END
"""

MONTHS_FROM: Final = 2000
MONTHS_TO: Final = 2100
"""Years for which there are partitions; a clock further out fills one partition for all the rest."""


class Sink:
    """Writes a database's tables.

    It connects when it must, and anew after any failure, so a caller just tries again.

    Parameters
    ----------
    connect
        Returns a connection in autocommit, the schema first in its search path, migrated.
    """

    def __init__(self, connect: Callable[[], Db]) -> None:
        self._connect = connect
        self._open: tuple[Db, Staging] | None = None
        self._months: set[tuple[str, date]] = set()

    def apply(self, source: str, rows: Sequence[SinkRow], position: int) -> Applied:
        """Take in rows of one source (see `apply_all`)."""
        return self.apply_all([Batch(source, rows, position)])

    def apply_all(self, batches: Iterable[Batch]) -> Applied:
        """Take in rows of several sources in one transaction: all of it stands afterwards, or none.

        A row that stands already changes nothing, in whatever order rows come. One that no table takes is set aside,
        and the others stand. A batch without rows only moves the position of a source that is known.

        Raises
        ------
        DatabaseAwayError
            Nothing stands, or (a commit without an answer) all of it; apply the same again.
        LogForkedError
            A source sends another log than before; nothing stands. It names the source: park that one, and apply
            the others again.
        """
        given = sorted(batches, key=lambda batch: batch.source)  # sinks that share sources lock them in one order
        works = [work_from(batch) for batch in given]
        with self._session() as (db, staging):
            self._make_months(db, months_of(works))
            with db.transaction():
                refused = write(db, staging, works)
        return Applied(sum(len(batch.rows) for batch in given), refused)

    def rename(self, site: str, keys: PseudonymKeys) -> Renamed:
        """Bring the pseudonyms that stand of a site to the newest version.

        Raises
        ------
        DatabaseAwayError
            As `apply_all` says.
        """
        with self._session() as (db, _), db.transaction():
            return rename(db, site, keys)

    def forget(self, source: str, at: int) -> None:
        """Delete every row of a site and begin it anew: a request to do so stood at this offset of its topic.

        Done once, however often it is asked for; what is applied later and was read before it is not taken in.

        Raises
        ------
        DatabaseAwayError
            As `apply_all` says.
        """
        with self._session() as (db, _), db.transaction():
            forget(db, source, at)

    def apply_devices(
        self, source: str, devices: Sequence[FleetDevice], position: int, begun: Mapping[str, int] | None = None
    ) -> int:
        """Take in what the workers say of devices; `source` names where they said it, `position` where to resume.

        `begun` are sites that were forgotten, or began anew, with where that is said: what was said before is deleted.

        The last that they said of a device stands, whatever its number: one that is folded anew may come to stand
        behind where it was. What was taken in already says nothing. Returns how many no table took.

        Raises
        ------
        DatabaseAwayError
            As `apply_all` says.
        """
        with self._session() as (db, _), db.transaction():
            db.execute("INSERT INTO sink_positions VALUES (%s, 0, '', 0, '') ON CONFLICT DO NOTHING", (source,))
            stood = reached_by(db, source, lock=True)
            resumed = stood.position if stood else 0
            anew = {site: offset for site, offset in (begun or {}).items() if offset >= resumed}
            for site in sorted(anew):
                db.execute("DELETE FROM fleet_devices WHERE device >= %s AND device < %s", (f"{site}/", f"{site}0"))
            new = [one for one in devices if one.offset >= max(resumed, anew.get(one.device.partition("/")[0], 0))]
            last = {cleaned(one.device): one for one in new}
            said = [one._replace(device=device, parked=cleaned(one.parked)) for device, one in sorted(last.items())]
            db.execute(
                "UPDATE sink_positions SET position = greatest(position, %s) WHERE source = %s", (position, source)
            )
            return _merge_devices(db, said)

    def set_aside(self, source: str, why: str) -> None:
        """Say of a source why nothing more of it is taken in, or (empty) that it is tried again."""
        with self._session() as (db, _):
            db.execute("UPDATE sink_positions SET set_aside = %s WHERE source = %s", (cleaned(why), source))

    def refused(self, source: str, device: str, rejection: str) -> list[int]:
        """Return the places of a device's records that were refused for this."""
        with self._session() as (db, _):
            rows = db.execute(
                "SELECT position FROM refused_records WHERE source = %s AND device = %s AND rejection = %s"
                " ORDER BY position",
                (source, cleaned(device), rejection),
            )
            return [row[0] for row in rows]

    def reached(self, source: str) -> Reached | None:
        """Return how far a source has been taken in, or None where nothing of it stands."""
        with self._session() as (db, _):
            return reached_by(db, source)

    def sources(self) -> Mapping[str, Reached]:
        """Return every source with how far it has been taken in."""
        with self._session() as (db, _):
            return positions(db)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._open is not None:
            self._open[0].close()
        self._open = None
        self._months.clear()

    @contextmanager
    def _session(self) -> Iterator[tuple[Db, Staging]]:
        try:
            if self._open is None:
                self._open = self._opened()
            yield self._open
        except BaseException as error:
            self.close()
            if isinstance(error, psycopg.Error):
                raise DatabaseAwayError(f"the database gave up: {type(error).__name__}") from error
            raise

    def _opened(self) -> tuple[Db, Staging]:
        db = self._connect()
        try:
            return db, Staging(db)
        except BaseException:
            db.close()
            raise

    def _make_months(self, db: Db, wanted: Iterable[Month]) -> None:
        """Make missing partitions, each in its own transaction: a lock on the table must not wait for another sink."""
        for name, month in sorted({(name, date(year, month, 1)) for name, year, month in wanted} - self._months):
            if MONTHS_FROM <= month.year < MONTHS_TO:
                db.execute("SELECT make_month(%s, %s)", (name, month))
            self._months.add((name, month))


def positions(db: Db) -> dict[str, Reached]:
    """Return every source with how far it has been taken in."""
    rows = db.execute(
        "SELECT source, position, log_id, log_position, link, forgotten_at, begins FROM sink_positions ORDER BY source"
    )
    return {row[0]: reached_from(row[1:]) for row in rows}


def _merge_devices(db: Db, devices: Sequence[FleetDevice]) -> int:
    """Write what is said of devices; where content is refused, halve until it is found, and go on without it."""
    if not devices:
        return 0
    try:
        with db.transaction():
            db.execute(_MERGE_DEVICES, [list(column) for column in list(zip(*devices, strict=True))[:-1]])
    except REFUSED:
        if len(devices) == 1:
            return 1
        middle = len(devices) // 2
        return _merge_devices(db, devices[:middle]) + _merge_devices(db, devices[middle:])
    return 0
