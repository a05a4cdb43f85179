"""A site's data folder: what lies where, and who may write there."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from bonewatch.errors import ConfigError
from streams.messages import Person
from streams.sqlite_log import LogError, SqliteEventLog

if TYPE_CHECKING:
    from dashboards.users import UserStore

LOG_FILE: Final = "site-log.sqlite"
USERS_FILE: Final = "users.sqlite"


class FolderInUseError(ConfigError):
    """A running site writes there; stop it first."""


def data_folder(config: Path, data_dir: str) -> Path:
    """Return the data folder; a relative one lies beside the configuration file."""
    return (config.resolve().parent / data_dir).resolve()


def make_data_folder(data_dir: Path) -> None:
    """Make the data folder if it is missing, private to the user."""
    with _writing(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)


def only_site_here(data_dir: Path) -> IO[str]:
    """Lock the data folder: two sites must never write one log."""
    with _writing(data_dir):
        lock = (data_dir / "site.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise FolderInUseError(f"{data_dir} is in use by another running site; stop it first") from error
    return lock


def open_log(data_dir: Path) -> SqliteEventLog:
    """Open a site's log for reading, beside a running site or without one."""
    path = data_dir / LOG_FILE
    if not path.is_file():
        words = "no site has run on this data folder yet; start it once, or name another folder or configuration"
        raise LogError(f"{path} is not there: {words}")
    return SqliteEventLog(path, read_only=True)


def open_users(data_dir: Path) -> "UserStore":
    """Open a site's accounts; made if missing."""
    from dashboards.users import UserStore  # noqa: PLC0415 - who looks at the log alone needs no console

    path = data_dir / USERS_FILE
    try:
        return UserStore(path)
    except sqlite3.Error as error:
        words = "bring it back from a copy, or move it away and add the people anew"
        raise ConfigError(f"{path} cannot be opened as the accounts: {error}; {words}") from error


def correct_clock(data_dir: Path, person: Person, reason: str) -> int:
    """Let a stopped site's recorded times begin anew; return for how many devices."""
    from streams.engine import SiteEngine  # noqa: PLC0415 - who looks at the folder needs no engine

    with only_site_here(data_dir), SqliteEventLog(data_dir / LOG_FILE) as log:
        return SiteEngine(log).correct_clock(person, reason)


@contextmanager
def _writing(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        words = f"the data folder {data_dir} cannot be written to: {error.strerror}"
        raise ConfigError(f"{words}; let this user write there, or name another as data_dir in [site]") from error
