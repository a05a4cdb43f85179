"""An object that is of no use is refused with its reason, kept apart, and tells nobody of a person."""

import logging

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from simulators.phantom_sr import RegionStyle
from simulators.scanner import patient_report
from streams.messages import PatientObjectReceived
from streams.site import Receipt
from tests.integration.dicom_rig import DXA1, MEASURED, DicomRig
from tests.integration.store_rig import counter, report, send_bytes

SECRETS = ("SECRET", "PERSON", "19431224", "ID-998877")


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
