"""Storage Commitment both ways: the PACS commits to us before we let go, and we commit to scanners what is kept."""

from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from collectors.archive import Archive
from collectors.dicom.pacs import asking, promises, reporter
from collectors.dicom.pacs.commitment import Reference, Request
from collectors.dicom.pacs.keeping import Judged, Keeping
from collectors.dicom.pacs.promises import Promises, TransactionInUseError
from collectors.errors import NoRoomError
from simulators.scanner import patient_report
from tests.integration.commitment_rig import AskingScanner, CommitmentRig, commitment_site, listening_scanner, reference
from tests.integration.dicom_rig import DXA1, DXA2, MEASURED
from tests.integration.pacs_rig import is_empty, pacs_settings, patient, waited
from tests.integration.store_rig import report
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
    unknown, other_class = Reference("1.2.3", "1.2.3.4"), Reference("1.2.3", uid)
    with commitment_site(tmp_path) as rig, AskingScanner(rig.port) as scanner:
        scanner.store(ds)
        assert scanner.ask(reference(ds), unknown, other_class) == 0x0000
        event_type, got = scanner.reports.one()
    assert (event_type, got.committed) == (2, (reference(ds),))
    assert got.failed == ((unknown, 0x0112), (other_class, 0x0119))


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
            assert waited(lambda: not any(one.is_established for one in rig.service._reporter._open[DXA1]))
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
            for no_uid in ("*", "TEST^NAME", "1" * 65, ""):
                assert scanner.ask(known, Reference("1.2.3", no_uid)) == 0x0115
                assert scanner.ask(known, Reference(no_uid, "1.2.3")) == 0x0115
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


def test_a_patients_object_is_committed_to_its_own_scanner_and_class_alone(tmp_path: Path) -> None:
    ds = patient_report(1, MEASURED)
    with virtual_pacs() as pacs, commitment_site(tmp_path, pacs_settings(pacs.port)) as rig:
        with AskingScanner(rig.port) as scanner:
            scanner.store(ds)
            assert waited(lambda: is_empty(rig.outbox))
            other_class = Reference("1.2.3", str(ds.SOPInstanceUID))
            scanner.ask(reference(ds), other_class)
            _, got = scanner.reports.one()
            assert (got.committed, got.failed) == ((reference(ds),), ((other_class, 0x0119),))
        with AskingScanner(rig.port, "DXA2") as scanner:
            scanner.ask(reference(ds))
            assert scanner.reports.one()[1].failed == ((reference(ds), 0x0112),)


def _spoil(rig: CommitmentRig) -> None:
    with rig.service._promises._store.transaction() as db:
        db.execute("UPDATE promises SET sealed = x'00112233445566778899aabbccddeeff00112233'")


def _cannot_be_encoded(rig: CommitmentRig) -> None:
    rig.service._promises.add(DXA1, "DXA1", Request("2.25.56", (Reference("日本", "日本"),)))


@pytest.mark.parametrize("spoil", [_spoil, _cannot_be_encoded])
def test_one_bad_promise_stops_no_other(tmp_path: Path, spoil: Callable[[CommitmentRig], None]) -> None:
    ds = report()
    with (
        commitment_site(tmp_path) as rig,
        AskingScanner(rig.port) as scanner,
        AskingScanner(rig.port, "DXA2") as other,
        capture_logs() as logs,
    ):
        scanner.store(ds)
        rig.service._reporter.stop()
        scanner.ask(reference(ds), transaction_uid="2.25.55")
        spoil(rig)
        other.ask(reference(ds))
        rig.service._reporter.start()
        assert other.reports.one()[1].failed == ((reference(ds), 0x0112),)
        assert waited(lambda: [line for line in logs if line["log_level"] == "error"])
    (said,) = [line for line in logs if line["log_level"] == "error"]
    assert said["event"] == ("commitment_given_up" if spoil is _spoil else "commitment_not_reported")
    assert said["device"] == DXA1


