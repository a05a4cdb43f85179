"""Watching a folder that others write into: when a file is steady, and a thread that keeps looking."""

import stat
import threading
from collections.abc import Callable, Container
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

_log: Final = structlog.get_logger("collectors.folders")


class FileState(msgspec.Struct, frozen=True):
    """A file as it was seen; another size or time is another state."""

    size: int
    changed_ns: int


def state_of(path: Path) -> FileState | None:
    """Return how a plain file stands; None for what is none, or is gone: links lead elsewhere and are left alone."""
    try:
        found = path.lstat()
    except OSError:  # it went while we looked
        return None
    return FileState(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


class Steadiness:
    """How long files have been the same, from look to look."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[FileState, datetime]] = {}

    def steady_for(self, path: Path, state: FileState) -> timedelta | None:
        """Return for how long a file has been so; None where it was not so at the last look."""
        seen = self._seen.get(path)
        if seen is not None and seen[0] == state:
            return self._clock() - seen[1]
        self._seen[path] = (state, self._clock())
        return None

    def forget_all_but(self, paths: Container[Path]) -> None:
        """Forget the files that are gone."""
        self._seen = {path: seen for path, seen in self._seen.items() if path in paths}


class Watch:
    """Looks again and again, in a thread of its own, from `start` to `stop`.

    Parameters
    ----------
    look
        What is done each time; whatever it fails with ends that look, never the watch.
    name
        Of the watch, in the log: what it fails with is logged by its type, for a file's name may be a person's.
    every_s
        Seconds between two looks.
    finish_s
        How long `stop` waits for the look that is under way.
    """

    def __init__(self, look: Callable[[], None], name: str, *, every_s: float, finish_s: float) -> None:
        self._look, self._name, self._every_s, self._finish_s = look, name, every_s, finish_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name=name, daemon=True)
        self._trouble = ""

    @property
    def stopping(self) -> bool:
        """Whether it is to stop: a look with much to do ends early."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is under way is finished first."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(self._finish_s)

    def say(self, trouble: str) -> None:
        """Log that the folder cannot be read, or (empty) can again; once."""
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("folder", folder=self._name, trouble=trouble or "none any more")

    def _keep_looking(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - one file must not end the watch; its name stays unsaid
                _log.error("look_failed", folder=self._name, error=type(error).__name__)
            self._stopped.wait(self._every_s)
