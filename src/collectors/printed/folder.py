"""The folder that scanners' consoles print to: each PDF is taken once it is complete.

Names of files say nothing here: a printer driver names a file after a patient.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from collectors import metrics
from collectors.folders import FileState, Steadiness, Watch, state_of
from collectors.printed.reports import PRINTED, Became
from collectors.printed.settings import PrintedSettings

_TRAILER_BYTES: Final = 1024
"""A PDF's end mark stands in its last kilobyte."""

_log: Final = structlog.get_logger("collectors.printed")


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
        self._steadiness = Steadiness(clock)
        self._left: dict[Path, FileState] = {}
        self._watch = Watch(self.look, "printed reports", every_s=settings.poll_s, finish_s=settings.timeout_s + 5.0)

    def start(self) -> None:
        """Begin to look."""
        self._watch.start()

    def stop(self) -> None:
        """Stop; a file that is being read is finished first."""
        self._watch.stop()

    def look(self) -> None:
        """Look once: take what is complete, leave what is not."""
        try:
            files = self._files()
        except OSError as error:
            self._watch.say(type(error).__name__)
            return
        self._watch.say("")
        self._steadiness.forget_all_but(files)
        self._left = {path: state for path, state in self._left.items() if path in files}
        for path, state in files.items():
            if self._watch.stopping:
                return
            if self._left.get(path) == state:
                continue
            steady_for = self._steadiness.steady_for(path, state)
            if steady_for is not None:
                self._take(path, state, steady_for)

    def _files(self) -> dict[Path, FileState]:
        """Return the plain files that may be reports, the oldest first; links lead elsewhere and are left alone."""
        found: dict[Path, FileState] = {}
        for path in self._folder.iterdir():
            if path.suffix.lower() == ".pdf" and not path.name.startswith("."):
                state = state_of(path)
                if state:
                    found[path] = state
        return dict(sorted(found.items(), key=lambda item: (item[1].changed_ns, item[0].name)))

    def _take(self, path: Path, state: FileState, steady_for: timedelta) -> None:
        if state.size > self._settings.max_bytes:
            self._leave(path, state, "too_large")
            return
        try:
            data = path.read_bytes()
        except OSError:  # still held by who writes it
            return
        if len(data) != state.size:
            return
        if b"%%EOF" not in data[-_TRAILER_BYTES:] and steady_for < timedelta(seconds=self._settings.give_up_s):
            return
        became = self._receive(data, self._clock())
        if became.code == "unavailable":
            return
        if not became.may_go or not self._removed(path, state):
            self._left[path] = state

    def _removed(self, path: Path, state: FileState) -> bool:
        """Remove a file that was taken, unless it was written anew since: then it is another one."""
        try:
            if state_of(path) == state:
                path.unlink()  # undone by a power cut, it is read again and counts once
        except OSError as error:
            _log.warning("printed_report_not_removed", error=type(error).__name__)
            return False
        return True

    def _leave(self, path: Path, state: FileState, code: str) -> None:
        self._left[path] = state
        PRINTED.labels(metrics.UNKNOWN_DEVICE, code).inc()
        _log.warning("printed_report_left", code=code)
