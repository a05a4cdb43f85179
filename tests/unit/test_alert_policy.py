"""Who is told what, when, and that nobody is told twice: the rules of alerts one by one."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from alerts.book import AlertState, Book, decode, encode
from alerts.condition import Condition, Findings, Severity
from alerts.digest import digest_at
from alerts.policy import NotAcknowledged, acknowledge, step
from alerts.rota import Person, Rota, Shift
from alerts.rules import Timetable
from streams.roles import Role
from tests.alerts_rig import (
    ADA,
    LONDON,
    OLA,
    OWEN,
    PETRA,
    ROTA,
    RULES,
    Watch,
    condition,
    failed_at,
    findings,
    opened,
    phantom,
    scanner,
    utc,
)

START = utc("2026-01-05T07:45")
GATHERED = "05 07:45:30"
NONE = Findings()
ALONE = Rota((OLA,), (), LONDON)


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def taken(watch: Watch, person: str, at: datetime) -> None:
    (alert,) = watch.book.alerts.values()
    book = acknowledge(watch.book, alert.id, person, at)
    assert isinstance(book, Book)
    watch.book = book


# --- told once -----------------------------------------------------------------------------------------------


def test_a_condition_is_told_once_however_long_it_stands() -> None:
    watch = Watch(rota=ALONE)
    for minute in range(600):
        watch.look(after(minute / 4), findings(condition()))
    assert watch.told("Ola") == [(GATHERED, "raised")]


def test_news_is_told_again_and_less_trouble_is_not() -> None:
    watch = Watch(rota=ALONE)
    watch.stand(START, after(5), findings(condition(news="failed:a not_done")))
    watch.stand(after(5), after(10), findings(condition(news="failed:a")))
    watch.stand(after(10), after(15), findings(condition(news="failed:a not_done")))
    assert watch.told("Ola") == [(GATHERED, "raised")]
    watch.stand(after(15), after(20), findings(condition(news="failed:b")))
    assert watch.told("Ola")[1:] == [("05 08:00:30", "news")]


def test_a_restart_or_a_replay_tells_nothing_that_was_told() -> None:
    watch = Watch()
    watch.stand(START, after(5), findings(condition()))
    again = decode(encode(watch.book))
    assert again == watch.book
    assert step(again, findings(condition()), after(6), RULES, ROTA).notes == ()


def test_two_looks_at_one_time_are_one() -> None:
    watch = Watch()
    for at in (START, after(0.5)):
        watch.look(at, findings(condition()))
        before = watch.book
        assert watch.look(at, findings(condition())).notes == ()
        assert watch.book == before
    assert len(watch.sent) == 1


def test_a_note_has_the_same_id_whenever_it_is_made_and_news_another() -> None:
    found = findings(condition())
    book = step(Book(), found, START, RULES, ALONE).book
    (early,), (late,) = (step(book, found, after(minutes), RULES, ALONE).notes for minutes in (1, 2))
    assert early.id == late.id
    told = step(book, found, after(1), RULES, ALONE).book
    gathering = step(told, findings(condition(news="failed:b")), after(2), RULES, ALONE).book
    (other,) = step(gathering, findings(condition(news="failed:b")), after(3), RULES, ALONE).notes
    assert other.id != early.id


def test_a_clock_set_back_tells_nothing_again_and_holds_nothing_up() -> None:
    watch = Watch()
    found = findings(condition())
    watch.stand(START, after(1), found)
    watch.look(after(-60), found)
    assert [note.person for _, note in watch.sent] == ["Ola"]
    watch.stand(after(-60), after(-44), found)  # 15 minutes after it was told, by what has passed since
    assert [note.person for _, note in watch.sent] == ["Ola", "Owen"]


def test_a_message_being_gathered_is_not_held_up_by_a_clock_set_back() -> None:
    watch = Watch(rota=ALONE)
    found = findings(condition())
    watch.look(START, found)
    watch.look(after(0.25), found)
    watch.stand(after(-60), after(-59), found)
    assert watch.told("Ola") == [("05 06:45:15", "raised")]


def test_what_was_slept_through_is_told_once_if_it_still_holds() -> None:
    watch = Watch(rota=ALONE)
    watch.look(START, findings(condition()))
    watch.look(after(300), findings(condition()))
    assert watch.told("Ola") == [("05 12:45:00", "raised")]


def test_what_was_slept_through_and_is_over_is_not_told() -> None:
    watch = Watch(rota=ALONE)
    watch.look(START, findings(condition()))
    watch.stand(after(300), after(400), findings(endings=["gate:dxa-2"]))
    assert watch.sent == []


# --- gathered ------------------------------------------------------------------------------------------------


def test_what_comes_up_together_is_one_message_that_starts_with_the_first() -> None:
    watch = Watch(rota=ALONE)
    conditions: list[Condition] = []
    for second in range(45):  # one more each second, for longer than is waited
        conditions.append(condition(f"gate:dxa-{second}"))
        watch.look(START + timedelta(seconds=second), findings(*conditions))
    watch.stand(after(1), after(5), findings(*conditions))
    assert watch.told("Ola") == [(GATHERED, "raised"), ("05 07:46:01", "raised")]
    assert [len(note.alerts) for _, note in watch.sent] == [31, 14]


def test_a_hundred_failing_devices_are_one_message_to_each_and_no_more() -> None:
    watch = Watch()
    found = findings(*(condition(f"gate:dxa-{n}", needs_by=utc("2026-01-05T08:30")) for n in range(100)))
    watch.stand(START, after(14), found)
    assert [(note.person, len(note.alerts)) for _, note in watch.sent] == [("Ola", 100)]
    watch.stand(after(14), after(240), found)
    assert sorted(note.person for _, note in watch.sent) == ["Ada", "Max", "Ola", "Owen", "Petra"]


def test_nothing_wrong_sends_nothing_and_needs_no_look() -> None:
    result = Watch().look(START, NONE)
    assert (result.notes, result.next_at) == ((), None)


# --- over ----------------------------------------------------------------------------------------------------


def test_who_was_told_as_urgent_gets_one_line_that_it_is_over() -> None:
    watch = Watch()
    watch.stand(START, after(5), findings(condition()))
    watch.stand(after(5), after(60), findings(endings=["gate:dxa-2"]))
    assert [(note.person, note.reason.value, note.text) for _, note in watch.sent[1:]] == [
        ("Ola", "resolved", "gate:dxa-2 is cleared.\n")
    ]
    assert watch.book.resolved[-1].state is AlertState.RESOLVED
    assert watch.book.resolved[-1].resolved_at == after(5)


def test_who_was_not_told_or_not_as_urgent_hears_nothing_when_it_is_over() -> None:
    for severity, minutes in ((Severity.URGENT, 0.25), (Severity.PROMPT, 5)):
        watch = Watch()
        watch.stand(START, after(minutes), findings(condition(severity=severity)))
        before = len(watch.sent)
        watch.stand(after(minutes), after(60), findings(endings=["gate:dxa-2"]))
        assert len(watch.sent) == before


def test_a_condition_that_ends_because_the_clinic_is_over_ends_without_a_word() -> None:
    watch = Watch()
    watch.stand(START, after(5), findings(condition()))
    watch.stand(after(5), after(60), NONE)
    assert len(watch.sent) == 1
    assert watch.book.alerts == {}


def test_what_cannot_be_looked_at_is_not_over() -> None:
    watch = Watch(rota=ALONE)
    watch.stand(START, after(5), findings(condition()))
    blind = replace(NONE, is_partial=True)
    for minute in range(5, 14):
        watch.look(after(minute), blind)
    watch.stand(after(14), after(20), findings(condition()))
    assert watch.told("Ola") == [(GATHERED, "raised")]
    watch.stand(after(20), after(25), findings(endings=["gate:dxa-2"]))
    assert [reason for _, reason in watch.told("Ola")] == ["raised", "resolved"]


def test_a_condition_that_flaps_is_neither_over_nor_new() -> None:
    watch = Watch(rota=ALONE)
    watch.stand(START, after(2), findings(condition()))
    for minute in range(2, 14):
        found = findings(endings=["gate:dxa-2"]) if minute % 3 else findings(condition())
        watch.look(after(minute), found)
    assert watch.told("Ola") == [(GATHERED, "raised")]
    assert len({alert.id for alert in watch.book.alerts.values()}) == 1


def test_a_condition_that_comes_back_after_it_was_said_to_be_over_is_told_again() -> None:
    watch = Watch(rota=ALONE)
    watch.stand(START, after(5), findings(condition()))
    watch.stand(after(5), after(10), findings(endings=["gate:dxa-2"]))
    watch.stand(after(10), after(15), findings(condition()))
    assert [reason for _, reason in watch.told("Ola")] == ["raised", "resolved", "raised"]


def test_an_ending_that_is_not_true_any_more_is_not_told() -> None:
    quiet = Rota((replace(OLA, quiet=("07:00", "09:00")),), (), LONDON)
    watch = Watch(rota=quiet)
    watch.stand(START, after(5), findings(condition()))
    watch.stand(after(5), after(20), findings(endings=["gate:dxa-2"]))
    watch.stand(after(20), after(200), NONE)  # held again, outside clinics
    assert [reason for _, reason in watch.told("Ola")] == ["raised"]


# --- quiet hours ---------------------------------------------------------------------------------------------

EVENING = utc("2026-01-05T21:00")


@pytest.mark.parametrize(
    ("severity", "told_at"),
    [(Severity.URGENT, "05 21:00:30"), (Severity.PROMPT, "06 07:00:30"), (Severity.DIGEST, "06 08:00:30")],
)
def test_only_what_is_urgent_goes_through_quiet_hours(severity: Severity, told_at: str) -> None:
    watch = Watch()
    found = findings(condition(severity=severity, audience=(Role.PHYSICIST,)))
    watch.stand(EVENING, EVENING + timedelta(hours=12), found)
    assert watch.told("Petra")[0][0] == told_at


def test_what_waited_through_quiet_hours_comes_as_one_message() -> None:
    watch = Watch()
    found: list[Condition] = []
    for hour in range(5):
        found.append(condition(f"qc:{hour}", severity=Severity.PROMPT, audience=(Role.PHYSICIST,)))
        watch.stand(EVENING + timedelta(hours=hour), EVENING + timedelta(hours=hour + 1), findings(*found))
    watch.stand(EVENING + timedelta(hours=5), EVENING + timedelta(hours=12), findings(*found))
    assert [(at.isoformat(), len(note.alerts)) for at, note in watch.sent] == [("2026-01-06T07:00:30+00:00", 5)]


def test_what_becomes_urgent_in_quiet_hours_is_told_then() -> None:
    watch = Watch()
    waits = condition(severity=Severity.PROMPT, audience=(Role.PHYSICIST,))
    watch.stand(EVENING, utc("2026-01-06T06:15"), findings(waits))
    assert watch.sent == []
    clinic = replace(waits, severity=Severity.URGENT, needs_by=utc("2026-01-06T07:00"))
    watch.stand(utc("2026-01-06T06:15"), utc("2026-01-06T06:20"), findings(clinic))
    assert watch.told("Petra") == [("06 06:15:30", "raised")]


def test_what_is_over_before_quiet_hours_end_is_not_told() -> None:
    watch = Watch()
    watch.stand(
        EVENING, utc("2026-01-06T02:00"), findings(condition(severity=Severity.PROMPT, audience=(Role.PHYSICIST,)))
    )
    watch.stand(utc("2026-01-06T02:00"), utc("2026-01-06T12:00"), NONE)
    assert watch.sent == []


def test_the_word_that_it_is_over_waits_for_the_end_of_quiet_hours() -> None:
    watch = Watch()
    watch.stand(EVENING, EVENING + timedelta(minutes=5), findings(condition(audience=(Role.PHYSICIST,))))
    watch.stand(EVENING + timedelta(minutes=5), utc("2026-01-06T12:00"), findings(endings=["gate:dxa-2"]))
    assert watch.told("Petra") == [("05 21:00:30", "raised"), ("06 07:00:30", "resolved")]


# --- the digest ----------------------------------------------------------------------------------------------


def test_the_digest_is_one_message_on_the_next_working_morning() -> None:
    watch = Watch()
    saturday = utc("2026-01-03T10:00")
    found = findings(*(condition(f"due:{n}", severity=Severity.DIGEST, audience=(Role.PHYSICIST,)) for n in range(4)))
    watch.stand(saturday, utc("2026-01-09T12:00"), found)
    assert watch.told("Petra") == [("05 08:00:30", "digest")]


@pytest.mark.parametrize(("day", "told_at"), [("2026-03-27", "30 07:00:30"), ("2026-10-23", "26 08:00:30")])
def test_the_digest_is_by_the_clock_on_the_wall_when_the_clocks_change(day: str, told_at: str) -> None:
    watch = Watch()
    found = findings(condition(severity=Severity.DIGEST, audience=(Role.PHYSICIST,)))
    friday = utc(f"{day}T12:00")
    watch.stand(friday, friday + timedelta(days=4), found)
    assert watch.told("Petra") == [(told_at, "digest")]


# --- escalation ----------------------------------------------------------------------------------------------


def test_what_nobody_takes_goes_on_by_the_timetable() -> None:
    watch = Watch()
    watch.stand(START, after(120), findings(condition()))
    assert watch.told("Ola") == [(GATHERED, "raised")]
    assert watch.told("Owen") == [("05 08:01:00", "escalated")]
    assert watch.told("Petra") == watch.told("Max") == watch.told("Ada") == [("05 08:16:00", "escalated")]


@pytest.mark.parametrize(
    ("needs_by", "told_at"),
    [("07:55", "07:55:30"), ("07:46", "07:51:00"), ("08:30", "08:01:00"), ("07:30", "08:01:00")],
)
def test_a_clinic_that_begins_sooner_brings_the_first_escalation_forward(needs_by: str, told_at: str) -> None:
    watch = Watch()
    watch.stand(START, after(60), findings(condition(needs_by=utc(f"2026-01-05T{needs_by}"))))
    assert watch.told("Owen") == [(f"05 {told_at}", "escalated")]
    assert watch.told("Petra") == [("05 08:16:00", "escalated")]  # the later tiers stay where they were


def test_what_is_prompt_goes_on_after_hours_and_the_digest_never() -> None:
    for severity, told in ((Severity.PROMPT, [("05 11:46:00", "escalated")]), (Severity.DIGEST, [])):
        watch = Watch()
        watch.stand(START, utc("2026-01-05T23:00"), findings(condition(severity=severity)))
        assert watch.told("Owen") == told


def test_what_becomes_urgent_late_is_escalated_from_then() -> None:
    watch = Watch()
    watch.stand(START, after(120), findings(condition(severity=Severity.PROMPT)))
    watch.stand(after(120), after(180), findings(condition()))
    assert watch.told("Owen") == [("05 10:00:30", "escalated")]


def test_what_is_taken_is_not_escalated_until_there_is_news() -> None:
    watch = Watch()
    watch.stand(START, after(5), findings(condition()))
    taken(watch, "Ola", after(5))
    watch.stand(after(5), after(120), findings(condition()))
    assert len(watch.sent) == 1
    watch.stand(after(120), after(160), findings(condition(news="failed:again")))
    assert watch.told("Ola")[1:] == [("05 09:45:30", "news")]
    assert watch.told("Owen") == [("05 10:01:00", "escalated")]


def test_news_that_was_there_before_does_not_raise_again_what_somebody_took() -> None:
    watch = Watch(rota=ALONE)
    watch.stand(START, after(5), findings(condition(news="failed:a not_done")))
    taken(watch, "Ola", after(5))
    watch.stand(after(5), after(10), findings(condition(news="failed:a")))
    watch.stand(after(10), after(15), findings(condition(news="failed:a not_done")))
    assert [alert.state for alert in watch.book.alerts.values()] == [AlertState.ACKNOWLEDGED]


def test_who_took_it_is_told_to_the_others_with_their_next_message_alone() -> None:
    rota = Rota((OLA, replace(OWEN, tier=1)), (), LONDON)
    watch = Watch(rota=rota)
    watch.stand(START, after(5), findings(condition()))
    taken(watch, "Ola", after(5))
    watch.stand(after(5), after(60), findings(condition()))
    assert len(watch.sent) == 2
    watch.stand(after(60), after(65), findings(condition(), condition("gate:dxa-3")))
    texts = {note.person: note.text for _, note in watch.sent[2:]}
    assert "gate:dxa-2 is wrong: Ola has taken it at 07:50 today." in texts["Owen"]
    assert "taken" not in texts["Ola"]
    watch.stand(after(65), after(70), findings(condition(), condition("gate:dxa-3"), condition("gate:dxa-4")))
    assert "taken" not in watch.sent[-1][1].text


def test_somebody_who_comes_on_duty_is_told_what_nobody_has_taken() -> None:
    rules = replace(RULES, urgent=Timetable())
    late = Person("Late", (Role.OPERATOR,), shifts=(Shift((0,), "09:00", "17:00"),))
    watch = Watch(rules, Rota((OLA, late), (), LONDON))
    watch.stand(START, after(180), findings(condition()))
    assert watch.told("Late") == [("05 09:00:30", "raised")]


def test_an_alert_that_reaches_nobody_is_marked_for_the_console() -> None:
    watch = Watch(rota=Rota((PETRA,), (), LONDON))
    watch.stand(START, after(5), findings(condition()))
    assert [alert.reaches_nobody for alert in watch.book.alerts.values()] == [True]
    with_fallback = Watch(rota=Rota((PETRA, ADA), ("Ada",), LONDON))
    with_fallback.stand(START, after(5), findings(condition()))
    assert [alert.reaches_nobody for alert in with_fallback.book.alerts.values()] == [False]
    assert with_fallback.told("Ada") == [(GATHERED, "raised")]


# --- taking an alert -----------------------------------------------------------------------------------------


def test_what_is_taken_over_or_unknown_cannot_be_taken_and_says_why() -> None:
    watch = Watch()
    watch.stand(START, after(1), findings(condition()))
    (alert,) = watch.book.alerts.values()
    taken(watch, "Ola", after(2))
    for person, who in (("Ola", "You have"), ("Owen", "Ola has")):
        refused = acknowledge(watch.book, alert.id, person, after(3))
        assert refused == NotAcknowledged(f"{who} taken it already.", "Ola", after(2))
    watch.stand(after(3), after(10), NONE)
    over = acknowledge(watch.book, alert.id, "Owen", after(10))
    assert over == NotAcknowledged("It is over: there is nothing left to take.", at=after(3))
    assert isinstance(acknowledge(watch.book, "no-such", "Owen", after(10)), NotAcknowledged)


# --- from devices to messages --------------------------------------------------------------------------------


def test_the_message_of_0745() -> None:
    watch = Watch()
    failed = failed_at(utc("2026-01-05T07:10"))
    assert watch.see(utc("2026-01-05T07:44"), failed) == []
    (note,) = watch.see(START, failed)
    assert (note.person, note.urgent) == ("Ola", True)
    assert note.subject == "Scanner 2 is not cleared, clinic in 45 minutes"
    assert note.text == (
        "Scanner 2 is not cleared: this morning's phantom failed (+1.9 %). Clinic starts 08:30.\n"
        "Since 07:10 today.\n"
        "What to do: Reposition the phantom and scan it once more. If it fails again, ring the physicist.\n"
        "Whom to ring: Medical physics, 01225 000 000\n"
    )
    cleared = scanner(opened(utc("2026-01-05T08:00")), phantom())
    assert watch.see(utc("2026-01-05T08:00"), cleared) == []
    (over,) = watch.see(utc("2026-01-05T08:03"), cleared)
    assert (over.person, over.subject) == ("Ola", "Scanner 2 is cleared")


def test_a_failure_after_0745_is_told_at_once() -> None:
    watch = Watch()
    (note,) = watch.see(utc("2026-01-05T09:00"), failed_at(utc("2026-01-05T08:59")))
    assert "Clinic started 08:30." in note.text


def test_a_digest_on_no_day_of_the_week_is_refused() -> None:
    with pytest.raises(ValueError, match="names no day"):
        digest_at(START, replace(RULES, digest_days=()), LONDON)
