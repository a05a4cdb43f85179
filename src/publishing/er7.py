r"""Writes HL7 version 2 as text (ER7, "vertical bars"): escaped texts, fields, segments, times.

hl7apy reads what comes back and, in the tests, checks what is written here against its 2.5.1 definitions. It does not
write it: a scan of forty values takes it most of a second, a decision is about thousands of scans, and a text that
holds ``\F\`` itself does not come back from it as it was.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

VERSION: Final = "2.5.1"
NULL: Final = '""'
"""Alone in a field it says "delete what you have": never sent."""
_ESCAPES: Final = str.maketrans({"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\"})


def plain(words: str) -> str:
    """Return a text as it can be told: each control character and line break a blank, none at its ends."""
    told = "".join(" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in words).strip()
    return "" if told == NULL else told


def text(words: str) -> str:
    """Return a text as it stands in a field."""
    return plain(words).translate(_ESCAPES)


def components(*parts: str) -> str:
    """Return a field of several parts; the empty ones at its end are left out."""
    return "^".join(text(part) for part in parts).rstrip("^")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """Return a segment of fields by their number in the standard, each as it stands."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


def timestamp(at: datetime, zone: tzinfo) -> str:
    """Return a time, to the second, as it was in a zone, with its distance from UTC."""
    return at.astimezone(zone).strftime("%Y%m%d%H%M%S%z")[:19]


def number(value: float) -> str:
    """Return a number with the digits that it has, never with an exponent."""
    return format(Decimal(repr(value)), "f")
