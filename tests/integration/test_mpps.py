"""Procedure steps: checked, handed on to the RIS as they came, and a patient's start recorded before the answer."""

import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from collectors.dicom.exchange import Peer
from collectors.dicom.mpps.steps import Operation, StepStore
from collectors.errors import NoRoomError
from streams.messages import PatientScanStarted, event_id
from tests.fakes import FakeSite
from tests.integration.dicom_rig import DXA1, DXA4
from tests.integration.mpps_rig import StepRig, ended, started, step_ris, step_site, upstream, wire
from tests.integration.pacs_rig import waited
from tests.peers import free_port

UID = "2.25.4001"
OTHER = "2.25.4002"


def fact(rig: StepRig, uid: str = UID) -> PatientScanStarted:
    found = rig.site.facts[event_id(uid, "started")]
    assert isinstance(found, PatientScanStarted)
    return found


# --- the fact ----------------------------------------------------------------------------------------------


def test_a_patients_start_is_a_fact_with_mode_and_pseudonym(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started(code="DXAFA"), calling_ae="DXA4").status == 0x0000
        said = fact(rig)
    assert (said.accession_number, said.mpps_uid, said.mode, said.procedure_code) == (
        "ACC00001",
        UID,
        "forearm",
        "DXAFA",
    )
    assert said.started_at == datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
    assert said.pseudonym.startswith("1.")
    assert "TEST00001" not in str(said)


def test_a_phantoms_start_is_no_fact(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started(patient_id="SPINE-1234")).status == 0x0000
        assert rig.set(UID, ended()).status == 0x0000
        assert rig.site.facts == {}


@pytest.mark.parametrize(
    "change", [{"accession": "TEST INVENTED"}, {"accession": "A" * 65}, {"accession": ""}, {"code": "X" * 90}]
)
def test_what_could_be_a_name_stays_out_of_the_fact(tmp_path: Path, change: dict[str, str]) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started(**change)).status == 0x0000
        said = fact(rig)
    assert said.accession_number == ("ACC00001" if "code" in change else "")
    assert said.procedure_code == ("" if "code" in change else "DXASH")


@pytest.mark.parametrize("time", [("00010101", "000000"), ("garbled", "091500"), ("20260105", "noon")])
def test_a_start_without_a_usable_time_is_of_when_it_was_said(tmp_path: Path, time: tuple[str, str]) -> None:
    before = datetime.now(UTC)
    with step_site(tmp_path) as rig:
        ds = started(PerformedProcedureStepStartDate=time[0], PerformedProcedureStepStartTime=time[1])
        assert rig.create(UID, ds).status == 0x0000
        assert before <= fact(rig).started_at <= datetime.now(UTC)


def test_a_log_that_cannot_take_the_start_is_said_and_nothing_goes_on(tmp_path: Path) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        rig.site.available = False
        answer = rig.create(UID, started())
        assert (answer.status, answer.comment) == (0x0110, "the start cannot be recorded now; send again later")
        assert ris.told == []
        rig.site.available = True
        assert rig.create(UID, started()).status == 0x0000
        assert ris.of(UID) == ["create"]


def test_the_fact_is_durable_before_the_ris_is_told(tmp_path: Path) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        told: list[int] = []
        rig.site.before_append = lambda: told.append(len(ris.told))
        assert rig.create(UID, started()).status == 0x0000
        assert told == [0]


# --- without a RIS: the standard's rules ---------------------------------------------------------------------


@pytest.mark.parametrize("end", ["COMPLETED", "DISCONTINUED"])
def test_a_step_runs_its_course_and_is_not_changed_after_its_end(tmp_path: Path, end: str) -> None:
    progress = Dataset()
    progress.PerformedProcedureStepDescription = "AP Spine"
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started()).status == 0x0000
        assert rig.create(UID, started()).status == 0x0111
        assert rig.set(OTHER, progress).status == 0x0112
        assert rig.set(UID, progress).status == 0x0000
        assert rig.set(UID, ended(end)).status == 0x0000
        for late in (progress, ended(), started()):
            answer = rig.set(UID, late)
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
        answer = rig.create(UID, started(**change))  # type: ignore[arg-type] # of attributes
        assert answer.status == status
        assert answer.comment
        assert rig.site.facts == {}
        assert rig.set(UID, ended()).status == 0x0112


