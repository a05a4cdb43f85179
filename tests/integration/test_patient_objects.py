"""Patients' objects from scanners: read into facts, handed on, or refused; nothing of a person stays."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from collectors.dicom.received import ReceivedObject
from collectors.errors import NoRoomError
from collectors.printed.reports import PrintedReports, PrintingScanner
from collectors.printed.settings import PrintedDevice, PrintedSettings
from collectors.pseudonym import Pseudonyms
from collectors.quarantine import Quarantine
from simulators.patient_objects import (
    PatientScan,
    Row,
    capture,
    encapsulated,
    objects_of,
    presentation_state,
    scan_report,
)
from simulators.printed import HOLOGIC_SPINE, Report, hologic_page, printed
from streams.messages import ObjectKind, PatientMeasured, PatientObjectReceived, PhantomMeasured, PhantomScanRefused
from tests.fakes import FakeSite
from tests.integration.dicom_rig import DEVICES, DXA1, MEASURED, DicomRig, running

SCAN = PatientScan(MEASURED)


class Outbox:
    """Where objects go on to, in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, ReceivedObject]] = []
        self.full = False

    def keep(self, received: ReceivedObject, device: str) -> None:
        if self.full:
            raise NoRoomError
        self.kept.append((device, received))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DicomRig]:
    with running(tmp_path, patients="read") as one:
        yield one


def facts(rig: DicomRig) -> list[object]:
    return list(rig.site.facts.values())


def test_a_report_becomes_a_measurement(rig: DicomRig) -> None:
    assert rig.scanner().send(scan_report(SCAN)).status == 0x0000
    (fact,) = facts(rig)
    assert isinstance(fact, PatientMeasured)
    assert (fact.accession_number, fact.measured_at, fact.anatomy) == ("RK9-0012345", MEASURED, "spine")
    assert [(region.region, region.bmd_g_cm2) for region in fact.regions][-1] == ("L1-L4", 0.930)
    assert (fact.software, fact.sop_instance_uid) == ("SIM 1.0", str(scan_report(SCAN).SOPInstanceUID))
    assert fact.pseudonym.startswith("1.")
    assert "INVENTED" not in repr(fact)
    assert rig.archived() == []
    assert rig.quarantined() == []


def test_all_objects_of_a_scan_name_the_same_acquisition_and_one_measurement(rig: DicomRig) -> None:
    for ds in objects_of(SCAN):
        assert rig.scanner().send(ds).status == 0x0000
    image, state, report = facts(rig)
    assert isinstance(image, PatientObjectReceived)
    assert isinstance(state, PatientObjectReceived)
    assert isinstance(report, PatientMeasured)
    assert (image.kind, state.kind) == (ObjectKind.IMAGE, ObjectKind.PRESENTATION_STATE)
    assert image.acquisition_id == state.acquisition_id == report.acquisition_id
    assert image.study_instance_uid == report.study_instance_uid != ""
    assert image.pseudonym == report.pseudonym


def test_an_object_that_is_sent_again_counts_once_and_other_content_is_refused(rig: DicomRig) -> None:
    assert [rig.scanner().send(scan_report(SCAN)).status for _ in range(2)] == [0x0000, 0x0000]
    other = scan_report(replace(SCAN, rows=(Row("L1-L4", "0.931"),)))
    assert rig.scanner().send(other).status == 0x0111
    assert len(facts(rig)) == 1
    assert rig.refusal_codes() == ["conflict"]


def test_an_object_that_is_sent_again_after_a_rotation_counts_once(rig: DicomRig) -> None:
    scanner, names = rig.scanner(), Pseudonyms(rig.data_dir)
    assert scanner.send(scan_report(SCAN)).status == 0x0000
    before = facts(rig)
    names.rotate()
    assert scanner.send(scan_report(SCAN)).status == 0x0000
    assert facts(rig) == before
    scanner.send(scan_report(replace(SCAN, acquisition="another", accession_number="RK9-2")))
    (first, second) = facts(rig)
    assert isinstance(first, PatientMeasured)
    assert isinstance(second, PatientMeasured)
    assert second.pseudonym.startswith("2.")
    assert names.newest(first.pseudonym) == second.pseudonym


def test_a_report_that_contradicts_itself_is_told_and_no_measurement(rig: DicomRig) -> None:
    swapped = replace(SCAN, rows=(Row("L1-L4", "0.930", "55.77", "51.85"),))
    assert rig.scanner().send(scan_report(swapped)).status == 0x0000
    (fact,) = facts(rig)
    assert isinstance(fact, PatientObjectReceived)
    assert (fact.kind, fact.why) == (ObjectKind.REPORT, "does_not_add_up")


