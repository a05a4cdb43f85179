"""Rows of a CSV file, written as its map states."""

import codecs
import csv
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
    columns = None if shape.header else Columns(column_map.names, (), limits.max_columns)
    count = 0
    for line, cells in _records(file, shape):
        if isinstance(cells, RowError):
            count += 1
            yield Row(line, {}, (), cells)
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


def _records(file: BinaryIO, shape: CsvShape) -> Iterator[tuple[int, list[str] | RowError]]:
    """Yield each record with the line that it begins at; one with stray quotes is a fault of its own."""
    lines = _lines(file, shape.encoding)
    before = sum(1 for _ in islice(lines, max(shape.header - 1, 0)))
    reader = csv.reader(
        lines,
        delimiter=shape.delimiter,
        quotechar=shape.quote or None,
        quoting=csv.QUOTE_MINIMAL if shape.quote else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        begins = before + reader.line_num + 1
        try:
            yield begins, next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield begins, RowError("quotes", "its quotes do not fit, or a cell does not end")


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
        text.detach()
