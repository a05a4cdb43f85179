"""The column map: which rows of an export are what, and how its numbers, dates and words are written.

Nothing is guessed: format, encoding, delimiter, decimal separator, formats of dates, units and words are stated. See
``docs/connect/files.md`` for what a map may say.
"""

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

import msgspec

Name = str | int
"""A column by its header, or by its number, from 1."""

CELL: Final = "cell"
"""Instead of a format: the workbook's cell is a real date."""


class Kind(StrEnum):
    """What a row is."""

    PHANTOM = "phantom"
    VENDOR_QC = "vendor_qc"
    CHECK = "check"


MEASURED: Final[dict[Kind, str]] = {Kind.PHANTOM: "bmd", Kind.CHECK: "read"}
"""The field that has a unit."""


class _Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class CsvShape(_Shape, frozen=True):
    """How a CSV is written; `header` is the line of the column names, 0: there is none."""

    encoding: str
    delimiter: str
    quote: str = '"'
    header: int = 1
    short_rows: bool = False


class XlsxShape(_Shape, frozen=True):
    """Which sheet of a workbook, and the row of its column names, 0: there is none."""

    sheet: str
    header: int = 1


class XmlShape(_Shape, frozen=True):
    """The name of the element that is a row; columns are ``Child``, ``Child/Grandchild``, ``@attribute``."""

    row: str


class Dates(_Shape, frozen=True):
    """Formats of the time columns as of Python's strptime, or ``cell``; `time_zone` where it is not the site's."""

    date_time: str = ""
    date: str = ""
    time: str = ""
    time_zone: str = ""


class Only(_Shape, frozen=True):
    """Rows are taken only where a column has one of `values`, or none of `but`."""

    column: Name
    values: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


class Words(_Shape, frozen=True):
    """What stands in the file for passed and for failed."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]


class ColumnMap(_Shape, frozen=True, dict=True):
    """A map; `tried` says whether anybody has tried it on a vendor's export."""

    title: str
    kind: Kind
    decimal: Literal[".", ","]
    columns: dict[str, Name]
    dates: Dates
    csv: CsvShape | None = None
    xlsx: XlsxShape | None = None
    xml: XmlShape | None = None
    constants: dict[str, str] = {}
    units: dict[str, str] = {}
    only: tuple[Only, ...] = ()
    words: Words | None = None
    phantoms: dict[str, str] = {}
    regions: dict[str, str] = {}
    standards: dict[str, str] = {}
    tried: bool = False

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The columns that are looked at."""
        return tuple(dict.fromkeys((*self.columns.values(), *(one.column for one in self.only))))

    @cached_property
    def digest(self) -> str:
        """Another map has another digest."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    @property
    def unit(self) -> str:
        """The unit of what is measured."""
        return self.units.get(MEASURED.get(self.kind, ""), "")


def plain(text: str) -> str:
    """Return a word for comparison."""
    return " ".join(text.split()).casefold()
