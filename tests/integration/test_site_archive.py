"""Copies of the record in a second place, beside a running site; and what is due, from the command line."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bonewatch.site_archive import ArchiveError, _found, archive, check
from dashboards.users import UserStore
from streams import codec
from streams.messages import DutyDone, Event
from streams.refold import verify
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from tests.running import SiteProcess, configuration, seed

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
LONG_AGO = (datetime.now(UTC) - timedelta(days=30)).date()
DUTIES = f"""
[[duty]]
kind = "record_archive"
first_due = {LONG_AGO}
devices = ["dxa-1"]

[[duty]]
kind = "maintenance"
first_due = {LONG_AGO}
devices = ["dxa-1"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("site")
    seed(folder, configuration(scanners=1) + DUTIES)
    users = UserStore(folder / "var" / "users.sqlite")
    users.add_user("Archive robot", Role.SERVICE, PASSWORD)
    users.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    users.close()
    archived = folder / "var" / "archive" / "dxa-1"
    archived.mkdir(parents=True)
    (archived / "1.2.3.dcm").write_bytes(b"a phantom's object")
    (archived / ".1.2.4.dcm.part").write_bytes(b"half of one")
    (folder / "var" / "database").mkdir()
    (folder / "var" / "database" / "big").write_bytes(b"brought back by the log")
    with SiteProcess(folder) as process:
        yield process


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The data folder of a site that does not run."""
    seed(tmp_path, configuration(scanners=1))
    return tmp_path / "var"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    place = tmp_path / "second"
    place.mkdir()
    return place


def run(*arguments: str, password: str = PASSWORD) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "bonewatch", *arguments]
    done = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def recorded(site: SiteProcess) -> list[DutyDone]:
    with SqliteEventLog(site.folder / "var" / "site-log.sqlite", read_only=True) as log:
        events: list[Event] = [codec.decode_event(row.body) for row in log.rows()]
    return [event.fact for event in events if isinstance(event.fact, DutyDone)]


def test_a_copy_beside_a_running_site_is_whole_and_recorded_as_done(site: SiteProcess, second: Path) -> None:
    config = str(site.folder / "site.toml")
    status, said, told = run(
        "archive", str(second), "-c", config, "--same-disk", "--as", "Archive robot", "--url", site.url, "--json"
    )
    assert (status, told) == (0, "")
    answer = json.loads(said)
    folder = Path(answer["folder"])
    assert answer["recorded"] == ["dxa-1: Archive of Bonewatch's record"]
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    wanted = {"site-log.sqlite", "users.sqlite", "archive/dxa-1/1.2.3.dcm", "manifest.json"}
    assert wanted <= names
    assert not any(name.endswith((".part", "-wal", "-shm", "site.lock")) or "database" in name for name in names)
    with SqliteEventLog(folder / "site-log.sqlite", read_only=True) as copy:
        assert verify(copy).faults == ()
        assert verify(copy).head == answer["head"]
    (done,) = recorded(site)
    assert (done.duty_id, done.done_by, done.recorded_by.role) == ("record-archive", "Archive robot", "service")
    assert (done.reference, done.note) == (folder.name, f"Chain head {answer['head']}")
    assert run("check-archive", str(folder))[0] == 0
    again = run("archive", str(second), "-c", config, "--same-disk", "--as", "Archive robot", "--url", site.url)
    assert again[0] == 1
    assert "It is on record already" in again[2].replace("\n", " ")
    assert len(list(second.iterdir())) == 2


def test_a_copy_can_be_taken_without_recording_it(site: SiteProcess, second: Path) -> None:
    status, said, _ = run("archive", str(second), "-c", str(site.folder / "site.toml"), "--same-disk")
    assert status == 0
    assert "copied and checked" in said
    assert "Not recorded as done: say who with --as." in said


def test_an_archive_on_the_same_disk_is_refused_unless_allowed(site: SiteProcess, second: Path) -> None:
    status, _, told = run("archive", str(second), "-c", str(site.folder / "site.toml"))
    assert status == 1
    assert "is on the disk of the data folder: one failure would take both" in told.replace("\n", " ")
    assert list(second.iterdir()) == []


def test_due_work_is_reported_and_entered_from_the_command_line(site: SiteProcess) -> None:
    config = str(site.folder / "site.toml")
    status, said, _ = run("report", "due", "-c", config, "--format", "json")
    rows = json.loads(said)
    assert status == 1, "maintenance is overdue"
    assert (rows[0]["standing"], rows[0]["duty_id"], rows[0]["due_on"]) == (
        "overdue",
        "maintenance",
        LONG_AGO.isoformat(),
    )
    assert {row["kind"] for row in rows} >= {"manufacturer_qc", "independent_qc", "record_archive"}
    enter = ["enter", "dxa-1", "duty-done", "--as", "Pat Nurse", "--url", site.url]
    today = datetime.now(UTC).date().isoformat()
    status, said, told = run(*enter, "duty_id=maintenence", f"done_on={today}", "done_by=Eve")
    assert (status, "Choose what was done" in told) == (1, True)
    status, said, told = run(*enter, "duty_id=maintenance", f"done_on={today}", "done_by=Eve of Invented Ltd")
    assert (status, said) == (0, "Recorded as done.\n")
    status, said, _ = run("report", "due", "-c", config, "--kind", "maintenance", "--format", "csv")
    assert status == 0
    lines = said.splitlines()
    assert lines[0] == "device,kind,name,standing,due_on,done_on,duty_id,holds"
    assert lines[1].startswith("dxa-1,maintenance,Maintenance by the manufacturer,ok,")
    assert lines[1].endswith(f",{today},maintenance,False")
    assert "maintenance" in run("report", "due", "-c", config)[1]
    status, _, told = run("report", "due", "-c", config, "--kind", "maintenence")
    assert status == 1
    assert "nothing of kind maintenence comes round here" in told


def test_a_target_that_is_no_second_place_is_refused(stopped: Path, second: Path) -> None:
    for target, words in ((second / "not-mounted", "is it mounted|is the second place mounted"), (stopped, "itself")):
        with pytest.raises(ArchiveError, match=words):
            archive(stopped, target, site="test-site", same_disk=True)
    (stopped / "inside").mkdir()
    with pytest.raises(ArchiveError, match="lies in the data folder itself"):
        archive(stopped, stopped / "inside", site="test-site", same_disk=True)
    with pytest.raises(ArchiveError, match="nothing to copy"):
        archive(second, stopped, site="test-site", same_disk=True)


def test_what_a_link_leads_to_is_copied_and_restored_as_if_it_lay_there(
    stopped: Path, second: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "dxa-1").mkdir(parents=True)
    (elsewhere / "dxa-1" / "1.2.3.dcm").write_bytes(b"a phantom's object")
    db = sqlite3.connect(elsewhere / "files.sqlite")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE kept (name TEXT)")
    db.execute("INSERT INTO kept VALUES ('handover form')")
    db.commit()
    (stopped / "archive").symlink_to(elsewhere)
    (stopped / "attachments.sqlite").symlink_to(elsewhere / "files.sqlite")
    made = archive(stopped, second, site="test-site", same_disk=True)
    db.close()
    assert {one.name for one in made.manifest.files} >= {"archive/dxa-1/1.2.3.dcm", "attachments.sqlite"}
    shutil.rmtree(elsewhere)
    assert check(made.folder).manifest == made.manifest
    assert not any(path.is_symlink() for path in made.folder.rglob("*"))
    assert (made.folder / "archive" / "dxa-1" / "1.2.3.dcm").read_bytes() == b"a phantom's object"
    with closing(sqlite3.connect(made.folder / "attachments.sqlite")) as copied:
        assert copied.execute("SELECT name FROM kept").fetchall() == [("handover form",)]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (("attachments.sqlite", "not-mounted"), "attachments.sqlite is a link that leads to no file: mount what"),
        (("archive", "not-mounted"), "archive is a link that leads to no file"),
        (("archive", "var"), "archive is a link that leads in a circle: remove it"),
        (("archive", "."), "archive is a link that leads in a circle"),
        (("archive", "outside"), "archive/back is a link that leads in a circle"),
        (("archive", "second"), "second lies in the data folder itself"),
    ],
)
def test_a_link_that_cannot_be_followed_makes_no_copy(
    stopped: Path, second: Path, tmp_path: Path, link: tuple[str, str], words: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "back").symlink_to(stopped)
    (stopped / link[0]).symlink_to(tmp_path / link[1])
    with pytest.raises(ArchiveError, match=words):
        archive(stopped, second, site="test-site", same_disk=True)
    assert list(second.iterdir()) == []


def test_a_file_that_expires_while_sizes_are_added_up_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"four")
    assert [one.st_size for one in _found([tmp_path / "expired", tmp_path / "kept"])] == [4]


def test_two_copies_in_one_second_do_not_mix(stopped: Path, second: Path) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    first = archive(stopped, second, site="test-site", same_disk=True, now=now)
    assert first.folder.name == "test-site-20261122T120000Z"
    with pytest.raises(ArchiveError, match="is there already"):
        archive(stopped, second, site="test-site", same_disk=True, now=now)
    assert [path.name for path in second.iterdir()] == [first.folder.name]


def test_a_damaged_log_makes_no_copy_and_leaves_nothing(stopped: Path, second: Path) -> None:
    with sqlite3.connect(stopped / "site-log.sqlite") as db:
        db.execute("DROP TRIGGER events_stand")
        db.execute("UPDATE events SET body = CAST(replace(body, 'test', 'tost') AS BLOB) WHERE position = 2")
    db.close()
    with pytest.raises(ArchiveError, match="is not sound: the chain breaks at position 2"):
        archive(stopped, second, site="test-site", same_disk=True)
    assert list(second.iterdir()) == []


def test_a_copy_that_was_changed_later_is_found_out(stopped: Path, second: Path) -> None:
    made = archive(stopped, second, site="test-site", same_disk=True)
    assert check(made.folder).manifest == made.manifest
    changed = made.folder / "site-log.sqlite"
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(ArchiveError, match=r"site-log.sqlite is not as it was when the copy was taken"):
        check(made.folder)
    changed.unlink()
    with pytest.raises(ArchiveError, match=r"site-log.sqlite is not as it was"):
        check(made.folder)
    with pytest.raises(ArchiveError, match="is this a copy that `archive` made"):
        check(second)


def test_a_restored_copy_is_a_site_again(stopped: Path, second: Path, tmp_path: Path) -> None:
    made = archive(stopped, second, site="test-site", same_disk=True)
    shutil.rmtree(stopped)
    shutil.copytree(made.folder, stopped)
    (stopped / "manifest.json").unlink()
    with SiteProcess(tmp_path) as site:
        assert site.url
    with SqliteEventLog(stopped / "site-log.sqlite", read_only=True) as log:
        assert log.log_id == made.manifest.log_id
        assert verify(log).faults == ()
