"""When work that comes round is due: dates counted from the first one, so that nothing done late can shift them.

Months and years are counted from `first_due` itself and not from the date before: the 31st becomes the last day of a
shorter month and is the 31st again after it; 29 February becomes the 28th and is the 29th in the next leap year.
"""

import calendar as days_of
from datetime import date, timedelta

from streams.fold.schedule import has_clinic, last_clinic_day, next_clinic_day
from streams.policy import ClinicCalendar, Duty

_DAYS = {"days": 1, "weeks": 7}
_MONTHS = {"months": 1, "years": 12}


def day_of(text: str) -> date | None:
    """Return the day that a text names (ISO 8601), None where it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def is_daily(duty: Duty) -> bool:
    """Whether it is due every day with a clinic."""
    return duty.every == 1 and duty.unit == "days"


def due_after(duty: Duty, calendar: ClinicCalendar, covered: date | None) -> date | None:
    """Return the first day that it is due after `covered` (None: nothing is); None where it is due no more."""
    first = day_of(duty.first_due)
    if first is None or (covered is not None and covered >= date.max - timedelta(days=366)):
        return None
    if covered is None or covered < first:
        return next_clinic_day(calendar, first) if is_daily(duty) else first
    if duty.every <= 0:
        return None
    if is_daily(duty):
        return next_clinic_day(calendar, covered + timedelta(days=1))
    return _occurrence(duty, first, _count(duty, first, covered) + 1)


def due_up_to(duty: Duty, calendar: ClinicCalendar, day: date) -> date | None:
    """Return the last day on or before `day` that it was due; None where it was not due yet."""
    first = day_of(duty.first_due)
    if first is None or day < first:
        return None
    if duty.every <= 0:
        return first
    if not is_daily(duty):
        return _occurrence(duty, first, _count(duty, first, day))
    last = day if has_clinic(calendar, day) else last_clinic_day(calendar, day)
    return last if last is not None and last >= first else None


def _occurrence(duty: Duty, first: date, n: int) -> date | None:
    """Return the n-th date after the first; None beyond what a calendar holds."""
    try:
        if duty.unit in _DAYS:
            return first + timedelta(days=n * duty.every * _DAYS[duty.unit])
        months = first.year * 12 + first.month - 1 + n * duty.every * _MONTHS[duty.unit]
        year, month = divmod(months, 12)
        return date(year, month + 1, min(first.day, days_of.monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None


def _count(duty: Duty, first: date, day: date) -> int:
    """Return the number of the last date that is not after `day`."""
    if duty.unit in _DAYS:
        return (day - first).days // (duty.every * _DAYS[duty.unit])
    months = (day.year - first.year) * 12 + day.month - first.month
    n = months // (duty.every * _MONTHS[duty.unit])
    at = _occurrence(duty, first, n)
    return n if at is not None and at <= day else n - 1
