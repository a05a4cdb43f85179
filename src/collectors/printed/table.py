"""The results table of a page: columns by their headings, values by their place.

Values are given to columns by where they stand, so that an empty column shifts nothing, and columns may come in any
order.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from collectors.printed.errors import MissingError
from collectors.printed.page import Line, Page, Word, cells
from collectors.printed.regions import Named, named, spine_total
from collectors.printed.scan import PrintedRow


class Column(StrEnum):
    """What a column holds."""

    BMD = "BMD"
    BMC = "BMC"
    AREA = "area"
    T_SCORE = "T-score"
    Z_SCORE = "Z-score"


_HEADINGS: Final = (
    (Column.BMD, re.compile(r"\bBMD\b", re.IGNORECASE)),
    (Column.BMC, re.compile(r"\bBMC\b", re.IGNORECASE)),
    (Column.AREA, re.compile(r"\bArea\b", re.IGNORECASE)),
    (Column.T_SCORE, re.compile(r"\bT *-( *score)?", re.IGNORECASE)),
    (Column.Z_SCORE, re.compile(r"\bZ *-( *score)?", re.IGNORECASE)),
)
_OTHER_UNIT: Final = re.compile(r"\bmg\b|mg/|cm\W?3|mm", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?\d{0,4}[.,]?\d{1,4}")
_MEASURED: Final = (Column.BMD, Column.BMC, Column.AREA)
_HEADING_LINES: Final = 1.6
"""Heights of a line between the lines of a heading."""
_NEXT_LINE: Final = 3.5
"""Heights of a line without a row that end a table."""
_WIDEST_GAP: Final = 130.0
"""Points between two headings of one table."""
_BEYOND: Final = 25.0
"""Points that the values of the last column may reach beyond its heading."""


class _Heading(msgspec.Struct, frozen=True):
    """The headings of one table, from the left; `kinds` says what we know of each."""

    cells: tuple[Word, ...]
    kinds: tuple[Column | None, ...]
    base: float

    @property
    def left(self) -> float:
        return self.cells[0].left - _BEYOND

    @property
    def right(self) -> float:
        return self.cells[-1].right + _BEYOND

    def column(self, word: Word) -> int:
        """Return the column that a value stands in: the one it overlaps most, else the nearest."""
        places = range(1, len(self.cells))
        return min(places, key=lambda place: (-_overlap(self.cells[place], word), _apart(self.cells[place], word)))


def measured_rows(page: Page) -> tuple[PrintedRow, ...]:
    """Return the rows of the first table that gives BMD, BMC and area; none when there is no such table.

    Raises
    ------
    MissingError
        A row or a heading cannot be read.
    """
    for rows in _tables(page, _MEASURED):
        return rows
    return ()


def densities(page: Page) -> dict[tuple[str, str], Decimal]:
    """Return BMD by region and side of the tables that give no BMC, to be compared with the one that does."""
    tables = (rows for rows in _tables(page, (Column.BMD,)) if all(row.bmc_g is None for row in rows))
    return {(row.region, row.side): row.bmd_g_cm2 for rows in tables for row in rows}


def _tables(page: Page, columns: Sequence[Column]) -> Iterator[tuple[PrintedRow, ...]]:
    for place, line in enumerate(page.lines):
        for word in line.words:
            if word.text.casefold().strip(":") == "region":
                heading = _heading(page, place, word)
                if heading and set(columns) <= set(heading.kinds):
                    yield spine_total(tuple(_rows(page, heading, required=columns)))


def _heading(page: Page, place: int, region: Word) -> _Heading | None:
    """Return the headings of the table whose first is `region`: of up to three lines, the fullest gives the columns."""
    reach = _HEADING_LINES * region.height
    near = [line for line in page.lines if abs(line.base - region.base) <= reach]
    lines = [found for line in near if (found := _connected(line, region, own=line is page.lines[place]))]
    base = max(lines, key=len)
    if base[0].left > region.right:
        base = (region, *base)
    texts = [[cell.text] for cell in base]
    for cell in (cell for line in lines if line is not base for cell in line):
        nearest = min(range(len(base)), key=lambda index: _apart(base[index], cell))
        texts[nearest].append(cell.text)
    if len(base) < 2:
        return None
    kinds = (None, *(_kind(" ".join(sorted(text, reverse=True))) for text in texts[1:]))
    known = [kind for kind in kinds if kind]
    if len(set(known)) != len(known):
        raise MissingError("table heading")
    return _Heading(base, kinds, max(line[0].base for line in lines))


def _connected(line: Line, region: Word, *, own: bool) -> tuple[Word, ...]:
    """Return the cells of one line of a heading, up to a gap too wide for one table; no line with a value in it."""
    found: list[Word] = []
    for cell in cells(line.within(region.left - 1, float("inf"))):
        if _NUMBER.fullmatch(cell.text) and cell.text != "2":
            return ()
        if found and cell.left - found[-1].right > _WIDEST_GAP:
            break
        if cell.text != "2":  # of cm2, printed higher
            found.append(cell)
    is_label = not own and found and found[0].left < region.right and named(found[0].text, "") is not None
    return () if is_label else tuple(found)


def _kind(heading: str) -> Column | None:
    kinds = [column for column, pattern in _HEADINGS if pattern.search(heading)]
    if len(kinds) > 1 or (kinds and kinds[0] in _MEASURED and _OTHER_UNIT.search(heading)):
        raise MissingError("table heading")
    return kinds[0] if kinds else None


def _rows(page: Page, heading: _Heading, *, required: Sequence[Column]) -> Iterator[PrintedRow]:
    group, last = "", heading.base
    for line in page.lines:
        words = line.within(heading.left, heading.right)
        if not words or words[0].base <= heading.base:
            continue
        if words[0].base - last > _NEXT_LINE * words[0].height:
            return
        label, values = _split(words, heading)
        where = named(label, group)
        if where is None:
            if all(column in values for column in required):
                raise MissingError("name of a region")
            return
        group, last = where.region, words[0].base
        if values:
            yield _row(where, values, required)


def _split(words: Sequence[Word], heading: _Heading) -> tuple[str, dict[Column, str]]:
    """Return a row's label and its values by column."""
    first = next((i for i, word in enumerate(words) if _is_value(word, heading)), len(words))
    label = " ".join(word.text for word in words[:first])
    values: dict[Column, str] = {}
    for word in words[first:]:
        column = heading.kinds[heading.column(word)]
        if column in values:
            raise MissingError(f"{column} of a region")
        if column and word.text not in {"-", "--"}:
            values[column] = word.text
    return label, values


