import gc
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from prometheus_client import REGISTRY, generate_latest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import EnhancedSRStorage  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from collectors.archive import Archive
from collectors.dicom.deadline_socket import RequestingEntity
from simulators.phantom_sr import IMAGE, RegionStyle, ReportSpec, build_report
from simulators.scanner import ScannerConnectionError, StoreResult, patient_report
from streams.messages import PatientObjectReceived, PhantomMeasured, PhantomScanRefused, Verdict
from streams.site import Receipt
from tests.integration.dicom_rig import DXA1, MEASURED, VISITOR, DicomRig, descriptors, running, threads

SECRETS = ("SECRET", "PERSON", "19431224", "ID-998877")


def report(**changes: object) -> Dataset:
    fields: dict[str, object] = {
        "patient_id": "SPINE-1234",
        "patient_name": "PHANTOM^SPINE",
        "measured_at": MEASURED,
        "readings": {"L1": 0.955, "L1-L4": 1.0},
        "acquisition": "first",
    }
    return build_report(ReportSpec(**{**fields, **changes}))  # type: ignore[arg-type] # as each test chooses


def phantom_image() -> Dataset:
    ds = report(readings={})
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(IMAGE)
    ds.Modality = "OT"
    for keyword in ("ContentSequence", "ConceptNameCodeSequence", "ValueType"):
        del ds[keyword]
    return ds


def counter(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


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


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"readings": {}}, 0xC211, "no_bmd"),
        ({"readings": {"L2-L4": 1.0}}, 0xC211, "region_absent"),
        ({"readings": {"L1-L4": "NaN"}}, 0xC212, "impossible_value"),
        ({"readings": {"L1-L4": "-1.0"}}, 0xC212, "impossible_value"),
        ({"readings": {"L1-L4": "0"}}, 0xC212, "impossible_value"),
        ({"readings": {"L1-L4": "1000.0"}}, 0xC212, "impossible_value"),
        ({"unit": "mg/cm2"}, 0xC213, "wrong_unit"),
        ({"unit": "g/cm3", "style": RegionStyle.CONTAINER}, 0xC213, "wrong_unit"),
        ({"readings": {"L1-L4": 1.0, "AP L1-L4": 1.1}}, 0xC217, "ambiguous_region"),
        ({"measured_at": MEASURED.replace(year=1980)}, 0xC216, "impossible_time"),
    ],
)
def test_phantom_scan_of_no_use_is_refused_with_the_reason(
    rig: DicomRig, change: dict[str, object], status: int, code: str
) -> None:
    before = counter("bonewatch_dicom_objects_total", device=DXA1, code=code)
    answer = rig.scanner().send(report(**change))
    assert answer.status == status
    assert 0 < len(answer.error_comment) <= 64
    ((sidecar, path),) = rig.quarantined()
    assert (sidecar.code, sidecar.device, sidecar.encrypted) == (code, DXA1, False)
    assert path.read_bytes()[128:132] == b"DICM"
    assert counter("bonewatch_dicom_objects_total", device=DXA1, code=code) == before + 1
    assert not rig.site.facts
    assert rig.scanner().send(report()).status == 0x0000


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_object_is_refused(rig: DicomRig, share: float) -> None:
    assert send_bytes(rig, lambda data: data[: int(len(data) * share)]) == 0xC210
    assert rig.refusal_codes() == ["undecodable"]
    assert rig.quarantined()[0][0].encrypted
    assert not rig.site.facts
    assert rig.scanner().echo()


