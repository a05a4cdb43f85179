"""The layouts that are known: which a page has, and what it says."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from collectors.printed import ge, hologic, norland
from collectors.printed.errors import DateError, MissingError
from collectors.printed.page import Page
from collectors.printed.scan import PrintedScan, Printer, check_adds_up
from collectors.printed.settings import DateOrder, LayoutName


class Layout(msgspec.Struct, frozen=True):
    """One make's way to print a report."""

    is_mine: Callable[[Page], bool]
    printer: Callable[[Page], Printer]
    read: Callable[[Page, DateOrder], tuple[PrintedScan, ...]]


LAYOUTS: Final[Mapping[LayoutName, Layout]] = {
    "hologic-apex": Layout(hologic.is_mine, hologic.printer, hologic.read),
    "ge-encore": Layout(ge.is_mine, ge.printer, ge.read),
    "norland-illuminatus": Layout(norland.is_mine, norland.printer, norland.read),
}


def layout_of(page: Page) -> LayoutName | None:
    """Return the layout that a page has, or None; a page that could be of two has none."""
    found: list[LayoutName] = [name for name, layout in LAYOUTS.items() if layout.is_mine(page)]
    return found[0] if len(found) == 1 else None


def read_scans(page: Page, name: LayoutName, order: DateOrder) -> tuple[PrintedScan, ...]:
    """Return the checked scans of a page.

    Raises
    ------
    MissingError, DateError, DoesNotAddUpError
        The page is refused whole.
    """
    scans = LAYOUTS[name].read(page, order)
    for scan in scans:
        if not scan.patient_id:
            raise MissingError("patient id")
        if scan.analysed and scan.analysed.at < scan.scanned.at:
            raise DateError
    check_adds_up(tuple(dict.fromkeys(row for scan in scans for row in scan.rows)))
    own = (tuple(row for row in scan.rows if row.is_measured) for scan in scans)
    return tuple(msgspec.structs.replace(scan, rows=rows) for scan, rows in zip(scans, own, strict=True))
