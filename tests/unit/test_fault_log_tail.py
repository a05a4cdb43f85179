"""A log file as it grows: renamed, copied, emptied, read again after a crash; each line comes once."""

import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.fault_logs.tail import LONGEST, READ_BYTES, FileTail, Mark


class Log:
    """A log with its writer, and who reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "scanner.log"
        self.lost: list[str] = []
        self.came: list[bytes] = []
        self.marks: list[Mark] = []
        self._names = (f"g{number}" for number in itertools.count())
        self.tail = self.reader(None)

    def reader(self, mark: Mark | None) -> FileTail:
        return FileTail(self.path, mark, lambda: next(self._names), self.lost.append)

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def read(self, polls: int = 8) -> list[bytes]:
        """Return what comes until nothing more does."""
        came = []
        for _ in range(polls):
            lines = self.tail.poll()
            came += [line.data for line in lines]
            self.marks += [line.mark for line in lines]
        self.came += came
        return came

    def restart(self, mark: Mark | None = None) -> None:
        """Begin anew from the mark where reading ended, or an older one."""
        self.tail.close()
        self.tail = self.reader(mark or self.tail.mark)

    def rename(self, name: str = "scanner.log.1") -> None:
        self.path.rename(self.path.with_name(name))

    def empty(self) -> None:
        """Copy and truncate, as logrotate does for programs that keep their file open."""
        shutil.copy(self.path, self.path.with_name("scanner.log.1"))
        with self.path.open("r+b") as file:
            file.truncate()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.tail.close()


def test_a_log_that_is_there_is_read_from_its_end_and_one_that_comes_later_from_its_start(log: Log) -> None:
    log.write(b"old\nhalf")
    assert log.read() == []
    log.write(b" a line\nnew\n")
    assert log.read() == [b"half a line", b"new"]


def test_a_log_that_comes_later_is_read_from_its_start_even_after_a_restart(log: Log) -> None:
    assert log.read() == []
    log.write(b"first\n")
    log.restart()
    assert log.read() == [b"first"]
    assert log.lost == []


def test_a_half_written_line_waits_until_it_is_complete(log: Log) -> None:
    log.read()
    log.write(b"one\nhal")
    assert log.read() == [b"one"]
    log.restart()
    assert log.read() == []
    log.write(b"f\n")
    assert log.read() == [b"half"]


def test_a_renamed_log_is_read_to_its_end_and_then_the_new_one(log: Log) -> None:
    log.read()
    log.write(b"one\n")
    assert log.read() == [b"one"]
    log.write(b"two\n")
    log.rename()
    assert log.read() == [b"two"]  # and there is no new one yet
    log.write(b"three\nfour\n")
    assert log.read() == [b"three", b"four"]


def test_a_renamed_log_that_its_writer_still_has_open_is_waited_for(log: Log) -> None:
    log.read()
    with log.path.open("ab") as old:
        old.write(b"one\n")
        old.flush()
        assert log.read() == [b"one"]
        log.rename()
        log.write(b"three\n")
        assert log.read(1) == []
        old.write(b"two\n")
    assert log.read() == [b"two", b"three"]


def test_what_was_written_and_renamed_while_the_site_was_stopped_is_read(log: Log) -> None:
    log.read()
    log.write(b"one\n")
    assert log.read() == [b"one"]
    log.write(b"two\nhalf")
    log.rename("scanner.log.2")
    log.write(b"three\n")
    log.rename()
    log.write(b"four\n")
    log.restart()
    assert log.read(20) == [b"two", b"half", b"three", b"four"]
    assert log.lost == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_log_that_is_copied_and_emptied_is_read_on_in_the_copy_first(log: Log, stopped: bool) -> None:  # noqa: FBT001
    log.read()
    log.write(b"one\n")
    assert log.read() == [b"one"]
    log.write(b"two\n")
    log.empty()
    log.write(b"three is longer than everything before it\n")
    if stopped:
        log.restart()
    assert log.read(20) == [b"two", b"three is longer than everything before it"]
    assert log.lost == []


def test_a_log_that_is_emptied_without_a_copy_begins_anew(log: Log) -> None:
    log.read()
    log.write(b"one\n")
    assert log.read() == [b"one"]
    log.path.write_bytes(b"")
    assert log.read() == []
    log.write(b"one\n")
    assert log.read() == [b"one"]
    first, second = log.marks
    assert (first.offset, second.offset) == (0, 0)
    assert first.generation != second.generation  # the same line in the same place is another line


def test_a_log_that_went_while_the_site_was_stopped_is_told(log: Log) -> None:
    log.read()
    log.write(b"one\n")
    assert log.read() == [b"one"]
    log.path.unlink()
    log.write(b"x\ntwo\n")
    log.restart()
    assert log.read() == [b"x", b"two"]
    assert log.lost == ["gone"]


def test_overlong_lines_are_passed_over_in_bounded_memory_and_told(log: Log) -> None:
    log.read()
    log.write(b"one\n" + b"x" * (LONGEST + 1) + b"\ntwo\n" + b"y" * (3 * READ_BYTES))
    assert log.read() == [b"one", b"two"]
    log.restart()
    log.write(b"y\nthree\n")
    assert log.read() == [b"three"]
    assert log.lost == ["overlong", "overlong"]


def test_a_folder_cannot_be_read_and_a_file_in_its_place_can(log: Log) -> None:
    log.read()
    log.path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.tail.poll()
    log.path.rmdir()
    log.write(b"one\n")
    assert log.read() == [b"one"]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_to_the_file_each_line_comes_once(log: Log, tmp_path: Path, seed: int) -> None:
    """Also after a crash: what is read again has the same place, by which the log knows it."""
    rng = random.Random(seed)  # noqa: S311 - a story
    log.read()
    places: dict[tuple[str, int, bytes], bytes] = {}
    wrote: list[bytes] = []

    def take(polls: int) -> None:
        for _ in range(polls):
            for line in log.tail.poll():
                places[line.mark.generation, line.mark.offset, line.data] = line.data
                log.marks.append(line.mark)

    def rotate() -> None:
        if log.path.exists() and log.path.stat().st_size:
            take(20)  # a rename or copy that meets another within one poll is another test's
            for old in tmp_path.glob("scanner.log.*"):
                old.unlink()
            rng.choice((log.rename, log.empty))()

    def crash() -> None:
        """The line was recorded, and it was not yet noted that it was."""
        log.restart(log.marks[-1] if log.marks else None)

    def write() -> None:
        line = b"line %d%b" % (len(wrote), b"." * rng.randrange(40))
        wrote.append(line)
        log.write(line[:7])
        take(rng.randrange(2))
        log.write(line[7:] + b"\n")

    for _ in range(60):
        rng.choice((rotate, log.restart, crash, lambda: take(1), lambda: take(3), write, write, write))()
    take(20)
    assert list(places.values()) == wrote
