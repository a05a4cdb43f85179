"""One file, read whole before any of it is recorded: what was understood, what rejected, what stands there twice."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

import msgspec

from collectors.files.column_map import ColumnMap
from collectors.files.csv_table import csv_rows
from collectors.files.errors import RowError
from collectors.files.rows import Mapped, Mapper
from collectors.files.settings import FilesSettings
from collectors.files.tables import Row
from collectors.files.xml_table import xml_rows

CONFLICT: Final = "conflict"
NEVER_WHOLE: Final = frozenset({"quotes", "too_long"})
"""Of rows that are rejected for this, some may be missing from what is kept of them."""
_TOLD_REPEATS: Final = 1_000


class Reject(msgspec.Struct, frozen=True):
    """A row that was not recorded: its line, why, and what stands in it. The texts may be a patient's."""

    line: int
    code: str
    reason: str
    texts: tuple[str, ...] = ()


class Content(msgspec.Struct):
    """What one file says; `taken` in order of time.

    `repeats` are the lines that say once more what another line of the file says: theirs, and the other's.
    `rejects` are the first of those that were `rejected`, which counts all by code.
    """

    rows: int = 0
    left_out: int = 0
    repeated: int = 0
    taken: list[Mapped] = []
    repeats: list[tuple[int, int]] = []
    rejects: list[Reject] = []
    rejected: Counter[str] = msgspec.field(default_factory=Counter)

    def reject(self, reject: Reject, limits: FilesSettings) -> None:
        """Count a rejected row, and keep it if there is room."""
        self.rejected[reject.code] += 1
        if len(self.rejects) < limits.max_rejects:
            self.rejects.append(reject)


def read_content(
    file: BinaryIO,
    column_map: ColumnMap,
    mapper: Mapper,
    limits: FilesSettings,
    *,
    on_row: Callable[[int], None] = lambda _count: None,
) -> Content:
    """Return what a file says; `on_row` is told how many rows were read so far.

    Raises
    ------
    FileRefusedError
        The file as a whole cannot be read, or exceeds a limit.
    """
    content, known = Content(), dict[str, Mapped]()
    for row in _rows(file, column_map, limits):
        content.rows += 1
        on_row(content.rows)
        try:
            mapped = mapper.mapped(row)
        except RowError as error:
            content.reject(Reject(row.line, error.code, error.reason, row.texts), limits)
            continue
        if mapped is None:
            content.left_out += 1
            continue
        first = known.setdefault(mapped.draft.event_id, mapped)
        if first.draft != mapped.draft:
            reason = f"line {first.line} of this file says otherwise of the same measurement"
            content.reject(Reject(row.line, CONFLICT, reason, row.texts), limits)
        elif first is not mapped:
            content.repeated += 1
            if len(content.repeats) < _TOLD_REPEATS:
                content.repeats.append((row.line, first.line))
    content.taken = sorted(known.values(), key=lambda one: (one.measured_at, one.line))
    return content


def _rows(file: BinaryIO, column_map: ColumnMap, limits: FilesSettings) -> Iterator[Row]:
    if column_map.csv:
        return csv_rows(file, column_map, limits)
    if not column_map.xlsx:
        return xml_rows(file, column_map, limits)
    from collectors.files.xlsx_table import xlsx_rows  # noqa: PLC0415 - a site without workbooks starts sooner

    return xlsx_rows(file, column_map, limits)
