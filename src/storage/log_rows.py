"""Rows of a site's own log as the sink takes them."""

from collections.abc import Iterable, Iterator

from storage.errors import LogForkedError
from storage.renaming import renamed
from storage.sink import Reached, SinkRow
from streams import codec
from streams.pseudonyms import PseudonymKeys
from streams.sqlite_log import Row, SqliteEventLog


def readable(rows: Iterable[Row], keys: PseudonymKeys | None = None) -> list[SinkRow]:
    """Decode rows; leave out those of a version that this program does not know (a rebuild takes them later).

    With the site's keys pseudonyms are of the newest version.
    """
    taken = []
    for row in rows:
        try:
            event = codec.decode_event(row.body)
            outcomes = tuple(codec.decode_outcome(body) for body in row.outcomes)
        except codec.UndecodableError:
            continue
        one = SinkRow(event, outcomes, row.position, row.link, row.body, row.outcomes)
        taken.append(one if keys is None else renamed(one, keys))
    return taken


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Cut rows into batches."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def check_same_log(log: SqliteEventLog, source: str, reached: Reached) -> None:
    """Refuse a log other than the one that the database was filled from.

    Raises
    ------
    LogForkedError
        If its id, or its link at the place that the database has reached, is another.
    """
    if log.log_id != reached.log_id:
        raise LogForkedError(source, "it has another id; was a backup restored? `db rebuild` fills it from this log")
    row = next(log.rows(after=reached.log_position - 1), None)
    if row is None or row.position != reached.log_position or row.link != reached.link:
        raise LogForkedError(source, f"position {reached.log_position} holds another link, or is not there")
