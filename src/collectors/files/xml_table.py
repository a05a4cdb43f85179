"""Rows of an XML file, streamed: each element of one name is a row, its children and attributes are columns."""

from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from collectors.files.column_map import ColumnMap, Name
from collectors.files.errors import HeaderError, OverLimitError, RowError, UnreadableFileError
from collectors.files.settings import FilesSettings
from collectors.files.tables import Cell, Row, check_columns, check_rows, shortened, too_long

_DEEPEST: Final = 32


def xml_rows(file: BinaryIO, column_map: ColumnMap, limits: FilesSettings) -> Iterator[Row]:
    """Yield the rows of an XML file; a row's line is its number among the rows.

    Raises
    ------
    UnreadableFileError, HeaderError, OverLimitError
        The file is refused: entities and document types are never read.
    """
    shape = column_map.xml
    assert shape is not None  # noqa: S101 - who calls has looked
    missing, count = set(column_map.names), 0
    try:
        for count, element in enumerate(_elements(file, shape.row, limits), 1):
            check_rows(count, limits)
            row = _row(count, element, column_map, limits)
            missing -= {name for name, cell in row.cells.items() if cell is not None}
            yield row
    except DefusedXmlException as error:
        raise UnreadableFileError("the XML declares entities or a document type, which are never read") from error
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableFileError("the file cannot be read as XML") from error
    if count == 0:
        raise HeaderError(f'there is no element "{shape.row}"')
    for name in missing & set(column_map.columns.values()):
        raise HeaderError(f'no "{shape.row}" has "{name}"')


def _elements(file: BinaryIO, row: str, limits: FilesSettings) -> Iterator[Element]:
    """Yield each element that is a row, whole; what is outside of rows is dropped as it ends."""
    above: list[Element] = []
    inside, size = 0, 0
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            if len(above) >= _DEEPEST:
                raise OverLimitError(f"the XML is more than {_DEEPEST} elements deep")
            above.append(element)
            size = size + 1 if inside else 0
            check_columns(size, limits)
            if _local(element.tag) == row:
                inside += 1
            continue
        above.pop()
        if _local(element.tag) == row:
            inside -= 1
            if not inside:
                yield element
        if not inside and above:
            above[-1].remove(element)


def _row(number: int, element: Element, column_map: ColumnMap, limits: FilesSettings) -> Row:
    found: dict[str, str] = {}
    values = list(_values(element, ""))
    twice = False
    for name, text in values:
        twice = twice or (name in found and name in column_map.names)
        found.setdefault(name, text)
    check_columns(len(found), limits)
    texts = tuple(f"{name}={text}" for name, text in values)
    fault = too_long([text for _, text in values], limits)
    if fault is not None:
        return Row(number, {}, shortened(texts, limits), fault)
    if twice:
        return Row(number, {}, texts, RowError("cells", "a column that the map names is there twice"))
    cells: dict[Name, Cell] = {name: found.get(str(name)) for name in column_map.names}
    return Row(number, cells, texts)


def _values(element: Element, path: str) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of all that stands in an element."""
    for name, text in element.attrib.items():
        yield f"{path}@{_local(name)}", text
    for child in element:
        name = f"{path}{_local(child.tag)}"
        yield name, (child.text or "").strip()
        yield from _values(child, f"{name}/")


def _local(tag: object) -> str:
    """Return a name without its namespace."""
    return str(tag).rpartition("}")[2]
