"""The QC card: what the department does by hand while Bonewatch itself is down, with the limits of its printing."""

from datetime import datetime
from zoneinfo import ZoneInfo

from dashboards.paper.sheet import EMPTY, Box, Sheet, full_time
from streams.readings import DeviceView, PhantomStatus

_DAYS = 2
_PATIENTS = 10


def qc_card(view: DeviceView, *, site_name: str, zone: ZoneInfo, now: datetime) -> bytes:
    """Return a scanner's card as a PDF: two mornings of QC by hand, and lines for the patients scanned."""
    printed = full_time(now, zone)
    sheet = Sheet(f"QC card: {view.id}", f"{site_name}, {view.id}. Printed {printed}.", now)
    sheet.head(
        f"QC card of {view.id}",
        "For mornings on which Bonewatch does not answer. Switch the worklist to the direct RIS entry, do the QC below"
        " before the first patient, and enter all of it on the device's page when Bonewatch is back. Print a new card"
        " whenever a baseline is accepted.",
    )
    sheet.row(
        Box("Scanner", f"{view.make} {view.model}".strip(), 2),
        Box("Serial number", view.serial),
        Box("Ring", view.ring, 2),
    )
    for day in range(_DAYS):
        _morning(sheet, view, day)
    _patients(sheet)
    return bytes(sheet.output())


def _morning(sheet: Sheet, view: DeviceView, day: int) -> None:
    sheet.section(f"Morning {day + 1}", room_mm=60.0)
    sheet.row(Box("Date"), Box("Done by"), Box("Reviewed by"))
    choice = f"{EMPTY} passed    {EMPTY} failed: do not scan, ring"
    sheet.row(Box("Scanner's own QC, time"), Box("Result", choice, 2))
    for phantom in view.phantoms:
        sheet.row(Box(f"Phantom {phantom.patient_id} ({phantom.region}), time", share=1.4), *_phantom(phantom))
        sheet.row(Box("Repeat with repositioning, time", share=1.4), *_phantom(phantom))


def _phantom(phantom: PhantomStatus) -> tuple[Box, Box]:
    if phantom.lower is None or phantom.upper is None:
        return Box("BMD in g/cm²"), Box("Limits", "No baseline: do not scan patients, ring", 1.6)
    limits = f"{phantom.lower:.4f} to {phantom.upper:.4f}"
    words = f"{limits}    {EMPTY} inside    {EMPTY} outside: repeat once, then ring"
    return Box("BMD in g/cm²"), Box(f"Limits of epoch {phantom.epoch}, g/cm²", words, 1.6)


def _patients(sheet: Sheet) -> None:
    sheet.section(
        "Patients scanned meanwhile",
        "By the request's number alone: no name belongs on this card. When Bonewatch is back, compare the list with its"
        " report of the gap.",
    )
    for _ in range(_PATIENTS // 2):
        sheet.row(*(Box(label) for _ in range(2) for label in ("Request (accession) number", "Time")))
