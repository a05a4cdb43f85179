"""A site that takes procedure steps, a scanner that performs them, and a RIS; all patients are invented."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode, encode
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import ModalityPerformedProcedureStep  # type: ignore[attr-defined]

from collectors.archive import Archive
from collectors.dicom.entity import DicomEntity
from collectors.dicom.exchange import Peer
from collectors.dicom.mpps.ris import Ris
from collectors.dicom.mpps.service import StepService
from collectors.dicom.mpps.steps import Operation
from collectors.settings import DicomSettings, MppsUpstream
from streams.fold.schedule import zone
from streams.messages import PatientScanStarted, event_id
from tests.fakes import FakeSite
from tests.integration.dicom_rig import DEVICES
from tests.peers import free_port

STEP, OTHER_STEP = "2.25.4001", "2.25.4002"
QUICK = {"retry_s": 0.05, "retry_max_s": 0.2, "timeout_s": 2.0, "min_free_bytes": 0}


class Answer(msgspec.Struct, frozen=True):
    """How a message was answered."""

    status: int
    comment: str = ""
    error_id: int | None = None
    attributes: Any = None


class VirtualStepRis:
    """Takes procedure steps by the standard's rules, or as the test says."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.told: list[tuple[str, str, bytes]] = []
        self.calling_ae_titles: list[str] = []
        self.steps: dict[str, str] = {}
        self.answers: dict[str, Dataset] = {}
        self.gives_back: Dataset | None = None
        self.delay_s = 0.0
        self.breaks_off_after = False
        self._lock = threading.Lock()

    def of(self, uid: str) -> list[str]:
        return [operation for operation, one, _ in self.told if one == uid]

    def create(self, event: Event) -> tuple[Any, Dataset | None]:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        return self._take(event, "create", uid, request.AttributeList.getvalue(), 0x0111 if uid in self.steps else 0)

    def set(self, event: Event) -> tuple[Any, Dataset | None]:
        request: Any = event.request
        uid = str(request.RequestedSOPInstanceUID)
        status: int | Dataset = 0x0112 if uid not in self.steps else 0
        if self.steps.get(uid, "IN PROGRESS") != "IN PROGRESS":
            status = Dataset()
            status.Status, status.ErrorID = 0x0110, 0xA710
        return self._take(event, "set", uid, request.ModificationList.getvalue(), status)

    def _take(
        self, event: Event, operation: str, uid: str, data: bytes, status: int | Dataset
    ) -> tuple[Any, Dataset | None]:
        time.sleep(self.delay_s)
        with self._lock:
            self.calling_ae_titles.append(event.assoc.requestor.ae_title)
            if uid in self.answers:
                return self.answers[uid], None
            if not status:
                self.told.append((operation, uid, data))
                ds = decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)
                self.steps[uid] = str(ds.get("PerformedProcedureStepStatus", self.steps.get(uid, "")))
            if self.breaks_off_after:
                event.assoc.abort()
        return status, self.gives_back


@contextmanager
def step_ris(port: int = 0, *, knows: tuple[str, ...] = ()) -> Iterator[VirtualStepRis]:
    """Run a RIS; it rejects titles that it does not know, if it is told any."""
    ris = VirtualStepRis(port or free_port())
    entity = AE(ae_title="RIS")
    entity.add_supported_context(ModalityPerformedProcedureStep)
    entity.require_calling_aet = list(knows)
    server = entity.start_server(
        ("127.0.0.1", ris.port),
        block=False,
        evt_handlers=[(evt.EVT_N_CREATE, ris.create), (evt.EVT_N_SET, ris.set)],
    )
    assert server is not None
    try:
        yield ris
    finally:
        server.shutdown()


class StepRig:
    """A running site and its scanner."""

    def __init__(self, data_dir: Path, site: FakeSite, service: StepService, entity: DicomEntity) -> None:
        self.data_dir, self.site, self.service, self.entity = data_dir, site, service, entity

    def create(self, uid: str, ds: Dataset | bytes, calling_ae: str = "DXA1") -> Answer:
        return self._tell(Operation.CREATE, uid, ds, calling_ae)

    def set(self, uid: str, ds: Dataset | bytes, calling_ae: str = "DXA1") -> Answer:
        return self._tell(Operation.SET, uid, ds, calling_ae)

    def _tell(self, operation: Operation, uid: str, ds: Dataset | bytes, calling_ae: str) -> Answer:
        contexts = [build_context(ModalityPerformedProcedureStep, ImplicitVRLittleEndian)]
        port = self.entity.port
        with Peer("127.0.0.1", port, "BONEWATCH", calling_ae=calling_ae, timeout_s=20.0, contexts=contexts) as peer:
            answer = Ris.tell(peer, operation, uid, ds if isinstance(ds, bytes) else wire(ds))
        return Answer(answer.status, answer.comment, answer.error_id, answer.attributes)


def upstream(port: int, **changes: object) -> MppsUpstream:
    return MppsUpstream(**{"ae_title": "RIS", "host": "127.0.0.1", "port": port, **QUICK, **changes})  # type: ignore[arg-type]


@contextmanager
def step_site(data_dir: Path, mpps: MppsUpstream | None = None, site: FakeSite | None = None) -> Iterator[StepRig]:
    """Run an application entity that takes procedure steps."""
    site = site or FakeSite()
    service = StepService(site, DEVICES, data_dir, zone=zone("Europe/London"), upstream=mpps)
    entity = DicomEntity(DicomSettings(port=0), site, DEVICES, "Europe/London", Archive(data_dir), services=[service])
    entity.start()
    try:
        yield StepRig(data_dir, site, service, entity)
    finally:
        entity.stop()
        service.close()


def wire(ds: Dataset) -> bytes:
    encoded = encode(ds, is_implicit_vr=True, is_little_endian=True)
    assert encoded
    return encoded


def started(
    *,
    patient_id: str = "TEST00001",
    name: str = "TEST^INVENTED 01",
    accession: str = "ACC00001",
    code: str = "DXASH",
    **changes: object,
) -> Dataset:
    """Return the attributes of a step that begins; a change to None leaves an attribute out."""
    step = Dataset()
    step.StudyInstanceUID = UID("2.25.9000001")
    step.ReferencedStudySequence = Sequence()
    step.AccessionNumber = accession
    step.RequestedProcedureID = step.ScheduledProcedureStepID = "SPS1"
    step.ScheduledProtocolCodeSequence = Sequence([_code(code)] if code else [])
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ScheduledStepAttributesSequence = Sequence([step])
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = name, patient_id, "19500101", "O"
    ds.PerformedProcedureStepID = "PPS1"
    ds.PerformedStationAETitle = "DXA1"
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = "20260105", "091500"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepEndDate = ds.PerformedProcedureStepEndTime = ""
    ds.Modality = "BMD"
    ds.PerformedSeriesSequence = Sequence()
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def ended(status: str = "COMPLETED", **changes: object) -> Dataset:
    """Return the attributes with which a step ends."""
    series = Dataset()
    series.SeriesInstanceUID = UID("2.25.9000002")
    series.ProtocolName = "AP Spine"
    ds = Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedProcedureStepEndDate, ds.PerformedProcedureStepEndTime = "20260105", "092500"
    ds.PerformedSeriesSequence = Sequence([series])
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def _code(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99SIM", value
    return code


def fact(rig: StepRig, uid: str = STEP) -> PatientScanStarted:
    """What was recorded of a step's start."""
    found = rig.site.facts[event_id(uid, "started")]
    assert isinstance(found, PatientScanStarted)
    return found
