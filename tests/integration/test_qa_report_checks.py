"""Duties that come round weekly, and scales: counted by hand."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from dashboards.reports.files import QA_FORMS
from dashboards.reports.qa.figures import QaReport
from dashboards.reports.source import Reports
from streams.engine import SiteEngine
from streams.messages import (
    CalibrationCheckRead,
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    PhantomMeasured,
    VendorQcReported,
    event_id,
)
from streams.policy import (
    CheckRules,
    Clinic,
    ClinicCalendar,
    DeviceKind,
    DevicePolicy,
    Frequency,
    Phantom,
    PhantomRole,
    Standard,
)
from streams.record.reader import LoggedRecords
from streams.sqlite_log import SqliteEventLog
from streams.uptime.reader import LoggedUptime
from tests.folding import PHANTOM, PHYSICIST, POLICY, baseline

KEY = "bath/one"
CAME = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)  # a Monday
NOW = datetime(2026, 7, 2, tzinfo=UTC)
CLINIC = ClinicCalendar("Europe/London", (Clinic((0, 1, 2, 3, 4), "09:00", "17:00"),))
SCALE = DevicePolicy(
    kind=DeviceKind.SCALE,
    make="Invented",
    checks=CheckRules((Standard("W50", 50.0),), Frequency.WEEKLY, limit_kg=0.2),
)


def june(folder: Path, facts: list[tuple[datetime, Fact]]) -> QaReport:
    """The report of June 2026 of a device with these facts."""
    path = folder / "site-log.sqlite"
    with SqliteEventLog(path) as log:
        drafts = ((at, Draft(event_id(str(n)), KEY, fact)) for n, (at, fact) in enumerate(facts))
        SiteEngine(log, clock=lambda: NOW).import_history(drafts)
    names = {"one": KEY}
    reports = Reports("Bath", LoggedRecords(path, names), LoggedUptime(path, "Bath", "Europe/London", names, {}))
    return reports.qa("one", date(2026, 6, 1), date(2026, 6, 30), NOW)


def test_a_weekly_phantom_covers_its_day_and_seven_more(tmp_path: Path) -> None:
    policy = POLICY.__class__(
        kind=DeviceKind.SCANNER, phantoms=(Phantom(PHANTOM, PhantomRole.INDEPENDENT, frequency=Frequency.WEEKLY),)
    )
    facts: list[tuple[datetime, Fact]] = [
        (CAME, DeviceRegistered(policy, CLINIC)),
        (CAME, CommissioningSignedOff(PHYSICIST)),
        (CAME, baseline()),
    ]
    for day in range(30):
        at = CAME + timedelta(days=day, hours=1)
        if day in {0, 14}:  # Mondays, the 1st and the 15th
            facts.append((at, PhantomMeasured(PHANTOM, "L1-L4", 1.0, at, f"scan-{day}")))
        if at.weekday() < 5:
            facts.append((at, VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")))
    vendor, phantom = june(tmp_path, facts).duties
    assert (vendor.due, vendor.done) == (22, 22)
    # the 1st covers up to Monday 8th, the 15th up to Monday 22nd; 9 to 12 and 23 to 30 June lack one
    missing = [*range(9, 13), *range(23, 27), 29, 30]
    assert phantom.missed_on == tuple(date(2026, 6, day) for day in missing)
    assert (phantom.due, phantom.done, phantom.frequency) == (22, 12, "weekly")


def test_a_scales_checks_are_counted_with_their_errors(tmp_path: Path) -> None:
    facts: list[tuple[datetime, Fact]] = [(CAME, DeviceRegistered(SCALE, CLINIC))]
    for day, read in ((0, 50.0), (7, 50.1), (14, 50.5), (15, 50.1)):
        at = CAME + timedelta(days=day, hours=1)
        facts.append((at, CalibrationCheckRead("W50", read, at, "Oz")))
    report = june(tmp_path, facts)
    (line,) = report.subjects
    assert line.verdicts == {"pass": 3, "fail": 1}
    assert (line.name, line.unit) == ("W50 (50 kg)", "kg")
    assert round(line.mean_deviation or 0, 6) == 0.175  # (0 + 0.1 + 0.5 + 0.1) / 4
    (failure,) = report.failures
    assert (failure.measured_at.day, failure.passed_at) == (15, CAME + timedelta(days=15, hours=1))
    (duty,) = report.duties
    # the 8th covers up to Monday 15th, the 16th up to Tuesday 23rd
    assert duty.missed_on == tuple(date(2026, 6, day) for day in (24, 25, 26, 29, 30))
    html = QA_FORMS[".html"](report).decode()
    assert "50.50 kg" in html
    assert "+0.50 kg" in html
    assert "Control chart" not in html
