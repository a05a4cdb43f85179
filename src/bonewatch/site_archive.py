"""A copy of a site's record in a second place: taken beside a running site, checked, and whole or not there at all.

The log is copied first, so that everything it names is in what is copied after it. SQLite files go through SQLite's own
backup, other files as they are; each is read back. What a link leads to is copied as if it lay here. The database is
left out: the log brings it back.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bonewatch.data_folder import LOG_FILE
from collectors.archive import sync_folder, write_durably
from storage.opening import FOLDER as DATABASE
from streams.refold import verify
from streams.sqlite_log import LogError, SqliteEventLog

MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20
_LEFT_OUT: Final = frozenset({DATABASE, "site.lock"})
_BESIDE: Final = ("-wal", "-shm", "-journal", ".part")
_ROOM: Final = 1.05
"""So much more room than the files take is asked for."""


class ArchiveError(Exception):
    """No copy was made, or a copy is not what it says; the text says why and what to do."""


class Kept(msgspec.Struct, frozen=True):
    """One file of a copy."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a copy holds, and where in the log it ends."""

    site: str
    taken_at: datetime
    log_id: str
    events: int
    head: str
    files: tuple[Kept, ...]


class Archived(NamedTuple):
    """A copy that was made, or checked."""

    folder: Path
    manifest: Manifest