def test_an_end_needs_its_time_and_its_series_whenever_they_are_given(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        rig.create(UID, started())
        assert rig.set(UID, ended(PerformedProcedureStepEndTime=None)).status == 0x0120
        assert rig.set(UID, ended(PerformedSeriesSequence=None)).status == 0x0120
        assert rig.set(UID, ended(PerformedProcedureStepStatus=None)).status == 0x0000
        only_status = Dataset()
        only_status.PerformedProcedureStepStatus = "COMPLETED"
        assert rig.set(UID, only_status).status == 0x0000


def test_an_unknown_caller_and_a_missing_uid_are_refused(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started(), calling_ae="NOBODY").status == 0x0124
        assert rig.create("not a uid", started()).status == 0x0117
        assert rig.site.facts == {}


def test_attributes_that_are_no_dicom_are_refused_and_the_site_goes_on(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        for garbage in (b"\xff" * 50, b"TEST^INVENTED", wire(started())[:-40]):
            assert rig.create(UID, garbage).status in {0x0110, 0x0120}
        assert rig.create(UID, started()).status == 0x0000


def test_states_survive_a_restart(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig:
        rig.create(UID, started())
        rig.create(OTHER, started())
        rig.set(OTHER, ended())
    with step_site(tmp_path) as rig:
        assert rig.create(UID, started()).status == 0x0111
        assert rig.set(UID, ended()).status == 0x0000
        assert rig.set(OTHER, ended()).error_id == 0xA710


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


# --- with a RIS ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (b"ISO_IR 100", "TËST^ÏNVENTED Ø1 ".encode("latin-1")),
        (b"ISO_IR 192", "TËST^ÏNVENTED=試^験 ".encode()),
        (b"\\ISO 2022 IR 87 ", b"TEST^X=\x1b$B;n83\x1b(B^Y "),
        (b"ISO_IR 999", b"T\xcbST^UNKNOWN SET "),
    ],
)
def test_every_byte_reaches_the_ris_as_it_was_sent(tmp_path: Path, charset: bytes, name: bytes) -> None:
    plain = wire(started(name="@" * (len(name) + len(name) % 2)))
    data = plain.replace(b"@" * (len(name) + len(name) % 2), name + b" " * (len(name) % 2))
    place = data.index(b"\x08\x00\x05\x00")
    data = data[:place] + b"\x08\x00\x05\x00" + len(charset).to_bytes(4, "little") + charset + data[place + 18 :]
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        assert rig.create(UID, data).status == 0x0000
        change = wire(ended())
        assert rig.set(UID, change).status == 0x0000
        assert ris.told == [("create", UID, data), ("set", UID, change)]
        assert ris.calling_ae_titles == ["DXA1", "DXA1"]


def test_the_ris_answers_the_scanner(tmp_path: Path) -> None:
    refusal = Dataset()
    refusal.Status, refusal.ErrorComment, refusal.ErrorID = 0x0106, "no such order", 7
    given = Dataset()
    given.PerformedProcedureStepDescription = "as the RIS has it"
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port, present_as="GATEWAY")) as rig:
        ris.answers[UID] = refusal
        answer = rig.create(UID, started())
        assert (answer.status, answer.comment, answer.error_id) == (0x0106, "no such order", 7)
        assert fact(rig).mpps_uid == UID  # the patient is scanned all the same
        ris.gives_back = given
        assert rig.create(OTHER, started()).attributes.PerformedProcedureStepDescription == "as the RIS has it"
        assert rig.create(OTHER, started()).status == 0x0111
        assert rig.set("2.25.9", ended()).status == 0x0112
        assert ris.calling_ae_titles == ["GATEWAY"] * 4


