"""How reports say days, times and numbers: in full, for a report is read on another day."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

NOTHING: Final = "\u2013"
"""A dash, where there is nothing to say."""


def day(value: date) -> str:
    """``5 January 2026``."""
    return f"{value.day} {value:%B %Y}"


def short_day(value: date) -> str:
    """``Mon 5 Jan``, where the year is plain."""
    return f"{value:%a} {value.day} {value:%b}"


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """``5 Jan 2026 07:45``; a dash where there is none."""
    if at is None:
        return NOTHING
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M}"


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Return a number with so many digits; a dash where there is none."""
    if value is None:
        return NOTHING
    value = round(value, digits) + 0.0  # not minus nothing
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def count(many: int, one: str, more: str = "") -> str:
    """``1 day``, ``3 days``."""
    return f"{many} {one if many == 1 else more or one + 's'}"


def listed(words: Iterable[str], most: int = 8) -> str:
    """Return words in a row; beyond `most` how many more there are."""
    given = list(words)
    more = f" and {len(given) - most} more" if len(given) > most else ""
    return ", ".join(given[:most]) + more
