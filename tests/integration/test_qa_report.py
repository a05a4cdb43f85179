"""A device's month: its figures by hand, the same as the API's, the same in every form."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pypdfium2
import pytest
from msgspec.structs import replace

from bonewatch.cli import app as command_line
from bonewatch.configuration.loading import load
from bonewatch.errors import ConfigError
from bonewatch.reporting.uptime import logged_uptime
from dashboards.reports.files import QA_FORMS
from dashboards.reports.qa.figures import QaReport
from streams.engine import SiteEngine
from streams.messages import CommissioningSignedOff, DeviceRegistered, Draft, Fact, PhantomMeasured, event_id
from streams.sqlite_log import LogError, SqliteEventLog
from tests.folding import PHANTOM, PHYSICIST, POLICY, baseline
from tests.reported_site import (
    CLINIC,
    FIRST,
    KEY,
    LAST,
    NOW,
    SECRETS,
    Served,
    asked,
    reports_of,
    serving,
    text_of,
    words_of,
    write_log,
)

MONTH = {"month": "2026-11"}
CONFIG = """
[site]
id = "bath"
name = "Bath"

[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("site")
    write_log(folder / "site-log.sqlite")
    with serving(folder, folder / "site-log.sqlite") as served:
        yield served


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> QaReport:
    log = tmp_path_factory.mktemp("log") / "site-log.sqlite"
    write_log(log)
    return reports_of(log).qa("dxa-1", FIRST, LAST, NOW)


# --- by hand -----------------------------------------------------------------------------------------------


def test_each_duty_was_due_on_twenty_days_and_missing_on_the_fourth(report: QaReport) -> None:
    assert report.days.due == 20  # 21 weekdays less the closed 12th
    assert report.days.closed == ((date(2026, 11, 12), "Invented holiday"),)
    assert (report.days.without_clinic, report.days.not_in_use) == (9, ())  # four weekends and Sunday the 1st
    for duty in report.duties:
        assert (duty.due, duty.done, duty.not_passed_on, duty.missed_on) == (20, 19, (), (date(2026, 11, 4),))


def test_readings_repeats_and_failures_are_counted(report: QaReport) -> None:
    vendor, phantom = report.subjects
    assert (vendor.readings, vendor.verdicts) == (20, {"pass": 20})
    assert phantom.verdicts == {"pass": 19, "fail": 2, "pass_with_note": 1, "fail_confirmed": 1}
    assert phantom.repeats == 3  # of the 3rd, and two of the 5th
    first, second, third = report.failures
    assert (first.measured_at.day, first.is_confirmed, first.passed_at) == (
        3,
        False,
        first.measured_at + timedelta(minutes=10),
    )
    assert (second.is_confirmed, third.is_confirmed) == (False, True)
    assert (third.cause, third.released_by) == ("The phantom was not level", PHYSICIST.name)
    assert third.deviation == pytest.approx(2.9)  # 1.029 against 1.000


def test_the_mean_deviation_is_that_of_a_hand_calculation(report: QaReport) -> None:
    # every value less 1.000 in percent: 16 mornings at 0.1 times the day's rest by three, and seven more
    mornings = [0.1 * (d % 3) for d in range(1, 31) if date(2026, 11, d).weekday() < 5 and d not in {3, 4, 5, 12}]
    values = [*mornings, 2.0, 0.1, 3.0, 2.9, 0.0, 0.2]
    assert len(values) == report.subjects[1].readings
    assert report.subjects[1].mean_deviation == pytest.approx(sum(values) / len(values))


def test_uptime_service_bypass_and_measurements_stand_in_numbers(report: QaReport) -> None:
    assert report.uptime is not None
    assert (report.uptime.covered_hours, report.uptime.unplanned_hours) == (
        160.0,
        13.0,
    )  # the 4th; five hours of the 6th
    assert report.uptime.availability_percent == pytest.approx(91.875)
    (handover,) = report.handovers
    assert (handover.engineer, handover.work_done, handover.returns) == ("Eve, Invented Ltd", "table freed", True)
    (bypass,) = report.bypasses
    assert (bypass.at.day, bypass.evidence, bypass.in_shadow) == (4, "scan_started", False)
    assert "qc_missing" in bypass.reasons
    assert (bypass.is_open, [one.is_open for one in report.log if one.title == "Near miss"]) == (True, [False])
    assert (report.measurements.validated, report.measurements.withheld) == (1, 1)
    assert report.identity.software == ("1.2.3",)


# --- the same as the API's, in every form ------------------------------------------------------------------


def test_every_reading_is_the_apis_number_by_number_in_csv_and_pdf(served: Served) -> None:
    span = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
    api = asked(served, "/devices/dxa-1/qc", **span).json()
    rows = list(csv.DictReader(io.StringIO(asked(served, "/reports/qa/dxa-1/readings", **MONTH).text)))
    text = text_of(asked(served, "/reports/qa/dxa-1/pdf", **MONTH).content)
    told = {row["event_id"]: row for row in rows}
    assert len(api) == len(rows) == 43
    for one in api:
        row = told[one["event_id"]]
        assert (row["verdict"], row["subject"], row["revision"]) == (
            one["verdict"],
            one["phantom_id"],
            str(one["revision"]),
        )
        assert datetime.fromisoformat(row["measured_at"]) == datetime.fromisoformat(one["measured_at"])
        local = datetime.fromisoformat(one["measured_at"])  # in November the site's time is UTC
        assert f"{local.day} Nov 2026 {local:%H:%M}" in text
        if one["bmd_g_cm2"] is not None:
            assert float(row["value"]) == one["bmd_g_cm2"]
            limits, statistics = one["limits"], one["statistics"]
            assert [float(row[name]) for name in ("target", "lower", "upper")] == list(limits.values())
            assert float(row["deviation"]) == statistics["deviation_percent"]
            assert float(row["cusum_upper"]) == statistics["cusum_upper"]
            assert f"{one['bmd_g_cm2']:.4f} g/cm² {statistics['deviation_percent']:+.2f} %" in text


def test_uptime_and_changes_of_the_gate_are_the_apis(served: Served) -> None:
    uptime = asked(served, "/reports/uptime", **MONTH).json()["devices"][0]
    rows = csv.DictReader(io.StringIO(asked(served, "/reports/qa/dxa-1/figures", **MONTH).text))
    figures = {(row["section"], row["of"], row["figure"]): row["value"] for row in rows}
    text = text_of(asked(served, "/reports/qa/dxa-1/pdf", **MONTH).content)
    assert float(figures["uptime", "", "covered"]) == uptime["covered_hours"]
    assert float(figures["uptime", "", "unplanned"]) == uptime["unplanned_hours"]
    assert float(figures["uptime", "", "availability"]) == uptime["availability_percent"]
    assert f"Available {uptime['availability_percent']:.3f} %" in text
    lost = {one["cause"]: one["unplanned_hours"] for one in uptime["lost"]}
    assert {cause: float(figures["uptime", cause, "lost"]) for cause in lost} == lost
    query = {"types": "bonewatch.gate-changed.v1", "device": "dxa-1", "since": "0", "max_seconds": "0"}
    events = asked(served, "/events", **query).text
    told = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    changes = Counter(one["data"]["outcome"]["status"] for one in told if one["time"].startswith("2026-11"))
    assert {status: int(figures["gate", "", status]) for status in changes} == dict(changes)


def test_pdf_html_and_json_say_the_same(report: QaReport) -> None:
    pdf, html = text_of(QA_FORMS[".pdf"](report)), words_of(QA_FORMS[".html"](report).decode())
    assert json.loads(QA_FORMS[".json"](report))["measurements"]["withheld"] == 1
    for said in (
        "QA report: dxa-1, November 2026",
        "Manufacturer's daily QC: due on 20 days, passed for 19; missing on Wed 4 Nov.",
        "1 confirmed failure; all released with a cause.",
        "1 patient was scanned while the gate was held.",
        "Available for 91.875 % of clinic time.",
        "closed on Thu 12 Nov (Invented holiday)",
        "The phantom was not level",
        "Łucja",
        "=1+1 on the whiteboard",
        "Royal Osteoporosis Society",
        "local policy",
        report.anchor.link,
    ):
        assert said in html, said
        assert said.replace(" ", "") in pdf.replace(" ", ""), said
    assert "'=1+1 on the whiteboard" in QA_FORMS["-figures.csv"](report).decode()


@pytest.mark.parametrize("form", QA_FORMS)
def test_no_form_names_a_patient_or_a_request(report: QaReport, form: str) -> None:
    data = QA_FORMS[form](report)
    text = text_of(data) if form == ".pdf" else data.decode()
    assert not [one for one in SECRETS if one in text]


def test_the_pdf_has_title_language_bookmarks_and_page_numbers(report: QaReport) -> None:
    data = QA_FORMS[".pdf"](report)
    document = pypdfium2.PdfDocument(data)
    assert document.get_metadata_dict()["Title"] == "QA report: dxa-1, November 2026"
    assert b"/Lang" in data
    assert b"/DisplayDocTitle true" in data
    assert [one.get_title() for one in document.get_toc()][:2] == ["Summary", "Device"]
    assert len(document) > 1
    assert f"Page {len(document)} of {len(document)}" in text_of(data)
    document.close()
    assert data == QA_FORMS[".pdf"](report)


def test_the_html_file_needs_nothing_from_elsewhere(report: QaReport) -> None:
    html = QA_FORMS[".html"](report).decode()
    assert html.count("<h1>") == 1
    assert re.findall(r"""(?:src|href)=|url\(|@import|<script""", html) == []
    assert '<svg class="drawing" role="img"' in html


# --- months that are not like others -----------------------------------------------------------------------


def test_a_month_without_readings_says_so(served: Served) -> None:
    html = words_of(asked(served, "/reports/qa/dxa-1/html", month="2026-12").text)
    assert "There are no readings in this period." in html
    assert "The period is not over: reckoned up to 1 Dec 2026 12:00." in html


def test_a_device_that_nobody_used_was_due_on_no_day(served: Served) -> None:
    told = asked(served, "/reports/qa/dxa-2", **MONTH).json()
    assert (told["readings"], told["days"]["due"], told["days"]["not_in_use"][0]) == ([], 0, "2026-11-02")
    assert "QC was due on no day" in words_of(asked(served, "/reports/qa/dxa-2/html", **MONTH).text)


def test_before_it_came_there_is_nothing_to_report(served: Served) -> None:
    text = text_of(asked(served, "/reports/qa/dxa-1/pdf", month="2026-09").content)
    assert "The device was not under watch in this period" in text
    assert "Page 1 of 1" in text


def test_long_names_and_long_texts_keep_within_the_page(report: QaReport) -> None:
    identity = replace(report.identity, make="Exceedingly " * 12, model="Long" * 60)
    log = tuple(replace(one, text="many words that somebody wrote " * 60) for one in report.log)
    document = pypdfium2.PdfDocument(QA_FORMS[".pdf"](replace(report, identity=identity, log=log)))
    for page in document:
        text = page.get_textpage()
        rights = [text.get_charbox(n)[2] for n in range(text.count_chars())]
        assert max(rights) <= page.get_width() - 14 * 72 / 25.4  # the margin is 15 mm
    document.close()


@pytest.mark.parametrize(
    ("measured", "month", "belongs"),
    [
        (datetime(2027, 3, 31, 22, 59, tzinfo=UTC), date(2027, 3, 1), True),  # 23:59 in summer time
        (datetime(2027, 3, 31, 23, 0, tzinfo=UTC), date(2027, 3, 1), False),  # midnight there: the first of April
        (datetime(2027, 2, 28, 23, 59, tzinfo=UTC), date(2027, 3, 1), False),
        (datetime(2027, 3, 1, 0, 0, tzinfo=UTC), date(2027, 3, 1), True),
        (datetime(2026, 9, 30, 23, 0, tzinfo=UTC), date(2026, 10, 1), True),  # summer time still: midnight
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), date(2026, 10, 1), True),
    ],
)
def test_a_month_is_the_sites_own_through_summer_time(
    tmp_path: Path, measured: datetime, month: date, *, belongs: bool
) -> None:
    came = datetime(2026, 9, 1, 7, 0, tzinfo=UTC)
    now = datetime(2027, 5, 1, tzinfo=UTC)
    scan = PhantomMeasured(PHANTOM, "L1-L4", 1.0, measured, "scan")
    facts: list[tuple[datetime, Fact]] = [
        (came, DeviceRegistered(POLICY, CLINIC)),
        (came, CommissioningSignedOff(PHYSICIST)),
        (came, baseline()),
        (measured, scan),
    ]
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        SiteEngine(log, clock=lambda: now).import_history(
            (when, Draft(event_id(str(n)), KEY, fact)) for n, (when, fact) in enumerate(facts)
        )
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    found = reports_of(tmp_path / "log.sqlite").qa("dxa-1", month, last, now)
    assert bool(found.readings) is belongs
    weekdays = sum((month + timedelta(days=n)).weekday() < 5 for n in range(last.day))
    assert found.days.due == weekdays