def test_bytes_that_are_no_dicom_are_refused(rig: DicomRig) -> None:
    assert send_bytes(rig, lambda data: b"\xfe\xed" * (len(data) // 2)) == 0xC210


def test_object_in_a_private_transfer_syntax_is_refused(rig: DicomRig) -> None:
    assert send_bytes(rig, lambda data: data, transfer_syntax="1.2.3.4.5") == 0xC210


def test_object_other_than_the_one_announced_is_refused(rig: DicomRig) -> None:
    assert send_bytes(rig, lambda data: data, announced="1.2.3.4") == 0xC210


@pytest.mark.parametrize(
    "change",
    [
        {"patient_name": "TEST^INVENTED 01"},
        {"readings": {"L1-L4": 1.0, "Left Femoral Neck": 0.8}},
        {"body_part": "HIP"},
        {"readings": {"Total hip": 0.9, "Femur L1-L4": 1.0}, "style": RegionStyle.CONTAINER},
    ],
)
def test_what_is_not_plausibly_the_phantom_is_refused_and_told(rig: DicomRig, change: dict[str, object]) -> None:
    ds = report(**change)
    answer = rig.scanner().send(ds)
    assert answer.status == 0xC214
    ((sidecar, _),) = rig.quarantined()
    assert (sidecar.code, sidecar.encrypted) == ("implausible", True)
    assert list(rig.site.facts.values()) == [PhantomScanRefused("SPINE-1234", "implausible", ds.SOPInstanceUID)]
    assert not rig.archived()


def test_scan_judged_implausible_leaves_the_archive(rig: DicomRig) -> None:
    rig.site.verdicts["L1-L4"] = Verdict.IMPLAUSIBLE
    for _ in range(2):  # the second time as a duplicate
        assert rig.scanner().send(report()).status == 0xC214
    assert not rig.archived()
    assert all(sidecar.encrypted for sidecar, _ in rig.quarantined())


@pytest.mark.parametrize(
    "verdict", [Verdict.CLOCK_SUSPECT, Verdict.TOO_LATE, Verdict.REANALYSIS, Verdict.IMPLAUSIBLE, Verdict.PASS]
)
def test_value_that_cannot_be_the_phantoms_leaves_the_archive_whatever_the_verdict(
    rig: DicomRig, verdict: Verdict
) -> None:
    rig.site.verdicts["L1-L4"] = verdict
    rig.site.implausible.add("L1-L4")
    ds = report()
    answers = [rig.scanner().send(ds).status for _ in range(2)]  # the second time as a duplicate
    assert [*answers, send_in_other_syntax(rig)] == [0xC214] * 3
    assert not rig.archived()
    assert [(sidecar.code, sidecar.encrypted) for sidecar, _ in rig.quarantined()] == [("implausible", True)] * 3
    assert len(rig.site.facts) == 2


def test_other_region_that_is_implausible_refuses_nothing(rig: DicomRig) -> None:
    rig.site.implausible.add("L1")
    assert rig.scanner().send(report()).status == 0x0000
    assert len(rig.archived()) == 1


def test_wrong_phantom_stays_a_warning_when_sent_again(rig: DicomRig) -> None:
    rig.site.verdicts["L1-L4"] = Verdict.WRONG_PHANTOM
    rig.site.implausible.add("L1-L4")
    assert [rig.scanner().send(report()).status for _ in range(2)] == [0xB007, 0xB007]
    assert len(rig.archived()) == 1


@pytest.mark.parametrize("other_syntax", [False, True])
def test_copy_that_a_crash_left_goes_when_the_implausible_scan_comes_again(
    rig: DicomRig, *, other_syntax: bool
) -> None:
    rig.site.implausible.add("L1-L4")
    ds = report()
    rig.scanner().send(ds)
    scan = rig.quarantine.open(rig.quarantined()[0][1])
    Archive(rig.data_dir).store(DXA1, ds.SOPInstanceUID, scan, received_at=MEASURED)
    assert len(rig.archived()) == 1
    assert (send_in_other_syntax(rig) if other_syntax else rig.scanner().send(ds).status) == 0xC214
    assert not rig.archived()


def test_image_of_the_uid_of_an_implausible_scan_stays(rig: DicomRig) -> None:
    rig.site.implausible.add("L1-L4")
    assert [rig.scanner().send(ds).status for ds in (phantom_image(), report())] == [0x0000, 0xC214]
    (kept,) = rig.archived()
    assert pydicom.dcmread(kept).SOPClassUID == IMAGE


def test_patients_object_is_refused_and_kept_encrypted(rig: DicomRig) -> None:
    answer = rig.scanner().send(patient_report(1, MEASURED))
    assert answer.status == 0xC215
    assert "not the archive" in answer.error_comment
    ((sidecar, path),) = rig.quarantined()
    assert sidecar.encrypted
    assert b"INVENTED" not in path.read_bytes()
    assert b"INVENTED" in rig.quarantine.open(path)
    (fact,) = rig.site.facts.values()
    assert isinstance(fact, PatientObjectReceived)
    assert fact.why == "refused"


def test_patient_scanned_while_held_is_a_bypass(rig: DicomRig) -> None:
    before = counter("bonewatch_dicom_bypass_total", device=DXA1)
    rig.scanner().send(patient_report(1, MEASURED))
    rig.site.hold(DXA1)
    with capture_logs() as logs:
        rig.scanner().send(patient_report(2, MEASURED))
    assert counter("bonewatch_dicom_bypass_total", device=DXA1) == before + 1
    assert [log["reasons"] for log in logs if log["event"] == "patient_while_held"] == [["qc_failed"]]


def test_unknown_caller_is_told_so(rig: DicomRig) -> None:
    answer = rig.scanner("NOBODY").send(report())
    assert answer.status == 0x0124
    assert "not configured" in answer.error_comment
    ((sidecar, _),) = rig.quarantined()
    assert (sidecar.code, sidecar.device, sidecar.encrypted) == ("unknown_ae", "unknown", True)


def test_phantom_without_a_configured_name_is_kept_encrypted_when_refused(rig: DicomRig) -> None:
    assert rig.scanner("DXA2").send(report(readings={})).status == 0xC211
    ((sidecar, _),) = rig.quarantined()
    assert sidecar.encrypted


def test_fault_of_our_own_is_a_status_and_the_object_is_kept(rig: DicomRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_drafts: object) -> Receipt:
        raise ZeroDivisionError("SECRET^PERSON")

    monkeypatch.setattr(rig.site, "append", fail)
    with capture_logs() as logs:
        assert rig.scanner().send(report()).status == 0x0110
    assert rig.refusal_codes() == ["internal"]
    assert [log["error"] for log in logs if log["event"] == "store_failed"] == ["ZeroDivisionError"]
    assert "SECRET" not in str(logs)


# --- privacy -----------------------------------------------------------------------------------------------


def test_names_and_dates_of_birth_appear_nowhere(rig: DicomRig, caplog: pytest.LogCaptureFixture) -> None:
    person = {"patient_name": "SECRET^PERSON", "birth_date": "19431224"}
    objects = [
        report(patient_id="ID-998877", **person),
        report(**person),
        report(patient_id="ID-998877", readings={"SECRET^PERSON": "SECRET"}, **person),
    ]
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        answers = [rig.scanner(ae).send(ds) for ds in objects for ae in ("DXA1", "NOBODY")]
    sidecars = [path.read_text() for path in rig.data_dir.rglob("*.json")]
    stored = [path.read_bytes() for path in rig.data_dir.rglob("*") if path.is_file()]
    told = [caplog.text, str(logs), str(answers), str(rig.site.facts), generate_latest().decode(), *sidecars]
    told += [str(path) for path in rig.data_dir.rglob("*")]
    assert len(sidecars) == 6
    for secret in SECRETS:
        assert not any(secret in text for text in told)
        assert not any(secret.encode() in data for data in stored)


# --- many peers, and peers that go away --------------------------------------------------------------------


def test_two_hundred_associations_at_once(tmp_path: Path) -> None:
    with running(tmp_path, max_associations=50) as rig:
        with ThreadPoolExecutor(20) as pool:
            opened = list(pool.map(lambda _: _associate(rig.port), range(200)))
        established = [association for association in opened if association.is_established]
        rejected = [association for association in opened if association.is_rejected]
        assert 0 < len(established) <= 50
        assert len(established) + len(rejected) == 200
        answers = [association.acceptor.primitive for association in rejected]
        assert {answer.result_str for answer in answers if answer} == {"Rejected Transient"}
        assert established[0].send_c_store(report()).Status == 0x0000
        for association in established:
            association.release()
        assert rig.scanner().send(report()).status == 0x0000


def test_thousand_aborted_associations_leave_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, negotiation_timeout_s=0.5, idle_timeout_s=1.0) as rig:
        for attempt in range(30):
            _leave_rudely(rig.port, attempt)
        _settle(threads, 10)
        gc.collect()  # sockets of this process's own clients, of earlier tests
        before = threads(), descriptors()
        for attempt in range(1_000):
            _leave_rudely(rig.port, attempt)
        _settle(threads, before[0])
        gc.collect()
        assert threads() <= before[0]
        assert descriptors() <= before[1]
        assert rig.scanner().send(report()).status == 0x0000


def test_peer_that_stops_within_a_pdu_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, negotiation_timeout_s=0.3, idle_timeout_s=0.3) as rig:
        before = threads()
        with socket.create_connection(("127.0.0.1", rig.port)) as peer:
            peer.sendall(struct.pack(">BBL", 1, 0, 5_000) + b"half")
            peer.settimeout(5)
            assert peer.recv(100) == b""
        _settle(threads, before)
        assert threads() <= before


