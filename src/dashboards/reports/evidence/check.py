"""Checks an evidence pack: its files, the links of its events, and all of it against the site's log."""

import io
import sqlite3
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dashboards.reports.evidence.pack import EVENTS, MANIFEST, SEAL, VERSION, Manifest, seal_of
from streams.chain import next_link
from streams.record.evidence import EvidenceLine, evidence_lines
from streams.record.reader import LATEST, reading
from streams.record.veil import known_of_patients
from streams.uptime.clinic_hours import Period, period_of

_MOST_TOLD: Final = 20
MOST_BYTES: Final = 2**31
"""So much is read into memory at most."""


class PackError(ValueError):
    """The file is no evidence pack, or one of a version that this program does not know."""


class Checked(NamedTuple):
    """What was found: events, those whose link could be followed, and what is wrong."""

    manifest: Manifest
    events: int
    linked: int
    faults: tuple[str, ...]


def check_pack(data: bytes, log: Path | None = None) -> Checked:
    """Check a pack, against the site's log too where it is given.

    Raises
    ------
    PackError
        It is none.
    LogError
        The log cannot be read.
    """
    files, twice = _files(data)
    try:
        told = files.pop(MANIFEST)
        manifest = msgspec.json.decode(told, type=Manifest)
    except (KeyError, msgspec.MsgspecError) as error:
        raise PackError(f"there is no {MANIFEST} in it that this program can read: it is no evidence pack") from error
    if manifest.version != VERSION:
        raise PackError(f"it is a pack of version {manifest.version}; this program reads version {VERSION}")
    faults = [f"{name} is in it more than once" for name in twice]
    faults += _manifest_faults(files.pop(SEAL, None), told, manifest)
    faults += _file_faults(files, manifest)
    lines, unread = _lines(files.get(EVENTS, b""))
    faults += unread
    linked = 0
    for line in lines:
        found = list(_line_faults(line))
        linked += not found and _is_whole(line)
        faults += found
    if log is not None:
        with reading(log) as db:
            faults += _log_faults(db, manifest, lines)
    return Checked(manifest, len(lines), linked, tuple(faults))


def _files(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    """Return the files, and the names of those that are there more than once; folders count for nothing."""
    reading_it, files = "it cannot be read as a ZIP", dict[str, bytes]()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = Counter(one.filename for one in archive.infolist() if not one.is_dir())
            _refuse_huge(archive)
            for name in names:
                reading_it = f"{printable(name)} is damaged and cannot be unpacked"
                files[name] = archive.read(name)
    except PackError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError) as error:
        raise PackError(f"{reading_it}: {printable(str(error))}") from error
    return files, [name for name, many in names.items() if many > 1]


def _refuse_huge(archive: zipfile.ZipFile) -> None:
    if sum(one.file_size for one in archive.infolist()) > MOST_BYTES:
        raise PackError("it unpacks to more than 2 GB: it is no evidence pack")


def _manifest_faults(seal: bytes | None, told: bytes, manifest: Manifest) -> Iterator[str]:
    """Yield where the manifest is not as it was written, or contradicts itself."""
    if seal is None:
        yield f"{SEAL} is missing"
    elif seal != seal_of(told):
        yield f"{MANIFEST} is not the one that {SEAL} tells of: its SHA-256 differs"
    try:
        period = period_of(manifest.first, manifest.last, manifest.time_zone)
    except ValueError:
        period = None
    if period != (manifest.starts, manifest.ends):
        yield f"{MANIFEST}: the period is not that of its first and last day"
    if manifest.key.rpartition("/")[2] != manifest.device:
        yield f"{MANIFEST}: {manifest.key[:80]} is not the device {manifest.device[:40]}"


def _file_faults(files: dict[str, bytes], manifest: Manifest) -> Iterator[str]:
    listed = {one.name: one for one in manifest.files}
    yield from (f"{name} is missing" for name in listed if name not in files)
    for name, data in files.items():
        if name not in listed:
            yield f"{name} is not in the manifest"
        elif sha256(data).hexdigest() != listed[name].sha256:
            yield f"{name} is not the file that the manifest tells of: its SHA-256 differs"


def _lines(data: bytes) -> tuple[list[EvidenceLine], list[str]]:
    lines, faults = list[EvidenceLine](), list[str]()
    for number, text in enumerate(data.splitlines(), start=1):
        try:
            line = msgspec.json.decode(text, type=EvidenceLine)
        except msgspec.MsgspecError:
            faults.append(f"{EVENTS}, line {number}: it is no event")
            continue
        if lines and line.position <= lines[-1].position:
            faults.append(f"event {line.position}: it stands twice, or not in its place")
        lines.append(line)
    return lines, faults


def _is_whole(line: EvidenceLine) -> bool:
    return all(part.text is not None for part in (line.event, *line.outcomes))


def _line_faults(line: EvidenceLine) -> Iterator[str]:
    """Yield what is wrong within a line: a text with another digest, a link that its texts do not give."""
    parts = (line.event, *line.outcomes)
    if any(part.text is not None and sha256(part.text.encode()).hexdigest() != part.sha256 for part in parts):
        yield f"event {line.position}: a text is not what its SHA-256 says"
    if not _is_whole(line):
        return
    texts = [(part.text or "").encode() for part in parts]
    try:
        link = next_link(bytes.fromhex(line.previous), texts[0], texts[1:]).hex()
    except ValueError:
        link = ""
    if link != line.link:
        yield f"event {line.position}: its link is not that of its texts"


def _log_faults(db: sqlite3.Connection, manifest: Manifest, lines: list[EvidenceLine]) -> Iterator[str]:
    """Yield where the log says otherwise: every line as it would be packed now, and where the log stood."""
    anchor = manifest.anchor
    (log_id,) = db.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    place = min(max(anchor.position, 0), LATEST)
    row = db.execute("SELECT link FROM events WHERE position = ?", (place,)).fetchone()
    if log_id != anchor.log_id:
        yield "the pack was made from another log"
        return
    if row is None or row[0].hex() != anchor.link:
        yield f"event {anchor.position}: the log does not hold what it held when the pack was made"
    packed = {line.position: line for line in lines}
    period = Period(manifest.starts, manifest.ends)
    for line in evidence_lines(db, manifest.key, period, known_of_patients(db, place)):
        if line.position <= anchor.position and packed.pop(line.position, None) != line:
            yield f"event {line.position}: it is not in the pack as it is in the log"
    yield from (f"event {position}: it is not in the log" for position in packed)


def told(faults: tuple[str, ...]) -> Iterator[str]:
    """Yield the first faults, and how many more there are."""
    yield from map(printable, faults[:_MOST_TOLD])
    if len(faults) > _MOST_TOLD:
        yield f"and {len(faults) - _MOST_TOLD} more"


def printable(text: str) -> str:
    """Return a text of a pack as a terminal may show it."""
    return "".join(one if one.isprintable() else "?" for one in text[:200])
