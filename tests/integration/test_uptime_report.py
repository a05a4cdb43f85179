"""Uptime from a site's log: the command line, the files, the page."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from litestar.testing import TestClient
from msgspec.structs import replace

from bonewatch.cli import app as command_line
from bonewatch.errors import ConfigError
from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.uptime import words
from dashboards.uptime.csv_file import COLUMNS, csv_from_report
from dashboards.uptime.figures import CAUSES, NOT_COUNTED, ReportFigures, figures_of
from dashboards.users import UserStore
from streams.engine import SiteEngine
from streams.messages import Draft, FaultLogged, ReasonCode
from streams.roles import Role
from streams.sqlite_log import LogError, SqliteEventLog
from streams.uptime.reader import LoggedUptime
from streams.uptime.report import Target
from tests.accounts import CHEAP
from tests.console_client import Visitor
from tests.console_fakes import department
from tests.folding import OPERATOR
from tests.uptime_site import NOW, write_log

PASSWORD = "correct horse battery"  # noqa: S105 - of an invented user
FIRST, LAST = date(2026, 11, 2), date(2026, 11, 29)
CONFIG = """
[site]
id = "bath"
name = "Bath"

[[device]]
id = "dxa-1"
kind = "scanner"
make = "Invented"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-dxa-1"
  [device.uptime]
  target_percent = 97.0

[[device]]
id = "dxa-2"
kind = "scanner"
make = "Invented"
ae_title = "DXA2"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-dxa-2"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "var").mkdir()
    (folder / "site.toml").write_text(CONFIG)
    write_log(folder / "var" / "site-log.sqlite")
    return folder


@pytest.fixture
def uptime(folder: Path) -> LoggedUptime:
    names = {name: f"bath/{name}" for name in ("dxa-1", "dxa-2")}
    log = folder / "var" / "site-log.sqlite"
    return LoggedUptime(log, "Bath", "Europe/London", names, {"bath/dxa-1": Target(97.0)})


@pytest.fixture
def report(uptime: LoggedUptime) -> ReportFigures:
    return figures_of(uptime.report(FIRST, LAST, NOW))


