"""Work that comes round: how it stands day by day, what an overdue one holds, and what the state keeps of it."""

from datetime import date, timedelta

from msgspec.structs import replace

from bonewatch.configuration.clinic_calendar import MAX_CLOSURES, WHY
from bonewatch.configuration.duty_sections import MAX_DUTIES, MAX_NAME
from streams.commands import RetireDevice
from streams.fold.due_work import due_list
from streams.fold.state import blob_from_state, state_from_blob
from streams.messages import (
    ClinicCalendarChanged,
    ClockCorrected,
    DeviceReconfigured,
    DutyStanding,
    FoldUpgraded,
    GateStatus,
    ReasonCode,
)
from streams.policy import ClinicCalendar, Closure, Duty
from streams.site import Gate
from tests.folding import PHYSICIST, POLICY, WEEKDAY_CLINIC, Folded, baseline, in_service
from tests.unit.duties_rig import DAILY, MONTHLY, WEEKDAYS, at, changed, changes, did, next_due, with_duties

# --- standings in the zone of the site ----------------------------------------------------------------------------


def test_a_standing_changes_at_midnight_of_the_site_through_summer_time() -> None:
    # Clocks go forward on Sunday 29 March 2026 at 01:00 UTC: the days before begin at 00:00 UTC, those after at 23:00.
    folded = with_duties(replace(MONTHLY, first_due="2026-03-31", warn_days=3), start=at(2026, 3, 20, 9))
    assert changes(folded, at(2026, 4, 10)) == [
        ("2026-03-28T00:00:00+00:00", "due_soon"),
        ("2026-03-30T23:00:00+00:00", "due"),
        ("2026-04-02T23:00:00+00:00", "overdue"),
    ]


def test_a_standing_changes_at_midnight_half_an_hour_off_the_hour() -> None:
    # Newfoundland goes back on 1 November 2026 at 02:00: UTC-2:30 before, UTC-3:30 after.
    calendar = ClinicCalendar("America/St_Johns", WEEKDAYS)
    duty = replace(MONTHLY, first_due="2026-11-01", warn_days=1, grace_days=0)
    folded = with_duties(duty, calendar=calendar, start=at(2026, 10, 20, 9))
    assert changes(folded, at(2026, 11, 10)) == [
        ("2026-10-31T02:30:00+00:00", "due_soon"),
        ("2026-11-01T02:30:00+00:00", "due"),
        ("2026-11-02T03:30:00+00:00", "overdue"),
    ]


def test_daily_work_over_christmas_in_london() -> None:
    calendar = ClinicCalendar("Europe/London", WEEKDAYS, (Closure("2026-12-25", "2026-12-28", "Christmas"),))
    folded = with_duties(replace(DAILY, first_due="2026-12-24"), calendar=calendar, start=at(2026, 12, 24, 9))
    assert folded.state.duties["daily-archive"].standing is DutyStanding.DUE
    assert did(folded, "daily-archive", "2026-12-24") == [("ok", "2026-12-30T00:00:00+00:00")]
    assert changes(folded, at(2026, 12, 31)) == [
        ("2026-12-29T00:00:00+00:00", "due"),
        ("2026-12-30T00:00:00+00:00", "overdue"),
    ]


def test_daily_work_where_the_day_begins_thirteen_hours_before_utc() -> None:
    # Auckland is 13 h ahead in summer: Monday 21 December begins on Sunday at 11:00 UTC. The Friday is a holiday.
    calendar = ClinicCalendar("Pacific/Auckland", WEEKDAYS, (Closure("2026-12-25", "2026-12-25"),))
    folded = with_duties(DAILY, calendar=calendar, start=at(2026, 12, 20, 10))
    assert changes(folded, at(2026, 12, 20, 11)) == [("2026-12-20T11:00:00+00:00", "due")]
    folded.until(at(2026, 12, 23, 20))  # Thursday 09:00 there
    did(folded, "daily-archive", "2026-12-24")
    assert changes(folded, at(2026, 12, 28, 12)) == [
        ("2026-12-27T11:00:00+00:00", "due"),
        ("2026-12-28T11:00:00+00:00", "overdue"),
    ]


def test_a_holiday_that_is_announced_later_moves_daily_work_that_is_not_due_yet() -> None:
    folded = with_duties(DAILY, start=at(2026, 12, 24, 9))
    did(folded, "daily-archive", "2026-12-24")
    assert next_due(folded, "daily-archive") == "2026-12-25"
    calendar = replace(WEEKDAY_CLINIC, closures=(Closure("2026-12-25", "2026-12-28"),))
    assert changed(folded.fact(ClinicCalendarChanged(calendar))) == [("ok", "2026-12-30T00:00:00+00:00")]


def test_how_work_stands_is_told_when_it_is_configured_and_then_only_when_it_changes() -> None:
    folded = Folded(start=at(2026, 1, 20, 9))
    told = changed(folded.fact(DeviceReconfigured(replace(POLICY, duties=(MONTHLY,)))))
    assert told == [("ok", "2026-02-01T00:00:00+00:00")]
    assert changed(folded.fact(DeviceReconfigured(replace(POLICY, duties=(MONTHLY,), ring="x")))) == []
    assert changed(folded.fact(FoldUpgraded(1, 2))) == told
    assert changed(folded.fact(DeviceReconfigured(POLICY))) == []
    assert folded.state.duties == {}


def test_nothing_is_due_on_a_device_that_is_retired() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 20, 9))
    assert folded.command(RetireDevice(device="test-site/dxa-1", actor=PHYSICIST, request_id="r", reason="old")) is None
    assert folded.state.deadline is None
    assert due_list(folded.state, folded.now) == ()


