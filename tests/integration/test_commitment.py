"""Storage Commitment both ways: the PACS commits to us before we let go, and we commit to scanners what is kept."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset

from collectors.dicom.pacs import asking, promises
from collectors.dicom.pacs.commitment import Reference
from simulators.scanner import patient_report
from tests.integration.commitment_rig import (
    AskingScanner,
    commitment_site,
    listening_scanner,
    reference,
)
from tests.integration.dicom_rig import DXA1, MEASURED
from tests.integration.pacs_rig import is_empty, pacs_settings, patient, waited
from tests.integration.test_dicom_entity import report
from tests.peers import free_port, orthanc, write_part10
from tests.virtual_pacs import virtual_pacs

QUICK = {"commitment": True, "commitment_timeout_s": 0.3, "commitment_linger_s": 0.5}


def committed() -> float:
    return REGISTRY.get_sample_value("bonewatch_pacs_committed_total", {"device": DXA1}) or 0.0


# --- the PACS commits to us ----------------------------------------------------------------------------------


def test_orthanc_commits_over_an_association_that_it_opens(tmp_path: Path) -> None:
    dicom_port, before = free_port(), committed()
    with commitment_site(tmp_path, pacs_settings(dicom_port, commitment=True)) as rig:
        for number in range(5):
            rig.outbox.keep(patient(number), DXA1)
        assert rig.outbox.totals().waiting == 5
        with orthanc(tmp_path / "orthanc", rig.port, ae_title="PACS", dicom_port=dicom_port) as pacs:
            assert waited(lambda: is_empty(rig.outbox))
            assert len(pacs.stored()) == 5
    assert committed() == before + 5


@pytest.mark.parametrize("here", [True, False])
def test_nothing_is_let_go_before_the_pacs_has_committed(tmp_path: Path, *, here: bool) -> None:
    with virtual_pacs() as pacs, commitment_site(tmp_path, pacs_settings(pacs.port, commitment=True)) as rig:
        rig.outbox.keep(patient(1), DXA1)
        assert waited(lambda: pacs.transactions)
        assert (rig.outbox.totals().sent, rig.outbox.totals().waiting) == (1, 0)
        pacs.reports_here, pacs.reports_to = here, ("127.0.0.1", rig.port, "BONEWATCH")
        rig.outbox.keep(patient(2), DXA1)
        assert waited(lambda: rig.outbox.totals().sent == 1)
        assert waited(lambda: pacs.report_statuses == [0x0000])
        assert [uids for _, uids in pacs.transactions] == [[patient(n).sop_instance_uid] for n in (1, 2)]
        first = Dataset()
        first.TransactionUID = pacs.transactions[0][0]
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
            patient(1).sop_class_uid,
            patient(1).sop_instance_uid,
        )
        first.ReferencedSOPSequence = [item]
        pacs.tell(first, 1)  # much later, of its own accord
        assert is_empty(rig.outbox)
        assert pacs.calling_ae_titles == ["DXA1", "BONEWATCH", "DXA1", "BONEWATCH"]


def test_what_the_pacs_has_lost_is_sent_again(tmp_path: Path) -> None:
    objects = [patient(number) for number in range(3)]
    with virtual_pacs() as pacs, commitment_site(tmp_path, pacs_settings(pacs.port, **QUICK)) as rig:
        pacs.reports_here = True
        pacs.not_committed.add(objects[1].sop_instance_uid)
        for one in objects:
            rig.outbox.keep(one, DXA1)
        assert waited(lambda: pacs.uids.count(objects[1].sop_instance_uid) >= 2)
        pacs.not_committed.clear()
        assert waited(lambda: is_empty(rig.outbox) or rig.outbox.totals().set_aside == 1)
        assert {pacs.uids.count(objects[n].sop_instance_uid) for n in (0, 2)} == {1}


def test_a_pacs_that_does_not_answer_is_asked_again_and_then_sent_again(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs, commitment_site(tmp_path, pacs_settings(pacs.port, **QUICK, commitment_asks=2)) as rig:
        rig.outbox.keep(one, DXA1)
        assert waited(lambda: len(pacs.transactions) == 2)
        assert waited(lambda: len(pacs.taken) == 2)
        assert len({uid for uid, _ in pacs.transactions}) == len(pacs.transactions)
        pacs.reports_here = True
        assert waited(lambda: is_empty(rig.outbox))


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_a_refused_request_for_commitment_is_made_again(tmp_path: Path, status: int) -> None:
    with (
        virtual_pacs() as pacs,
        commitment_site(tmp_path, pacs_settings(pacs.port, **QUICK, commitment_asks=99)) as rig,
    ):
        pacs.action_status = status
        rig.outbox.keep(patient(1), DXA1)
        assert waited(lambda: len(pacs.transactions) >= 2)
        pacs.action_status, pacs.reports_here = 0x0000, True
        assert waited(lambda: is_empty(rig.outbox))
        assert len(pacs.taken) == 1


def test_a_report_after_a_restart_counts_and_one_of_no_transaction_does_not(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, commitment=True, commitment_linger_s=0.0)
        with commitment_site(tmp_path, settings) as rig:
            rig.outbox.keep(one, DXA1)
            assert waited(lambda: pacs.transactions)
        with commitment_site(tmp_path, settings) as rig:
            pacs.reports_to = ("127.0.0.1", rig.port, "BONEWATCH")
            for transaction, status in (("2.25.1", 0x0110), (pacs.transactions[0][0], 0x0000)):
                report_of = Dataset()
                report_of.TransactionUID = transaction
                item = Dataset()
                item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
                report_of.ReferencedSOPSequence = [item]
                assert not is_empty(rig.outbox)
                pacs.tell(report_of, 1)
                assert pacs.report_statuses[-1] == status
            assert is_empty(rig.outbox)


# --- we commit to scanners -----------------------------------------------------------------------------------


def test_a_phantoms_object_is_committed_on_the_same_association(tmp_path: Path) -> None:
    ds = report()
    with commitment_site(tmp_path) as rig, AskingScanner(rig.port) as scanner:
        assert scanner.store(ds) == 0x0000
        assert scanner.ask(reference(ds), transaction_uid="2.25.55") == 0x0000
        event_type, got = scanner.reports.one()
    assert (event_type, got.transaction_uid, got.committed, got.failed) == (1, "2.25.55", (reference(ds),), ())


def test_what_is_not_kept_is_said_with_its_reason(tmp_path: Path) -> None:
    ds = report()
    uid = str(ds.SOPInstanceUID)
    unknown, other_class, no_uid = Reference("1.2.3", "1.2.3.4"), Reference("1.2.3", uid), Reference("1.2.3", "*")
    with commitment_site(tmp_path) as rig, AskingScanner(rig.port) as scanner:
        scanner.store(ds)
        assert scanner.ask(reference(ds), unknown, other_class, no_uid) == 0x0000
        event_type, got = scanner.reports.one()
    assert (event_type, got.committed) == (2, (reference(ds),))
    assert got.failed == ((unknown, 0x0112), (other_class, 0x0119), (no_uid, 0x0112))


def test_another_scanners_object_is_not_this_ones(tmp_path: Path) -> None:
    ds = report()
    with commitment_site(tmp_path) as rig:
        with AskingScanner(rig.port) as scanner:
            scanner.store(ds)
        with AskingScanner(rig.port, "DXA2") as scanner:
            scanner.ask(reference(ds))
            assert scanner.reports.one()[1].failed == ((reference(ds), 0x0112),)


def test_a_scanner_that_has_gone_is_told_at_its_address(tmp_path: Path) -> None:
    ds, port = report(), free_port()
    with commitment_site(tmp_path, addresses={DXA1: ("127.0.0.1", port)}, wait_s=0.0) as rig:
        with AskingScanner(rig.port) as scanner:
            scanner.store(ds)
        rig.service._reporter.stop()  # decides only when the scanner has gone
        with AskingScanner(rig.port) as scanner:
            scanner.ask(reference(ds))
        with listening_scanner(port) as (_, reports):
            assert waited(lambda: not rig.service._reporter._open[DXA1].is_established)
            rig.service._reporter.start()
            event_type, got = reports.one()
    assert (event_type, got.committed) == (1, (reference(ds),))


def test_orthanc_asks_and_is_told(tmp_path: Path) -> None:
    ds, port = report(), free_port()
    with (
        commitment_site(tmp_path, addresses={DXA1: ("127.0.0.1", port)}) as rig,
        orthanc(tmp_path / "orthanc", rig.port, dicom_port=port) as scanner,
    ):
        known = (str(ds.SOPClassUID), str(ds.SOPInstanceUID))
        scanner.send(scanner.upload(write_part10(tmp_path / "scan.dcm", ds)))
        good = scanner.ask_commitment(known)
        bad = scanner.ask_commitment(known, ("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"))
        assert waited(lambda: scanner.commitment(good)["Status"] == "Success")
        assert waited(lambda: scanner.commitment(bad)["Status"] == "Failure")
        told = scanner.commitment(bad)
    assert [one["SOPInstanceUID"] for one in told["Success"]] == [ds.SOPInstanceUID]
    assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in told["Failures"]] == [("1.2.3.4", 0x0112)]


def test_a_patients_object_is_committed_when_the_pacs_has_it(tmp_path: Path) -> None:
    ds, port = patient_report(1, MEASURED), free_port()
    with commitment_site(tmp_path, pacs_settings(port)) as rig, AskingScanner(rig.port) as scanner:
        assert scanner.store(ds) == 0x0000
        assert scanner.ask(reference(ds)) == 0x0000
        for number in range(2, 6):  # it goes on working meanwhile
            assert scanner.store(patient_report(number, MEASURED + timedelta(minutes=number))) == 0x0000
        assert scanner.reports.got == []
        with virtual_pacs(port) as pacs:
            event_type, got = scanner.reports.one()
            assert str(ds.SOPInstanceUID) in pacs.uids
    assert (event_type, got.committed) == (1, (reference(ds),))


def test_a_patients_object_waits_for_the_commitment_of_the_pacs(tmp_path: Path) -> None:
    ds = patient_report(1, MEASURED)
    with (
        virtual_pacs() as pacs,
        commitment_site(tmp_path, pacs_settings(pacs.port, **QUICK, commitment_asks=99)) as rig,
        AskingScanner(rig.port) as scanner,
    ):
        scanner.store(ds)
        scanner.ask(reference(ds))
        assert waited(lambda: len(pacs.transactions) >= 2)
        assert scanner.reports.got == []
        pacs.reports_here = True
        assert scanner.reports.one()[0] == 1


def test_what_stays_pending_for_too_long_has_failed(tmp_path: Path) -> None:
    ds = patient_report(1, MEASURED)
    settings = pacs_settings(free_port())
    with commitment_site(tmp_path, settings, wait_s=1.0) as rig, AskingScanner(rig.port) as scanner:
        scanner.store(ds)
        scanner.ask(reference(ds))
        event_type, got = scanner.reports.one()
    assert (event_type, got.failed) == (2, ((reference(ds), 0x0110),))


def test_what_was_asked_survives_a_restart(tmp_path: Path) -> None:
    ds, scanners_port, port = patient_report(1, MEASURED), free_port(), free_port()
    addresses = {DXA1: ("127.0.0.1", scanners_port)}
    with commitment_site(tmp_path, pacs_settings(port), addresses=addresses) as rig, AskingScanner(rig.port) as scanner:
        scanner.store(ds)
        scanner.ask(reference(ds))
    with (
        listening_scanner(scanners_port) as (_, reports),
        virtual_pacs(port),
        commitment_site(tmp_path, pacs_settings(port), addresses=addresses),
    ):
        assert reports.one()[1].committed == (reference(ds),)


def test_a_request_that_cannot_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Reference("1.2.3", "1.2.3.4")
    with commitment_site(tmp_path) as rig:
        with AskingScanner(rig.port, "NOBODY") as scanner:
            assert scanner.ask(known) == 0x0124
        with AskingScanner(rig.port) as scanner:
            assert scanner.ask() == 0x0115
            assert scanner.ask(known, transaction_uid="no uid") == 0x0115
            assert scanner.ask(known, action=2) == 0x0123
            monkeypatch.setattr(promises, "MAX_PROMISES", 0)
            assert scanner.ask(known) == 0x0213


def test_so_many_objects_are_asked_about_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "REFERENCES_AT_ONCE", 4)
    with virtual_pacs() as pacs, commitment_site(tmp_path, pacs_settings(pacs.port, commitment=True)) as rig:
        pacs.reports_here = True
        for number in range(10):
            rig.outbox.keep(patient(number), DXA1)
        assert waited(lambda: is_empty(rig.outbox))
        assert max(len(uids) for _, uids in pacs.transactions) <= 4
