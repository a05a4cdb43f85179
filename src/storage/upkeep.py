"""What a database over time needs now and then: months made ahead, and old raw events dropped where so configured."""

from datetime import UTC, date, datetime
from typing import Final

import psycopg

from storage.connection import Database, Db
from storage.errors import DatabaseAwayError
from storage.migrate import migrate
from storage.rows import TABLES

MONTHS_AHEAD: Final = 2


def open_prepared(database: Database, *, events_kept_months: int = 0) -> Db:
    """Return a connection to a database whose schema and partitions are as they ought to be: what a sink wants.

    Raises
    ------
    StorageError
        As `Database.connect` and `migrate` say.
    """
    db = database.connect()
    try:
        migrate(db)
        keep_up(db, datetime.now(UTC), events_kept_months=events_kept_months)
    except BaseException:
        db.close()
        raise
    return db


def keep_up(db: Db, now: datetime, *, events_kept_months: int = 0) -> None:
    """Make this month's and the next months' partitions; drop raw events of months that are too old (0: never)."""
    try:
        for table in TABLES:
            if table.time:
                for ahead in range(MONTHS_AHEAD + 1):
                    db.execute("SELECT make_month(%s, %s)", (table.name, month_after(now.date(), ahead)))
        if events_kept_months:
            cutoff = month_after(now.date(), -events_kept_months)
            db.execute("SELECT drop_months_before('events', %s::timestamp AT TIME ZONE 'UTC')", (cutoff,))
    except psycopg.Error as error:
        raise DatabaseAwayError(f"the database could not be kept up: {type(error).__name__}") from error


def month_after(day: date, months: int) -> date:
    """Return the first day of the month so many months later (or, negative, earlier)."""
    place = day.year * 12 + day.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)
