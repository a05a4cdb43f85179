"""Hologic APEX reports, after one of APEX 5.5 (reference 1.5 of the protocols; identities were blanked)."""

import re
from decimal import Decimal
from typing import Final

from collectors.printed.dates import read_stamp
from collectors.printed.errors import MissingError
from collectors.printed.page import Page
from collectors.printed.scan import LEFT, RIGHT, PrintedRow, PrintedScan, Printer
from collectors.printed.settings import DateOrder
from collectors.printed.table import measured_rows

_MINE: Final = r"DXA Results Summary"
_MODEL: Final = r"\bModel ?: *((?:Horizon|Discovery|Delphi|Explorer|QDR)[A-Za-z0-9 ]*?) *\(S/N *([A-Za-z0-9-]+)\)"
_CONSTANTS: Final = r"\bk ?= ?(\d+\.\d+), *d0 ?= ?(\d+\.\d+)"
_VERSION: Final = r"(?:Version|V:) ?(\d[\d.]*)"
_SCAN_ID: Final = re.compile(r"[A-Z]\d{8,10}[A-Z]?")
_SIDE: Final = (
    r"\b{side} ?- ?Scan Id ?: ?(?P<id>[A-Z0-9]+) .*?Analysis ?: ?(?P<analysis>.*?)"
    r"(?P<version>V:\d[\d.]*)?(?= +Operator|$)"
)


def is_mine(page: Page) -> bool:
    """Whether this is such a page."""
    return page.find(_MINE) is not None


def printer(page: Page) -> Printer:
    """Return the scanner's model and serial number."""
    found = page.find(_MODEL)
    if found is None:
        raise MissingError("model and serial number")
    return Printer(" ".join(found[1].split()), found[2])


def read(page: Page, order: DateOrder) -> tuple[PrintedScan, ...]:
    """Return the scans of a page: one, or one for each hip."""
    rows = measured_rows(page)
    if not rows:
        raise MissingError("results table")
    if {LEFT, RIGHT} <= {row.side for row in rows}:
        return tuple(_of_side(page, side, rows, order) for side in (LEFT, RIGHT))
    scan_id = page.field("ID")
    if not _SCAN_ID.fullmatch(scan_id):
        raise MissingError("scan id")
    constants = page.find(_CONSTANTS)
    return (_scan(page, order, rows=rows, scan_id=scan_id, analysis=page.field("Analysis"), constants=constants),)


def _of_side(page: Page, side: str, rows: tuple[PrintedRow, ...], order: DateOrder) -> PrintedScan:
    """Return one hip's scan; its footer names it, and the constants of left and right stand below each other."""
    footer = page.find(_SIDE.format(side=side))
    if footer is None or not _SCAN_ID.fullmatch(footer["id"]):
        raise MissingError("scan id of a side")
    constants = page.find(rf"\b{side}\b[^\n]*?{_CONSTANTS}")
    own = tuple(row for row in rows if row.side == side or not row.is_measured)
    analysis = f"{footer['analysis']} {footer['version'] or ''}"
    return _scan(page, order, rows=own, scan_id=footer["id"], analysis=analysis, constants=constants)


def _scan(
    page: Page,
    order: DateOrder,
    *,
    rows: tuple[PrintedRow, ...],
    scan_id: str,
    analysis: str,
    constants: re.Match[str] | None,
) -> PrintedScan:
    analysed = read_stamp(analysis, order)
    version = re.search(_VERSION, analysis)
    return PrintedScan(
        patient_id=page.field("Patient ID"),
        patient_name=page.field("Name"),
        scan_id=scan_id,
        scanned=read_stamp(page.field("Scan Date"), order),
        analysis=f"{analysed.at:%Y%m%dT%H%M%S}",
        analysed=analysed,
        rows=rows,
        software=version[1] if version else "",
        scan_type=page.field("Scan Type").removeprefix("a "),
        k=Decimal(constants[1]) if constants else None,
        d0=Decimal(constants[2]) if constants else None,
    )
