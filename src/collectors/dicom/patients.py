"""What becomes of a patient's object: a fact of what was measured, then on to the PACS.

Bonewatch is not the clinical archive: it hands the object on and keeps numbers, the accession number and a pseudonym.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import structlog
from prometheus_client import Counter
from pydicom.dataset import Dataset

from collectors.dicom.encapsulated import ENCAPSULATED_PDF, document_of
from collectors.dicom.hologic import PrivateResults, results_or_none
from collectors.dicom.patient_report import (
    PatientReport,
    accession_of,
    anatomy_in,
    procedure_codes_of,
    read_patient_report,
)
from collectors.dicom.population import population_of
from collectors.dicom.received import ReceivedObject
from collectors.dicom.requests import mode_of
from collectors.dicom.structured_report import SR_CLASSES, acquisition_id, scanned_at
from collectors.dicom.text import measured_at, text
from collectors.errors import CollectorError, ConflictingObjectError, NoRoomError, UndecodableError
from collectors.plausible import EARLIEST, LATEST
from collectors.printed.errors import MixedReportError
from collectors.pseudonym import Pseudonyms, append_once
from collectors.regions import Anatomy
from collectors.safe_text import accession_number, software_version, uid
from streams.messages import Draft, ObjectKind, PatientMeasured, PatientObjectReceived, event_id
from streams.policy import DevicePolicy, Phantom
from streams.site import EventConflictError, SitePort, SiteUnavailableError

READ: Final = Counter(
    "bonewatch_dicom_patient_objects_total", "Patients' objects, by kind and by what was read of them", ["kind", "read"]
)
_KINDS: Final = (
    ("1.2.840.10008.5.1.4.1.1.11.", ObjectKind.PRESENTATION_STATE),
    ("1.2.840.10008.5.1.4.1.1.104.", ObjectKind.DOCUMENT),
    ("1.2.840.10008.5.1.4.1.1.7", ObjectKind.IMAGE),
    ("1.2.840.10008.5.1.4.1.1.1", ObjectKind.IMAGE),
)

T = TypeVar("T")

_log: Final = structlog.get_logger("collectors.dicom.patients")


class Forwarding(Protocol):
    """Where patients' objects go on to."""

    def keep(self, received: ReceivedObject, device: str) -> None:
        """Take an object durably, to be delivered later; raise `NoRoomError` where it cannot."""


class PrintedPages(Protocol):
    """What reads printed reports."""

    def drafts_in(self, data: bytes, device: str, phantom: Phantom | None) -> list[Draft]:
        """Return the facts of a device's report of a phantom, or of a patient, or raise a `CollectorError`."""


class PatientObjects:
    """Takes patients' objects from scanners that are configured; safe from any thread.

    Parameters
    ----------
    site
        Where facts are recorded.
    zone
        The site's time zone, for times that state none.
    pseudonyms
        Of persons.
    forwarding
        Where objects go on to; none: they are read and not kept.
    pages
        What reads documents; none: they go on unread.
    private_values
        Keys of the scanners whose densities are also taken from private elements of images.
    """

    def __init__(
        self,
        site: SitePort,
        *,
        zone: ZoneInfo,
        pseudonyms: Pseudonyms,
        forwarding: Forwarding | None = None,
        pages: PrintedPages | None = None,
        private_values: Collection[str] = (),
    ) -> None:
        self._site, self._zone, self._pseudonyms = site, zone, pseudonyms
        self._forwarding, self._pages = forwarding, pages
        self._private_values = frozenset(private_values)

    def take(self, device: str, policy: DevicePolicy, ds: Dataset, received: ReceivedObject) -> str:
        """Record what an object says and hand it on; return what became of it. Both are durable when this returns.

        Raises
        ------
        ConflictingObjectError
            Another object of this SOP Instance UID was taken before, and this one goes nowhere.
        NoRoomError
            Nothing can be recorded or kept now.
        """
        drafts = self._drafts(device, policy, ds, received)
        became = "forwarded"
        try:
            is_known = self._append(drafts, text(ds, "PatientID"))
        except ConflictingObjectError:  # what we make of an object may change; the PACS gets it all the same
            if self._forwarding is None:
                raise
            became, is_known = "forwarded_conflict", False
            _log.warning("patient_object_conflicts", device=device, sop_instance_uid=received.loggable_uid)
        if self._forwarding is None:
            return "patient_duplicate" if is_known else "patient_read"
        self._forwarding.keep(received, device)
        return became

    def note(self, device: str, policy: DevicePolicy, ds: Dataset, received: ReceivedObject) -> None:
        """Record that a patient's object came, though it is refused; a log that cannot take it only warns."""
        about = self._about(policy, ds)
        kind = kind_of(received.sop_class_uid, ds)
        try:
            draft = about.received(device, received.sop_instance_uid, kind, "refused")
            identity = event_id(received.sop_instance_uid, "patient", "refused")
            self._append([msgspec.structs.replace(draft, event_id=identity)], text(ds, "PatientID"))
        except CollectorError as error:
            _log.warning("patient_object_not_noted", device=device, code=error.code)

    def _append(self, drafts: list[Draft], patient_id: str) -> bool:
        """Record facts; return whether all of them were in the log before."""
        try:
            receipt = append_once(self._site, drafts, self._pseudonyms.all_of(patient_id) if patient_id else ())
        except EventConflictError as error:
            raise ConflictingObjectError from error
        except SiteUnavailableError as error:
            raise NoRoomError from error
        return len(receipt.duplicates) == len(drafts)

    def _drafts(self, device: str, policy: DevicePolicy, ds: Dataset, received: ReceivedObject) -> list[Draft]:
        """Return what was measured; where the object does not say it, that it came."""
        kind, why, sop = kind_of(received.sop_class_uid, ds), "", received.sop_instance_uid
        about = self._about(policy, ds)
        try:
            drafts = self._values(device, about, kind, ds, received)
        except CollectorError as error:
            drafts, why = [], error.code
            _log.warning("patient_object_not_read", device=device, kind=kind.value, why=why)
        READ.labels(kind.value, "values" if drafts else why or "none").inc()
        return drafts or [about.received(device, sop, kind, why)]

    def _values(
        self, device: str, about: "_About", kind: ObjectKind, ds: Dataset, received: ReceivedObject
    ) -> list[Draft]:
        private = results_or_none(ds, device)
        if kind is ObjectKind.REPORT:
            report = _decoded(lambda: read_patient_report(ds, self._zone))
            return [about.measured(device, received.sop_instance_uid, report, private)]
        if private.regions and device in self._private_values:
            report = PatientReport(private.regions, scanned_at(ds, self._zone), anatomy_in(ds))
            return [about.measured(device, received.sop_instance_uid, report, private)]
        if received.sop_class_uid == ENCAPSULATED_PDF and (pages := self._pages) is not None:
            drafts = pages.drafts_in(_decoded(lambda: document_of(ds)), device, None)
            about = msgspec.structs.replace(about, pseudonym=self._pseudonyms.newest(about.pseudonym))
            return [about.printed(draft) for draft in drafts]  # a key may have come while it was read
        return []

    def _about(self, policy: DevicePolicy, ds: Dataset) -> "_About":
        patient_id, codes = text(ds, "PatientID"), procedure_codes_of(ds)
        time = measured_at(ds, self._zone)
        return _About(
            accession=accession_number(accession_of(ds)),
            pseudonym=self._pseudonyms.of(patient_id) if patient_id else "",
            mode=mode_of(policy, codes) or "",
            procedure_code=_procedure_code(policy, codes),
            software=software_version(text(ds, "SoftwareVersions")[:64]),
            study=uid(text(ds, "StudyInstanceUID")),
            acquisition_id=_digest(acquisition_id(ds, self._zone)),
            acquired_at=time if time is not None and EARLIEST <= time < LATEST else None,
            population=population_of(ds, time, policy.adult_from_years),
        )


