"""A month with overrides, a service, a new baseline, a retired scanner, a scale and summer time: counted by hand."""

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from msgspec.structs import replace

from dashboards.reports.evidence.check import check_pack
from dashboards.reports.evidence.pack import evidence_pack
from dashboards.reports.files import QA_FORMS
from dashboards.reports.qa.document import qa_document
from dashboards.reports.qa.figures import QaReport
from dashboards.reports.qa.summary import summary
from dashboards.reports.source import Reports
from streams.engine import SiteEngine
from streams.messages import (
    Attachment,
    AttachmentAdded,
    DeviceRegistered,
    Draft,
    EntryKind,
    Fact,
    FaultLogged,
    GateOverridden,
    IncidentRecorded,
    LogEntryMade,
    Person,
    ReturnDecided,
    event_id,
)
from streams.policy import ClinicCalendar
from streams.record.evidence import EvidenceLine, evidence_lines
from streams.record.reader import LoggedRecords
from streams.record.veil import Known
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from streams.uptime.clinic_hours import Period
from streams.uptime.reader import LoggedUptime
from tests.folding import PHANTOM, PHYSICIST
from tests.invented_march import CALENDAR, FIRST, LAST, NAMES, NOW, POLICIES, SCANNER, WEEKLY, local, write_march
from tests.reported_site import Served, asked, reports_of, serving, text_of, words_of

