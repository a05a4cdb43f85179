"""Refused objects, kept with the reason, bounded in number and bytes.

Beside each object lies a JSON sidecar: code, device, received_at, size, sha256, expiry; nothing of the data set.
Files are named by time and chance. An object that may be a patient's is encrypted (AES-256-GCM) with the key of
this site, `<data_dir>/quarantine.key`, made at first use and readable by the site alone.
"""

import contextlib
import hashlib
import secrets
import shutil
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collectors import metrics
from collectors.archive import write_durably
from collectors.errors import CollectorError, NoRoomError
from collectors.sealing import Seal, SealBrokenError
from collectors.settings import QuarantineLimits

_log: Final = structlog.get_logger("collectors.quarantine")


class QuarantineError(CollectorError):
    """A quarantined object cannot be opened: its key is another's, or its bytes were changed."""

    code = "quarantine"


class Sidecar(msgspec.Struct, frozen=True):
    """Why an object was refused, and what is known of it without looking inside."""

    code: str
    reason: str
    device: str
    received_at: datetime
    size: int
    sha256: str
    encrypted: bool
    expires_at: datetime


class _Kept(msgspec.Struct, frozen=True):
    size: int
    expires_at: datetime
    of_known_device: bool


class Quarantine:
    """The refused objects of one site; safe from any thread.

    Parameters
    ----------
    data_dir
        The site's data folder; objects go to a folder in it.
    name
        Of that folder, and of its key: another name keeps what was taken apart from what was refused.
    limits
        How much is kept. The oldest objects go first, but those of callers that are not configured before any
        other: anybody can send them, and they must not drive out evidence. None is written when the disk has less
        than `min_free_bytes` left. All that goes or is not kept is counted.
    """

    def __init__(self, data_dir: Path, limits: QuarantineLimits | None = None, *, name: str = "quarantine") -> None:
        self._folder = data_dir / name
        self._seal = Seal(data_dir / f"{name}.key")
        self._limits = limits or QuarantineLimits()
        self._lock = threading.Lock()
        self._kept = self._found()
        self._bytes = sum(kept.size for kept in self._kept.values())

    def keep(
        self, error: CollectorError, device: str, data: bytes, *, received_at: datetime, encrypted: bool = True
    ) -> Path | None:
        """Keep a refused object; return its path, or None when there was no room for it (which is counted)."""
        return self.hold(error.code, str(error), device, data, received_at=received_at, encrypted=encrypted)

    def hold(
        self, code: str, reason: str, device: str, data: bytes, *, received_at: datetime, encrypted: bool = True
    ) -> Path | None:
        """Keep any object until it expires; as `keep` does."""
        expires_at = received_at + timedelta(days=self._limits.keep_days)
        sidecar = Sidecar(
            code, reason, device, received_at, len(data), hashlib.sha256(data).hexdigest(), encrypted, expires_at
        )
        with self._lock:
            self._drop_expired(received_at)
            if not self._disk_has_room() or not self._make_room(len(data), of_known_device=_is_known(device)):
                metrics.QUARANTINE_DROPPED.labels("no_room").inc()
                return None
            return self._write(sidecar, data)

    def expire(self, now: datetime) -> None:
        """Remove what has been kept long enough; keeping another object does so too.

        What cannot be removed is logged and tried again the next time.
        """
        with self._lock:
            self._drop_expired(now)

    def open(self, path: Path) -> bytes:
        """Return a kept object as it was received.

        Raises
        ------
        QuarantineError
            If it was encrypted with another key, or changed since.
        """
        stored = path.read_bytes()
        if path.suffix != ".enc":
            return stored
        try:
            return self._seal.open(path.stem, stored)
        except SealBrokenError as error:
            raise QuarantineError("the object was encrypted with another key, or was changed") from error

    def has(self, name: str) -> bool:
        """Whether an object of that file name is still kept."""
        with self._lock:
            return self._folder / name in self._kept

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def _write(self, sidecar: Sidecar, data: bytes) -> Path | None:
        name = f"{sidecar.received_at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(6)}"
        path = self._folder / f"{name}.{'enc' if sidecar.encrypted else 'dcm'}"
        try:
            content = self._seal.close(name, data) if sidecar.encrypted else data
            write_durably(path, content)
            write_durably(path.with_suffix(".json"), msgspec.json.encode(sidecar))
        except NoRoomError:
            with contextlib.suppress(OSError):
                path.unlink()
            metrics.QUARANTINE_DROPPED.labels("no_room").inc()
            return None
        self._kept[path] = _Kept(len(content), sidecar.expires_at, _is_known(sidecar.device))
        self._bytes += len(content)
        return path

    def _disk_has_room(self) -> bool:
        folder = self._folder if self._folder.exists() else self._folder.parent
        return not folder.exists() or shutil.disk_usage(folder).free > self._limits.min_free_bytes

    def _drop_expired(self, now: datetime) -> None:
        for path in [path for path, kept in self._kept.items() if kept.expires_at <= now]:
            self._drop(path, "expired")

    def _make_room(self, size: int, *, of_known_device: bool) -> bool:
        """Drop the oldest until an object fits, unknown callers' first; return whether it does."""
        share = 1.0 if of_known_device else self._limits.unknown_share
        if size > share * self._limits.max_bytes or share * self._limits.max_objects < 1:
            return False
        unknown = [path for path, kept in self._kept.items() if not kept.of_known_device]
        known = [path for path, kept in self._kept.items() if kept.of_known_device]
        for path in [*unknown, *known] if of_known_device else unknown:
            if self._fits(size, of_known_device=of_known_device):
                return True
            self._drop(path, "evicted")
        return self._fits(size, of_known_device=of_known_device)

    def _fits(self, size: int, *, of_known_device: bool) -> bool:
        limits = self._limits
        if len(self._kept) >= limits.max_objects or self._bytes + size > limits.max_bytes:
            return False
        if of_known_device:
            return True
        sizes = [kept.size for kept in self._kept.values() if not kept.of_known_device]
        share = limits.unknown_share
        return len(sizes) + 1 <= share * limits.max_objects and sum(sizes) + size <= share * limits.max_bytes

    def _drop(self, path: Path, reason: str) -> None:
        """Remove an object and its sidecar; one that cannot be removed still counts as kept."""
        if _removed(path, path.with_suffix(".json")):
            self._bytes -= self._kept.pop(path).size
            metrics.QUARANTINE_DROPPED.labels(reason).inc()

    def _found(self) -> "OrderedDict[Path, _Kept]":
        """Return what an earlier run kept, oldest first; the rests of an interrupted write are removed."""
        kept: OrderedDict[Path, _Kept] = OrderedDict()
        for path in sorted(self._folder.glob("*")):
            sidecar = path.with_suffix(".json")
            if path.suffix in {".enc", ".dcm"} and (known := _read(sidecar)):
                kept[path] = _Kept(path.stat().st_size, known.expires_at, _is_known(known.device))
            elif path.suffix != ".json" or not _has_object(path):
                _removed(path)
        return kept


def _is_known(device: str) -> bool:
    return device != metrics.UNKNOWN_DEVICE


def _removed(*paths: Path) -> bool:
    """Remove files and return whether they are gone; one that stays is counted and logged by the error's type."""
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        name = type(error).__name__
        metrics.QUARANTINE_STUCK.labels(name).inc()
        _log.warning("quarantine_not_removed", error=name)
        return False
    return True


def _read(sidecar: Path) -> Sidecar | None:
    try:
        return msgspec.json.decode(sidecar.read_bytes(), type=Sidecar)
    except (OSError, msgspec.DecodeError):
        return None


def _has_object(sidecar: Path) -> bool:
    return any(sidecar.with_suffix(suffix).exists() for suffix in (".enc", ".dcm"))
