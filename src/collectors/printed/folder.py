"""The folder that scanners' consoles print to: each PDF is taken once it is complete.

Names of files say nothing here: a printer driver names a file after a patient.
"""

import stat
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collectors import metrics
from collectors.printed.reports import PRINTED, Became
from collectors.printed.settings import PrintedSettings

_TRAILER_BYTES: Final = 1024
"""A PDF's end mark stands in its last kilobyte."""

_log: Final = structlog.get_logger("collectors.printed")


class _State(msgspec.Struct, frozen=True):
    """A file as it was seen; another size or time is another state."""

    size: int
    changed_ns: int


class _Seen(msgspec.Struct, frozen=True):
    state: _State
    since: datetime


class ReportFolder:
    """Watches one folder, from `start` to `stop`.

    Parameters
    ----------
    folder
        The folder; files in folders below it are not looked at.
    receive
        Takes the bytes of a complete file.
    settings
        How often to look, the largest file, and how long to wait for the end of one.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self,
        folder: Path,
        receive: Callable[[bytes, datetime], Became],
        settings: PrintedSettings,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder, self._receive, self._settings, self._clock = folder, receive, settings, clock
        self._seen: dict[Path, _Seen] = {}
        self._left: dict[Path, _State] = {}
        self._trouble = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="printed reports", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a file that is being read is finished first."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(self._settings.timeout_s + 5.0)

    def look(self) -> None:
        """Look once: take what is complete, leave what is not."""
        try:
            files = self._files()
        except OSError as error:
            self._say(type(error).__name__)
            return
        self._say("")
        self._seen = {path: seen for path, seen in self._seen.items() if path in files}
        self._left = {path: state for path, state in self._left.items() if path in files}
        for path, state in files.items():
            if self._stopped.is_set():
                return
            if self._left.get(path) != state and self._is_steady(path, state):
                self._take(path, state)

    def _keep_looking(self) -> None:
        while not self._stopped.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - one file must not end the watch; its name stays unsaid
                _log.error("printed_folder_failed", error=type(error).__name__)
            self._stopped.wait(self._settings.poll_s)

    def _files(self) -> dict[Path, _State]:
        """Return the plain files that may be reports, the oldest first; links lead elsewhere and are left alone."""
        found: dict[Path, _State] = {}
        for path in self._folder.iterdir():
            if path.suffix.lower() == ".pdf" and not path.name.startswith("."):
                state = _state(path)
                if state:
                    found[path] = state
        return dict(sorted(found.items(), key=lambda item: (item[1].changed_ns, item[0].name)))

    def _is_steady(self, path: Path, state: _State) -> bool:
        """Whether the file was the same the last time."""
        seen = self._seen.get(path)
        if seen and seen.state == state:
            return True
        self._seen[path] = _Seen(state, self._clock())
        return False

    def _take(self, path: Path, state: _State) -> None:
        if state.size > self._settings.max_bytes:
            self._leave(path, state, "too_large")
            return
        try:
            data = path.read_bytes()
        except OSError:  # still held by who writes it
            return
        waited = self._clock() - self._seen[path].since
        if len(data) != state.size:
            return
        if b"%%EOF" not in data[-_TRAILER_BYTES:] and waited < timedelta(seconds=self._settings.give_up_s):
            return
        became = self._receive(data, self._clock())
        if became.code == "unavailable":
            return
        if not became.may_go or not self._removed(path, state):
            self._left[path] = state

    def _removed(self, path: Path, state: _State) -> bool:
        """Remove a file that was taken, unless it was written anew since: then it is another one."""
        try:
            if _state(path) == state:
                path.unlink()  # undone by a power cut, it is read again and counts once
        except OSError as error:
            _log.warning("printed_report_not_removed", error=type(error).__name__)
            return False
        return True

    def _leave(self, path: Path, state: _State, code: str) -> None:
        self._left[path] = state
        PRINTED.labels(metrics.UNKNOWN_DEVICE, code).inc()
        _log.warning("printed_report_left", code=code)

    def _say(self, trouble: str) -> None:
        """Log that the folder cannot be read, or can again; once."""
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("printed_folder", trouble=trouble or "none any more")


def _state(path: Path) -> _State | None:
    try:
        found = path.lstat()
    except OSError:  # it went while we looked
        return None
    return _State(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
