"""Numbers as exports write them: figures and one stated decimal separator, nothing else."""

import math
import re
from decimal import Decimal
from typing import Final

from collectors.files.tables import Cell

_WRITTEN: Final = {mark: re.compile(rf"[+-]?\d{{1,9}}(?:{re.escape(mark)}\d{{1,12}})?") for mark in ".,"}


def decimal_from(cell: Cell, separator: str) -> Decimal | None:
    """Return a cell's number, exactly as written; None when it is none. A workbook's number has no separator.

    Examples
    --------
    >>> decimal_from("0,987", ","), decimal_from(1.023, ","), decimal_from("1.023", ",")
    (Decimal('0.987'), Decimal('1.023'), None)
    """
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return Decimal(repr(cell)) if math.isfinite(cell) else None
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    if not text.isascii() or not _WRITTEN[separator].fullmatch(text):
        return None
    return Decimal(text.replace(separator, "."))
