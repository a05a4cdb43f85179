"""Says what would be read of one printed report, for a person who has just set up printing; records nothing.

It names phantoms, never a patient.
"""

from collections.abc import Iterator
from typing import NamedTuple

from bonewatch.configuration.sections import Config
from bonewatch.printed_reports import printing_scanners
from collectors.errors import CollectorError
from collectors.printed.errors import UnknownLayoutError
from collectors.printed.layouts import LAYOUTS, layout_of, read_scans
from collectors.printed.page import Page
from collectors.printed.pdf import read_pages
from collectors.printed.scan import PrintedRow, PrintedScan
from streams.policy import DevicePolicy


class Said(NamedTuple):
    """One line for a person, and whether it is good news."""

    words: str
    is_good: bool = True


def look_at(data: bytes, config: Config) -> Iterator[Said]:
    """Yield what each page says, or why it would be refused."""
    try:
        pages = read_pages(data, max_pages=config.printed.max_pages, timeout_s=config.printed.timeout_s)
    except CollectorError as error:
        yield Said(f"refused ({error.code}): {error}", is_good=False)
        return
    for number, page in enumerate(pages, start=1):
        yield Said(f"Page {number} of {len(pages)}: {sum(len(line.words) for line in page.lines)} words")
        try:
            yield from _page(page, config)
        except CollectorError as error:
            yield Said(f"  refused ({error.code}): {error}", is_good=False)


def _page(page: Page, config: Config) -> Iterator[Said]:
    name = layout_of(page)
    if name is None:
        raise UnknownLayoutError
    printer = LAYOUTS[name].printer(page)
    yield Said(f"  {name}, model {printer.model or '(not printed)'}, serial number {printer.serial}")
    scanners = printing_scanners(config).items()
    found = next(((key, one) for key, one in scanners if one.is_printer(name, printer)), None)
    if found is None:
        yield Said("  no device of the configuration has these: see model, serial and layout", is_good=False)
        return
    key, scanner = found
    yield Said(f"  is {key}")
    for scan in read_scans(page, name, scanner.settings.date_order):
        yield from _scan(scan, scanner.policy)


def _scan(scan: PrintedScan, policy: DevicePolicy) -> Iterator[Said]:
    phantom = policy.phantom(scan.patient_id)
    whose = f"phantom {phantom.patient_id}" if phantom else "a patient, or a phantom that is not configured"
    at = f"{scan.scanned.at:%d %B %Y}" + (f" {scan.scanned.at:%H:%M:%S}" if scan.scanned.has_time else "")
    analysed = f", analysed {scan.analysed.at:%d %B %Y %H:%M:%S}" if scan.analysed else ""
    yield Said(f"  {whose}; scanned {at}{analysed}; software {scan.software or '(not printed)'}")
    if scan.k is not None:
        yield Said(f"  k = {scan.k}, d0 = {scan.d0}")
    yield from (Said(f"    {_row(row)}") for row in scan.rows)
    if phantom and phantom.region not in {row.region for row in scan.rows}:
        yield Said(f"  the phantom's region {phantom.region} is not there", is_good=False)


def _row(row: PrintedRow) -> str:
    where = f"{row.region} {row.side}".strip()
    return f"{where:14} {row.area_cm2} cm2  {row.bmc_g} g  {row.bmd_g_cm2} g/cm2"
