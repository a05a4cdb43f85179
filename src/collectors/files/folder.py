"""The folder that consoles export to: each file is read once it is complete, and again when it has changed.

The files belong to the consoles: unless it is so configured, they are never removed. What a file is called says nothing
here but whose it is, by the configured patterns.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from collectors.files.content import CONFLICT, NEVER_WHOLE
from collectors.files.errors import (
    ChangedError,
    EncodingError,
    FileRefusedError,
    InternalFileError,
    UnreadableFileError,
)
from collectors.files.intake import ROWS, Intake, Source, digest_of
from collectors.files.memory import Memory, Read, key_of
from collectors.files.retries import Retries
from collectors.files.settings import FilesSettings
from collectors.folders import FileState, Steadiness, Watch, state_of
from streams.site import SiteUnavailableError

_DEEPEST: Final = 3
MOST_FILES: Final = 5_000
_FINISH_S: Final = 30.0
_UNWANTED: Final = ("~$", ".")
"""How the names of lock files and of hidden ones begin."""

_log: Final = structlog.get_logger("collectors.files")


class _StoppedError(Exception):
    """The watch ends while a file is being taken."""


class ExportFolder:
    """Watches one folder and the folders in it, from `start` to `stop`.

    Parameters
    ----------
    folder
        The folder.
    sources
        Whose files are which, and how they are read; a file may be of several.
    intake
        Takes a complete file.
    memory
        What was read before.
    settings
        How often to look, and how long to wait for the end of a file.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        intake: Intake,
        memory: Memory,
        settings: FilesSettings,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder, self._sources, self._intake, self._memory = folder, sources, intake, memory
        self._settings = settings
        self._steadiness = Steadiness(clock)
        self._unreadable: dict[str, FileState] = {}
        self._not_opened: dict[str, FileState] = {}
        self._retries = Retries(timedelta(seconds=settings.poll_s), self._give_up, clock)
        for source in sources:
            ROWS.labels(source.device, CONFLICT)  # from the first: an alarm sees only what rises
        self._watch = Watch(self.look, "exported files", every_s=settings.poll_s, finish_s=_FINISH_S)

    def start(self) -> None:
        """Begin to look."""
        self._watch.start()

    def stop(self) -> None:
        """Stop; a file that is being read is broken off between two rows, and taken anew at the next start."""
        self._watch.stop()

    def look(self) -> None:
        """Look once: take what is complete and was not read so before, leave what is not."""
        try:
            self._look()
        finally:
            self._memory.save()

    def _look(self) -> None:
        try:
            closed = list[OSError]()
            files = dict(
                islice(files_in(self._folder, on_closed=lambda _folder, error: closed.append(error)), MOST_FILES)
            )
        except OSError as error:
            self._watch.say(type(error).__name__)
            return
        self._watch.say(_trouble(len(files), closed))
        self._steadiness.forget_all_but(files)
        most = MOST_FILES * len(self._sources)
        self._retries.forget_more_than(most)
        for told in (self._unreadable, self._not_opened):
            if len(told) > most:
                told.clear()
        present = set[str]()
        for path, state in sorted(files.items(), key=lambda item: (item[1].changed_ns, item[0].name)):
            if self._watch.stopping:
                return
            present |= self._look_at(path, state)
        self._memory.forget_all_but(present)

    def _look_at(self, path: Path, state: FileState) -> set[str]:
        """Take a file where it is complete and was not read so before; return what it is remembered by."""
        name = path.relative_to(self._folder).as_posix()
        sources = [source for source in self._sources if source.matches(name)]
        own = {key_of(name, source.device, source.title): source for source in sources}
        waiting = {key: source for key, source in own.items() if not self._is_read(key, source, state)}
        removes = bool(own) and self._settings.when_read == "delete"
        steady_for = self._steadiness.steady_for(path, state) if waiting or removes else None
        if steady_for is not None:
            for key, source in waiting.items():
                self._take(path, key, source, state, steady_for)
            if removes and steady_for >= self._unfinished:
                self._remove(path, own, state)
        return set(own)

    def _is_read(self, key: str, source: Source, state: FileState) -> bool:
        read = self._memory.of(key)
        if read is None or read.state != state or read.recipe != source.recipe:
            return False
        return read.code != InternalFileError.code or self._retries.is_given_up(key, state)  # a new start tries again

    def _take(self, path: Path, key: str, source: Source, state: FileState, steady_for: timedelta) -> None:
        if self._retries.is_waiting(key, state):
            return
        if self._unreadable.get(key) == state and steady_for < self._give_up:
            return
        read = self._read(path, key, source, state, steady_for)
        if read is not None:
            self._unreadable.pop(key, None)
            self._not_opened.pop(key, None)
            self._memory.remember(key, read)

    def _read(self, path: Path, key: str, source: Source, state: FileState, steady_for: timedelta) -> Read | None:
        """Return how a file was read or refused; None where it is to be tried again."""
        try:
            read = self._recorded(path, source, state, steady_for, self._memory.of(key))
        except (ChangedError, SiteUnavailableError, _StoppedError):
            return None  # the next look takes it, or the next start
        except FileRefusedError as error:
            if isinstance(error, UnreadableFileError | EncodingError) and steady_for < self._give_up:
                self._unreadable[key] = state  # it may only be half of a file
                return None
            return self._intake.refused(source, state, error)
        except OSError as error:  # still held by who writes it, or not ours to read
            if self._not_opened.get(key) != state:
                self._not_opened[key] = state
                _log.warning("file_not_opened", device=source.device, error=type(error).__name__)
            return None
        except Exception as error:  # noqa: BLE001 - one file must not keep the others from being read
            return None if self._watch.stopping else self._failed(key, source, state, error)
        self._retries.forget(key)
        return read

    def _recorded(
        self, path: Path, source: Source, state: FileState, steady_for: timedelta, before: Read | None
    ) -> Read:
        """Record what a file says, if it says anything else than at the last reading."""
        if not self._has_end(path, source, steady_for):
            raise ChangedError("the file has no end yet")
        if same := self._same_content(path, source, state, before):
            return same
        return self._intake.take(path, source, state, before=before, on_row=self._go_on, on_recorded=self._go_on).read

    def _failed(self, key: str, source: Source, state: FileState, error: Exception) -> Read | None:
        _log.error("file_failed", device=source.device, error=type(error).__name__)
        if not self._retries.failed(key, state):
            return None
        return self._intake.refused(source, state, InternalFileError("we failed to read it; the log says more"))

    def _go_on(self, _count: int, _of: int = 0) -> None:
        """Break off where the site stops: what was recorded counts, the rest is taken after the next start."""
        if self._watch.stopping:
            raise _StoppedError

    @property
    def _give_up(self) -> timedelta:
        return timedelta(seconds=self._settings.give_up_s)

    @property
    def _unfinished(self) -> timedelta:
        """After so long, nobody is in the middle of writing it."""
        return timedelta(seconds=self._settings.unfinished_s)

    def _has_end(self, path: Path, source: Source, steady_for: timedelta) -> bool:
        """Whether a CSV ends with a line's end: else its last number may be half a number."""
        if source.column_map.csv is None or steady_for >= self._unfinished:
            return True
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - 2))
            return file.read(2).endswith((b"\n", b"\r", b"\n\x00", b"\x00\n"))

    def _same_content(self, path: Path, source: Source, state: FileState, before: Read | None) -> Read | None:
        """Return the last reading's account where only the file's time is another."""
        if before is None or before.recipe != source.recipe or before.state.size != state.size or not before.digest:
            return None
        if before.kept and not self._intake.keeps(before):
            return None
        with path.open("rb") as file:
            is_same = digest_of(file) == before.digest
        return replace(before, state=state) if is_same else None

    def _remove(self, path: Path, keys: Iterable[str], state: FileState) -> None:
        """Remove a file that every source has read, each row of it recorded or kept, and that was not written since."""
        for key in keys:
            read = self._memory.of(key)
            if read is None or read.state != state or read.code != "read":
                return
            kept = self._settings.max_rejects if self._intake.keeps(read) else 0
            if sum(read.rejected.values()) > kept or not NEVER_WHOLE.isdisjoint(read.rejected):
                return
        try:
            if state_of(path) == state:
                path.unlink()
        except OSError as error:
            _log.warning("file_not_removed", error=type(error).__name__)


def _trouble(files: int, closed: Sequence[OSError]) -> str:
    if files >= MOST_FILES:
        return f"more than {MOST_FILES} files: the rest are not read"
    kinds = ", ".join(sorted({type(error).__name__ for error in closed}))
    return f"{len(closed)} folders in it cannot be read: {kinds}" if closed else ""


def files_in(
    folder: Path, depth: int = _DEEPEST, *, on_closed: Callable[[Path, OSError], None]
) -> Iterator[tuple[Path, FileState]]:
    """Yield the plain files of a folder and of those in it; links lead elsewhere and are left alone.

    `on_closed` is told which of the folders in it cannot be read, and why.

    Raises
    ------
    OSError
        The folder itself cannot be read.
    """
    for path in folder.iterdir():
        if path.name.startswith(_UNWANTED) or path.is_symlink():
            continue
        if path.is_dir():
            if depth > 1:
                try:
                    yield from files_in(path, depth - 1, on_closed=on_closed)
                except OSError as error:
                    on_closed(path, error)
        elif (state := state_of(path)) is not None:
            yield path, state