MARCH = {"month": "2027-03"}
SPAN = {"since": "2027-03-01T00:00:00Z", "until": "2027-03-31T23:00:00Z"}
"""March in London, in UTC: it ends in summer time."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("march") / "site-log.sqlite"
    write_march(log)
    return log


@pytest.fixture(scope="module")
def served(log: Path) -> Iterator[Served]:
    with serving(log.parent, log, {NAMES[one]: (policy, CALENDAR) for one, policy in POLICIES.items()}, NOW) as served:
        yield served


@pytest.fixture(scope="module")
def reports(log: Path) -> dict[str, QaReport]:
    return {name: reports_of(log, NAMES).qa(name, FIRST, LAST, NOW) for name in NAMES}


def days(*of_march: int) -> tuple[date, ...]:
    return tuple(date(2027, 3, day) for day in of_march)


def figures_of(served: Served, device: str) -> dict[tuple[str, str, str], str]:
    rows = csv.DictReader(io.StringIO(asked(served, f"/reports/qa/{device}/figures", **MARCH).text))
    return {(row["section"], row["of"], row["figure"]): row["value"] for row in rows}


# --- by hand -----------------------------------------------------------------------------------------------


def test_days_and_duties_of_a_month_in_which_summer_time_begins(reports: dict[str, QaReport]) -> None:
    report = reports["dxa-1"]
    assert (report.days.due, report.days.without_clinic) == (25, 4)  # 21 weekdays and 4 Sundays; the Saturdays
    assert [day for day, _ in report.days.closed] == list(days(26, 29))
    vendor, daily, weekly = report.duties
    for duty in (vendor, daily):
        assert (duty.due, duty.done, duty.not_passed_on, duty.missed_on) == (25, 24, (), days(3))
    # passes on the 1st, 8th and 11th cover up to the 18th, those of the 24th and 31st the rest
    assert (weekly.due, weekly.done, weekly.missed_on) == (25, 21, days(19, 21, 22, 23))


def test_readings_of_two_phantoms_over_a_new_baseline(reports: dict[str, QaReport]) -> None:
    vendor, daily, weekly = reports["dxa-1"].subjects
    assert (vendor.readings, vendor.verdicts) == (25, {"pass": 25})  # 24 mornings and after the repair
    # 24 mornings, one after the repair, two more on the 23rd, one more on the 30th
    assert (daily.readings, daily.verdicts) == (28, {"pass": 24, "fail": 2, "pass_with_note": 2})
    assert (daily.repeats, daily.signals) == (2, 0)
    # six of 28 are 0.5 % high; 1.030 is 2.58964 % above the new mean of 1.004, on two days
    assert daily.mean_deviation == pytest.approx((6 * 0.5 + 2 * 2.589641) / 28, abs=1e-6)
    assert (weekly.readings, weekly.verdicts, weekly.mean_deviation) == (5, {"pass": 5}, 0.0)
    failures = reports["dxa-1"].failures
    assert [(one.measured_at, one.passed_at) for one in failures] == [
        (local(23, 14, 30), local(23, 14, 40)),
        (local(30, 7, 30), local(30, 12)),
    ]
    epochs = {(one.phantom_id, one.epoch): one for one in reports["dxa-1"].epochs}
    assert epochs.keys() == {(PHANTOM, 1), (PHANTOM, 2), (WEEKLY, 1)}
    assert epochs[PHANTOM, 1].until == epochs[PHANTOM, 2].accepted_at == local(17, 18)
    assert (epochs[PHANTOM, 2].step_percent, epochs[PHANTOM, 2].is_comparable) == (0.4, True)


def test_overrides_are_counted_with_their_hours_who_made_them_and_why(reports: dict[str, QaReport]) -> None:
    told = [(one.at, one.by, one.role, one.codes, one.reason, one.open_hours) for one in reports["dxa-1"].overrides]
    overdue, lent = ("independent_overdue",), "The phantom is lent out"
    assert told == [
        (local(22, 9, 30), "Oz Operator", "operator", overdue, "Six patients wait", 2.5),  # to its end at noon
        (local(23, 10), "Oz Operator", "operator", overdue, lent, 1.25),  # a person ended it at 11:15
        (local(23, 14), "Oz Operator", "operator", overdue, lent, 0.5),  # a failure ended it at 14:30
        (
            local(30, 9, 30),
            "Pat Physicist",
            "physicist",
            ("qc_failed", *overdue),
            "Phantom was not level",
            2.5,
        ),  # a pass at noon
    ]
    assert reports["dxa-1"].overrides[-1].advised_by == "Dr M Expert"
    assert reports["dxa-2"].overrides == reports["scale-1"].overrides == ()


def test_every_form_has_the_count_of_overrides(served: Served, reports: dict[str, QaReport]) -> None:
    figures = figures_of(served, "dxa-1")
    assert (figures["overrides", "", "count"], figures["overrides", "", "open"]) == ("4", "6.75")
    assert (figures["overrides", "2", "by"], figures["overrides", "2", "open_hours"]) == ("Oz Operator", "1.25")
    told = asked(served, "/reports/qa/dxa-1", **MARCH).json()["overrides"]
    assert [(one["by"], one["open_hours"], one["reason"]) for one in told] == [
        ("Oz Operator", 2.5, "Six patients wait"),
        ("Oz Operator", 1.25, "The phantom is lent out"),
        ("Oz Operator", 0.5, "The phantom is lent out"),
        ("Pat Physicist", 2.5, "Phantom was not level"),
    ]
    html = words_of(QA_FORMS[".html"](reports["dxa-1"]).decode())
    pdf = text_of(QA_FORMS[".pdf"](reports["dxa-1"]))
    for said in (
        "The gate was overridden 4 times, for 6.75 h in all.",
        "4; the gate was open by them for 6.75 h by the clock",
        "Oz Operator, operator: 3; Pat Physicist, physicist: 1",
        "independent overdue: 4; QC failed: 1",
        "Six patients wait",
        "All 4 overrides 6.75 h",
    ):
        assert said in html, said
        assert said.replace(" ", "") in pdf.replace(" ", ""), said
    assert "Nobody overrode the gate." in words_of(QA_FORMS[".html"](reports["dxa-2"]).decode())


def test_the_managers_page_counts_overrides_for_each_device_and_for_the_site(served: Served) -> None:
    told = asked(served, "/reports/uptime", **MARCH).json()
    assert [(one["name"], one["overrides"]) for one in told["devices"]] == [("dxa-1", 4), ("dxa-2", 0), ("scale-1", 0)]
    assert told["whole"]["overrides"] == 4
    manager = served.visitor(Role.MANAGER)
    rows = csv.DictReader(io.StringIO(manager.get("/uptime/files/uptime-2027-03.csv").text))
    assert [(row["scope"], row["overrides"]) for row in rows if row["scope"] != "make"] == [
        *[("device", many) for many in ("4", "0", "0")],
        ("site", "4"),
    ]
    page = words_of(manager.get("/uptime?month=2027-03").text)
    assert "Open by override 6.75 h, by 4 overrides" in page
    served.client.cookies.clear()


def test_an_override_that_still_runs_counts_up_to_now(log: Path) -> None:
    report = reports_of(log, NAMES).qa("dxa-1", FIRST, LAST, local(22, 10, 30))
    assert [one.open_hours for one in report.overrides] == [1.0]


def test_hours_lost_in_clinics_of_which_one_is_an_hour_shorter(reports: dict[str, QaReport]) -> None:
    uptime = reports["dxa-1"].uptime
    assert uptime is not None
    # the 3rd; the repair; Sunday 21st; the 22nd and 23rd but for overrides; half an hour of the 30th
    assert (uptime.covered_hours, uptime.unplanned_hours) == (179.0, 8 + 4 + 3 + 5.5 + 6.25 + 0.5)
    assert uptime.availability_percent == pytest.approx(100 * 151.75 / 179, abs=5e-4)
    assert (uptime.overridden_hours, uptime.overrides, uptime.failures) == (6.75, 4, 1)


def test_patients_are_counted_to_the_last_hour_of_the_month(reports: dict[str, QaReport]) -> None:
    counts = reports["dxa-1"].measurements  # the fifth was measured at midnight: in April
    assert (counts.validated, counts.overridden, counts.withheld, counts.reasons) == (
        3,
        1,
        1,
        {"independent_overdue": 1},
    )
    (bypass,) = reports["dxa-1"].bypasses
    assert (bypass.at, bypass.reasons, bypass.is_open) == (local(22, 13, 50), ("independent_overdue",), True)


def test_a_scanner_that_was_retired_in_the_month_was_due_until_then(reports: dict[str, QaReport]) -> None:
    report = reports["dxa-2"]
    assert report.identity.stage == "retired"
    assert (report.days.due, len(report.days.not_in_use)) == (13, 12)  # eleven weekdays, two Sundays to the 15th
    assert [(duty.due, duty.done) for duty in report.duties] == [(13, 13), (13, 13)]
    assert report.uptime is not None
    assert report.uptime.covered_hours == 10 * 8 + 2 * 3 + 3  # on the 15th until noon
    assert report.uptime.not_counted_hours == {"retired": 90.0}


def test_a_scales_month_with_checks(reports: dict[str, QaReport]) -> None:
    report = reports["scale-1"]
    light, heavy = report.subjects
    assert (light.readings, light.verdicts) == (5, {"pass": 5})
    assert (heavy.readings, heavy.verdicts, heavy.repeats) == (5, {"pass": 4, "fail": 1}, 1)
    assert heavy.mean_deviation == pytest.approx(0.4 / 5)
    # the 15th covers up to the 22nd, the 24th up to the 31st
    assert [(duty.due, duty.done, duty.missed_on) for duty in report.duties] == [(25, 24, days(23))] * 2
    assert (report.measurements.validated, report.measurements.withheld) == (1, 1)
    assert report.measurements.reasons == {"check_failed": 1}


# --- the same as the API's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["dxa-1", "dxa-2"])
def test_every_reading_is_the_apis(served: Served, device: str) -> None:
    api = asked(served, f"/devices/{device}/qc", **SPAN).json()
    rows = list(csv.DictReader(io.StringIO(asked(served, f"/reports/qa/{device}/readings", **MARCH).text)))
    assert len(api) == len(rows) == {"dxa-1": 58, "dxa-2": 26}[device]

    def value(one: dict[str, Any]) -> tuple[str, str, str]:
        bmd = one["bmd_g_cm2"]
        return one["event_id"], one["verdict"], "" if bmd is None else str(bmd)

    assert {value(one) for one in api} == {(row["event_id"], row["verdict"], row["value"]) for row in rows}


@pytest.mark.parametrize("device", NAMES)
def test_gate_and_uptime_are_the_apis(served: Served, device: str) -> None:
    figures = figures_of(served, device)
    (uptime,) = [one for one in asked(served, "/reports/uptime", **MARCH).json()["devices"] if one["name"] == device]
    for name in ("covered", "up", "unplanned", "planned", "overridden"):
        assert float(figures["uptime", "", name]) == uptime[f"{name}_hours"]
    query = {"types": "bonewatch.gate-changed.v1", "device": device, "since": "0", "max_seconds": "0"}
    lines = [line for line in asked(served, "/events", **query).text.splitlines() if line.startswith("data: ")]
    told = [json.loads(line[6:]) for line in lines]
    begins, ends = (datetime.fromisoformat(SPAN[name]) for name in ("since", "until"))
    told = [one for one in told if begins <= datetime.fromisoformat(one["time"]) < ends]
    for status in ("open", "held", "overridden"):
        many = sum(one["data"]["outcome"]["status"] == status for one in told)
        assert int(figures.get(("gate", "", status), "0")) == many


# --- in words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("dxa-1", "2 readings failed; no failure was confirmed."),
        ("dxa-2", "No failure was confirmed."),
        ("scale-1", "1 check failed."),
    ],
)
def test_the_summary_says_what_failed(reports: dict[str, QaReport], device: str, said: str) -> None:
    assert said in [one.words for one in summary(reports[device])]


def test_a_month_that_has_not_begun_says_so(log: Path) -> None:
    report = reports_of(log, NAMES).qa("dxa-1", date(2099, 1, 1), date(2099, 1, 31), NOW)
    assert (report.readings, report.overrides, report.days.due) == ((), (), 0)
    assert qa_document(report).lead[1:] == ("The period has not begun.",)


HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://invented.example","y")',
    "@SUM(1+1)",
    " \t+1",
    "\n-1",
    "\uff1d1+1",
    "../../etc/passwd",
    "\u202e\u05e9\u05dc\u05d5\u05dd",
    "\u4e2d\u6587 \x1b[31m\x00",
    "\n" * 499 + "x",
    "x" * 500,
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log with texts and names that somebody may type, to trouble whoever prints or opens the report."""
    log = tmp_path_factory.mktemp("hostile") / "site-log.sqlite"
    write_march(log, HOSTILE[0])
    drafts = []
    for n, text in enumerate(HOSTILE):
        person = Person(text, "physicist")
        file = Attachment("ab" * 32, text, "application/pdf", 12)
        facts: tuple[Fact, ...] = (
            LogEntryMade(EntryKind.COMMENT, text, person),
            IncidentRecorded("near_miss", text, person),
            AttachmentAdded(file, "about", person, text),
            FaultLogged(f"f{n}", text, stops_scanning=False, logged_by=person),
            GateOverridden(("qc_missing",), person, text, NOW, text),
        )
        drafts += [Draft(event_id(str(n), str(k)), NAMES["dxa-1"], fact) for k, fact in enumerate(facts)]
    with SqliteEventLog(log) as kept:
        SiteEngine(kept, clock=lambda: NOW).import_history((NOW, draft) for draft in drafts)
    return log


