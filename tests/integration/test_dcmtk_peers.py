from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.settings import Upstream
from simulators.phantom_sr import BASIC_TEXT_SR, COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR, ENHANCED_SR
from simulators.ris import Appointment, invented_clinic, worklist_item
from simulators.scanner import patient_report
from tests.integration.dicom_rig import DXA1, DXA2, MEASURED, DicomRig, running
from tests.integration.store_rig import report
from tests.peers import echoscu, findscu, storescu, wlmscpfs, write_part10

BOOKED = (
    *invented_clinic("DXA1", 2),
    Appointment(99, ("DXA1",), patient_id="SPINE-1234", patient_name="PHANTOM^SPINE"),
    *invented_clinic("DXA2", 1, first=50),
)
PATIENTS = {"TEST00001", "TEST00002"}


@pytest.fixture
def dcmtk_rig(tmp_path: Path) -> Iterator[DicomRig]:
    """An application entity with DCMTK's worklist server behind it."""
    with wlmscpfs(tmp_path / "wl", [worklist_item(appointment) for appointment in BOOKED]) as port:
        upstream = Upstream("RIS", "127.0.0.1", port, timeout_s=5.0)
        with running(tmp_path / "site", upstream=upstream) as rig:
            yield rig


def test_echoscu_is_answered(rig: DicomRig) -> None:
    assert echoscu(rig.port)


@pytest.mark.parametrize("sop_class", [BASIC_TEXT_SR, ENHANCED_SR, COMPREHENSIVE_SR, COMPREHENSIVE_3D_SR])
def test_storescu_sends_a_phantom_scan(rig: DicomRig, tmp_path: Path, sop_class: str) -> None:
    path = write_part10(tmp_path / "scan.dcm", report(sop_class=sop_class))
    answer = storescu(rig.port, path, options=["-R"])  # else it proposes only the classes it likes best
    assert answer.status == 0x0000
    assert len(rig.site.facts) == 2


@pytest.mark.parametrize("syntax", ["-xe", "-xb", "-xi", "-xd"])
def test_storescu_may_encode_as_it_likes(rig: DicomRig, tmp_path: Path, syntax: str) -> None:
    path = write_part10(tmp_path / "scan.dcm", report())
    assert storescu(rig.port, path, options=[syntax]).status == 0x0000
    assert len(rig.site.facts) == 2


def test_storescu_sends_many_over_one_association(rig: DicomRig, tmp_path: Path) -> None:
    paths = [write_part10(tmp_path / f"{number}.dcm", report(acquisition=f"scan {number}")) for number in range(50)]
    assert storescu(rig.port, *paths).status == 0x0000
    assert len(rig.archived()) == 50


@pytest.mark.parametrize(
    ("change", "status"),
    [({"readings": {}}, 0xC211), ({"readings": {"L1-L4": "9"}}, 0xC212), ({"unit": "mg/cm2"}, 0xC213)],
)
def test_storescu_is_told_why_a_scan_is_refused(
    rig: DicomRig, tmp_path: Path, change: dict[str, object], status: int
) -> None:
    answer = storescu(rig.port, write_part10(tmp_path / "scan.dcm", report(**change)))
    assert answer.status == status
    assert answer.error_comment


def test_storescu_of_a_patient_or_from_nobody_is_refused(rig: DicomRig, tmp_path: Path) -> None:
    path = write_part10(tmp_path / "patient.dcm", patient_report(1, MEASURED))
    assert storescu(rig.port, path).status == 0xC215
    assert storescu(rig.port, path, calling_ae="NOBODY").status == 0x0124


def test_findscu_gets_the_list_of_wlmscpfs(dcmtk_rig: DicomRig) -> None:
    answer = findscu(dcmtk_rig.port, station="DXA1")
    assert answer.status == 0x0000
    assert set(answer.patient_ids) == PATIENTS | {"SPINE-1234"}


@pytest.mark.parametrize("station", ["DXA1", ""])
def test_findscu_of_a_held_scanner_is_refused_with_the_reason(dcmtk_rig: DicomRig, station: str) -> None:
    dcmtk_rig.site.hold(DXA1)
    answer = findscu(dcmtk_rig.port, station=station)
    assert answer.status == 0xC100
    assert answer.error_comment.startswith("qc_failed")
    assert not PATIENTS & set(answer.patient_ids)
    assert "SPINE-1234" in answer.patient_ids


def test_findscu_of_the_other_scanner_is_not_affected(dcmtk_rig: DicomRig) -> None:
    dcmtk_rig.site.hold(DXA1)
    answer = findscu(dcmtk_rig.port, calling_ae="DXA2", station="DXA2")
    assert (answer.status, answer.patient_ids) == (0x0000, ("TEST00050",))
    dcmtk_rig.site.hold(DXA2)
    assert findscu(dcmtk_rig.port, calling_ae="DXA2", station="DXA2").status == 0xC100


def test_findscu_from_nobody_is_told_so(dcmtk_rig: DicomRig) -> None:
    assert findscu(dcmtk_rig.port, calling_ae="NOBODY", station="DXA1").status == 0xC101


def test_findscu_finds_its_phantom_while_held(dcmtk_rig: DicomRig) -> None:
    dcmtk_rig.site.hold(DXA1)
    answer = findscu(dcmtk_rig.port, patient_id="SPINE-1234")
    assert (answer.status, answer.patient_ids) == (0x0000, ("SPINE-1234",))


def test_wlmscpfs_that_rejects_us_is_a_failure(tmp_path: Path) -> None:
    with wlmscpfs(tmp_path / "wl", []) as port:
        upstream = Upstream("NO_SUCH_AE", "127.0.0.1", port, timeout_s=5.0)
        with running(tmp_path / "site", upstream=upstream) as rig:
            assert findscu(rig.port, station="DXA1").status == 0xC102


def test_wlmscpfs_with_nobody_booked_is_an_empty_success(tmp_path: Path) -> None:
    with wlmscpfs(tmp_path / "wl", []) as port:
        upstream = Upstream("RIS", "127.0.0.1", port, timeout_s=5.0)
        with running(tmp_path / "site", upstream=upstream) as rig:
            answer = findscu(rig.port, station="DXA1")
            assert (answer.status, answer.patient_ids) == (0x0000, ())
