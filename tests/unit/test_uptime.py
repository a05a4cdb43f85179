"""Uptime by hand: every expected number is worked out beside the case, or stands in the reference."""

from datetime import date

import pytest
from msgspec.structs import replace

from streams.messages import (
    ClockCorrected,
    DeviceRetired,
    ReasonCode,
    RefusedRequest,
    ServiceKind,
    StateChanged,
    WatchInterrupted,
)
from streams.policy import Clinic, ClinicCalendar
from streams.uptime.account import account_of
from streams.uptime.causes import PRECEDENCE, cause_of
from streams.uptime.clinic_hours import period_of
from streams.uptime.history import history_of
from streams.uptime.rebooking import Refusals, Seen, to_rebook
from streams.uptime.report import Line, Target
from tests.downtime import FAULT, OPERATOR, QC_MISSING, TWO_MODES, WITH_ENGINEER, Told, gate, handed_over, utc
from tests.unit.uptime_rig import HOUR, LATER, hours_lost, reckoned


def thirteen_weeks() -> Told:
    """The reference's example: 585 h, one hard failure of 18 h, one partial of 20 h at 50 % (reference, qa.md 5.1)."""
    return (
        Told(TWO_MODES)
        .held("2026-01-12T09:00", "2026-01-13T18:00", FAULT)  # Monday and Tuesday: 9 h + 9 h
        .held("2026-02-02T09:00", "2026-02-04T11:00", FAULT, modes=("forearm",))  # 9 h + 9 h + 2 h of one of two modes
    )


def test_the_references_example_is_95_214_percent() -> None:
    account = reckoned(thirteen_weeks(), "2026-01-05", "2026-04-05")
    assert account.covered_s == 585 * HOUR
    assert account.unplanned_s == 28 * HOUR
    assert account.availability == pytest.approx(0.95214, abs=5e-6)
    assert account.availability_with_planned == account.availability
    assert account.failures == 2
    assert account.mtbf_s == pytest.approx(557 / 2 * HOUR)
    assert account.slots == pytest.approx(56)  # of half an hour


def test_the_references_planned_day_is_taken_off_the_covered_hours_or_counted_as_downtime() -> None:
    told = (
        thirteen_weeks()
        .staged("2026-03-06T08:00", "with_engineer", handed_over(ServiceKind.PLANNED_MAINTENANCE), WITH_ENGINEER)
        .staged("2026-03-06T19:00", "clinical", None)
    )
    account = reckoned(told, "2026-01-05", "2026-04-05")
    assert (account.planned_s, account.unplanned_s) == (9 * HOUR, 28 * HOUR)
    assert account.availability == pytest.approx(0.95139, abs=5e-6)
    assert account.availability_with_planned == pytest.approx(0.93675, abs=5e-6)
    assert account.failures == 2


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (Target(95.2), True),
        (Target(95.3), False),
        (Target(93.0, counts_planned=True), True),
        (Target(95.2, counts_planned=True), True),
        (None, None),
    ],
)
def test_a_contracts_target_is_met_or_not_by_the_convention_it_names(
    target: Target | None, *, is_met: bool | None
) -> None:
    line = Line("dxa-1", reckoned(thirteen_weeks(), "2026-01-05", "2026-04-05"), target=target)
    assert line.is_met is is_met


