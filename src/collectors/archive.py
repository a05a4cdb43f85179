"""Phantom objects, kept whole; what was refused, kept apart.

Bonewatch's archive is not the clinical archive: it holds phantom scans as evidence. A refused object that may be a
patient's is encrypted with a key of this site and expires.
"""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Set
from datetime import datetime
from pathlib import Path
from typing import Final

from collectors.errors import NoRoomError

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_OTHER: Final = re.compile(r"\.[0-9a-f]{16}\Z")
_LOCKS: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


class Archive:
    """Part-10 files under ``<data_dir>/archive/<device>/<yyyy>/<mm>/``, durable when `store` returns.

    Parameters
    ----------
    data_dir
        The site's data folder; made if absent.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._root = data_dir / "archive"
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def store(self, device: str, sop_instance_uid: str, data: bytes, *, received_at: datetime) -> tuple[Path, bool]:
        """Keep an object; return its path and whether it is new here.

        An object with the same content as one kept before is not written again. One with other content is written
        beside it: which of the two counts is for the log to say.

        Raises
        ------
        NoRoomError
            The disk is full or cannot be written; nothing is left behind.
        ValueError
            The UID is no UID.
        """
        if not _UID.fullmatch(sop_instance_uid):
            raise ValueError("a SOP Instance UID has digits and points only")
        device_folder = self._root / folder_name(device)
        with self._locks[hash((device, sop_instance_uid)) % _LOCKS]:  # the disk syncs several objects at once
            if kept := self._same(device_folder, sop_instance_uid, data):
                return kept, False
            folder = device_folder / f"{received_at:%Y}" / f"{received_at:%m}"
            first, other = _names(sop_instance_uid, data)
            path = folder / (other if (folder / first).exists() else first)
            write_durably(path, data)
            return path, True

    def copies(self, device: str, sop_instance_uid: str) -> list[Path]:
        """Return every file that may hold an object of that UID: its name says so, its content must be looked at."""
        return self.copies_of(device, {sop_instance_uid}).get(sop_instance_uid, [])

    def copies_of(self, device: str, sop_instance_uids: Set[str]) -> dict[str, list[Path]]:
        """Return the copies of many UIDs, of those that have any: each folder is listed once for all of them."""
        found = dict[str, list[Path]]()
        for folder in (self._root / folder_name(device)).glob("*/*"):
            for path in folder.iterdir() if folder.is_dir() and sop_instance_uids else ():
                for uid in _uids_of(path.name) & sop_instance_uids:
                    found.setdefault(uid, []).append(path)
        return {uid: sorted(paths) for uid, paths in found.items()}

    def others(self, device: str, sop_instance_uid: str, *, than: Path) -> bool:
        """Whether another object of that UID is kept for the device."""
        device_folder = self._root / folder_name(device)
        paths = (folder / f"{sop_instance_uid}.dcm" for folder in device_folder.glob("*/*"))
        return any(path != than and path.exists() for path in paths)

    @staticmethod
    def remove(path: Path) -> None:
        """Remove a kept object, durably; a missing one is no error."""
        path.unlink(missing_ok=True)
        sync_folder(path.parent)

    @staticmethod
    def _same(device_folder: Path, uid: str, data: bytes) -> Path | None:
        """Look in every month by name: a folder may hold thousands of objects, and is not listed."""
        for folder in device_folder.glob("*/*"):
            for path in (folder / name for name in _names(uid, data)):
                with contextlib.suppress(FileNotFoundError):  # not there, or just removed
                    if path.read_bytes() == data:
                        return path
        return None


def _names(uid: str, data: bytes) -> tuple[str, str]:
    """Return the name of the first object of a UID, and the one of this content if it is not the first."""
    return f"{uid}.dcm", f"{uid}.{hashlib.sha256(data).hexdigest()[:16]}.dcm"


def _uids_of(name: str) -> set[str]:
    """Return the UIDs of which a file of this name may be a copy: what looks like a hash may be a UID's last part."""
    stem = name.removesuffix(".dcm")
    return {stem, _OTHER.sub("", stem)} if stem != name else set()


def folder_name(device: str) -> str:
    """Return a device's name as a folder's: its part after the site, safe characters only."""
    return _UNSAFE.sub("_", device.rsplit("/", 1)[-1]).strip(".") or "unknown"


def write_durably(path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Write a file whole or not at all; once this returns, a power cut does not undo it.

    Raises
    ------
    NoRoomError
        If the disk is full or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        _make_folder(path.parent)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise NoRoomError from error


def sync_folder(folder: Path) -> None:
    """Make what was renamed in or removed from a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each made durable in its own parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)
