"""Patients' objects from scanners: read into facts, handed on, or refused; nothing of a person stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from collectors.dicom.received import ReceivedObject
from collectors.errors import NoRoomError
from simulators.patient_objects import PatientScan, Row, capture, objects_of, presentation_state, scan_report
from streams.messages import ObjectKind, PatientMeasured, PatientObjectReceived
from tests.integration.dicom_rig import DXA1, MEASURED, DicomRig, running

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


def test_where_they_are_refused_only_what_came_past_a_held_gate_is_noted(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        assert rig.scanner().send(scan_report(SCAN)).status == 0xC215
        assert facts(rig) == []
        rig.site.hold(DXA1)
        assert rig.scanner().send(presentation_state(SCAN)).status == 0xC215
        (fact,) = facts(rig)
        assert isinstance(fact, PatientObjectReceived)
        assert (fact.why, fact.accession_number) == ("refused", "RK9-0012345")
        assert rig.refusal_codes() == ["patient_object", "patient_object"]
