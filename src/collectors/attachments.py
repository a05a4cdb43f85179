"""Files that people add to the equipment log: kept by their content, sealed, in the site's data folder.

A site runs without them: a store that cannot be opened refuses files and says why, and the gates go on.
"""

import hashlib
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from collectors.errors import CollectorError, NoRoomError
from collectors.sealed_store import SealedStore, StoreUnusableError
from collectors.sealing import SealBrokenError
from streams.attachments import FileStoreError, KeptFile, media_type

NAME: Final = "attachments"
MIN_FREE_BYTES: Final = 500_000_000
"""What the disk must have left after a file is kept: the log itself needs room too."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS files (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    kept_at TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
"""

_log: Final = structlog.get_logger("collectors.attachments")


class Attachments:
    """The site's files (see `streams.attachments.FileStore`); safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder; the files are ``attachments.sqlite`` and ``attachments.key`` in it.
    min_free_bytes
        How much of the disk must stay free.
    """

    def __init__(self, data_dir: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._data_dir = data_dir
        self._min_free_bytes = min_free_bytes
        self._lock = threading.Lock()
        self._store: SealedStore | None = None

    def keep(self, data: bytes) -> KeptFile:
        """Keep a file durably; one that is there already, and can be opened, is not kept twice."""
        kept = KeptFile(hashlib.sha256(data).hexdigest(), media_type(data), len(data))
        store = self._opened()
        try:
            if self._is_kept(store, kept.digest):
                return kept
            store.check_room(len(data))
            sealed = store.seal.close(kept.digest, data)
            row = (kept.digest, kept.media_type, kept.size, datetime.now(UTC).isoformat(), sealed)
            with store.transaction() as db:
                db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", row)
        except (NoRoomError, sqlite3.Error) as error:
            _log.error("file_not_kept", error=type(error).__name__)
            raise FileStoreError(
                "The file could not be kept: the disk is nearly full, or cannot be written. Nothing was recorded."
            ) from error
        return kept

    def read(self, digest: str) -> bytes:
        """Return a file as it came."""
        store = self._opened()
        try:
            return self._read(store, digest)
        except KeyError as error:
            _log.error("file_missing", digest=digest)
            raise FileStoreError(
                "The file is in the record, and not in the store: restore it from a backup."
            ) from error
        except (SealBrokenError, sqlite3.Error) as error:
            _log.error("file_unreadable", digest=digest, error=type(error).__name__)
            raise FileStoreError(
                "The file cannot be opened: it was changed, or its key is another. Restore attachments.sqlite and"
                " attachments.key from one backup."
            ) from error

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    @staticmethod
    def _read(store: SealedStore, digest: str) -> bytes:
        with store.reading() as db:
            row = db.execute("SELECT sealed FROM files WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise KeyError(digest)
        data = store.seal.open(digest, row[0])
        if hashlib.sha256(data).hexdigest() != digest:
            raise SealBrokenError
        return data

    def _is_kept(self, store: SealedStore, digest: str) -> bool:
        """Whether a file is there and whole: a damaged one is kept anew."""
        try:
            self._read(store, digest)
        except (KeyError, SealBrokenError):
            return False
        return True

    def _opened(self) -> SealedStore:
        """Return the store, opened at its first use; one that could not be opened is tried again."""
        with self._lock:
            if self._store is None:
                try:
                    self._store = SealedStore(
                        self._data_dir, NAME, _SCHEMA, sealed_table="files", min_free_bytes=self._min_free_bytes
                    )
                except (StoreUnusableError, CollectorError, OSError) as error:
                    _log.error("attachments_unusable", error=type(error).__name__)
                    raise FileStoreError(
                        "The store of files cannot be opened: the system's administrator restores attachments.sqlite"
                        " and attachments.key in the data folder from one backup."
                    ) from error
            return self._store
