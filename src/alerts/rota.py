"""Who is told: people, their roles and tiers, when they are on duty and when they want quiet.

Times of day become instants day by day, so a night in which the clocks change is an hour longer or shorter and nobody's
quiet begins twice.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from streams.fold.schedule import end_of_day, local_day, start_of_day, zone
from streams.roles import Role

_AROUND: Final = range(-1, 9)
"""Days from today in which the next change is looked for: every shift comes round within a week."""


class Shift(msgspec.Struct, frozen=True):
    """Regular duty: `weekdays` 0 (Monday) to 6, times ``HH:MM`` in the site's zone.

    One that ends no later than it starts ends on the next day.
    """

    weekdays: tuple[int, ...]
    starts: str
    ends: str


class Person(msgspec.Struct, frozen=True):
    """Somebody, or a shared mailbox, that alerts are sent to.

    Attributes
    ----------
    name
        Unique at the site.
    channels
        Names of the configured channels that reach them.
    tier
        1 is told first, 2 after the first escalation, and so on.
    quiet
        From and to, ``HH:MM`` in the site's zone: what is not urgent waits. None: never quiet.
    shifts
        When on duty; none given: always.
    away
        Days off duty, first and last.
    """

    name: str
    roles: tuple[Role, ...]
    channels: tuple[str, ...] = ()
    tier: int = 1
    quiet: tuple[str, str] | None = None
    shifts: tuple[Shift, ...] = ()
    away: tuple[tuple[date, date], ...] = ()


class Rota(msgspec.Struct, frozen=True):
    """The people of a site, and those who are told where nobody else is (`fallback`, by name)."""

    people: tuple[Person, ...] = ()
    fallback: tuple[str, ...] = ()
    time_zone: str = "Europe/London"

    def person(self, name: str) -> Person | None:
        """Return somebody by name, or None."""
        return next((person for person in self.people if person.name == name), None)


def instant(day: date, clock: str, time_zone: str) -> datetime:
    """Return ``HH:MM`` of a day at the site, in UTC; what comes twice in autumn is the first of the two."""
    return datetime.combine(day, time.fromisoformat(clock), zone(time_zone)).astimezone(UTC)


def is_on_duty(person: Person, at: datetime, time_zone: str) -> bool:
    """Whether somebody is on duty at an instant."""
    today = local_day(at, time_zone)
    if any(first <= today <= last for first, last in person.away):
        return False
    return not person.shifts or any(start <= at < end for start, end in _shifts(person, today, time_zone, range(-1, 1)))


def comes_on_duty(person: Person, at: datetime, time_zone: str, within: timedelta) -> bool:
    """Whether somebody who is not on duty will be, before long."""
    return any(
        at < moment <= at + within and is_on_duty(person, moment, time_zone)
        for moment in _changes(person, at, time_zone)
    )


def quiet_until(person: Person, at: datetime, time_zone: str) -> datetime | None:
    """Return when the quiet hours that somebody is in end; None outside them."""
    spans = _quiet(person, local_day(at, time_zone), time_zone, range(-1, 1))
    return next((end for start, end in spans if start <= at < end), None)


def next_change(person: Person, at: datetime, time_zone: str) -> datetime | None:
    """Return when somebody's duty or quiet changes next; None where it never does within days."""
    return min(_changes(person, at, time_zone), default=None)


def _changes(person: Person, at: datetime, time_zone: str) -> list[datetime]:
    today = local_day(at, time_zone)
    spans = [*_shifts(person, today, time_zone, _AROUND), *_quiet(person, today, time_zone, _AROUND)]
    spans += [(start_of_day(first, time_zone), end_of_day(last, time_zone)) for first, last in person.away]
    return [moment for span in spans for moment in span if moment > at]


def _shifts(person: Person, today: date, time_zone: str, days: range) -> Iterator[tuple[datetime, datetime]]:
    for day in (today + timedelta(days=n) for n in days):
        for shift in person.shifts:
            if day.weekday() in shift.weekdays:
                yield _span(day, shift.starts, shift.ends, time_zone)


def _quiet(person: Person, today: date, time_zone: str, days: range) -> Iterator[tuple[datetime, datetime]]:
    if person.quiet is not None and person.quiet[0] != person.quiet[1]:
        for day in (today + timedelta(days=n) for n in days):
            yield _span(day, *person.quiet, time_zone)


def _span(day: date, starts: str, ends: str, time_zone: str) -> tuple[datetime, datetime]:
    is_over_night = time.fromisoformat(ends) <= time.fromisoformat(starts)
    return (
        instant(day, starts, time_zone),
        instant(day + timedelta(days=1) if is_over_night else day, ends, time_zone),
    )
