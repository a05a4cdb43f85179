"""Who is told: people, their roles and tiers, when they are on duty and when they want quiet."""

from datetime import date, datetime

import msgspec

from streams.roles import Role


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


def is_on_duty(person: Person, at: datetime, time_zone: str) -> bool:
    """Whether somebody is on duty at an instant."""
    raise NotImplementedError


def quiet_until(person: Person, at: datetime, time_zone: str) -> datetime | None:
    """Return when the quiet hours that somebody is in end; None outside them."""
    raise NotImplementedError
