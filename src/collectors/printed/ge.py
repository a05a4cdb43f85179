"""GE Lunar reports, after one of enCORE 16 on a Prodigy (reference 1.5 of the protocols; identities were blanked)."""

import re
from typing import Final

from collectors.printed.dates import read_stamp
from collectors.printed.errors import DoesNotAddUpError, MissingError
from collectors.printed.page import Page
from collectors.printed.scan import PrintedRow, PrintedScan, Printer
from collectors.printed.settings import DateOrder
from collectors.printed.table import densities, measured_rows

_MINE: Final = r"ANCILLARY RESULTS|\bDensitometry ?:"
_MODEL: Final = r"\b(Lunar (?:Prodigy|iDXA|DPX)(?: [A-Z][a-z]+)*) +([A-Z]{2,3}\+\d+|[A-Z]{2}\d{4,})"
_VERSION: Final = re.compile(r"\(? *(\d{1,2}(?:\.\d+)*(?: *\[[A-Z]{1,3} *\d\])?)\)?\s*$")


def is_mine(page: Page) -> bool:
    """Whether this is such a page."""
    return page.find(_MINE) is not None


def printer(page: Page) -> Printer:
    """Return the scanner's model and serial number."""
    found = page.find(_MODEL)
    if found is None:
        raise MissingError("model and serial number")
    return Printer(found[1], found[2])


def read(page: Page, order: DateOrder) -> tuple[PrintedScan, ...]:
    """Return the scan of a page; the date on which the page was created says nothing."""
    rows = measured_rows(page)
    if not rows:
        raise MissingError("ancillary results with BMC and area")
    _check_densities(page, rows)
    measured, analysed = page.field("Measured"), page.field("Analyzed")
    scanned, analysis = read_stamp(measured, order), read_stamp(analysed, order)
    if not scanned.has_time:
        raise MissingError("time of the scan")
    version = _VERSION.search(analysed)
    kind, mode = page.find(r"ANCILLARY RESULTS ?: *(\S.*?)(?=  |$)"), page.find(r"Scan Mode ?: *([^;\n]+)")
    scan = PrintedScan(
        patient_id=page.field("Patient ID"),
        patient_name=page.field("Patient"),
        scan_id=f"{scanned.at:%Y%m%dT%H%M%S}",
        scanned=scanned,
        analysis=f"{analysis.at:%Y%m%dT%H%M%S}",
        analysed=analysis,
        rows=rows,
        software=version[1] if version else "",
        scan_type=kind[1].strip() if kind else "",
        scan_mode=mode[1].strip() if mode else "",
    )
    return (scan,)


def _check_densities(page: Page, rows: tuple[PrintedRow, ...]) -> None:
    """Refuse a page whose two tables give a region two densities."""
    other = densities(page)
    if any(other.get((row.region, row.side), row.bmd_g_cm2) != row.bmd_g_cm2 for row in rows):
        raise DoesNotAddUpError("the page's tables differ")