def test_whatever_somebody_typed_every_form_is_made_and_harms_nobody(hostile: Path) -> None:
    report = reports_of(hostile, NAMES).qa("dxa-1", FIRST, date(2027, 4, 30), NOW + timedelta(hours=1))
    report = replace(report, site=HOSTILE[0], identity=replace(report.identity, make=HOSTILE[0], model=HOSTILE[7]))
    assert len(report.overrides) == 4 + len(HOSTILE)
    html = QA_FORMS[".html"](report).decode()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    cells = [cell for row in csv.reader(io.StringIO(QA_FORMS["-figures.csv"](report).decode())) for cell in row]
    assert not [cell for cell in cells if cell.lstrip()[:1] in {"=", "@", "\uff1d"} or cell.startswith((" \t+", "\n-"))]
    assert json.loads(QA_FORMS[".json"](report))["overrides"][-1]["by"] == "x" * 500
    document = pypdfium2.PdfDocument(QA_FORMS[".pdf"](report))
    for page in document:
        text = page.get_textpage()
        edges = [text.get_charbox(n) for n in range(text.count_chars())]
        assert max(box[2] for box in edges) <= page.get_width() - 14 * 72 / 25.4
        assert min(box[1] for box in edges) >= 10 * 72 / 25.4
    document.close()
    assert "\u25a1\u25a1 [31m" in text_of(QA_FORMS[".pdf"](report)), "letters that the font lacks leave a sign"


