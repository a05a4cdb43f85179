"""Reads a log file as it grows: renamed, copied and truncated, or the site stopped meanwhile, each line comes once.

A mark says how far it was read: which file, the offset, and a digest of what stands before the offset. By that digest
a file is known again under another name, a copy is told from the original, and a file that was emptied and has grown
past the offset is told from one that has only grown.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

READ_BYTES: Final = 256 * 1024
LONGEST: Final = 65_536
LOOKED_BACK: Final = 256
QUIET_POLLS: Final = 2
"""So often nothing more must come before a file that was renamed is held to be complete."""


class Mark(msgspec.Struct, frozen=True):
    """How far a log was read.

    `generation` names the file's content from its first byte on; `inode` is empty while there is no file yet.
    """

    inode: str
    offset: int
    before: str
    generation: str
    is_overlong: bool = False


class TailLine(NamedTuple):
    """A whole line, and the mark at its start."""

    mark: Mark
    data: bytes


class FileTail:
    """One log, under one name.

    Parameters
    ----------
    path
        Its name; ``name.1``, ``name-20261121``, ``stem-1.suffix`` beside it are what it was renamed or copied to.
    mark
        How far it was read before; None: begin at its end, or at its start if there is no such file yet.
    name_generation
        Makes a name that was never used.
    on_loss
        Called with the reason when something could not be read: ``overlong``, ``gone``.
    """

    def __init__(
        self,
        path: Path,
        mark: Mark | None,
        name_generation: Callable[[], str],
        on_loss: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._path, self._name_generation, self._on_loss = path, name_generation, on_loss
        self._file: BinaryIO | None = None
        self._context = b""
        self._quiet = 0
        self._read_whole: set[str] = set()
        self.mark = mark

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def poll(self) -> list[TailLine]:
        """Return lines that are there now, not all at once; none when there are no more.

        Raises
        ------
        OSError
            If the file cannot be read; the next poll tries again.
        """
        if self._file is None and not self._open():
            return []
        before = self.mark
        lines = self._read()
        if self.mark != before or self._is_current():
            self._quiet = 0
            return lines
        self._quiet += 1
        return self._finish() if self._quiet >= QUIET_POLLS else []

    # --- which file ----------------------------------------------------------------------------------------------

    def _open(self) -> bool:
        """Open the file that the mark speaks of, under whatever name, or the one to begin with."""
        if self.mark is None:
            return self._open_first()
        if self.mark.inode:
            for path in self._names():
                if self._resume(path, self.mark):
                    return True
            if self._path.exists():
                self._on_loss("gone")
        return self._begin(self._path)

    def _open_first(self) -> bool:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            self.mark = Mark("", 0, "", self._name_generation())
            return False
        if not self._begin(self._path):
            return False
        assert self._file is not None  # noqa: S101 - just begun
        number, start = self._file.fileno(), max(0, size - LONGEST)
        end = start + os.pread(number, size - start, start).rfind(b"\n") + 1
        self._move(end, _context(number, end))
        return True

    def _resume(self, path: Path, mark: Mark) -> bool:
        """Open a file at the mark, if it is the mark's file or a copy of it."""
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(path.open("rb", buffering=0))
            except FileNotFoundError:
                return False
            context = _context(file.fileno(), mark.offset)
            is_same = mark.offset > 0 or _inode(file) == mark.inode
            if not is_same or _digest(context) != mark.before or os.fstat(file.fileno()).st_size < mark.offset:
                return False
            stack.pop_all()
        self._let_go_for(file)
        self._context = context
        self.mark = msgspec.structs.replace(mark, inode=_inode(file))
        return True

    def _begin(self, path: Path) -> bool:
        """Open a file at its first byte."""
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        self._let_go_for(file)
        if path == self._path:
            self._read_whole.clear()
        self._context = b""
        generation = self.mark.generation if self.mark is not None and not self.mark.inode else self._name_generation()
        self.mark = Mark(_inode(file), 0, _digest(b""), generation)
        return True

    def _let_go_for(self, file: BinaryIO) -> None:
        if self._file is not None:
            self._read_whole.add(_inode(self._file))
        self.close()
        self._file, self._quiet = file, 0

    def _is_current(self) -> bool:
        """Whether the file that is open still has the log's name, or nothing has."""
        assert self._file is not None  # noqa: S101 - asked before
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return True
        return _inode(self._file) == f"{found.st_dev}:{found.st_ino}"

    def _names(self) -> Iterator[Path]:
        """Yield the log's name and those that it may have been renamed or copied to, the newest first."""
        yield self._path
        yield from reversed([path for _, path in self._renamed()])

    def _renamed(self) -> list[tuple[int, Path]]:
        """Return what the log may have been renamed or copied to, with its time, the oldest first."""
        name, stem, suffix = (re.escape(part) for part in (self._path.name, self._path.stem, self._path.suffix))
        number = r"[.\-_]\d[\d.\-_T]*"
        pattern = re.compile(rf"{name}(?:{number}|\.old|\.bak)|{stem}{number}{suffix}")
        found = []
        with os.scandir(self._path.parent) as entries:
            for entry in entries:
                if pattern.fullmatch(entry.name) and entry.name != self._path.name:
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.stat().st_mtime_ns, Path(entry.path)))
        return sorted(found)

    def _next_after(self, since: int) -> Path:
        """Return the file that was written after one that is read to its end: several may have been renamed."""
        assert self._file is not None  # noqa: S101 - asked before
        known = {*self._read_whole, _inode(self._file)}
        for at, path in self._renamed():
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                if at >= since and f"{found.st_dev}:{found.st_ino}" not in known:
                    return path
        return self._path

    # --- what stands in it ---------------------------------------------------------------------------------------

    def _read(self) -> list[TailLine]:
        """Return the whole lines of the next piece; a line that is not ended stays unread."""
        assert self._file is not None and self.mark is not None  # noqa: S101, PT018 - opened before
        offset, number = self.mark.offset, self._file.fileno()
        data = os.pread(number, READ_BYTES, offset)
        if _context(number, offset) != self._context or os.fstat(number).st_size < offset:
            return self._emptied()
        lines = []
        *whole, rest = data.split(b"\n")
        for line in whole:
            if self.mark.is_overlong or len(line) > LONGEST:
                self._on_loss("overlong")
            else:
                lines.append(TailLine(self.mark, line))
            self._pass(line + b"\n")
        if len(rest) > LONGEST:
            self._pass(rest, is_overlong=True)
        return lines

    def _emptied(self) -> list[TailLine]:
        """Go on after the file was emptied: with its copy where there is one, for that may hold more than was read."""
        assert self.mark is not None  # noqa: S101 - opened before
        for _, path in reversed(self._renamed()):
            if self.mark.offset > 0 and self._resume(path, self.mark):
                return self._read()
        self._begin(self._path)
        return []

    def _finish(self) -> list[TailLine]:
        """Take the last line of a file that was renamed as ended, and go on with the next."""
        assert self._file is not None and self.mark is not None  # noqa: S101, PT018 - opened before
        rest = os.pread(self._file.fileno(), LONGEST, self.mark.offset)
        line = [TailLine(self.mark, rest)] if rest and not self.mark.is_overlong else []
        return line if self._begin(self._next_after(os.fstat(self._file.fileno()).st_mtime_ns)) else []

    def _pass(self, data: bytes, *, is_overlong: bool = False) -> None:
        assert self.mark is not None  # noqa: S101 - opened before
        context = (self._context + data[-LOOKED_BACK:])[-LOOKED_BACK:]
        self._move(self.mark.offset + len(data), context, is_overlong=is_overlong)

    def _move(self, offset: int, context: bytes, *, is_overlong: bool = False) -> None:
        assert self.mark is not None  # noqa: S101 - opened before
        self._context = context
        self.mark = Mark(self.mark.inode, offset, _digest(self._context), self.mark.generation, is_overlong)


def _context(number: int, offset: int) -> bytes:
    """Return what stands before an offset."""
    return os.pread(number, min(offset, LOOKED_BACK), max(0, offset - LOOKED_BACK))


def _inode(file: BinaryIO) -> str:
    found = os.fstat(file.fileno())
    return f"{found.st_dev}:{found.st_ino}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]
