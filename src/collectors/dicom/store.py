"""What becomes of an object received by C-STORE: recorded, archived, or refused with a reason and kept apart.

The answer is given after event, verdict and gate are committed, so that the first worklist query after a failed
scan is refused already.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from prometheus_client import Histogram
from pydicom.dataset import Dataset

from collectors import metrics
from collectors.archive import Archive
from collectors.dicom.encapsulated import ENCAPSULATED_PDF, document_of
from collectors.dicom.hologic import NO_RESULTS, PrivateResults, results_or_none
from collectors.dicom.patients import PatientObjects, PrintedPages
from collectors.dicom.received import (
    ReceivedObject,
    check_is_phantoms,
    decoded,
    kept_report,
    phantom_image,
    phantom_report,
)
from collectors.dicom.structured_report import ScanReport
from collectors.dicom.text import text
from collectors.errors import (
    CollectorError,
    ConflictingObjectError,
    InternalError,
    JudgedImplausibleError,
    NoRoomError,
    NotThePhantomError,
    PatientObjectError,
    PhantomObjectError,
    UnknownCallerError,
)
from collectors.quarantine import Quarantine
from collectors.regions import known_region
from collectors.safe_text import software_version
from streams.messages import Draft, PhantomMeasured, PhantomScanRefused, Verdict, event_id
from streams.policy import DevicePolicy, Phantom
from streams.site import EventConflictError, Receipt, SiteError, SitePort, SiteUnavailableError

SUCCESS: Final = 0x0000
WRONG_PHANTOM: Final = 0xB007
"""Warning: taken and recorded, but it looks like another phantom's scan."""

_log: Final = structlog.get_logger("collectors.dicom.store")


class Answer(msgspec.Struct, frozen=True):
    """What the sender is told; `code` is ours, for counters and logs."""

    status: int
    code: str
    comment: str = ""


class StoreTiming(msgspec.Struct):
    """Where the time of one C-STORE went, in seconds; `append_s` includes `fold_s` and `commit_s` of its group."""

    parse_s: float = 0.0
    archive_s: float = 0.0
    append_s: float = 0.0
    fold_s: float = 0.0
    commit_s: float = 0.0
    total_s: float = 0.0
    status: int = SUCCESS


