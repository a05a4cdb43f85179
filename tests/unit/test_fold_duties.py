"""Work that comes round: when it is due, what a completion covers, what an overdue one holds."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bonewatch.clinic_calendar import MAX_CLOSURES, WHY
from bonewatch.duty_sections import MAX_DUTIES, MAX_NAME
from streams.commands import RecordDuty, Refusal, RetireDevice
from streams.due import DueItem
from streams.fold.due_dates import due_after, due_up_to
from streams.fold.due_work import due_list, due_on
from streams.fold.state import blob_from_state, state_from_blob
from streams.messages import (
    CalibrationCheckRead,
    ClinicCalendarChanged,
    ClockCorrected,
    DeviceReconfigured,
    DutyChanged,
    DutyDone,
    DutyStanding,
    FoldUpgraded,
    GateStatus,
    Outcome,
    Person,
    ReasonCode,
)
from streams.policy import (
    CheckRules,
    Clinic,
    ClinicCalendar,
    Closure,
    DeviceKind,
    DevicePolicy,
    Duty,
    DutyKind,
    DutyUnit,
    Frequency,
    Standard,
)
from streams.site import Gate
from tests.folding import ENGINEER, OPERATOR, PHYSICIST, POLICY, WEEKDAY_CLINIC, Folded, baseline, in_service

MANAGER = Person("Mo Manager", "manager")
WEEKDAYS = (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),)
EVERY_DAY = ClinicCalendar("UTC")
MONTHLY = Duty("service", "Maintenance", "2026-01-31", 1, "months", warn_days=7, grace_days=2)
DAILY = Duty("daily-archive", "Daily archive", "2026-12-21", 1, "days", warn_days=0)
CERTIFICATE = Duty("certificate-W20", "Certificate of W20", "2027-03-01", 0, kind=DutyKind.CERTIFICATE, warn_days=60)


def with_duties(*duties: Duty, calendar: ClinicCalendar = WEEKDAY_CLINIC, start: datetime) -> Folded:
    return Folded(replace(POLICY, duties=duties), calendar, start=start)


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def did(folded: Folded, duty_id: str, done_on: str, valid_until: str = "") -> list[tuple[str, str]]:
    """Record it as done now; return what changed."""
    return changed(folded.fact(DutyDone(duty_id, done_on, "Eve", OPERATOR, valid_until)))


def changed(outcomes: tuple[Outcome, ...]) -> list[tuple[str, str]]:
    """Standing and the end of the due day, of each duty that changed."""
    return [
        (one.standing.value, one.due_at.isoformat() if one.due_at else "")
        for one in outcomes
        if isinstance(one, DutyChanged)
    ]


def changes(folded: Folded, until: datetime) -> list[tuple[str, str]]:
    """Let time pass; when each standing changed, and to what."""
    found = []
    while (deadline := folded.state.deadline) is not None and deadline <= until:
        before = {name: kept.standing for name, kept in folded.state.duties.items()}
        folded.until(deadline)
        found += [
            (deadline.isoformat(), kept.standing.value)
            for name, kept in folded.state.duties.items()
            if kept.standing is not None and kept.standing is not before[name]
        ]
    folded.until(until)
    return found


def next_due(folded: Folded, duty_id: str) -> str:
    assert folded.state.policy is not None
    duty = folded.state.policy.duty(duty_id)
    assert duty is not None
    day = due_on(duty, folded.state.calendar, folded.state.duties[duty_id])
    return day.isoformat() if day else ""


# --- due dates -------------------------------------------------------------------------------------------------


def dates(duty: Duty, count: int, calendar: ClinicCalendar = EVERY_DAY) -> list[str]:
    found, covered = list[str](), None
    while len(found) < count and (covered := due_after(duty, calendar, covered)) is not None:
        found.append(covered.isoformat())
    return found


@pytest.mark.parametrize(
    ("first", "every", "unit", "expected"),
    [
        # The last day of a shorter month, and the 31st again after it.
        ("2026-01-31", 1, "months", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("2027-11-30", 3, "months", ["2027-11-30", "2028-02-29", "2028-05-30", "2028-08-30"]),
        # A leap day is the 28th in other years and the 29th again in the next leap year.
        ("2024-02-29", 1, "years", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2026-12-15", 6, "months", ["2026-12-15", "2027-06-15", "2027-12-15"]),
        ("2026-11-23", 2, "weeks", ["2026-11-23", "2026-12-07", "2026-12-21"]),
        ("2026-11-23", 10, "days", ["2026-11-23", "2026-12-03", "2026-12-13"]),
        ("2030-06-30", 0, "years", ["2030-06-30"]),
        ("9998-06-30", 1, "years", ["9998-06-30"]),
    ],
)
def test_due_dates_are_counted_from_the_first(first: str, every: int, unit: DutyUnit, expected: list[str]) -> None:
    assert dates(Duty("x", "X", first, every, unit), len(expected) + (every == 0)) == expected


def test_daily_work_is_due_on_clinic_days_and_not_on_bank_holidays() -> None:
    closures = (Closure("2026-12-25", "2026-12-28", "Christmas"), Closure("2027-01-01", "2027-01-01", "New Year"))
    calendar = ClinicCalendar("Europe/London", WEEKDAYS, closures)
    expected = ["2026-12-23", "2026-12-24", "2026-12-29", "2026-12-30", "2026-12-31", "2027-01-04"]
    assert dates(replace(DAILY, first_due="2026-12-23"), 6, calendar) == expected


def test_daily_work_of_a_device_without_any_clinic_day_ahead_is_not_due() -> None:
    calendar = ClinicCalendar("Europe/London", WEEKDAYS, (Closure("2020-01-01", "2090-01-01"),))
    assert dates(DAILY, 3, calendar) == []


DUTIES = st.builds(
    Duty,
    duty_id=st.just("x"),
    name=st.just("X"),
    first_due=st.dates(date(2020, 1, 1), date(2030, 12, 31)).map(date.isoformat),
    every=st.integers(1, 24),
    unit=st.sampled_from(["days", "weeks", "months", "years"]),
    warn_days=st.integers(0, 27),
)


@given(DUTIES, st.dates(date(2020, 1, 1), date(2060, 1, 1)))
def test_the_date_after_and_the_date_up_to_a_day_enclose_it(duty: Duty, day: date) -> None:
    before, after = due_up_to(duty, EVERY_DAY, day), due_after(duty, EVERY_DAY, day)
    assert after is not None
    assert after > day
    assert before is None or before <= day
    if before is not None:
        assert due_after(duty, EVERY_DAY, before) == after


@given(DUTIES, st.lists(st.integers(0, 400), min_size=1, max_size=12))
@settings(max_examples=60)
def test_late_work_never_shifts_the_schedule(duty: Duty, waits: list[int]) -> None:
    schedule = set(dates(duty, 2000))
    folded = with_duties(duty, calendar=EVERY_DAY, start=at(2020, 1, 1, 12))
    for wait in waits:
        folded.until(folded.now + timedelta(days=wait))
        today = folded.now.date()
        folded.fact(DutyDone("x", today.isoformat(), "Eve", OPERATOR))
        due = next_due(folded, "x")
        assert due in schedule, "every due date is one of the schedule"
        assert due > today.isoformat(), "nothing is outstanding once it is done"
        skipped = [day for day in schedule if today.isoformat() < day < due]
        assert len(skipped) <= 1, "work done early covers no more than the next date"
        assert all(date.fromisoformat(day) - today <= timedelta(days=duty.warn_days) for day in skipped)


# --- what a completion covers -----------------------------------------------------------------------------------


def test_done_late_the_next_date_stays_where_it_was() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 20, 9))
    folded.until(at(2026, 2, 10, 9))
    assert did(folded, "service", "2026-02-10") == [("ok", "2026-03-01T00:00:00+00:00")]
    assert next_due(folded, "service") == "2026-02-28"


def test_done_within_the_warning_it_counts_for_the_next_date_and_once() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 25, 9))
    did(folded, "service", "2026-01-25")
    assert next_due(folded, "service") == "2026-02-28"
    folded.until(at(2026, 1, 26, 9))
    did(folded, "service", "2026-01-26")
    assert next_due(folded, "service") == "2026-02-28"


def test_done_earlier_than_that_it_stands_in_the_record_and_covers_nothing() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 20, 9))
    assert did(folded, "service", "2026-01-20") == []
    assert next_due(folded, "service") == "2026-01-31"


def test_done_once_it_covers_every_date_that_was_missed() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 20, 9))
    folded.until(at(2026, 5, 4, 9))
    assert next_due(folded, "service") == "2026-01-31"
    did(folded, "service", "2026-05-04")
    assert next_due(folded, "service") == "2026-05-31"


def test_told_twice_of_one_day_it_counts_once() -> None:
    folded = with_duties(replace(MONTHLY, warn_days=27), start=at(2026, 2, 5, 9))
    for _ in range(2):
        did(folded, "service", "2026-02-05")  # late for 31 January, and within 27 days of 28 February
        assert next_due(folded, "service") == "2026-02-28"


def test_recorded_afterwards_it_counts_by_the_day_on_which_it_was_done() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 20, 9))
    folded.until(at(2026, 5, 4, 9))
    did(folded, "service", "2026-02-10")
    assert next_due(folded, "service") == "2026-02-28"
    did(folded, "service", "2026-01-31")  # an older one comes in later: nothing is due again
    assert next_due(folded, "service") == "2026-02-28"


def test_what_is_due_once_is_done_with_for_good() -> None:
    folded = with_duties(Duty("move", "Move", "2026-06-30", 0), start=at(2026, 1, 20, 9))
    assert did(folded, "move", "2026-01-20") == [("ok", "")]
    assert changes(folded, at(2027, 6, 30)) == []


@pytest.mark.parametrize("done_on", ["", "soon", "2026-13-01", "2026-02-01", "1889-01-01"])
def test_a_date_that_cannot_be_moves_nothing(done_on: str) -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    assert did(folded, "service", done_on) == []
    assert folded.state.parked is None


def test_work_that_is_not_configured_is_kept_in_the_log_alone() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    assert did(folded, "other", "2026-01-31") == []
    assert set(folded.state.duties) == {"service"}


def test_a_certificate_is_due_when_it_says_itself_and_no_other_moves() -> None:
    other = replace(CERTIFICATE, duty_id="certificate-W100", name="Certificate of W100")
    folded = with_duties(CERTIFICATE, other, start=at(2026, 12, 1, 9))
    assert did(folded, "certificate-W20", "2026-12-01", "2028-11-15") == [("ok", "2028-11-16T00:00:00+00:00")]
    assert next_due(folded, "certificate-W100") == "2027-03-01"
    folded.until(at(2028, 10, 1, 9))
    did(folded, "certificate-W20", "2028-10-01", "2030-10-01")
    assert next_due(folded, "certificate-W20") == "2030-10-01"


def test_the_later_day_of_record_and_configuration_counts_for_a_certificate() -> None:
    folded = with_duties(CERTIFICATE, start=at(2026, 12, 1, 9))
    did(folded, "certificate-W20", "2026-12-01", "2028-11-15")
    for first_due, expected in (("2028-06-01", "2028-11-15"), ("2029-06-01", "2029-06-01")):
        duty = replace(CERTIFICATE, first_due=first_due)
        folded.fact(DeviceReconfigured(replace(POLICY, duties=(duty,))))
        assert next_due(folded, "certificate-W20") == expected


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


# --- recording ------------------------------------------------------------------------------------------------


def record(folded: Folded, actor: Person = OPERATOR, request_id: str = "r1", **fields: str) -> Refusal | None:
    given = {"duty_id": "service", "done_on": "2026-01-31", "done_by": "Eve Engineer"} | fields
    return folded.command(RecordDuty(device="test-site/dxa-1", actor=actor, request_id=request_id, **given))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duty_id": "servise"}, "servise is no due work of this device; there is: service, certificate-W20."),
        ({"done_on": ""}, "Give the day on which it was done"),
        ({"done_on": "31/01/2026"}, "Give the day on which it was done"),
        ({"done_on": "2026-02-01"}, "2026-02-01 lies in the future"),
        ({"done_on": "1989-12-31"}, "1989-12-31 lies before 1990"),
        ({"done_by": " "}, "Give who did it"),
        ({"note": "x" * 501}, "Keep the note under 500"),
        ({"reference": "x" * 501}, "Keep the number of the report or certificate under 500"),
        ({"valid_until": "2028-01-01"}, "Only a certificate is valid until"),
        ({"duty_id": "certificate-W20"}, "Give the day until which the new certificate is valid"),
        ({"duty_id": "certificate-W20", "valid_until": "later"}, "Give the day until which the certificate"),
        ({"duty_id": "certificate-W20", "valid_until": "2026-01-31"}, "until before it was renewed"),
        ({"duty_id": "certificate-W20", "valid_until": "2126-01-31"}, "more than 30 years"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(fields: dict[str, str], words: str) -> None:
    folded = with_duties(MONTHLY, CERTIFICATE, start=at(2026, 1, 31, 9))
    before, given = folded.state, cast("Any", fields)
    refusal = record(folded, **given)
    assert refusal is not None
    assert words in refusal.text
    assert folded.state == before


def test_a_device_without_due_work_says_so() -> None:
    refusal = record(Folded(start=at(2026, 1, 31, 9)))
    assert refusal is not None
    assert "there is: none is configured" in refusal.text


@pytest.mark.parametrize(("actor", "is_refused"), [(OPERATOR, 0), (PHYSICIST, 0), (ENGINEER, 0), (MANAGER, 1)])
def test_who_may_record_it(actor: Person, is_refused: int) -> None:
    refusal = record(with_duties(MONTHLY, start=at(2026, 1, 31, 9)), actor)
    assert (refusal is not None and refusal.code == "forbidden") == bool(is_refused)


def test_a_stale_page_is_refused() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    given = {"duty_id": "service", "done_on": "2026-01-31", "done_by": "Eve"}
    refusal = folded.command(RecordDuty(device="d", actor=OPERATOR, request_id="r", **given), stale_by=1)
    assert refusal is not None
    assert refusal.code == "stale"


def test_the_same_work_recorded_twice_is_refused_and_covers_nothing_more() -> None:
    folded = with_duties(replace(MONTHLY, warn_days=27), start=at(2026, 2, 5, 9))
    assert record(folded, done_on="2026-02-05") is None
    refusal = record(folded, request_id="r2", done_on="2026-02-05")
    assert refusal is not None
    assert "on record already that this was done on 2026-02-05" in refusal.text
    assert next_due(folded, "service") == "2026-02-28"


def test_a_certificates_day_that_was_mistyped_can_be_put_right() -> None:
    folded = with_duties(CERTIFICATE, start=at(2026, 1, 31, 9))
    assert record(folded, duty_id="certificate-W20", valid_until="2038-01-01") is None
    assert record(folded, duty_id="certificate-W20", valid_until="2028-01-01", request_id="r2") is None
    assert next_due(folded, "certificate-W20") == "2028-01-01"


def test_nothing_is_recorded_on_a_device_that_is_retired() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    folded.command(RetireDevice(device="test-site/dxa-1", actor=PHYSICIST, request_id="r", reason="old"))
    refusal = record(folded)
    assert refusal is not None
    assert "retired" in refusal.text


# --- for people -------------------------------------------------------------------------------------------------


def listed(folded: Folded) -> list[tuple[str, str, str]]:
    items: tuple[DueItem, ...] = due_list(folded.state, folded.now)
    return [(one.name, one.standing.value, one.due_on.isoformat() if one.due_on else "") for one in items]


def test_qc_and_other_work_stand_in_one_list_the_most_urgent_first() -> None:
    scanner = in_service(replace(POLICY, duties=(replace(MONTHLY, first_due="2026-11-05"),)))
    assert listed(scanner) == [
        ("Maintenance", "due_soon", "2026-11-05"),
        ("Manufacturer's daily QC", "ok", "2026-11-03"),
        ("Phantom SPINE-0001", "ok", "2026-11-03"),
    ]
    scanner.until(at(2026, 11, 3, 7))
    assert [one[1] for one in listed(scanner)] == ["due", "due", "due_soon"]
    scanner.until(at(2026, 11, 4, 7))
    assert listed(scanner)[0] == ("Manufacturer's daily QC", "overdue", "2026-11-03")


def test_daily_qc_is_not_due_on_a_closed_day() -> None:
    scanner = in_service()
    scanner.until(at(2026, 11, 6, 7))
    scanner.vendor_qc()
    scanner.fact(ClinicCalendarChanged(replace(WEEKDAY_CLINIC, closures=(Closure("2026-11-09", "2026-11-09"),))))
    scanner.until(at(2026, 11, 9, 7))
    assert ("Manufacturer's daily QC", "ok", "2026-11-10") in listed(scanner)


def test_a_qc_that_never_passed_is_due_on_the_next_day_with_a_clinic() -> None:
    sunday = Folded(start=at(2026, 11, 8, 9))
    assert ("Manufacturer's daily QC", "ok", "2026-11-09") in listed(sunday)


def test_a_weekly_check_is_due_soon_then_due_through_its_grace_then_overdue() -> None:
    checks = CheckRules((Standard("W20", 20.0),), Frequency.WEEKLY, grace_days=1, limit_kg=0.1)
    scale = Folded(DevicePolicy(DeviceKind.SCALE, checks=checks), start=at(2026, 11, 2, 9))
    assert listed(scale) == [("Check with W20", "due", "2026-11-02")]
    scale.fact(CalibrationCheckRead("W20", 20.0, scale.now, "Oz"))
    expected = {2: "ok", 6: "ok", 7: "due_soon", 9: "due", 10: "due", 11: "overdue"}
    for day, standing in expected.items():
        scale.until(at(2026, 11, day, 12))
        assert listed(scale) == [("Check with W20", standing, "2026-11-09")]
    assert scale.codes == ["check_due"]


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
