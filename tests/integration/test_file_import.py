"""``bonewatch import``: years of history from the command line into the log, once, whatever happens."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bonewatch import cli
from bonewatch.configuration.loading import load
from bonewatch.data_folder import only_site_here
from bonewatch.errors import ConfigError
from bonewatch.file_import import FileImport, Progress
from bonewatch.site import Site
from streams import codec
from streams.messages import (
    BaselineAccepted,
    CalibrationCheckRead,
    Draft,
    GateChanged,
    PhantomMeasured,
    QcJudged,
    ReviewOpened,
    Source,
)
from streams.refold import replay, verify
from streams.sqlite_log import LogError, SqliteEventLog
from tests.exported_files import CHECK_MAP, PHANTOM_MAP, csv_export, line
from tests.folding import baseline
from tests.integration.exports_rig import CONFIGURATION, PATIENT, running
from tests.kafka import wait_until
from tests.permissions import locked
from tests.site_logs import facts_in

QUIET = Progress(lambda _count: None, lambda _count, _of: None)
MARCH = [line(day, f"1,00{day % 10}", year=2019, month=3) for day in range(1, 29)]


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """The command line configures the process's logs: here, for one test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def department(tmp_path: Path) -> Path:
    """A stopped site with nothing recorded."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "exports").mkdir()
    (tmp_path / "maps" / "qc.toml").write_text(PHANTOM_MAP)
    (tmp_path / "site.toml").write_text(CONFIGURATION)
    return tmp_path


def run(department: Path, *words: str) -> int:
    """The command line, in this process."""
    with pytest.raises(SystemExit) as ended:
        cli.app([*words, "-c", str(department / "site.toml")], exit_on_error=False)
    return int(ended.value.code or 0)


def imported(department: Path, rows: list[str], *more: str) -> int:
    (department / "history.csv").write_bytes(csv_export(rows))
    column_map = str(department / "maps" / "qc.toml")
    return run(department, "import", str(department / "history.csv"), "--device", "dxa-1", "--map", column_map, *more)


def facts(department: Path) -> list[PhantomMeasured]:
    return [fact for fact in facts_in(department / "var" / "site-log.sqlite") if isinstance(fact, PhantomMeasured)]


def outcomes(department: Path) -> list[object]:
    with SqliteEventLog(department / "var" / "site-log.sqlite", read_only=True) as log:
        return [codec.decode_outcome(body).outcome for row in log.rows() for body in row.outcomes]


def test_history_goes_into_the_log_in_order_of_time_and_once(
    department: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(department, [*reversed(MARCH), MARCH[4], PATIENT, line(1, "9,9", year=2019, month=4)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "rows read 31" in said
    assert "recorded 28, 28 of them history" in said
    assert "twice in the file 1 (line 30 as 25)" in said
    assert "rejected 2 (1 not_a_phantom, 1 impossible_value)" in said
    assert "01 March 2019 to 28 March 2019" in said
    assert "SPINE-1234: 28 new, 28 no baseline" in said
    assert "INVENTED" not in said
    assert [fact.measured_at.day for fact in facts(department)] == list(range(1, 29))
    assert {fact.source for fact in facts(department)} == {Source.HISTORY}
    assert imported(department, MARCH) == 0
    assert "recorded before 28" in " ".join(capsys.readouterr().out.split())
    assert len(facts(department)) == 28


def test_the_log_of_an_import_is_sound_and_folds_to_the_same(department: Path) -> None:
    imported(department, MARCH)
    with SqliteEventLog(department / "var" / "site-log.sqlite", read_only=True) as log:
        assert verify(log).faults == ()
        assert tuple(replay(log).differences) == ()


def test_a_site_starts_with_the_history_and_asks_for_a_baseline(department: Path) -> None:
    imported(department, MARCH)
    with running(department) as site:
        (phantom,) = site.readings.devices()[0].phantoms
    assert phantom.candidates == 25


def test_a_dry_run_records_nothing_and_says_why_rows_would_be_rejected(
    department: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(department, [*MARCH, PATIENT], "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["new"], said["rejected"]) == (28, {"not_a_phantom": 1})
    assert not (department / "var").exists()
    imported(department, MARCH[:10])
    imported(department, [*MARCH[1:], line(1, "1,5", year=2019, month=3), "x"], "--dry-run")
    said = " ".join(capsys.readouterr().out.split())
    assert "would be recorded 18" in said
    assert "recorded before 9" in said
    assert "line 29: conflict: it was recorded before with other content" in said
    assert len(facts(department)) == 10


def test_rows_of_the_future_refuse_a_history(department: Path) -> None:
    with pytest.raises(ConfigError, match=r"1 rows are dated in the future, line 30 the first"):
        imported(department, [*MARCH, line(1, year=2096)])
    assert facts(department) == []


def test_what_came_another_way_since_a_day_is_left_out(department: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(department, MARCH, "--until", "2019-03-11", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["new"], said["left_out"]) == (10, 18)
    assert facts(department)[-1].measured_at.day == 10


def test_while_the_site_runs_it_says_where_to_put_the_file(department: Path) -> None:
    (department / "var").mkdir()
    with only_site_here(department / "var"), pytest.raises(ConfigError, match=r"put the file into its watched folder"):
        imported(department, MARCH)
    with running(department):
        assert imported(department, MARCH, "--dry-run") == 0, "a comparison may run beside it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "dxa-9", "--map", "maps/qc.toml"), "dxa-9 is no device: there are dxa-1"),
        (("--device", "dxa-1", "--map", "maps/none.toml"), "none.toml cannot be read"),
        (("--device", "dxa-1", "--map", "maps/other.toml"), r'no column "Tag" in the header \(header\)'),
    ],
)
def test_what_is_wrong_is_a_sentence_and_nothing_is_recorded(
    department: Path, words: tuple[str, ...], said: str
) -> None:
    (department / "maps" / "other.toml").write_text(PHANTOM_MAP.replace('"Datum"', '"Tag"'))
    (department / "history.csv").write_bytes(csv_export(MARCH))
    words = tuple(str(department / word) if word.endswith(".toml") else word for word in words)
    with pytest.raises(ConfigError, match=said):
        run(department, "import", str(department / "history.csv"), *words)


def test_rejects_are_shown_without_the_row_and_with_it_only_in_a_private_file(
    department: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(department, [*MARCH, PATIENT], "--json")
    name = json.loads(capsys.readouterr().out)["rejects"]
    assert run(department, "rejects", name) == 0
    assert "line 30: not_a_phantom: it is none of the device's phantoms" in " ".join(capsys.readouterr().out.split())
    written = department / "rejects.csv"
    assert run(department, "rejects", name, "--write-to", str(written)) == 0
    assert "INVENTED IRIS" in written.read_text()
    assert written.stat().st_mode & 0o077 == 0
    for wrong in ("../site.toml", "none.enc"):
        with pytest.raises(ConfigError, match="no rejects are kept"):
            run(department, "rejects", wrong)


def test_the_watched_folder_is_shown_as_it_stands(department: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = department / "exports" / "dxa-1"
    exported.mkdir()
    (exported / "qc.csv").write_bytes(csv_export([*MARCH, PATIENT]))
    (exported / "bad.csv").write_bytes(b"nothing\n")
    (department / "exports" / "notes.txt").write_text("x")

    def shown() -> dict[str, tuple[str, int]]:
        assert run(department, "files", "--json") == 0
        said = next(text for text in capsys.readouterr().out.splitlines() if text.startswith("[{"))
        return {one["file"]: (one["stands"], one["recorded"]) for one in json.loads(said)}

    waiting = {"dxa-1/bad.csv": ("waiting", 0), "dxa-1/qc.csv": ("waiting", 0), "notes.txt": ("no device's pattern", 0)}
    assert shown() == waiting

    with running(department):
        wait_until(lambda: "waiting" not in str(shown()))
    assert shown()["dxa-1/qc.csv"] == ("read", 28)
    assert shown()["dxa-1/bad.csv"][0] == 'refused: header: there is no column "Datum" in the header'
    with locked(exported):
        assert shown() == {
            "dxa-1/": ("cannot be read: Permission denied", 0),
            "notes.txt": ("no device's pattern", 0),
        }
    assert run(department, "files") == 0
    assert "1 not_a_phantom" in " ".join(capsys.readouterr().out.split())


def test_the_example_of_the_page_does_what_it_says(department: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "connect" / "files.md").read_text(encoding="utf-8")
    export, column_map = (page.split(f"```{kind}", 1)[1].split("```", 1)[0] for kind in ("text\n", "toml\n# maps"))
    (department / "maps" / "page.toml").write_text(f"# maps{column_map}", encoding="utf-8")
    (department / "export.csv").write_bytes(export.encode("cp1252"))
    words = ("--device", "dxa-1", "--map", str(department / "maps" / "page.toml"), "--json")
    assert run(department, "import", str(department / "export.csv"), *words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["new"], said["left_out"], said["rejected"]) == (3, 2, 1, {})
    assert [fact.bmd_g_cm2 for fact in facts(department)] == [0.9874, 0.9881]


# --- history into a scanner in service ---------------------------------------------------------------------


def at(department: Path, when: datetime) -> FileImport:
    config = load(department / "site.toml")
    column_map = department / "maps" / "qc.toml"
    return FileImport(config, department / "var", "dxa-1", column_map, clock=lambda: when)


def test_history_older_than_the_baseline_opens_and_holds_nothing(department: Path) -> None:
    now = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    key = "test-site/dxa-1"
    site = Site(load(department / "site.toml"), department / "var", clock=lambda: now, folder=department)
    scan = PhantomMeasured("SPINE-1234", "L1-L4", 1.0, now - timedelta(minutes=5), "live")
    accepted: list[PhantomMeasured | BaselineAccepted] = [scan, baseline(phantom="SPINE-1234")]
    with_scan = PhantomMeasured("SPINE-1234", "L1-L4", 1.0, now - timedelta(minutes=1), "live-2")
    site.start()
    try:
        for number, fact in enumerate([*accepted, with_scan]):
            site.engine.append([Draft(f"live-{number}", key, fact)])
        before = site.engine.gate(key)
    finally:
        site.stop()
    count = len(outcomes(department))
    rows = [line(1, "1,002", month=3), line(2, "1,030", month=3), line(3, "1,300", month=3), line(4, month=3)]
    (department / "history.csv").write_bytes(csv_export(rows))
    done = at(department, now).record(department / "history.csv", QUIET)
    assert done.tally.subjects["SPINE-1234"] == {"new": 4, "history": 3, "implausible": 1}
    new = outcomes(department)[count:]
    assert not [one for one in new if isinstance(one, ReviewOpened | GateChanged)]
    assert len([one for one in new if isinstance(one, QcJudged)]) == 4
    site = Site(load(department / "site.toml"), department / "var", clock=lambda: now, folder=department)
    site.start()
    try:
        assert site.engine.gate(key) == before
        (phantom,) = site.readings.devices()[0].phantoms
        assert phantom.last is not None
        assert phantom.last.measured_at == with_scan.measured_at, "history is nobody's last reading"
    finally:
        site.stop()


SCALE = """
[[device]]
id = "scale-1"
kind = "scale"
  [[device.standard]]
  id = "W20"
  nominal = 20.0
  [device.checks]
  limit_kg = 0.1