def test_a_pack_of_the_same_is_sound_and_has_the_very_last_event(hostile: Path) -> None:
    data = evidence_pack(reports_of(hostile, NAMES), "dxa-1", FIRST, date(2027, 4, 30))
    assert check_pack(data, hostile).faults == ()
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        overrides = list(csv.DictReader(io.StringIO(found.read("overrides.csv").decode())))
    assert (len(overrides), overrides[-1]["reason"]) == (4 + len(HOSTILE), "x" * 500)


# --- on paper ----------------------------------------------------------------------------------------------


def test_a_heading_stands_on_the_page_of_its_chart(reports: dict[str, QaReport]) -> None:
    document = pypdfium2.PdfDocument(QA_FORMS[".pdf"](reports["dxa-1"]))
    pages = [page.get_textpage().get_text_range() for page in document]
    document.close()
    for phantom in (PHANTOM, WEEKLY):
        (page,) = [page for page in pages if f"Control chart: {phantom}" in page]
        assert "CUSUM, in sigmas" in page.split(f"Control chart: {phantom}")[1]


# --- evidence of the same month ----------------------------------------------------------------------------


def test_a_pack_has_the_overrides_and_reasons_as_words(log: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(evidence_pack(reports_of(log, NAMES), "dxa-1", FIRST, LAST))) as found:
        overrides = list(csv.DictReader(io.StringIO(found.read("overrides.csv").decode())))
        (bypass,) = csv.DictReader(io.StringIO(found.read("bypasses.csv").decode()))
    assert [(one["by"], one["codes"], one["open_hours"]) for one in overrides] == [
        ("Oz Operator", "independent_overdue", "2.5"),
        ("Oz Operator", "independent_overdue", "1.25"),
        ("Oz Operator", "independent_overdue", "0.5"),
        ("Pat Physicist", "qc_failed independent_overdue", "2.5"),
    ]
    assert bypass["reasons"] == "independent_overdue"


