"""Dates and times as reports print them; the order of a date in figures is configured, never guessed."""

import re
from datetime import datetime
from typing import Final

import msgspec

from collectors.printed.errors import DateError
from collectors.printed.settings import DateOrder

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH: Final = r"(?P<month>" + "|".join(_MONTHS) + ")"
_NAMED: Final = (
    re.compile(rf"{_MONTH} +(?P<day>\d{{1,2}}), *(?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(rf"(?<!\d)(?P<day>\d{{1,2}}) +{_MONTH},? +(?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?!\d)"),
)
_FIGURES: Final = re.compile(r"(?<!\d)(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?!\d)")
_TIME: Final = re.compile(r" *(\d{1,2}):(\d\d)(?::(\d\d))?(?: *([AP])M\b)?(?!\d)", re.IGNORECASE)


class Stamp(msgspec.Struct, frozen=True):
    """A printed date in the site's local time; without `has_time` only its day counts."""

    at: datetime
    has_time: bool


def read_stamp(text: str, order: DateOrder) -> Stamp:
    """Return the first date in a text with the time that follows it.

    Raises
    ------
    DateError
        There is none, it is impossible, or its order is not configured.

    Examples
    --------
    >>> read_stamp("December 04, 2019 12:57 Version 13", "").at.isoformat()
    '2019-12-04T12:57:00'
    >>> read_stamp("5/6/2002 1:51:17 PM", "month-first").at.isoformat()
    '2002-05-06T13:51:17'
    """
    year, month, day, end = _named(text) or _in_figures(text, order)
    clock = _TIME.match(text, end)
    try:
        hour, minute, second = _time(clock) if clock else (0, 0, 0)
        return Stamp(datetime(year, month, day, hour, minute, second), clock is not None)  # noqa: DTZ001 - local time
    except ValueError as error:
        raise DateError from error


def _named(text: str) -> tuple[int, int, int, int] | None:
    for pattern in _NAMED:
        if found := pattern.search(text):
            month = found["month"].lower()
            number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
            return int(found["year"]), number, int(found["day"]), found.end()
    return None


def _in_figures(text: str, order: DateOrder) -> tuple[int, int, int, int]:
    found = _FIGURES.search(text)
    if found is None or not order:
        raise DateError
    first, second = int(found[1]), int(found[3])
    day, month = (first, second) if order == "day-first" else (second, first)
    return int(found[4]), month, day, found.end()


def _time(clock: re.Match[str]) -> tuple[int, int, int]:
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if half := (clock[4] or "").upper():
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a twelve-hour clock")
        hour = hour % 12 + (12 if half == "P" else 0)
    return hour, minute, second