class _About(msgspec.Struct, frozen=True):
    """What every object of a scan says of the scan."""

    accession: str
    pseudonym: str
    mode: str
    procedure_code: str
    software: str
    study: str
    acquisition_id: str
    acquired_at: datetime | None
    population: str

    def measured(self, device: str, sop_instance_uid: str, report: PatientReport, private: PrivateResults) -> Draft:
        fact = PatientMeasured(
            accession_number=self.accession,
            measured_at=report.measured_at,
            acquisition_id=self.acquisition_id,
            pseudonym=self.pseudonym,
            regions=report.regions,
            procedure_code=self.procedure_code,
            mode=self.mode,
            software=self.software,
            sop_instance_uid=sop_instance_uid,
            anatomy="" if report.anatomy is Anatomy.UNKNOWN else report.anatomy.value,
            study_instance_uid=self.study,
            analysed_at=report.analysed_at,
            k=private.k,
            d0=private.d0,
            population=self.population,
        )
        return Draft(event_id(sop_instance_uid, "patient"), device, fact)

    def printed(self, draft: Draft) -> Draft:
        """Return a printed page's fact, with the request's number of the object around it where the page prints none.

        Raises
        ------
        MixedReportError
            The page is another person's, or of another request.
        """
        fact = draft.fact
        if not isinstance(fact, PatientMeasured):
            return draft
        if fact.pseudonym and self.pseudonym and fact.pseudonym != self.pseudonym:
            raise MixedReportError
        if fact.accession_number and self.accession and fact.accession_number != self.accession:
            raise MixedReportError
        if fact.accession_number or not self.accession:
            return draft
        return msgspec.structs.replace(
            draft,
            event_id=event_id(draft.event_id, self.accession),
            fact=msgspec.structs.replace(fact, accession_number=self.accession),
        )

    def received(self, device: str, sop_instance_uid: str, kind: ObjectKind, why: str) -> Draft:
        fact = PatientObjectReceived(
            kind=kind,
            accession_number=self.accession,
            acquisition_id=self.acquisition_id,
            acquired_at=self.acquired_at,
            sop_instance_uid=sop_instance_uid,
            mode=self.mode,
            pseudonym=self.pseudonym,
            study_instance_uid=self.study,
            why=why,
        )
        return Draft(event_id(sop_instance_uid, "patient"), device, fact)


def kind_of(sop_class_uid: str, ds: Dataset) -> ObjectKind:
    """Return what kind of object this is."""
    if sop_class_uid in SR_CLASSES or "ContentSequence" in ds:
        return ObjectKind.REPORT
    return next((kind for prefix, kind in _KINDS if sop_class_uid.startswith(prefix)), ObjectKind.OTHER)


def _digest(acquisition: str) -> str:
    """Return an acquisition's id as 24 characters: the texts that it is made of are the sender's."""
    return f"dicom:{event_id(acquisition)}"


def _procedure_code(policy: DevicePolicy, codes: frozenset[str]) -> str:
    """Return the code that a mode is configured for, or the one code that there is."""
    known = sorted(codes & {code for mode in policy.modes for code in mode.procedure_codes})
    return known[0] if known else next(iter(codes)) if len(codes) == 1 else ""


def _decoded(read: Callable[[], T]) -> T:
    """Read nested items, which are parsed on first access by pydicom's own lights."""
    try:
        return read()
    except CollectorError:
        raise
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        raise UndecodableError("an item of the report cannot be decoded") from error
