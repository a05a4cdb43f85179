"""How a site's standing is gathered for its alerts: since when, how often, and what is not asked at all."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from alerts.rules import AlertRules
from alerts.situation import Situation
from bonewatch.alert_situation import SitePorts, SituationGatherer
from streams.lines import LineStatus
from streams.sqlite_log import LogError
from streams.uptime.account import Account
from streams.uptime.report import Line, Target
from tests.alerts_rig import CALENDAR, LONDON, opened, scanner, utc

MONDAY = utc("2026-01-05T06:00")
"""Six o'clock of a day with a clinic from 08:30 to 16:30."""
SOON = timedelta(seconds=15)


class Department:
    """What a gatherer looks at, to be set by a test; one scanner."""

    def __init__(self) -> None:
        self.view = scanner(opened(MONDAY))
        self.states = {self.view.device: SimpleNamespace(calendar=CALENDAR)}
        self.ready, self.line, self.is_clock_kept = True, "up", True
        self.reports: list[date] = []
        self.lines_of_uptime: list[Line] = []
        self.is_log_gone = False
        self.asked: list[datetime] = []

    def devices(self) -> Sequence[Any]:
        return [self.view]

    def status(self, _device: str) -> LineStatus:
        return LineStatus(self.line, "no answer", "")

    def report(self, first: date, _last: date, _now: datetime) -> Any:
        self.reports.append(first)
        if self.is_log_gone:
            raise LogError("the log is gone")
        return SimpleNamespace(first=first, devices=self.lines_of_uptime)

    def heard_at(self, _title: str) -> None:
        return None

    since = MONDAY

    def first_patient(self, _device: str, at: datetime) -> datetime:
        self.asked.append(at)
        return utc("2026-01-05T08:40")

    def gatherer(self) -> SituationGatherer:
        me: Any = self
        ports = SitePorts(me, me, me, me, me, lambda: self.is_clock_kept, self.first_patient)
        return SituationGatherer(ports, AlertRules(), LONDON, list)


@pytest.fixture
def department() -> Department:
    return Department()


def since_when(situation: Situation) -> datetime | None:
    (device,) = situation.devices
    assert device.line is not None
    return device.line.since


def test_a_line_is_down_since_it_was_first_seen_so_and_anew_after_it_was_up(department: Department) -> None:
    gather = department.gatherer()
    gather(MONDAY)
    department.line = "down"
    assert since_when(gather(MONDAY + SOON)) == MONDAY + SOON
    assert since_when(gather(MONDAY + 2 * SOON)) == MONDAY + SOON
    department.line = "up"
    assert since_when(gather(MONDAY + 3 * SOON)) == MONDAY + 3 * SOON
    department.line = "down"
    assert since_when(gather(MONDAY + 4 * SOON)) == MONDAY + 4 * SOON


def test_a_site_that_cannot_record_is_so_since_it_was_first_seen_so(department: Department) -> None:
    gather = department.gatherer()
    assert gather(MONDAY).not_ready is None
    department.ready = False
    for at in (MONDAY + SOON, MONDAY + 2 * SOON):
        trouble = gather(at).not_ready
        assert trouble is not None
        assert trouble.since == MONDAY + SOON
    department.ready = True
    assert gather(MONDAY + 3 * SOON).not_ready is None


def test_a_clock_is_unkept_since_it_was_first_seen_so_and_unknown_is_not_unkept(department: Department) -> None:
    gather = department.gatherer()
    told: list[datetime | None] = []
    for kept in (True, False, False, None, False):
        department.is_clock_kept = kept  # type: ignore[assignment]
        told.append(gather(MONDAY + len(told) * SOON).clock_unkept_since)
    assert told == [None, MONDAY + SOON, MONDAY + SOON, None, MONDAY + 4 * SOON]


def test_uptime_is_reckoned_once_an_hour_from_the_first_of_the_month_and_after_a_clock_went_back(
    department: Department,
) -> None:
    gather = department.gatherer()
    for minutes in (0, 1, 59, 60, 61, 30):
        gather(MONDAY + timedelta(minutes=minutes))
    assert department.reports == [date(2026, 1, 1)] * 3, "at 0, at 60, and when it was 30 after 60"


def test_uptime_is_told_against_what_was_promised_and_of_no_device_without_a_promise(department: Department) -> None:
    account = Account(covered_s=100 * 3600.0, lost={})
    department.lines_of_uptime = [
        Line("dxa-2", account, target=Target(99.0)),
        Line("dxa-3", account),
        Line("dxa-4", Account(), target=Target(99.0)),
    ]
    (one,) = department.gatherer()(MONDAY).uptime
    assert (one.device, one.device_name, one.covered_hours) == ("dxa-2", department.view.title, 100.0)
    assert (one.reached_percent, one.promised_percent) == (100.0, 99.0)


def test_a_log_that_cannot_be_read_costs_uptime_alone_and_is_said_once_an_hour(department: Department) -> None:
    department.is_log_gone = True
    gather = department.gatherer()
    with capture_logs() as logs:
        situations = [gather(MONDAY + timedelta(minutes=minutes)) for minutes in (0, 1, 2)]
    assert [one.uptime for one in situations] == [(), (), ()]
    assert [one["event"] for one in logs] == ["uptime_not_reckoned"]
    assert len(situations[0].devices) == 1


@pytest.mark.parametrize(
    ("at", "times"),
    [
        ("2026-01-05T06:44", 0),
        ("2026-01-05T06:45", 1),
        ("2026-01-05T08:50", 1),
        ("2026-01-05T16:29", 1),
        ("2026-01-05T16:30", 0),
        ("2026-01-04T08:00", 0),
    ],
)
def test_the_ris_is_asked_from_an_hour_before_the_lead_to_the_end_of_the_clinic(
    department: Department, at: str, times: int
) -> None:
    (device,) = department.gatherer()(utc(at)).devices
    assert department.asked == ([utc(at)] * times)
    assert device.first_patient_at == (utc("2026-01-05T08:40") if times else None)
