"""What is found wrong, and when: around clinics, through the changes of the clocks, on closed days."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from alerts.condition import Condition, Kind, Severity
from alerts.conditions import find
from streams.messages import (
    CheckJudged,
    CheckVerdict,
    GateStatus,
    Reason,
    ReasonCode,
    Verdict,
)
from streams.policy import Clinic, ClinicCalendar, Closure
from streams.readings import DeviceView, StandardStatus
from streams.roles import Role
from streams.site import Gate
from tests.alerts_rig import (
    CALENDAR,
    EVERY_DAY,
    LONDON,
    MISSING,
    PHYSICS,
    REPEAT,
    RULES,
    TWICE,
    failed_at,
    held,
    opened,
    phantom,
    reading,
    scanner,
    situation,
    utc,
)

MONDAY = utc("2026-01-05T00:00")
AT_0745 = utc("2026-01-05T07:45")
AT_0710 = utc("2026-01-05T07:10")


def found(at: datetime, *views: DeviceView, calendar: ClinicCalendar = CALENDAR) -> tuple[Condition, ...]:
    return find(situation(at, *views, calendar=calendar), RULES).conditions


def not_done(**changed: object) -> DeviceView:
    return replace(scanner(held(MISSING, since=MONDAY), phantom()), **changed)


def closed(until: str = "") -> ClinicCalendar:
    """Weekdays without Monday, or without its morning."""
    return ClinicCalendar(LONDON, CALENDAR.clinics, (Closure("2026-01-05", "2026-01-05", ends=until),))


def only(conditions: tuple[Condition, ...]) -> Condition:
    (one,) = conditions
    return one


# --- the lead before a clinic --------------------------------------------------------------------------------


def test_a_scanner_that_failed_this_morning_is_told_of_45_minutes_before_its_clinic() -> None:
    assert found(AT_0745 - timedelta(seconds=1), failed_at(AT_0710)) == ()
    one = only(found(AT_0745, failed_at(AT_0710)))
    assert (one.kind, one.severity, one.audience) == (Kind.QC_FAILED, Severity.URGENT, (Role.OPERATOR,))
    assert one.headline == "Scanner 2 is not cleared: this morning's phantom failed (+1.9 %)"
    assert one.advice == "Reposition the phantom and scan it once more. If it fails again, ring the physicist."
    assert (one.ring, one.needs_by, one.since) == (PHYSICS, utc("2026-01-05T08:30"), AT_0710)


def test_a_scanner_without_qc_is_told_of_as_not_done() -> None:
    one = only(found(AT_0745, not_done()))
    assert (one.kind, one.news) == (Kind.QC_NOT_DONE, "not_done")
    assert one.headline == "Scanner 2 is not cleared: QC not done (phantom SPINE-1: no pass today)"


@pytest.mark.parametrize(
    ("day", "told_at"),
    [
        ("2026-03-28", "07:45"),  # the last day of winter time: local time is UTC
        ("2026-03-29", "06:45"),  # the clocks went forward at 01:00 UTC
        ("2026-10-24", "06:45"),
        ("2026-10-25", "07:45"),  # and back
    ],
)
def test_0745_is_by_the_clock_on_the_wall_when_the_clocks_change(day: str, told_at: str) -> None:
    at = utc(f"{day}T{told_at}")
    view = not_done()
    assert found(at - timedelta(seconds=1), view, calendar=EVERY_DAY) == ()
    assert only(found(at, view, calendar=EVERY_DAY)).needs_by == at + timedelta(minutes=45)


@pytest.mark.parametrize(
    ("when", "calendar", "is_told"),
    [
        ("2026-01-05T09:00", CALENDAR, True),
        ("2026-01-05T16:29", CALENDAR, True),
        ("2026-01-05T16:30", CALENDAR, False),
        ("2026-01-03T08:00", CALENDAR, False),  # a Saturday
        ("2026-01-01T08:00", CALENDAR, False),  # New Year
        ("2026-01-05T08:00", closed(), False),
        # closed in the morning only: told before the afternoon
        ("2026-01-05T08:00", closed("12:00"), False),
        ("2026-01-05T11:15", closed("12:00"), True),
    ],
)
def test_a_held_gate_is_told_of_on_clinic_days_alone(when: str, calendar: ClinicCalendar, is_told: object) -> None:
    assert bool(found(utc(when), not_done(), failed_at(MONDAY, device_id="dxa-9"), calendar=calendar)) is is_told


def test_a_break_between_two_clinics_is_part_of_the_day() -> None:
    clinics = (Clinic((0,), "08:30", "12:00"), Clinic((0,), "14:00", "17:00"))
    calendar = ClinicCalendar(LONDON, clinics)
    at_noon = only(found(utc("2026-01-05T12:30"), not_done(), calendar=calendar))
    assert at_noon.needs_by == utc("2026-01-05T14:00")


def test_a_device_without_clinic_hours_has_the_usual_ones_and_says_so() -> None:
    everyday = ClinicCalendar(LONDON, (), (Closure("2026-01-06", "2026-01-06"),))
    one = only(found(AT_0745, not_done(), calendar=everyday))
    assert (one.needs_by, one.needs_note) == (
        utc("2026-01-05T08:30"),
        "no clinic hours are configured; usual hours are assumed",
    )
    assert found(AT_0745 + timedelta(days=1), not_done(), calendar=everyday) == ()


def test_the_first_patient_is_named_by_the_time_where_it_is_known() -> None:
    standing = situation(AT_0745, failed_at(AT_0710), first_patient_at=utc("2026-01-05T08:40"))
    assert only(find(standing, RULES).conditions).needs_note == "first patient 08:40"


def test_a_failure_is_told_since_it_failed_and_not_since_the_midnight_at_which_the_last_pass_lapsed() -> None:
    view = failed_at(AT_0710)
    since_midnight = replace(view, gate=replace(view.gate, since=MONDAY))
    assert only(found(AT_0745, since_midnight)).since == AT_0710
    assert only(found(AT_0745, not_done())).since == MONDAY


# --- what holds a device -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stage"),
    [
        (ReasonCode.WITH_ENGINEER, "with_engineer"),
        (ReasonCode.NOT_COMMISSIONED, "commissioning"),
        (ReasonCode.RETIRED, "retired"),
    ],
)
def test_a_device_that_is_not_in_use_is_not_told_of_each_morning(code: ReasonCode, stage: str) -> None:
    reason = Reason(code, "out of use", "")
    assert found(AT_0745, not_done(gate=held(MISSING, reason, since=MONDAY), stage=stage)) == ()


def test_an_open_or_overridden_gate_is_not_told_of() -> None:
    overridden = Gate(GateStatus.OVERRIDDEN, MONDAY, None, (MISSING,), "p", utc("2026-01-05T16:30"))
    assert found(AT_0745, scanner(opened(AT_0710)), scanner(overridden)) == ()


def test_two_reasons_are_both_named_and_the_rest_is_counted() -> None:
    fault = Reason(ReasonCode.FAULT_STOPS_SCANNING, "a fault stops scanning", "An engineer clears it.")
    clock = Reason(ReasonCode.CLOCK_SUSPECT, "phantom SPINE-1 dated in the future", "Set the clock.")
    own = Reason(ReasonCode.QC_MISSING, "scanner's own QC: no pass today", "Run the scanner's daily QC.")
    gate = held(REPEAT, fault, clock, own, since=AT_0710)
    view = scanner(gate, phantom(reading("scan-1", AT_0710), failed=1))
    one = next(each for each in found(AT_0745, view) if each.key == "gate:dxa-2")
    assert one.headline.endswith("this morning's phantom failed (+1.9 %); a fault stops scanning; and 2 more")
    assert one.parts == {"failed:scan-1", "fault_stops_scanning", "clock_suspect", "not_done"}


def test_why_bonewatch_lost_track_of_a_device_stays_out_of_messages() -> None:
    unknown = Reason(ReasonCode.STATE_UNKNOWN, "Bonewatch cannot vouch: ValueError('Ann Example')", "Ring.")
    told = found(AT_0745, not_done(gate=held(unknown, since=MONDAY), parked="ValueError('Ann Example')"))
    assert {one.kind for one in told} == {Kind.DEVICE_PARKED, Kind.GATE_HELD}
    assert "Ann" not in repr(told)
    assert next(one for one in told if one.kind is Kind.DEVICE_PARKED).severity is Severity.URGENT


def test_a_failed_check_of_a_scale_withholds_its_measurements_and_no_scanner() -> None:
    reason = Reason(ReasonCode.CHECK_FAILED, "check with W20 (20 kg) failed", "Check it with W20.")
    judged = CheckJudged("check-1", "W20", 20.0, 20.4, AT_0710, CheckVerdict.FAIL, 0.4)
    standard = StandardStatus("W20", 20.0, "kg", "", judged, None, None)
    gate = held(reason, since=AT_0710)
    scale = scanner(gate, device_id="scale-1", name="", kind="scale", standards=(standard,))
    one = only(found(AT_0745, scale))
    assert one.severity is Severity.PROMPT
    assert one.headline == "Scale scale-1 withholds its measurements: the check with W20 failed today (+0.40 kg)"
    assert one.advice == "Check it with W20. No scanner is held by this."


@pytest.mark.parametrize(("at", "severity"), [("07:44", "prompt"), ("07:45", "urgent"), ("18:00", "prompt")])
def test_a_confirmed_failure_is_told_to_physicists_whenever_and_urgent_around_a_clinic(at: str, severity: str) -> None:
    last = reading("scan-2", AT_0710, Verdict.FAIL_CONFIRMED)
    view = scanner(held(TWICE, since=AT_0710), phantom(last, failed=2, confirmed=True))
    one = next(one for one in found(utc(f"2026-01-05T{at}"), view) if one.key == "qc_failed:dxa-2:SPINE-1")
    assert (one.severity.value, one.audience) == (severity, (Role.PHYSICIST,))
    assert one.headline == "Scanner 2: phantom SPINE-1 failed twice (+1.9 %)"


def test_a_failure_that_passes_again_tells_the_physicist_that_a_release_is_awaited() -> None:
    last = reading("scan-3", AT_0710, Verdict.PASS, 0.1)
    view = scanner(held(TWICE, since=AT_0710), phantom(last, failed=2, confirmed=True, passed_since=True))
    one = next(one for one in found(AT_0745, view) if one.audience == (Role.PHYSICIST,))
    assert (one.news, one.brief) == ("awaits_release", "Scanner 2: phantom SPINE-1 awaits release")


@pytest.mark.parametrize(
    ("ends", "at", "is_told"),
    [
        ("10:00", "09:29", False),
        ("10:00", "09:30", True),
        ("10:00", "10:00", False),
        ("16:30", "16:10", False),  # it ends with the day's clinic
    ],
)
def test_an_override_about_to_end_is_told_while_the_clinic_goes_on(ends: str, at: str, is_told: object) -> None:
    until = utc(f"2026-01-05T{ends}")
    gate = Gate(GateStatus.OVERRIDDEN, MONDAY, until, (MISSING,), "p", until)
    told = found(utc(f"2026-01-05T{at}"), scanner(gate))
    assert [one.kind for one in told] == ([Kind.OVERRIDE_ENDING] if is_told else [])


def test_what_is_over_is_said_by_how_it_is_over() -> None:
    until = utc("2026-01-05T10:00")
    overridden = Gate(GateStatus.OVERRIDDEN, MONDAY, until, (MISSING,), "p", until)
    views = (
        scanner(opened(AT_0710), device_id="dxa-1", name="1"),
        scanner(overridden, device_id="dxa-2"),
        not_done(id="dxa-3"),
    )
    endings = find(situation(AT_0745, *views), RULES).endings
    assert endings["gate:dxa-1"] == "Scanner 1 is cleared."
    assert endings["gate:dxa-2"] == "Scanner 2 may be used on an override until 10:00 today."
    assert "gate:dxa-3" not in endings  # its clinic may be over, but nobody cleared it


def test_a_failure_of_another_chart_is_told_beside_the_first() -> None:
    wrong = Reason(ReasonCode.QC_FAILED, "wrong phantom scanned as phantom SPINE-12", "Scan the right phantom.")
    view = scanner(held(REPEAT, wrong, since=AT_0710), phantom(reading("scan-1", AT_0710), failed=1))
    one = only(found(AT_0745, view))
    assert one.parts == {"failed:scan-1", "qc_failed"}
    assert one.headline.endswith("(+1.9 %); wrong phantom scanned as phantom SPINE-12")


def test_the_scanners_own_qc_that_failed_is_named() -> None:
    own = Reason(ReasonCode.QC_FAILED, "scanner's own QC failed: repeat once", "Run it once more.")
    last = replace(reading("own-1", AT_0710), phantom_id="VENDOR", chart=None)
    one = only(found(AT_0745, replace(scanner(held(own, since=AT_0710)), vendor_qc_last=last)))
    assert one.headline == "Scanner 2 is not cleared: the scanner's own QC failed today"


def test_a_phantom_that_failed_is_not_told_as_not_done_as_well() -> None:
    view = scanner(held(REPEAT, MISSING, since=AT_0710), phantom(reading("scan-1", AT_0710), failed=1))
    one = only(found(AT_0745, view))
    assert one.headline == "Scanner 2 is not cleared: this morning's phantom failed (+1.9 %)"
    assert one.parts == {"failed:scan-1"}


@pytest.mark.parametrize(
    ("failed", "at", "said"),
    [
        ("2026-01-05T11:59", "2026-01-05T12:30", "this morning's phantom failed (+1.9 %)"),
        ("2026-01-05T12:00", "2026-01-05T12:30", "today's phantom failed (+1.9 %)"),
        ("2026-01-04T15:00", "2026-01-05T07:45", "phantom SPINE-1 failed (+1.9 %) yesterday"),
        ("2026-01-02T15:00", "2026-01-05T07:45", "phantom SPINE-1 failed (+1.9 %) on Fri 2 Jan"),
    ],
)
def test_a_failure_is_said_by_when_it_was(failed: str, at: str, said: str) -> None:
    assert only(found(utc(at), failed_at(utc(failed)))).headline == f"Scanner 2 is not cleared: {said}"


def test_a_scanner_whose_worklist_is_not_refused_is_told_of_with_that() -> None:
    view = replace(failed_at(AT_0710), enforcement="advisory")
    assert only(found(AT_0745, view)).advice.endswith("Its worklist is not refused: do not scan patients on it.")


def test_a_gate_held_by_a_fault_alone_names_it() -> None:
    fault = Reason(ReasonCode.FAULT_STOPS_SCANNING, "a fault stops scanning", "An engineer clears it.")
    one = only(found(AT_0745, scanner(held(fault, since=AT_0710))))
    assert (one.kind, one.headline) == (Kind.GATE_HELD, "Scanner 2 is not cleared: a fault stops scanning")
