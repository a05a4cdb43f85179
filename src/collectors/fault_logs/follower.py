"""A thread that follows one log file: a share on a network that hangs stops no other.

What was read is known after a crash: the mark is made durable at the start of each line that becomes a fact, before
the fact is recorded. So what is read again holds at most that one fact, which the log knows by its identity, and lines
that came to nothing while the same faults were open; no line is judged against what came after it.
"""

import hashlib
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collectors.archive import write_durably
from collectors.errors import NoRoomError
from collectors.fault_logs.keeper import LogKeeper, LogLine
from collectors.fault_logs.metrics import LOST
from collectors.fault_logs.syslog import text_from_bytes
from collectors.fault_logs.tail import FileTail, Mark, TailLine
from streams.messages import Draft
from streams.site import SiteUnavailableError

POLL_S: Final = 1.0
RETRY_S: Final = 0.5


class FileFollower:
    """Follows a file from `start` to `stop`.

    Parameters
    ----------
    keeper
        What its lines come to.
    path
        The file.
    mark_path
        Where it is kept how far the file was read.
    poll_s
        How often to look.
    """

    def __init__(self, keeper: LogKeeper, path: Path, mark_path: Path, *, poll_s: float = POLL_S) -> None:
        self._keeper, self._path, self._mark_path, self._poll_s = keeper, path, mark_path, poll_s
        self._saved = _mark(mark_path)
        self._tail = FileTail(path, self._saved, lambda: secrets.token_hex(8), self._lost)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log {keeper.device}", daemon=True)
        self._why = ""
        self._logger = structlog.get_logger("collectors.fault_logs").bind(device=keeper.device)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End after the line at hand."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            lines = self._polled()
            if not self._take(lines):
                break
            if not lines:
                self._stopped.wait(self._poll_s)
        self._tail.close()

    def _polled(self) -> list[TailLine]:
        try:
            lines = self._tail.poll()
        except OSError as error:
            self._tail.close()
            self._say(error.strerror or type(error).__name__)
            return []
        self._say("")
        return lines

    def _take(self, lines: Sequence[TailLine]) -> bool:
        """Record what lines come to, however long that takes; False where the site ends before."""
        self._keeper.look()
        for line in lines:
            digest = hashlib.sha256(line.data).hexdigest()
            place = ("file", str(self._path), line.mark.generation, str(line.mark.offset), digest)
            draft = self._keeper.judge(LogLine(place, text_from_bytes(line.data)))
            if draft is not None and not self._recorded(line.mark, draft):
                return False
        return self._tail.mark is None or self._kept(self._tail.mark)

    def _recorded(self, mark: Mark, draft: Draft) -> bool:
        while self._kept(mark):
            try:
                self._keeper.record([draft])
            except SiteUnavailableError:
                if self._stopped.wait(RETRY_S):
                    return False
            else:
                return True
        return False

    def _kept(self, mark: Mark) -> bool:
        """Make a mark durable, however long that takes; False where the site ends before."""
        while mark != self._saved:
            try:
                write_durably(self._mark_path, msgspec.json.encode(mark))
            except NoRoomError:
                if self._stopped.wait(RETRY_S):
                    return False
            else:
                self._saved = mark
        return True

    def _lost(self, why: str) -> None:
        LOST.labels(self._keeper.device, why).inc()
        self._logger.warning("log_lines_lost", why=why)

    def _say(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._logger.warning("log_file", why=why or "readable again")


def _mark(path: Path) -> Mark | None:
    """Return how far a file was read, or None where that is not known: a damaged mark is as good as none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except (OSError, msgspec.DecodeError):
        return None
