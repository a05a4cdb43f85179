"""Ids of resources, which have 1 to 64 of ``A-Z a-z 0-9 - .``, from our names and back.

A letter, digit or ``-`` stands for itself, ``_`` is ``.u``, another byte of UTF-8 ``.xHH``; two points divide names.
"""

import re
from typing import Final

MOST: Final = 64
_OTHER: Final = re.compile(rb"[^A-Za-z0-9-]")
_ESCAPE: Final = re.compile(rb"\.(?:u|x([0-9a-f]{2}))")
_WHOLE: Final = re.compile(rb"(?:[A-Za-z0-9-]|\.u|\.x[0-9a-f]{2})*")
_DIVIDE: Final = ".."


def id_of(*names: str) -> str:
    """Return the id that names make up.

    Raises
    ------
    ValueError
        It would be longer than FHIR allows, or empty.

    Examples
    --------
    >>> id_of("a_b", "weight")
    'a.ub..weight'
    """
    found = _DIVIDE.join(_OTHER.sub(_escaped, name.encode()).decode() for name in names)
    if not 1 <= len(found) <= MOST:
        raise ValueError(f"an id of {len(found)} characters, where FHIR has 1 to {MOST}")
    return found


def names_of(given: str) -> tuple[str, ...] | None:
    """Return the names that make up an id; None for what `id_of` never makes."""
    if len(given) > MOST or not given.isascii():
        return None
    parts = [part.encode() for part in given.split(_DIVIDE)]
    if not all(_WHOLE.fullmatch(part) for part in parts):
        return None
    try:
        names = tuple(_ESCAPE.sub(_meant, part).decode() for part in parts)
        return names if "\x00" not in "".join(names) and id_of(*names) == given else None
    except ValueError:
        return None


def _escaped(match: re.Match[bytes]) -> bytes:
    return b".u" if match[0] == b"_" else b".x%02x" % match[0][0]


def _meant(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else b"_"
