"""Exported files from the folder to the log: what is recorded, waited for, rejected, and what nobody gets to see."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from bonewatch.config import load, parse
from bonewatch.errors import ConfigError
from bonewatch.site import Site
from collectors.files.errors import ChangedError
from collectors.files.folder import ExportFolder
from collectors.files.intake import ROWS, Intake, Source, content_of
from collectors.files.map_file import map_from_toml
from collectors.files.memory import MEMORY_FILE, Memory, Read
from collectors.files.recording import Recorder
from collectors.files.settings import FilesSettings
from collectors.folders import state_of
from collectors.quarantine import Quarantine
from streams import codec
from streams.messages import PhantomMeasured, Verdict
from streams.messages import Source as Route
from streams.policy import DeviceKind, DevicePolicy, Phantom, PhantomRole
from streams.sqlite_log import SqliteEventLog
from tests.exported_files import HEADER, PHANTOM_MAP, VENDOR_MAP, XLSX_MAP, csv_export, line, workbook
from tests.fakes import FakeSite
from tests.kafka import wait_until
from tests.permissions import locked

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = DevicePolicy(DeviceKind.SCANNER, phantoms=(Phantom("SPINE-1234", PhantomRole.INDEPENDENT),))
DEVICE = "site/dxa-1"


def source(toml: str = PHANTOM_MAP, pattern: str = "*.csv", *, device: str = DEVICE, title: str = "qc.toml") -> Source:
    return Source(device, pattern, title, map_from_toml(toml, title), POLICY)


class Watched:
    """A folder before a site that remembers, with a clock of its own."""

    def __init__(self, tmp_path: Path, *sources: Source, settings: FilesSettings | None = None) -> None:
        self.now = NOW
        self.site = FakeSite()
        self.settings = settings or FilesSettings()
        self.data_dir = tmp_path / "var"
        self.folder = tmp_path / "exports"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sources = sources or (source(),)
        self.restart()

    def restart(self) -> None:
        self.rejects = Quarantine(self.data_dir, name="file-rejects")
        recorder = Recorder(self.site.append, self._recorded, self.settings, clock=lambda: self.now)
        intake = Intake(
            recorder, self.settings, zone=ZoneInfo("Europe/London"), rejects=self.rejects, clock=lambda: self.now
        )
        self.memory = Memory(self.data_dir)
        self.watch = ExportFolder(self.folder, self.sources, intake, self.memory, self.settings, clock=lambda: self.now)

    def _recorded(self, event_id: str) -> tuple[str, bytes] | None:
        fact = self.site.facts.get(event_id)
        return None if fact is None else (DEVICE, codec.encode(fact))

    def write(self, data: bytes, name: str = "qc.csv") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watch.look()

    @property
    def values(self) -> list[float]:
        return [fact.bmd_g_cm2 for fact in self.site.facts.values() if isinstance(fact, PhantomMeasured)]

    @property
    def read(self) -> Read:
        (read,) = msgspec.json.decode((self.data_dir / MEMORY_FILE).read_bytes(), type=dict[str, Read]).values()
        return read

    def kept(self) -> list[list[str]]:
        """The rejects of the last reading, opened."""
        data = self.rejects.open(self.data_dir / "file-rejects" / self.read.kept)
        return list(csv.reader(StringIO(data.decode())))[1:]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


# --- cumulative exports ------------------------------------------------------------------------------------


def test_an_export_that_grows_records_each_row_once_and_is_left_where_it_is(watched: Watched) -> None:
    for days in (2, 3, 5):
        path = watched.write(csv_export(line(day, f"0,98{day}") for day in range(1, days + 1)))
        watched.look()
    assert watched.values == [0.981, 0.982, 0.983, 0.984, 0.985]
    assert (watched.read.rows, watched.read.new, watched.read.seen) == (5, 2, 3)
    assert path.exists()


exports = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from(["0,981", "0,99", "x", "9,0"])), max_size=12, unique_by=lambda r: r[0]
)


@settings(max_examples=40)
@given(rows=exports, cuts=st.lists(st.integers(0, 12), max_size=4), days=st.integers(0, 20))
def test_any_series_of_cumulative_exports_leaves_what_the_last_one_alone_leaves(
    rows: list[tuple[int, str]], cuts: list[int], days: int
) -> None:
    """Whether rows were live or history when they were first seen depends on when, and on nothing else."""
    lines = [line(day, bmd) for day, bmd in rows]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        series, alone = Watched(Path(one)), Watched(Path(other))
        for cut in sorted(cuts):
            series.write(csv_export(lines[:cut]))
            series.look()
            series.now += timedelta(days=days)
            series.restart()
        for watched in (series, alone):
            watched.write(csv_export(lines))
            watched.look()
        assert content(series) == content(alone)
        assert sorted(content(alone).values()) == sorted(
            float(bmd.replace(",", ".")) for _, bmd in rows if bmd.startswith("0")
        )
        assert series.read.rejected == alone.read.rejected


def content(watched: Watched) -> dict[str, float]:
    return {name: fact.bmd_g_cm2 for name, fact in watched.site.facts.items() if isinstance(fact, PhantomMeasured)}


def test_an_unchanged_file_is_not_opened_again_even_after_a_restart(watched: Watched) -> None:
    path = watched.write(csv_export([line(2)]))
    watched.look()
    before = ROWS.labels(DEVICE, "seen")._value.get()
    watched.restart()
    watched.look(3)
    path.touch()
    watched.look(3)
    assert ROWS.labels(DEVICE, "seen")._value.get() == before, "another time and the same bytes is no other file"
    path.write_bytes(csv_export([line(2), line(3)]))
    watched.look()
    assert ROWS.labels(DEVICE, "seen")._value.get() == before + 1


def test_whatever_lies_there_is_remembered_and_of_what_is_gone_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.files.memory._REMEMBERED", 10)
    watched = Watched(tmp_path, source(), source(title="b.toml"), source(title="c.toml"))
    for day in range(1, 6):
        watched.write(csv_export([line(day)]), f"{day}.csv")
    watched.look()
    before = ROWS.labels(DEVICE, "seen")._value.get()
    watched.look(3)
    watched.restart()
    watched.look(3)
    assert ROWS.labels(DEVICE, "seen")._value.get() == before, "15 readings of 5 files"
    for day in range(1, 5):
        (watched.folder / f"{day}.csv").unlink()
    watched.write(csv_export([line(6)]), "6.csv")
    watched.look()
    assert len(msgspec.json.decode((watched.data_dir / MEMORY_FILE).read_bytes())) == 10


def test_what_was_read_is_written_down_once_a_look(watched: Watched) -> None:
    for day in range(1, 6):
        watched.write(csv_export([line(day)]), f"{day}.csv")
    missing: list[bool] = []
    watched.site.before_append = lambda: missing.append(not (watched.data_dir / MEMORY_FILE).exists())
    watched.look()
    assert missing == [True] * 5
    written = (watched.data_dir / MEMORY_FILE).stat().st_mtime_ns
    watched.look(3)
    assert (watched.data_dir / MEMORY_FILE).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "change",
    [
        {"column_map": map_from_toml(PHANTOM_MAP + "[regions]\na = 'L1-L4'\n", "qc.toml")},
        {"policy": msgspec.structs.replace(POLICY, phantoms=(*POLICY.phantoms, Phantom("B", PhantomRole.INDEPENDENT)))},
        {"log_id": "of a log restored from a backup"},
    ],
)  # fmt: skip
def test_a_file_is_read_again_when_what_it_would_become_is_another(watched: Watched, change: dict[str, object]) -> None:
    watched.write(csv_export([line(2)]))
    watched.look()
    watched.sources = (msgspec.structs.replace(source(), **change),)
    watched.restart()
    watched.look()
    assert (watched.read.seen, watched.read.new) == (1, 0)


def test_another_value_under_the_same_key_is_refused_kept_and_counted(watched: Watched) -> None:
    watched.write(csv_export([line(2, "0,987")]))
    watched.look()
    watched.now += timedelta(days=40)
    watched.write(csv_export([line(2, "0,988"), line(3)]))
    watched.look()
    assert sorted(watched.values) == [0.987, 0.987]
    assert watched.read.rejected == {"conflict": 1}
    ((number, code, reason, text),) = watched.kept()
    assert (number, code) == ("2", "conflict")
    assert "recorded before with other content" in reason
    assert '"bmd_g_cm2":0.988' in text


def test_old_rows_are_history_and_new_ones_live(watched: Watched) -> None:
    watched.write(csv_export([line(2, month=3), line(7), line(9)]))
    watched.look()
    routes = [fact.source for fact in watched.site.facts.values() if isinstance(fact, PhantomMeasured)]
    assert routes == [Route.HISTORY, Route.HISTORY, Route.IMPORT], "older than 14 days on 22 November at noon, or not"


# --- whole files only --------------------------------------------------------------------------------------


def test_a_file_that_grows_is_left_until_it_is_steady(watched: Watched) -> None:
    for days in range(1, 5):
        watched.write(csv_export(line(day) for day in range(1, days + 1)))
        watched.look(1)
    assert watched.values == []
    watched.look(1)
    assert len(watched.values) == 4


def test_a_csv_whose_last_line_has_no_end_waits_for_it(watched: Watched) -> None:
    half = csv_export([line(2), line(3, "0,98765")]).partition(b"0,98765")[0] + b"0,98"
    watched.write(half)
    watched.look(3)
    watched.now += timedelta(seconds=299)
    watched.look()
    assert watched.values == []
    watched.write(csv_export([line(2), line(3, "0,98765")])[:-2])
    watched.look()
    watched.now += timedelta(seconds=301)
    watched.look()
    assert watched.values == [0.987, 0.98765], "steady for long enough, it is whole"


def test_half_a_workbook_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    watched = Watched(tmp_path, source(XLSX_MAP, "*.xlsx"))
    whole = workbook([[datetime(2026, 11, 2), datetime(2026, 1, 1, 7, 45).time(), "SPINE-1234", 0.98, "A", 1, None]])  # noqa: DTZ001
    watched.write(whole[:-300], "qc.xlsx")
    watched.look(3)
    assert not (watched.data_dir / MEMORY_FILE).exists()
    watched.write(whole, "qc.xlsx")
    watched.look()
    assert watched.values == [0.98]
    watched.write(whole[:-300], "qc.xlsx")
    watched.look()
    watched.now += timedelta(seconds=601)
    watched.look()
    assert watched.read.code == "unreadable"


@pytest.mark.parametrize("name", ["~$qc.csv", ".qc.csv", "qc.CSV.tmp", "a/b/c/d.csv", "other/qc.txt"])
def test_lock_files_hidden_files_and_files_of_nobody_are_left_alone(watched: Watched, name: str) -> None:
    watched.write(csv_export([line(2)]), name)
    watched.look(3)
    assert watched.values == []


def test_links_are_not_followed(watched: Watched, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(csv_export([line(2)]))
    (watched.folder / "qc.csv").symlink_to(secret)
    (watched.folder / "more").symlink_to(tmp_path)
    watched.look(3)
    assert watched.values == []


def test_a_refused_file_is_said_once_and_read_again_when_it_has_changed(watched: Watched) -> None:
    watched.write(csv_export([line(2)], header=HEADER.replace("Zeit", "Uhr")))
    with capture_logs() as logs:
        watched.look(4)
    assert [(log["code"], log["why"]) for log in logs if log["event"] == "file_refused"] == [
        ("header", 'there is no column "Zeit" in the header')
    ]
    watched.write(csv_export([line(2)]))
    watched.look()
    assert watched.values == [0.987]


def test_while_the_site_cannot_record_the_file_waits(watched: Watched) -> None:
    watched.site.available = False
    watched.write(csv_export([line(2)]))
    watched.look(3)
    watched.site.available = True
    watched.look(1)
    assert watched.values == [0.987]


def test_a_stop_breaks_a_long_file_off_and_the_next_start_finishes_it(watched: Watched) -> None:
    watched.write(csv_export(line(day, month=month) for month in range(1, 11) for day in range(1, 28)))
    watched.look(1)
    watched.site.before_append = watched.watch.stop
    watched.look(1)
    assert len(watched.values) == 64, "one batch was under way"
    watched.site.before_append = lambda: None
    watched.restart()
    watched.look()
    assert len(watched.values) == 270
    assert watched.read.seen == 64


def broken() -> None:
    raise RuntimeError("something of ours")


def test_a_failure_of_ours_is_one_files_and_not_the_folders(watched: Watched) -> None:
    watched.site.before_append = broken
    watched.write(csv_export([line(2)]), "a.csv")
    watched.look()
    watched.site.before_append = lambda: None
    watched.write(csv_export([line(3)]), "b.csv")
    watched.look()
    assert watched.values == [0.987]


def test_a_failure_of_ours_that_passes_costs_a_file_nothing(watched: Watched) -> None:
    watched.site.before_append = broken
    watched.write(csv_export([line(2)]))
    watched.look()
    assert not (watched.data_dir / MEMORY_FILE).exists()
    watched.site.before_append = lambda: None
    watched.now += timedelta(seconds=6)
    watched.look(1)
    assert (watched.values, watched.read.code) == ([0.987], "read")


def test_a_failure_of_ours_that_stays_is_tried_less_and_less_often_then_at_each_start(watched: Watched) -> None:
    tried: list[float] = []

    def broken_now() -> None:
        tried.append((watched.now - NOW).total_seconds())
        broken()

    watched.site.before_append = broken_now
    watched.write(csv_export([line(2)]))
    with capture_logs() as logs:
        watched.look(1)
        for _ in range(5000):
            watched.look(1)
            watched.now += timedelta(seconds=1)
    assert tried == [0, 5, 15, 35, 75, 155, 315, 635]
    assert [(log["event"], log.get("code", log.get("error"))) for log in logs][-2:] == [
        ("file_failed", "RuntimeError"),
        ("file_refused", "internal"),
    ]
    assert watched.read.code == "internal"
    watched.restart()
    watched.look(3)
    assert len(tried) == 9
    watched.site.before_append = lambda: None
    watched.now += timedelta(seconds=6)
    watched.look(1)
    assert (watched.values, watched.read.code) == ([0.987], "read")


def test_a_row_that_somebody_records_meanwhile_is_known_or_a_conflict(watched: Watched) -> None:
    """The log is asked before, and says so once more when it records."""
    watched.write(csv_export([line(12), line(13), line(14)]))
    seen = Watched(watched.folder.parent / "other")
    seen.write(csv_export([line(12), line(13, "0,99")]))
    seen.look()

    def meanwhile() -> None:
        watched.site.facts |= {name: fact for name, fact in seen.site.facts.items() if name not in watched.site.facts}

    watched.site.before_append = meanwhile
    watched.look()
    assert (watched.read.seen, watched.read.new, watched.read.rejected) == (1, 1, {"conflict": 1})
    assert sorted(watched.values) == [0.987, 0.987, 0.99]


def test_a_folder_that_is_away_is_said_once_and_read_when_it_is_back(watched: Watched) -> None:
    watched.write(csv_export([line(2)]))
    away = watched.folder.rename(watched.folder.with_name("away"))
    with capture_logs() as logs:
        watched.look(3)
        away.rename(watched.folder)
        watched.look()
    assert [log["trouble"] for log in logs if log["event"] == "folder"] == ["FileNotFoundError", "none any more"]
    assert watched.values == [0.987]


def test_a_folder_in_it_that_cannot_be_read_is_said_once_and_stops_no_other(tmp_path: Path) -> None:
    watched = Watched(tmp_path, source(pattern="*.csv"))
    watched.write(csv_export([line(3, "0,98")]), "dxa-2/qc.csv")
    watched.write(csv_export([line(2)]), "dxa-1/qc.csv")
    with capture_logs() as logs:
        with locked(watched.folder / "dxa-2"):
            watched.look(3)
            assert watched.values == [0.987]
        watched.look()
    assert [log["trouble"] for log in logs if log["event"] == "folder"] == [
        "1 folders in it cannot be read: PermissionError",
        "none any more",
    ]
    assert watched.values == [0.987, 0.98]


def test_a_file_that_cannot_be_opened_is_said_once_and_read_when_it_can(watched: Watched) -> None:
    path = watched.write(csv_export([line(2)]))
    with capture_logs() as logs, locked(path):
        watched.look(4)
    assert [log["event"] for log in logs] == ["file_not_opened"]
    watched.look(1)
    assert watched.values == [0.987], "at the next look: it was locked for a moment"


def test_a_file_written_while_it_is_read_is_taken_at_the_next_look(watched: Watched) -> None:
    path = watched.write(csv_export([line(2), line(3)]))
    state = state_of(path)
    assert state is not None
    path.write_bytes(csv_export([line(2), line(3), line(4)]))
    with pytest.raises(ChangedError):
        content_of(path, watched.sources[0], state, watched.settings, zone=ZoneInfo("Europe/London"))


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(max_bytes=1024))
    watched.write(csv_export([line(2)] * 30))
    watched.look()
    assert (watched.read.code, watched.values) == ("over_limit", [])


def test_capitals_of_a_files_name_say_nothing(watched: Watched) -> None:
    watched.write(csv_export([line(2)]), "QC.CSV")
    watched.look()
    assert watched.values == [0.987]


def test_one_file_may_be_of_several_devices_and_kinds(tmp_path: Path) -> None:
    only = '\n[[only]]\ncolumn = "Outcome"\nvalues = ["PASS", "FAIL"]\n'
    other = source(VENDOR_MAP + only, "*/both.csv", device="site/dxa-2", title="vendor.toml")
    watched = Watched(tmp_path, source(VENDOR_MAP, "a/*.csv"), other)
    watched.write(b"When,Outcome,Who\n2026-11-20 07:30:00,PASS,Oz\n2026-11-21 07:30:00,in limits,Oz\n", "a/both.csv")
    watched.look()
    assert len(watched.site.facts) == 3


QUOTED = line(2) + '"24 h after service'


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([line(2)], False),
        ([line(2), line(3, "x")], False),
        ([line(2), line(3, "x"), line(4, "x")], True),
        ([line(2, scan="x" * 2001)], True),
        ([QUOTED, line(3)], True),
        (["x"], True),
    ],
)
def test_where_so_configured_a_file_goes_of_which_each_row_was_recorded_or_kept(
    tmp_path: Path,
    rows: list[str],
    left: bool,  # noqa: FBT001
) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete", max_rejects=1))
    header = HEADER.replace("Datum", "Tag") if rows == ["x"] else HEADER
    path = watched.write(csv_export(rows, header=header))
    watched.look(3)
    assert path.exists(), "whoever writes it may only have paused"
    watched.now += timedelta(seconds=301)
    watched.look()
    assert path.exists() is left


def test_a_file_whose_writer_pauses_at_the_end_of_a_line_is_not_removed_under_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    with (watched.folder / "qc.csv").open("wb") as file:
        file.write(csv_export([line(2), line(3)]))
        file.flush()
        watched.look(3)
        watched.now += timedelta(seconds=200)
        watched.look()
        file.write((line(4) + "\r\n").encode())
    watched.look()
    watched.now += timedelta(seconds=200)
    watched.look()
    assert len(watched.values) == 3
    assert list(watched.folder.iterdir()), "it was written a moment ago"
    watched.now += timedelta(seconds=101)
    watched.look()
    assert not list(watched.folder.iterdir())


def test_rejects_that_have_expired_are_kept_anew_before_their_file_is_removed(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    for rows in ([PATIENT], [PATIENT, line(4)]):
        path = watched.write(csv_export(rows))
        watched.look()
        watched.now += timedelta(seconds=301)
        watched.look()
        assert not path.exists()
        assert [row[1] for row in watched.kept()] == ["not_a_phantom"]
        watched.now += timedelta(days=31)
        watched.rejects.expire(watched.now)


def test_a_file_whose_rejects_are_gone_is_not_removed(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    path = watched.write(csv_export([PATIENT]))
    watched.look()
    watched.now += timedelta(days=31)
    watched.rejects.expire(watched.now)
    watched.look()
    assert path.exists()


# --- rejects -----------------------------------------------------------------------------------------------

PATIENT = line(3, "1,041", phantom="943 476 5919").replace("13.6.0.5;", "13.6.0.5;INVENTED IRIS")


def test_rejected_rows_are_kept_encrypted_and_a_patient_is_nowhere_else(watched: Watched) -> None:
    with capture_logs() as logs:
        watched.write(csv_export([line(2), PATIENT, line(4, "?")]), "IRIS INVENTED.csv")
        watched.look(3)
    assert [row[:2] for row in watched.kept()] == [["3", "not_a_phantom"], ["4", "number"]]
    assert "INVENTED IRIS" in watched.kept()[0]
    told = str(logs) + generate_latest().decode() + str(watched.site.facts)
    for path in watched.data_dir.rglob("*"):
        told += path.name + (path.read_bytes().decode("latin-1") if path.is_file() else "")
    assert "943 476 5919" not in told
    assert "IRIS" not in told
    assert "bonewatch_file_rows_total" in told


def test_a_rejected_cell_is_no_formula_to_a_spreadsheet(watched: Watched) -> None:
    watched.write(csv_export([line(2, "=1+1")]))
    watched.look()
    assert "'=1+1" in watched.kept()[0]


def test_the_same_rejects_are_kept_once_and_others_anew(watched: Watched) -> None:
    for rows in ([PATIENT], [PATIENT, line(4)], [PATIENT, line(4), line(5, "?")]):
        watched.write(csv_export(rows))
        watched.look()
    assert len(watched.rejects) == 2
    assert watched.read.rejected == {"not_a_phantom": 1, "number": 1}


def test_more_rejects_than_are_kept_are_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(max_rejects=3))
    watched.write(csv_export([line(2)] + [line(3, "?")] * 10))
    watched.look()
    assert watched.read.rejected == {"number": 10}
    assert len(watched.kept()) == 3


# --- the site ----------------------------------------------------------------------------------------------


CONFIGURATION = """
[site]
id = "test-site"

