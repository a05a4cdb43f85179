"""Procedure steps by the standard's rules: a patient's start is recorded before the answer, nothing in clear."""

import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from tests.fakes import FakeSite
from tests.integration.dicom_rig import DXA1, DXA4
from tests.integration.mpps_rig import OTHER_STEP, STEP, ended, fact, started, step_ris, step_site, upstream, wire
from tests.peers import free_port

# --- the fact ----------------------------------------------------------------------------------------------


def test_a_patients_start_is_a_fact_with_mode_and_pseudonym(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started(code="DXAFA"), calling_ae="DXA4").status == 0x0000
        said = fact(rig)
    assert (said.accession_number, said.mpps_uid, said.mode, said.procedure_code) == (
        "ACC00001",
        STEP,
        "forearm",
        "DXAFA",
    )
    assert said.started_at == datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
    assert said.pseudonym.startswith("1.")
    assert "TEST00001" not in str(said)


def test_a_phantoms_start_is_no_fact(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started(patient_id="SPINE-1234")).status == 0x0000
        assert rig.set(STEP, ended()).status == 0x0000
        assert rig.site.facts == {}


@pytest.mark.parametrize(
    "change", [{"accession": "TEST INVENTED"}, {"accession": "A" * 65}, {"accession": ""}, {"code": "X" * 90}]
)
def test_what_could_be_a_name_stays_out_of_the_fact(tmp_path: Path, change: dict[str, str]) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started(**change)).status == 0x0000
        said = fact(rig)
    assert said.accession_number == ("ACC00001" if "code" in change else "")
    assert said.procedure_code == ("" if "code" in change else "DXASH")


@pytest.mark.parametrize("time", [("00010101", "000000"), ("garbled", "091500"), ("20260105", "noon")])
def test_a_start_without_a_usable_time_is_of_when_it_was_said(tmp_path: Path, time: tuple[str, str]) -> None:
    before = datetime.now(UTC)
    with step_site(tmp_path) as rig:
        ds = started(PerformedProcedureStepStartDate=time[0], PerformedProcedureStepStartTime=time[1])
        assert rig.create(STEP, ds).status == 0x0000
        assert before <= fact(rig).started_at <= datetime.now(UTC)


def test_a_log_that_cannot_take_the_start_is_said_and_nothing_goes_on(tmp_path: Path) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        rig.site.available = False
        answer = rig.create(STEP, started())
        assert (answer.status, answer.comment) == (0x0110, "the start cannot be recorded now; send again later")
        assert ris.told == []
        rig.site.available = True
        assert rig.create(STEP, started()).status == 0x0000
        assert ris.of(STEP) == ["create"]


def test_the_fact_is_durable_before_the_ris_is_told(tmp_path: Path) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        told: list[int] = []
        rig.site.before_append = lambda: told.append(len(ris.told))
        assert rig.create(STEP, started()).status == 0x0000
        assert told == [0]


# --- without a RIS: the standard's rules ---------------------------------------------------------------------


@pytest.mark.parametrize("end", ["COMPLETED", "DISCONTINUED"])
def test_a_step_runs_its_course_and_is_not_changed_after_its_end(tmp_path: Path, end: str) -> None:
    progress = Dataset()
    progress.PerformedProcedureStepDescription = "AP Spine"
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started()).status == 0x0000
        assert rig.create(STEP, started()).status == 0x0111
        assert rig.set(OTHER_STEP, progress).status == 0x0112
        assert rig.set(STEP, progress).status == 0x0000
        assert rig.set(STEP, ended(end)).status == 0x0000
        for late in (progress, ended(), started()):
            answer = rig.set(STEP, late)
            assert (answer.status, answer.error_id) == (0x0110, 0xA710)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"PerformedProcedureStepID": None}, 0x0120),
        ({"Modality": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": None}, 0x0120),
        ({"PerformedStationAETitle": ""}, 0x0121),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "WHATEVER"}, 0x0106),
    ],
)
def test_a_start_that_lacks_what_it_needs_is_refused(tmp_path: Path, change: dict[str, object], status: int) -> None:
    with step_site(tmp_path) as rig:
        answer = rig.create(STEP, started(**change))  # type: ignore[arg-type] # of attributes
        assert answer.status == status
        assert answer.comment
        assert rig.site.facts == {}
        assert rig.set(STEP, ended()).status == 0x0112


