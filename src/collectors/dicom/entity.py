"""The one DICOM application entity of a site: C-ECHO, C-STORE, modality worklist."""

import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import pydicom.config
import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt, sop_class
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification  # type: ignore[attr-defined]

from collectors.archive import Archive
from collectors.dicom.deadline_socket import BUSY_SLEEP_S
from collectors.dicom.patients import Forwarding, PatientObjects, PrintedPages
from collectors.dicom.received import ReceivedObject
from collectors.dicom.refusals import RefusalTeller
from collectors.dicom.server import ScannerServer, serve
from collectors.dicom.services import DicomService
from collectors.dicom.store import Answer, ObjectStore, StoreTiming
from collectors.dicom.upstream import UpstreamWorklist
from collectors.dicom.worklist import WorklistProxy
from collectors.pseudonym import Pseudonyms
from collectors.quarantine import Quarantine
from collectors.settings import DicomSettings
from streams.fold.schedule import zone
from streams.policy import DevicePolicy
from streams.site import SitePort

PROCESSING_FAILURE: Final = 0x0110
"""Our own fault, not the object's."""

_log: Final = structlog.get_logger("collectors.dicom")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DicomEntity:
    """A site's application entity; `start` it, read `port`, `stop` it.

    Parameters
    ----------
    settings
        AE title, address, upstream worklist, limits.
    site
        The running site.
    devices
        Policy by device key (``site/device``).
    time_zone
        The site's, by its IANA name, for times that state none.
    archive
        Where taken objects are kept.
    quarantine
        Where refused ones are kept; beside the archive, with the default limits, unless given.
    on_store
        Called after each C-STORE with where its time went.
    clock
        Says what time it is, UTC.
    forwarding
        Where patients' objects go on to.
    pages
        What reads printed reports that come as objects.
    private_values
        Keys of the scanners whose densities are also taken from private elements of images.
    services
        What else is served.
    """

    def __init__(
        self,
        settings: DicomSettings,
        site: SitePort,
        devices: Mapping[str, DevicePolicy],
        time_zone: str,
        archive: Archive,
        *,
        quarantine: Quarantine | None = None,
        on_store: Callable[[StoreTiming], None] | None = None,
        clock: Callable[[], datetime] = _utc_now,
        forwarding: Forwarding | None = None,
        pages: PrintedPages | None = None,
        private_values: Collection[str] = (),
        services: Sequence[DicomService] = (),
    ) -> None:
        keep_values_out_of_logs()
        accept_every_storage_class()
        self._settings = settings
        self._services = services
        self._clock = clock
        self._patients = PatientObjects(
            site,
            zone=zone(time_zone),
            pseudonyms=Pseudonyms(archive.data_dir),
            forwarding=forwarding,
            pages=pages,
            private_values=private_values,
        )
        self._store = ObjectStore(
            site,
            devices,
            zone=zone(time_zone),
            patients=self._patients,
            takes_patients=settings.takes_patients,
            pages=pages,
            private_values=private_values,
            archive=archive,
            quarantine=quarantine or Quarantine(archive.data_dir),
            max_bytes=settings.max_object_bytes,
            on_store=on_store,
        )
        source = UpstreamWorklist(settings.upstream) if settings.upstream else None
        self._refusals = RefusalTeller(site, source, zone(time_zone), clock=clock)
        self._worklist = WorklistProxy(
            site, devices, settings.upstream, source=source, on_refused=self._refusals.refused
        )
        self._server: ScannerServer | None = None

    @property
    def port(self) -> int:
        """The port that is bound."""
        if self._server is None:
            raise RuntimeError("the application entity is not started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Bind the port and serve; OSError if it is taken."""
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_ECHO, _answer_echo),
            (evt.EVT_C_STORE, self._answer_store),
            (evt.EVT_C_FIND, self._answer_find),
            *(handler for service in self._services for handler in service.handlers),
        ]
        entity = _entity(self._settings)
        for service in self._services:
            service.add_to(entity)
        server = ScannerServer(entity, self._settings, handlers)
        self._server = server
        serve(server)
        self._refusals.start()
        for service in self._services:
            service.start()
        _log.info("dicom_listening", ae_title=self._settings.ae_title, host=self._settings.host, port=self.port)

    def stop(self) -> None:
        """Stop serving and end all associations; a stopped entity can be started again."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            self._refusals.stop()
            for service in self._services:
                service.stop()

    def _answer_store(self, event: Event) -> Dataset:
        try:
            answer = self._store.receive(_received(event, self._clock()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the scanner gets a status and the site goes on
            _log.error("store_failed", error=type(error).__name__)
            answer = Answer(PROCESSING_FAILURE, "internal", "internal error; send again later")
        return status_dataset(answer.status, answer.comment)

    def _answer_find(self, event: Event) -> Iterator[tuple[Dataset, Dataset | None]]:
        calling_ae = event.assoc.requestor.ae_title.strip()
        try:
            query = event.identifier
        except Exception as error:  # noqa: BLE001 - pydicom raises whatever its parser stumbles over
            _log.error("query_undecodable", error=type(error).__name__)
            yield status_dataset(0xA900, "the query cannot be decoded"), None
            return
        for status, comment, item in self._worklist.answer(calling_ae, query, lambda: event.is_cancelled):
            yield status_dataset(status, comment), item
            _wait_until_sent(event.assoc)


def status_dataset(status: int, comment: str) -> Dataset:
    """Return a status with its comment, as pynetdicom takes it from a handler."""
    ds = Dataset()
    ds.Status = status
    if comment:
        ds.ErrorComment = comment[:64]
    return ds


def keep_values_out_of_logs() -> None:
    """Silence pydicom and pynetdicom: their messages quote values, and a value may be a patient's name."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\b")


def accept_every_storage_class() -> None:
    """Take unknown and private classes for storage, but not the worklist.

    pynetdicom 3.0.4 looks a class up by pydicom's keyword, finds no worklist under it (it has its own), and would
    accept it as storage, in any transfer syntax.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    setattr(sop_class, UID(ModalityWorklistInformationFind).keyword, ModalityWorklistInformationFind)


def _entity(settings: DicomSettings) -> AE:
    entity = AE(ae_title=settings.ae_title)
    entity.maximum_associations = settings.max_associations
    entity.maximum_pdu_size = settings.max_pdu_bytes
    entity.acse_timeout = settings.negotiation_timeout_s
    entity.network_timeout = settings.idle_timeout_s
    entity.add_supported_context(Verification)
    entity.add_supported_context(ModalityWorklistInformationFind, ImplicitVRLittleEndian)
    return entity


def _received(event: Event, now: datetime) -> ReceivedObject:
    request = event.request
    assert isinstance(request, C_STORE)  # noqa: S101 - narrows the type; the event is a C-STORE's
    return ReceivedObject(
        calling_ae=event.assoc.requestor.ae_title.strip(),
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax=str(event.context.transfer_syntax),
        data=request.DataSet.getvalue() if request.DataSet else b"",
        received_at=now,
    )


def _wait_until_sent(association: Association) -> None:
    """Let the items sent so far go out: while its queue holds any, an association reads nothing, no C-CANCEL either."""
    while association.is_established and not association.dul.to_provider_queue.empty():
        time.sleep(BUSY_SLEEP_S)


def _answer_echo(_event: Event) -> int:
    return 0x0000
