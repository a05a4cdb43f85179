"""How the files of a watched folder stand, and what was rejected of them; reads only, beside a running site."""

import csv
import os
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from bonewatch.configuration.sections import Config
from bonewatch.data_folder import LOG_FILE
from bonewatch.errors import ConfigError
from bonewatch.exported_files import file_sources
from collectors.files.folder import MOST_FILES, files_in
from collectors.files.intake import REJECTS
from collectors.files.memory import Memory, Read, key_of
from collectors.sealing import Seal, SealBrokenError
from streams.sqlite_log import SqliteEventLog

_NOBODYS: Final = "no device's pattern"


class Stands(NamedTuple):
    """How one file stands for one device: `rejects` names the kept ones."""

    file: str
    device: str
    map: str
    stands: str
    rows: int = 0
    recorded: int = 0
    rejected: dict[str, int] | None = None
    rejects: str = ""


def stands(config: Config, data_dir: Path, folder: Path) -> Iterator[Stands]:
    """Yield how each file of the watched folder stands, the files of nobody too.

    Raises
    ------
    ConfigError
        No folder is watched, or it cannot be read.
    """
    if not config.files.folder:
        raise ConfigError("no folder is watched: [files] folder")
    path = data_dir / LOG_FILE
    log_id = ""
    if path.is_file():
        with SqliteEventLog(path, read_only=True) as log:
            log_id = log.log_id
    sources, memory, watched = file_sources(config, folder, log_id), Memory(data_dir), folder / config.files.folder
    try:
        closed = dict[Path, OSError]()
        found = sorted(islice(files_in(watched, on_closed=closed.__setitem__), MOST_FILES))
    except OSError as error:
        raise ConfigError(f"{watched} cannot be read: {error.strerror}") from error
    for inner, why in sorted(closed.items()):
        yield Stands(f"{inner.relative_to(watched).as_posix()}/", "", "", f"cannot be read: {why.strerror}")
    for file, state in found:
        name = file.relative_to(watched).as_posix()
        own = [source for source in sources if source.matches(name)]
        if not own:
            yield Stands(name, "", "", _NOBODYS)
        for source in own:
            read = memory.of(key_of(name, source.device, source.title))
            device = source.device.rpartition("/")[2]
            if read is None or read.state != state or read.recipe != source.recipe:
                yield Stands(name, device, source.title, "waiting")
            else:
                yield _read(Stands(name, device, source.title, ""), read)


def _read(before: Stands, read: Read) -> Stands:
    word = "read" if read.code == "read" else f"refused: {read.code}: {read.why}"
    return before._replace(
        stands=word, rows=read.rows, recorded=read.new + read.seen, rejected=read.rejected, rejects=read.kept
    )


def opened_rejects(data_dir: Path, name: str) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return kept rejects as CSV, and of each row line, code and reason.

    Raises
    ------
    ConfigError
        There are none of that name, or they cannot be opened.
    """
    path = data_dir / REJECTS / name
    key = data_dir / f"{REJECTS}.key"
    if path.parent != data_dir / REJECTS or path.suffix != ".enc" or not path.is_file() or not key.is_file():
        raise ConfigError(f"no rejects are kept as {name}: `bonewatch files` names them, and they expire")
    try:
        data = Seal(key).open(path.stem, path.read_bytes())
    except SealBrokenError as error:
        raise ConfigError(f"{path}: {error}") from error
    rows = [row for row in csv.reader(StringIO(data.decode())) if len(row) > 2][1:]
    return data, [(row[0], row[1], row[2]) for row in rows]


def write_privately(path: Path, data: bytes) -> None:
    """Write a new file that its owner alone can read.

    Raises
    ------
    ConfigError
        It is there already, or cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
