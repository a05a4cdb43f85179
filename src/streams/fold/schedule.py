"""Days and clinics in a site's zone, from the pinned tzdata, through summer time."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from streams.policy import ClinicCalendar, Frequency

DAYS_LOOKED: Final = 400
"""How far a day with a clinic is looked for: a device without one for longer has none."""


@cache
def zone(name: str) -> ZoneInfo:
    """Return a zone of the pinned tzdata; system databases differ between machines.

    Raises
    ------
    ValueError
        If tzdata has no zone of that name.
    """
    path = resources.files("tzdata").joinpath("zoneinfo")
    for part in name.split("/"):
        if part in {"", ".", ".."}:
            raise ValueError(f"{name!r} is not a time zone")
        path = path.joinpath(part)
    if not path.is_file():
        raise ValueError(f"{name!r} is not a time zone of tzdata; give one such as Europe/London")
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local_day(when: datetime, time_zone: str) -> date:
    """Return the calendar day of `when` at the site."""
    return when.astimezone(zone(time_zone)).date()


@cache
def start_of_day(day: date, time_zone: str) -> datetime:
    """Return the first instant of `day` at the site, in UTC."""
    return datetime.combine(day, time.min, zone(time_zone)).astimezone(UTC)


def end_of_day(day: date, time_zone: str) -> datetime:
    """Return the first instant after `day` at the site, in UTC."""
    return start_of_day(day + timedelta(days=1), time_zone)


def due_by(passed_at: datetime, frequency: Frequency, grace_days: int, time_zone: str) -> datetime:
    """Return until when a pass holds: the end of its day, or of the seventh day after it plus the grace."""
    day = local_day(passed_at, time_zone)
    if frequency is Frequency.WEEKLY:
        day += timedelta(days=7 + grace_days)
    return end_of_day(day, time_zone)


def clinics_on(calendar: ClinicCalendar, day: date) -> list[tuple[datetime, datetime]]:
    """Return the (start, end) of each clinic of `day`, in order, in UTC, without what is closed."""
    here = zone(calendar.time_zone)
    todays = [clinic for clinic in calendar.clinics if day.weekday() in clinic.weekdays]
    spans = sorted((_instant(day, clinic.starts, here), _instant(day, clinic.ends, here)) for clinic in todays)
    iso = day.isoformat()
    for closure in calendar.closures if spans else ():
        if closure.first <= iso <= closure.last:
            begins = _instant(day, closure.starts or "00:00", here)
            ends = _instant(day, closure.ends, here) if closure.ends else end_of_day(day, calendar.time_zone)
            spans = [part for span in spans for part in _without(span, begins, ends)]
    return spans


def _instant(day: date, at: str, here: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), here).astimezone(UTC)


def _without(span: tuple[datetime, datetime], begins: datetime, ends: datetime) -> list[tuple[datetime, datetime]]:
    """Return what is left of a span without a closed time; one that the clocks skip in spring closes nothing."""
    if ends <= begins:
        return [span]
    parts = ((span[0], min(span[1], begins)), (max(span[0], ends), span[1]))
    return [(start, end) for start, end in parts if start < end]


def has_clinic(calendar: ClinicCalendar, day: date) -> bool:
    """Whether a device works on `day`; one for which no clinic is configured works every day that is not closed."""
    if calendar.clinics:
        return bool(clinics_on(calendar, day))
    iso = day.isoformat()
    return not any(c.first <= iso <= c.last and not (c.starts or c.ends) for c in calendar.closures)


def next_clinic_day(calendar: ClinicCalendar, day: date) -> date | None:
    """Return `day`, or the first day with a clinic after it; None where there is none within `DAYS_LOOKED`."""
    return next((d for n in range(DAYS_LOOKED) if has_clinic(calendar, d := day + timedelta(days=n))), None)


def last_clinic_day(calendar: ClinicCalendar, day: date) -> date | None:
    """Return `day`, or the last day with a clinic before it; None where there is none within `DAYS_LOOKED`."""
    return next((d for n in range(DAYS_LOOKED) if has_clinic(calendar, d := day - timedelta(days=n))), None)


def clinic_ends(calendar: ClinicCalendar, now: datetime) -> datetime:
    """Return when today's clinics end: the longest an override may last; without a clinic left, the day's end."""
    day = local_day(now, calendar.time_zone)
    ends = [end for _, end in clinics_on(calendar, day) if end > now]
    return max(ends, default=end_of_day(day, calendar.time_zone))