def test_a_pack_that_is_made_while_the_log_grows_is_of_one_moment(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded between the reading of the events and that of the rest stands in none of its files."""
    reports = reports_of(log, NAMES)
    whole = evidence_pack(reports, "dxa-1", FIRST, LAST)
    grown = log.with_name("grown.sqlite")
    with closing(sqlite3.connect(log)) as source, closing(sqlite3.connect(grown)) as target:
        source.backup(target)

    def growing(db: sqlite3.Connection, key: str, period: Period, known: Known) -> Iterator[EvidenceLine]:
        yield from evidence_lines(db, key, period, known)
        later = ReturnDecided("h1", returns=False, decided_by=PHYSICIST, note="It squeaks")
        with SqliteEventLog(grown) as other:
            SiteEngine(other, clock=lambda: NOW).import_history([(NOW, Draft("late", key, later))])

    monkeypatch.setattr("dashboards.reports.evidence.pack.evidence_lines", growing)
    made = evidence_pack(reports_of(grown, NAMES), "dxa-1", FIRST, LAST)
    with zipfile.ZipFile(io.BytesIO(whole)) as before, zipfile.ZipFile(io.BytesIO(made)) as after:
        assert [name for name in before.namelist() if before.read(name) != after.read(name)] == []


@pytest.mark.parametrize(
    ("zone", "now", "months"),
    [
        ("Asia/Tokyo", datetime(2027, 3, 31, 16, tzinfo=UTC), ["2027-03", "2027-04"]),  # the first of April there
        ("America/New_York", datetime(2027, 4, 1, 2, tzinfo=UTC), ["2027-03"]),  # the last of March still
    ],
)
def test_a_month_has_its_report_once_it_has_begun_at_the_site(
    tmp_path: Path, zone: str, now: datetime, months: list[str]
) -> None:
    path, names = tmp_path / "site-log.sqlite", {"dxa-1": "far/dxa-1"}
    came = Draft(event_id("came"), "far/dxa-1", DeviceRegistered(SCANNER, ClinicCalendar(zone)))
    with SqliteEventLog(path) as log:
        SiteEngine(log, clock=lambda: now).import_history([(now, came)])
    reports = Reports("Far", LoggedRecords(path, names), LoggedUptime(path, "Far", zone, names, {}))
    with zipfile.ZipFile(io.BytesIO(evidence_pack(reports, "dxa-1", FIRST, date(2027, 4, 30)))) as found:
        assert [f"reports/qa-{month}.pdf" for month in months] == [
            name for name in found.namelist() if name.startswith("reports/") and name.endswith(".pdf")
        ]
