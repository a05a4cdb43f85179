"""Patients' objects on their way to the PACS: durable before the scanner is answered, sealed, and sent as they came.

An object lies here until the PACS has it (or, with commitment, has promised to keep it). What was delivered and not
yet noted when the power went is sent twice; the PACS knows it by its SOP Instance UID.
"""

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from collectors.dicom.pacs import metrics
from collectors.dicom.received import ReceivedObject
from collectors.errors import NoRoomError
from collectors.sealed_store import SealedStore
from collectors.settings import Pacs
from streams.patience import doubled_s

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_TRANSACTION_DAYS: Final = 30.0
"""A PACS that commits later than this is asked again in any case."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    kept_at REAL NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    try_at REAL NOT NULL DEFAULT 0,
    asks INTEGER NOT NULL DEFAULT 0,
    ask_at REAL NOT NULL DEFAULT 0,
    was_sent INTEGER NOT NULL DEFAULT 0,
    broke_off INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sop_instance_uid, digest)
) STRICT;
CREATE INDEX IF NOT EXISTS objects_by_state ON objects (state, tries, id);
CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS transactions (uid TEXT NOT NULL, object INTEGER NOT NULL, asked_at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_uid ON transactions (uid);
CREATE TABLE IF NOT EXISTS delivered (
    uid TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    at REAL NOT NULL,
    sop_class_uid TEXT NOT NULL DEFAULT '',
    device TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivered_by_time ON delivered (at);
"""
_ADDED: Final = (
    ("objects", "was_sent", "INTEGER NOT NULL DEFAULT 0"),
    ("objects", "broke_off", "INTEGER NOT NULL DEFAULT 0"),
    ("delivered", "sop_class_uid", "TEXT NOT NULL DEFAULT ''"),
    ("delivered", "device", "TEXT NOT NULL DEFAULT ''"),
)
_COLUMNS: Final = (
    "id, device, calling_ae, sop_class_uid, sop_instance_uid, transfer_syntax, size, tries, kept_at, was_sent"
)
_MEASURE: Final = "SELECT count(*), coalesce(sum(size), 0) FROM objects"
_DUE: Final = (
    "(state = 'waiting' AND NOT try_at BETWEEN :now AND :most"
    " OR state = 'set_aside' AND NOT try_at BETWEEN :now AND :most_aside)"
)

_log: Final = structlog.get_logger("collectors.dicom.pacs")


class State(StrEnum):
    """Where an object stands: to be sent, sent and not yet committed, or refused too often."""

    WAITING = "waiting"
    SENT = "sent"
    SET_ASIDE = "set_aside"


class Standing(StrEnum):
    """What a scanner may be told of an object of its own.

    The PACS has it, will have it, has one of another class under its UID, or nobody here knows it.
    """

    SAFE = "safe"
    PENDING = "pending"
    OTHER_CLASS = "other_class"
    UNKNOWN = "unknown"


class Waiting(msgspec.Struct, frozen=True):
    """An object in the outbox, without its contents; `was_sent`: the PACS may have it, from an earlier time."""

    id: int
    device: str
    calling_ae: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    size: int
    tries: int
    kept_at: float
    was_sent: bool


