"""One file for one device: read, recorded, its rejects kept encrypted; counted, and remembered."""

import csv
import hashlib
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from prometheus_client import Counter

from collectors.files.column_map import ColumnMap
from collectors.files.content import Content, Reject, read_content
from collectors.files.errors import ChangedError, FileRefusedError, OverLimitError
from collectors.files.memory import Read
from collectors.files.recording import Recorder, Tally
from collectors.files.rows import Mapper
from collectors.files.settings import FilesSettings
from collectors.folders import FileState, state_of
from collectors.quarantine import Quarantine
from streams.policy import DevicePolicy

REJECTS: Final = "file-rejects"
"""The folder of kept rejects, in the site's data folder."""

FILES: Final = Counter("bonewatch_files_total", "Exported files read, by what became of them", ["device", "code"])
ROWS: Final = Counter(
    "bonewatch_file_rows_total", "Rows of exported files at each reading, by what became of them", ["device", "code"]
)

_PIECE: Final = 1024 * 1024

_log: Final = structlog.get_logger("collectors.files")


class Source(msgspec.Struct, frozen=True):
    """Files of one device and how they are read; `title` names the map in the configuration.

    `log_id` is that of the site's log: one that was restored from a backup has another, and every file is read again.
    """

    device: str
    pattern: str
    title: str
    column_map: ColumnMap
    policy: DevicePolicy
    log_id: str = ""

    def matches(self, name: str) -> bool:
        """Whether a file is one of these, by its path in the folder; capitals say nothing: consoles run Windows."""
        return fnmatchcase(name.casefold(), self.pattern.casefold())

    @property
    def recipe(self) -> str:
        """Digest of all that decides what a file's rows become; another one: the file is read again."""
        against = (self.policy.phantoms, self.policy.checks.standards, self.log_id)
        return hashlib.sha256(self.column_map.digest.encode() + msgspec.json.encode(against)).hexdigest()

    def mapper(self, zone: ZoneInfo) -> Mapper:
        """Return what makes facts of the rows."""
        return Mapper(self.column_map, self.device, self.policy, zone)


class Taken(msgspec.Struct, frozen=True):
    """What became of a file."""

    content: Content
    tally: Tally
    read: Read


class Intake:
    """Takes files.

    Parameters
    ----------
    recorder
        Where rows go.
    settings
        Limits.
    zone
        The site's time zone.
    rejects
        Where rejected rows are kept, encrypted: a row that was not understood may be a patient's.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self,
        recorder: Recorder,
        settings: FilesSettings,
        *,
        zone: ZoneInfo,
        rejects: Quarantine,
        clock: Callable[[], datetime],
    ) -> None:
        self._recorder, self._settings, self._zone = recorder, settings, zone
        self._rejects, self._clock = rejects, clock

    def take(
        self,
        path: Path,
        source: Source,
        state: FileState,
        *,
        before: Read | None = None,
        choose: Callable[[Content], None] = lambda _content: None,
        on_row: Callable[[int], None] = lambda _count: None,
        on_recorded: Callable[[int, int], None] = lambda _count, _of: None,
    ) -> Taken:
        """Read and record a file; what it became is durable when this returns.

        `choose` may leave rows out of what was read, or refuse it, before any is recorded.

        Raises
        ------
        FileRefusedError, OSError
            As of `content_of`: nothing was recorded.
        SiteUnavailableError
            Not all could be recorded; take it again later.
        """
        content, digest = content_of(path, source, state, self._settings, zone=self._zone, on_row=on_row)
        choose(content)
        tally = self._recorder.record(content, on_rows=on_recorded)
        read = Read(
            state=state,
            digest=digest,
            recipe=source.recipe,
            code="read",
            read_at=self._clock(),
            rows=content.rows,
            new=tally.new,
            seen=tally.seen,
            repeated=content.repeated,
            left_out=content.left_out,
            rejected=dict(content.rejected),
        )
        read = self._with_rejects(read, content, source.device, before)
        self._tell(source.device, content, tally)
        return Taken(content, tally, read)

    def refused(self, source: Source, state: FileState, error: FileRefusedError, digest: str = "") -> Read:
        """Count a file that is refused as a whole, and return what is remembered of it."""
        FILES.labels(source.device, error.code).inc()
        _log.warning("file_refused", device=source.device, map=source.title, code=error.code, why=error.why)
        return Read(state, digest, source.recipe, error.code, self._clock(), error.why)

    def keeps(self, read: Read) -> bool:
        """Whether a reading's rejects are kept, and have not expired since."""
        return bool(read.kept) and self._rejects.has(read.kept)

    def _with_rejects(self, read: Read, content: Content, device: str, before: Read | None) -> Read:
        """Keep the rejects, unless they are those of the last reading and still there."""
        if not content.rejects:
            return read
        data = csv_from_rejects(content.rejects)
        kept_digest = hashlib.sha256(data).hexdigest()
        if before is not None and before.kept_digest == kept_digest and self.keeps(before):
            return msgspec.structs.replace(read, kept=before.kept, kept_digest=kept_digest)
        words = ", ".join(f"{count} {code}" for code, count in sorted(content.rejected.items()))
        path = self._rejects.hold("rejects", words, device, data, received_at=self._clock())
        return msgspec.structs.replace(read, kept=path.name if path else "", kept_digest=kept_digest if path else "")

    def _tell(self, device: str, content: Content, tally: Tally) -> None:
        counts = {"new": tally.new, "seen": tally.seen, "repeated": content.repeated, "left_out": content.left_out}
        for code, count in (counts | content.rejected).items():
            if count:
                ROWS.labels(device, code).inc(count)
        FILES.labels(device, "read").inc()
        rejected = sum(content.rejected.values())
        say = _log.warning if rejected else _log.info
        say("file_read", device=device, rows=content.rows, **counts, rejected=rejected)


def content_of(
    path: Path,
    source: Source,
    state: FileState,
    settings: FilesSettings,
    *,
    zone: ZoneInfo,
    on_row: Callable[[int], None] = lambda _count: None,
) -> tuple[Content, str]:
    """Read a file and record nothing; return what it says, and the digest of its bytes.

    Raises
    ------
    FileRefusedError
        It cannot be read, exceeds a limit, or was written meanwhile.
    OSError
        It cannot be opened.
    """
    if state.size > settings.max_bytes:
        raise OverLimitError(f"the file has more than {settings.max_bytes} bytes (max_bytes)")
    with path.open("rb") as file:
        digest = digest_of(file)
        content = read_content(file, source.column_map, source.mapper(zone), settings, on_row=on_row)
    if state_of(path) != state:
        raise ChangedError("the file was written while it was read")
    return content, digest


def digest_of(file: BinaryIO) -> str:
    """Return the digest of an open file, which stands at its begin again."""
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def csv_from_rejects(rejects: list[Reject]) -> bytes:
    """Return rejected rows as a CSV: line, code, reason, then the cells, none of them a formula to a spreadsheet."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(("line", "code", "reason", "cells"))
    writer.writerows((one.line, one.code, one.reason, *map(_inert, one.texts)) for one in rejects)
    return out.getvalue().encode("utf-8", "replace")


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