def test_an_end_needs_its_time_and_its_series_whenever_they_are_given(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        rig.create(STEP, started())
        assert rig.set(STEP, ended(PerformedProcedureStepEndTime=None)).status == 0x0120
        assert rig.set(STEP, ended(PerformedSeriesSequence=None)).status == 0x0120
        assert rig.set(STEP, ended(PerformedProcedureStepStatus=None)).status == 0x0000
        only_status = Dataset()
        only_status.PerformedProcedureStepStatus = "COMPLETED"
        assert rig.set(STEP, only_status).status == 0x0000


def test_an_unknown_caller_and_a_missing_uid_are_refused(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started(), calling_ae="NOBODY").status == 0x0124
        assert rig.create("not a uid", started()).status == 0x0117
        assert rig.site.facts == {}


def test_attributes_that_are_no_dicom_are_refused_and_the_site_goes_on(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        for garbage in (b"\xff" * 50, b"TEST^INVENTED", wire(started())[:-40]):
            assert rig.create(STEP, garbage).status in {0x0110, 0x0120}
        assert rig.create(STEP, started()).status == 0x0000


def test_states_survive_a_restart(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        rig.create(STEP, started())
        rig.create(OTHER_STEP, started())
        rig.set(OTHER_STEP, ended())
    with step_site(tmp_path) as rig:
        assert rig.create(STEP, started()).status == 0x0111
        assert rig.set(STEP, ended()).status == 0x0000
        assert rig.set(OTHER_STEP, ended()).error_id == 0xA710


def test_states_are_bounded_and_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.dicom.mpps.steps.MAX_STEPS", 3)
    with step_site(tmp_path) as rig:
        for number in range(6):
            rig.create(f"2.25.{number + 1}", started())
        rig.service.steps.tidy()
        assert [rig.set(f"2.25.{number + 1}", ended()).status for number in range(6)] == [0x0112] * 3 + [0x0000] * 3
        with rig.service.steps._store.transaction() as db:
            db.execute("UPDATE steps SET updated_at = updated_at - 15 * 86400")
        rig.service.steps.tidy()
        assert rig.set("2.25.6", ended()).status == 0x0112


def test_concurrent_steps_are_each_taken_once(tmp_path: Path) -> None:
    uids = [f"2.25.{number}" for number in range(1, 9)]
    with step_site(tmp_path) as rig, ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda uid: rig.create(uid, started()).status, uids * 2))
        assert sorted(statuses) == [0x0000] * 8 + [0x0111] * 8
        assert {answer.status for answer in pool.map(lambda uid: rig.set(uid, ended()), uids)} == {0x0000}


# --- privacy -----------------------------------------------------------------------------------------------


def test_nothing_of_a_patient_is_left_in_the_clear(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="collectors")
    ds = started(patient_id="ID-998877", name="SECRET^PERSON", PatientBirthDate="19431224")
    with step_site(tmp_path, upstream(free_port())) as rig, capture_logs() as logs:
        assert rig.create(STEP, ds).status == 0x0000
        assert rig.create("SECRET^PERSON", ds).status == 0x0117
        assert rig.create(OTHER_STEP, wire(ds)[:-20]).status in {0x0000, 0x0110}
        assert rig.set(STEP, ended(PerformedProcedureStepDescription="SECRET^PERSON")).status == 0x0000
        files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        facts = str(rig.site.facts)
    told = [caplog.text, str(logs), facts, generate_latest().decode(), *(data.decode("latin-1") for data in files)]
    secrets = ("SECRET", "PERSON", "19431224", "998877")
    assert [secret for secret, text in itertools.product(secrets, told) if secret in text] == []


def test_a_start_that_is_announced_again_is_counted_once(tmp_path: Path) -> None:
    begun = {"device": DXA1}
    before = REGISTRY.get_sample_value("bonewatch_mpps_patient_scans_total", begun) or 0.0
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        assert [rig.create(STEP, started()).status for _ in range(3)] == [0x0000, 0x0111, 0x0111]
    assert REGISTRY.get_sample_value("bonewatch_mpps_patient_scans_total", begun) == before + 1


def test_devices_are_told_by_their_title(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig, capture_logs() as logs:
        rig.create(STEP, started())
        rig.create(OTHER_STEP, started(), calling_ae="DXA4")
    assert [line["device"] for line in logs if line["event"] == "mpps_answered"] == [DXA1, DXA4]


def test_an_announced_start_that_changes_keeps_the_first(tmp_path: Path) -> None:
    site = FakeSite()
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port), site) as rig:
        rig.create(STEP, started())
        assert rig.create(STEP, started(accession="ACC00002")).status == 0x0111
        assert fact(rig).accession_number == "ACC00001"
