"""A rotation of the pseudonyms' key, beside a real PostgreSQL: the log stays, the projection follows."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bonewatch.cli import app as command_line
from bonewatch.pseudonym_keys import newest_recorded, note_lost_keys
from collectors.pseudonym import KeyMissingError, Pseudonyms
from storage.checksum import checksums
from storage.connection import Db
from storage.rebuild import rebuild
from storage.renaming import rename
from storage.site_sink import NOT_RENAMED, SiteSink
from streams.engine import SiteEngine
from streams.messages import (
    DeviceRegistered,
    Draft,
    Fact,
    ObjectKind,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    RegionMeasured,
    event_id,
)
from streams.sqlite_log import SqliteEventLog
from tests.folding import DEVICE, MONDAY, POLICY, WEEKDAY_CLINIC
from tests.postgres import ServerDatabase, database, embedded, server
from tests.running import configuration

__all__ = ["database", "embedded", "server"]  # fixtures, used by their names

PEOPLE = ("NOBODY-1", "NOBODY-2")
SPINE = (RegionMeasured("L1-L4", 0.93),)
EVERYWHERE = (
    "SELECT pseudonym FROM measurements UNION SELECT pseudonym FROM measurement_revisions"
    " UNION SELECT fact ->> 'pseudonym' FROM events WHERE fact ->> 'pseudonym' <> ''"
)


def visit(names: Pseudonyms, patient_id: str, number: int) -> list[tuple[Any, Draft]]:
    """Somebody's start, object and measurement: of a scanner without QC, so withheld."""
    at, name = MONDAY + timedelta(hours=number), names.of(patient_id)
    facts: list[Fact] = [
        PatientScanStarted(f"ACC{number}", at, f"1.2.{number}", pseudonym=name),
        PatientObjectReceived(ObjectKind.IMAGE, f"ACC{number}", f"scan-{number}", pseudonym=name),
        PatientMeasured(f"ACC{number}", at, f"scan-{number}", pseudonym=name, regions=SPINE),
    ]
    return [(at, Draft(event_id(str(number), str(place)), DEVICE, fact)) for place, fact in enumerate(facts)]


@pytest.fixture
def names(tmp_path: Path) -> Pseudonyms:
    return Pseudonyms(tmp_path)


@pytest.fixture
def log(tmp_path: Path, names: Pseudonyms) -> Iterator[SqliteEventLog]:
    """Two people, seen before a rotation and after it."""
    with SqliteEventLog(tmp_path / "site-log.sqlite") as log:
        begin = [(MONDAY, Draft(event_id("registered"), DEVICE, DeviceRegistered(POLICY, WEEKDAY_CLINIC)))]
        SiteEngine(log).import_history([*begin, *visit(names, PEOPLE[0], 1), *visit(names, PEOPLE[1], 2)])
        yield log


def standing(db: Db) -> set[str]:
    return {name for (name,) in db.execute(EVERYWHERE.encode())}


def eventually(db: Db, expected: set[str]) -> None:
    deadline = time.monotonic() + 10
    while standing(db) != expected:
        assert time.monotonic() < deadline, standing(db)
        time.sleep(0.02)


def test_a_running_sink_renames_what_stands_and_the_log_is_left(
    database: ServerDatabase, log: SqliteEventLog, names: Pseudonyms, tmp_path: Path
) -> None:
    as_recorded = [row.body for row in log.rows()]
    sink = SiteSink(tmp_path / "site-log.sqlite", "test-site", database, keys=Pseudonyms(tmp_path))
    sink.start()
    try:
        db = database.connect()
        eventually(db, {names.of(one) for one in PEOPLE})
        names.rotate()
        newest = {names.of(one) for one in PEOPLE}
        assert {name[:2] for name in newest} == {"2."}
        eventually(db, newest)
        assert [row.body for row in log.rows()] == as_recorded
        assert NOT_RENAMED._value.get() == 0
    finally:
        sink.stop()


def test_a_rebuild_after_rotations_has_the_same_content_and_one_history_a_person(
    database: ServerDatabase, log: SqliteEventLog, names: Pseudonyms
) -> None:
    first = rebuild(database, log, "test-site", keys=names)
    names.rotate()
    db = database.connect()
    with db.transaction():
        assert rename(db, "test-sit", names) == (0, 0), "rows of another site are left alone"
        assert rename(db, "test-site", names).pseudonyms == 2
    renamed_content = checksums(db)
    with db.transaction():
        assert rename(db, "test-site", names) == (0, 0)
    assert checksums(db) == renamed_content, "again changes nothing"
    again = rebuild(database, log, "test-site", keys=names)
    assert (again.is_same, again.after != first.after) == (True, True)
    assert standing(database.connect()) == {names.of(one) for one in PEOPLE}


def test_what_a_lost_key_keeps_from_the_newest_version_stays_and_is_counted(
    database: ServerDatabase, log: SqliteEventLog, names: Pseudonyms, tmp_path: Path
) -> None:
    rebuild(database, log, "test-site", keys=names)
    before = standing(database.connect())
    names.rotate()
    names.rotate()
    (tmp_path / "pseudonym-2.key").unlink()
    db = database.connect()
    with db.transaction():
        assert rename(db, "test-site", Pseudonyms(tmp_path)) == (0, 2)
    assert standing(db) == before


# --- the command line --------------------------------------------------------------------------------------


def run(folder: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line([*words, "-c", str(folder / "site.toml")])
    return int(ended.value.code or 0)


def test_rotate_and_status_say_what_is_and_what_is_lost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text(configuration())
    (tmp_path / "var").mkdir()
    assert run(tmp_path, "pseudonym", "rotate") == 0
    assert "version 2 from now on" in capfd.readouterr().out
    assert run(tmp_path, "pseudonym", "status") == 0
    secrets = [path.read_bytes() for path in (tmp_path / "var").glob("*.key")]
    out = capfd.readouterr().out
    assert "version 2 of " in out
    (tmp_path / "var" / "pseudonym.key").unlink()
    assert run(tmp_path, "pseudonym", "status", "--json") == 1
    out += capfd.readouterr().out
    assert '"missing":[1]' in out
    assert len(secrets) == 2
    assert not any(secret.hex() in out for secret in secrets)


def test_a_lost_key_is_not_made_again_under_its_number(
    tmp_path: Path, log: SqliteEventLog, names: Pseudonyms, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.toml").write_text(configuration().replace('"var"', '"."'))
    old = names.of(PEOPLE[0])
    (tmp_path / "pseudonym.key").unlink()
    lost = Pseudonyms(tmp_path)
    note_lost_keys(lost, log)
    assert (lost.of(PEOPLE[0]), lost.missing()) == ("", [1])
    assert run(tmp_path, "pseudonym", "status") == 1
    assert "lost version 1" in capfd.readouterr().out
    assert run(tmp_path, "pseudonym", "rotate", "--begin-anew") == 0
    assert lost.all_of(PEOPLE[0]) == (lost.of(PEOPLE[0]),)
    assert lost.of(PEOPLE[0]).startswith("2.")
    assert lost.newest(old) == old


def test_a_key_later_than_those_of_a_restored_copy_is_missed_where_the_log_tells_of_it(
    tmp_path: Path, log: SqliteEventLog, names: Pseudonyms
) -> None:
    names.rotate()
    SiteEngine(log).import_history(visit(names, PEOPLE[0], 3))
    (tmp_path / "pseudonym-2.key").unlink()
    assert newest_recorded(log) == 2
    left = Pseudonyms(tmp_path)
    left.note_lost(newest_recorded(log))
    with pytest.raises(KeyMissingError, match="version 2 is lost"):
        left.rotate()