def test_what_could_not_be_told_for_days_is_forgotten_and_said(tmp_path: Path) -> None:
    now = [datetime(2026, 1, 5, tzinfo=UTC)]
    kept = Promises(tmp_path, clock=lambda: now[0])
    kept.add(DXA1, "DXA1", Request("2.25.1", (Reference("1.2.3", "1.2.4"), Reference("1.2.3", "1.2.5"))))
    forgotten = {"device": DXA1, "code": "forgotten"}
    before = REGISTRY.get_sample_value("bonewatch_dicom_commitment_total", forgotten) or 0.0
    now[0] += timedelta(days=1.9)
    assert len(kept.open()) == 1
    now[0] += timedelta(days=0.2)
    with capture_logs() as logs:
        assert kept.open() == []
    assert [(line["event"], line["objects"]) for line in logs] == [("commitment_forgotten", 2)]
    assert REGISTRY.get_sample_value("bonewatch_dicom_commitment_total", forgotten) == before + 2
    kept.close()


def test_one_scanner_takes_no_room_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "MAX_OF_ONE_DEVICE", 3)
    monkeypatch.setattr(promises, "MAX_BYTES_OF_ONE_DEVICE", 4000)
    monkeypatch.setattr(promises, "MAX_BYTES", 6000)
    large = tuple(Reference("1.2.3", f"1.2.{number}") for number in range(1000, 1040))
    kept = Promises(tmp_path)
    for number in range(3):
        kept.add("site/a", "A", Request(f"2.25.{number + 1}", large[:1]))
    with pytest.raises(NoRoomError):
        kept.add("site/a", "A", Request("2.25.9", large[:1]))
    kept.add("site/b", "B", Request("2.25.1", large))
    with pytest.raises(NoRoomError):
        kept.add("site/b", "B", Request("2.25.2", large))
    kept.add("site/c", "C", Request("2.25.1", large))
    with pytest.raises(NoRoomError):
        kept.add("site/d", "D", Request("2.25.1", large))
    kept.close()
    full = Promises(tmp_path, min_free_bytes=1 << 62)
    with pytest.raises(NoRoomError):
        full.add("site/e", "E", Request("2.25.1", large[:1]))
    full.close()


def test_an_earlier_versions_promises_are_taken_over(tmp_path: Path) -> None:
    kept = Promises(tmp_path)
    kept.add(DXA1, "DXA1", Request("2.25.1", (Reference("1.2.3", "1.2.4"),)))
    kept._store._db.execute("DROP INDEX promises_by_transaction")
    for column in ("transaction_uid", "objects", "size"):
        kept._store._db.execute(f"ALTER TABLE promises DROP COLUMN {column}")
    kept.close()
    kept = Promises(tmp_path)
    assert [kept.request(one).transaction_uid for one in kept.open()] == ["2.25.1"]
    kept.close()


