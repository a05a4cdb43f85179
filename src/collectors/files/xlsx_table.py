"""Rows of a workbook's sheet, streamed; formulas are read by the value that the workbook caches."""

import itertools
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time
from typing import BinaryIO, Final

from openpyxl import DEFUSEDXML, load_workbook
from openpyxl.workbook import Workbook

from collectors.errors import CollectorError
from collectors.files.column_map import ColumnMap
from collectors.files.errors import HeaderError, OverLimitError, UnreadableFileError
from collectors.files.settings import FilesSettings
from collectors.files.tables import Cell, Columns, Row, check_columns, check_rows, shortened, too_long

_MEMBERS: Final = 1_000
_RATIO: Final = 200
"""Nothing in a workbook of measurements packs better than so many to one."""
_SMALL: Final = 1024 * 1024
_LINES: Final = 1_048_576
"""No sheet has more lines, whatever the numbers of its rows say."""

warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")  # of styles, and of what cells hold

assert DEFUSEDXML, "openpyxl must read its XML through defusedxml"  # noqa: S101 - a wrong installation does not start


def xlsx_rows(file: BinaryIO, column_map: ColumnMap, limits: FilesSettings) -> Iterator[Row]:
    """Yield the rows of a workbook's sheet.

    Raises
    ------
    UnreadableFileError, HeaderError, OverLimitError
        The file is refused.
    """
    shape = column_map.xlsx
    assert shape is not None  # noqa: S101 - who calls has looked
    try:
        _check_zip(file, limits)
        with closing(load_workbook(file, read_only=True, data_only=True, keep_links=False)) as book:
            rows = _cells(book, shape.sheet, limits)
            yield from _rows(rows, column_map, shape.header, limits)
    except CollectorError:
        raise
    except Exception as error:  # whatever the library meets in a damaged workbook, or in one made to do harm
        raise UnreadableFileError("the file cannot be read as a workbook (.xlsx)") from error


def _rows(rows: Iterator[Sequence[Cell]], column_map: ColumnMap, header: int, limits: FilesSettings) -> Iterator[Row]:
    titles = next(itertools.islice(rows, header - 1, None), None) if header else ()
    if titles is None:
        raise HeaderError("the sheet has no header")
    width = len(titles) if header else limits.max_columns
    columns = Columns(column_map.names, [_text(title) for title in titles], width)
    count = 0
    for line, cells in enumerate(rows, header + 1):
        if line > _LINES:
            raise OverLimitError(f"the sheet has more than {_LINES} lines: it is no export")
        if all(cell is None for cell in cells):
            continue  # formatted, perhaps, down to the last line that a sheet can have
        count += 1
        check_rows(count, limits)
        check_columns(len(cells), limits)
        texts = [_text(cell) for cell in cells]
        fault = too_long(texts, limits)
        kept = tuple(texts) if fault is None else shortened(texts, limits)
        yield Row(line, {} if fault else columns.of(cells), kept, fault)


def _cells(book: Workbook, sheet: str, limits: FilesSettings) -> Iterator[Sequence[Cell]]:
    if sheet not in book.sheetnames:
        raise HeaderError(f'there is no sheet "{sheet}"')
    found = book[sheet]
    found.reset_dimensions()  # what a sheet says of its own size is not to be believed
    for row in found.iter_rows(max_col=limits.max_columns + 1, values_only=True):
        if row.count(None) == len(row):
            yield ()  # there may be a million of them
            continue
        cells = [cell if isinstance(cell, str | int | float | datetime | date | time) else None for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        yield cells


def _check_zip(file: BinaryIO, limits: FilesSettings) -> None:
    """Refuse a workbook that unpacks to too much; an archive's reader stops at the sizes that it states."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > _MEMBERS or unpacked > limits.max_unpacked_bytes:
        raise OverLimitError(
            f"the workbook unpacks to more than {limits.max_unpacked_bytes} bytes (max_unpacked_bytes)"
        )
    if unpacked > max(_SMALL, _RATIO * packed):
        raise OverLimitError("the workbook is packed beyond measure: it is no export")
    file.seek(0)


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell)
