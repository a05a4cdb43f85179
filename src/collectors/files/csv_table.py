"""Rows of a CSV file, written as its map states."""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from typing import BinaryIO, Final

from collectors.files.column_map import ColumnMap, CsvShape
from collectors.files.errors import EncodingError, HeaderError, OverLimitError, RowError
from collectors.files.settings import FilesSettings
from collectors.files.tables import Columns, Row, check_columns, check_rows, shortened, too_long

_LINE_CHARACTERS: Final = 1_000_000
"""A line that never ends cannot grow our memory."""
_RECORD_LINES: Final = 50
"""So many lines may one record have; more, and a quote was never closed."""
_MARKED: Final = {"utf-8": "utf-8-sig"}
"""A byte order mark at the start is no part of the first column's name."""


def csv_rows(file: BinaryIO, column_map: ColumnMap, limits: FilesSettings) -> Iterator[Row]:
    """Yield the rows of a CSV file.

    Raises
    ------
    EncodingError, HeaderError, OverLimitError
        The file is refused.
    """
    shape = column_map.csv
    assert shape is not None  # noqa: S101 - who calls has looked
    records = _Records(_lines(file, shape.encoding), shape)
    columns = None if shape.header else Columns(column_map.names, (), limits.max_columns)
    count = 0
    for line, cells in records:
        if columns is not None:
            records.row_width = columns.reach if shape.short_rows or not shape.header else columns.width
        if isinstance(cells, str):
            count += 1
            fault = RowError("quotes", "its quotes do not fit, or a cell does not end")
            yield Row(line, {}, (cells[: limits.max_cell * limits.max_columns],), fault)
        elif any(cells):
            check_columns(len(cells), limits)
            if columns is None:
                columns = Columns(column_map.names, cells, len(cells))
                continue
            count += 1
            yield _row(line, cells, columns, shape, limits)
        check_rows(count, limits)
    if columns is None:
        raise HeaderError("the file has no header")


def _row(line: int, cells: list[str], columns: Columns, shape: CsvShape, limits: FilesSettings) -> Row:
    fault = too_long(cells, limits)
    if fault is None and shape.header and (len(cells) < columns.width and not shape.short_rows):
        fault = RowError("cells", f"it has {len(cells)} cells, the header has {columns.width}")
    if fault is None and shape.header and any(cell.strip() for cell in cells[columns.width :]):
        fault = RowError("cells", f"it has {len(cells)} cells, the header has {columns.width}")
    if fault is not None:
        return Row(line, {}, shortened(cells, limits), fault)
    return Row(line, columns.of(cells), tuple(cells))


class _Records:
    """Records, each with the line that it begins at: its cells, or the line as it stands where its quotes do not fit.

    A quote that nobody closes must not take the rows below it along: such a record ends with its first line, and the
    next begins at the second. Cells of several lines are taken where none of the lines could be a row.
    """

    def __init__(self, lines: Iterator[str], shape: CsvShape) -> None:
        self._lines, self._shape = lines, shape
        self._ahead = deque[str]()
        self._skipped = sum(1 for _ in islice(lines, max(shape.header - 1, 0)))
        self.row_width = 0
        """So many cells make a row; 0 as long as nobody knows."""

    def __iter__(self) -> Iterator[tuple[int, list[str] | str]]:
        begins = self._skipped + 1
        while True:
            taken: list[str] = []
            try:
                cells = next(self._reader(taken))
            except StopIteration:
                return
            except csv.Error:
                cells = None
            if cells is None or self._holds_a_row(taken):
                self._ahead.extendleft(reversed(taken[1:]))
                yield begins, taken[0].rstrip("\r\n")
                begins += 1
            else:
                yield begins, cells
                begins += len(taken)

    def _reader(self, taken: list[str]) -> Iterator[list[str]]:
        return csv.reader(
            self._told(taken),
            delimiter=self._shape.delimiter,
            quotechar=self._shape.quote or None,
            quoting=csv.QUOTE_MINIMAL if self._shape.quote else csv.QUOTE_NONE,
            strict=True,
        )

    def _told(self, taken: list[str]) -> Iterator[str]:
        """Yield the lines that a record may have, and tell which it took."""
        while len(taken) < _RECORD_LINES:
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None:
                return
            taken.append(line)
            yield line

    def _holds_a_row(self, taken: list[str]) -> bool:
        """Whether a line after a record's first could be a row; the last ends a cell that begins the record."""
        begins_quoted = bool(self._shape.quote) and taken[0].startswith(self._shape.quote)
        inner = taken[1:-1] if begins_quoted else taken[1:]
        return self.row_width > 1 and any(line.count(self._shape.delimiter) + 1 >= self.row_width for line in inner)


def _lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield decoded lines of bounded length."""
    name = codecs.lookup(encoding).name
    text = TextIOWrapper(file, _MARKED.get(name, name), errors="strict", newline="")
    try:
        while line := text.readline(_LINE_CHARACTERS):
            if len(line) >= _LINE_CHARACTERS:
                raise OverLimitError("a line has more than a million characters")
            yield line
    except UnicodeError as error:
        raise EncodingError(f"the file is not in {encoding}: state its encoding in the map") from error
    finally:
        if not file.closed:  # who reads it may have given up
            text.detach()
