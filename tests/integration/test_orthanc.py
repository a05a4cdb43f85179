from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.scanner import patient_report
from tests.integration.dicom_rig import MEASURED, DicomRig
from tests.integration.store_rig import report
from tests.peers import Orthanc, orthanc, write_part10


@pytest.fixture
def sender(rig: DicomRig, tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc that calls itself DXA1 and knows the site."""
    with orthanc(tmp_path / "orthanc", rig.port) as server:
        yield server


def test_orthanc_sends_a_phantom_scan(rig: DicomRig, sender: Orthanc, tmp_path: Path) -> None:
    sender.echo()
    instance = sender.upload(write_part10(tmp_path / "scan.dcm", report()))
    assert sender.send(instance)["State"] == "Success"
    assert len(rig.site.facts) == 2
    assert len(rig.archived()) == 1


def test_orthanc_sees_a_refusal_as_a_failed_job(rig: DicomRig, sender: Orthanc, tmp_path: Path) -> None:
    instance = sender.upload(write_part10(tmp_path / "patient.dcm", patient_report(1, MEASURED)))
    assert sender.send(instance)["State"] == "Failure"
    assert rig.refusal_codes() == ["patient_object"]
    again = sender.upload(write_part10(tmp_path / "scan.dcm", report()))
    assert sender.send(again)["State"] == "Success"
