"""Writes batches of rows inside a transaction: all of them, save a row that no table takes.

Where PostgreSQL refuses content, wherever in the batch it does, the rows are halved until it is found. Its place is
kept in ``refused_rows`` and the others go on: nothing that one site sends may stop the sink for all.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors

from storage.batch import Batch, Reached, SinkRow
from storage.connection import Db
from storage.errors import LogForkedError
from storage.projection import misfit, rows_from, without_nul
from storage.rows import TABLES, TableRow
from storage.staging import Staging
from storage.texts import cleaned
from streams.chain import next_link
from streams.fleet.site_life import NEVER, SiteLife

REFUSED: Final = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded)
"""What PostgreSQL says of content that no table takes; anything else is trouble with the server."""

BIGINT: Final = range(-(2**63), 2**63)

_TIMES: Final = {
    kind: [(table.name, attrgetter(table.time)) for table in TABLES if table.row is kind and table.time]
    for kind in {table.row for table in TABLES}
}
"""For each kind of row, the partitioned tables that take it, and what gives its time there."""

Month = tuple[str, int, int]
"""Table, year and month of a partition."""


class Made(NamedTuple):
    """A row of a log as rows of tables; `refused` says why it is not there as a whole, empty where it is."""

    row: SinkRow
    tables: list[TableRow]
    months: frozenset[Month]
    refused: str


class Work(NamedTuple):
    """A batch with what its rows put into the tables."""

    batch: Batch
    made: Sequence[Made]


def work_from(batch: Batch) -> Work:
    """Return a batch with its rows projected."""
    return Work(batch, [_made(row) for row in batch.rows])


def write(db: Db, staging: Staging, works: Sequence[Work]) -> int:
    """Write batches, in the order of their sources; return how many rows no table took whole.

    Raises
    ------
    LogForkedError
        A source sends another log than before.
    """
    try:
        with db.transaction():
            return _write(db, staging, works)
    except REFUSED:
        halves = _halves(works)
        if halves:
            return sum(write(db, staging, half) for half in halves)
        if not works[0].made:
            raise
        return _write_alone(db, staging, works[0])


def reached_by(db: Db, source: str, *, lock: bool = False) -> Reached | None:
    """Return how far a source has been taken in, or None where nothing of it stands."""
    query = b"SELECT position, log_id, log_position, link, forgotten_at, begins FROM sink_positions WHERE source = %s"
    row = db.execute(query + (b" FOR UPDATE" if lock else b""), (source,)).fetchone()
    return reached_from(row) if row else None


def reached_from(row: Sequence[Any]) -> Reached:
    """Return how far a source has been taken in, as it was selected."""
    position, log_id, log_position, link, *life = row
    return Reached(position, log_id, log_position, link, SiteLife(*life))


def forget(db: Db, source: str, at: int) -> None:
    """Delete every row of a site, inside a transaction; it begins anew behind the request, which stood at an offset."""
    db.execute("INSERT INTO sink_positions VALUES (%s, 0, '', 0, '') ON CONFLICT DO NOTHING", (source,))
    stood = reached_by(db, source, lock=True)
    if stood is not None and stood.life.forgotten_at >= at:
        return
    first, behind = f"{source}/", f"{source}0"  # "0" is the character behind "/"
    for table in TABLES:
        query = f"DELETE FROM {table.name} WHERE device >= %s AND device < %s"  # noqa: S608 - our table
        db.execute(query.encode(), (first, behind))
    for name in ("refused_records", "refused_rows"):
        db.execute(f"DELETE FROM {name} WHERE source = %s".encode(), (source,))  # noqa: S608 - our table
    db.execute(
        "UPDATE sink_positions SET position = greatest(position, %s), log_id = '', log_position = 0, link = '',"
        " set_aside = '', forgotten_at = %s, begins = %s WHERE source = %s",
        (at + 1, at, NEVER, source),
    )


def _made(row: SinkRow) -> Made:
    try:
        tables = list(rows_from(row))
        months = frozenset((name, *_month(at(one))) for one in tables for name, at in _TIMES.get(type(one), ()))
    except (ValueError, OverflowError) as error:  # a time at the edge of the calendar, for example
        return Made(row, [], frozenset(), type(error).__name__)
    return Made(row, tables, months, misfit(row))


def _month(at: datetime) -> tuple[int, int]:
    if at.tzinfo is not UTC:  # as nearly all are
        at = at.astimezone(UTC)
    return at.year, at.month


def _halves(works: Sequence[Work]) -> tuple[Sequence[Work], Sequence[Work]] | None:
    """Return two parts with less in each, or None where there is one row or none."""
    if len(works) > 1:
        middle = len(works) // 2
        return works[:middle], works[middle:]
    batch, made = works[0]
    if len(made) <= 1:
        return None
    middle = len(made) // 2
    first = batch._replace(rows=batch.rows[:middle], refusals=(), mended=())
    return [Work(first, made[:middle])], [Work(batch._replace(rows=batch.rows[middle:]), made[middle:])]


def _write(db: Db, staging: Staging, works: Sequence[Work]) -> int:
    works = [work for work in works if _check_source(db, work.batch)]
    staging.merge(table for work in works for made in work.made for table in made.tables)
    for work in works:
        _advance(db, work.batch)
        _keep_refusals(db, work.batch)
    refused = [(work.batch.source, made) for work in works for made in work.made if made.refused]
    for source, made in refused:
        _set_aside(db, source, made.row, made.refused)
    return len(refused)


def _write_alone(db: Db, staging: Staging, work: Work) -> int:
    """Write one row without what PostgreSQL's text cannot hold, or keep its place and go on behind it."""
    (made,) = work.made
    try:
        with db.transaction():
            without = made._replace(tables=[without_nul(row) for row in made.tables])
            return _write(db, staging, [work._replace(made=[without])])
    except REFUSED as error:
        _pass_over(db, work.batch)
        _set_aside(db, work.batch.source, made.row, error.sqlstate or type(error).__name__)
        return 1


