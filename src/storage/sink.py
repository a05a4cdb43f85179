"""Takes rows of logs into the database: staged with COPY, merged by identity and revision, in one transaction.

How far a source has been taken in stands in the same transaction, so whatever is delivered again counts once. The
same code serves a site (from its log) and the fleet (from Kafka).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Final, NamedTuple

import psycopg
from psycopg import errors

from storage.connection import Db
from storage.errors import DatabaseAwayError, LogForkedError
from storage.projection import rows_from, without_nul
from storage.rows import TABLES, TableRow
from storage.staging import Staging
from streams.chain import next_link
from streams.envelope import LogRow

SinkRow = LogRow
"""One row of a log: event, outcomes, its place in the log and its link of the hash chain."""

_MERGE_DEVICES: Final = """
    INSERT INTO fleet_devices AS t (device, device_seq, parked, changed_at, diverged_at_seq)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::timestamptz[], %s::bigint[])
    ON CONFLICT (device) DO UPDATE SET device_seq = excluded.device_seq, parked = excluded.parked,
        diverged_at_seq = excluded.diverged_at_seq,
        changed_at = CASE WHEN t.parked = excluded.parked THEN t.changed_at ELSE excluded.changed_at END
    WHERE excluded.device_seq >= t.device_seq
"""

MONTHS_FROM: Final = 2000
MONTHS_TO: Final = 2100
"""Years for which there are partitions; a clock further out fills one partition for all the rest."""

_REFUSED: Final = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded)
"""What PostgreSQL says of content that no table takes; anything else is trouble with the server."""


_TIMES: Final = {
    kind: [(table.name, attrgetter(table.time)) for table in TABLES if table.row is kind and table.time]
    for kind in {table.row for table in TABLES}
}
"""For each kind of row, the partitioned tables that take it, and what gives its time there."""


class Reached(NamedTuple):
    """How far a source has been taken in; `position` is where its reader resumes."""

    position: int
    log_id: str
    log_position: int
    link: bytes


class Refusal(NamedTuple):
    """A record of a source that holds no row of its log, by its place there; `device` is empty where unknown."""

    position: int
    device: str
    rejection: str


class Batch(NamedTuple):
    """Rows of one source, and where its reader resumes once they stand (a place in a log, a Kafka offset).

    `refusals` are records that are no rows; `mended` are places of such that can be read now and stand in `rows`.
    """

    source: str
    rows: Sequence[SinkRow]
    position: int
    refusals: Sequence[Refusal] = ()
    mended: Sequence[int] = ()


class FleetDevice(NamedTuple):
    """A device as the fleet's workers know it from `at` on."""

    device: str
    device_seq: int
    parked: str
    at: datetime
    diverged_at_seq: int | None


class Applied(NamedTuple):
    """What a transaction did; `refused` rows are kept by place in ``refused_rows``, the log holds them."""

    rows: int
    refused: int


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

        A row that stands already changes nothing, in whatever order rows come. A batch without rows only moves the
        position of a source that is known.

        Raises
        ------
        DatabaseAwayError
            Nothing stands, or (a commit without an answer) all of it; apply the same again.
        LogForkedError
            A source sends another log than before; nothing stands. It names the source: park that one, and apply
            the others again.
        """
        given = sorted(batches, key=lambda batch: batch.source)  # sinks that share sources lock them in one order
        with self._session() as (db, staging):
            projected = [[list(rows_from(row)) for row in batch.rows] for batch in given]
            self._make_months(db, (row for batch in projected for rows in batch for row in rows))
            with db.transaction():
                for batch in given:
                    _check_source(db, batch)
                refused = _merged(db, staging, given, projected)
                for batch in given:
                    _advance(db, batch)
                    _keep_refusals(db, batch)
        return Applied(sum(len(batch.rows) for batch in given), refused)

    def apply_devices(self, source: str, devices: Sequence[FleetDevice], position: int) -> None:
        """Take in what the workers say of devices, in its order; `source` names where they said it.

        Raises
        ------
        DatabaseAwayError
            As `apply_all` says.
        """
        last = {one.device: one for one in devices}
        columns = [list(column) for column in zip(*(last[device] for device in sorted(last)), strict=True)]
        with self._session() as (db, _), db.transaction():
            db.execute(
                "INSERT INTO sink_positions VALUES (%s, %s, '', 0, '') ON CONFLICT (source)"
                " DO UPDATE SET position = greatest(sink_positions.position, excluded.position)",
                (source, position),
            )
            if columns:
                db.execute(_MERGE_DEVICES, columns)

    def set_aside(self, source: str, why: str) -> None:
        """Say of a source why nothing more of it is taken in, or (empty) that it is tried again."""
        with self._session() as (db, _):
            db.execute("UPDATE sink_positions SET set_aside = %s WHERE source = %s", (why, source))

    def refused(self, source: str, device: str, rejection: str) -> list[int]:
        """Return the places of a device's records that were refused for this."""
        with self._session() as (db, _):
            rows = db.execute(
                "SELECT position FROM refused_records WHERE source = %s AND device = %s AND rejection = %s"
                " ORDER BY position",
                (source, device, rejection),
            )
            return [row[0] for row in rows]

    def reached(self, source: str) -> Reached | None:
        """Return how far a source has been taken in, or None where nothing of it stands."""
        with self._session() as (db, _):
            return _reached(db, source)

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

    def _make_months(self, db: Db, rows: Iterable[TableRow]) -> None:
        """Make missing partitions, each in its own transaction: a lock on the table must not wait for another sink."""
        wanted = {(name, *_month(at(row))) for row in rows for name, at in _TIMES.get(type(row), ())}
        for name, month in sorted({(name, date(year, month, 1)) for name, year, month in wanted} - self._months):
            if MONTHS_FROM <= month.year < MONTHS_TO:
                db.execute("SELECT make_month(%s, %s)", (name, month))
            self._months.add((name, month))


