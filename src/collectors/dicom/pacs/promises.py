"""What scanners have asked to have committed and were not told yet: durable, sealed, bounded."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from collectors.dicom.pacs.commitment import Request
from collectors.errors import NoRoomError
from collectors.sealed_store import SealedStore

MAX_PROMISES: Final = 2_000
KEPT_S: Final = 2 * 86_400.0
"""A scanner that could not be told for so long has asked again, or never will."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS promises (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    asked_at REAL NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
"""


class Promise(msgspec.Struct, frozen=True):
    """A scanner's request that is to be answered."""

    id: int
    device: str
    calling_ae: str
    asked_at: float
    request: Request


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Promises:
    """The requests of one site's scanners; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder.
    clock
        Says what time it is, UTC.
    """

    def __init__(self, data_dir: Path, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._store = SealedStore(data_dir, "commitments", _SCHEMA, sealed_table="promises")

    def add(self, device: str, calling_ae: str, request: Request) -> None:
        """Keep a request; NoRoomError when too many wait, or the disk is full."""
        sealed = self._store.seal.close(device, msgspec.json.encode(request))
        with self._store.transaction() as db:
            (count,) = db.execute("SELECT count(*) FROM promises").fetchone()
            if count >= MAX_PROMISES:
                raise NoRoomError
            db.execute(
                "INSERT INTO promises (device, calling_ae, asked_at, sealed) VALUES (?, ?, ?, ?)",
                (device, calling_ae, self.now(), sealed),
            )

    def open(self) -> list[Promise]:
        """Return what is to be answered, oldest first; what is too old is forgotten."""
        with self._store.reading() as db:
            rows = db.execute("SELECT id, device, calling_ae, asked_at, sealed FROM promises ORDER BY id").fetchall()
        promises = []
        for number, device, calling_ae, asked_at, sealed in rows:
            if self.now() - asked_at > KEPT_S:
                self.done(number)
                continue
            request = msgspec.json.decode(self._store.seal.open(device, sealed), type=Request)
            promises.append(Promise(number, device, calling_ae, asked_at, request))
        return promises

    def done(self, promise_id: int) -> None:
        """Note that a request is answered."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM promises WHERE id = ?", (promise_id,))

    def now(self) -> float:
        """Return the time."""
        return self._clock().timestamp()

    def close(self) -> None:
        """Close the file."""
        self._store.close()
