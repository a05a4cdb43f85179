"""A virtual DXA scanner: scans its phantom, sends the report, asks for its worklist; plainly synthetic."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ssl import SSLContext

import msgspec
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AddressInformation, AssociationSocket

from simulators.phantom_sr import ENHANCED_SR, RegionStyle, ReportSpec, build_report
from simulators.series import BmdSeries, spine_readings

NO_ANSWER = -1
"""The status when the peer did not answer."""


class StoreResult(msgspec.Struct, frozen=True):
    """How a C-STORE was answered."""

    status: int
    error_comment: str
    sop_instance_uid: str

    @property
    def is_taken(self) -> bool:
        """Whether the object was taken, with or without a warning."""
        return self.status == 0x0000 or 0xB000 <= self.status <= 0xBFFF


class WorklistResult(msgspec.Struct, frozen=True):
    """How a worklist query was answered."""

    status: int
    error_comment: str
    items: tuple[Dataset, ...]

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Ids of the patients on the list."""
        return tuple(str(item.PatientID) for item in self.items)


class ScannerConnectionError(ConnectionError):
    """The site does not accept the scanner's association."""


_TRANSFER_SYNTAX = {Verification: ImplicitVRLittleEndian, ModalityWorklistInformationFind: ImplicitVRLittleEndian}


class ScannerSession:
    """An open association of a scanner with the site; not for two threads at once."""

    def __init__(self, association: Association, station: str) -> None:
        self._association = association
        self._station = station

    def send(self, ds: Dataset) -> StoreResult:
        """Send one object by C-STORE."""
        answer = self._association.send_c_store(ds)
        return StoreResult(answer.get("Status", NO_ANSWER), str(answer.get("ErrorComment", "")), str(ds.SOPInstanceUID))

    def query_worklist(self, *, patient_id: str = "", station: str | None = None) -> WorklistResult:
        """Ask for the worklist of this station (or another; empty: of every station)."""
        query = worklist_query(patient_id=patient_id, station=self._station if station is None else station)
        items: list[Dataset] = []
        final = Dataset()
        for status, item in self._association.send_c_find(query, ModalityWorklistInformationFind):
            final = status
            if item is not None:
                items.append(item)
        return WorklistResult(final.get("Status", NO_ANSWER), str(final.get("ErrorComment", "")), tuple(items))


class PhantomLabel(msgspec.Struct, frozen=True):
    """Under which id and name the console files the phantom."""

    patient_id: str = "SPINE-1234"
    patient_name: str = "PHANTOM^SPINE"