def positions(db: Db) -> dict[str, Reached]:
    """Return every source with how far it has been taken in."""
    rows = db.execute("SELECT source, position, log_id, log_position, link FROM sink_positions ORDER BY source")
    return {row[0]: Reached(*row[1:]) for row in rows}


def _month(at: datetime) -> tuple[int, int]:
    if at.tzinfo is not UTC:  # as nearly all are
        at = at.astimezone(UTC)
    return at.year, at.month


def _reached(db: Db, source: str, *, lock: bool = False) -> Reached | None:
    query = b"SELECT position, log_id, log_position, link FROM sink_positions WHERE source = %s"
    row = db.execute(query + (b" FOR UPDATE" if lock else b""), (source,)).fetchone()
    return Reached(*row) if row else None


def _check_source(db: Db, batch: Batch) -> None:
    """Lock the source, and refuse rows that are not of the log that stands here."""
    if not batch.rows:
        return
    log_id = batch.rows[0].event.log_id
    db.execute("INSERT INTO sink_positions VALUES (%s, 0, %s, 0, '') ON CONFLICT DO NOTHING", (batch.source, log_id))
    stood = _reached(db, batch.source, lock=True)
    assert stood is not None  # noqa: S101 - it was inserted above
    foreign = next((row for row in batch.rows if row.event.log_id != stood.log_id), None)
    if foreign is not None:
        raise LogForkedError(batch.source, f"log {foreign.event.log_id} comes where {stood.log_id} stands")
    seen = [row for row in batch.rows if row.position <= stood.log_position]
    _check_seen(db, batch.source, seen)
    following = next((row for row in batch.rows if row.position == stood.log_position + 1), None)
    if following is not None and stood.link:
        _check_link(batch.source, stood, following)


def _check_link(source: str, stood: Reached, following: LogRow) -> None:
    """Refuse a next row whose link does not continue the last one here."""
    if next_link(stood.link, following.body, following.outcome_bodies) != following.link:
        raise LogForkedError(source, f"position {following.position} does not continue the chain that stands here")


def _check_seen(db: Db, source: str, rows: Sequence[LogRow]) -> None:
    """Refuse rows of a number that stands here with another link."""
    if not rows:
        return
    places = [(row.event.device, row.event.device_seq, row.link) for row in rows]
    devices, seqs, links = (list(column) for column in zip(*places, strict=True))
    other = db.execute(
        "SELECT e.device, e.device_seq FROM events e"
        " JOIN unnest(%s::text[], %s::bigint[], %s::bytea[]) AS came (device, device_seq, link)"
        " ON came.device = e.device AND came.device_seq = e.device_seq AND came.link <> e.link LIMIT 1",
        (devices, seqs, links),
    ).fetchone()
    if other is not None:
        raise LogForkedError(source, f"event {other[1]} of {other[0]} comes with other content than stands here")


def _merged(db: Db, staging: Staging, batches: Sequence[Batch], projected: Sequence[Sequence[list[TableRow]]]) -> int:
    """Write the rows; where content is refused, write row by row and set aside what no table takes."""
    try:
        with db.transaction():
            staging.merge([row for batch in projected for rows in batch for row in rows])
    except _REFUSED:
        return sum(
            _merged_alone(db, staging, batch.source, row.position, rows)
            for batch, made in zip(batches, projected, strict=True)
            for row, rows in zip(batch.rows, made, strict=True)
        )
    return 0


def _merged_alone(db: Db, staging: Staging, source: str, position: int, rows: Sequence[TableRow]) -> int:
    try:
        with db.transaction():
            staging.merge([without_nul(row) for row in rows])
    except _REFUSED as error:
        db.execute(
            "INSERT INTO refused_rows VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (source, position, error.sqlstate or type(error).__name__),
        )
        return 1
    return 0


def _advance(db: Db, batch: Batch) -> None:
    """Record how far the source has come; it never goes back."""
    if not batch.rows:
        db.execute(
            "UPDATE sink_positions SET position = greatest(position, %s) WHERE source = %s",
            (batch.position, batch.source),
        )
        return
    last = max(batch.rows, key=lambda row: row.position)
    db.execute(
        "UPDATE sink_positions SET position = greatest(position, %(position)s),"
        " link = CASE WHEN log_position < %(at)s THEN %(link)s ELSE link END,"
        " log_position = greatest(log_position, %(at)s) WHERE source = %(source)s",
        {"position": batch.position, "at": last.position, "link": last.link, "source": batch.source},
    )


def _keep_refusals(db: Db, batch: Batch) -> None:
    """Remember records that are no rows, without what PostgreSQL's text cannot hold, and forget those that are now."""
    for refusal in batch.refusals:
        db.execute(
            "INSERT INTO refused_records VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (batch.source, refusal.position, refusal.device.replace("\x00", "\ufffd"), refusal.rejection),
        )
    if batch.mended:
        query = "DELETE FROM refused_records WHERE source = %s AND position = ANY (%s)"
        db.execute(query, (batch.source, list(batch.mended)))