class ObjectStore:
    """Takes the objects that scanners send; safe from any thread.

    Parameters
    ----------
    site
        Where facts are recorded and gates are read.
    devices
        Policy by device key (``site/device``).
    zone
        The site's time zone, for times that state none.
    archive, quarantine
        Where taken and refused objects are kept.
    max_bytes
        The largest data set, inflated.
    on_store
        Called after each object with where its time went.
    patients
        What becomes of patients' objects.
    takes_patients
        Whether they are taken at all; else they are refused, and only what came past a held gate is noted.
    pages
        What reads printed reports that come as objects.
    private_values
        Keys of the scanners whose densities are also taken from private elements of images.
    """

    def __init__(
        self,
        site: SitePort,
        devices: Mapping[str, DevicePolicy],
        *,
        zone: ZoneInfo,
        archive: Archive,
        quarantine: Quarantine,
        max_bytes: int = 32 * 1024 * 1024,
        on_store: Callable[[StoreTiming], None] | None = None,
        patients: PatientObjects,
        takes_patients: bool = False,
        pages: PrintedPages | None = None,
        private_values: Collection[str] = (),
    ) -> None:
        self._site = site
        self._patients, self._takes_patients, self._pages = patients, takes_patients, pages
        self._private_values = frozenset(private_values)
        self._by_ae = {policy.ae_title: (key, policy) for key, policy in devices.items() if policy.ae_title}
        self._zone = zone
        self._archive = archive
        self._quarantine = quarantine
        self._max_bytes = max_bytes
        self._on_store = on_store

    def receive(self, received: ReceivedObject) -> Answer:
        """Take or refuse one object; what it became is durable when this returns."""
        timing = StoreTiming()
        device, policy = self._by_ae.get(received.calling_ae, (metrics.UNKNOWN_DEVICE, None))
        with _measured(timing, "total_s", metrics.STORE_SECONDS):
            answer = self._decide(device, policy, received, timing)
        timing.status = answer.status
        metrics.OBJECTS.labels(device, answer.code).inc()
        _log.info("object_received", device=device, code=answer.code, sop_instance_uid=received.loggable_uid)
        if self._on_store:
            self._on_store(timing)
        return answer

    def _decide(
        self, device: str, policy: DevicePolicy | None, received: ReceivedObject, timing: StoreTiming
    ) -> Answer:
        if policy is None:
            return self._refuse(UnknownCallerError(), device, None, received)
        phantom: Phantom | None = None
        try:
            with _measured(timing, "parse_s", metrics.PARSE_SECONDS):
                ds = decoded(received, max_bytes=self._max_bytes)
                phantom = policy.phantom(text(ds, "PatientID"))
                drafts = self._drafts(device, ds, phantom, received) if phantom else []
            if phantom is None:
                return self._take_patients(device, policy, ds, received, timing)
            return self._take(device, phantom, drafts, received, timing)
        except CollectorError as error:
            return self._refuse(error, device, phantom, received)
        except Exception as error:  # noqa: BLE001 - whatever it is, the object is kept and the site goes on
            _log.error("store_failed", device=device, error=type(error).__name__)
            return self._refuse(InternalError(), device, phantom, received)

    def _drafts(self, device: str, ds: Dataset, phantom: Phantom, received: ReceivedObject) -> list[Draft]:
        """Return what a phantom's object says; nothing, for an image."""
        if received.sop_class_uid == ENCAPSULATED_PDF and self._pages is not None:
            check_is_phantoms(ds, phantom)
            return self._pages.drafts_in(document_of(ds), device, phantom)
        report = phantom_report(ds, phantom, received.sop_class_uid, self._zone)
        private = results_or_none(ds, device)
        if report is None and device in self._private_values and private.regions:
            report = phantom_image(ds, private.regions, phantom, self._zone)
        return _drafts(device, received.sop_instance_uid, phantom, report, private) if report else []

    def _take_patients(
        self, device: str, policy: DevicePolicy, ds: Dataset, received: ReceivedObject, timing: StoreTiming
    ) -> Answer:
        """Take a patient's object where that is configured; where it is not, note that it came.

        Whether it was scanned past a held gate is for the fold to tell: word may come when the gate is open again.
        """
        self._count_bypass(device, received)
        if not self._takes_patients:
            self._patients.note(device, policy, ds, received)
            raise PatientObjectError
        with _measured(timing, "append_s", metrics.COMMIT_SECONDS):
            return Answer(SUCCESS, self._patients.take(device, policy, ds, received))

    def _take(
        self, device: str, phantom: Phantom, drafts: list[Draft], received: ReceivedObject, timing: StoreTiming
    ) -> Answer:
        uid = received.sop_instance_uid
        with _measured(timing, "archive_s", metrics.ARCHIVE_SECONDS):
            path, is_new = self._archive.store(device, uid, received.as_file(), received_at=received.received_at)
        if not drafts:
            return self._keep_without_reading(device, uid, path)
        with _measured(timing, "append_s", metrics.COMMIT_SECONDS):
            receipt = self._append(drafts, path, is_new=is_new)
        timing.fold_s, timing.commit_s = receipt.fold_s, receipt.commit_s
        of_its_region = [d for d in drafts if isinstance(d.fact, PhantomMeasured) and d.fact.region == phantom.region]
        judgements = [judged for draft in of_its_region if (judged := receipt.judged(draft.event_id))]
        others = [judged for judged in judgements if judged.verdict is not Verdict.WRONG_PHANTOM]
        is_implausible = any(judged.verdict is Verdict.IMPLAUSIBLE or not judged.plausible for judged in others)
        if len(others) < len(judgements) and not is_implausible:
            return Answer(WRONG_PHANTOM, "wrong_phantom", "recorded, but this looks like another phantom")
        if is_implausible:
            Archive.remove(path)
            self._remove_copies(uid, phantom, drafts[-1])
            raise JudgedImplausibleError
        return Answer(SUCCESS, "duplicate" if receipt.duplicates else "recorded")

    def _remove_copies(self, uid: str, phantom: Phantom, judged: Draft) -> None:
        """Remove what else in the archive is this same scan: a crash may have left it, in another transfer syntax."""
        for path in self._archive.copies(judged.device, uid):
            report = kept_report(path, uid, phantom, self._zone)
            if report and judged.event_id in {draft.event_id for draft in _drafts(judged.device, uid, phantom, report)}:
                Archive.remove(path)

    def _keep_without_reading(self, device: str, uid: str, path: Path) -> Answer:
        """Images and presentation states of a phantom are kept and say nothing."""
        if self._archive.others(device, uid, than=path):
            Archive.remove(path)
            raise ConflictingObjectError
        return Answer(SUCCESS, "archived")

    def _append(self, drafts: list[Draft], path: Path, *, is_new: bool) -> Receipt:
        try:
            return self._site.append(drafts)
        except EventConflictError as error:
            if is_new:
                Archive.remove(path)
            raise ConflictingObjectError from error
        except SiteUnavailableError as error:
            raise NoRoomError from error

    def _refuse(self, error: CollectorError, device: str, phantom: Phantom | None, received: ReceivedObject) -> Answer:
        # Only a name that was configured, and matched, says that no patient lies under a phantom's id.
        is_surely_phantom = (
            phantom is not None and phantom.patient_name is not None and isinstance(error, PhantomObjectError)
        )
        if not isinstance(error, NoRoomError):
            self._quarantine.keep(
                error, device, received.as_file(), received_at=received.received_at, encrypted=not is_surely_phantom
            )
        if phantom and isinstance(error, NotThePhantomError) and not isinstance(error, JudgedImplausibleError):
            self._record_refusal(error, device, phantom, received)
        return Answer(error.status, error.code, str(error)[:64])

    def _count_bypass(self, device: str, received: ReceivedObject) -> None:
        """Alarm when a scanner whose gate is held measured a patient all the same."""
        gate = self._site.gate(device)
        if gate.lets_patients_through:
            return
        metrics.BYPASS.labels(device).inc()
        codes = [reason.code.value for reason in gate.holding]
        _log.warning("patient_while_held", device=device, reasons=codes, sop_instance_uid=received.loggable_uid)

    def _record_refusal(self, error: CollectorError, device: str, phantom: Phantom, received: ReceivedObject) -> None:
        """Leave a trace in the log: the object is refused either way, so a log that cannot take it only warns."""
        uid = received.sop_instance_uid
        fact = PhantomScanRefused(phantom_id=phantom.patient_id, reason=error.code, sop_instance_uid=uid)
        try:
            self._site.append([Draft(event_id=event_id(uid, "refused"), device=device, fact=fact)])
        except SiteError as failure:
            _log.warning("refusal_not_recorded", device=device, code=error.code, failure=type(failure).__name__)


@contextmanager
def _measured(timing: StoreTiming, part: str, histogram: Histogram) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        setattr(timing, part, seconds)
        histogram.observe(seconds)


def _drafts(
    device: str, uid: str, phantom: Phantom, report: ScanReport, private: PrivateResults = NO_RESULTS
) -> list[Draft]:
    """Return one fact per region; the configured one last, so that its verdict sees the others.

    A region or a version that we do not know is free text: it stays in the archived object, out of the log.
    """
    known = [r for r in report.readings if r.region == phantom.region or known_region(r.region) == r.region]
    ordered = sorted(known, key=lambda reading: reading.region == phantom.region)
    software = software_version(report.software)
    return [
        Draft(
            event_id=event_id(uid, reading.region),
            device=device,
            fact=PhantomMeasured(
                phantom_id=phantom.patient_id,
                region=reading.region,
                bmd_g_cm2=reading.bmd_g_cm2,
                measured_at=report.measured_at,
                acquisition_id=report.acquisition_id,
                sop_instance_uid=uid,
                software=software,
                k=private.k,
                d0=private.d0,
            ),
        )
        for reading in ordered
    ]
