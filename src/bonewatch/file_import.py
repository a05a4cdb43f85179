"""Years of history out of one file, into the log of a site that is stopped; begun again, each row still counts once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from bonewatch.configuration.sections import Config
from bonewatch.data_folder import LOG_FILE, FolderInUseError, make_data_folder, only_site_here
from bonewatch.errors import ConfigError
from bonewatch.exported_files import kept_rejects, source_of
from collectors.files.content import Content
from collectors.files.errors import FileRefusedError, FutureError, MapError
from collectors.files.intake import REJECTS, Intake, Source, content_of
from collectors.files.recording import Recorder, Tally
from collectors.folders import FileState, state_of
from streams.engine import SiteEngine
from streams.fold.schedule import zone
from streams.messages import Draft
from streams.policy import SECONDS_AHEAD_SUSPECT
from streams.site import Receipt, SiteUnavailableError
from streams.sqlite_log import SqliteEventLog

BATCH: Final = 256
"""Rows of one commit: nobody else waits."""


class Progress(NamedTuple):
    """Who is told how far it is: rows read, then rows recorded of all."""

    read: Callable[[int], None]
    recorded: Callable[[int, int], None]


class Imported(NamedTuple):
    """What became of a file; `kept` is where its rejected rows lie, encrypted."""

    content: Content
    tally: Tally
    kept: Path | None


class FileImport:
    """One file of one device, by the configuration.

    Parameters
    ----------
    config
        The checked configuration.
    data_dir
        The site's data folder.
    device
        The device's id.
    column_map
        The file of the map.
    until
        Leave out what was measured on this day or later, in the site's time.
    clock
        Says what time it is, UTC.

    Raises
    ------
    ConfigError
        There is no such device, or the map does not hold for it.
    """

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        device: str,
        column_map: Path,
        *,
        until: date | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config, self._data_dir, self._clock = config, data_dir, clock
        self._zone = zone(config.site.time_zone)
        self._until = None if until is None else datetime.combine(until, time(), self._zone)
        found = next((one for one in config.device if one.id == device), None)
        if found is None:
            raise ConfigError(f"{device} is no device: there are {', '.join(one.id for one in config.device)}")
        try:
            self._source: Source = source_of(config, found, column_map)
        except MapError as error:
            raise ConfigError(str(error)) from error

    def compare(self, file: Path, progress: Progress) -> Imported:
        """Say what `record` would do; nothing is written, and the site may run."""
        file = file.resolve()
        with ExitStack() as stack, _said(file):
            log = self._readable_log(stack)
            recorder = Recorder(_never, log.content_of if log else _unknown, self._config.files, clock=self._clock)
            content, _ = content_of(
                file,
                self._source,
                _state(file),
                self._config.files,
                zone=self._zone,
                on_row=progress.read,
            )
            self._choose(content)
            return Imported(content, recorder.compare(content), None)

    def record(self, file: Path, progress: Progress) -> Imported:
        """Record what is new in a file; interrupted, it goes on where it was when it is begun again.

        Raises
        ------
        ConfigError
            The site runs, or the file is refused as a whole.
        """
        file = file.resolve()
        make_data_folder(self._data_dir)
        with ExitStack() as stack, _said(file):
            stack.enter_context(self._lock())
            log = stack.enter_context(SqliteEventLog(self._data_dir / LOG_FILE))
            engine = SiteEngine(log, clock=self._clock)
            stack.callback(engine.stop)
            engine.start(self._config.devices())
            known = self._readable_log(stack)
            assert known is not None  # noqa: S101 - it was just made
            recorder = Recorder(engine.append, known.content_of, self._config.files, clock=self._clock, batch=BATCH)
            intake = self._intake(recorder)
            state = _state(file)
            taken = intake.take(
                file,
                self._source,
                state,
                choose=self._choose,
                on_row=progress.read,
                on_recorded=progress.recorded,
            )
        kept = self._data_dir / REJECTS / taken.read.kept if taken.read.kept else None
        return Imported(taken.content, taken.tally, kept)

    def _choose(self, content: Content) -> None:
        """Leave out what is wanted from another source; a history of the future is read wrong, or from a wrong clock.

        Raises
        ------
        FutureError
            A row is dated ahead.
        """
        if self._until is not None:
            kept = [row for row in content.taken if row.measured_at < self._until]
            content.left_out += len(content.taken) - len(kept)
            content.taken = kept
        latest = self._clock() + timedelta(seconds=SECONDS_AHEAD_SUSPECT)
        ahead = [row.line for row in content.taken if row.measured_at > latest]
        if ahead:
            raise FutureError(f"{len(ahead)} rows are dated in the future, line {min(ahead)} the first: see its dates")

    def _intake(self, recorder: Recorder) -> Intake:
        return Intake(
            recorder,
            self._config.files,
            zone=self._zone,
            rejects=kept_rejects(self._config, self._data_dir),
            clock=self._clock,
        )

    def _readable_log(self, stack: ExitStack) -> SqliteEventLog | None:
        path = self._data_dir / LOG_FILE
        return stack.enter_context(SqliteEventLog(path, read_only=True)) if path.is_file() else None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        folder = self._config.files.folder
        where = f"its watched folder ({folder})" if folder else "a watched folder, [files] folder in the configuration"
        try:
            lock = only_site_here(self._data_dir)
        except FolderInUseError as error:
            raise ConfigError(f"the site is running: put the file into {where}, or stop the site first") from error
        with lock:
            yield


@contextmanager
def _said(file: Path) -> Iterator[None]:
    """Say what is wrong with a file to the person who named it."""
    try:
        yield
    except FileRefusedError as error:
        raise ConfigError(f"{file}: {error} ({error.code}); nothing was recorded") from error
    except SiteUnavailableError as error:
        raise ConfigError(f"{file}: {error}; import it again, what was recorded counts once") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or type(error).__name__}") from error


def _state(file: Path) -> FileState:
    state = state_of(file)
    if state is None:
        raise ConfigError(f"{file} is no file")
    return state


def _never(_drafts: Sequence[Draft]) -> Receipt:
    raise AssertionError("a comparison records nothing")


def _unknown(_event_id: str) -> None:
    return None