def test_the_mode_is_that_of_the_procedure_s_code(rig: DicomRig) -> None:
    scanner = rig.scanner("DXA4")
    for number, code in enumerate(("DXAFA", "DXASH", "OTHER"), 1):
        scanner.send(
            scan_report(replace(SCAN, acquisition=code, accession_number=f"RK9-{number}", procedure_code=code))
        )
    found = [(fact.mode, fact.procedure_code) for fact in facts(rig) if isinstance(fact, PatientMeasured)]
    assert found == [("forearm", "DXAFA"), ("spine-hip", "DXASH"), ("", "OTHER")]


def test_a_name_in_the_place_of_a_number_goes_nowhere(rig: DicomRig) -> None:
    ds = scan_report(replace(SCAN, accession_number="INVENTED PERSON", procedure_code="INVENTED PERSON"))
    ds.SoftwareVersions = "INVENTED PERSON"
    ds.StudyInstanceUID = "INVENTED PERSON"
    del ds.AcquisitionUID
    with capture_logs() as logs:
        assert rig.scanner().send(ds).status == 0x0000
    (fact,) = facts(rig)
    assert isinstance(fact, PatientMeasured)
    assert (fact.accession_number, fact.procedure_code, fact.software, fact.study_instance_uid) == ("", "", "", "")
    assert "INVENTED" not in repr(fact)
    assert "INVENTED" not in repr(logs)


def test_objects_go_on_unchanged_once_what_they_say_is_recorded(tmp_path: Path) -> None:
    outbox = Outbox()
    with running(tmp_path, forwarding=outbox, patients="read") as rig:
        sent = objects_of(SCAN)
        assert [rig.scanner().send(ds).status for ds in sent] == [0x0000] * 3
        assert [received.sop_instance_uid for _, received in outbox.kept] == [ds.SOPInstanceUID for ds in sent]
        assert {device for device, _ in outbox.kept} == {DXA1}
        assert b"INVENTED^PERSON^ONE" in outbox.kept[0][1].data
        assert len(rig.site.facts) == 3


def test_nothing_is_acknowledged_that_is_not_kept(tmp_path: Path) -> None:
    outbox = Outbox()
    with running(tmp_path, forwarding=outbox, patients="read") as rig:
        outbox.full = True
        assert rig.scanner().send(scan_report(SCAN)).status == 0xA700
        outbox.full = False
        assert rig.scanner().send(scan_report(SCAN)).status == 0x0000
        rig.site.available = False
        assert rig.scanner().send(capture(SCAN)).status == 0xA700
        assert (len(rig.site.facts), len(outbox.kept)) == (1, 1)


