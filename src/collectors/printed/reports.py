"""What becomes of a printed report, wherever its bytes come from: recorded and kept, or refused with a reason.

Nothing of a person leaves this module but a pseudonym and an accession number: logs, metrics and errors hold device
keys and our own codes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from prometheus_client import Counter

from collectors import metrics
from collectors.archive import folder_name, write_durably
from collectors.errors import (
    CollectorError,
    InternalError,
    JudgedImplausibleError,
    NoRoomError,
    NotThePhantomError,
)
from collectors.printed.errors import (
    ConflictingPageError,
    MixedReportError,
    UnknownLayoutError,
    UnknownPrinterError,
)
from collectors.printed.facts import SiteScan, patient_draft, phantom_drafts
from collectors.printed.layouts import LAYOUTS, layout_of, read_scans
from collectors.printed.page import Page
from collectors.printed.pdf import read_pages
from collectors.printed.scan import Printer
from collectors.printed.settings import LayoutName, PrintedDevice, PrintedSettings
from collectors.pseudonym import Pseudonyms, append_once
from collectors.quarantine import Quarantine
from collectors.safe_text import accession_number
from streams.messages import Draft, PhantomMeasured, PhantomScanRefused, Verdict, event_id
from streams.policy import DevicePolicy, Phantom
from streams.site import EventConflictError, Receipt, SiteError, SitePort, SiteUnavailableError

PRINTED: Final = Counter(
    "bonewatch_printed_reports_total", "Printed reports, by what became of them", ["device", "code"]
)
_ACCESSION_LABELS: Final = ("Accession Number", "Accession No", "Accession No.", "Accession #", "Accession")

_log: Final = structlog.get_logger("collectors.printed")


class PrintingScanner(msgspec.Struct, frozen=True):
    """A scanner whose reports are read."""

    policy: DevicePolicy
    settings: PrintedDevice

    def is_printer(self, layout: LayoutName, printer: Printer) -> bool:
        """Whether a page with this layout, model and serial number is this scanner's."""
        if layout != self.settings.layout or _plain(printer.serial) != _plain(self.policy.serial):
            return False
        own = set(self.policy.model.casefold().split())
        return not printer.model or own <= set(printer.model.casefold().split())


class Became(msgspec.Struct, frozen=True):
    """What became of a report. `may_go`: the sender's copy is not needed any more."""

    code: str
    device: str
    may_go: bool


