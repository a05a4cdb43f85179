"""What the command line does with a site's database, beside the running site or without it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bonewatch.configuration.sections import Config
from bonewatch.data_folder import only_site_here, open_log
from collectors.pseudonym import Pseudonyms
from storage.connection import Db
from storage.migrate import Status, migrate, status
from storage.opening import connect_beside, database_of
from storage.rebuild import Rebuilt, rebuild
from storage.sink import positions


def migrated(config: Config, data_dir: Path) -> Status:
    """Bring the schema up to date."""
    with _connected(config, data_dir) as db:
        return migrate(db)


def stands(config: Config, data_dir: Path) -> tuple[Status, dict[str, int]]:
    """Return what is applied, and how far each source has been taken in."""
    with _connected(config, data_dir) as db:
        found = status(db)
        return found, {} if found.pending else {name: one.position for name, one in positions(db).items()}


def rebuilt(config: Config, data_dir: Path, progress: Callable[[int], None]) -> Rebuilt:
    """Drop the content and replay the log of a stopped site.

    Raises
    ------
    ConfigError
        If the site runs.
    """
    with open_log(data_dir) as log, only_site_here(data_dir):
        database = database_of(config.database, data_dir)
        try:
            return rebuild(database, log, config.site.id, progress=progress, keys=Pseudonyms(data_dir))
        finally:
            database.stop()


@contextmanager
def _connected(config: Config, data_dir: Path) -> Iterator[Db]:
    database = database_of(config.database, data_dir)
    try:
        with connect_beside(database) as db:
            yield db
    finally:
        database.stop()