def test_pdu_that_claims_to_be_huge_is_cut_at_once(rig: DicomRig) -> None:
    before = counter("bonewatch_dicom_connections_cut_total", reason="too_large")
    with socket.create_connection(("127.0.0.1", rig.port)) as peer:
        peer.sendall(struct.pack(">BBL", 4, 0, 0xFFFFFFF0))
        peer.settimeout(5)
        assert peer.recv(100) == b""
    assert counter("bonewatch_dicom_connections_cut_total", reason="too_large") == before + 1


def test_object_beyond_the_limit_ends_the_association(tmp_path: Path) -> None:
    with running(tmp_path, max_object_bytes=200_000) as rig:
        assert send_bytes(rig, lambda data: data + bytes(1_000_000)) is None
        assert rig.scanner().send(report()).status == 0x0000


def test_entity_can_be_stopped_while_peers_are_connected_and_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        association = _associate(rig.port)
        before = time.monotonic()
        rig.entity.stop()
        assert time.monotonic() - before < 3
        with suppress(RuntimeError):
            association.abort()
        rig.entity.start()
        assert rig.scanner().echo()


def test_stopped_entity_refuses_connections(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        scanner = rig.scanner()
    with pytest.raises(ScannerConnectionError):
        scanner.send(report())
    assert not scanner.echo()


def test_idle_association_takes_little_processor_time(rig: DicomRig) -> None:
    association = _associate(rig.port)
    time.sleep(0.5)
    started = time.process_time()
    time.sleep(1.0)
    used = time.process_time() - started
    association.release()
    assert used < 0.25  # the peer's two threads are in this process too


# --- tools -------------------------------------------------------------------------------------------------


def send_bytes(
    rig: DicomRig,
    change: Callable[[bytes], bytes],
    *,
    announced: str = "",
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> int | None:
    """Send a report whose encoded data set was changed; return the status, or None if the association ended."""
    ds = report()
    association = _associate(rig.port, transfer_syntax)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = ds.SOPClassUID
    request.AffectedSOPInstanceUID = announced or ds.SOPInstanceUID
    request.DataSet = BytesIO(change(_encoded(ds)))
    context = association.accepted_contexts[0].context_id
    assert context is not None
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    if not isinstance(answer, C_STORE):
        association.abort()
        return None
    association.release()
    return answer.Status


def send_in_other_syntax(rig: DicomRig) -> int | None:
    data = _encoded(report(), implicit=True)
    return send_bytes(rig, lambda _: data, transfer_syntax=ImplicitVRLittleEndian)


def _encoded(ds: Dataset, *, implicit: bool = False) -> bytes:
    encoded = encode(ds, is_implicit_vr=implicit, is_little_endian=True)
    assert encoded is not None
    return encoded


def _associate(port: int, transfer_syntax: str = ExplicitVRLittleEndian) -> Association:
    entity = RequestingEntity("DXA1", timeout_s=20.0)
    entity.add_requested_context(EnhancedSRStorage, transfer_syntax)
    return entity.associate("127.0.0.1", port, ae_title="BONEWATCH")


def _leave_rudely(port: int, attempt: int) -> None:
    """Connect, get more or less far, and go without a word, or with an abort."""
    if attempt % 10 == 0:
        _associate(port).abort()
        return
    with socket.create_connection(("127.0.0.1", port)) as peer:
        if attempt % 5 == 1:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not close
        elif attempt % 5 == 2:
            peer.sendall(struct.pack(">BBL", 1, 0, 5_000) + b"half a request")
        elif attempt % 5 == 3:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        elif attempt % 5 == 4:
            peer.shutdown(socket.SHUT_WR)


def _settle(measure: Callable[[], int], at_most: int) -> None:
    """Wait until a number has fallen and stays: peers may still wait in the kernel's backlog to be accepted."""
    deadline, stayed = time.monotonic() + 30, 0
    while stayed < 20 and time.monotonic() < deadline:
        stayed = stayed + 1 if measure() <= at_most else 0
        time.sleep(0.05)
