"""Storage Commitment: the PACS commits to us before we let go of an object."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset

from tests.integration.commitment_rig import QUICK, commitment_site
from tests.integration.dicom_rig import DXA1
from tests.integration.pacs_rig import is_empty, pacs_settings, patient, waited
from tests.peers import free_port, orthanc
from tests.virtual_pacs import virtual_pacs


def committed() -> float:
    return REGISTRY.get_sample_value("bonewatch_pacs_committed_total", {"device": DXA1}) or 0.0


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