def test_a_ris_that_is_away_is_told_later_and_in_order(tmp_path: Path) -> None:
    port = free_port()
    change = wire(ended(PerformedProcedureStepStatus=None))
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        for uid in (UID, OTHER):
            assert rig.create(uid, started()).status == 0x0000
            assert rig.set(uid, change).status == 0x0000
            assert rig.set(uid, ended()).status == 0x0000
        assert rig.set(UID, ended()).error_id == 0xA710
        assert rig.create(UID, started()).status == 0x0111
        assert rig.service.steps.waiting()[0] == 6
        with step_ris(port) as ris:
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
            assert ris.of(UID) == ris.of(OTHER) == ["create", "set", "set"]
            assert [data for _, uid, data in ris.told if uid == UID] == [wire(started()), change, wire(ended())]
            assert rig.create("2.25.5", started()).status == 0x0000
            assert ris.of("2.25.5") == ["create"]
    said = [line["event"] for line in logs if line["event"].startswith("mpps_ris")]
    assert said == ["mpps_ris_in_trouble", "mpps_ris_well_again"]


def test_a_step_that_began_before_the_ris_went_away_ends_after(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        with step_ris(port) as ris:
            assert rig.create(UID, started()).status == 0x0000
            steps = dict(ris.steps)
        assert rig.set(UID, ended()).status == 0x0000
        with step_ris(port) as ris:
            ris.steps.update(steps)
            assert waited(lambda: ris.of(UID) == ["set"])


def test_what_waits_survives_a_restart_of_ours(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        assert rig.create(UID, started()).status == 0x0000
    with step_site(tmp_path, upstream(port)) as rig:
        assert rig.set(UID, ended()).status == 0x0000
        with step_ris(port) as ris:
            assert waited(lambda: ris.of(UID) == ["create", "set"])


def test_a_ris_that_is_away_fails_the_scanner_where_that_is_configured(tmp_path: Path) -> None:
    with step_site(tmp_path, upstream(free_port(), when_away="fail")) as rig:
        answer = rig.create(UID, started())
        assert (answer.status, answer.comment) == (0x0110, "the RIS is away; send again later")
        assert fact(rig).mpps_uid == UID


@pytest.mark.parametrize("when_away", ["queue", "fail"])
def test_a_slow_ris_holds_nobody_longer_than_its_limit(tmp_path: Path, when_away: str) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port, timeout_s=0.5, when_away=when_away)) as rig:
        ris.delay_s = 1.5
        assert rig.create(UID, started()).status == (0x0000 if when_away == "queue" else 0x0110)
        ris.delay_s = 0.0
        if when_away == "queue":
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
            assert waited(lambda: ris.of(UID) == ["create"])


@pytest.mark.parametrize("lost", ["create", "set"])
def test_a_message_whose_answer_was_lost_counts_once(tmp_path: Path, lost: str) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        ris.breaks_off_after = lost == "create"
        assert rig.create(UID, started()).status == 0x0000
        ris.breaks_off_after = lost == "set"
        assert rig.set(UID, ended()).status == 0x0000
        assert waited(lambda: ris.of(UID) == ["create", "set"])
        ris.breaks_off_after = False
        assert waited(lambda: rig.service.steps.waiting()[0] == 0)
        assert ris.of(UID) == ["create", "set"]


