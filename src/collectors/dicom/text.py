"""Text, items and times of a data set, read without pydicom's conversions.

Conversions warn with the value they stumble over, and a value may be a name. Text is UTF-8 where it decodes as
that, else Latin-1: units and region names need no more.
"""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

PARSING_ERRORS: Final = (
    AttributeError,
    TypeError,
    LookupError,
    ValueError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
    EOFError,
    struct.error,
)
"""What pydicom raises on nested items, which it parses on first access."""

_DATE: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?")
_DATE_TIME: Final = re.compile(r"(\d{8})(\d{4}(?:\d{2}(?:\.\d{1,6})?)?)([+-]\d{4})?")
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})")

_TIME_SOURCES: Final = ("Acquisition", "Content", "Series", "Study")


def text(ds: Dataset, keyword: str) -> str:
    """Return an element's text, stripped, values joined by backslash; empty when it is absent."""
    tag = tag_for_keyword(keyword)
    element = ds.get_item(tag) if tag is not None and tag in ds else None
    value: object = element.value if element is not None else None
    if value is None:
        return ""
    if isinstance(value, bytes):  # not converted yet, as it came off the wire
        return _decoded(value).strip(" \0")
    if isinstance(value, MultiValue):
        return "\\".join(str(one) for one in value)
    return str(value).strip(" \0")


def items(ds: Dataset, keyword: str) -> Iterator[Dataset]:
    """Iterate over the items of a sequence; nothing when it is absent or no sequence."""
    tag = tag_for_keyword(keyword)
    value = ds[tag].value if tag is not None and tag in ds else None
    if isinstance(value, Sequence):
        yield from value


def first_item(ds: Dataset, keyword: str) -> Dataset:
    """Return a sequence's first item, or an empty one."""
    return next(items(ds, keyword), Dataset())


def measured_at(ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return when the object was acquired, UTC, by the best source it has; None when it has no usable time.

    The order is AcquisitionDateTime, then date with time of Acquisition, Content, Series, Study. A time without an
    offset of its own is in TimezoneOffsetFromUTC if the object states it, else in `zone`, the site's.
    """
    acquired = acquired_at(ds, zone)
    if acquired is not None:
        return acquired
    times = (_from_pair(ds, source, zone) for source in _TIME_SOURCES[1:])
    return next((time for time in times if time is not None), None)


def acquired_at(ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return AcquisitionDateTime, or AcquisitionDate with AcquisitionTime, UTC; None when there is neither."""
    match = _DATE_TIME.fullmatch(text(ds, "AcquisitionDateTime"))
    if match:
        time = _aware(match[1], match[2], match[3] or text(ds, "TimezoneOffsetFromUTC"), zone)
        if time is not None:
            return time
    return _from_pair(ds, "Acquisition", zone)


def content_at(ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return when the content was made, UTC: of a report, when the scan was analysed; None where it is not said."""
    return _from_pair(ds, "Content", zone)


def performed_at(ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return when a performed procedure step began, UTC; None where it is not said."""
    return _from_pair(ds, "PerformedProcedureStepStart", zone)


def scheduled_at(ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return when a scheduled procedure step is to begin, UTC; None where it is not said."""
    return _from_pair(ds, "ScheduledProcedureStepStart", zone)


def _from_pair(ds: Dataset, source: str, zone: ZoneInfo) -> datetime | None:
    return _aware(text(ds, f"{source}Date"), text(ds, f"{source}Time"), text(ds, "TimezoneOffsetFromUTC"), zone)


def _aware(date: str, time: str, offset: str, zone: ZoneInfo) -> datetime | None:
    day, clock = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if day is None or clock is None:
        return None
    year, month, month_day = map(int, day.groups())
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    micros = int((clock[4] or "").ljust(6, "0"))
    try:
        local = datetime(year, month, month_day, hour, minute, second, micros, tzinfo=_offset(offset) or zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(value: str) -> timezone | None:
    match = _OFFSET.fullmatch(value)
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-size if match[1] == "-" else size) if size < timedelta(hours=24) else None


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
