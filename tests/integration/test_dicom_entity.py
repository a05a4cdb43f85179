"""What a scanner stores of its phantom is recorded, archived and answered, and counts once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pydicom
import pytest
from pydicom.uid import UID

from simulators.scanner import StoreResult
from streams.messages import PhantomMeasured, Verdict
from tests.integration.dicom_rig import DXA1, MEASURED, VISITOR, DicomRig
from tests.integration.store_rig import counter, phantom_image, report, send_in_other_syntax

# --- what is taken -----------------------------------------------------------------------------------------


def test_echo_is_answered(rig: DicomRig) -> None:
    assert rig.scanner().echo()


def test_phantom_scan_is_recorded_archived_and_answered(rig: DicomRig) -> None:
    ds = report()
    assert rig.scanner().send(ds) == StoreResult(0x0000, "", ds.SOPInstanceUID)
    facts = [fact for fact in rig.site.facts.values() if isinstance(fact, PhantomMeasured)]
    assert {fact.region: fact.bmd_g_cm2 for fact in facts} == {"L1": 0.955, "L1-L4": 1.0}
    assert {(fact.phantom_id, fact.measured_at, fact.sop_instance_uid) for fact in facts} == {
        ("SPINE-1234", MEASURED, ds.SOPInstanceUID)
    }
    (path,) = rig.archived()
    assert pydicom.dcmread(path).SOPInstanceUID == ds.SOPInstanceUID
    assert not rig.quarantined()


def test_a_visiting_phantoms_inserts_are_recorded_each(rig: DicomRig) -> None:
    inserts = {"L1": 0.5, "L2": 1.0, "L3": 1.5, "L1-L3": 1.0}
    ds = report(patient_id=VISITOR.patient_id, patient_name="PHANTOM^ESP", readings=inserts)
    assert rig.scanner("DXA5").send(ds).status == 0x0000
    facts = [fact for fact in rig.site.facts.values() if isinstance(fact, PhantomMeasured)]
    assert {fact.region: fact.bmd_g_cm2 for fact in facts} == inserts
    assert {fact.phantom_id for fact in facts} == {VISITOR.patient_id}
    assert not rig.quarantined()
    assert rig.scanner("DXA1").send(ds).status != 0x0000  # there nobody expects a visitor


def test_free_text_of_a_report_stays_out_of_the_log(rig: DicomRig) -> None:
    ds = report(readings={"TEST INVENTED SECRET": 1.1, "L1-L4": 1.0})
    ds.SoftwareVersions = "PERSON SECRET"
    assert rig.scanner().send(ds).status == 0x0000
    facts = [fact for fact in rig.site.facts.values() if isinstance(fact, PhantomMeasured)]
    assert [(fact.region, fact.software) for fact in facts] == [("L1-L4", "")]


@pytest.mark.parametrize("version", ["13.6.0.7", "APEX 5.6.0.5", "16 [SP 2]"])
def test_a_software_version_is_recorded(rig: DicomRig, version: str) -> None:
    ds = report()
    ds.SoftwareVersions = version
    assert rig.scanner().send(ds).status == 0x0000
    assert {fact.software for fact in rig.site.facts.values() if isinstance(fact, PhantomMeasured)} == {version}


def test_virtual_scanner_sends_its_series(rig: DicomRig) -> None:
    scanner = rig.scanner()
    assert [scanner.scan(0, MEASURED, scan=0).status, scanner.scan(0, MEASURED.replace(minute=50), scan=1).status] == [
        0x0000,
        0x0000,
    ]
    assert len(rig.archived()) == 2


def test_timing_is_split_for_the_benchmark(rig: DicomRig) -> None:
    rig.scanner().send(report())
    (timing,) = rig.timings
    assert min(timing.parse_s, timing.archive_s, timing.append_s) > 0
    assert timing.total_s >= timing.parse_s + timing.archive_s + timing.append_s


def test_image_of_a_phantom_is_kept_and_says_nothing(rig: DicomRig) -> None:
    assert rig.scanner().send(phantom_image()).status == 0x0000
    assert len(rig.archived()) == 1
    assert not rig.site.facts


def test_private_storage_class_is_kept(rig: DicomRig) -> None:
    ds = phantom_image()
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID("1.3.6.1.4.1.99999.1")
    assert rig.scanner().send(ds).status == 0x0000
    assert len(rig.archived()) == 1


def test_another_phantoms_scan_is_taken_with_a_warning(rig: DicomRig) -> None:
    rig.site.verdicts["L1-L4"] = Verdict.WRONG_PHANTOM
    answer = rig.scanner().send(report())
    assert answer.status == 0xB007
    assert "another phantom" in answer.error_comment
    assert answer.is_taken
    assert len(rig.archived()) == 1


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.CLOCK_SUSPECT, Verdict.NO_BASELINE])
def test_scan_that_fails_is_taken_all_the_same(rig: DicomRig, verdict: Verdict) -> None:
    rig.site.verdicts["L1-L4"] = verdict
    assert rig.scanner().send(report()).status == 0x0000


# --- repeats and conflicts ---------------------------------------------------------------------------------


def test_same_object_again_is_acknowledged_and_counts_once(rig: DicomRig) -> None:
    scanner = rig.scanner()
    assert [scanner.send(report()).status for _ in range(2)] == [0x0000, 0x0000]
    assert len(rig.site.facts) == 2
    assert len(rig.archived()) == 1


def test_same_object_at_once_on_two_associations_is_taken_twice_and_kept(rig: DicomRig) -> None:
    first_is_in, second_is_done = threading.Event(), threading.Event()

    def wait_for_the_second() -> None:
        if not first_is_in.is_set():
            first_is_in.set()
            assert second_is_done.wait(10)

    rig.site.before_append = wait_for_the_second
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rig.scanner().send, report())
        assert first_is_in.wait(10)
        second = rig.scanner().send(report())
        second_is_done.set()
        assert (first.result().status, second.status) == (0x0000, 0x0000)
    assert len(rig.archived()) == 1
    assert not rig.quarantined()


def test_same_scan_in_another_transfer_syntax_is_a_duplicate(rig: DicomRig) -> None:
    before = counter("bonewatch_dicom_objects_total", device=DXA1, code="duplicate")
    assert rig.scanner().send(report()).status == 0x0000
    kept = rig.archived()
    assert send_in_other_syntax(rig) == 0x0000
    assert counter("bonewatch_dicom_objects_total", device=DXA1, code="duplicate") == before + 1
    assert set(kept) < set(rig.archived())
    assert len(rig.site.facts) == 2


def test_taken_scan_that_the_archive_lost_is_kept_again(rig: DicomRig) -> None:
    rig.scanner().send(report())
    (path,) = rig.archived()
    path.unlink()
    assert rig.scanner().send(report()).status == 0x0000
    assert rig.archived() == [path]


@pytest.mark.parametrize("change", [{"readings": {"L1-L4": 1.1}}, {"measured_at": MEASURED.replace(hour=6)}])
def test_same_uid_with_other_content_is_refused_and_kept_apart(rig: DicomRig, change: dict[str, object]) -> None:
    scanner = rig.scanner()
    assert scanner.send(report()).status == 0x0000
    facts = dict(rig.site.facts)
    answer = scanner.send(report(**change))
    assert answer.status == 0x0111
    assert answer.error_comment
    assert rig.site.facts == facts
    assert len(rig.archived()) == 1
    assert rig.refusal_codes() == ["conflict"]


def test_image_of_the_same_uid_with_other_content_is_refused(rig: DicomRig) -> None:
    other = phantom_image()
    other.SeriesNumber = "2"
    assert [rig.scanner().send(ds).status for ds in (phantom_image(), other)] == [0x0000, 0x0111]
    assert len(rig.archived()) == 1


def test_site_that_cannot_commit_asks_to_send_again(rig: DicomRig) -> None:
    rig.site.available = False
    answer = rig.scanner().send(report())
    assert (answer.status, answer.error_comment) == (0xA700, "cannot record now; send again later")
    assert not rig.quarantined()
    rig.site.available = True
    assert rig.scanner().send(report()).status == 0x0000
    assert len(rig.archived()) == 1


def test_archive_that_cannot_be_written_asks_to_send_again(rig: DicomRig) -> None:
    (rig.data_dir / "archive").write_text("in the way")
    assert rig.scanner().send(report()).status == 0xA700
    assert not rig.site.facts
