"""Whether a patient was an adult when measured: told once at the border, so that no date of birth goes further."""

from datetime import date, datetime
from typing import Final

from pydicom.dataset import Dataset

from collectors.dicom.text import text

ADULT: Final = "adult"
CHILD: Final = "child"
_UNITS_A_YEAR: Final = {"D": 365.25, "W": 52.1775, "M": 12.0, "Y": 1.0}
_OLDEST_YEARS: Final = 130


def population_of(ds: Dataset, measured_at: datetime | None, adult_from_years: int) -> str:
    """Return ``adult`` or ``child``; empty where neither date of birth nor age says it believably.

    Parameters
    ----------
    adult_from_years
        From which age on a patient counts as an adult; local policy.
    """
    years: float | None = _by_birth_date(text(ds, "PatientBirthDate"), measured_at)
    if years is None:
        years = _by_age(text(ds, "PatientAge"))
    if years is None or not 0 <= years <= _OLDEST_YEARS:
        return ""
    return ADULT if years >= adult_from_years else CHILD


def _by_birth_date(value: str, measured_at: datetime | None) -> int | None:
    if measured_at is None or len(value) != len("19500101") or not value.isascii() or not value.isdigit():
        return None
    try:
        born = date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return None
    had_birthday = (measured_at.month, measured_at.day) >= (born.month, born.day)
    return measured_at.year - born.year - (0 if had_birthday else 1)


def _by_age(value: str) -> float | None:
    """Return the years of an Age String (PS3.5: three digits and D, W, M or Y)."""
    number, unit = value[:-1], value[-1:]
    if len(number) != 3 or not number.isascii() or not number.isdigit() or unit not in _UNITS_A_YEAR:
        return None
    return int(number) / _UNITS_A_YEAR[unit]
