"""Closures from an iCalendar file (RFC 5545): the days, or parts of days, that its events cover at the site.

All-day and timed events, recurring ones with their exceptions, moved and cancelled ones; times in the event's zone, or
the site's where it has none. From 1 January of this year over `YEARS` years, so that a start on another day of the same
year finds the same.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import icalendar
import recurring_ical_events

from bonewatch.configuration.clinic_calendar import DAY, ClosureSection, without_repeats
from streams.fold.schedule import zone

YEARS: Final = 3
MAX_BYTES: Final = 1_000_000
MAX_EVENTS: Final = 2_000
MAX_RECURRING: Final = 100
MAX_DAYS: Final = 2_000
EARLIEST_YEAR: Final = 1970
"""Before this no event of a calendar in use began; a daily one would be followed through all the days since."""
_RARE_ENOUGH: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_WITHIN_A_DAY: Final = ("BYHOUR", "BYMINUTE", "BYSECOND")


class CalendarFileError(Exception):
    """The file cannot be used; the text names file and event and says what to do."""


def closures_from(path: Path, *, time_zone: str, today: date) -> tuple[ClosureSection, ...]:
    """Read a file.

    Raises
    ------
    CalendarFileError
        If it cannot be read, is no iCalendar, is too large, or an event in it cannot be understood.
    """
    calendar = _read(path)
    _look_at_events(path, calendar)
    first = date(today.year, 1, 1)
    last = date(today.year + YEARS, 1, 1)
    try:
        found = recurring_ical_events.of(calendar).between(first, last)
    except Exception as error:
        raise CalendarFileError(_which_fails(path, calendar, (first, last), error)) from error
    days: list[ClosureSection] = []
    for event in found:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        try:
            days += [part for part in _parts(event, time_zone) if first <= part.first < last]
        except (ValueError, TypeError, OverflowError) as error:
            raise CalendarFileError(f"{path}: event {_name(event)}: {error}") from error
        if len(days) > MAX_DAYS:
            raise CalendarFileError(
                f"{path}: event {_name(event)}: more than {MAX_DAYS} closed days; is this the file?"
            )
    return without_repeats(days)


def _read(path: Path) -> icalendar.Calendar:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CalendarFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise CalendarFileError(f"{path} is larger than {MAX_BYTES} bytes: give a calendar of closures alone")
    try:
        return icalendar.Calendar.from_ical(data)
    except Exception as error:
        raise CalendarFileError(f"{path} is no iCalendar file (BEGIN:VCALENDAR ...): {error}") from error


def _look_at_events(path: Path, calendar: icalendar.Calendar) -> None:
    """Look at each event before any is unfolded: none may recur more often than daily, or lack its day."""
    events = list(calendar.walk("VEVENT"))
    if not events:
        raise CalendarFileError(f"{path} holds no event: is it a calendar of closures?")
    if len(events) > MAX_EVENTS:
        raise CalendarFileError(f"{path} holds {len(events)} events, more than {MAX_EVENTS}: leave the past years out")
    for event in events:
        fault = _fault(event)
        if fault:
            raise CalendarFileError(f"{path}: event {_name(event)}: {fault}")
    recurring = [event for event in events if "RRULE" in event]
    if len(recurring) > MAX_RECURRING:
        raise CalendarFileError(
            f"{path}: event {_name(recurring[MAX_RECURRING])}: more than {MAX_RECURRING} recurring events"
        )


def _fault(event: Any) -> str:
    """Return what is wrong with an event, blank if nothing is."""
    if event.errors:
        name, words = event.errors[0]
        return f"{name or 'a line'} cannot be understood: {words}"
    start, end = event.get("DTSTART"), event.get("DTEND")
    if start is None or isinstance(start, list) or not isinstance(start.dt, date):
        return "it has no single DTSTART: give the day, such as DTSTART;VALUE=DATE:20261225"
    if start.dt.year < EARLIEST_YEAR and "RRULE" in event:
        return f"it began before {EARLIEST_YEAR}: let it begin later"
    if end is not None and (isinstance(end, list) or isinstance(end.dt, datetime) != isinstance(start.dt, datetime)):
        return "DTSTART and DTEND are both days, or both times"
    for name, one in (("DTSTART", start), *([("DTEND", end)] if end is not None else [])):
        zone_id = one.params.get("TZID")
        if zone_id and isinstance(one.dt, datetime) and one.dt.tzinfo is None:
            return f"{name} is in the time zone {zone_id}, which is not known: name one such as Europe/London"
    return _length_fault(event) or _rule_fault(event.get("RRULE"))


def _length_fault(event: Any) -> str:
    start, end, lasts = event["DTSTART"].dt, event.get("DTEND"), event.get("DURATION")
    is_negative = lasts is not None and not isinstance(lasts, list) and lasts.dt < timedelta(0)
    if end is not None and isinstance(start, datetime) and (start.tzinfo is None) != (end.dt.tzinfo is None):
        return "DTSTART and DTEND are both in a time zone, or neither is"
    if is_negative or (end is not None and end.dt < start):
        return "it ends before it starts"
    return ""


def _rule_fault(rules: Any) -> str:
    for rule in rules if isinstance(rules, list) else [rules] if rules is not None else []:
        often = {str(one).upper() for one in rule.get("FREQ", [])}
        if not often or not often <= _RARE_ENOUGH or any(name in rule for name in _WITHIN_A_DAY):
            return "it recurs within a day, or not by day, week, month or year: closures recur daily or less often"
        if any(not isinstance(one, int) or one < 1 for one in rule.get("INTERVAL", [1])):
            return "its INTERVAL is 1 or more"
    return ""


def _parts(event: Any, time_zone: str) -> Iterator[ClosureSection]:
    """Yield what an event covers, day by day of the site; the end is no part of it."""
    start, end = event.start, event.end
    why = str(event.get("SUMMARY", "")).strip()
    if not isinstance(start, datetime):
        for n in range(max(1, min((end - start).days, MAX_DAYS + 1))):
            yield ClosureSection(first=start + n * DAY, why=why)
        return
    begins, ends = _local(start, time_zone), _local(end, time_zone)
    day = begins.date()
    while max(begins, datetime.combine(day, time.min)) < ends and (day - begins.date()).days <= MAX_DAYS:
        starts = begins.strftime("%H:%M") if day == begins.date() and begins.time() > time.min else ""
        until = ends.strftime("%H:%M") if day == ends.date() else ""
        yield ClosureSection(first=day, starts=starts, ends=until, why=why)
        day += timedelta(days=1)


def _local(moment: datetime, time_zone: str) -> datetime:
    """Return the site's wall clock at a time; one without a zone is the site's already."""
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).astimezone(zone(time_zone)).replace(tzinfo=None)


def _which_fails(path: Path, calendar: icalendar.Calendar, span: tuple[date, date], error: Exception) -> str:
    """Name the first event that cannot be unfolded by itself."""
    for event in calendar.walk("VEVENT"):
        alone = icalendar.Calendar()
        for part in (*calendar.walk("VTIMEZONE"), event):
            alone.add_component(part)
        try:
            recurring_ical_events.of(alone).between(*span)
        except Exception as failed:  # noqa: BLE001 - whatever the libraries make of it, it is this event
            return f"{path}: event {_name(event)}: {failed}"
    return f"{path}: {error}"


def _name(event: Any) -> str:
    """Name an event for people: its summary and UID, cut short."""
    said = " ".join(str(event.get(name, "")) for name in ("SUMMARY", "UID")).strip()
    return repr(said[:80]) if said else "without SUMMARY and UID"