"""


def test_an_old_failed_check_of_a_scale_is_history_and_not_its_last(department: Path) -> None:
    (department / "site.toml").write_text(CONFIGURATION + SCALE)
    (department / "maps" / "check.toml").write_text(CHECK_MAP)
    config = load(department / "site.toml")
    now = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    live = CalibrationCheckRead("W20", 20.01, now - timedelta(minutes=1), "Oz")

    def site() -> Site:
        return Site(config, department / "var", clock=lambda: now, folder=department).start()

    running_site = site()
    running_site.engine.append([Draft("live", "test-site/scale-1", live)])
    running_site.stop()
    (department / "checks.csv").write_bytes(b"2019-03-01T07:30,20 kg weight,20900\n2019-03-08T07:30,W20,20010\n")
    clocked = FileImport(config, department / "var", "scale-1", department / "maps" / "check.toml", clock=lambda: now)
    done = clocked.record(department / "checks.csv", QUIET)
    assert done.tally.subjects == {"W20": {"new": 2, "fail": 1, "pass": 1}}
    assert not [one for one in outcomes(department) if isinstance(one, ReviewOpened)]
    running_site = site()
    (standard,) = running_site.readings.devices()[1].standards
    running_site.stop()
    assert standard.last is not None
    assert (standard.last.read, standard.last_passed_at) == (20.01, live.measured_at)


@settings(max_examples=12)
@given(stops=st.lists(st.integers(0, 28), max_size=3), data=st.data())
def test_an_import_that_is_interrupted_anywhere_is_finished_by_another(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], data: st.DataObject
) -> None:
    department = tmp_path_factory.mktemp("department")
    (department / "maps").mkdir()
    (department / "maps" / "qc.toml").write_text(PHANTOM_MAP)
    (department / "site.toml").write_text(CONFIGURATION)
    file = department / "history.csv"
    now = datetime(2026, 11, 20, tzinfo=UTC)
    for stop in stops:
        file.write_bytes(csv_export([*data.draw(st.permutations(MARCH))[:stop], "cut;off"]))
        at(department, now).record(file, QUIET)
    file.write_bytes(csv_export(MARCH))
    done = at(department, now).record(file, QUIET)
    assert done.tally.new + done.tally.seen == 28
    assert sorted(fact.measured_at.day for fact in facts(department)) == list(range(1, 29))


def test_a_kill_in_the_middle_loses_nothing_and_the_next_import_finishes(department: Path) -> None:
    rows = [line(day, year=year, month=month) for year in range(1995, 2020) for month in range(1, 13) for day in DAYS]
    (department / "history.csv").write_bytes(csv_export(rows))
    words = [sys.executable, "-m", "bonewatch", "import", str(department / "history.csv"), "--device", "dxa-1"]
    words += ["--map", str(department / "maps" / "qc.toml"), "-c", str(department / "site.toml"), "--json"]
    log = department / "var" / "site-log.sqlite"
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: log.is_file() and count_of(log) > 100)
    killed.kill()
    killed.wait()
    before = len(facts(department))
    assert 0 < before < len(rows), "it was in the middle"
    said = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert (said["new"], said["seen"]) == (len(rows) - before, before)
    with SqliteEventLog(log, read_only=True) as opened:
        assert verify(opened).faults == ()
    assert [fact.measured_at for fact in facts(department)] == sorted(fact.measured_at for fact in facts(department))


DAYS = range(2, 28, 2)


def count_of(log: Path) -> int:
    try:
        with SqliteEventLog(log, read_only=True) as opened:
            return opened.count()[0]
    except LogError:  # it is being made
        return 0


# --- a published data set ----------------------------------------------------------------------------------

PUBLISHED_MAP = """
title = "XcalRep QC1, a bone phantom on thirteen scanners"
kind = "phantom"
decimal = "."