def run(folder: Path, *words: str) -> int:
    config = str(folder / "site.toml")
    with pytest.raises(SystemExit) as ended:
        command_line(["report", "uptime", "--from", "2026-11-02", "--to", "2026-11-08", "-c", config, *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


# --- the figures -------------------------------------------------------------------------------------------


def test_four_weeks_of_a_real_log_are_what_they_are_by_hand(report: ReportFigures) -> None:
    one, other = report.devices
    assert (one.covered_hours, other.covered_hours) == (160.0, 160.0)  # 20 clinics of 8 h
    assert {lost.cause: (lost.unplanned_hours, lost.planned_hours) for lost in one.lost} == {
        "fault_stops_scanning": (4.0, 0.0),  # Tuesday 3rd, 10 to 14
        "with_engineer": (0.5, 4.0),  # the decision awaited until 14:30; the 19th, 9 to 13
        "verification_required": (0.5, 0.5),  # 14:30 to 15; the 19th, 13 to 13:30
        "qc_missing": (0.5, 0.0),  # Wednesday 11th, 9 to 9:30
    }
    assert (one.unplanned_hours, one.planned_hours, one.slots_lost) == (5.5, 4.5, 30.0)
    assert one.availability_percent == pytest.approx(100 * 150 / 155.5, abs=1e-3)  # 96.463
    assert one.availability_with_planned_percent == pytest.approx(100 * 150 / 160)  # 93.75
    assert (one.target_percent, one.target_met, other.target_met) == (97.0, False, None)
    assert (one.failures, one.mtbf_hours) == (1, 150.0)
    assert {name: mean and mean.hours for name, mean in one.mean_time_to.items()} == {
        "attended": 2.0,
        "fixed": 2.0,
        "qa_passed": 1.0,
        "released": 0.0,
        "whole": 5.0,
    }


def test_what_was_refused_and_not_scanned_anywhere_is_to_be_rebooked(report: ReportFigures) -> None:
    assert [one.accession_number for one in report.devices[0].rebook] == ["ACC1"]
    assert report.devices[1].rebook == ()


def test_make_and_site_are_sums_of_hours(report: ReportFigures) -> None:
    (make,) = report.makes
    assert (make.name, make.covered_hours, make.unplanned_hours, make.failures) == ("Invented", 320.0, 5.5, 1)
    assert make.availability_percent == pytest.approx(100 * 310 / 315.5, abs=1e-3)
    assert report.whole.covered_hours == 320.0


def test_a_day_before_the_device_came_is_not_counted(uptime: LoggedUptime) -> None:
    one = figures_of(uptime.report(date(2026, 10, 30), date(2026, 11, 2), NOW)).devices[0]
    assert one.not_counted_hours == {"not_registered": 8.0}  # Friday 30 October
    assert one.covered_hours == 8.0


def test_what_is_new_in_the_log_is_added_to_what_was_read_before(tmp_path: Path) -> None:
    log = tmp_path / "site-log.sqlite"
    write_log(log)
    reader = LoggedUptime(log, "Bath", "Europe/London", {"dxa-2": "bath/dxa-2"}, {})
    before = figures_of(reader.report(FIRST, LAST, NOW)).devices[0]
    fault = FaultLogged("f2", "No X-rays", stops_scanning=True, logged_by=OPERATOR)
    with SqliteEventLog(log) as open_log:
        at = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
        SiteEngine(open_log, clock=_now).import_history([(at, Draft("f2", "bath/dxa-2", fault))])
    after = figures_of(reader.report(FIRST, LAST, NOW)).devices[0]
    assert (before.unplanned_hours, before.failures) == (0.0, 0)
    assert (after.unplanned_hours, after.failures) == (1.0, 1)  # Friday, 16 to 17
    fresh = LoggedUptime(log, "Bath", "Europe/London", {"dxa-2": "bath/dxa-2"}, {})
    assert after == figures_of(fresh.report(FIRST, LAST, NOW)).devices[0]


def test_every_reason_has_a_name() -> None:
    assert {words.cause(code) for code in ReasonCode} >= set(CAUSES.values())
    assert [words.not_counted(why) for why in NOT_COUNTED] == list(NOT_COUNTED.values())


# --- the command line --------------------------------------------------------------------------------------


def test_the_table_says_it_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    said = capsys.readouterr().out
    assert "down 4 h: Fault" in said
    assert "contract 97 %: not met" in said
    assert "to rebook (1): ACC1" in said
    assert "at least 40 h; above 13.35 h with 95 % confidence" in said  # 40 / 2.9957


def test_json_is_for_a_program(folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(folder, "--format", "json", "--device", "dxa-1") == 0
    said: dict[str, Any] = json.loads(capsysbinary.readouterr().out)
    assert [line["name"] for line in said["devices"]] == ["dxa-1"]
    assert said["devices"][0]["unplanned_hours"] == 5.0
    assert said["devices"][0]["rebook"][0]["accession_number"] == "ACC1"


def test_csv_has_one_row_a_line_and_a_column_for_every_reason(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(folder, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert [(row["scope"], row["name"]) for row in rows] == [
        ("device", "dxa-1"),
        ("device", "dxa-2"),
        ("make", "Invented"),
        ("site", "Bath"),
    ]
    assert (rows[0]["lost_fault_stops_scanning_h"], rows[0]["rebook"], rows[1]["mtbf_h"]) == ("4.0", "ACC1", "")
    assert {f"lost_{code.value}_h" for code in ReasonCode} <= set(COLUMNS)
    causes = sum(float(rows[0][f"lost_{code.value}_h"]) for code in ReasonCode)
    assert causes == float(rows[0]["unplanned_h"]) + float(rows[0]["planned_h"])


def test_a_cell_is_never_a_formula(report: ReportFigures) -> None:
    evil = replace(report, whole=replace(report.whole, name="=1+1"))
    assert "'=1+1" in csv_from_report(evil)


def test_the_pdf_holds_the_figures(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "uptime.pdf"
    assert run(folder, "--format", "pdf", "--output", str(file)) == 0
    document = pypdfium2.PdfDocument(file)
    text = "\n".join(page.get_textpage().get_text_range() for page in document)
    assert "Uptime of Bath, 2 November 2026 to 8 November 2026" in text
    assert "87.500 %" in text  # 35 of 40 h
    assert "ACC1" in text
    assert "Page 1 of 1" in text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["--device", "dxa-9"], "there is no device dxa-9; there are dxa-1, dxa-2"),
        (["--output", "/nowhere/at/all.csv", "--format", "csv"], "cannot be written"),
        (["--output", "/nowhere/at/all.txt"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, said: list[str], why: str) -> None:
    config = str(folder / "site.toml")
    with pytest.raises(ConfigError, match=why):
        command_line(["report", "uptime", "--from", "2026-11-02", "--to", "2026-11-08", "-c", config, *said])


def test_a_period_that_ends_before_it_begins_is_refused(folder: Path) -> None:
    config = str(folder / "site.toml")
    with pytest.raises(ConfigError, match="before it begins"):
        command_line(["report", "uptime", "--from", "2026-11-08", "--to", "2026-11-02", "-c", config])


def test_a_site_that_has_not_run_has_no_log(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG)
    with pytest.raises(LogError, match="has not run yet"):
        command_line(
            ["report", "uptime", "--from", "2026-11-02", "--to", "2026-11-08", "-c", str(tmp_path / "site.toml")]
        )


def test_a_log_that_is_none_is_said(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "site-log.sqlite").close()
    (tmp_path / "site-log.sqlite").write_bytes(b"")
    reader = LoggedUptime(tmp_path / "site-log.sqlite", "Bath", "UTC", {"dxa-1": "bath/dxa-1"}, {})
    with pytest.raises(LogError, match="cannot be read"):
        reader.report(FIRST, LAST, NOW)


def test_a_target_is_a_percentage(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG.replace("97.0", "197.0"))
    with pytest.raises(ConfigError, match=r"line 15: target_percent lies above 0, up to 100"):
        command_line(["check-config", "-c", str(tmp_path / "site.toml")])


# --- the page ----------------------------------------------------------------------------------------------


@pytest.fixture
def visitor(tmp_path: Path, uptime: LoggedUptime) -> Iterator[Visitor]:
    users = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    users.add_user("Mo Manager", Role.MANAGER, PASSWORD)
    site = department()
    settings = HttpSettings(site_name="Bath", time_zone="Europe/London")
    app = create_app(site=site, readings=site, users=users, settings=settings, clock=_now, uptime=uptime)
    with TestClient(app) as client:
        yield Visitor(client)
    users.close()


def test_uptime_is_for_people_who_signed_in(visitor: Visitor) -> None:
    assert visitor.get("/uptime").status_code == 302
    assert visitor.get("/uptime/files/uptime-2026-11.csv").status_code == 302
    assert "/uptime" not in visitor.get("/").text


def test_the_page_shows_a_month_with_both_conventions_the_contract_and_what_is_to_be_rebooked(
    visitor: Visitor,
) -> None:
    visitor.sign_in("Mo Manager", PASSWORD)
    assert 'href="/uptime"' in visitor.get("/").text
    said = visitor.get("/uptime?month=2026-11").text
    assert "Uptime, November 2026" in said
    # up to the 30th: a clinic more, of which nothing was heard, so 13.5 h of 168 h are lost, and 4.5 h planned
    assert "91.743 %" in said  # 150 / 163.5
    assert "89.286 %" in said  # 150 / 168
    assert "Contract: 97 %: not met" in said
    assert "With the engineer" in said
    assert "Bonewatch could not vouch for it" in said
    assert "ACC1" in said
    assert "/uptime/files/uptime-2026-11.pdf" in said
    assert "?month=2026-10" in said
    assert "?month=2026-12" in said  # it is the first of December


def test_without_a_month_it_is_this_one(visitor: Visitor) -> None:
    visitor.sign_in("Mo Manager", PASSWORD)
    said = visitor.get("/uptime").text
    assert "Uptime, December 2026" in said
    assert "?month=2027-01" not in said


@pytest.mark.parametrize("month", ["2026-13", "2026", "november", "2026-00", "9999-12", "2201-01"])
def test_a_month_that_is_none_is_refused_with_what_to_write(visitor: Visitor, month: str) -> None:
    visitor.sign_in("Mo Manager", PASSWORD)
    answer = visitor.get(f"/uptime?month={month}")
    assert answer.status_code == 400
    assert "such as 2026-11" in answer.text


def test_the_files_are_the_same_month(visitor: Visitor) -> None:
    visitor.sign_in("Mo Manager", PASSWORD)
    table = visitor.get("/uptime/files/uptime-2026-11.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert next(csv.DictReader(io.StringIO(table.text)))["availability_with_planned_percent"] == "89.286"
    sheet = visitor.get("/uptime/files/uptime-2026-11.pdf")
    assert (sheet.headers["content-type"], sheet.content[:5]) == ("application/pdf", b"%PDF-")
    assert sheet.headers["content-disposition"] == 'attachment; filename="uptime-2026-11.pdf"'
    assert visitor.get("/uptime/files/uptime-2026-11.exe").status_code == 404


def test_where_nothing_is_kept_there_is_no_page(tmp_path: Path) -> None:
    users = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    users.add_user("Mo Manager", Role.MANAGER, PASSWORD)
    site = department()
    settings = HttpSettings(site_name="Bath", time_zone="Europe/London")
    with TestClient(create_app(site=site, readings=site, users=users, settings=settings, clock=_now)) as client:
        visitor = Visitor(client)
        visitor.sign_in("Mo Manager", PASSWORD)
        assert visitor.get("/uptime").status_code == 404
    users.close()


def _now() -> datetime:
    return NOW
