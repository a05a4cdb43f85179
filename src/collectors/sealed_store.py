"""A small durable store for what may be a patient's: SQLite, with sealed contents.

One file, one connection, one lock. WAL with ``synchronous=FULL``: what is committed is on the disk.
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from collectors.errors import CollectorError, NoRoomError
from collectors.sealing import Seal

_SETTINGS: Final = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA journal_size_limit = 16777216",
)
_PAGES_FREED_AT_ONCE: Final = 16_384

_log: Final = structlog.get_logger("collectors.sealed_store")


class StoreUnusableError(CollectorError):
    """A store's file or key cannot be used; the text says what to do."""

    code = "store_unusable"

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

    def __str__(self) -> str:
        return self.words


class SealedStore:
    """A database whose contents are sealed with a key beside it; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder; the files are ``<name>.sqlite`` and ``<name>.key`` in it.
    name
        Of the files.
    schema
        Statements that make the tables where they are not.
    sealed_table
        A table with sealed contents: they cannot be read without the key.
    added
        Table, name and type of columns that the file of an earlier version does not have.
    min_free_bytes
        How much of the disk must stay free for `check_room` to pass.

    Raises
    ------
    StoreUnusableError
        The file is damaged, or its key is missing.
    """

    def __init__(
        self,
        data_dir: Path,
        name: str,
        schema: str,
        *,
        sealed_table: str,
        added: Iterable[tuple[str, str, str]] = (),
        min_free_bytes: int = 0,
    ) -> None:
        self._path = data_dir / f"{name}.sqlite"
        self._min_free_bytes = min_free_bytes
        self._lock = threading.RLock()
        self.seal = Seal(data_dir / f"{name}.key")
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = self._opened(schema, added)
            has_sealed = self._db.execute(f"SELECT EXISTS (SELECT 1 FROM {sealed_table})").fetchone()[0]  # noqa: S608 - ours
        except sqlite3.Error as error:
            raise StoreUnusableError(f"{self._path} cannot be opened ({type(error).__name__}): restore it") from error
        if has_sealed and not self.seal.path.exists():
            self._db.close()
            raise StoreUnusableError(
                f"{self.seal.path} is missing, and {self._path} cannot be read without it: restore it"
            )
        if has_sealed:
            self.seal.key()

    def _opened(self, schema: str, added: Iterable[tuple[str, str, str]]) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10.0)
        for setting in _SETTINGS:
            db.execute(setting)
        for table, name, declared in added:
            known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            if known and name not in known:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {declared}")
        db.executescript(schema)
        self._path.chmod(0o600)
        return db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what a block does, durably, or nothing of it.

        Raises
        ------
        NoRoomError
            The disk is full or cannot be written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    _log.warning("store_not_written", store=self._path.stem, error=error.sqlite_errorname)
                    raise NoRoomError from error
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read in a block."""
        with self._lock:
            yield self._db

    def check_room(self, size: int) -> None:
        """Raise `NoRoomError` when the disk would be too full with so many bytes more."""
        try:
            free = shutil.disk_usage(self._path.parent).free
        except OSError as error:
            raise NoRoomError from error
        if free < self._min_free_bytes + size:
            raise NoRoomError

    def give_back(self) -> None:
        """Give pages that nothing uses any more back to the disk, some at a time."""
        with self._lock:
            # As a script: `execute` takes one step, which frees one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({_PAGES_FREED_AT_ONCE})")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
