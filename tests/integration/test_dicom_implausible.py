"""What cannot be the phantom under the phantom's ID may be a patient: refused, encrypted, out of the archive."""

import pydicom
import pytest

from collectors.archive import Archive
from simulators.phantom_sr import IMAGE, RegionStyle
from streams.messages import PhantomScanRefused, Verdict
from tests.integration.dicom_rig import DXA1, MEASURED, DicomRig
from tests.integration.store_rig import phantom_image, report, send_in_other_syntax


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
