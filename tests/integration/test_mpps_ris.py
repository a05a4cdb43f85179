"""Procedure steps reach the RIS as they came, once and in order, however it is away or refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from collectors.dicom.exchange import Peer
from collectors.dicom.mpps.steps import Operation, StepStore
from collectors.errors import NoRoomError
from tests.integration.dicom_rig import DXA1
from tests.integration.mpps_rig import OTHER_STEP, STEP, ended, fact, started, step_ris, step_site, upstream, wire
from tests.integration.pacs_rig import waited
from tests.peers import free_port


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
        assert rig.create(STEP, data).status == 0x0000
        change = wire(ended())
        assert rig.set(STEP, change).status == 0x0000
        assert ris.told == [("create", STEP, data), ("set", STEP, change)]
        assert ris.calling_ae_titles == ["DXA1", "DXA1"]


def test_the_ris_answers_the_scanner(tmp_path: Path) -> None:
    refusal = Dataset()
    refusal.Status, refusal.ErrorComment, refusal.ErrorID = 0x0106, "no such order", 7
    given = Dataset()
    given.PerformedProcedureStepDescription = "as the RIS has it"
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port, present_as="GATEWAY")) as rig:
        ris.answers[STEP] = refusal
        answer = rig.create(STEP, started())
        assert (answer.status, answer.comment, answer.error_id) == (0x0106, "no such order", 7)
        assert fact(rig).mpps_uid == STEP  # the patient is scanned all the same
        ris.gives_back = given
        assert rig.create(OTHER_STEP, started()).attributes.PerformedProcedureStepDescription == "as the RIS has it"
        assert rig.create(OTHER_STEP, started()).status == 0x0111
        assert rig.set("2.25.9", ended()).status == 0x0112
        assert ris.calling_ae_titles == ["GATEWAY"] * 4


def test_a_ris_that_is_away_is_told_later_and_in_order(tmp_path: Path) -> None:
    port = free_port()
    change = wire(ended(PerformedProcedureStepStatus=None))
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        for uid in (STEP, OTHER_STEP):
            assert rig.create(uid, started()).status == 0x0000
            assert rig.set(uid, change).status == 0x0000
            assert rig.set(uid, ended()).status == 0x0000
        assert rig.set(STEP, ended()).error_id == 0xA710
        assert rig.create(STEP, started()).status == 0x0111
        assert rig.service.steps.waiting()[0] == 6
        with step_ris(port) as ris:
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
            assert ris.of(STEP) == ris.of(OTHER_STEP) == ["create", "set", "set"]
            assert [data for _, uid, data in ris.told if uid == STEP] == [wire(started()), change, wire(ended())]
            assert rig.create("2.25.5", started()).status == 0x0000
            assert ris.of("2.25.5") == ["create"]
    said = [line["event"] for line in logs if line["event"].startswith("mpps_ris")]
    assert said == ["mpps_ris_in_trouble", "mpps_ris_well_again"]


def test_a_step_that_began_before_the_ris_went_away_ends_after(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        with step_ris(port) as ris:
            assert rig.create(STEP, started()).status == 0x0000
            steps = dict(ris.steps)
        assert rig.set(STEP, ended()).status == 0x0000
        with step_ris(port) as ris:
            ris.steps.update(steps)
            assert waited(lambda: ris.of(STEP) == ["set"])


def test_what_waits_survives_a_restart_of_ours(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        assert rig.create(STEP, started()).status == 0x0000
    with step_site(tmp_path, upstream(port)) as rig:
        assert rig.set(STEP, ended()).status == 0x0000
        with step_ris(port) as ris:
            assert waited(lambda: ris.of(STEP) == ["create", "set"])


def test_a_ris_that_is_away_fails_the_scanner_where_that_is_configured(tmp_path: Path) -> None:
    with step_site(tmp_path, upstream(free_port(), when_away="fail")) as rig:
        answer = rig.create(STEP, started())
        assert (answer.status, answer.comment) == (0x0110, "the RIS is away; send again later")
        assert fact(rig).mpps_uid == STEP


@pytest.mark.parametrize("when_away", ["queue", "fail"])
def test_a_slow_ris_holds_nobody_longer_than_its_limit(tmp_path: Path, when_away: str) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port, timeout_s=0.5, when_away=when_away)) as rig:
        ris.delay_s = 1.5
        assert rig.create(STEP, started()).status == (0x0000 if when_away == "queue" else 0x0110)
        ris.delay_s = 0.0
        if when_away == "queue":
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
            assert waited(lambda: ris.of(STEP) == ["create"])


@pytest.mark.parametrize("lost", ["create", "set"])
def test_a_message_whose_answer_was_lost_counts_once(tmp_path: Path, lost: str) -> None:
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)) as rig:
        ris.breaks_off_after = lost == "create"
        assert rig.create(STEP, started()).status == 0x0000
        ris.breaks_off_after = lost == "set"
        assert rig.set(STEP, ended()).status == 0x0000
        assert waited(lambda: ris.of(STEP) == ["create", "set"])
        ris.breaks_off_after = False
        assert waited(lambda: rig.service.steps.waiting()[0] == 0)
        assert ris.of(STEP) == ["create", "set"]


def test_a_message_that_was_sent_when_the_power_went_counts_once(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig:
        rig.create(STEP, started())
        rig.set(STEP, ended())
        with rig.service.steps._store.transaction() as db:  # as a kill between the sending and the note leaves it
            db.execute("UPDATE messages SET unsure = 1")
    with step_ris(port) as ris, capture_logs() as logs:
        ris.steps[STEP] = "COMPLETED"
        with step_site(tmp_path, upstream(port)) as rig:
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)
    assert "mpps_refused_later" not in [line["event"] for line in logs]


def test_an_end_that_the_ris_refuses_when_it_is_first_told_is_said(tmp_path: Path) -> None:
    port = free_port()
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(STEP, ended())
        with step_ris(port) as ris:
            ris.steps[STEP] = "COMPLETED"
            assert waited(lambda: "mpps_refused_later" in [line["event"] for line in logs])


def test_what_the_ris_refuses_later_is_said_and_stops_no_other_step(tmp_path: Path) -> None:
    port = free_port()
    refusal = Dataset()
    refusal.Status = 0x0106
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        for uid in (STEP, OTHER_STEP):
            rig.create(uid, started())
            rig.set(uid, ended())
        with step_ris(port) as ris:
            ris.answers[STEP] = refusal
            assert waited(lambda: ris.of(OTHER_STEP) == ["create", "set"])
            assert waited(lambda: [line["event"] for line in logs].count("mpps_refused_later") == 1)
            assert ris.of(STEP) == []
            assert waited(lambda: rig.service.steps.waiting()[0] == 0)


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0xA700])
@pytest.mark.parametrize("unsure", [0, 1])
def test_what_the_ris_cannot_take_now_is_sent_again(tmp_path: Path, status: int, unsure: int) -> None:
    port, told = free_port(), Dataset()
    told.Status = status
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(STEP, ended(PerformedProcedureStepStatus=None))
        rig.set(STEP, ended())
        with rig.service.steps._store.transaction() as db:  # also one that the RIS may have got before
            db.execute("UPDATE messages SET unsure = ?", (unsure,))
        with step_ris(port) as ris:
            ris.steps[STEP] = "IN PROGRESS"
            ris.answers[STEP] = told
            assert waited(lambda: len(ris.calling_ae_titles) > 3)
            assert rig.service.steps.waiting()[0] == 2
            ris.answers.clear()
            assert waited(lambda: ris.of(STEP) == ["set", "set"])
            assert ris.steps[STEP] == "COMPLETED"
    assert [line["event"] for line in logs].count("mpps_postponed") == 1
    assert "mpps_refused_later" not in [line["event"] for line in logs]


def test_what_the_ris_can_never_take_is_refused_loudly_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.dicom.mpps.teller.MAX_TRIES", 3)
    port, told = free_port(), Dataset()
    told.Status = 0x0110
    with step_site(tmp_path, upstream(port)) as rig, capture_logs() as logs:
        rig.set(STEP, ended())
        with step_ris(port) as ris:
            ris.answers[STEP] = told
            assert waited(lambda: "mpps_refused_later" in [line["event"] for line in logs])
            assert len(ris.calling_ae_titles) == 3
        assert rig.service.steps.waiting()[0] == 0


def test_a_clock_that_was_ahead_postpones_no_message(tmp_path: Path) -> None:
    steps = StepStore(tmp_path)
    steps.queue(STEP, Operation.SET, DXA1, "DXA1", b"", unsure=False)
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
        rig.set(STEP, ended())
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
        rig.create(STEP, started())
        for column in ("tries", "try_at"):
            rig.service.steps._store._db.execute(f"ALTER TABLE messages DROP COLUMN {column}")
    with step_ris() as ris, step_site(tmp_path, upstream(ris.port)):
        assert waited(lambda: ris.of(STEP) == ["create"])


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
        rig.create(STEP, started())
        rig.create(OTHER_STEP, started(), calling_ae="DXA2")
        with step_ris(port, knows=("DXA2",)) as ris:
            assert waited(lambda: ris.of(OTHER_STEP) == ["create"])
            assert rig.set(OTHER_STEP, ended(), calling_ae="DXA2").status == 0x0000
            assert ris.of(OTHER_STEP) == ["create", "set"]  # at once
            assert rig.service.steps.waiting()[0] == 1


def test_a_full_queue_is_said(tmp_path: Path) -> None:
    with step_site(tmp_path, upstream(free_port(), max_waiting=2)) as rig:
        statuses = [rig.create(f"2.25.{number + 1}", started()).status for number in range(4)]
        assert statuses == [0x0000, 0x0000, 0x0110, 0x0110]