class PrintedReports:
    """Takes printed reports; safe from one thread at a time.

    Parameters
    ----------
    site
        Where facts are recorded.
    scanners
        By device key (``site/device``).
    settings
        Limits of a file, and what becomes of it.
    zone
        The site's time zone: pages name none.
    data_dir
        Where phantoms' pages are archived, patients' kept encrypted, and the key of the pseudonyms lies.
    quarantine, patients
        Where refused pages, and patients' pages that were read, are kept encrypted until they expire.
    """

    def __init__(
        self,
        site: SitePort,
        scanners: Mapping[str, PrintingScanner],
        settings: PrintedSettings,
        *,
        zone: ZoneInfo,
        data_dir: Path,
        quarantine: Quarantine,
        patients: Quarantine,
    ) -> None:
        self._site, self._scanners, self._settings, self._zone = site, scanners, settings, zone
        self._archive = data_dir / "archive"
        self._pseudonyms = Pseudonyms(data_dir)
        self._quarantine, self._patients = quarantine, patients

    def receive(self, data: bytes, received_at: datetime) -> Became:
        """Take or refuse one PDF; what it became is durable when this returns."""
        became = self._receive(data, received_at)
        PRINTED.labels(became.device, became.code).inc()
        _log.info("printed_report", device=became.device, code=became.code)
        return became

    def drafts_in(self, data: bytes, device: str, phantom: Phantom | None) -> list[Draft]:
        """Return the facts of a report that came by another way than the folder; nothing is kept or recorded.

        Raises
        ------
        CollectorError
            It cannot be read, or is not of this device and this phantom (None: of a patient).
        """
        pages = self._pages(data)
        if self._device(pages) != device:
            raise UnknownPrinterError
        scans, accession = self._scans(device, pages)
        if self._scanners[device].policy.phantom(scans[0].scan.patient_id) != phantom:
            raise NotThePhantomError if phantom else MixedReportError
        return self._drafts(scans, phantom, accession)

    def _receive(self, data: bytes, received_at: datetime) -> Became:
        device, phantom = metrics.UNKNOWN_DEVICE, None
        try:
            pages = self._pages(data)
            device = self._device(pages)
            scans, accession = self._scans(device, pages)
            phantom = self._scanners[device].policy.phantom(scans[0].scan.patient_id)
            drafts = self._drafts(scans, phantom, accession)
            names = () if phantom else self._pseudonyms.all_of(scans[0].scan.patient_id)
            code = _became(self._append(drafts, names), drafts, phantom)
            return Became(code, device, self._disposed(device, phantom, code, data, received_at))
        except CollectorError as error:
            became = self._refuse(error, device, data, received_at)
            if phantom and isinstance(error, NotThePhantomError) and not isinstance(error, JudgedImplausibleError):
                self._record_refusal(error, device, phantom, data)
            return became
        except Exception as error:  # noqa: BLE001 - whatever it is, the page is kept and the site goes on
            _log.error("printed_report_failed", device=device, error=type(error).__name__)
            return self._refuse(InternalError(), device, data, received_at)

    def _pages(self, data: bytes) -> list[tuple[LayoutName, Page]]:
        """Return the pages that are reports; one with densities in no known layout refuses the file."""
        pages = read_pages(data, max_pages=self._settings.max_pages, timeout_s=self._settings.timeout_s)
        named = [(layout_of(page), page) for page in pages]
        if any(name is None and page.find(r"\bBMD\b") for name, page in named):
            raise UnknownLayoutError
        reports = [(name, page) for name, page in named if name is not None]
        if not reports:
            raise UnknownLayoutError
        return reports

    def _device(self, pages: Sequence[tuple[LayoutName, Page]]) -> str:
        """Return the key of the one scanner that all pages are of."""
        keys = set()
        for name, page in pages:
            printer = LAYOUTS[name].printer(page)
            keys.add(next((key for key, one in self._scanners.items() if one.is_printer(name, printer)), ""))
        if "" in keys:
            raise UnknownPrinterError
        if len(keys) > 1:
            raise MixedReportError
        return str(keys.pop())

    def _scans(self, device: str, pages: Sequence[tuple[LayoutName, Page]]) -> tuple[list[SiteScan], str]:
        """Return the scans of one person, and the request's number where one is printed."""
        settings = self._scanners[device].settings
        scans = [
            SiteScan(device, scan, self._zone)
            for name, page in pages
            for scan in read_scans(page, name, settings.date_order)
        ]
        labels = (settings.accession_field,) if settings.accession_field else _ACCESSION_LABELS
        fields = (accession_number(page.field(label)) for _, page in pages for label in labels)
        numbers = set(filter(None, fields))
        if len({site_scan.scan.patient_id for site_scan in scans}) > 1 or len(numbers) > 1:
            raise MixedReportError
        return scans, numbers.pop() if numbers else ""

    def _drafts(self, scans: Sequence[SiteScan], phantom: Phantom | None, accession: str) -> list[Draft]:
        found: dict[str, Draft] = {}
        for scan in scans:
            for draft in self._drafts_of(scan, phantom, accession):
                if found.setdefault(draft.event_id, draft) != draft:
                    raise ConflictingPageError
        return list(found.values())

    def _drafts_of(self, scan: SiteScan, phantom: Phantom | None, accession: str) -> list[Draft]:
        if phantom:
            return phantom_drafts(scan, phantom)
        pseudonym = self._pseudonyms.of(scan.scan.patient_id)
        settings = self._scanners[scan.device].settings
        return [patient_draft(scan, settings, accession_number=accession, pseudonym=pseudonym)]

    def _append(self, drafts: list[Draft], names: Sequence[str]) -> Receipt:
        try:
            return append_once(self._site, drafts, names)
        except EventConflictError as error:
            raise ConflictingPageError from error
        except SiteUnavailableError as error:
            raise NoRoomError from error

    def _disposed(self, device: str, phantom: Phantom | None, code: str, data: bytes, received_at: datetime) -> bool:
        """Keep the page where it is configured to be kept; return whether the sender's copy may go."""
        wanted = self._settings.phantoms if phantom else self._settings.patients
        if wanted != "keep":
            return wanted == "delete"
        if phantom:
            folder = self._archive / folder_name(device) / f"{received_at:%Y}" / f"{received_at:%m}"
            try:
                write_durably(folder / f"page-{hashlib.sha256(data).hexdigest()[:24]}.pdf", data)
            except NoRoomError:
                return False
            return True
        kept = self._patients.hold(code, "a patient's printed report", device, data, received_at=received_at)
        return kept is not None

    def _refuse(self, error: CollectorError, device: str, data: bytes, received_at: datetime) -> Became:
        """Keep a refused page encrypted: whose it is, nobody can say of a page that was not understood."""
        if isinstance(error, NoRoomError):
            return Became(error.code, device, may_go=False)
        kept = self._quarantine.keep(error, device, data, received_at=received_at)
        return Became(error.code, device, kept is not None)

    def _record_refusal(self, error: CollectorError, device: str, phantom: Phantom, data: bytes) -> None:
        """Leave a trace in the log: the page is refused either way, so a log that cannot take it only warns."""
        fact = PhantomScanRefused(phantom_id=phantom.patient_id, reason=error.code)
        draft = Draft(event_id("printed", device, hashlib.sha256(data).hexdigest(), "refused"), device, fact)
        try:
            self._site.append([draft])
        except SiteError as failure:
            _log.warning("refusal_not_recorded", device=device, code=error.code, failure=type(failure).__name__)


def _became(receipt: Receipt, drafts: Sequence[Draft], phantom: Phantom | None) -> str:
    verdicts = _verdicts(receipt, drafts, phantom)
    if Verdict.IMPLAUSIBLE in verdicts:
        raise JudgedImplausibleError
    if Verdict.WRONG_PHANTOM in verdicts:
        return "wrong_phantom"
    return "duplicate" if receipt.duplicates else "recorded"


def _verdicts(receipt: Receipt, drafts: Sequence[Draft], phantom: Phantom | None) -> set[Verdict]:
    """Return how a phantom's judged regions were judged; a value that cannot be the phantom's is implausible."""
    verdicts = set()
    for draft in drafts:
        if phantom and isinstance(draft.fact, PhantomMeasured) and draft.fact.region == phantom.region:
            judged = receipt.judged(draft.event_id)
            if judged:
                verdicts.add(judged.verdict if judged.plausible else Verdict.IMPLAUSIBLE)
    return verdicts


def _plain(serial: str) -> str:
    return "".join(serial.split()).casefold()
