"""The record of use: complete, chained, never changed in silence."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from dashboards.audit.trail import AuditEntry, AuditError, SqliteTrail, uses, verify
from tests.console_fakes import NOW


def use(number: int) -> AuditEntry:
    at = NOW + timedelta(minutes=number)
    return AuditEntry(
        at, "Booking", "token", "192.0.2.1", "GET", "/api/v1/devices", 200, {"device_id": f"dxa-{number}"}
    )


def recorded(path: Path, count: int) -> None:
    trail = SqliteTrail(path)
    for number in range(count):
        trail.append(use(number)).result(10)
    trail.close()


def test_what_was_appended_is_on_the_disk_in_its_order(tmp_path: Path) -> None:
    recorded(tmp_path / "audit.sqlite", 3)
    recorded(tmp_path / "audit.sqlite", 2)
    found = list(uses(tmp_path / "audit.sqlite"))
    assert [entry.subject["device_id"] for entry in found] == ["dxa-0", "dxa-1", "dxa-2", "dxa-0", "dxa-1"]
    assert found[1] == use(1)
    assert verify(tmp_path / "audit.sqlite").entries == 5


def test_who_goes_away_before_the_answer_is_on_record_and_ends_nobody_elses(tmp_path: Path) -> None:
    trail = SqliteTrail(tmp_path / "audit.sqlite")
    for number in range(20):
        trail.append(use(number)).cancel()
    trail.append(use(20)).result(10)
    trail.close()
    assert len(list(uses(tmp_path / "audit.sqlite"))) == 21


def test_a_record_that_is_closed_says_so_at_once(tmp_path: Path) -> None:
    trail = SqliteTrail(tmp_path / "audit.sqlite")
    trail.close()
    with pytest.raises(AuditError, match="closed"):
        trail.append(use(1)).result(1)


def test_uses_can_be_listed_from_a_time_on(tmp_path: Path) -> None:
    recorded(tmp_path / "audit.sqlite", 4)
    since = list(uses(tmp_path / "audit.sqlite", since=NOW + timedelta(minutes=2)))
    assert since == [use(2), use(3)]


def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    trail = SqliteTrail(tmp_path / "audit.sqlite")
    with ThreadPoolExecutor(8) as threads:
        for done in list(threads.map(trail.append, map(use, range(400)))):
            done.result(10)
    trail.close()
    found = {entry.subject["device_id"] for entry in uses(tmp_path / "audit.sqlite")}
    assert found == {f"dxa-{number}" for number in range(400)}
    assert verify(tmp_path / "audit.sqlite")[:2] == (400, [])


def test_the_chain_is_that_of_the_log_and_can_be_reckoned_by_hand(tmp_path: Path) -> None:
    recorded(tmp_path / "audit.sqlite", 1)
    with closing(sqlite3.connect(tmp_path / "audit.sqlite")) as db:
        (trail_id,) = db.execute("SELECT value FROM meta").fetchone()
    body = msgspec.json.encode(use(0))
    expected = sha256(sha256(trail_id.encode()).digest() + len(body).to_bytes(8, "big") + body).hexdigest()
    assert verify(tmp_path / "audit.sqlite").head == expected


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET body = CAST(replace(body, 'Booking', 'Nobody!') AS BLOB) WHERE position = 2",
        "DELETE FROM entry WHERE position = 2",
        "DELETE FROM entry WHERE position = 1",
        "UPDATE entry SET link = zeroblob(32) WHERE position = 4",
    ],
)
def test_a_change_is_refused_by_the_file_and_seen_where_the_file_was_forced(tmp_path: Path, change: str) -> None:
    recorded(tmp_path / "audit.sqlite", 4)
    with closing(sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)) as db:
        with pytest.raises(sqlite3.IntegrityError, match="record of use is never"):
            db.execute(change)
        assert verify(tmp_path / "audit.sqlite").faults == []
        db.execute("DROP TRIGGER entries_stand")
        db.execute("DROP TRIGGER entries_are_kept")
        db.execute(change)
    assert len(verify(tmp_path / "audit.sqlite").faults) == 1


def test_what_cannot_be_written_is_told_and_the_next_is_written_again(tmp_path: Path) -> None:
    trail = SqliteTrail(tmp_path / "audit.sqlite")
    with closing(sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        with pytest.raises(AuditError, match="disk is full"):
            trail.append(use(0)).result(10)
        db.execute("DROP TRIGGER full")
    trail.append(use(1)).result(10)
    trail.close()
    assert list(uses(tmp_path / "audit.sqlite")) == [use(1)]


def test_a_file_that_is_no_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit.sqlite").write_bytes(b"something else, for long enough to be no database" * 20)
    with pytest.raises(AuditError, match="cannot be opened"):
        SqliteTrail(tmp_path / "audit.sqlite")
    with pytest.raises(AuditError, match="is not there"):
        list(uses(tmp_path / "nowhere.sqlite"))