# --- the command line --------------------------------------------------------------------------------------


def folder_with_log(folder: Path) -> Path:
    (folder / "var").mkdir()
    write_log(folder / "var" / "site-log.sqlite")
    (folder / "site.toml").write_text(CONFIG)
    return folder / "site.toml"


def test_the_command_line_writes_every_form_of_a_month(tmp_path: Path) -> None:
    config = folder_with_log(tmp_path)
    words = ["report", "qa", "--device", "dxa-1", "--month", "2026-11", "-c", str(config), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        command_line(words)
    assert ended.value.code == 0
    assert {path.name for path in tmp_path.glob("qa-*")} == {f"qa-dxa-1-2026-11{form}" for form in QA_FORMS}
    told = json.loads((tmp_path / "qa-dxa-1-2026-11.json").read_bytes())
    assert (told["site"], told["identity"]["serial"], told["last"]) == ("Bath", "300123", "2026-11-30")


def test_a_device_that_is_configured_no_more_still_has_its_reports(tmp_path: Path) -> None:
    config = folder_with_log(tmp_path)  # dxa-2 is in the log and was taken out of the configuration
    words = ["-c", str(config), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        command_line(["report", "qa", "--device", "dxa-2", "--month", "2026-11", *words])
    assert ended.value.code == 0
    told = json.loads((tmp_path / "qa-dxa-2-2026-11.json").read_bytes())
    assert (told["identity"]["ae_title"], told["uptime"]["name"]) == ("DXA2", "dxa-2")
    days = ["--from", "2026-11-01", "--until", "2026-11-30"]
    with pytest.raises(SystemExit) as ended:
        command_line(["report", "evidence", "--device", "dxa-2", *days, *words])
    assert ended.value.code == 0
    uptime = logged_uptime(load(config), tmp_path / "var" / "site-log.sqlite")
    assert [line.name for line in uptime.report(FIRST, LAST, NOW).devices] == ["dxa-1"], "the site's is of what it has"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["--device", "dxa-9", "--month", "2026-11"], "there is no device dxa-9; there are dxa-1"),
        (["--device", "dxa-1", "--month", "november"], "such as 2026-11"),
        (["--device", "dxa-1", "--month", "2026-11", "--out", "/nowhere"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, said: list[str], why: str) -> None:
    config = folder_with_log(tmp_path)
    with pytest.raises(ConfigError, match=why):
        command_line(["report", "qa", "-c", str(config), *said])


def test_a_site_that_has_not_run_has_no_log(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG)
    with pytest.raises(LogError, match="has not run yet"):
        command_line(["report", "qa", "--device", "dxa-1", "--month", "2026-11", "-c", str(tmp_path / "site.toml")])
