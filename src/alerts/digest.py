"""When the digest goes out."""

from datetime import datetime, timedelta

from alerts.rota import instant
from alerts.rules import WEEKDAYS, AlertRules
from streams.fold.schedule import local_day

_WEEK = 8


def digest_at(after: datetime, rules: AlertRules, time_zone: str) -> datetime:
    """Return the first digest at or after an instant.

    Raises
    ------
    ValueError
        The rules name no day for it.
    """
    today = local_day(after, time_zone)
    days = (today + timedelta(days=n) for n in range(_WEEK + 1))
    moments = (instant(day, rules.digest_at, time_zone) for day in days if WEEKDAYS[day.weekday()] in rules.digest_days)
    found = next((moment for moment in moments if moment >= after), None)
    if found is None:
        raise ValueError("digest_days names no day of the week")
    return found
