"""What somebody typed into a form: read field by field, every problem kept to be shown beside its field."""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, TypeVar

from streams.site_time import SiteTime

Moment = TypeVar("Moment", bound=date)

MAX_CHARACTERS: Final = 500
"""No note of ours is longer."""


class Typed:
    """Values as typed and, after reading, what is wrong with them.

    A reader that finds a problem notes it under the field's name and returns a harmless value: look at `errors`
    before using what was read.
    """

    def __init__(self, values: Mapping[str, Any], time: SiteTime) -> None:
        self.values = {name: value for name, value in values.items() if isinstance(value, str)}
        self.errors: dict[str, str] = {}
        self._time = time

    def optional(self, name: str) -> str:
        """Return the text, trimmed; blank if there is none."""
        text = self.values.get(name, "").strip()
        if len(text) > MAX_CHARACTERS:
            self.errors[name] = f"Shorten this to {MAX_CHARACTERS} characters"
            return ""
        return text

    def text(self, name: str, missing: str) -> str:
        """Return the text; `missing` says what to do if there is none."""
        text = self.optional(name)
        if not text:
            self.errors.setdefault(name, missing)
        return text

    def secret(self, name: str, missing: str) -> str:
        """Return a password as typed, blanks at its ends included; `missing` says what to do if there is none."""
        text = self.values.get(name, "")
        if not text:
            self.errors.setdefault(name, missing)
        elif len(text) > MAX_CHARACTERS:
            self.errors[name] = f"Shorten this to {MAX_CHARACTERS} characters"
        return text

    def choice(self, name: str, choices: Mapping[str, str], missing: str) -> str:
        """Return the choice made among `choices`."""
        chosen = self.optional(name)
        if chosen not in choices:
            self.errors[name] = missing
        return chosen

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.values.get(name))

    def bmd(self, name: str) -> float:
        """Return a bone mineral density in g/cm2: a finite number above 0 and below 5."""
        text = self.text(name, "Enter the BMD that the scanner shows, such as 1.023")
        try:
            value = float(text.replace(",", ".")) if text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not 0 < value < 5:
            self.errors.setdefault(name, "BMD must be a number in g/cm² between 0 and 5, such as 1.023")
            return math.nan
        return value

    def number(self, name: str, missing: str) -> float:
        """Return a finite number; `missing` says what to do if there is none."""
        text = self.text(name, missing)
        try:
            value = float(text.replace(",", ".")) if text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.errors.setdefault(name, missing)
            return math.nan
        return value

    def moment(self, name: str) -> datetime | None:
        """Return a day and time, None if left blank."""
        return self._read(name, self._time.from_field, "Enter a day and time that exists, such as 21/11/2026 07:40")

    def day(self, name: str) -> str:
        """Return a day (ISO 8601), blank if left blank."""
        day = self._read(name, date.fromisoformat, "Enter a day that exists, such as 21/11/2026")
        return day.isoformat() if day else ""

    def clock_today(self, name: str) -> datetime | None:
        """Return a time today, None if left blank."""
        return self._read(name, self._time.from_clock, "Enter a time, such as 16:30")

    def _read(self, name: str, read: Callable[[str], Moment], problem: str) -> Moment | None:
        text = self.optional(name)
        if not text:
            return None
        try:
            return read(text)
        except ValueError:
            self.errors[name] = problem
            return None
