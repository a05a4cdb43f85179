"""What was read before: an unchanged file costs a look at its size and time, nothing more.

Files are known by a digest of their path: a file's name may be a person's. Losing this memory costs a reading of every
file, and nothing else: rows count once by their own identity.
"""

import contextlib
import hashlib
from collections.abc import Set
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from collectors.archive import write_durably
from collectors.errors import NoRoomError
from collectors.folders import FileState

MEMORY_FILE: Final = "files-read.json"
_REMEMBERED: Final = 10_000


class Read(msgspec.Struct, frozen=True):
    """How one file was read for one device with one map.

    `recipe` is a digest of the map and of what it is read against; `code` says what became of the file, `kept` names
    the object that holds its rejects.
    """

    state: FileState
    digest: str
    recipe: str
    code: str
    read_at: datetime
    why: str = ""
    rows: int = 0
    new: int = 0
    seen: int = 0
    repeated: int = 0
    left_out: int = 0
    rejected: dict[str, int] = {}
    kept: str = ""
    kept_digest: str = ""


class Memory:
    """What one site has read; of one thread.

    Parameters
    ----------
    data_dir
        The site's data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path, self._is_saved = data_dir / MEMORY_FILE, True
        try:
            self._read = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Read])
        except (OSError, msgspec.DecodeError):
            self._read = {}

    def of(self, key: str) -> Read | None:
        """Return how a file was read the last time, or None."""
        return self._read.get(key)

    def remember(self, key: str, read: Read) -> None:
        """Remember how a file was read; `save` writes it down."""
        self._read.pop(key, None)
        self._read[key] = read
        self._is_saved = False

    def forget_all_but(self, present: Set[str]) -> None:
        """Forget the oldest of what is gone, where it is much; what lies there is remembered, however much it is."""
        gone = [key for key in self._read if key not in present]
        for key in gone[: max(0, len(self._read) - _REMEMBERED)]:
            del self._read[key]

    def save(self) -> None:
        """Write down what was remembered since; without room on the disk, later."""
        if self._is_saved:
            return
        with contextlib.suppress(NoRoomError):
            write_durably(self._path, msgspec.json.encode(self._read), mode=0o600)
            self._is_saved = True


def key_of(relative: str, device: str, title: str) -> str:
    """Return what a file, read for a device with a map, is remembered by."""
    return hashlib.sha256("\0".join((relative, device, title)).encode("utf-8", "surrogateescape")).hexdigest()