def test_where_they_are_refused_it_is_noted_that_they_came(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        assert rig.scanner().send(presentation_state(SCAN)).status == 0xC215
        (fact,) = facts(rig)
        assert isinstance(fact, PatientObjectReceived)
        assert (fact.why, fact.accession_number, fact.acquired_at) == ("refused", "RK9-0012345", MEASURED)
        assert rig.refusal_codes() == ["patient_object"]


def test_what_was_refused_goes_on_once_that_is_configured(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        assert rig.scanner().send(scan_report(SCAN)).status == 0xC215
        site = rig.site
    outbox = Outbox()
    with running(tmp_path, forwarding=outbox, patients="read") as rig:
        rig.site.facts |= site.facts
        assert rig.scanner().send(scan_report(SCAN)).status == 0x0000
        assert len(outbox.kept) == 1


def test_what_is_read_otherwise_than_before_still_goes_on(tmp_path: Path) -> None:
    outbox = Outbox()
    with running(tmp_path, forwarding=outbox, patients="read") as rig:
        assert rig.scanner().send(scan_report(SCAN)).status == 0x0000
        ((name, fact),) = rig.site.facts.items()
        assert isinstance(fact, PatientMeasured)
        rig.site.facts[name] = replace(fact, mode="another")
        assert rig.scanner().send(scan_report(SCAN)).status == 0x0000
        assert len(outbox.kept) == 2
        assert len(rig.site.facts) == 1


# --- printed pages that come as objects --------------------------------------------------------------------


@pytest.fixture
def printing(tmp_path: Path) -> Iterator[DicomRig]:
    policy = replace(DEVICES[DXA1], model="Horizon A", serial="300123M")
    pages = PrintedReports(
        FakeSite(),
        {DXA1: PrintingScanner(policy, PrintedDevice("hologic-apex"))},
        PrintedSettings(),
        zone=ZoneInfo("Europe/London"),
        data_dir=tmp_path,
        quarantine=Quarantine(tmp_path),
        patients=Quarantine(tmp_path, name="patient-pages"),
    )
    with running(tmp_path, pages=pages, patients="read") as one:
        yield one


def page(**changes: str) -> bytes:
    return printed([hologic_page(replace(Report(HOLOGIC_SPINE), **changes))])


AS_PRINTED = {"patient_id": SCAN.patient_id, "patient_name": "INVENTED, PERSON", "scan_id": "A12041903"}


def test_a_patient_s_page_is_a_measurement_with_the_request_of_its_object(printing: DicomRig) -> None:
    ds = encapsulated(SCAN, page(**AS_PRINTED))
    assert [printing.scanner().send(ds).status for _ in range(2)] == [0x0000, 0x0000]
    (fact,) = facts(printing)
    assert isinstance(fact, PatientMeasured)
    assert (fact.accession_number, fact.anatomy, fact.k, fact.d0) == ("RK9-0012345", "spine", 1.130, 48.6)
    assert (fact.regions[-1].region, fact.regions[-1].bmd_g_cm2) == ("L1-L4", 0.930)
    assert "INVENTED" not in repr(fact)


def test_a_phantom_s_page_is_its_scan(printing: DicomRig) -> None:
    scan = replace(SCAN, patient_id="SPINE-1234", patient_name="PHANTOM^SPINE")
    assert printing.scanner().send(encapsulated(scan, page())).status == 0x0000
    found = {fact.region: fact for fact in facts(printing) if isinstance(fact, PhantomMeasured)}
    assert list(found)[-1] == "L1-L4"
    assert (found["L1-L4"].bmd_g_cm2, found["L1-L4"].k, found["L1-L4"].d0) == (0.930, 1.130, 48.6)
    assert len(printing.archived()) == 1


@pytest.mark.parametrize(
    ("pdf", "why"),
    [
        (page(), "mixed"),  # the page is the phantom's, the object a patient's
        (page(**AS_PRINTED | {"patient_id": "INVENTED-0002"}), "mixed"),  # another person's
        (page(**AS_PRINTED, serial="999999X"), "unknown_device"),
        (b"%PDF-1.4 no page", "unreadable"),
        (b"no PDF", "undecodable"),
    ],
)
def test_a_page_that_is_not_understood_is_counted_and_no_measurement(printing: DicomRig, pdf: bytes, why: str) -> None:
    assert printing.scanner().send(encapsulated(SCAN, pdf)).status == 0x0000
    (fact,) = facts(printing)
    assert isinstance(fact, PatientObjectReceived)
    assert (fact.kind, fact.why) == (ObjectKind.DOCUMENT, why)


def test_a_patient_s_page_under_the_phantom_s_id_is_refused(printing: DicomRig) -> None:
    scan = replace(SCAN, patient_id="SPINE-1234", patient_name="PHANTOM^SPINE")
    answer = printing.scanner().send(encapsulated(scan, page(**AS_PRINTED)))
    assert answer.status == 0xC214
    assert printing.refusal_codes() == ["implausible"]
    assert [type(fact) for fact in facts(printing)] == [PhantomScanRefused]


# --- private results of a Hologic --------------------------------------------------------------------------

RESULTS = b"""<Results><ScanID>A12041903</ScanID><k>1.130</k><d0>48.6</d0>
<Region><Name>L1-L4</Name><Area>55.77</Area><BMC>51.85</BMC><BMD>0.930</BMD></Region></Results>"""


def with_results(ds: Dataset, results: bytes = RESULTS) -> Dataset:
    ds.private_block(0x0019, "HOLOGIC, Inc.", create=True).add_new(0x00, "UN", results)
    return ds


def test_constants_in_private_elements_come_along_with_a_report(rig: DicomRig) -> None:
    assert rig.scanner().send(with_results(scan_report(SCAN))).status == 0x0000
    phantom = rig.scanner().report(1.0, MEASURED)
    assert rig.scanner().send(with_results(phantom)).status == 0x0000
    patient, *regions = facts(rig)
    assert isinstance(patient, PatientMeasured)
    assert (patient.k, patient.d0) == (1.130, 48.6)
    assert {(fact.k, fact.d0) for fact in regions if isinstance(fact, PhantomMeasured)} == {(1.130, 48.6)}


def test_broken_private_elements_do_not_spoil_a_report(rig: DicomRig) -> None:
    assert rig.scanner().send(with_results(scan_report(SCAN), b"<Results>")).status == 0x0000
    (fact,) = facts(rig)
    assert isinstance(fact, PatientMeasured)
    assert fact.k is None


def test_densities_of_images_are_taken_only_where_configured(tmp_path: Path) -> None:
    phantom = replace(SCAN, patient_id="SPINE-1234", patient_name="PHANTOM^SPINE")
    with running(tmp_path, private_values=[DXA1], patients="read") as rig:
        for ae_title in ("DXA1", "DXA3"):
            for number, scan in enumerate((SCAN, phantom)):
                ds = with_results(capture(replace(scan, station=ae_title, acquisition=f"{number}")))
                assert rig.scanner(ae_title).send(ds).status == 0x0000
        found = facts(rig)
    assert [type(fact) for fact in found] == [PatientMeasured, PhantomMeasured, PatientObjectReceived]
    assert isinstance(found[0], PatientMeasured)
    assert isinstance(found[1], PhantomMeasured)
    assert [(region.region, region.bmd_g_cm2) for region in found[0].regions] == [("L1-L4", 0.930)]
    assert (found[1].region, found[1].bmd_g_cm2, found[1].measured_at) == ("L1-L4", 0.930, MEASURED)
