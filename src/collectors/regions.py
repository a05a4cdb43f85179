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


SPELLED: Final = {
    "neck": "Neck", "upper neck": "Upper Neck", "lower neck": "Lower Neck", "femoral neck": "Neck",
    "troch": "Troch", "trochanter": "Troch", "inter": "Inter", "intertroch": "Inter", "shaft": "Shaft",
    "wards": "Wards", "ward's": "Wards", "ward's tri": "Wards", "total": "Total", "total hip": "Total",
    "radius 1/3": "Radius 1/3", "1/3": "1/3", "radius 33%": "Radius 33%", "mid": "Mid", "radius mid": "Radius Mid",
    "ud": "UD", "radius ud": "Radius UD", "radius total": "Radius Total", "ulna 1/3": "Ulna 1/3",
    "ulna mid": "Ulna Mid", "ulna ud": "Ulna UD", "ulna total": "Ulna Total",
    "head": "Head", "l arm": "L Arm", "r arm": "R Arm", "l ribs": "L Ribs", "r ribs": "R Ribs", "arms": "Arms",
    "legs": "Legs", "l leg": "L Leg", "r leg": "R Leg", "t spine": "T Spine", "l spine": "L Spine", "ribs": "Ribs",
    "spine": "Spine", "trunk": "Trunk", "pelvis": "Pelvis", "subtotal": "Subtotal",
}  # fmt: skip
"""Regions by their name in tables, in one spelling."""

_WORDS: Final = {
    frozenset(words.split()): region
    for words, region in (
        *((" ".join(re.findall(r"[a-z0-9/%]+", name.replace("'s", "s"))), region) for name, region in SPELLED.items()),
        ("neck femur", "Neck"), ("femur neck", "Neck"), ("neck hip", "Neck"), ("femoral neck hip", "Neck"),
        ("total femur", "Total"), ("total hip femur", "Total"), ("total proximal femur", "Total"),
        ("proximal femur", "Total"), ("trochanter femur", "Troch"), ("trochanteric", "Troch"),
        ("greater trochanter", "Troch"), ("intertrochanteric", "Inter"), ("wards triangle", "Wards"),
        ("femoral shaft", "Shaft"), ("shaft femur", "Shaft"), ("one third radius", "Radius 1/3"),
        ("distal third radius", "Radius 1/3"), ("third radius", "Radius 1/3"), ("ultradistal radius", "Radius UD"),
        ("ultra distal radius", "Radius UD"), ("mid distal radius", "Radius Mid"), ("total body", "Total"),
        ("whole body", "Total"), ("total whole body", "Total"), ("skull", "Head"),
    )
}  # fmt: skip
_OF_A_SIDE: Final = {
    frozenset({"arm"}): {"left": "L Arm", "right": "R Arm"},
    frozenset({"leg"}): {"left": "L Leg", "right": "R Leg"},
    frozenset({"ribs"}): {"left": "L Ribs", "right": "R Ribs"},
}
"""Regions of a whole body whose name in tables has the side in it."""
_SIDE_WORDS: Final = {"left": "left", "right": "right", "l": "left", "r": "right"}
_SAYING_NOTHING: Final = frozenset(
    {"bmd", "bmc", "area", "bone", "mineral", "density", "content", "structure", "of", "the", "region", "entire"}
    | {"ap", "pa", "side", "dxa", "measured", "value"}
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


def body_region(text: str) -> tuple[str, str] | None:
    """Return the region that a free name names, in one spelling, and its side; None when it names none for sure.

    Examples
    --------
    >>> body_region("Left femoral neck BMD"), body_region("Structure of neck of femur"), body_region("AP Spine L1-L4")
    (('Neck', 'left'), ('Neck', ''), ('L1-L4', ''))
    >>> body_region("Neck pain") is None, body_region("Left") is None
    (True, True)
    """
    if vertebrae := known_region(text):
        return vertebrae, ""
    if exact := SPELLED.get(" ".join(text.casefold().split())):
        return exact, ""
    plain = re.sub(r"\b[tz][ -]?score\b", " ", text.casefold().replace("'s", "s"))
    words = [word for word in re.findall(r"[a-z0-9/%]+", plain) if word not in _SAYING_NOTHING]
    if exact := SPELLED.get(" ".join(words)):
        return exact, ""
    sides = {_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS}
    named = frozenset(word for word in words if word not in _SIDE_WORDS)
    if named in _OF_A_SIDE and len(sides) == 1:
        return _OF_A_SIDE[named][sides.pop()], ""
    region = _WORDS.get(named)
    return (region, sides.pop() if sides else "") if region and len(sides) <= 1 else None


def side_in(text: str) -> str:
    """Return ``left`` or ``right`` where a text says one of them, else nothing."""
    sides = {word for word in re.findall(r"[a-z]+", text.casefold()) if word in {"left", "right"}}
    return sides.pop() if len(sides) == 1 else ""


def verbatim_region(text: str) -> str:
    """Return a name as it stands, without the words that only say bone density; empty when nothing is left."""
    return " ".join(_DENSITY_WORDS.sub(" ", text).split()).strip(" -:,;")[:MAX_LENGTH]


def anatomy_of(text: str) -> Anatomy:
    """Return the part of the body that a region's or body part's name belongs to."""
    return next((anatomy for anatomy, words in _ANATOMY_WORDS if words.search(text)), Anatomy.UNKNOWN)


def _spelled(match: re.Match[str]) -> str:
    first, last = f"{match[1].upper()}{int(match[2])}", match[4]
    return f"{first}-{(match[3] or match[1]).upper()}{int(last)}" if last else first