def test_causes_that_overlap_count_once_and_add_up_to_the_whole() -> None:
    told = (
        Told()
        .gates("2026-01-05T08:00", QC_MISSING)
        .gates("2026-01-05T10:00", QC_MISSING, FAULT)  # the fault accounts for it
        .gates("2026-01-05T12:00", QC_MISSING)
        .gates("2026-01-05T13:00")
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert hours_lost(account) == {"fault_stops_scanning": 2.0, "qc_missing": 2.0}  # 9-10 and 12-13
    assert account.unplanned_s == 4 * HOUR
    assert account.availability == pytest.approx(5 / 9)


def test_every_reason_has_its_place_and_none_is_ever_lost() -> None:
    assert len(set(PRECEDENCE)) == len(PRECEDENCE)
    assert [cause_of({code}) for code in ReasonCode] == list(ReasonCode)
    assert cause_of(set(ReasonCode)) is FAULT


def test_two_modes_held_for_different_reasons_are_each_their_share() -> None:
    told = (
        Told(TWO_MODES)
        .gates("2026-01-05T09:00", FAULT, modes=("forearm",))
        .gates("2026-01-05T11:00", QC_MISSING, modes=("spine-hip",))
        .gates("2026-01-05T12:00")
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert hours_lost(account) == {"fault_stops_scanning": 1.5, "qc_missing": 0.5}


def test_qc_done_before_the_clinic_costs_nothing_and_within_it_does() -> None:
    told = (
        Told()
        .held("2026-01-05T00:00", "2026-01-05T08:30", QC_MISSING)
        .held("2026-01-06T00:00", "2026-01-06T09:30", QC_MISSING)
    )
    account = reckoned(told, "2026-01-05", "2026-01-06")
    assert hours_lost(account) == {"qc_missing": 0.5}
    assert account.slots == 1.0
    assert account.failures == 0


def test_an_overridden_gate_lets_patients_through_and_is_told_apart() -> None:
    at = utc("2026-01-05T09:00")
    overridden = gate("all", at, ReasonCode.INDEPENDENT_OVERDUE, overridden=True)
    account = reckoned(Told().then("2026-01-05T09:00", overridden), "2026-01-05", "2026-01-05")
    assert (account.unplanned_s, account.overridden_s) == (0.0, 9 * HOUR)
    assert account.availability == 1.0


def test_a_gate_that_nothing_is_heard_of_is_held_past_the_time_it_was_open_until() -> None:
    at = utc("2026-01-05T09:00")
    lapsing = replace(gate("all", at), valid_until=utc("2026-01-05T12:00"))
    told = Told().then("2026-01-05T09:00", lapsing)
    assert hours_lost(reckoned(told, "2026-01-05", "2026-01-05")) == {"state_unknown": 6.0}
    told.gates("2026-01-05T15:00")
    assert hours_lost(reckoned(told, "2026-01-05", "2026-01-05")) == {"state_unknown": 3.0}


def test_an_override_that_has_run_out_leaves_what_it_was_for() -> None:
    at = utc("2026-01-05T09:00")
    overridden = gate("all", at, ReasonCode.INDEPENDENT_OVERDUE, overridden=True)
    told = Told().then("2026-01-05T09:00", replace(overridden, valid_until=utc("2026-01-05T16:00")))
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (hours_lost(account), account.overridden_s) == ({"independent_overdue": 2.0}, 7 * HOUR)


# --- failures and repairs ----------------------------------------------------------------------------------


def test_a_period_that_is_not_over_is_reckoned_up_to_now() -> None:
    told = Told().gates("2026-01-05T10:00", FAULT)
    account = reckoned(told, "2026-01-01", "2026-01-31", now=utc("2026-01-05T12:00"))
    assert (account.covered_s, account.unplanned_s) == (21 * HOUR, 2 * HOUR)  # Thursday, Friday, 3 h of Monday


def test_a_period_that_has_not_begun_is_empty() -> None:
    account = reckoned(Told(), "2026-01-05", "2026-01-31", now=utc("2026-01-01T12:00"))
    assert (account.covered_s, account.availability, account.mtbf_above_s) == (0.0, None, None)


# --- what is neither up nor down ---------------------------------------------------------------------------


def test_a_device_that_comes_and_goes_within_the_period_is_reckoned_while_it_is_in_use() -> None:
    retired = StateChanged(stage="retired", previous="clinical")
    told = Told(registered=utc("2026-01-06T09:00"), clinical=utc("2026-01-07T12:00")).gates(
        "2026-01-08T15:00", ReasonCode.RETIRED, first=(DeviceRetired("as the test says", OPERATOR), retired)
    )
    account = reckoned(told, "2026-01-05", "2026-01-09")
    assert {why: seconds / HOUR for why, seconds in account.uncounted_s.items()} == {
        "not_registered": 9.0,  # Monday
        "not_commissioned": 12.0,  # Tuesday and Wednesday morning
        "retired": 12.0,  # Thursday from three, Friday
    }
    assert account.covered_s == 12 * HOUR
    assert account.availability == 1.0


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        (date.min, date(2026, 1, 5), "0001-01-01"),
        (date(2026, 1, 5), date.max, "9999-12-31"),
        (date(1989, 12, 31), date(1990, 1, 1), "1989-12-31"),
        (date(2200, 12, 31), date(2201, 1, 1), "2201-01-01"),
    ],
)
def test_a_day_outside_the_years_that_can_be_is_refused_by_its_name(first: date, last: date, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} does not lie between 1990 and 2200$"):
        period_of(first, last, "Pacific/Auckland")
    assert period_of(date(1990, 1, 1), date(2200, 12, 31), "UTC").end == utc("2201-01-01T00:00")


