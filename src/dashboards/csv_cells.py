"""Cells of CSV files: what a spreadsheet would take for a formula begins with an apostrophe."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - as some write them


def csv_from(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; times in ISO 8601, yes and no, lists with spaces, nothing for what is not known."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def cell(value: object) -> object:
    """Return a value as it stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return cell(" ".join(map(str, value)))
    is_formula = isinstance(value, str) and (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA))
    return f"'{value}" if is_formula else value
