"""A virtual RIS: a modality worklist SCP with plainly invented patients."""

import socket
import threading
from collections.abc import Iterator
from collections.abc import Sequence as Items
from datetime import date
from typing import Final

import msgspec
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

PENDING: Final = 0xFF00


class Appointment(msgspec.Struct, frozen=True):
    """One worklist item; `stations` may be none, or several."""

    number: int
    stations: tuple[str, ...] = ()
    procedure_code: str = "DXASH"
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = "19500101"
    day: date = date(2026, 1, 5)
    start: str = "090000"


def invented_clinic(station: str, count: int, *, first: int = 1, day: date | None = None) -> tuple[Appointment, ...]:
    """Return `count` appointments of invented patients for one scanner, twenty minutes apart from 08:30."""
    return tuple(
        Appointment(
            number=first + index,
            stations=(station,),
            day=day or date(2026, 1, 5),
            start=f"{(510 + 20 * index) // 60 % 24:02d}{(510 + 20 * index) % 60:02d}00",
        )
        for index in range(count)
    )


class VirtualRis:
    """Answers worklist queries on 127.0.0.1; station and patient id are matched, the rest is ignored.

    Parameters
    ----------
    appointments
        What is booked; `book` replaces it.
    ae_title
        Its own AE title.
    port
        0 takes a free one.
    """

    def __init__(self, appointments: Items[Appointment] = (), *, ae_title: str = "RIS", port: int = 0) -> None:
        self.ae_title = ae_title
        self.delay_s = 0.0
        self.fails = False
        self.pending_status = PENDING
        self.queries = 0
        self.in_query = threading.Event()
        self.calling_ae_titles: list[str] = []
        self.given_patient_ids: set[str] = set()
        self._wanted_port = port
        self._items = tuple(worklist_item(appointment) for appointment in appointments)
        self._stopping = threading.Event()
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """The port that is bound."""
        if self._server is None:
            raise RuntimeError("the RIS is not started")
        return int(self._server.server_address[1])

    def book(self, appointments: Items[Appointment]) -> None:
        """Replace what is booked."""
        self._items = tuple(worklist_item(appointment) for appointment in appointments)

    def book_items(self, items: Items[Dataset]) -> None:
        """Replace what is booked by items as they are."""
        self._items = tuple(items)

    def start(self) -> None:
        """Bind the port and serve."""
        entity = AE(ae_title=self.ae_title)
        entity.add_supported_context(ModalityWorklistInformationFind, ImplicitVRLittleEndian)
        entity.add_supported_context(Verification)
        self._stopping.clear()
        handlers: list[evt.EventHandlerType] = [(evt.EVT_CONN_OPEN, _be_quick), (evt.EVT_C_FIND, self._find)]
        server = entity.start_server(("127.0.0.1", self._wanted_port), block=False, evt_handlers=handlers)
        assert server is not None  # noqa: S101 - narrows the type; only a blocking server is None
        self._server = server

    def stop(self) -> None:
        """Stop serving."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        self.queries += 1
        self.calling_ae_titles.append(event.assoc.requestor.ae_title)
        self.in_query.set()
        query = event.identifier
        for item in [item for item in self._items if _matches(item, query)]:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            self.given_patient_ids.add(str(item.PatientID))
            yield self.pending_status, item
        self._stopping.wait(self.delay_s)
        if self.fails:
            yield 0xA700, None


def _be_quick(event: Event) -> None:
    """Answer without Nagle's delay, looking for requests ten times a millisecond."""
    event.assoc.dul._run_loop_delay = 0.0001  # noqa: SLF001 - pynetdicom has no public setting for it
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def worklist_item(appointment: Appointment) -> Dataset:
    """Return an appointment as the RIS sends it."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.AccessionNumber = f"ACC{appointment.number:05d}"
    ds.PatientName = appointment.patient_name or f"TEST^INVENTED {appointment.number:02d}"
    ds.PatientID = appointment.patient_id or f"TEST{appointment.number:05d}"
    ds.PatientBirthDate, ds.PatientSex = appointment.birth_date, "O"
    ds.StudyInstanceUID = f"2.25.{90_000_000 + appointment.number}"
    ds.RequestedProcedureID = f"RP{appointment.number:05d}"
    ds.RequestedProcedureDescription = "DXA"
    ds.RequestedProcedureCodeSequence = Sequence([_code(appointment.procedure_code)])
    ds.ScheduledProcedureStepSequence = Sequence([_step(appointment)])
    return ds


def _step(appointment: Appointment) -> Dataset:
    step = Dataset()
    step.Modality = "OT"
    if appointment.stations:
        step.ScheduledStationAETitle = list(appointment.stations)
    step.ScheduledProcedureStepStartDate = f"{appointment.day:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = appointment.start
    step.ScheduledProcedureStepDescription = "DXA"
    step.ScheduledProcedureStepID = f"SPS{appointment.number:05d}"
    step.ScheduledProtocolCodeSequence = Sequence([_code(appointment.procedure_code)])
    return step


def _code(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99SIM", value
    return code


def _matches(item: Dataset, query: Dataset) -> bool:
    wanted_id = str(query.get("PatientID") or "")
    if wanted_id and wanted_id != str(item.get("PatientID") or ""):
        return False
    steps = query.get("ScheduledProcedureStepSequence") or []
    station = str(steps[0].get("ScheduledStationAETitle") or "") if steps else ""
    return not station or any(station in _stations(step) for step in item.ScheduledProcedureStepSequence)


def _stations(step: Dataset) -> list[str]:
    value = step.get("ScheduledStationAETitle") or []
    return [value] if isinstance(value, str) else list(value)
