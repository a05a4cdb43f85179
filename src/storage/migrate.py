"""Numbered migrations: each in a transaction of its own, remembered with its checksum, one migrator at a time."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from storage.connection import Db
from storage.errors import DatabaseAwayError, MigrationError

FOLDER: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x626F6E65
"""Key of the advisory lock that a migrator holds."""

_NAME: Final = re.compile(r"(\d{4})_(\w+)(?:\.(native|timescale))?\.sql")

_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS bonewatch;
CREATE TABLE IF NOT EXISTS bonewatch.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    flavour text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class Migration(NamedTuple):
    """One file; `flavour` is ``native``, ``timescale``, or empty where it serves both."""

    version: int
    name: str
    flavour: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of its text."""
        return sha256(self.sql.encode()).hexdigest()


class Status(NamedTuple):
    """What stands in a database: its flavour, the migrations applied, and those that wait."""

    flavour: str
    applied: tuple[str, ...]
    pending: tuple[str, ...]


def migrations(flavour: str, folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Return the migrations of one flavour, in order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        named = _NAME.fullmatch(path.name)
        if named is None:
            raise MigrationError(f"{path.name} is no migration: NNNN_name.sql, or NNNN_name.native.sql")
        if named[3] in {None, flavour}:
            found.append(Migration(int(named[1]), named[2], named[3] or "", path.read_text(encoding="utf-8")))
    if [one.version for one in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations for {flavour} are not numbered 1, 2, 3 and so on")
    return tuple(found)


def migrate(db: Db, *, folder: Path = FOLDER, up_to: int | None = None) -> Status:
    """Bring the schema up to date (or `up_to` a version); what is applied already stays.

    Raises
    ------
    MigrationError
        If an applied migration has changed since, one failed (nothing of it stands), or the database is newer than
        this program.
    """
    with _only_migrator(db):
        flavour = _flavour(db)
        wanted = migrations(flavour, folder)
        _check(db, wanted)
        done = _applied(db)
        for migration in wanted[: up_to if up_to is not None else len(wanted)]:
            if migration.version not in done:
                _apply(db, migration)
        return status(db, folder=folder)


def status(db: Db, *, folder: Path = FOLDER) -> Status:
    """Return what stands in the database, without changing it."""
    done = _applied(db)
    flavour = _flavour(db, prepare=False)
    wanted = migrations(flavour, folder)
    pending = tuple(_title(one.version, one.name) for one in wanted if one.version not in done)
    return Status(flavour, tuple(_title(version, name) for version, (name, _) in sorted(done.items())), pending)


def drop_everything(db: Db) -> None:
    """Drop the schema with all it holds; the log can fill it again."""
    with _only_migrator(db):
        db.execute("DROP SCHEMA IF EXISTS bonewatch CASCADE")


def _title(version: int, name: str) -> str:
    return f"{version:04}_{name}"


@contextmanager
def _only_migrator(db: Db) -> Iterator[None]:
    """Hold the lock; a second migrator waits and then finds nothing left to do."""
    try:
        db.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        try:
            yield
        finally:
            if not db.closed:
                db.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    except psycopg.OperationalError as error:
        raise DatabaseAwayError(f"the database went away while it was migrated ({error.sqlstate})") from error
    except psycopg.Error as error:
        raise MigrationError(f"the schema cannot be made or changed: {error}") from error


def _flavour(db: Db, *, prepare: bool = True) -> str:
    """Return what the first migration was made for, or else what the server has."""
    if _has_table(db):
        row = db.execute("SELECT flavour FROM bonewatch.schema_migrations ORDER BY version LIMIT 1").fetchone()
        if row is not None:
            return str(row[0])
    available = db.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    if available is None:
        return "native"
    if prepare:
        db.execute("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public")
    return "timescale"


def _has_table(db: Db) -> bool:
    row = db.execute("SELECT to_regclass(%s)", ("bonewatch.schema_migrations",)).fetchone()
    return row is not None and row[0] is not None


def _applied(db: Db) -> dict[int, tuple[str, str]]:
    """Return name and checksum of what is applied, by version."""
    if not _has_table(db):
        return {}
    rows = db.execute("SELECT version, name, checksum FROM bonewatch.schema_migrations")
    return {row[0]: (row[1], row[2]) for row in rows}


def _check(db: Db, wanted: Sequence[Migration]) -> None:
    db.execute(_TABLE)
    known = {one.version: one for one in wanted}
    for version, (name, checksum) in sorted(_applied(db).items()):
        if version not in known:
            raise MigrationError(
                f"the database is newer than this program: it has migration {_title(version, name)}; update Bonewatch"
            )
        if known[version].checksum != checksum:
            raise MigrationError(
                f"migration {_title(version, name)} has changed since it was applied; a change is a new migration"
            )


def _apply(db: Db, migration: Migration) -> None:
    flavour = migration.flavour or _flavour(db, prepare=False)
    try:
        with db.transaction():
            db.execute("SET LOCAL search_path = bonewatch, public")
            db.execute(migration.sql.encode())
            db.execute(
                "INSERT INTO bonewatch.schema_migrations (version, name, flavour, checksum) VALUES (%s, %s, %s, %s)",
                (migration.version, migration.name, flavour, migration.checksum),
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        title = _title(migration.version, migration.name)
        raise MigrationError(f"migration {title} failed, nothing of it stands: {error}") from error
