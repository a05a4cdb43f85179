"""Cross-calibration studies of a site: the data they rest on, kept by digest, and which version is in force when."""

import csv
import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from streams.messages import CrossCalibrationAccepted, CrossCalibrationWithdrawn

COLUMNS: Final = ("from_g_cm2", "to_g_cm2")
MAX_PAIRS: Final = 2_000
FOLDER: Final = "studies"


class StudyError(ValueError):
    """The data of a study cannot be used; the text says what, where and what to do."""


class Pairs(msgspec.Struct, frozen=True):
    """BMD in g/cm2 of the same things on the other device (`x`) and on this one (`y`)."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def content(self) -> bytes:
        """The pairs as a file that is the same, byte for byte, wherever it is written."""
        lines = [",".join(COLUMNS), *(f"{a!r},{b!r}" for a, b in zip(self.x, self.y, strict=True))]
        return ("\n".join(lines) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def pairs_from(text: str) -> Pairs:
    """Read a CSV file with the columns ``from_g_cm2`` and ``to_g_cm2``; other columns are refused, not ignored.

    Whoever measured them is not to stand in the file: a study rests on numbers alone.

    Raises
    ------
    StudyError
        Naming the line.
    """
    rows = _rows(text.removeprefix("\ufeff"))
    header = [name.strip() for name in next(rows, [])]
    if sorted(header) != sorted(COLUMNS):
        raise StudyError(f"line 1: the columns are {', '.join(COLUMNS)} and no others")
    places = [header.index(name) for name in COLUMNS]
    x, y = [], []
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(COLUMNS):
            raise StudyError(f"line {number}: {len(row)} values where two belong; decimals have a point, not a comma")
        values = [_bmd(row[place], number) for place in places]
        x.append(values[0])
        y.append(values[1])
        if len(x) > MAX_PAIRS:
            raise StudyError(f"more than {MAX_PAIRS} pairs: that is no study of two scanners")
    if not x:
        raise StudyError("there is no pair in it")
    return Pairs(tuple(x), tuple(y))


def _rows(text: str) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text))
    try:
        yield from rows
    except csv.Error as error:
        raise StudyError(
            f"line {rows.line_num}: it cannot be read as CSV: two short numbers in a line, and a line feed after it"
        ) from error


def _bmd(cell: str, number: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not 0 < value < 5:
        raise StudyError(f"line {number}: not a BMD in g/cm² between 0 and 5, such as 1.023")
    return value


class StudyData:
    """The data of a site's studies: a file for each, named by its digest, never changed.

    Parameters
    ----------
    data_dir
        The site's data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def keep(self, pairs: Pairs) -> str:
        """Write the pairs so that they survive a power cut; return their digest."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(pairs.digest)
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as file:
            file.write(pairs.content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return pairs.digest

    def read(self, digest: str) -> Pairs:
        """Return the pairs of a digest.

        Raises
        ------
        StudyError
            If they are not here, or are not what they were.
        """
        try:
            content = self._path(digest).read_bytes()
        except OSError as error:
            raise StudyError(f"the data {digest[:12]} is not in {FOLDER}/: restore it from the archive") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StudyError(f"the data {digest[:12]} was changed on the disk: restore it from the archive")
        return pairs_from(content.decode())

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.csv"


class StudyVersion(msgspec.Struct, frozen=True):
    """One accepted version of a study, and what became of it since."""

    accepted: CrossCalibrationAccepted
    accepted_at: datetime
    superseded_at: datetime | None = None
    withdrawn_at: datetime | None = None

    def is_in_force(self, at: datetime) -> bool:
        """Whether it says at a time how readings are carried over."""
        ends = (self.superseded_at, self.withdrawn_at, self.accepted.valid_until)
        begins = max(self.accepted.valid_from, self.accepted_at)
        return begins <= at and all(end is None or at < end for end in ends)


class DeviceReplaced(msgspec.Struct, frozen=True):
    """Another device stands under the same name: no study of the one before is its own."""


def versions(
    recorded: Iterable[tuple[datetime, CrossCalibrationAccepted | CrossCalibrationWithdrawn | DeviceReplaced]],
) -> Sequence[StudyVersion]:
    """Return every version, oldest first, from what was recorded in order: superseded, never edited.

    A version stands until the next one is valid, which may be later than its acceptance.
    """
    found: list[StudyVersion] = []
    for at, fact in recorded:
        for place, one in enumerate(found):
            is_about = isinstance(fact, DeviceReplaced) or one.accepted.study_id == fact.study_id
            is_over = one.withdrawn_at is not None or (one.superseded_at is not None and one.superseded_at <= at)
            if not is_about or is_over:
                continue
            if isinstance(fact, CrossCalibrationAccepted):
                until = max(at, fact.valid_from)
                found[place] = msgspec.structs.replace(one, superseded_at=min(one.superseded_at or until, until))
            else:
                found[place] = msgspec.structs.replace(one, withdrawn_at=at)
        if isinstance(fact, CrossCalibrationAccepted):
            found.append(StudyVersion(fact, at))
    return found
