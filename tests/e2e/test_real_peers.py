"""Peers that are not ours, all from Debian, against the real site process: DCMTK's tools and Orthanc."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from simulators.ris import Appointment, invented_clinic, worklist_item
from simulators.scanner import PhantomLabel, VirtualScanner, patient_report
from streams.messages import event_id
from streams.refold import replay, verify
from streams.sqlite_log import SqliteEventLog
from tests.peers import DcmtkAnswer, echoscu, findscu, orthanc, storescu, wlmscpfs, write_part10
from tests.running import SiteProcess, configuration, seed

REFUSED: Final = 0xC100
BOOKED: Final = (
    *invented_clinic("DXA1", 3),
    Appointment(99, ("DXA1",), patient_id="SPINE-0001", patient_name="PHANTOM^SYNTHETIC"),
    *invented_clinic("DXA2", 2, first=50),
)
FIRST, SECOND = ("TEST00001", "TEST00002", "TEST00003"), ("TEST00050", "TEST00051")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[SiteProcess]:
    """The site with DCMTK's worklist server as its RIS."""
    with wlmscpfs(folder / "worklist", [worklist_item(one) for one in BOOKED]) as port:
        seed(folder, configuration(port))
        with SiteProcess(folder) as site:
            yield site


def scan(folder: Path, ae_title: str, bmd: float) -> Path:
    """Write the report of a phantom scan made now as a DICOM file."""
    now = datetime.now(UTC)
    scanner = VirtualScanner(ae_title, 0, phantom=PhantomLabel(f"SPINE-000{ae_title[-1]}", "PHANTOM^SYNTHETIC"))
    report = scanner.report(bmd, now, acquisition=f"{ae_title} {now.isoformat()}")
    return write_part10(folder / f"{report.SOPInstanceUID}.dcm", report)


def ask(site: SiteProcess, ae_title: str) -> DcmtkAnswer:
    return findscu(site.dicom_port, calling_ae=ae_title, station=ae_title)


def store(site: SiteProcess, folder: Path, ae_title: str, bmd: float) -> None:
    assert storescu(site.dicom_port, scan(folder, ae_title, bmd), calling_ae=ae_title).status == 0x0000


def test_echoscu_is_answered(site: SiteProcess) -> None:
    assert echoscu(site.dicom_port)


def test_a_failing_phantom_from_storescu_refuses_findscu_and_the_repeat_lets_the_items_through(
    site: SiteProcess, folder: Path
) -> None:
    for ae_title, ids in (("DXA1", (*FIRST, "SPINE-0001")), ("DXA2", SECOND)):
        store(site, folder, ae_title, 1.0)
        opened = ask(site, ae_title)
        assert (opened.status, sorted(opened.patient_ids)) == (0x0000, sorted(ids))

    store(site, folder, "DXA1", 1.06)
    refused = ask(site, "DXA1")
    assert (refused.status, refused.patient_ids) == (REFUSED, ("SPINE-0001",))
    assert refused.error_comment.startswith("qc_failed")
    assert len(refused.error_comment) <= 64
    phantom = findscu(site.dicom_port, calling_ae="DXA1", station="DXA1", patient_id="SPINE-0001")
    assert (phantom.status, phantom.patient_ids) == (0x0000, ("SPINE-0001",))
    other = ask(site, "DXA2")
    assert (other.status, sorted(other.patient_ids)) == (0x0000, sorted(SECOND))

    store(site, folder, "DXA1", 1.001)
    repeated = ask(site, "DXA1")
    assert (repeated.status, sorted(repeated.patient_ids)) == (0x0000, sorted((*FIRST, "SPINE-0001")))


def test_storescu_and_findscu_of_nobody_are_refused_with_a_reason(site: SiteProcess, folder: Path) -> None:
    stored = storescu(site.dicom_port, scan(folder, "DXA1", 1.0), calling_ae="NOBODY")
    assert (stored.status, stored.error_comment) == (0x0124, "this calling AE title is not configured here")
    asked = findscu(site.dicom_port, calling_ae="NOBODY", station="DXA1")
    assert (asked.status, asked.patient_ids) == (0xC101, ())
    assert asked.error_comment.startswith("unknown_ae")


def test_what_orthanc_sends_is_in_the_log_once_and_a_patients_object_is_a_failed_job(
    site: SiteProcess, folder: Path
) -> None:
    with orthanc(folder / "orthanc", site.dicom_port, ae_title="DXA2") as sender:
        sender.echo()
        path = scan(folder, "DXA2", 1.002)
        instance = sender.upload(path)
        assert [sender.send(instance)["State"] for _ in range(2)] == ["Success", "Success"]
        patient = sender.upload(write_part10(folder / "patient.dcm", patient_report(1, datetime.now(UTC))))
        assert sender.send(patient)["State"] == "Failure"
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        ids = [row.event_id for row in log.rows()]
        assert (verify(log).faults, replay(log).differences) == ((), ())
    assert ids.count(event_id(path.stem, "L1-L4")) == 1
    newest = site.get("/api/v1/devices/dxa-2/qc").json()[-1]
    assert (newest["bmd_g_cm2"], newest["verdict"]) == (1.002, "pass")
    assert (folder / "var" / "archive" / "dxa-2").is_dir()


def test_wlmscpfs_that_is_gone_is_a_failure_and_never_an_empty_list(tmp_path: Path) -> None:
    with wlmscpfs(tmp_path / "worklist", []) as port:
        seed(tmp_path, configuration(port, scanners=1))
    with SiteProcess(tmp_path) as site:
        assert ask(site, "DXA1").error_comment.startswith("independent_overdue")
        store(site, tmp_path, "DXA1", 1.0)
        answer = ask(site, "DXA1")
    assert (answer.status, answer.patient_ids) == (0xC102, ())
    assert "upstream" in answer.error_comment
