"""Rows out of a file, as cells: what is the same for CSV, workbooks and XML.

A reader yields a row at a time and holds no more than that. What is wrong with one row is the row's fault; what is
wrong with the file ends the reading.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import BinaryIO, NamedTuple

from collectors.files.column_map import ColumnMap, Name
from collectors.files.errors import HeaderError, OverLimitError, RowError
from collectors.files.settings import FilesSettings

Cell = str | int | float | datetime | date | time | None


class Row(NamedTuple):
    """One row: its line (of an XML: which row it is), the cells that the map looks at, and all of it as text.

    A row with a `fault` has no cells.
    """

    line: int
    cells: Mapping[Name, Cell]
    texts: tuple[str, ...]
    fault: RowError | None = None


Reader = Callable[[BinaryIO, ColumnMap, FilesSettings], Iterator[Row]]


class Columns:
    """Where the columns of a map stand in a table with a header, or without one.

    Raises
    ------
    HeaderError
        A column is not there, or several have its name.
    """

    def __init__(self, names: Sequence[Name], header: Sequence[str], width: int) -> None:
        titles = [" ".join(title.split()) for title in header]
        self._places: dict[Name, int] = {}
        self.width = width
        for name in names:
            if isinstance(name, int):
                self._places[name] = name - 1
                continue
            count = titles.count(" ".join(name.split()))
            if count != 1:
                several = f'the column "{name}" is there {count} times; give its number'
                raise HeaderError(several if count else f'there is no column "{name}" in the header')
            self._places[name] = titles.index(" ".join(name.split()))
        if self._places and max(self._places.values()) >= width:
            raise HeaderError(f"the file has {width} columns; the map names column {max(self._places.values()) + 1}")

    @property
    def reach(self) -> int:
        """How many cells a row has at least, if the map finds all its columns in it."""
        return max(self._places.values(), default=-1) + 1

    def of(self, cells: Sequence[Cell]) -> dict[Name, Cell]:
        """Return the cells that the map looks at; one beyond the end of a short row is empty."""
        return {name: cells[place] if place < len(cells) else None for name, place in self._places.items()}


def check_rows(count: int, limits: FilesSettings) -> None:
    """Refuse a file with too many rows."""
    if count > limits.max_rows:
        raise OverLimitError(f"the file has more than {limits.max_rows} rows (max_rows)")


def check_columns(count: int, limits: FilesSettings) -> None:
    """Refuse a file with too many columns."""
    if count > limits.max_columns:
        raise OverLimitError(f"the file has more than {limits.max_columns} columns (max_columns)")


def too_long(texts: Sequence[str], limits: FilesSettings) -> RowError | None:
    """Return what is wrong with a row that has an overlong cell."""
    if all(len(text) <= limits.max_cell for text in texts):
        return None
    return RowError("too_long", f"a cell has more than {limits.max_cell} characters (max_cell)")


def shortened(texts: Sequence[str], limits: FilesSettings) -> tuple[str, ...]:
    """Return what is kept of a faulty row's texts."""
    return tuple(text[: limits.max_cell] for text in texts[: limits.max_columns])
