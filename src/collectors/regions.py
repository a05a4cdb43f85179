"""Names of measured regions: vendors spell them freely, charts need one spelling."""

import re
from enum import StrEnum
from typing import Final

UNNAMED: Final = "unnamed"
"""The region of a density that no name could be found for."""

MAX_LENGTH: Final = 32
"""A region's name never grows longer in the log."""

_DASH: Final = r"\s*(?:-|\u2010|\u2011|\u2012|\u2013|\u2014|\bto\b|:)\s*"
_VERTEBRAE: Final = re.compile(
    rf"(?<![A-Za-z])([LT])\s?(\d{{1,2}})(?:{_DASH}([LT])?\s?(\d{{1,2}})(?!\d))?(?![A-Za-z0-9])", re.IGNORECASE
)
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")
_LUMBAR: Final = re.compile(r"\b(" + "|".join(_ORDINALS) + r")\s+lumbar\s+vertebra\b", re.IGNORECASE)
_DENSITY_WORDS: Final = re.compile(
    r"(?<![A-Za-z])(?:total\s+)?(?:bmd|(?:bone\s+)?(?:mineral\s+)?density|bone)(?![A-Za-z])|\(.*?g/.*?\)", re.IGNORECASE
)


class Anatomy(StrEnum):
    """The part of the body that a region belongs to, as far as its name tells."""

    SPINE = "spine"
    HIP = "hip"
    FOREARM = "forearm"
    WHOLE_BODY = "whole_body"
    UNKNOWN = "unknown"


_ANATOMY_WORDS: Final = (
    (Anatomy.SPINE, re.compile(r"spine|lumbar|vertebra|\b[lt]\d{1,2}\b", re.IGNORECASE)),
    (Anatomy.HIP, re.compile(r"\bhip\b|femur|femoral|\bneck\b|troch|\bward", re.IGNORECASE)),
    (Anatomy.FOREARM, re.compile(r"radi(?:us|al)|ulna|forearm|ultra.?distal|\b1/3\b|33\s?%", re.IGNORECASE)),
    (
        Anatomy.WHOLE_BODY,
        re.compile(r"whole.?body|total.?body|\bhead\b|\bribs?\b|pelvis|trunk|\blegs?\b|\barms?\b", re.IGNORECASE),
    ),
)


def known_region(text: str) -> str | None:
    """Return the vertebrae that a name names, in one spelling; None when it names none.

    Examples
    --------
    >>> known_region("AP spine L1 - L4 BMD"), known_region("L1,L3"), known_region("L2-4")
    ('L1-L4', 'L1,L3', 'L2-L4')
    >>> known_region("Femoral neck") is None
    True
    """
    found = [_spelled(match) for match in _VERTEBRAE.finditer(text)]
    found += [f"L{_ORDINALS.index(word.lower()) + 1}" for word in _LUMBAR.findall(text)]
    return ",".join(dict.fromkeys(found)) or None


def verbatim_region(text: str) -> str:
    """Return a name as it stands, without the words that only say bone density; empty when nothing is left."""
    return " ".join(_DENSITY_WORDS.sub(" ", text).split()).strip(" -:,;")[:MAX_LENGTH]


def anatomy_of(text: str) -> Anatomy:
    """Return the part of the body that a region's or body part's name belongs to."""
    return next((anatomy for anatomy, words in _ANATOMY_WORDS if words.search(text)), Anatomy.UNKNOWN)


def _spelled(match: re.Match[str]) -> str:
    first, last = f"{match[1].upper()}{int(match[2])}", match[4]
    return f"{first}-{(match[3] or match[1]).upper()}{int(last)}" if last else first
