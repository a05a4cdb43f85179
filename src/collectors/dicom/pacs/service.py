"""Storage Commitment as a service of the application entity: scanners ask us, and the PACS reports to us."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from collectors.archive import Archive
from collectors.dicom.pacs import commitment
from collectors.dicom.pacs.asking import take_report
from collectors.dicom.pacs.commitment import Reference, Request
from collectors.dicom.pacs.forwarder import Forwarder
from collectors.dicom.pacs.keeping import Keeping
from collectors.dicom.pacs.outbox import Outbox
from collectors.dicom.pacs.promises import Promises, TransactionInUseError
from collectors.dicom.pacs.reporter import Address, CommitmentReporter
from collectors.errors import NoRoomError
from collectors.settings import DicomSettings
from streams.policy import DevicePolicy

MAX_REFERENCES: Final = 5_000
NOT_AUTHORISED: Final = 0x0124
NO_SUCH_ACTION: Final = 0x0123
INVALID_ARGUMENT: Final = 0x0115
NO_RESOURCES: Final = 0x0213

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_log: Final = structlog.get_logger("collectors.dicom.pacs")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _fault(request: Request) -> tuple[int, str] | None:
    """Return status and comment of what is wrong with a request."""
    if not _UID.fullmatch(request.transaction_uid) or not request.references:
        return INVALID_ARGUMENT, "a transaction UID and referenced objects are needed"
    if len(request.references) > MAX_REFERENCES:
        return NO_RESOURCES, "too many objects in one request"
    if not all(map(_has_uids, request.references)):
        return INVALID_ARGUMENT, "a referenced object's class or instance is no UID"
    return None


def _has_uids(reference: Reference) -> bool:
    """Whether a reference can be said again in a report."""
    return all(_UID.fullmatch(uid) for uid in (reference.sop_class_uid, reference.sop_instance_uid))


class CommitmentService:
    """Commitment to scanners, the PACS's own reports, and the forwarding in between.

    Parameters
    ----------
    settings
        Our AE title, the PACS if there is one, limits.
    devices
        Policy by device key.
    archive
        Of phantoms' objects.
    addresses
        Where scanners listen, by device key.
    clock
        Says what time it is, UTC.

    Raises
    ------
    StoreUnusableError
        What an earlier run left cannot be read.
    """

    def __init__(
        self,
        settings: DicomSettings,
        devices: Mapping[str, DevicePolicy],
        archive: Archive,
        *,
        addresses: Mapping[str, Address],
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._by_ae = {policy.ae_title: key for key, policy in devices.items() if policy.ae_title}
        self.outbox = Outbox(archive.data_dir, settings.pacs, clock=clock) if settings.pacs else None
        min_free_bytes = settings.pacs.min_free_bytes if settings.pacs else 0
        self._promises = Promises(archive.data_dir, min_free_bytes=min_free_bytes, clock=clock)
        self._forwarder = (
            Forwarder(self.outbox, settings.pacs, settings.ae_title) if self.outbox and settings.pacs else None
        )
        self._reporter = CommitmentReporter(
            self._promises,
            Keeping(archive, self.outbox),
            own_ae_title=settings.ae_title,
            addresses=addresses,
            wait_s=settings.commitment_wait_s,
        )

    def add_to(self, entity: AE) -> None:
        """Serve scanners' requests, and take the PACS's reports, for which it asks to be the one that serves."""
        entity.add_supported_context(
            commitment.PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], scu_role=True, scp_role=True
        )

    @property
    def handlers(self) -> Sequence[evt.EventHandlerType]:
        """For N-ACTION of scanners, N-EVENT-REPORT of the PACS, and scanners' answers to our reports."""
        return [
            (evt.EVT_N_ACTION, self._asked),
            (evt.EVT_N_EVENT_REPORT, self._reported),
            (evt.EVT_DIMSE_RECV, self._reporter.heard),
        ]

    def start(self) -> None:
        """Begin to forward and to report."""
        if self._forwarder is not None:
            self._forwarder.start()
        self._reporter.start()

    def stop(self) -> None:
        """End both."""
        self._reporter.stop()
        if self._forwarder is not None:
            self._forwarder.stop()

    def close(self) -> None:
        """Close the stores; the service is of no use any more."""
        self._promises.close()
        if self.outbox is not None:
            self.outbox.close()

    def _asked(self, event: evt.Event) -> tuple[Dataset, None]:
        try:
            status, comment = self._take(event)
        except NoRoomError:
            status, comment = NO_RESOURCES, "cannot be kept now; ask again later"
        except Exception as error:  # noqa: BLE001 - whatever it is, the scanner gets a status and the site goes on
            _log.error("commitment_failed", error=type(error).__name__)
            status, comment = commitment.PROCESSING_FAILURE, "internal error; ask again later"
        answer = Dataset()
        answer.Status = status
        if comment:
            answer.ErrorComment = comment
        return answer, None

    def _take(self, event: evt.Event) -> tuple[int, str]:
        """Take a scanner's request; return status and comment."""
        calling_ae = event.assoc.requestor.ae_title.strip()
        device = self._by_ae.get(calling_ae)
        if device is None:
            return NOT_AUTHORISED, "this calling AE title is not configured here"
        if event.action_type != commitment.REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, "no such action"
        request = commitment.request_from(event.action_information)
        if (fault := _fault(request)) is not None:
            return fault
        try:
            self._promises.add(device, calling_ae, request)
        except TransactionInUseError:
            return INVALID_ARGUMENT, "this transaction UID was asked about other objects"
        context: Any = event.context
        self._reporter.asked_on(device, event.assoc, int(context.context_id), str(context.transfer_syntax))
        _log.info("commitment_asked", device=device, objects=len(request.references))
        return 0x0000, ""

    def _reported(self, event: evt.Event) -> tuple[int, None]:
        if self.outbox is None:
            return commitment.PROCESSING_FAILURE, None
        status = take_report(self.outbox, event)
        self._reporter.news.set()
        return status, None