[csv]
encoding = "utf-8"
delimiter = ","
header = 2

[columns]
date = "scan_date"
bmd = "vbmd_mg_cm3"
scan_id = "scan_id"

[constants]
phantom = "SPINE-1234"
region = "L1-L4"
time = "12:00"

[dates]
date = "%Y-%m-%d"
time = "%H:%M"

[units]
bmd = "mg/cm2" # the set is volumetric, mg/cm3: only its figures are of interest here

[[only]]
column = "site"
values = ["Montreal"]

[[only]]
column = "section"
values = ["{section}"]
"""


def test_a_published_series_of_a_phantom_is_imported_to_its_own_count_and_mean(
    department: Path, reference_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reference_data / "xcalrep_qc1.csv"
    with path.open() as lines:
        next(lines)
        rows = list(csv.DictReader(lines))
    assert len(rows) == 570
    expected = [float(row["vbmd_mg_cm3"]) / 1000 for row in rows if (row["site"], row["section"]) == ("Montreal", "4")]
    (department / "maps" / "published.toml").write_text(PUBLISHED_MAP.replace("{section}", "4"))
    words = ("--device", "dxa-1", "--map", str(department / "maps" / "published.toml"), "--json")
    assert run(department, "import", str(path), *words) == 0
    said = json.loads(capsys.readouterr().out)
    read = [fact.bmd_g_cm2 for fact in facts(department)]
    assert len(expected) > 2
    assert (said["rows"], said["left_out"]) == (570, 570 - len(expected))
    assert said["new"] == len(read) == len(expected)
    assert math.isclose(fmean(read), fmean(expected), rel_tol=1e-12)
    assert sorted(read) == pytest.approx(sorted(expected))


def test_a_published_density_below_zero_is_rejected_and_said(
    department: Path, reference_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (department / "maps" / "published.toml").write_text(PUBLISHED_MAP.replace("{section}", "1"))
    words = ("--device", "dxa-1", "--map", str(department / "maps" / "published.toml"), "--json", "--dry-run")
    run(department, "import", str(reference_data / "xcalrep_qc1.csv"), *words)
    said = json.loads(capsys.readouterr().out)
    assert said["new"] == 0
    assert set(said["rejected"]) == {"impossible_value"}
