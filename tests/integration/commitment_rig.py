"""A site that commits to what scanners send, and a scanner that asks it to; all patients are invented."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE, N_ACTION
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.presentation import build_context

from collectors.archive import Archive
from collectors.dicom.entity import DicomEntity
from collectors.dicom.exchange import Peer
from collectors.dicom.pacs import commitment
from collectors.dicom.pacs.commitment import Reference, Report, Request
from collectors.dicom.pacs.outbox import Outbox
from collectors.dicom.pacs.reporter import Address
from collectors.dicom.pacs.service import CommitmentService
from collectors.settings import DicomSettings, Pacs
from simulators.phantom_sr import ENHANCED_SR
from tests.fakes import FakeSite
from tests.integration.dicom_rig import DEVICES
from tests.integration.pacs_rig import waited
from tests.peers import free_port

QUICK = {"commitment": True, "commitment_timeout_s": 0.3, "commitment_linger_s": 0.5}


class CommitmentRig:
    """A running site."""

    def __init__(self, entity: DicomEntity, service: CommitmentService, archive: Archive) -> None:
        self.entity, self.service, self.archive = entity, service, archive

    @property
    def port(self) -> int:
        return self.entity.port

    @property
    def outbox(self) -> Outbox:
        assert self.service.outbox is not None
        return self.service.outbox


@contextmanager
def commitment_site(
    data_dir: Path,
    pacs: Pacs | None = None,
    *,
    addresses: dict[str, Address] | None = None,
    wait_s: float = 3600.0,
    port: int = 0,
) -> Iterator[CommitmentRig]:
    """Run an application entity with Storage Commitment."""
    archive = Archive(data_dir)
    settings = DicomSettings(port=port, pacs=pacs, commitment_wait_s=wait_s)
    service = CommitmentService(settings, DEVICES, archive, addresses=addresses or {})
    entity = DicomEntity(
        settings, FakeSite(), DEVICES, "Europe/London", archive, services=[service], forwarding=service.outbox
    )
    entity.start()
    try:
        yield CommitmentRig(entity, service, archive)
    finally:
        entity.stop()
        service.close()


class Reports:
    """The reports that a scanner has got."""

    def __init__(self) -> None:
        self.got: list[tuple[int, Report]] = []
        self.status = 0x0000
        self._lock = threading.Lock()

    def take(self, event: Event) -> tuple[int, None]:
        request: Any = event.request
        ds = event.event_information
        with self._lock:
            self.got.append((int(request.EventTypeID), _report_from(ds)))
        return self.status, None

    def one(self, *, within_s: float = 20.0) -> tuple[int, Report]:
        assert waited(lambda: self.got, within_s=within_s)
        (report,) = self.got
        return report


class AskingScanner:
    """A scanner's association on which it stores and asks for commitment; a block long."""

    def __init__(self, port: int, calling_ae: str = "DXA1", *, reports: Reports | None = None) -> None:
        self.reports = reports or Reports()
        contexts = [
            build_context(commitment.PUSH_MODEL, ExplicitVRLittleEndian),
            build_context(ENHANCED_SR, ExplicitVRLittleEndian),
        ]
        self._peer = Peer(
            "127.0.0.1",
            port,
            "BONEWATCH",
            calling_ae=calling_ae,
            timeout_s=20.0,
            contexts=contexts,
            handlers=[(evt.EVT_N_EVENT_REPORT, self.reports.take)],
        )

    def store(self, ds: Dataset) -> int:
        request = C_STORE()
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
        request.Priority = 2
        request.DataSet = BytesIO(encode(ds, is_implicit_vr=False, is_little_endian=True) or b"")
        return self._ask(request, ENHANCED_SR)

    def ask(self, *references: Reference, transaction_uid: str = "", action: int = 1) -> int:
        transaction = transaction_uid or generate_uid(prefix=None)
        ds = Request(transaction, references).dataset()
        request = N_ACTION()
        request.RequestedSOPClassUID = commitment.PUSH_MODEL
        request.RequestedSOPInstanceUID = commitment.PUSH_MODEL_INSTANCE
        request.ActionTypeID = action
        request.ActionInformation = BytesIO(encode(ds, is_implicit_vr=False, is_little_endian=True) or b"")
        return self._ask(request, commitment.PUSH_MODEL)

    def _ask(self, request: C_STORE | N_ACTION, sop_class: str) -> int:
        context_id = self._peer.context_id(sop_class)
        assert context_id is not None
        answer = self._peer.ask(request, context_id)
        assert answer.Status is not None
        return int(answer.Status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.__exit__()


@contextmanager
def listening_scanner(port: int = 0, ae_title: str = "DXA1") -> Iterator[tuple[int, Reports]]:
    """A scanner that takes reports at an address of its own."""
    reports, port = Reports(), port or free_port()
    entity = AE(ae_title=ae_title)
    entity.require_called_aet = True
    entity.add_supported_context(commitment.PUSH_MODEL, scu_role=False, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports.take)]
    )
    assert server is not None
    try:
        yield port, reports
    finally:
        server.shutdown()


def reference(ds: Dataset) -> Reference:
    return Reference(str(ds.SOPClassUID), str(ds.SOPInstanceUID))


def _report_from(ds: Dataset) -> Report:
    """Return a report with the reasons in it, read by pydicom alone."""
    done = tuple(_reference(item) for item in ds.get("ReferencedSOPSequence", []))
    failed = tuple((_reference(item), int(item.FailureReason)) for item in ds.get("FailedSOPSequence", []))
    return Report(str(ds.TransactionUID), done, failed)


def _reference(item: Dataset) -> Reference:
    return Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
