"""Who is to be told of an alert now: by role, tier and duty; nobody there is never a reason to tell nobody."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.book import Alert
from alerts.condition import Severity
from alerts.rota import Person, Rota, comes_on_duty, is_on_duty, quiet_until
from alerts.rules import AlertRules
from streams.roles import Role


class Look(NamedTuple):
    """One look at the book: when, by which rules, and who is there."""

    at: datetime
    rules: AlertRules
    rota: Rota

    def is_quiet(self, person: Person) -> bool:
        """Whether somebody wants quiet now."""
        return quiet_until(person, self.at, self.rota.time_zone) is not None


def recipients(alert: Alert, look: Look) -> tuple[Person, ...]:
    """Return whom an alert concerns at its tier, in the order of the rota.

    A role that nobody has falls to the rota's fallback, and so does what has gone through all tiers.
    """
    rota = look.rota
    timetable = look.rules.timetable(alert.condition.severity)
    is_last = bool(timetable.after_minutes) and alert.tier > len(timetable.after_minutes)
    names = [name for role in alert.condition.audience for name in _of_role(role, alert, look)]
    if is_last:
        widened = (role for role in timetable.widens_to if any(role in person.roles for person in rota.people))
        names += [name for role in widened for name in _of_role(role, alert, look)]
        names += rota.fallback
    return tuple(person for person in rota.people if person.name in names)


def reaches_nobody(alert: Alert, rota: Rota) -> bool:
    """Whether there is nobody at the site to be told of an alert, whenever."""
    roles = set(alert.condition.audience)
    return not any(roles & set(person.roles) or person.name in rota.fallback for person in rota.people)


def _of_role(role: Role, alert: Alert, look: Look) -> Iterable[str]:
    everybody = [person for person in look.rota.people if role in person.roles]
    if not everybody:
        return look.rota.fallback
    first = min(person.tier for person in everybody)
    tier = [person for person in everybody if person.tier <= max(alert.tier, first)]
    return (person.name for person in _there(tier, everybody, alert, look))


def _there(tier: list[Person], everybody: list[Person], alert: Alert, look: Look) -> Iterator[Person]:
    """Yield those on duty; where nobody is, everybody of the role, unless it can wait and somebody comes soon."""
    on_duty = [person for person in tier if is_on_duty(person, look.at, look.rota.time_zone)]
    soon = timedelta(hours=look.rules.wait_for_duty_hours)
    if on_duty:
        yield from on_duty
    elif alert.condition.severity is Severity.URGENT or not any(
        comes_on_duty(person, look.at, look.rota.time_zone, soon) for person in tier
    ):
        yield from everybody