def test_what_a_device_refused_while_it_was_not_in_use_is_to_be_rebooked() -> None:
    retired = StateChanged(stage="retired", previous="clinical")
    told = Told(registered=utc("2026-01-06T09:00"), clinical=utc("2026-01-07T12:00")).gates(
        "2026-01-08T15:00", ReasonCode.RETIRED, first=(DeviceRetired("as the test says", OPERATOR), retired)
    )
    asked = (
        RefusedRequest("BEFORE", utc("2026-01-06T08:30")),  # nobody knew the device yet
        RefusedRequest("COMMISSIONING", utc("2026-01-07T11:30")),
        RefusedRequest("IN-USE", utc("2026-01-07T12:30")),
        RefusedRequest("FOREARM", utc("2026-01-08T15:30"), "forearm"),
        RefusedRequest("RETIRED", utc("2026-01-09T10:00")),
    )
    seen = Seen({"bath/dxa-1": (Refusals(utc("2026-01-06T09:30"), asked),)})
    period = period_of(date(2026, 1, 5), date(2026, 1, 9), "UTC")
    found = to_rebook(history_of("bath/dxa-1", told.entries), seen, period, LATER)
    assert [one.accession_number for one in found] == ["COMMISSIONING", "FOREARM", "RETIRED"]


def test_time_in_which_nobody_watched_is_neither_up_nor_down() -> None:
    told = (
        Told()
        .gates("2026-01-05T10:00", FAULT)
        .then("2026-01-05T15:00", WatchInterrupted(utc("2026-01-05T08:00"), utc("2026-01-05T11:00")))
        .then("2026-01-05T15:30", WatchInterrupted(utc("2026-01-05T10:30"), utc("2026-01-05T12:00")))
        .gates("2026-01-05T16:00")
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert account.uncounted_s == {"not_watched": 3 * HOUR}
    assert (account.covered_s, account.unplanned_s) == (6 * HOUR, 4 * HOUR)


def test_a_device_nothing_is_known_of_has_no_availability() -> None:
    account = account_of(history_of("bath/dxa-1", []), period_of(date(2026, 1, 5), date(2026, 1, 9), "UTC"), LATER)
    assert (account.covered_s, account.availability, account.availability_with_planned) == (0.0, None, None)


def test_what_was_recorded_by_a_clock_that_ran_ahead_is_void() -> None:
    told = (
        Told()
        .gates("2026-02-01T09:00", FAULT)
        .gates("2026-01-05T12:00", first=(ClockCorrected(utc("2026-02-01T09:00"), "as the test says", OPERATOR),))
    )
    assert reckoned(told, "2026-01-05", "2026-02-28").unplanned_s == 0.0


# --- time zones and calendars ------------------------------------------------------------------------------


def test_a_sum_is_of_hours_and_not_of_percentages() -> None:
    small = ClinicCalendar("UTC", (Clinic((0,), "09:00", "10:00"),))
    one = reckoned(Told(calendar=small).gates("2026-01-05T08:00", FAULT), "2026-01-05", "2026-01-05")
    other = reckoned(Told(), "2026-01-05", "2026-01-05")
    both = one + other
    assert (both.covered_s, both.unplanned_s, both.failures) == (10 * HOUR, 1 * HOUR, 1)
    assert both.availability == pytest.approx(0.9)


def test_a_period_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        period_of(date(2026, 2, 1), date(2026, 1, 1), "UTC")