def test_a_message_that_was_sent_when_the_power_went_counts_once(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        rig.create(UID, started())
        rig.set(UID, ended())
        with rig.service.steps._store.transaction() as db:  # as a kill between the sending and the note leaves it
            db.execute("UPDATE messages SET unsure = 1")
    with step_ris(port) as ris, capture_logs() as logs:
        ris.steps[UID] = "COMPLETED"
        with step_site(tmp_path, upstream(port)) as rig:
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
    assert "mpps_refused_later" not in [line["event"] for line in logs]


def test_an_end_that_the_ris_refuses_when_it_is_first_told_is_said(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(UID, ended())
        with step_ris(port) as ris:
            ris.steps[UID] = "COMPLETED"
            assert waited(lambda: "mpps_refused_later" in [line["event"] for line in logs])


def test_what_the_ris_refuses_later_is_said_and_stops_no_other_step(tmp_path: Path) -> None:
    port = free_port()
    refusal = Dataset()
    refusal.Status = 0x0106
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        for uid in (UID, OTHER):
            rig.create(uid, started())
            rig.set(uid, ended())
        with step_ris(port) as ris:
            ris.answers[UID] = refusal
            assert waited(lambda: ris.of(OTHER) == ["create", "set"])
            assert waited(lambda: [line["event"] for line in logs].count("mpps_refused_later") == 1)
            assert ris.of(UID) == []
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0xA700])
@pytest.mark.parametrize("unsure", [0, 1])
def test_what_the_ris_cannot_take_now_is_sent_again(tmp_path: Path, status: int, unsure: int) -> None:
    port, told = free_port(), Dataset()
    told.Status = status
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(UID, ended(PerformedProcedureStepStatus=None))
        rig.set(UID, ended())
        with rig.service.steps._store.transaction() as db:  # also one that the RIS may have got before
            db.execute("UPDATE messages SET unsure = ?", (unsure,))
        with step_ris(port) as ris:
            ris.steps[UID] = "IN PROGRESS"
            ris.answers[UID] = told
            assert waited(lambda: len(ris.calling_ae_titles) > 3)
            assert rig.service.steps.waiting()[0] == 2
            ris.answers.clear()
            assert waited(lambda: ris.of(UID) == ["set", "set"])
            assert ris.steps[UID] == "COMPLETED"
    assert [line["event"] for line in logs].count("mpps_postponed") == 1
    assert "mpps_refused_later" not in [line["event"] for line in logs]


def test_what_the_ris_can_never_take_is_refused_loudly_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.dicom.mpps.teller.MAX_TRIES", 3)
    port, told = free_port(), Dataset()
    told.Status = 0x0110
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(UID, ended())
        with step_ris(port) as ris:
            ris.answers[UID] = told
            assert waited(lambda: "mpps_refused_later" in [line["event"] for line in logs])
            assert len(ris.calling_ae_titles) == 3
        assert rig.service.steps.waiting()[0] == 0


def test_a_clock_that_was_ahead_postpones_no_message(tmp_path: Path) -> None:
    steps = StepStore(tmp_path)
    steps.queue(UID, Operation.SET, DXA1, "DXA1", b"", unsure=False)
    (message,) = steps.next_messages(5)
    steps.postponed(message, 60.0)
    assert steps.next_messages(5) == []
    steps.postponed(message, 1e7)
    assert [one.tries for one in steps.next_messages(5)] == [2]
    steps.close()


def test_nothing_is_noted_as_sent_before_there_is_a_context_for_it(tmp_path: Path) -> None:
    port = free_port()
    entity = AE(ae_title="RIS")
    entity.add_supported_context(Verification)
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(UID, ended())
        server = entity.start_server(("127.0.0.1", port), block=False)
        assert server is not None
        rig.service._teller._ris.associate = _verifying(port)  # type: ignore[method-assign, union-attr]
        with rig.service._teller._lock:  # type: ignore[union-attr]
            rig.service._teller._titles.clear()  # type: ignore[union-attr]
        assert waited(lambda: [line.get("code") for line in logs].count("no_context") == 1)
        server.shutdown()
        assert [one.unsure for one in rig.service.steps.next_messages(5)] == [False]


def _verifying(port: int) -> Callable[[str], Peer]:
    """Return what opens associations that are good for C-ECHO alone."""
    contexts = [build_context(Verification)]
    return lambda calling: Peer("127.0.0.1", port, "RIS", calling_ae=calling, timeout_s=2.0, contexts=contexts)


def test_an_earlier_versions_queue_is_taken_over(tmp_path: Path) -> None:
    with step_site(tmp_path, upstream(free_port())) as rig:
        rig.create(UID, started())
        for column in ("tries", "try_at"):
            rig.service.steps._store._db.execute(f"ALTER TABLE messages DROP COLUMN {column}")
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)):
        assert waited(lambda: ris.of(UID) == ["create"])


