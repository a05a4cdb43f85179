"""What is found wrong beside held gates: bypasses, silence, what waits, Bonewatch itself."""

from datetime import date, datetime, timedelta

import pytest
from msgspec.structs import replace

from alerts.condition import Condition, Kind, Severity
from alerts.conditions import find
from alerts.situation import DeviceSituation, LineView, Situation, Trouble, UptimeStanding, clinics_ahead
from streams.due import DueItem, QcKind
from streams.equipment_log import OpenIncident
from streams.messages import (
    BypassDetected,
    BypassEvidence,
    DutyStanding,
    Reason,
    ReasonCode,
    Verdict,
)
from streams.policy import ClinicCalendar, DutyKind, Enforcement
from streams.readings import DeviceView, ReviewStatus, WithEngineer
from streams.roles import Role
from tests.alerts_rig import (
    CALENDAR,
    LONDON,
    RULES,
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


def only(conditions: tuple[Condition, ...]) -> Condition:
    (one,) = conditions
    return one


# --- bypasses ------------------------------------------------------------------------------------------------


def bypassed(count: int, *, enforcement: Enforcement = Enforcement.WORKLIST, open_incidents: int = 9) -> DeviceView:
    told = tuple(
        BypassDetected(
            f"mpps-{n}", BypassEvidence.SCAN_STARTED, AT_0710, f"ACC{n}", "all", (ReasonCode.QC_FAILED,), enforcement
        )
        for n in range(count)
    )
    incidents = tuple(OpenIncident(f"i{n}", "bypass", f"ACC{n}", "", AT_0710) for n in range(open_incidents))
    return scanner(opened(AT_0710), bypasses=told, incidents=incidents)


def test_a_patient_scanned_past_a_held_gate_is_told_at_once_and_not_who() -> None:
    one = only(found(utc("2026-01-03T03:00"), bypassed(1)))  # a Saturday night
    assert (one.severity, one.audience) == (Severity.URGENT, (Role.PHYSICIST, Role.OPERATOR))
    assert one.headline == "A patient was scanned on Scanner 2 while it was held"
    assert "ACC" not in repr(one)


def test_each_further_patient_is_news() -> None:
    first, second = only(found(AT_0745, bypassed(1))), only(found(AT_0745, bypassed(2)))
    assert first.key == second.key
    assert second.parts - first.parts == {"scan:mpps-1"}
    assert second.headline.startswith("2 patients were scanned")


def test_a_bypass_in_shadow_or_whose_incident_is_closed_is_not_told() -> None:
    assert found(AT_0745, bypassed(1, enforcement=Enforcement.SHADOW)) == ()
    assert found(AT_0745, bypassed(1, open_incidents=0)) == ()


# --- silence -------------------------------------------------------------------------------------------------


def with_line(
    at: datetime, line: LineView | None, heard_at: datetime | None = None, *, kind: str = "scale"
) -> Situation:
    view = scanner(opened(AT_0710), device_id=f"{kind}-1", name="", kind=kind)
    clinics = clinics_ahead(CALENDAR, at, RULES.assumed_clinic)
    return Situation(at, LONDON, (DeviceSituation(view, clinics, line, heard_at),))


@pytest.mark.parametrize(
    ("at", "state", "since", "is_told"),
    [
        ("2026-01-05T07:45", "silent", "2026-01-05T07:35", True),
        ("2026-01-05T07:45", "silent", "2026-01-05T07:36", False),  # not for long yet
        ("2026-01-05T07:44", "silent", "2026-01-05T05:00", False),  # no clinic near
        ("2026-01-05T07:45", "away", None, True),
        ("2026-01-05T07:45", "heard", "2026-01-05T05:00", False),
        ("2026-01-05T07:45", "open", "2026-01-05T05:00", False),
    ],
)
def test_a_scale_is_silent_while_it_is_silent(at: str, state: str, since: str | None, is_told: object) -> None:
    line = LineView(state, "is it switched on?", utc(since) if since else None)
    told = find(with_line(utc(at), line), RULES).conditions
    assert [one.kind for one in told] == ([Kind.DEVICE_SILENT] if is_told else [])


@pytest.mark.parametrize(
    ("at", "heard", "is_told"),
    [
        ("2026-01-05T10:30", "2026-01-02T15:00", True),  # two hours of this clinic, nothing yet
        ("2026-01-05T10:29", "2026-01-02T15:00", False),
        ("2026-01-05T12:59", "2026-01-05T11:00", False),
        ("2026-01-05T13:00", "2026-01-05T11:00", True),
        ("2026-01-05T17:00", "2026-01-05T11:00", False),  # no clinic
        ("2026-01-05T13:00", None, False),  # nobody knows
    ],
)
def test_a_scanner_is_silent_when_nothing_came_for_two_hours_of_clinic(
    at: str, heard: str | None, is_told: object
) -> None:
    told = find(with_line(utc(at), None, utc(heard) if heard else None, kind="scanner"), RULES).conditions
    assert [one.kind for one in told] == ([Kind.DEVICE_SILENT] if is_told else [])


def test_a_clock_that_is_not_believed_is_told() -> None:
    reason = Reason(ReasonCode.CLOCK_SUSPECT, "phantom SPINE-1 dated in the future", "Set the scanner's clock.")
    told = found(utc("2026-01-03T12:00"), scanner(held(reason, since=MONDAY)))
    assert [(one.key, one.severity) for one in told] == [("clock:dxa-2", Severity.PROMPT)]


# --- what waits ----------------------------------------------------------------------------------------------


def test_a_review_is_news_when_it_opens_and_when_it_has_waited() -> None:
    review = ReviewStatus("R1", "bath/dxa-2", "SPINE-1", ("drift",), "t", MONDAY, None, None)
    young = only(found(MONDAY + timedelta(days=2), scanner(opened(MONDAY), reviews=(review,))))
    old = only(found(MONDAY + timedelta(days=3), scanner(opened(MONDAY), reviews=(review,))))
    assert (young.kind, old.kind, young.key) == (Kind.DRIFT, Kind.REVIEW_WAITING, old.key)
    assert old.parts - young.parts == {"waited"}
    assert old.headline == "Scanner 2: a review of SPINE-1 has waited 3 days for a decision"
    decided = replace(review, verdict="none", decided_at=MONDAY)
    assert found(MONDAY, scanner(opened(MONDAY), reviews=(decided,))) == ()


def test_a_device_with_an_engineer_for_long_is_told_and_its_return_before_a_clinic() -> None:
    service = WithEngineer("E. Engineer", "Invented Service", MONDAY)
    away = scanner(opened(MONDAY), stage="with_engineer", service=service)
    assert found(MONDAY + timedelta(hours=47), away) == ()
    told = only(found(MONDAY + timedelta(hours=48), away))
    assert told.headline == "Scanner 2 has been with the engineer (Invented Service) for 2 days"
    back = replace(away, stage="handed_back")
    assert found(AT_0745 - timedelta(minutes=1), back) == ()
    assert only(found(AT_0745, back)).kind is Kind.RETURN_UNDECIDED


@pytest.mark.parametrize(
    ("kind", "standing", "audience"),
    [
        (DutyKind.MAINTENANCE, DutyStanding.DUE, Role.PHYSICIST),
        (DutyKind.MAINTENANCE, DutyStanding.DUE_SOON, None),
        (DutyKind.DAILY_ARCHIVE, DutyStanding.DUE, None),
        (DutyKind.DAILY_ARCHIVE, DutyStanding.OVERDUE, Role.OPERATOR),
        (DutyKind.RECORD_ARCHIVE, DutyStanding.OVERDUE, Role.ADMIN),
    ],
)
def test_work_that_is_due_is_told_to_who_does_it(kind: DutyKind, standing: DutyStanding, audience: Role | None) -> None:
    item = DueItem(kind, "Service", standing, date(2026, 1, 5), None, "service")
    told = found(AT_0745, scanner(opened(MONDAY), due=(item,)))
    assert [one.audience for one in told] == ([(audience,)] if audience else [])


def test_qc_among_the_due_work_is_not_told_twice() -> None:
    item = DueItem(QcKind.INDEPENDENT_QC, "Phantom", DutyStanding.OVERDUE, date(2026, 1, 5), None)
    assert found(AT_0745, scanner(opened(MONDAY), due=(item,))) == ()


def test_an_incident_open_for_a_week_is_told_without_what_was_written() -> None:
    incident = OpenIncident("i1", "other", "Ann Example fell", "p", MONDAY)
    told = only(found(MONDAY + timedelta(days=7), scanner(opened(MONDAY), incidents=(incident,))))
    assert told.headline == "Scanner 2: an incident has been open for 7 days"
    assert "Ann" not in repr(told)


@pytest.mark.parametrize(("hours", "reached", "is_told"), [(40, 93.9, True), (39, 50.0, False), (400, 95.0, False)])
def test_uptime_below_contract_is_told_once_enough_hours_speak_of_it(
    hours: float, reached: float, is_told: object
) -> None:
    standing = UptimeStanding("dxa-2", "Scanner 2", date(2026, 1, 1), hours, reached, 95.0)
    told = find(Situation(AT_0745, LONDON, uptime=(standing,)), RULES).conditions
    assert [one.headline for one in told] == (
        ["Scanner 2: 93.9 % up since 1 Jan 2026, below the contract's 95 %"] if is_told else []
    )


# --- Bonewatch itself ----------------------------------------------------------------------------------------


def test_a_site_that_cannot_record_is_urgent_around_a_clinic() -> None:
    trouble = Trouble("disk", MONDAY, "Bonewatch cannot record: the disk is full")
    for at, severity in ((AT_0745, Severity.URGENT), (MONDAY, Severity.PROMPT)):
        stands = replace(situation(at, scanner(opened(MONDAY))), not_ready=trouble)
        assert [(one.kind, one.severity) for one in find(stands, RULES).conditions] == [(Kind.NOT_READY, severity)]


UNKEPT = "Nothing keeps the clock of Bonewatch's computer right"


@pytest.mark.parametrize(("since", "told"), [(None, []), (MONDAY, [UNKEPT])])
def test_a_clock_that_nothing_keeps_is_told_in_the_digest(since: datetime | None, told: list[str]) -> None:
    conditions = find(Situation(AT_0745, LONDON, clock_unkept_since=since), RULES).conditions
    assert [one.headline for one in conditions] == told
    assert {(one.severity, one.since) for one in conditions} <= {(Severity.DIGEST, since)}


def test_nothing_wrong_is_nothing_found() -> None:
    assert found(AT_0745, scanner(opened(MONDAY), phantom(reading("s", MONDAY, Verdict.PASS, 0.1)))) == ()


def test_keys_are_of_one_condition_each() -> None:
    views = [failed_at(AT_0710, device_id=f"dxa-{n}") for n in range(5)]
    keys = [one.key for one in found(AT_0745, *views)]
    assert len(keys) == len(set(keys)) == len(views)


def test_a_channel_that_delivers_nothing_is_told_to_administrators() -> None:
    trouble = Trouble("mail", MONDAY, "Messages by mail do not get out: 3 waiting", "IT looks at the channel.")
    (one,) = find(Situation(AT_0745, LONDON, undelivered=(trouble,)), RULES).conditions
    assert (one.key, one.audience, one.severity) == ("undelivered:mail", (Role.ADMIN,), Severity.PROMPT)
    assert one.advice == "IT looks at the channel."


def test_what_works_again_is_said() -> None:
    stands = situation(AT_0745, scanner(opened(MONDAY)))
    endings = find(stands, RULES).endings
    assert endings["not_ready"] == "Bonewatch records again."
    assert endings["parked:dxa-2"] == "Bonewatch watches Scanner 2 again."
    trouble = Trouble("disk", MONDAY, "Bonewatch cannot record")
    blind = find(replace(stands, not_ready=trouble), RULES)
    assert blind.is_partial
    assert "not_ready" not in blind.endings
