"""Messages as people read them: one alert, a few, a hundred, what is over, who took what."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from alerts.condition import Condition, Kind, Severity
from alerts.conditions import find
from alerts.policy import Note
from alerts.rota import Rota
from alerts.situation import LineView, Situation
from streams.equipment_log import OpenIncident
from streams.messages import BypassDetected, BypassEvidence, ReasonCode
from streams.policy import Clinic, ClinicCalendar, Closure, Enforcement
from streams.readings import DeviceView
from tests.alerts_rig import (
    CALENDAR,
    EVERY_DAY,
    LONDON,
    MISSING,
    OLA,
    RULES,
    Watch,
    condition,
    failed_at,
    findings,
    held,
    opened,
    phantom,
    scanner,
    situation,
    utc,
)

AT_0745 = utc("2026-01-05T07:45")
AT_0710 = utc("2026-01-05T07:10")
HUNDRED = [failed_at(AT_0710, f"scan-{n}", device_id=f"dxa-{n}", name=f"DXA{n:03}") for n in range(100)]


def message(*conditions: Condition) -> Note:
    """What Ola reads of these at 07:45."""
    watch = Watch(rota=Rota((OLA,), (), LONDON))
    watch.stand(AT_0745, AT_0745 + timedelta(minutes=1), findings(*conditions))
    ((_, note),) = watch.sent
    return note


def test_a_hundred_scanners_failing_at_once_read_as_one_message() -> None:
    (note,) = Watch().see(AT_0745, *HUNDRED)
    assert note.subject == "100 scanners are not cleared, clinic in 45 minutes"
    lines = note.text.splitlines()
    assert lines[0] == "100 scanners are not cleared. Clinic starts 08:30."
    assert lines[1] == "- Scanner DXA000: this morning's phantom failed (+1.9 %)"
    assert lines[11:] == [
        "- and 90 more: see the board",
        "What to do: Reposition the phantom and scan it once more. If it fails again, ring the physicist.",
        "Whom to ring: Medical physics, 01225 000 000",
    ]


def test_a_hundred_scanners_with_clinics_at_other_times_are_named_by_when_they_start() -> None:
    early = ClinicCalendar(LONDON, (Clinic((0,), "08:00", "16:00"),))
    both = situation(AT_0745, *HUNDRED).devices[:99] + situation(AT_0745, HUNDRED[99], calendar=early).devices
    watch = Watch()
    (note,) = watch.seen(Situation(at, LONDON, both) for at in (AT_0745, AT_0745 + watch.gathering))
    assert note.subject == "100 scanners are not cleared, clinic in 15 minutes"
    assert note.text.splitlines()[1:3] == [
        "- Scanner DXA099: this morning's phantom failed (+1.9 %); clinic starts 08:00",
        "- Scanner DXA000: this morning's phantom failed (+1.9 %); clinic starts 08:30",
    ]


def test_a_hundred_that_are_cleared_at_once_are_one_short_message() -> None:
    watch = Watch()
    watch.see(AT_0745, *HUNDRED)
    cleared = [replace(view, gate=opened(AT_0745), phantoms=(phantom(),)) for view in HUNDRED]
    watch.see(AT_0745 + timedelta(minutes=2), *cleared)
    (note,) = watch.see(AT_0745 + timedelta(minutes=5), *cleared)
    assert note.subject == "100 alerts are over"
    assert note.text.splitlines()[-1] == "and 90 more: see the board"
    assert len(note.text.splitlines()) == 11


def test_what_wants_something_else_done_is_told_apart() -> None:
    undone = [scanner(held(MISSING, since=AT_0710), phantom(), device_id=f"q-{n}", name=f"Q{n}") for n in range(4)]
    (note,) = Watch().see(AT_0745, *HUNDRED[:4], *undone)
    assert note.subject == "8 scanners are not cleared, clinic in 45 minutes"
    first, second = note.text.split("\n\n")
    assert first.startswith("4 scanners are not cleared. Clinic starts 08:30.\n- Scanner DXA000: this morning's")
    assert second.startswith("4 scanners are not cleared. Clinic starts 08:30.\n- Scanner Q0: QC not done\n")


def test_a_few_alerts_of_different_sorts_are_told_in_full_the_most_urgent_first() -> None:
    note = message(
        condition("a", severity=Severity.PROMPT, advice="Do a."),
        condition("b", needs_by=utc("2026-01-05T09:00"), ring="B"),
        condition("c", needs_by=utc("2026-01-05T08:30")),
    )
    assert note.subject == "c is wrong, clinic in 45 minutes, and 2 more alerts"
    assert note.text == (
        "c is wrong. Clinic starts 08:30.\nSince 07:00 today.\n\n"
        "b is wrong. Clinic starts 09:00.\nSince 07:00 today.\nWhom to ring: B\n\n"
        "a is wrong.\nSince 07:00 today.\nWhat to do: Do a.\n"
    )


@pytest.mark.parametrize(
    ("needs_by", "said"),
    [
        ("2026-01-05T08:30", "starts 08:30."),
        ("2026-01-05T07:30", "started 07:30."),
        ("2026-01-06T08:30", "starts 08:30 tomorrow."),
    ],
)
def test_a_clinic_is_said_by_when_it_is(needs_by: str, said: str) -> None:
    assert f"a is wrong. Clinic {said}" in message(condition("a", needs_by=utc(needs_by))).text


def test_who_is_told_later_reads_since_when_nobody_has_taken_it() -> None:
    watch = Watch()
    watch.stand(AT_0745, AT_0745 + timedelta(minutes=20), findings(condition()))
    first, later = (note for _, note in watch.sent)
    assert "nobody has taken" not in first.text
    assert later.text.endswith("\nFirst told at 07:45 today: nobody has taken it yet.\n")


def test_the_first_patient_is_said_where_it_is_known() -> None:
    stands = situation(AT_0745, HUNDRED[0], first_patient_at=utc("2026-01-05T08:40"))
    text = message(*find(stands, RULES).conditions).text
    assert "(+1.9 %). Clinic starts 08:30 (first patient 08:40)." in text


def test_times_are_said_as_the_clock_on_the_wall_says_them() -> None:
    at = utc("2026-03-29T06:45")  # 07:45 summer time, on its first day
    (note,) = Watch().see(at, failed_at(utc("2026-03-29T00:50")), calendar=EVERY_DAY)
    assert note.subject.endswith("clinic in 45 minutes")
    assert "Clinic starts 08:30.\nSince 00:50 today." in note.text


def test_a_message_names_no_patient() -> None:
    """What tells of a bypass carries the request's number; people's texts may hold a name."""
    told = BypassDetected(
        "e1", BypassEvidence.OBJECT, AT_0710, "ACC-77", "all", (ReasonCode.QC_FAILED,), Enforcement.WORKLIST
    )
    incident = OpenIncident("i1", "bypass", "ACC-77", "Ann Example", AT_0710 - timedelta(days=9))
    view: DeviceView = replace(HUNDRED[0], bypasses=(told,), incidents=(incident,), parked="KeyError: Ann Example")
    watch = Watch()
    watch.see(AT_0745, view)
    watch.see(utc("2026-01-05T08:00"), view)
    watch.see(utc("2026-01-05T09:00"), view)
    texts = "\n".join(note.subject + note.text for _, note in watch.sent)
    assert "A patient was scanned on Scanner DXA000 while it was held." in texts
    assert "an incident has been open" in texts
    assert "ACC-77" not in texts
    assert "Ann" not in texts


# --- whole days ----------------------------------------------------------------------------------------------


def day_of(day: str, calendar: ClinicCalendar) -> list[tuple[str, str]]:
    """Who is told when, in UTC, of a scanner whose QC is not done all day, looked at every minute."""
    watch, begins = Watch(rota=Rota((OLA,), (), LONDON)), utc(f"{day}T00:00")
    view = scanner(held(MISSING, since=begins), phantom())
    for at in (begins + timedelta(minutes=n) for n in range(18 * 60)):
        next_at = watch.look(at, find(situation(at, view, calendar=calendar), RULES)).next_at
        if next_at is not None and next_at < at + timedelta(minutes=1):
            watch.look(next_at, find(situation(next_at, view, calendar=calendar), RULES))
    return watch.told("Ola")


@pytest.mark.parametrize(
    ("day", "calendar", "told"),
    [
        ("2026-01-05", CALENDAR, [("05 07:45:30", "raised")]),
        ("2026-01-03", CALENDAR, []),  # a Saturday
        ("2026-01-05", ClinicCalendar(LONDON, CALENDAR.clinics, (Closure("2026-01-05", "2026-01-05"),)), []),
        ("2026-03-29", EVERY_DAY, [("29 06:45:30", "raised")]),  # the clocks go forward
        ("2026-10-25", EVERY_DAY, [("25 07:45:30", "raised")]),  # and back
    ],
)
def test_a_whole_day_sends_one_message_before_a_clinic_and_none_without(
    day: str, calendar: ClinicCalendar, told: list[tuple[str, str]]
) -> None:
    assert day_of(day, calendar) == told


def test_a_patient_scanned_past_a_held_gate_comes_before_everything_else() -> None:
    note = message(
        condition("gate", needs_by=utc("2026-01-05T07:00")),
        condition("bypass", kind=Kind.BYPASS, since=utc("2026-01-05T07:44")),
    )
    assert note.subject == "bypass is wrong, and 1 more alert"
    assert note.text.startswith("bypass is wrong.\n")


def test_the_rest_of_a_list_is_where_it_stands() -> None:
    many = [condition(f"due:{n:02}", page="/due", many="pieces of work are due", advice="Do it.") for n in range(12)]
    assert message(*many).text == (
        "12 pieces of work are due.\n"
        + "".join(f"- due:{n:02} is wrong\n" for n in range(10))
        + "- and 2 more: see due work\nWhat to do: Do it.\n"
    )


def test_the_message_of_a_line_that_is_silent_says_why_once() -> None:
    line = LineView("silent", "nothing has come for 30 s: is it switched on?", AT_0710)
    view = scanner(opened(AT_0710), device_id="scale-1", name="", kind="scale")
    stands = situation(AT_0745, view)
    stands = replace(stands, devices=(replace(stands.devices[0], line=line),))
    assert message(*(replace(one, severity=Severity.URGENT) for one in find(stands, RULES).conditions)).text == (
        "Scale scale-1 sends nothing (nothing has come for 30 s: is it switched on?). Clinic starts 08:30.\n"
        "Since 07:10 today.\n"
        "What to do: See that it is switched on and its cable is in. Until then write down by hand what it shows. "
        "No scanner is held by this.\n"
        "Whom to ring: Medical physics, 01225 000 000\n"
    )
