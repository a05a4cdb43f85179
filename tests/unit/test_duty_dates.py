"""When work that comes round is due, and which of its dates a completion covers."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.fold.due_dates import due_after, due_up_to
from streams.messages import DeviceReconfigured, DutyDone
from streams.policy import ClinicCalendar, Closure, Duty, DutyUnit
from tests.folding import OPERATOR, POLICY
from tests.unit.duties_rig import (
    CERTIFICATE,
    DAILY,
    EVERY_DAY,
    MONTHLY,
    WEEKDAYS,
    at,
    changes,
    did,
    next_due,
    with_duties,
)

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
    schedule = set(dates(duty, 6000))  # of every day: past twelve waits of 400 days
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