def test_what_was_refused_takes_no_room_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.dicom.mpps.steps.MAX_REFUSED", 3)
    steps = StepStore(tmp_path, max_waiting=2)
    for number in range(5):
        steps.queue(f"2.25.{number + 1}", Operation.CREATE, DXA1, "DXA1", b"", unsure=False)
        steps.refused(steps.next_messages(1)[0])
    for number in range(2):
        steps.queue(f"2.25.{number + 11}", Operation.CREATE, DXA1, "DXA1", b"", unsure=False)
    with pytest.raises(NoRoomError):
        steps.queue("2.25.20", Operation.CREATE, DXA1, "DXA1", b"", unsure=False)
    with steps._store.reading() as db:
        assert db.execute("SELECT refused, count(*) FROM messages GROUP BY refused").fetchall() == [(0, 2), (1, 3)]
    steps.close()


def test_a_title_that_the_ris_does_not_know_stops_no_other(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        rig.create(UID, started())
        rig.create(OTHER, started(), calling_ae="DXA2")
        with step_ris(port, knows=("DXA2",)) as ris:
            assert waited(lambda: ris.of(OTHER) == ["create"])
            assert rig.set(OTHER, ended(), calling_ae="DXA2").status == 0x0000
            assert ris.of(OTHER) == ["create", "set"]  # at once
            assert rig.service.steps.waiting()[0] == 1


def test_a_full_queue_is_said(tmp_path: Path) -> None:
    with step_site(tmp_path, upstream(free_port(), max_waiting=2)) as rig:
        statuses = [rig.create(f"2.25.{number + 1}", started()).status for number in range(4)]
        assert statuses == [0x0000, 0x0000, 0x0110, 0x0110]


# --- privacy -----------------------------------------------------------------------------------------------


def test_nothing_of_a_patient_is_left_in_the_clear(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="collectors")
    ds = started(patient_id="ID-998877", name="SECRET^PERSON", PatientBirthDate="19431224")
    with step_site(tmp_path, upstream(free_port())) as rig, capture_logs() as logs:
        assert rig.create(UID, ds).status == 0x0000
        assert rig.create("SECRET^PERSON", ds).status == 0x0117
        assert rig.create(OTHER, wire(ds)[:-20]).status in {0x0000, 0x0110}
        assert rig.set(UID, ended(PerformedProcedureStepDescription="SECRET^PERSON")).status == 0x0000
        files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        facts = str(rig.site.facts)
    told = [caplog.text, str(logs), facts, generate_latest().decode(), *(data.decode("latin-1") for data in files)]
    secrets = ("SECRET", "PERSON", "19431224", "998877")
    assert [secret for secret, text in itertools.product(secrets, told) if secret in text] == []


def test_a_start_that_is_announced_again_is_counted_once(tmp_path: Path) -> None:
    begun = {"device": DXA1}
    before = REGISTRY.get_sample_value("bonewatch_mpps_patient_scans_total", begun) or 0.0
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        assert [rig.create(UID, started()).status for _ in range(3)] == [0x0000, 0x0111, 0x0111]
    assert REGISTRY.get_sample_value("bonewatch_mpps_patient_scans_total", begun) == before + 1


def test_devices_are_told_by_their_title(tmp_path: Path) -> None:
    with step_site(tmp_path) as rig, capture_logs() as logs:
        rig.create(UID, started())
        rig.create(OTHER, started(), calling_ae="DXA4")
    assert [line["device"] for line in logs if line["event"] == "mpps_answered"] == [DXA1, DXA4]


def test_an_announced_start_that_changes_keeps_the_first(tmp_path: Path) -> None:
    site = FakeSite()
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port), site) as rig:
        rig.create(UID, started())
        assert rig.create(UID, started(accession="ACC00002")).status == 0x0111
        assert fact(rig).accession_number == "ACC00001"
