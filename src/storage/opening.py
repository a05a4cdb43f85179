"""Which database a site's configuration means."""

from pathlib import Path
from typing import Final

from storage.connection import Database, Db, GivenServer
from storage.embedded import EmbeddedPostgres
from storage.errors import ServerInUseError, StorageError
from storage.settings import DatabaseSettings

FOLDER: Final = "database"
"""Where in the data folder the embedded one lies."""


def database_of(settings: DatabaseSettings, data_dir: Path) -> Database:
    """Return the given server, or the embedded one of a data folder; neither is connected to yet.

    Raises
    ------
    StorageError
        If the configuration says that there is no database.
    """
    if not settings.enabled:
        raise StorageError("[database] enabled = false: this site keeps no database")
    if settings.url:
        return GivenServer(settings.url, Path(settings.password_file) if settings.password_file else None)
    return EmbeddedPostgres(data_dir / FOLDER)


def connect_beside(database: Database) -> Db:
    """Return a connection, beside a running site too."""
    try:
        return database.connect()
    except ServerInUseError:
        if not isinstance(database, EmbeddedPostgres):
            raise
        return database.attach()


def connect_to_running(database: Database) -> Db:
    """Return a connection to a database that is up; an embedded server is never started by this."""
    return database.attach() if isinstance(database, EmbeddedPostgres) else database.connect()
