"""Days and clinics in a site's zone, from the pinned tzdata, through summer time."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from streams.policy import ClinicCalendar, Frequency


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
def end_of_day(day: date, time_zone: str) -> datetime:
    """Return the first instant after `day` at the site, in UTC."""
    return datetime.combine(day + timedelta(days=1), time.min, zone(time_zone)).astimezone(UTC)


def due_by(passed_at: datetime, frequency: Frequency, grace_days: int, time_zone: str) -> datetime:
    """Return until when a pass holds: the end of its day, or of the seventh day after it plus the grace."""
    day = local_day(passed_at, time_zone)
    if frequency is Frequency.WEEKLY:
        day += timedelta(days=7 + grace_days)
    return end_of_day(day, time_zone)


def clinics_on(calendar: ClinicCalendar, day: date) -> list[tuple[datetime, datetime]]:
    """Return the (start, end) of each clinic of `day`, in order, in UTC."""
    here = zone(calendar.time_zone)

    def instant(at: str) -> datetime:
        return datetime.combine(day, time.fromisoformat(at), here).astimezone(UTC)

    todays = (clinic for clinic in calendar.clinics if day.weekday() in clinic.weekdays)
    return sorted((instant(clinic.starts), instant(clinic.ends)) for clinic in todays)


def clinic_ends(calendar: ClinicCalendar, now: datetime) -> datetime:
    """Return when today's clinics end: the longest an override may last; without a clinic left, the day's end."""
    day = local_day(now, calendar.time_zone)
    ends = [end for _, end in clinics_on(calendar, day) if end > now]
    return max(ends, default=end_of_day(day, calendar.time_zone))
