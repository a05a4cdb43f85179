"""What scanners have asked to have committed and were not told yet: durable, sealed, bounded."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collectors.dicom.pacs import metrics
from collectors.dicom.pacs.commitment import Request
from collectors.errors import CollectorError, NoRoomError
from collectors.sealed_store import SealedStore
from collectors.sealing import SealBrokenError
from collectors.settings import PROMISES_KEPT_S

MAX_PROMISES: Final = 2_000
MAX_OF_ONE_DEVICE: Final = 500
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_BYTES_OF_ONE_DEVICE: Final = 4 * 1024 * 1024
"""No scanner takes the room of all the others."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS promises (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    asked_at REAL NOT NULL,
    transaction_uid TEXT NOT NULL DEFAULT '',
    objects INTEGER NOT NULL DEFAULT 1,
    size INTEGER NOT NULL DEFAULT 0,
    sealed BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS promises_by_transaction ON promises (device, transaction_uid)
    WHERE transaction_uid <> '';
"""
_ADDED: Final = (
    ("promises", "transaction_uid", "TEXT NOT NULL DEFAULT ''"),
    ("promises", "objects", "INTEGER NOT NULL DEFAULT 1"),
    ("promises", "size", "INTEGER NOT NULL DEFAULT 0"),
)

_log: Final = structlog.get_logger("collectors.dicom.pacs")


class TransactionInUseError(CollectorError):
    """Another request of this scanner has this transaction UID; ask under one of its own."""

    code = "transaction_in_use"


class Promise(msgspec.Struct, frozen=True):
    """A scanner's request that is to be answered, without what it asks about."""

    id: int
    device: str
    calling_ae: str
    asked_at: float
    objects: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Promises:
    """The requests of one site's scanners; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder.
    min_free_bytes
        None is taken when the disk has less left.
    clock
        Says what time it is, UTC.
    """

    def __init__(self, data_dir: Path, *, min_free_bytes: int = 0, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._store = SealedStore(
            data_dir, "commitments", _SCHEMA, sealed_table="promises", added=_ADDED, min_free_bytes=min_free_bytes
        )

    def add(self, device: str, calling_ae: str, request: Request) -> None:
        """Keep a request; the same one again is no second promise.

        Raises
        ------
        NoRoomError
            Too many wait, or too large ones, of this device or of all; or the disk is full.
        TransactionInUseError
            The device has asked about other objects under this transaction UID, and was not told yet.
        """
        sealed = self._store.seal.close(device, msgspec.json.encode(request))
        self._store.check_room(len(sealed))
        with self._store.transaction() as db:
            if (known := self._known(db, device, request.transaction_uid)) is not None:
                if known.references != request.references:
                    raise TransactionInUseError
                return
            _check_room(db, device, len(sealed))
            db.execute(
                "INSERT INTO promises (device, calling_ae, asked_at, transaction_uid, objects, size, sealed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (device, calling_ae, self.now(), request.transaction_uid, len(request.references), len(sealed), sealed),
            )

    def _known(self, db: sqlite3.Connection, device: str, transaction_uid: str) -> Request | None:
        """Return what a device has asked under a transaction UID; one that cannot be read any more gives way."""
        own = (device, transaction_uid)
        row = db.execute("SELECT sealed FROM promises WHERE device = ? AND transaction_uid = ?", own).fetchone()
        try:
            return None if row is None else self._opened(device, row[0])
        except SealBrokenError:
            db.execute("DELETE FROM promises WHERE device = ? AND transaction_uid = ?", own)
            return None

    def open(self) -> list[Promise]:
        """Return what is to be answered, oldest first; what is too old is forgotten, and said."""
        with self._store.reading() as db:
            rows = db.execute("SELECT id, device, calling_ae, asked_at, objects FROM promises ORDER BY id").fetchall()
        promises = [Promise(*row) for row in rows]
        too_old = {one for one in promises if not -PROMISES_KEPT_S <= self.now() - one.asked_at <= PROMISES_KEPT_S}
        for promise in too_old:
            self.done(promise)
            metrics.SCANNER_COMMITMENTS.labels(promise.device, "forgotten").inc(promise.objects)
            _log.error("commitment_forgotten", device=promise.device, objects=promise.objects)
        return [one for one in promises if one not in too_old]

    def request(self, promise: Promise) -> Request:
        """Return what a scanner asked.

        Raises
        ------
        SealBrokenError
            It was changed on the disk.
        """
        with self._store.reading() as db:
            row = db.execute("SELECT sealed FROM promises WHERE id = ?", (promise.id,)).fetchone()
        return self._opened(promise.device, row[0] if row else b"")

    def _opened(self, device: str, sealed: bytes) -> Request:
        return msgspec.json.decode(self._store.seal.open(device, sealed), type=Request)

    def done(self, promise: Promise) -> None:
        """Note that a request is answered, or never will be."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM promises WHERE id = ?", (promise.id,))

    def now(self) -> float:
        """Return the time."""
        return self._clock().timestamp()

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _check_room(db: sqlite3.Connection, device: str, size: int) -> None:
    """Raise `NoRoomError` when a request of this size is too much for one device, or for all."""
    measure = "SELECT count(*), coalesce(sum(size), 0) FROM promises"
    count, total = db.execute(measure).fetchone()
    own_count, own_total = db.execute(f"{measure} WHERE device = ?", (device,)).fetchone()
    if count >= MAX_PROMISES or own_count >= MAX_OF_ONE_DEVICE:
        raise NoRoomError
    if total + size > MAX_BYTES or own_total + size > MAX_BYTES_OF_ONE_DEVICE:
        raise NoRoomError
