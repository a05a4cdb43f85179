"""What a checked page becomes: facts of a phantom or of a patient, with an identity of their own content.

A scan is named by its device, its date and the id or time that its page prints, an analysis by its time; so the same
page printed twice counts once, and another analysis of a scan is none of another scan.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from collectors.errors import ImpossibleTimeError, NotThePhantomError, RegionAbsentError
from collectors.plausible import EARLIEST, LATEST
from collectors.printed.scan import PrintedRow, PrintedScan
from collectors.printed.settings import PrintedDevice
from collectors.regions import Anatomy, anatomy_of, known_region
from collectors.safe_text import scan_mode
from streams.messages import Draft, PatientMeasured, PhantomMeasured, RegionMeasured, Source, event_id
from streams.policy import Phantom


class SiteScan(msgspec.Struct, frozen=True):
    """A scan of one of the site's devices; `device` is its key."""

    device: str
    scan: PrintedScan
    zone: ZoneInfo

    @property
    def acquisition_id(self) -> str:
        """The same for every analysis of this scan."""
        return f"printed:{event_id(self.device, f'{self.scan.scanned.at:%Y%m%d}', self.scan.scan_id)}"

    @property
    def measured_at(self) -> datetime:
        """When it was scanned, UTC. A page with the day alone: when it was analysed that day, else as it began.

        So a scan is never dated after its analysis, and a late analysis of an old scan never proves today's quality.

        Raises
        ------
        ImpossibleTimeError
            It is not of this time.
        """
        scanned, analysed = self.scan.scanned, self.scan.analysed
        same_day = analysed is not None and analysed.has_time and analysed.at.date() == scanned.at.date()
        return self._utc(analysed.at if analysed and same_day and not scanned.has_time else scanned.at)

    @property
    def analysed_at(self) -> datetime | None:
        """When it was analysed, UTC; None where the page does not print the time.

        Raises
        ------
        ImpossibleTimeError
            It is not of this time.
        """
        analysed = self.scan.analysed
        return self._utc(analysed.at) if analysed is not None and analysed.has_time else None

    def _utc(self, local: datetime) -> datetime:
        try:
            time = local.replace(tzinfo=self.zone).astimezone(UTC)
        except OverflowError as error:
            raise ImpossibleTimeError from error
        if not EARLIEST <= time < LATEST:
            raise ImpossibleTimeError
        return time

    def fact_id(self, *parts: str) -> str:
        """Return the identity of a fact of this analysis."""
        return event_id("printed", self.acquisition_id, self.scan.analysis, *parts)


def phantom_drafts(scan: SiteScan, phantom: Phantom) -> list[Draft]:
    """Return a fact per region that we know, the judged one last.

    Raises
    ------
    NotThePhantomError
        The name or the anatomy on the page is not the phantom's.
    RegionAbsentError
        The page lacks the region that the phantom is judged by.
    """
    printed = scan.scan
    if phantom.patient_name is not None and _plain(printed.patient_name) != _plain(phantom.patient_name):
        raise NotThePhantomError
    own, seen = anatomy_of(phantom.region), anatomy_of(printed.scan_type)
    if Anatomy.UNKNOWN not in {own, seen} and own is not seen:
        raise NotThePhantomError
    rows = [row for row in printed.rows if row.region == phantom.region or known_region(row.region) == row.region]
    rows.sort(key=lambda row: row.region == phantom.region)
    if not rows or rows[-1].region != phantom.region:
        raise RegionAbsentError(phantom.region)
    return [
        Draft(
            scan.fact_id(row.region, row.side),
            scan.device,
            PhantomMeasured(
                phantom_id=phantom.patient_id,
                region=row.region,
                bmd_g_cm2=float(row.bmd_g_cm2),
                measured_at=scan.measured_at,
                acquisition_id=scan.acquisition_id,
                software=printed.software,
                source=Source.IMPORT,
                scan_mode=scan_mode(printed.scan_mode),
                k=None if printed.k is None else float(printed.k),
                d0=None if printed.d0 is None else float(printed.d0),
            ),
        )
        for row in rows
    ]


def patient_draft(scan: SiteScan, settings: PrintedDevice, *, accession_number: str, pseudonym: str) -> Draft:
    """Return a patient's fact: what was measured, the request, and a pseudonym."""
    printed, anatomy = scan.scan, anatomy_of(scan.scan.scan_type)
    fact = PatientMeasured(
        accession_number=accession_number,
        measured_at=scan.measured_at,
        acquisition_id=scan.acquisition_id,
        pseudonym=pseudonym,
        regions=tuple(_region(row) for row in printed.rows),
        mode=settings.modes.get(anatomy.value, ""),
        software=printed.software,
        source=Source.IMPORT,
        anatomy="" if anatomy is Anatomy.UNKNOWN else anatomy.value,
        analysed_at=scan.analysed_at,
        scan_mode=scan_mode(printed.scan_mode),
        k=None if printed.k is None else float(printed.k),
        d0=None if printed.d0 is None else float(printed.d0),
    )
    return Draft(scan.fact_id("patient"), scan.device, fact)


def _region(row: PrintedRow) -> RegionMeasured:
    return RegionMeasured(
        region=row.region,
        bmd_g_cm2=float(row.bmd_g_cm2),
        bmc_g=None if row.bmc_g is None else float(row.bmc_g),
        area_cm2=None if row.area_cm2 is None else float(row.area_cm2),
        t_score=None if row.t_score is None else float(row.t_score),
        z_score=None if row.z_score is None else float(row.z_score),
        laterality=row.side,
    )


def _plain(name: str) -> list[str]:
    """Return the words of a name for comparison: consoles print family and given name in either order."""
    return sorted(re.findall(r"\w+", name.casefold()))
