"""Run lengths in words: figures are rounded to what they are worth, for nobody waits for the 61.45th day."""

import math
from typing import Final

DAYS_PER_YEAR: Final = 365.25
LONG_YEARS: Final = 100


def words_from_days(days: float) -> str:
    """Return a length of time in words, to two digits at most: ``17 days``, ``2.3 years``, ``> 100 years``."""
    years = days / DAYS_PER_YEAR
    if years >= LONG_YEARS:
        return f"> {LONG_YEARS} years"
    if years >= 1:
        return _counted(two_digits(years), "year")
    if days < 0.95:
        return "< 1 day"
    return _counted(two_digits(round(days)), "day")


def words_from_rate(per_year: float) -> str:
    """Return a rate in words: ``2.8 a year``, ``0.6 a year``, ``1 in 22 years``, ``< 1 in 100 years``."""
    if per_year * LONG_YEARS <= 1:
        return f"< 1 in {LONG_YEARS} years"
    if per_year < 0.15:
        return f"1 in {two_digits(1 / per_year)} years"
    return f"{two_digits(round(per_year, 1) if per_year < 1 else per_year)} a year"


def _counted(number: str, unit: str) -> str:
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


def two_digits(number: float) -> str:
    """Return a positive number to two significant digits, without an exponent."""
    places = 1 - math.floor(math.log10(number))
    rounded = round(number, places)
    return f"{rounded:.1f}" if rounded < 10 and rounded != round(rounded) else f"{rounded:.0f}"