class VirtualScanner:
    """One scanner with its phantom.

    Parameters
    ----------
    ae_title
        Its calling AE title.
    host, port, called_ae
        The site.
    phantom
        Its phantom's label.
    series
        What it measures, by day.
    clock_ahead
        How far its clock is wrong.
    sop_class, unit, style
        How it writes its reports.
    """

    def __init__(
        self,
        ae_title: str,
        port: int,
        *,
        host: str = "127.0.0.1",
        called_ae: str = "BONEWATCH",
        phantom: PhantomLabel | None = None,
        series: BmdSeries | None = None,
        clock_ahead: timedelta = timedelta(),
        sop_class: str = ENHANCED_SR,
        unit: str = "g/cm2",
        style: RegionStyle = RegionStyle.CONCEPT,
    ) -> None:
        self.ae_title = ae_title
        self.phantom = phantom or PhantomLabel()
        self.series = series or BmdSeries()
        self.clock_ahead = clock_ahead
        self._host, self._port, self._called_ae = host, port, called_ae
        self._sop_class, self._unit, self._style = sop_class, unit, style

    def report(
        self, bmd_g_cm2: float, measured_at: datetime, *, acquisition: str | None = None, analysis: int = 0
    ) -> Dataset:
        """Return the report of a phantom scan with this L1-L4 density.

        A report of the same `acquisition` with another `analysis` is a re-analysis of one scan.
        """
        stamped = measured_at + self.clock_ahead
        return build_report(
            ReportSpec(
                patient_id=self.phantom.patient_id,
                patient_name=self.phantom.patient_name,
                measured_at=stamped,
                readings=dict(spine_readings(bmd_g_cm2)),
                acquisition=acquisition or f"{stamped.astimezone(UTC):%Y%m%dT%H%M%S.%f}",
                analysis=analysis,
                sop_class=self._sop_class,
                unit=self._unit,
                style=self._style,
                station=self.ae_title,
            )
        )

    def scan(self, day: int, measured_at: datetime, *, scan: int = 0) -> StoreResult:
        """Scan the phantom as the series has it for that day, and send the report."""
        return self.send(self.report(self.series.bmd_g_cm2(day, scan), measured_at))

    def send(self, ds: Dataset) -> StoreResult:
        """Send one object by C-STORE over an association of its own."""
        with self.session(str(ds.SOPClassUID)) as session:
            return session.send(ds)

    def query_worklist(self, *, patient_id: str = "", station: str | None = None) -> WorklistResult:
        """Ask for the worklist of this station (or another; empty: of every station)."""
        with self.session() as session:
            return session.query_worklist(patient_id=patient_id, station=station)

    @contextmanager
    def session(self, sop_class: str | None = None) -> Iterator["ScannerSession"]:
        """Keep one association open for a block, for any number of reports and queries."""
        with _Associated(self._associate(sop_class or self._sop_class, ModalityWorklistInformationFind)) as association:
            yield ScannerSession(association, self.ae_title)

    def echo(self) -> bool:
        """Whether the site answers a C-ECHO."""
        try:
            with _Associated(self._associate(Verification)) as association:
                return bool(association.send_c_echo().get("Status", NO_ANSWER) == 0x0000)
        except ScannerConnectionError:
            return False

    def _associate(self, *sop_classes: str) -> Association:
        entity = _Entity(ae_title=self.ae_title)
        for sop_class in sop_classes:
            entity.add_requested_context(sop_class, _TRANSFER_SYNTAX.get(sop_class, ExplicitVRLittleEndian))
        association = entity.associate(self._host, self._port, ae_title=self._called_ae)
        if not association.is_established:
            raise ScannerConnectionError(f"{self._called_ae} does not accept {self.ae_title}")
        return association


def worklist_query(*, patient_id: str = "", station: str = "") -> Dataset:
    """Return a worklist query with the keys that consoles send."""
    query = Dataset()
    query.AccessionNumber = query.PatientName = query.PatientBirthDate = query.StudyInstanceUID = ""
    query.PatientID = patient_id
    query.RequestedProcedureID = query.RequestedProcedureDescription = ""
    query.RequestedProcedureCodeSequence = Sequence()
    step = Dataset()
    step.ScheduledStationAETitle = station
    step.Modality = step.ScheduledProcedureStepStartDate = step.ScheduledProcedureStepStartTime = ""
    step.ScheduledProcedureStepID = ""
    step.ScheduledProtocolCodeSequence = Sequence()
    query.ScheduledProcedureStepSequence = Sequence([step])
    return query


def patient_report(number: int, measured_at: datetime, *, station: str = "DXA1") -> Dataset:
    """Return the spine report of a plainly invented patient."""
    return build_report(
        ReportSpec(
            patient_id=f"TEST{number:05d}",
            patient_name=f"TEST^INVENTED {number:02d}",
            birth_date="19500101",
            measured_at=measured_at,
            readings=dict(spine_readings(0.912)),
            acquisition=f"patient-{number}-{measured_at:%Y%m%d%H%M%S}",
            station=station,
            accession_number=f"ACC{number:05d}",
        )
    )


class _Socket(AssociationSocket):
    """pynetdicom's, without Nagle's delay, looking for answers ten times a millisecond, and closed when refused."""

    def __init__(self, association: Association, address: AddressInformation) -> None:
        super().__init__(association, address=address)
        association.dul._run_loop_delay = 0.0001  # noqa: SLF001 - pynetdicom has no public setting for it
        if self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class _Entity(AE):
    def _create_socket(
        self, assoc: Association, address: AddressInformation, _tls_args: tuple[SSLContext, str] | None
    ) -> AssociationSocket:
        return _Socket(assoc, address)


class _Associated:
    """Releases an association when its block ends; aborts it after an error."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def __enter__(self) -> Association:
        return self._association

    def __exit__(self, error: object, *_: object) -> None:
        if error is None and self._association.is_established:
            self._association.release()
        elif self._association.is_alive():
            self._association.abort()