def _is_value(word: Word, heading: _Heading) -> bool:
    plain = word.text.replace("\u2212", "-")
    return word.centre > heading.cells[0].right and (plain in {"-", "--"} or _NUMBER.fullmatch(plain) is not None)


def _row(where: Named, values: dict[Column, str], required: Sequence[Column]) -> PrintedRow:
    numbers = {column: _number(column, text) for column, text in values.items()}
    for column in required if where.is_measured else (Column.BMD,):
        if column not in numbers:
            raise MissingError(f"{column} of a region")
    return PrintedRow(
        region=where.region,
        side=where.side,
        bmd_g_cm2=numbers[Column.BMD],
        bmc_g=numbers.get(Column.BMC),
        area_cm2=numbers.get(Column.AREA),
        t_score=numbers.get(Column.T_SCORE),
        z_score=numbers.get(Column.Z_SCORE),
    )


def _number(column: Column, text: str) -> Decimal:
    plain = text.replace("\u2212", "-")
    if not _NUMBER.fullmatch(plain):
        raise MissingError(f"{column} of a region")
    return Decimal(plain.replace(",", "."))


def _overlap(one: Word, other: Word) -> float:
    return max(0.0, min(one.right, other.right) - max(one.left, other.left))


def _apart(one: Word, other: Word) -> float:
    return abs(one.centre - other.centre)