[dicom]
port = 0

[http]
port = 0

[database]
enabled = false

[files]
folder = "exports"
poll_s = 0.2

[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-1234"
  [[device.file]]
  files = "dxa-1/*.csv"
  map = "maps/qc.toml"
"""


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    (folder / "maps").mkdir(exist_ok=True)
    (folder / "maps" / "qc.toml").write_text(PHANTOM_MAP)
    site = Site(parse(CONFIGURATION, "site.toml"), folder / "var", folder=folder)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def recorded(folder: Path) -> list[PhantomMeasured]:
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        facts = [codec.decode_event(row.body).fact for row in log.rows()]
    return [fact for fact in facts if isinstance(fact, PhantomMeasured)]


def test_a_site_takes_a_growing_export_once_across_restarts(tmp_path: Path) -> None:
    exported = tmp_path / "exports" / "dxa-1"
    exported.mkdir(parents=True)
    for days in (20, 28):
        with running(tmp_path) as site:
            (exported / "qc.csv").write_bytes(csv_export(line(day, year=2019, month=3) for day in range(1, days + 1)))
            wait_until(lambda: len(recorded(tmp_path)) == days)  # noqa: B023 - it is called in this turn
            judged = [one.verdict for one in site.readings.qc("dxa-1")]
    assert judged == [Verdict.NO_BASELINE] * 28
    assert [fact.measured_at.day for fact in recorded(tmp_path)] == [*range(1, 29)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("maps/qc.toml", "maps/none.toml", "none.toml cannot be read"),
        ("maps/qc.toml", "maps/wrong.toml", "wrong.toml: .*columns.bmd is missing"),
        ("maps/qc.toml", "maps/check.toml", 'kind = "check" does not fit a scanner'),
        ('folder = "exports"\n', "", "line 24: .files. names no folder"),
        ("dxa-1/*.csv", "../*.csv", "a pattern within the folder"),
        ("poll_s = 0.2", "poll_s = 0.0", "line 16: poll_s lies between"),
        ("poll_s = 0.2", "max_rows = 0", "line 16: max_rows lies between"),
        ("  [[device.file]]\n  files = \"dxa-1/*.csv\"\n  map = \"maps/qc.toml\"\n", "", "no device has"),
    ],
)  # fmt: skip
def test_a_configuration_or_a_map_that_does_not_hold_says_so(tmp_path: Path, old: str, new: str, words: str) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "qc.toml").write_text(PHANTOM_MAP)
    (maps / "wrong.toml").write_text(PHANTOM_MAP.replace('bmd = "BMD gesamt"', ""))
    (maps / "check.toml").write_text(
        VENDOR_MAP.replace("vendor_qc", "check")
        .replace('result = "Outcome"', 'standard = "a"\nread = "b"')
        .partition("[words]")[0]
        + '[units]\nread = "kg"\n'
    )
    path = tmp_path / "site.toml"
    assert old in CONFIGURATION
    path.write_text(CONFIGURATION.replace(old, new))
    with pytest.raises(ConfigError, match=words):
        load(path)