def archive(
    data_dir: Path,
    target: Path,
    *,
    site: str,
    same_disk: bool = False,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Archived:
    """Copy a site's data folder into a new folder of `target`, and check it.

    Raises
    ------
    ArchiveError
        If there is no log, the target is no second place or has no room, a link leads nowhere or in a circle, or the
        copy is not what was copied.
    """
    try:
        _refuse_place(data_dir, target, same_disk=same_disk)
    except OSError as error:
        raise ArchiveError(f"{data_dir} and {target} cannot be looked through: {error}") from error
    taken_at = (now or datetime.now(UTC)).astimezone(UTC)
    name = f"{site}-{taken_at:%Y%m%dT%H%M%SZ}"
    if (target / name).exists():
        raise ArchiveError(f"{target / name} is there already: wait a second, and take the copy again")
    partial = target / f".{name}.partial"
    try:
        partial.mkdir(mode=0o700)
        kept = tuple(_copied(data_dir, partial, progress))
        progress("the log's chain")
        manifest = _checked(data_dir, partial, site, taken_at, kept)
        write_durably(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        partial.rename(target / name)
        sync_folder(target)
    except (OSError, sqlite3.Error, LogError) as error:
        raise ArchiveError(f"{target} holds no new copy: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Archived(target / name, manifest)


def check(folder: Path) -> Archived:
    """Read every file of a copy and its log's chain again.

    Raises
    ------
    ArchiveError
        With the first file that is not as it was when the copy was taken.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ArchiveError(f"{folder / MANIFEST} cannot be read: is this a copy that `archive` made?") from error
    for kept in manifest.files:
        path = folder / kept.name
        if not path.is_file() or _digest(path) != kept.sha256:
            raise ArchiveError(f"{path} is not as it was when the copy was taken: use another copy")
    try:
        head, _ = _verified(folder)
    except (sqlite3.Error, LogError) as error:
        raise ArchiveError(f"{folder}: {error}") from error
    if head != manifest.head:
        raise ArchiveError(f"{folder / LOG_FILE} ends elsewhere than the manifest says: use another copy")
    return Archived(folder, manifest)


def _refuse_place(data_dir: Path, target: Path, *, same_disk: bool) -> None:
    if not (data_dir / LOG_FILE).is_file():
        raise ArchiveError(f"{data_dir / LOG_FILE} is not there: nothing to copy")
    if not target.is_dir():
        raise ArchiveError(f"{target} is no folder: is the second place mounted?")
    here, there = data_dir.resolve(), target.resolve()
    files = list(_files(data_dir))
    places = {folder.resolve() for folder, _ in _folders(data_dir)}
    if any(there == place or place in there.parents for place in places):
        raise ArchiveError(f"{target} lies in the data folder itself: name a second place")
    found = _found(files)
    if not same_disk and there.stat().st_dev in {here.stat().st_dev, *(one.st_dev for one in found)}:
        raise ArchiveError(
            f"{target} is on the disk of the data folder: one failure would take both. "
            "Mount another, or say --same-disk"
        )
    needed = sum(one.st_size for one in found)
    if shutil.disk_usage(there).free < needed * _ROOM:
        raise ArchiveError(f"{target} has no room for {needed} bytes: remove an old copy")


def _found(files: Iterable[Path]) -> list[os.stat_result]:
    """Return size and disk of each file; one that expires meanwhile has none."""
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            found.append(path.stat())
    return found


def _files(data_dir: Path) -> Iterator[Path]:
    """Yield what is copied, the log first; links are followed."""
    yield data_dir / LOG_FILE
    for folder, names in _folders(data_dir):
        for name in names:
            path = folder / name
            if name in _LEFT_OUT or name.endswith(_BESIDE) or path == data_dir / LOG_FILE:
                continue
            if path.is_file():
                yield path
            elif path.is_symlink():
                raise ArchiveError(
                    f"{path} is a link that leads to no file: mount what it leads to, or remove the link"
                )


def _folders(data_dir: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder that is looked through, with the names of the files in it."""
    for folder, folders, names in os.walk(data_dir, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in folders:
            _refuse_circle(data_dir, Path(folder) / name)
        yield Path(folder), sorted(names)


def _refuse_circle(data_dir: Path, folder: Path) -> None:
    """Refuse a link to a folder that the way to the link leads through, or to one above it."""
    if not folder.is_symlink():
        return
    target = folder.resolve()
    on_the_way = [above.resolve() for above in folder.parents if above == data_dir or data_dir in above.parents]
    if any(target == above or target in above.parents for above in on_the_way):
        raise ArchiveError(f"{folder} is a link that leads in a circle: remove it, or let it lead elsewhere")


def _copied(data_dir: Path, partial: Path, progress: Callable[[str], None]) -> Iterator[Kept]:
    for path in _files(data_dir):
        relative = path.relative_to(data_dir)
        copy = partial / relative
        progress(str(relative))
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            digest = _backed_up(path, copy) if path.suffix == ".sqlite" else _same(path, copy)
        except FileNotFoundError:
            if copy.parent.is_dir() and not os.path.lexists(path):
                copy.unlink(missing_ok=True)
                continue  # it expired meanwhile
            raise
        sync_folder(copy.parent)
        yield Kept(str(relative), copy.stat().st_size, digest)


def _backed_up(path: Path, copy: Path) -> str:
    """Copy a SQLite file as it stands between two commits; return the copy's digest."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(copy)) as backup:
        source.backup(backup)
        backup.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        ((sound,),) = backup.execute("PRAGMA integrity_check").fetchall()[:1]
        if sound != "ok":
            raise ArchiveError(f"the copy of {path.name} is damaged ({sound}): take it again; check {path} if it stays")
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return _digest(copy)


def _same(path: Path, copy: Path) -> str:
    """Copy a file as it is; return its digest, which the copy has been found to have."""
    hashed = hashlib.sha256()
    with path.open("rb") as source, os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := source.read(_CHUNK):
            hashed.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if _digest(copy) != hashed.hexdigest():
        raise ArchiveError(f"{copy} does not hold what was written into it: is the second place failing?")
    return hashed.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(data_dir: Path, partial: Path, site: str, taken_at: datetime, kept: tuple[Kept, ...]) -> Manifest:
    """Check the copied log by its chain, and that the site's own log has the same link where the copy ends."""
    head, events = _verified(partial)
    with SqliteEventLog(partial / LOG_FILE, read_only=True) as copy:
        log_id, position = copy.log_id, copy.last_position()
    with SqliteEventLog(data_dir / LOG_FILE, read_only=True) as log:
        row = next(log.rows(after=position - 1), None)
        if log.log_id != log_id or (position and (row is None or row.link.hex() != head)):
            raise ArchiveError("the copy's chain is not that of the site's log: take it again")
    _clean(partial)
    return Manifest(site, taken_at, log_id, events, head, kept)


def _verified(folder: Path) -> tuple[str, int]:
    """Return the head of a copied log's chain and its events, found sound from the first."""
    with SqliteEventLog(folder / LOG_FILE, read_only=True) as log:
        found = verify(log)
    if found.faults:
        raise ArchiveError(f"{folder / LOG_FILE} is not sound: {found.faults[0]} (`bonewatch log verify`)")
    return found.head, found.events


def _clean(folder: Path) -> None:
    """Remove what reading a SQLite file may leave beside it."""
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(OSError):
            (folder / f"{LOG_FILE}{ending}").unlink(missing_ok=True)
