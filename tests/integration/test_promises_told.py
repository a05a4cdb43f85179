"""Storage Commitment: how a scanner is told of what we promised, over which association and how often."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from collectors.dicom.pacs import reporter
from collectors.dicom.pacs.commitment import Reference, Request
from collectors.dicom.pacs.promises import Promises
from simulators.scanner import patient_report
from tests.integration.commitment_rig import AskingScanner, CommitmentRig, commitment_site, listening_scanner, reference
from tests.integration.dicom_rig import DXA1, MEASURED
from tests.integration.pacs_rig import pacs_settings, waited
from tests.integration.store_rig import report
from tests.peers import free_port, orthanc, write_part10
from tests.virtual_pacs import virtual_pacs


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
