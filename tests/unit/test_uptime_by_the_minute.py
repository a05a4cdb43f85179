"""Uptime against a count of minutes, one by one, that knows nothing of intervals."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.messages import ClinicCalendarChanged, DeviceRetired, Message, StateChanged, WatchInterrupted
from streams.policy import Clinic, ClinicCalendar
from streams.uptime.account import Account, account_of
from streams.uptime.clinic_hours import period_of
from streams.uptime.history import Entry, history_of
from tests.downtime import FAULT, OPERATOR, QC_MISSING, TWO_MODES, WITH_ENGINEER, Told, gate

LONDON: Final = ZoneInfo("Europe/London")
MINUTE: Final = timedelta(minutes=1)
WORST_FIRST: Final = ("fault_stops_scanning", "with_engineer", "qc_missing")
MODES: Final = ("spine-hip", "forearm")
HOURS: Final = ("00:15", "00:45", "03:00", "08:30", "09:00", "12:20", "16:30", "23:00")
"""None of them is skipped or repeated when the clocks change."""


class Change(NamedTuple):
    """What happens at a minute: codes of each mode, or something else."""

    minute: int
    codes: tuple[frozenset[str], frozenset[str]]
    calendar: ClinicCalendar | None
    retires: bool


class Case(NamedTuple):
    begins: datetime
    registered: int
    calendar: ClinicCalendar
    changes: tuple[Change, ...]
    gaps: tuple[tuple[int, int], ...]
    first: date
    last: date
    now: datetime


@st.composite
def calendars(draw: st.DrawFn) -> ClinicCalendar:
    pairs = st.tuples(st.sampled_from(HOURS), st.sampled_from(HOURS)).filter(lambda pair: pair[0] < pair[1])
    clinics = draw(st.lists(st.tuples(st.sets(st.integers(0, 6), min_size=1), pairs), max_size=3))
    return ClinicCalendar(
        "Europe/London", tuple(Clinic(tuple(sorted(days)), starts, ends, 20) for days, (starts, ends) in clinics)
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    day = draw(st.sampled_from([date(2026, 3, 27), date(2026, 10, 23), date(2026, 6, 1)]))
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    minutes = st.integers(0, 4 * 1440)
    codes = st.frozensets(st.sampled_from(WORST_FIRST), max_size=3)
    changes = st.builds(
        Change,
        minutes,
        st.tuples(codes, codes),
        st.one_of(st.none(), st.none(), calendars()),
        st.sampled_from([False] * 9 + [True]),
    )
    registered = draw(st.integers(0, 1440))
    drawn = sorted(draw(st.lists(changes, max_size=8)), key=lambda change: change.minute)
    gaps = st.tuples(minutes, st.integers(1, 900)).map(lambda gap: (gap[0], gap[0] + gap[1]))
    first = day + timedelta(days=draw(st.integers(-1, 2)))
    return Case(
        begins,
        registered,
        draw(calendars()),
        tuple(change for change in drawn if change.minute >= registered),
        tuple(draw(st.lists(gaps, max_size=3))),
        first,
        first + timedelta(days=draw(st.integers(0, 3))),
        begins + MINUTE * draw(st.integers(0, 6 * 1440)),
    )


def told(case: Case) -> Account:
    at = case.begins + MINUTE * case.registered
    entries = Told(TWO_MODES, case.calendar, registered=at).entries
    codes = {"fault_stops_scanning": FAULT, "with_engineer": WITH_ENGINEER, "qc_missing": QC_MISSING}
    for change in case.changes:
        at = case.begins + MINUTE * change.minute
        messages: list[Message] = [
            gate(mode, at, *(codes[code] for code in sorted(held)))
            for mode, held in zip(MODES, change.codes, strict=True)
        ]
        if change.calendar is not None:
            messages.insert(0, ClinicCalendarChanged(change.calendar))
        if change.retires:
            messages = [
                DeviceRetired("as the test says", OPERATOR),
                StateChanged(stage="retired", previous=""),
                *messages,
            ]
        entries.append(Entry(at, tuple(messages)))
    for since, until in case.gaps:
        entries.append(
            Entry(entries[-1].at, (WatchInterrupted(case.begins + MINUTE * since, case.begins + MINUTE * until),))
        )
    period = period_of(case.first, case.last, "Europe/London")
    return account_of(history_of("bath/dxa-1", entries), period, case.now)


def counted(case: Case) -> Counter[str]:
    """Count half minutes of two modes: each minute of clinic time by what it was."""
    count = Counter[str]()
    for minute in _minutes(case):
        at = int((minute - case.begins) / MINUTE)
        past = [change for change in case.changes if change.minute <= at]
        calendar = next((c.calendar for c in reversed(past) if c.calendar is not None), case.calendar)
        if not _is_clinic(calendar, minute):
            continue
        if at < case.registered:
            count["not_registered"] += 2
        elif any(change.retires for change in past):
            count["retired"] += 2
        elif any(since <= at < until for since, until in case.gaps):
            count["not_watched"] += 2
        else:
            for held in past[-1].codes if past else (frozenset(), frozenset()):
                count[next((code for code in WORST_FIRST if code in held), "up")] += 1
    return count


def _minutes(case: Case) -> Iterator[datetime]:
    minute = case.begins - timedelta(days=2)
    while minute < min(case.now, case.begins + timedelta(days=8)):
        if case.first <= minute.astimezone(LONDON).date() <= case.last:
            yield minute
        minute += MINUTE


def _is_clinic(calendar: ClinicCalendar, minute: datetime) -> bool:
    here = minute.astimezone(LONDON)
    return any(
        here.weekday() in clinic.weekdays and clinic.starts <= f"{here:%H:%M}" < clinic.ends
        for clinic in calendar.clinics
    )


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_reckoning_agrees_with_a_count_of_minutes(case: Case) -> None:
    account = told(case)
    reckoned = {why: round(seconds / 30) for why, seconds in account.uncounted_s.items()}
    reckoned |= {code.value: round((lost.unplanned_s + lost.planned_s) / 30) for code, lost in account.lost.items()}
    reckoned["up"] = round(account.up_s / 30)
    assert +Counter(reckoned) == counted(case)
    lost_s = sum(count for name, count in reckoned.items() if name in WORST_FIRST) * 30
    assert account.covered_s == account.up_s + lost_s
    assert abs(account.slots * 20 * 60 - lost_s) < 1e-6