class Totals(msgspec.Struct, frozen=True):
    """What is in the outbox now; `oldest_s` is of what is not set aside."""

    waiting: int
    sent: int
    set_aside: int
    bytes: int
    oldest_s: float


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Outbox:
    """The objects of one site that the PACS does not have yet; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder.
    settings
        Limits, and whether a delivered object waits for commitment.
    clock
        Says what time it is, UTC.

    Raises
    ------
    StoreUnusableError
        What an earlier run left cannot be read.
    """

    def __init__(self, data_dir: Path, settings: Pacs, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._settings, self._clock = settings, clock
        self._store = SealedStore(
            data_dir,
            "outbox",
            _SCHEMA,
            sealed_table="contents",
            added=_ADDED,
            min_free_bytes=settings.min_free_bytes,
        )
        self._lock = threading.Lock()
        with self._store.reading() as db:
            self._count, self._bytes = db.execute(_MEASURE).fetchone()
        self.news = threading.Event()
        self.let_go = 0
        """How many objects have gone since the start; whoever waits for one looks at this first."""
        self._got_through = 0
        self._broke_off: dict[int, int] = {}

    def keep(self, received: ReceivedObject, device: str) -> None:
        """Keep an object for the PACS; it is durable when this returns.

        The same object again is no second copy. Another content under a UID that was seen is forwarded too, and
        counted: the PACS judges it.

        Raises
        ------
        NoRoomError
            The outbox is full, or the disk.
        ValueError
            A UID is no UID.
        """
        if not all(_UID.fullmatch(uid) for uid in (received.sop_class_uid, received.sop_instance_uid)):
            raise ValueError("a UID has digits and points only")
        digest = hashlib.sha256(received.transfer_syntax.encode() + b"\n" + received.data).digest()
        with self._lock:
            code = self._write(received, device, digest)
        metrics.KEPT.labels(device, code).inc()
        if code == "conflict":
            _log.warning("object_with_other_content", device=device, sop_instance_uid=received.sop_instance_uid)
        self.news.set()

    def _write(self, received: ReceivedObject, device: str, digest: bytes) -> str:
        uid, size = received.sop_instance_uid, len(received.data)
        with self._store.reading() as db:
            known = db.execute("SELECT digest FROM objects WHERE sop_instance_uid = ?", (uid,)).fetchall()
            known += db.execute("SELECT digest FROM delivered WHERE uid = ?", (uid,)).fetchall()
            here = db.execute("SELECT id FROM objects WHERE sop_instance_uid = ? AND digest = ?", (uid, digest))
            if (row := here.fetchone()) is not None:
                with self._store.transaction() as writing:
                    again = "UPDATE objects SET state = 'waiting', tries = 0, try_at = 0"
                    writing.execute(f"{again} WHERE id = ? AND state = 'set_aside'", row)
                return "again"
        self._check_room(size)
        sealed = self._store.seal.close(uid, received.data)
        with self._store.transaction() as db:
            made = db.execute(
                "INSERT INTO objects (device, calling_ae, sop_class_uid, sop_instance_uid, transfer_syntax, digest,"
                " size, kept_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
                (device, received.calling_ae, received.sop_class_uid, uid, received.transfer_syntax, digest, size,
                 self._now()),
            )  # fmt: skip
            db.execute("INSERT INTO contents (id, sealed) VALUES (?, ?)", (made.lastrowid, sealed))
        self._count += 1
        self._bytes += size
        return "conflict" if any(other != digest for (other,) in known) else "kept"

    def _check_room(self, size: int) -> None:
        settings = self._settings
        if self._count >= settings.max_objects or self._bytes + size > settings.max_bytes:
            raise NoRoomError
        self._store.check_room(size)

    def callers(self) -> list[str]:
        """Return the calling AE titles from which objects may be sent now."""
        with self._store.reading() as db:
            rows = db.execute(f"SELECT DISTINCT calling_ae FROM objects WHERE {_DUE} ORDER BY 1", self._due_at())  # noqa: S608
            return [title for (title,) in rows.fetchall()]

    def due(self, limit: int, calling_ae: str | None = None) -> list[Waiting]:
        """Return what may be sent now, of one caller or all; what never made trouble first, then as it came."""
        with self._store.reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM objects WHERE {_DUE} AND calling_ae = coalesce(:caller, calling_ae)"  # noqa: S608
                " ORDER BY tries > 0 OR broke_off > 0, broke_off, id LIMIT :limit",
                self._due_at() | {"caller": calling_ae, "limit": limit},
            ).fetchall()
        return [_waiting(row) for row in rows]

    def _due_at(self) -> dict[str, object]:
        """Return the times that a due object's lies between: one further ahead was set by a clock that went wrong."""
        settings, now = self._settings, self._now()
        return {"now": now, "most": now + settings.retry_max_s, "most_aside": now + settings.set_aside_retry_s}

    def contents(self, waiting: Waiting) -> bytes:
        """Return an object's encoded data set, as the scanner sent it.

        Raises
        ------
        SealBrokenError
            It was changed on the disk.
        """
        with self._store.reading() as db:
            row = db.execute("SELECT sealed FROM contents WHERE id = ?", (waiting.id,)).fetchone()
        return self._store.seal.open(waiting.sop_instance_uid, row[0])

    def sending(self, waiting: Waiting) -> None:
        """Note, before it is sent, that the PACS may have an object without our learning of it."""
        if not waiting.was_sent:
            with self._store.transaction() as db:
                db.execute("UPDATE objects SET was_sent = 1 WHERE id = ?", (waiting.id,))

    def is_known_there(self, waiting: Waiting) -> bool:
        """Whether a PACS that has an object's UID has this very content: from us, from an earlier time, and no other.

        Without such evidence the PACS's object may be another, and ours would be lost.
        """
        with self._store.reading() as db:
            (digest,) = db.execute("SELECT digest FROM objects WHERE id = ?", (waiting.id,)).fetchone() or (b"",)
            sent = db.execute(
                "SELECT digest FROM objects"
                " WHERE sop_instance_uid = :uid AND id <> :id AND (state = 'sent' OR was_sent)"
                " UNION ALL SELECT digest FROM delivered WHERE uid = :uid",
                {"uid": waiting.sop_instance_uid, "id": waiting.id},
            ).fetchall()
        digests = {one for (one,) in sent} | ({digest} if waiting.was_sent else set())
        return digests == {digest}

    def delivered(self, waiting: Waiting) -> None:
        """Note that the PACS has taken an object: it is let go, or waits for commitment."""
        with self._lock, self._store.transaction() as db:
            if self._settings.commitment:
                db.execute(
                    "UPDATE objects SET state = 'sent', asks = 0, ask_at = 0, broke_off = 0 WHERE id = ?", (waiting.id,)
                )
            else:
                self._let_go(db, waiting.id)
        self._got_through += 1
        self._broke_off.pop(waiting.id, None)
        metrics.FORWARDED.labels(waiting.device).inc()

    def refused(self, waiting: Waiting, reason: str) -> None:
        """Note that an object was not taken; after too many times it is set aside."""
        metrics.REFUSED.labels(waiting.device, reason).inc()
        with self._store.transaction() as db:
            self._take_back(db, waiting)
            self._try_later(db, waiting, reason)

    def broke_off(self, waiting: Waiting, reason: str) -> None:
        """Note that the PACS broke off, or was silent, on an object: the others go first.

        It counts as a refusal only if another object got through since the PACS last broke off on this one: a PACS
        that answers nothing at all says nothing of any object.
        """
        metrics.REFUSED.labels(waiting.device, reason).inc()
        is_its_fault = self._got_through > self._broke_off.get(waiting.id, self._got_through)
        self._broke_off[waiting.id] = self._got_through
        with self._store.transaction() as db:
            db.execute("UPDATE objects SET broke_off = broke_off + 1 WHERE id = ?", (waiting.id,))
            if is_its_fault or self._is_aside(db, waiting):
                self._try_later(db, waiting, reason)

    def postponed(self, waiting: Waiting, reason: str) -> None:
        """Note that the PACS has no room for an object now: the others go first, and this one is never set aside."""
        metrics.REFUSED.labels(waiting.device, reason).inc()
        with self._store.transaction() as db:
            self._take_back(db, waiting)
            later = self._now() + self._settings.retry_max_s
            db.execute("UPDATE objects SET try_at = ? WHERE id = ?", (later, waiting.id))

    def _take_back(self, db: sqlite3.Connection, waiting: Waiting) -> None:
        """Note that this sending, at least, has not brought an object to the PACS."""
        db.execute("UPDATE objects SET was_sent = ? WHERE id = ?", (waiting.was_sent, waiting.id))

    def _is_aside(self, db: sqlite3.Connection, waiting: Waiting) -> bool:
        found = db.execute("SELECT 1 FROM objects WHERE id = ? AND state = 'set_aside'", (waiting.id,)).fetchone()
        return found is not None

    def _try_later(self, db: sqlite3.Connection, waiting: Waiting, reason: str) -> None:
        was_aside = self._is_aside(db, waiting)
        settings, tries = self._settings, waiting.tries + 1
        is_aside = tries >= settings.max_tries
        wait_s = settings.set_aside_retry_s if is_aside else doubled_s(settings.retry_s, tries, settings.retry_max_s)
        state = State.SET_ASIDE if is_aside else State.WAITING
        db.execute(
            "UPDATE objects SET state = ?, tries = ?, try_at = ? WHERE id = ?",
            (state, tries, self._now() + wait_s, waiting.id),
        )
        if is_aside and not was_aside:
            metrics.SET_ASIDE.labels(waiting.device).inc()
            _log.error(
                "object_set_aside", device=waiting.device, reason=reason, sop_instance_uid=waiting.sop_instance_uid
            )

    # --- commitment ----------------------------------------------------------------------------------------

    def uncommitted(self, limit: int) -> list[Waiting]:
        """Return what the PACS has and must now be asked to commit; what was asked too often is to be sent again."""
        settings, now = self._settings, self._now()
        times = (now, now + settings.commitment_timeout_s)  # as in `_due_at`
        with self._store.transaction() as db:
            db.execute(
                "UPDATE objects SET state = 'waiting', tries = tries + 1, was_sent = 1"
                " WHERE state = 'sent' AND asks >= ? AND NOT ask_at BETWEEN ? AND ?",
                (settings.commitment_asks, *times),
            )
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM objects WHERE state = 'sent' AND NOT ask_at BETWEEN ? AND ?"  # noqa: S608
                " ORDER BY id LIMIT ?",
                (*times, limit),
            ).fetchall()
        return [_waiting(row) for row in rows]

    def asked(self, transaction_uid: str, objects: Sequence[Waiting]) -> None:
        """Note, before it is asked, which objects a transaction is about."""
        now = self._now()
        with self._store.transaction() as db:
            db.executemany(
                "INSERT INTO transactions (uid, object, asked_at) VALUES (?, ?, ?)",
                [(transaction_uid, one.id, now) for one in objects],
            )
            db.executemany(
                "UPDATE objects SET asks = asks + 1, ask_at = ? WHERE id = ?",
                [(now + self._settings.commitment_timeout_s, one.id) for one in objects],
            )

    def is_asked(self, transaction_uid: str) -> bool:
        """Whether a transaction is ours and something of it is still open."""
        with self._store.reading() as db:
            found = db.execute("SELECT 1 FROM transactions WHERE uid = ? LIMIT 1", (transaction_uid,)).fetchone()
        return found is not None

    def commit(self, transaction_uid: str, committed: Iterable[str], failed: Iterable[str]) -> None:
        """Take the PACS's answer to a transaction of ours: what it keeps is let go, what it does not is sent again."""
        kept, lost = set(committed), set(failed)
        with self._lock, self._store.transaction() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM objects WHERE state = 'sent' AND id IN"  # noqa: S608 - ours
                " (SELECT object FROM transactions WHERE uid = ?)",
                (transaction_uid,),
            ).fetchall()
            for waiting in map(_waiting, rows):
                if waiting.sop_instance_uid in lost:
                    metrics.NOT_COMMITTED.labels(waiting.device).inc()
                    self._try_later(db, waiting, "not_committed")
                elif waiting.sop_instance_uid in kept:
                    metrics.COMMITTED.labels(waiting.device).inc()
                    self._let_go(db, waiting.id)
            db.execute("DELETE FROM transactions WHERE uid = ?", (transaction_uid,))
        self.news.set()

    def standing(self, device: str, sop_class_uid: str, sop_instance_uid: str) -> Standing:
        """Return what a device may be told of an object: of its own alone, and of the class that it says."""
        own = (sop_instance_uid, device)
        with self._store.reading() as db:
            here = db.execute("SELECT sop_class_uid FROM objects WHERE sop_instance_uid = ? AND device = ?", own)
            pending = {sop_class for (sop_class,) in here.fetchall()}
            # One that an earlier version delivered is of no known device and class.
            gone = db.execute("SELECT sop_class_uid FROM delivered WHERE uid = ? AND device IN (?, '')", own)
            safe = {sop_class or sop_class_uid for (sop_class,) in gone.fetchall()}
        if sop_class_uid in pending:
            return Standing.PENDING
        if sop_class_uid in safe:
            return Standing.SAFE
        return Standing.OTHER_CLASS if pending | safe else Standing.UNKNOWN

    # --- housekeeping --------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Return what is here now."""
        with self._store.reading() as db:
            rows = db.execute("SELECT state, count(*), sum(size), min(kept_at) FROM objects GROUP BY state").fetchall()
        counts = {state: count for state, count, _, _ in rows}
        oldest = min((kept_at for state, *_, kept_at in rows if state != State.SET_ASIDE), default=self._now())
        return Totals(
            waiting=counts.get(State.WAITING, 0),
            sent=counts.get(State.SENT, 0),
            set_aside=counts.get(State.SET_ASIDE, 0),
            bytes=sum(size for _, _, size, _ in rows),
            oldest_s=max(0.0, self._now() - oldest),
        )

    def tidy(self) -> None:
        """Forget what was delivered long ago, and give free pages back to the disk."""
        settings, now = self._settings, self._now()
        with self._store.transaction() as db:
            db.execute("DELETE FROM delivered WHERE at < ?", (now - settings.delivered_days * 86_400.0,))
            db.execute(
                "DELETE FROM delivered WHERE uid IN (SELECT uid FROM delivered ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (settings.delivered_max,),
            )
            db.execute("DELETE FROM transactions WHERE asked_at < ?", (now - _TRANSACTION_DAYS * 86_400.0,))
        self._store.give_back()
        with self._lock, self._store.reading() as db:
            self._count, self._bytes = db.execute(_MEASURE).fetchone()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _let_go(self, db: sqlite3.Connection, object_id: int) -> None:
        db.execute(
            "INSERT INTO delivered (uid, digest, at, sop_class_uid, device)"
            " SELECT sop_instance_uid, digest, ?, sop_class_uid, device FROM objects WHERE id = ?"
            " ON CONFLICT (uid) DO UPDATE SET digest = excluded.digest, at = excluded.at,"
            " sop_class_uid = excluded.sop_class_uid, device = excluded.device",
            (self._now(), object_id),
        )
        (size,) = db.execute("SELECT size FROM objects WHERE id = ?", (object_id,)).fetchone() or (None,)
        if size is not None:
            db.execute("DELETE FROM objects WHERE id = ?", (object_id,))
            db.execute("DELETE FROM contents WHERE id = ?", (object_id,))
            self._count -= 1
            self._bytes -= size
            self.let_go += 1

    def _now(self) -> float:
        return self._clock().timestamp()


def _waiting(row: Sequence[Any]) -> Waiting:
    return Waiting(*(*row[:-1], bool(row[-1])))
