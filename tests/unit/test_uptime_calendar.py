"""Clinic hours in the reckoning of uptime: clocks that change, calendars, closures, all worked out by hand."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.messages import ClinicCalendarChanged, DeviceReconfigured
from streams.policy import Clinic, ClinicCalendar, Closure
from tests.downtime import FAULT, NINE_TO_SIX, TWO_MODES, Told, utc
from tests.unit.uptime_rig import HOUR, reckoned


@pytest.mark.parametrize(
    ("day", "hours", "fault_ends", "lost"),
    [
        ("2026-03-29", 5.0, "2026-03-29T01:30", 0.5),  # 00:30 GMT to 06:30 BST; at 01:00 the clocks go on
        ("2026-10-25", 7.0, "2026-10-25T01:30", 2.0),  # 00:30 BST (23:30 GMT) to 06:30 GMT
    ],
)
def test_nights_in_which_the_clocks_change_have_the_hours_they_have(
    day: str, hours: float, fault_ends: str, lost: float
) -> None:
    night = ClinicCalendar("Europe/London", (Clinic((6,), "00:30", "06:30"),))
    began = utc(f"{day}T01:00") if hours < 6 else utc(f"{day}T00:00") - timedelta(minutes=30)
    told = Told(calendar=night).gates(began.isoformat()[:16], FAULT).gates(fault_ends)
    account = reckoned(told, day, day, time_zone="Europe/London")
    assert (account.covered_s / HOUR, account.unplanned_s / HOUR) == (hours, lost)


def test_the_same_clinic_begins_an_hour_earlier_by_utc_in_summer() -> None:
    calendar = ClinicCalendar("Europe/London", (Clinic((0, 4), "09:00", "10:00"),))
    told = (
        Told(calendar=calendar)
        .held("2026-03-27T09:00", "2026-03-27T09:30", FAULT)  # a Friday in winter: 9 is 9
        .held("2026-03-30T08:00", "2026-03-30T08:15", FAULT)  # the Monday after: 9 is 8
    )
    assert reckoned(told, "2026-03-27", "2026-03-30", time_zone="Europe/London").unplanned_s == 0.75 * HOUR


def test_a_calendar_that_changes_counts_from_where_it_changed() -> None:
    mornings = ClinicCalendar("UTC", (Clinic((0, 1, 2, 3, 4), "09:00", "12:00", slot_minutes=20),))
    told = (
        Told()
        .then("2026-01-06T11:00", ClinicCalendarChanged(mornings))
        .held("2026-01-05T17:00", "2026-01-05T18:00", FAULT)
    )
    told.entries.sort(key=lambda entry: entry.at)
    told = told.held("2026-01-07T11:00", "2026-01-07T18:00", FAULT)
    account = reckoned(told, "2026-01-05", "2026-01-07")
    assert account.covered_s == (9 + 3 + 3) * HOUR  # Tuesday: 9 to 11 by the old, 11 to 12 by the new
    assert account.unplanned_s == 2 * HOUR
    assert account.slots == pytest.approx(2 + 3)  # an hour in halves, an hour in thirds


def test_a_closure_is_no_clinic_time() -> None:
    closures = (Closure("2026-01-05", "2026-01-05", "holiday"), Closure("2026-01-06", "2026-01-06", starts="13:00"))
    told = Told(calendar=replace(NINE_TO_SIX, closures=closures)).gates("2026-01-05T08:00", FAULT)
    account = reckoned(told, "2026-01-05", "2026-01-07")
    assert account.covered_s == (4 + 9) * HOUR  # Tuesday 9 to 13, Wednesday
    assert account.slots == pytest.approx(26)


def test_clinics_that_overlap_are_one_stretch_of_time() -> None:
    calendar = ClinicCalendar("UTC", (Clinic((0,), "09:00", "12:00", 30), Clinic((0,), "11:00", "14:00", 20)))
    told = Told(calendar=calendar).gates("2026-01-05T08:00", FAULT)
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert account.covered_s == 5 * HOUR
    assert account.slots == pytest.approx(6 + 6)  # 9 to 12 in halves, 12 to 14 in thirds


def test_a_mode_that_is_configured_away_holds_nothing_any_more() -> None:
    told = Told(TWO_MODES).gates("2026-01-05T09:00", FAULT, modes=("forearm",))
    only = replace(TWO_MODES, modes=TWO_MODES.modes[:1])
    told.then("2026-01-05T11:00", DeviceReconfigured(only))
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert account.unplanned_s == 1 * HOUR  # half of two hours
