"""Storage Commitment: what we promise to scanners of what is kept, for how many objects and how long."""

from collections.abc import Set
from datetime import timedelta
from pathlib import Path

import pytest

from collectors.archive import Archive
from collectors.dicom.pacs import asking, promises, reporter
from collectors.dicom.pacs.commitment import Reference, Request
from collectors.dicom.pacs.keeping import Judged, Keeping
from collectors.dicom.pacs.promises import Promises, TransactionInUseError
from collectors.errors import NoRoomError
from simulators.scanner import patient_report
from tests.integration.commitment_rig import QUICK, AskingScanner, commitment_site, listening_scanner, reference
from tests.integration.dicom_rig import DXA1, DXA2, MEASURED
from tests.integration.pacs_rig import is_empty, pacs_settings, patient, waited
from tests.integration.store_rig import report
from tests.peers import free_port
from tests.virtual_pacs import virtual_pacs


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
