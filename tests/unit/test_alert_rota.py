"""Who is on duty and who wants quiet: over midnight, through the changes of the clocks, with nobody there."""

from datetime import date, datetime

import pytest
from msgspec.structs import replace

from alerts.book import Alert
from alerts.condition import Severity
from alerts.recipients import Look, reaches_nobody, recipients
from alerts.rota import Person, Rota, Shift, is_on_duty, next_change, quiet_until
from streams.roles import Role
from tests.alerts_rig import ADA, LONDON, MAX, OLA, OWEN, PETRA, ROTA, RULES, condition, utc

DAYS = Shift((0, 1, 2, 3, 4), "08:00", "18:00")
NIGHTS = Shift((4,), "20:00", "08:00")
"""From Friday evening into Saturday morning."""


def quiet(starts: str, ends: str) -> Person:
    return Person("Q", (Role.OPERATOR,), quiet=(starts, ends))


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        (("20:00", "07:00"), "2026-01-05T19:59", None),
        (("20:00", "07:00"), "2026-01-05T20:00", "2026-01-06T07:00"),
        (("20:00", "07:00"), "2026-01-06T06:59", "2026-01-06T07:00"),
        (("20:00", "07:00"), "2026-01-06T07:00", None),
        (("12:00", "13:00"), "2026-01-05T12:30", "2026-01-05T13:00"),
        (("07:00", "07:00"), "2026-01-05T07:00", None),  # no time at all, not all day
        # spring: the night has an hour less; 01:30 is skipped and ends at 02:30 summer time
        (("20:00", "07:00"), "2026-03-29T05:59", "2026-03-29T06:00"),
        (("20:00", "07:00"), "2026-03-29T06:00", None),
        # autumn: 01:30 comes twice; quiet ends at the first and does not begin again
        (("20:00", "01:30"), "2026-10-25T00:29", "2026-10-25T00:30"),
        (("20:00", "01:30"), "2026-10-25T00:30", None),
        (("20:00", "01:30"), "2026-10-25T01:15", None),  # 01:15 for the second time
    ],
)
def test_quiet_hours_end_once(hours: tuple[str, str], at: str, until: str | None) -> None:
    assert quiet_until(quiet(*hours), utc(at), LONDON) == (utc(until) if until else None)


@pytest.mark.parametrize(
    ("shift", "at", "is_there"),
    [
        (DAYS, "2026-01-05T08:00", True),
        (DAYS, "2026-01-05T18:00", False),
        (DAYS, "2026-01-03T12:00", False),  # a Saturday
        (DAYS, "2026-06-01T07:00", True),  # 08:00 in summer time
        (NIGHTS, "2026-01-09T20:00", True),
        (NIGHTS, "2026-01-10T07:59", True),
        (NIGHTS, "2026-01-10T08:00", False),
        (NIGHTS, "2026-01-09T07:00", False),
    ],
)
def test_a_shift_is_by_the_clock_on_the_wall_and_may_run_over_midnight(shift: Shift, at: str, is_there: object) -> None:
    assert is_on_duty(replace(OLA, shifts=(shift,)), utc(at), LONDON) is is_there


def test_who_is_away_is_not_on_duty_for_whole_days() -> None:
    away = replace(OLA, away=((date(2026, 1, 5), date(2026, 1, 6)),))
    around = [is_on_duty(away, utc(at), LONDON) for at in ("2026-01-04T23:59", "2026-01-05T00:00", "2026-01-06T23:59")]
    assert around == [True, False, False]
    assert next_change(away, utc("2026-01-05T12:00"), LONDON) == utc("2026-01-07T00:00")


def test_somebody_without_hours_never_changes() -> None:
    assert next_change(OLA, utc("2026-01-05T12:00"), LONDON) is None


# --- who is told ---------------------------------------------------------------------------------------------


def told(alert: Alert, at: datetime, *people: Person, fallback: tuple[str, ...] = ("Ada",)) -> list[str]:
    return [one.name for one in recipients(alert, Look(at, RULES, Rota(people, fallback, LONDON)))]


def raised(severity: Severity = Severity.URGENT, tier: int = 1, *audience: Role) -> Alert:
    at = utc("2026-01-05T07:45")
    one = condition(severity=severity, audience=audience or (Role.OPERATOR,))
    return Alert("a", one, raised_at=at, news_at=at, tier=tier)


NIGHT = utc("2026-01-06T02:00")
NOON = utc("2026-01-05T12:00")
ON_DAYS = replace(OLA, shifts=(DAYS,))


def test_the_first_tier_is_told_first() -> None:
    assert told(raised(), NOON, *ROTA.people) == ["Ola"]
    assert told(raised(tier=2), NOON, *ROTA.people) == ["Ola", "Owen"]


def test_the_last_tier_reaches_other_roles_and_the_fallback() -> None:
    assert told(raised(tier=3), NOON, *ROTA.people) == ["Ola", "Owen", "Petra", "Ada", "Max"]


def test_where_a_role_has_no_first_tier_its_lowest_is_told() -> None:
    assert told(raised(), NOON, OWEN, ADA) == ["Owen"]


def test_with_nobody_on_duty_what_is_urgent_reaches_everybody_of_the_role() -> None:
    assert told(raised(), NIGHT, ON_DAYS, OWEN) == ["Ola", "Owen"]
    assert told(raised(), NOON, ON_DAYS, OWEN) == ["Ola"]


def test_what_is_not_urgent_waits_for_somebody_who_comes_on_duty_soon() -> None:
    saturday = utc("2026-01-03T12:00")
    assert told(raised(Severity.PROMPT), saturday, ON_DAYS, OWEN) == []
    long_away = replace(ON_DAYS, away=((date(2026, 1, 1), date(2026, 1, 31)),))
    assert told(raised(Severity.PROMPT), saturday, long_away, OWEN) == ["Ola", "Owen"]


def test_a_role_that_nobody_has_falls_to_the_fallback() -> None:
    assert told(raised(), NOON, PETRA, ADA) == ["Ada"]
    assert told(raised(Severity.URGENT, 1, Role.OPERATOR, Role.PHYSICIST), NOON, PETRA, ADA) == ["Petra", "Ada"]


def test_an_alert_that_reaches_nobody_is_known() -> None:
    assert told(raised(), NOON, PETRA, MAX, fallback=()) == []
    assert reaches_nobody(raised(), Rota((PETRA, MAX), (), LONDON))
    assert not reaches_nobody(raised(), Rota((PETRA, MAX), ("Max",), LONDON))


def test_a_change_of_duty_or_quiet_lies_ahead() -> None:
    person = replace(PETRA, shifts=(DAYS,))
    at = utc("2026-01-05T06:00")
    seen: list[datetime] = []
    while len(seen) < 4:
        change = next_change(person, at, LONDON)
        assert change is not None
        assert change > at
        seen.append(change)
        at = change
    assert seen == [
        utc("2026-01-05T07:00"),
        utc("2026-01-05T08:00"),
        utc("2026-01-05T18:00"),
        utc("2026-01-05T20:00"),
    ]
