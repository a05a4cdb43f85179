"""A log that is not the one whose rows the database holds is refused."""

import shutil
from pathlib import Path

import pytest

from storage.checksum import checksums
from storage.errors import LogForkedError
from storage.log_rows import check_same_log, readable
from storage.sink import Reached, Sink
from streams.sqlite_log import SqliteEventLog
from tests.integration.database_rig import SITE, apply, scanner
from tests.postgres import MemoryLog, ServerDatabase
from tests.site_logs import write_log


def test_another_log_of_a_site_is_refused_whole(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    apply(sink, scanner().log.rows)
    before = checksums(database.connect())
    other = scanner(MemoryLog("restored"))
    other.scan(1.01)
    with pytest.raises(LogForkedError, match="log restored comes where log stands"):
        apply(sink, other.log.rows)
    assert checksums(database.connect()) == before


def test_a_seen_number_with_other_content_is_a_fork(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    here, copy = scanner(), scanner()
    here.scan(1.001)
    copy.scan(1.002)
    apply(sink, here.log.rows)
    with pytest.raises(LogForkedError, match="comes with other content"):
        apply(sink, copy.log.rows[-1:])


def test_a_next_row_that_does_not_continue_the_chain_is_a_fork(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    here, copy = scanner(), scanner()
    here.scan(1.001)
    copy.scan(1.002)
    copy.scan(1.0)
    apply(sink, here.log.rows)
    with pytest.raises(LogForkedError, match="does not continue the chain"):
        apply(sink, copy.log.rows[len(here.log.rows) :])


def test_an_older_copy_of_a_site_log_is_told_from_the_log(database: ServerDatabase, tmp_path: Path) -> None:
    write_log(tmp_path / "log.sqlite", SITE, devices=1, days=2)
    shutil.copy(tmp_path / "log.sqlite", tmp_path / "copy.sqlite")
    write_log(tmp_path / "log.sqlite", SITE, devices=1, days=2, from_day=2)
    sink = Sink(database.connect)
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log:
        apply(sink, readable(log.rows()))
    reached = sink.reached(SITE)
    assert reached is not None
    compare(tmp_path / "log.sqlite", reached)
    with pytest.raises(LogForkedError, match="is not there"):
        compare(tmp_path / "copy.sqlite", reached)
    write_log(tmp_path / "copy.sqlite", SITE, devices=1, days=9, from_day=5)
    with pytest.raises(LogForkedError, match="holds another link"):
        compare(tmp_path / "copy.sqlite", reached)
    sink.close()


def compare(path: Path, reached: Reached) -> None:
    """Compare a log with what the database has reached, as a starting site does."""
    with SqliteEventLog(path, read_only=True) as log:
        check_same_log(log, SITE, reached)
