"""Norland reports, after one of Illuminatus 4.7.5 (reference 1.5 of the protocols; identities were blanked)."""

import hashlib
from typing import Final

import msgspec

from collectors.printed.dates import read_stamp
from collectors.printed.errors import MissingError
from collectors.printed.page import Page
from collectors.printed.scan import PrintedRow, PrintedScan, Printer
from collectors.printed.settings import DateOrder
from collectors.printed.table import measured_rows

_MINE: Final = r"\bNorland\b|\bIlluminatus\b"
_MODEL: Final = r"\b(?:Norland )?(Elite|XR-\d{2,3}|Excell(?: ?Plus)?|Eclipse)\b"
_SYSTEM: Final = r"\bRev\. ?([\d./]+) +Calib\. ?(\d.*?) +S/N ?([A-Za-z0-9-]+)"
_SCAN: Final = r"(?:^|  )([A-Za-z][A-Za-z ]{1,30}?) on: *(\d.*?)(?=  |$)"


def is_mine(page: Page) -> bool:
    """Whether this is such a page."""
    return page.find(_MINE) is not None


def printer(page: Page) -> Printer:
    """Return the scanner's serial number, and its model where it is printed."""
    system, model = page.find(_SYSTEM), page.find(_MODEL)
    if system is None:
        raise MissingError("serial number")
    return Printer(model[1] if model else "", system[3])


def read(page: Page, order: DateOrder) -> tuple[PrintedScan, ...]:
    """Return the scan of a page. No time of analysis is printed: other values of one scan are another analysis."""
    rows, system, found = measured_rows(page), page.find(_SYSTEM), page.find(_SCAN)
    if not rows or system is None or found is None:
        raise MissingError("results table with the time of the scan")
    scanned = read_stamp(found[2], order)
    if not scanned.has_time:
        raise MissingError("time of the scan")
    scan = PrintedScan(
        patient_id=page.field("ID"),
        patient_name=page.field("Name"),
        scan_id=f"{scanned.at:%Y%m%dT%H%M%S}",
        scanned=scanned,
        analysis=_digest(rows),
        analysed=None,
        rows=rows,
        software=system[1],
        scan_type=found[1].strip(),
        calibrated=read_stamp(system[2], order),
    )
    return (scan,)


def _digest(rows: tuple[PrintedRow, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()[:16]