class Counting(Keeping):
    """Counts how often it is asked; nothing is decided."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive, None)
        self.judged: list[str] = []
        self.changes = 0

    @property
    def let_go(self) -> int:
        return self.changes

    def judge(self, device: str, request: Request) -> Judged:
        self.judged.append(f"{device} {request.transaction_uid}")
        return Judged((), (), request.references)


def test_what_is_pending_is_judged_again_on_news_and_not_at_each_tick(tmp_path: Path) -> None:
    keeping, kept = Counting(Archive(tmp_path)), Promises(tmp_path)
    both = [f"{DXA1} 2.25.1", f"{DXA1} 2.25.2"]
    telling = reporter.CommitmentReporter(
        kept, keeping, own_ae_title="BONEWATCH", addresses={DXA1: ("127.0.0.1", 1)}, wait_s=3600.0
    )
    kept.add(DXA1, "DXA1", Request("2.25.1", (Reference("1.2.3", "1.2.4"),)))
    kept.add(DXA2, "DXA2", Request("2.25.3", (Reference("1.2.3", "1.2.4"),)))  # which nobody can tell
    for _ in range(50):
        telling._keep_all()
    assert keeping.judged == [f"{DXA1} 2.25.1"]
    kept.add(DXA1, "DXA1", Request("2.25.2", (Reference("1.2.3", "1.2.4"),)))
    for _ in range(50):
        telling._keep_all()
    assert keeping.judged == both
    keeping.changes, telling._rest_until = 1, 0.0
    for _ in range(50):
        telling._keep_all()
    assert keeping.judged == both * 2
    telling._judge_at = telling._rest_until = 0.0  # as after a while
    telling._keep_all()
    assert keeping.judged == both * 3
    kept.close()


def test_a_request_lists_the_archive_once_and_for_nothing_that_the_outbox_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Set[str]] = []
    listed = Archive.copies_of

    def copies_of(archive: Archive, device: str, uids: Set[str]) -> dict[str, list[Path]]:
        asked.append(uids)
        return listed(archive, device, uids)

    monkeypatch.setattr(Archive, "copies_of", copies_of)
    with commitment_site(tmp_path, pacs_settings(free_port())) as rig:
        rig.outbox.keep(patient(1), DXA1)
        known = Reference(patient(1).sop_class_uid, patient(1).sop_instance_uid)
        unknown = tuple(Reference("1.2.3", f"1.2.{number}") for number in range(3))
        rig.service._reporter._keeping.judge(DXA1, Request("2.25.1", (known, *unknown)))
    assert asked == [{"1.2.0", "1.2.1", "1.2.2"}]


def test_an_association_that_stands_is_used_though_a_later_one_has_gone(tmp_path: Path) -> None:
    ds = patient_report(1, MEASURED)
    port = free_port()
    with commitment_site(tmp_path, pacs_settings(port)) as rig, AskingScanner(rig.port) as scanner:
        scanner.store(ds)
        scanner.ask(reference(ds), transaction_uid="2.25.1")
        with AskingScanner(rig.port) as later:
            later.ask(reference(ds), transaction_uid="2.25.2")
        assert waited(lambda: len(rig.service._reporter._standing(DXA1)) == 1)
        with virtual_pacs(port):
            assert waited(lambda: len(scanner.reports.got) == 2)


def test_a_scanner_that_refuses_a_report_is_told_at_its_address(tmp_path: Path) -> None:
    ds, port = report(), free_port()
    with (
        listening_scanner(port) as (_, reports),
        commitment_site(tmp_path, addresses={DXA1: ("127.0.0.1", port)}) as rig,
        AskingScanner(rig.port) as scanner,
    ):
        scanner.reports.status = 0x0110
        scanner.store(ds)
        scanner.ask(reference(ds))
        assert reports.one()[1].committed == (reference(ds),)
        assert waited(lambda: not rig.service._promises.open())


@pytest.mark.parametrize("gives_in", [True, False])
def test_a_report_that_is_refused_is_made_again_and_in_the_end_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gives_in: bool
) -> None:
    monkeypatch.setattr(reporter, "RETRY_S", 0.05)
    monkeypatch.setattr(reporter, "RETRY_MAX_S", 0.1)
    ds = report()
    with commitment_site(tmp_path) as rig, AskingScanner(rig.port) as scanner, capture_logs() as logs:
        scanner.reports.status = 0x0110
        scanner.store(ds)
        scanner.ask(reference(ds))
        assert waited(lambda: len(scanner.reports.got) >= 2)
        if gives_in:
            scanner.reports.status = 0x0000
        assert waited(lambda: not rig.service._promises.open())
    said = [line["event"] for line in logs if line["event"] in {"commitment_reported", "commitment_given_up"}]
    assert said == ["commitment_reported" if gives_in else "commitment_given_up"]
    assert len(scanner.reports.got) <= reporter.MAX_TELLS


def test_the_same_transaction_is_promised_once(tmp_path: Path) -> None:
    kept = Promises(tmp_path)
    first, other = Request("2.25.1", (Reference("1.2.3", "1.2.4"),)), Request("2.25.1", (Reference("1.2.3", "1.2.5"),))
    kept.add(DXA1, "DXA1", first)
    kept.add(DXA1, "DXA1", first)
    kept.add(DXA2, "DXA2", other)  # another's is another
    with pytest.raises(TransactionInUseError):
        kept.add(DXA1, "DXA1", other)
    assert [kept.request(one) for one in kept.open()] == [first, other]
    with kept._store.transaction() as db:
        db.execute("UPDATE promises SET sealed = x'00'")
    kept.add(DXA1, "DXA1", other)  # what cannot be read any more gives way
    assert [one.device for one in kept.open()] == [DXA2, DXA1]
    kept.close()


def test_a_transaction_that_is_asked_about_other_objects_is_refused(tmp_path: Path) -> None:
    known, other = Reference("1.2.3", "1.2.4"), Reference("1.2.3", "1.2.5")
    with commitment_site(tmp_path) as rig, AskingScanner(rig.port) as scanner:
        rig.service._reporter.stop()
        assert [scanner.ask(one, transaction_uid="2.25.1") for one in (known, known, other)] == [0, 0, 0x0115]