def _pass_over(db: Db, batch: Batch) -> None:
    """Advance behind a row that no table takes; its chain goes on where its place and link can stand at all."""
    _keep_refusals(db, batch)
    with suppress(*REFUSED), db.transaction():
        _check_source(db, batch)
        _advance(db, batch)
        return
    _advance(db, batch._replace(rows=()))


def _set_aside(db: Db, source: str, row: SinkRow, why: str) -> None:
    place = min(max(row.position, BIGINT.start), BIGINT.stop - 1)
    db.execute("INSERT INTO refused_rows VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (source, place, why))


def _check_source(db: Db, batch: Batch) -> bool:
    """Lock the source, and refuse rows that are not of the log that stands here; False where it was forgotten since."""
    if batch.rows:
        log_id = batch.rows[0].event.log_id
        query = "INSERT INTO sink_positions VALUES (%s, 0, %s, 0, '') ON CONFLICT DO NOTHING"
        db.execute(query, (batch.source, log_id))
    stood = reached_by(db, batch.source, lock=True)
    if stood is not None and stood.life.forgotten_at > batch.life.forgotten_at:
        return False
    if stood is None or not batch.rows:
        return True
    if not stood.log_id:
        db.execute("UPDATE sink_positions SET log_id = %s WHERE source = %s", (log_id, batch.source))
        stood = stood._replace(log_id=log_id)
    foreign = next((row for row in batch.rows if row.event.log_id != stood.log_id), None)
    if foreign is not None:
        raise LogForkedError(batch.source, f"log {foreign.event.log_id} comes where {stood.log_id} stands")
    seen = [row for row in batch.rows if row.position <= stood.log_position]
    _check_seen(db, batch.source, seen)
    following = next((row for row in batch.rows if row.position == stood.log_position + 1), None)
    if following is not None and stood.link:
        _check_link(batch.source, stood, following)
    return True


def _check_link(source: str, stood: Reached, following: SinkRow) -> None:
    """Refuse a next row whose link does not continue the last one here."""
    if next_link(stood.link, following.body, following.outcome_bodies) != following.link:
        raise LogForkedError(source, f"position {following.position} does not continue the chain that stands here")


def _check_seen(db: Db, source: str, rows: Sequence[SinkRow]) -> None:
    """Refuse rows of a number that stands here with another link."""
    if not rows:
        return
    places = [(cleaned(row.event.device), row.event.device_seq, row.link) for row in rows]
    devices, seqs, links = (list(column) for column in zip(*places, strict=True))
    other = db.execute(
        "SELECT e.device, e.device_seq FROM events e"
        " JOIN unnest(%s::text[], %s::bigint[], %s::bytea[]) AS came (device, device_seq, link)"
        " ON came.device = e.device AND came.device_seq = e.device_seq AND came.link <> e.link LIMIT 1",
        (devices, seqs, links),
    ).fetchone()
    if other is not None:
        raise LogForkedError(source, f"event {other[1]} of {other[0]} comes with other content than stands here")


def _advance(db: Db, batch: Batch) -> None:
    """Record how far the source has come; it never goes back."""
    if not batch.rows:
        db.execute(
            "UPDATE sink_positions SET position = greatest(position, %s), begins = greatest(begins, %s)"
            " WHERE source = %s",
            (batch.position, batch.life.begins, batch.source),
        )
        return
    last = max(batch.rows, key=lambda row: row.position)
    db.execute(
        "UPDATE sink_positions SET position = greatest(position, %(position)s), begins = greatest(begins, %(begins)s),"
        " link = CASE WHEN log_position < %(at)s THEN %(link)s ELSE link END,"
        " log_position = greatest(log_position, %(at)s) WHERE source = %(source)s",
        {
            "position": batch.position,
            "at": last.position,
            "link": last.link,
            "source": batch.source,
            "begins": batch.life.begins,
        },
    )


def _keep_refusals(db: Db, batch: Batch) -> None:
    """Remember records that are no rows, without what PostgreSQL's text cannot hold, and forget those that are now."""
    for refusal in batch.refusals:
        db.execute(
            "INSERT INTO refused_records VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (batch.source, refusal.position, cleaned(refusal.device), refusal.rejection),
        )
    if batch.mended:
        query = "DELETE FROM refused_records WHERE source = %s AND position = ANY (%s)"
        db.execute(query, (batch.source, list(batch.mended)))


def months_of(works: Iterable[Work]) -> frozenset[Month]:
    """Return the partitions that batches need."""
    return frozenset(month for work in works for made in work.made for month in made.months)