def test_another_device_begins_anew() -> None:
    policy = replace(POLICY, duties=(MONTHLY,), serial="1")
    folded = Folded(policy, start=at(2026, 1, 31, 9))
    did(folded, "service", "2026-01-31")
    folded.fact(DeviceReconfigured(replace(policy, serial="2")))
    assert next_due(folded, "service") == "2026-01-31"


def test_what_was_done_in_a_future_that_never_was_is_void() -> None:
    folded = with_duties(MONTHLY, start=at(2027, 1, 31, 9))
    did(folded, "service", "2027-01-31")
    folded.now = at(2026, 2, 1, 9)
    folded.fact(ClockCorrected(at(2027, 1, 31, 9), "battery", PHYSICIST))
    assert next_due(folded, "service") == "2026-01-31"


# --- the gate -------------------------------------------------------------------------------------------------


def test_overdue_work_holds_the_gate_where_it_is_meant_to_and_a_record_opens_it() -> None:
    holding = Duty("service", "Maintenance", "2026-11-02", 1, "months", warn_days=7, grace_days=1, holds=True)
    scanner = in_service(replace(POLICY, duties=(holding,)))
    assert scanner.status is GateStatus.OPEN
    scanner.until(at(2026, 11, 4, 7))
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert scanner.codes == ["duty_overdue"]
    assert [r.text for r in scanner.state.gates["all"].reasons] == ["Maintenance: overdue since 2 November 2026"]
    did(scanner, "service", "2026-11-04")
    assert scanner.status is GateStatus.OPEN


def test_an_open_gate_is_valid_no_longer_than_until_work_that_holds_is_overdue() -> None:
    holding = Duty("service", "Maintenance", "2026-11-01", 1, "months", warn_days=7, holds=True, grace_days=1)
    scanner = in_service(replace(POLICY, duties=(holding,)))
    assert scanner.state.gates["all"].valid_until == at(2026, 11, 3)
    scanner.until(at(2026, 11, 3))
    assert "duty_overdue" in scanner.codes


def test_overdue_work_that_does_not_hold_is_no_reason() -> None:
    scanner = in_service(replace(POLICY, duties=(replace(MONTHLY, first_due="2026-10-01"),)))
    assert scanner.status is GateStatus.OPEN
    assert scanner.warnings == []


def test_the_reason_comes_after_those_that_states_kept_before() -> None:
    assert list(ReasonCode).index(ReasonCode.DUTY_OVERDUE) > list(ReasonCode).index(ReasonCode.DRIFT_UNREVIEWED) == 13


# --- state -------------------------------------------------------------------------------------------------------


def test_the_state_with_due_work_is_bounded_and_survives_its_bytes() -> None:
    """Six duties and three years of English bank holidays: what is configured comes on top of the 4 kB of readings."""
    duties = tuple(
        Duty(f"duty-{n}", "Maintenance by the manufacturer", "2026-11-03", n + 1, "months", holds=True)
        for n in range(6)
    )
    holidays = tuple(
        Closure(f"{year}-{month:02}-{day:02}", f"{year}-{month:02}-{day:02}", "Spring bank holiday")
        for year in (2026, 2027, 2028)
        for month, day in ((1, 1), (4, 3), (4, 6), (5, 4), (5, 25), (8, 31), (12, 25), (12, 28))
    )
    scanner = Folded(replace(POLICY, duties=duties), replace(WEEKDAY_CLINIC, closures=holidays))
    scanner.fact(baseline())
    sizes = []
    for day in range(1, 300):
        scanner.until(at(2026, 11, 2, 8) + timedelta(days=day))
        scanner.vendor_qc()
        scanner.scan(1.0 + 0.001 * (day % 5))
        for duty in duties:
            did(scanner, duty.duty_id, scanner.now.date().isoformat())
        sizes.append(len(blob_from_state(scanner.state)))
    assert abs(sizes[-1] - sizes[60]) < 64, "the state must not grow with history"
    assert state_from_blob(blob_from_state(scanner.state)) == scanner.state
    assert max(sizes) < 4096 + 1600


def test_the_most_that_can_be_configured_takes_no_more_than_six_kilobytes_on_top() -> None:
    duties = tuple(
        Duty(f"{'i' * 38}{n:02}", "n" * MAX_NAME, "2026-10-01", 600, "months", 1100, 366, holds=True)
        for n in range(MAX_DUTIES)
    )
    day = date(2026, 12, 1)
    closures = tuple(
        Closure(str(day + timedelta(days=n)), str(day + timedelta(days=n)), "w" * WHY, "12:00", "13:00")
        for n in range(MAX_CLOSURES)
    )
    plain, full = Folded(), Folded(replace(POLICY, duties=duties), replace(WEEKDAY_CLINIC, closures=closures))
    assert len(blob_from_state(full.state)) - len(blob_from_state(plain.state)) < 6144


def test_a_gate_that_work_holds_says_what_clears_it() -> None:
    overdue = Duty("service", "Maintenance", "2026-10-01", 0, holds=True)
    scanner = in_service(replace(POLICY, duties=(overdue,)))
    gate = scanner.state.gates["all"]
    asked = Gate(gate.status, gate.since, gate.valid_until, gate.reasons)
    assert asked.error_comment() == "duty_overdue: Maintenance: overdue since 1 October 2026"
    assert [reason.clears_when for reason in asked.holding] == ["Have it done, and record it as done."]
