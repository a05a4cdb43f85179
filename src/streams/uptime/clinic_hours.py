"""Clinic hours as instants: through summer time, through calendars that change, overlapping clinics counted once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from streams.fold.due_work import YEARS
from streams.fold.schedule import clinics_on, end_of_day, local_day, zone
from streams.policy import ClinicCalendar
from streams.uptime.history import Moment, Span


class Period(NamedTuple):
    """From one instant up to another."""

    start: datetime
    end: datetime


class Hours(NamedTuple):
    """A stretch of clinic time and how long an appointment is in it."""

    start: datetime
    end: datetime
    slot_minutes: int


def period_of(first: date, last: date, time_zone: str) -> Period:
    """Return the instants from the beginning of one day to the end of another at the site.

    Raises
    ------
    ValueError
        The first day comes after the last, or a day lies outside the years that can be.
    """
    for day in (first, last):
        if day.year not in YEARS:
            raise ValueError(f"{day} does not lie between {YEARS[0]} and {YEARS[-1]}")
    if first > last:
        raise ValueError(f"the period ends ({last}) before it begins ({first})")
    return Period(datetime.combine(first, time.min, zone(time_zone)).astimezone(UTC), end_of_day(last, time_zone))


def hours_in(moments: Sequence[Moment], period: Period) -> Iterator[Hours]:
    """Yield the clinic hours of a period in order, by the calendar that was in force at each instant.

    Before its first moment a device is taken to have the calendar that it came with.
    """
    for calendar, span in _calendars(moments, period):
        yield from _hours(calendar, span)


def _calendars(moments: Sequence[Moment], period: Period) -> Iterator[tuple[ClinicCalendar, Span]]:
    changes: list[tuple[datetime, ClinicCalendar]] = []
    for moment in moments:
        if not changes or moment.calendar != changes[-1][1]:
            changes.append((moment.at, moment.calendar))
    if not changes:
        return
    starts = [period.start, *(at for at, _ in changes[1:]), period.end]
    for (_, calendar), (start, end) in zip(changes, pairwise(starts), strict=True):
        start, end = max(start, period.start), min(end, period.end)  # noqa: PLW2901 - clipped to the period
        if start < end:
            yield calendar, (start, end)


def _hours(calendar: ClinicCalendar, span: Span) -> Iterator[Hours]:
    day, last = local_day(span[0], calendar.time_zone), local_day(span[1], calendar.time_zone)
    while day <= last:
        yield from _once(_clinics(calendar, day), span)
        day += timedelta(days=1)


def _clinics(calendar: ClinicCalendar, day: date) -> list[Hours]:
    found = [
        Hours(start, end, clinic.slot_minutes)
        for clinic in calendar.clinics
        for start, end in clinics_on(replace(calendar, clinics=(clinic,)), day)
    ]
    return sorted(found)


def _once(clinics: Iterable[Hours], span: Span) -> Iterator[Hours]:
    """Clip clinics to a span and let each instant count once, for the clinic that began first."""
    reached = span[0]
    for start, end, slot_minutes in clinics:
        clipped = max(start, reached), min(end, span[1])
        if clipped[0] < clipped[1]:
            yield Hours(*clipped, slot_minutes)
            reached = clipped[1]
