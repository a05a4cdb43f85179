"""Names of the regions in printed tables; only these reach the log, never another text of a page."""

import re
from typing import Final

import msgspec

from collectors.printed.scan import DIFFERENCE, LEFT, MEAN, RIGHT, PrintedRow, vertebrae
from collectors.regions import SPELLED, known_region

_SIDES: Final = (
    (LEFT, re.compile(r"\bleft\b", re.IGNORECASE)),
    (RIGHT, re.compile(r"\bright\b", re.IGNORECASE)),
    (MEAN, re.compile(r"\bmean\b", re.IGNORECASE)),
    (DIFFERENCE, re.compile(r"\|?\bdiff(?:erence)?\b\.?\|?", re.IGNORECASE)),
)
_VERTEBRAE: Final = re.compile(r"[LT]\d{1,2}(?: ?[-\u2013,] ?[LT]?\d{1,2})*", re.IGNORECASE)


class Named(msgspec.Struct, frozen=True):
    """A row's region in one spelling, and its side."""

    region: str
    side: str

    @property
    def is_measured(self) -> bool:
        """Whether such a row is a region of a scan."""
        return self.side not in {MEAN, DIFFERENCE}


def named(label: str, group: str) -> Named | None:
    """Return what a row's label names; a side alone is one of the group that a row before it named.

    Examples
    --------
    >>> named("Total Left", "").side, named("Mean", "Neck").region, named("Comment", "") is None
    ('left', 'Neck', True)
    """
    side, rest = "", " ".join(label.split())
    for name, pattern in _SIDES:
        if pattern.search(rest):
            side, rest = name, " ".join(pattern.sub(" ", rest, count=1).split())
            break
    region = _region(rest) if rest else group if side else ""
    return Named(region, side) if region else None


def spine_total(rows: tuple[PrintedRow, ...]) -> tuple[PrintedRow, ...]:
    """Return the rows with the total of a spine's called by its vertebrae; the check of sums tells whether it is so."""
    single = [row.region for row in rows if len(vertebrae(row.region)) == 1]
    if not single:
        return rows
    name = known_region(f"{single[0]}-{single[-1]}" if _is_run(single) else ",".join(single)) or "Total"
    replace = msgspec.structs.replace
    return tuple(replace(row, region=name) if row.region == "Total" else row for row in rows)


def _is_run(single: list[str]) -> bool:
    return vertebrae(f"{single[0]}-{single[-1]}") == tuple(single)


def _region(text: str) -> str:
    if _VERTEBRAE.fullmatch(text):
        return known_region(text) or ""
    return SPELLED.get(text.casefold().strip(" :*"), "")
