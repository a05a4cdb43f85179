import logging
import socket
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY, generate_latest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dsutils import decode, encode
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from collectors.dicom.deadline_socket import RequestingEntity
from collectors.dicom.requests import mode_of, procedure_codes, station_ae_titles
from collectors.dicom.upstream import PendingItem
from collectors.dicom.worklist import WorklistProxy
from collectors.settings import Upstream
from simulators.ris import Appointment, VirtualRis, invented_clinic, worklist_item
from simulators.scanner import WorklistResult, worklist_query
from streams.messages import GateStatus, Reason, ReasonCode
from streams.site import Gate
from tests.fakes import HELD, OPEN, FakeSite
from tests.integration.dicom_rig import (
    DEVICES,
    DXA1,
    DXA2,
    DXA3,
    DXA4,
    MODES,
    DicomRig,
    descriptors,
    running,
    scanner_policy,
    threads,
)

PHANTOM = Appointment(99, ("DXA1",), patient_id="SPINE-1234", patient_name="PHANTOM^SPINE")
PATIENTS = ("TEST00001", "TEST00002")


@pytest.fixture
def booked(ris_rig: DicomRig, ris: VirtualRis) -> DicomRig:
    """Two patients and the phantom for DXA1, one patient for DXA2."""
    ris.book([*invented_clinic("DXA1", 2), PHANTOM, *invented_clinic("DXA2", 1, first=50)])
    return ris_rig


def ask(rig: DicomRig, ae_title: str = "DXA1", **keys: str) -> WorklistResult:
    return rig.scanner(ae_title).query_worklist(**keys)


# --- the caller's own gate ---------------------------------------------------------------------------------


def test_open_scanner_gets_its_list(booked: DicomRig) -> None:
    answer = ask(booked)
    assert (answer.status, answer.patient_ids) == (0x0000, (*PATIENTS, "SPINE-1234"))


def test_nobody_booked_is_an_empty_success(ris_rig: DicomRig) -> None:
    assert ask(ris_rig) == WorklistResult(0x0000, "", ())


def test_held_scanner_is_refused_with_the_reason_and_gets_its_phantom(booked: DicomRig) -> None:
    booked.site.hold(DXA1)
    answer = ask(booked)
    assert (answer.status, answer.patient_ids) == (0xC100, ("SPINE-1234",))
    assert answer.error_comment.startswith("qc_failed")
    assert len(answer.error_comment) <= 64


@pytest.mark.parametrize("asked", ["", "*", "SPINE*", "TEST00001", "SPINE-1234"])
def test_held_scanners_patients_are_not_even_fetched(booked: DicomRig, ris: VirtualRis, asked: str) -> None:
    booked.site.hold(DXA1)
    assert not set(ask(booked, patient_id=asked).patient_ids) & set(PATIENTS)
    assert ris.given_patient_ids <= {"SPINE-1234"}


class HeedlessSource:
    """A RIS that answers every query with its whole list."""

    def __init__(self, *patient_ids: str) -> None:
        appointments = [Appointment(1, ("DXA1",), patient_id=patient_id) for patient_id in patient_ids]
        self._all = tuple(PendingItem(0xFF00, worklist_item(one)) for one in appointments)

    def query(self, _identifier: Dataset, _calling_ae: str, _cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        return self._all


@pytest.mark.parametrize("asked", ["", "*", "SPINE-1234", "TEST00001"])
@pytest.mark.parametrize(
    ("listed", "passes"),
    [
        (("TEST00001", "SPINE-12345", "spine-1234", "SPINE-1234 X", "*"), []),
        (("TEST00001", "SPINE-1234 ", "TEST00002"), ["SPINE-1234"]),
    ],
)
def test_held_scanner_gets_no_patients_from_a_ris_that_ignores_the_patient_id(
    asked: str, listed: tuple[str, ...], passes: list[str]
) -> None:
    site = FakeSite()
    site.hold(DXA1)
    proxy = WorklistProxy(site, DEVICES, None, source=HeedlessSource(*listed))
    *pending, final = proxy.answer("DXA1", worklist_query(patient_id=asked), lambda: False)
    given = [str(item.PatientID).strip() for _, _, item in pending if item is not None]
    assert given == (passes if asked != "TEST00001" else [])
    assert final[0] == (0x0000 if given and asked == "SPINE-1234" else 0xC100)


def test_gate_that_opens_while_phantoms_are_collected_gives_the_whole_list(booked: DicomRig, ris: VirtualRis) -> None:
    booked.site.hold(DXA1)
    ris.delay_s = 0.4

    def release() -> None:
        assert ris.in_query.wait(5.0)
        booked.site.release(DXA1)

    opener = threading.Thread(target=release)
    opener.start()
    answer = ask(booked)
    opener.join()
    assert (answer.status, answer.patient_ids) == (0x0000, (*PATIENTS, "SPINE-1234"))


def test_other_scanner_is_never_affected(booked: DicomRig) -> None:
    booked.site.hold(DXA1)
    answer = ask(booked, "DXA2")
    assert (answer.status, answer.patient_ids) == (0x0000, ("TEST00050",))


def test_held_scanner_that_asks_for_its_phantom_succeeds(booked: DicomRig) -> None:
    booked.site.hold(DXA1)
    answer = ask(booked, patient_id="SPINE-1234")
    assert (answer.status, answer.patient_ids) == (0x0000, ("SPINE-1234",))


@pytest.mark.parametrize("code", ReasonCode)
def test_the_phantoms_item_passes_whatever_holds(booked: DicomRig, code: ReasonCode) -> None:
    booked.site.gates[DXA1, None] = Gate(GateStatus.HELD, None, None, (Reason(code, "as it is", "this clears it"),))
    answer = ask(booked)
    assert (answer.status, answer.patient_ids) == (0xC100, ("SPINE-1234",))
    assert answer.error_comment.startswith(code.value)
    assert ask(booked, patient_id="SPINE-1234").status == 0x0000


def test_held_scanner_with_nobody_booked_is_refused_too(ris_rig: DicomRig) -> None:
    ris_rig.site.hold(DXA1)
    assert ask(ris_rig).status == 0xC100


def test_overridden_scanner_gets_its_list(booked: DicomRig) -> None:
    booked.site.gates[DXA1, None] = msgspec.structs.replace(HELD, status=GateStatus.OVERRIDDEN)
    assert ask(booked).status == 0x0000


def test_gate_opens_again(booked: DicomRig) -> None:
    booked.site.hold(DXA1)
    assert ask(booked).status == 0xC100
    booked.site.release(DXA1)
    assert ask(booked).status == 0x0000


def test_unknown_caller_is_told_so(booked: DicomRig) -> None:
    answer = ask(booked, "NOBODY", station="DXA1")
    assert (answer.status, answer.patient_ids) == (0xC101, ())
    assert answer.error_comment.startswith("unknown_ae")
    assert booked.ris is not None
    assert booked.ris.queries == 0


def test_shadow_passes_everything_and_counts(booked: DicomRig) -> None:
    booked.site.hold(DXA3)
    before = REGISTRY.get_sample_value("bonewatch_worklist_would_refuse_total", {"device": DXA3}) or 0
    answer = ask(booked, "DXA3", station="DXA1")
    assert (answer.status, answer.patient_ids) == (0x0000, (*PATIENTS, "SPINE-1234"))
    assert REGISTRY.get_sample_value("bonewatch_worklist_would_refuse_total", {"device": DXA3}) == before + 1


def test_gate_that_changes_while_items_are_collected_is_honoured(booked: DicomRig, ris: VirtualRis) -> None:
    ris.delay_s = 0.5

    def hold_meanwhile() -> None:
        ris.in_query.wait(5)
        booked.site.hold(DXA1)

    thread = threading.Thread(target=hold_meanwhile)
    thread.start()
    answer = ask(booked)
    thread.join()
    assert answer.status == 0xC100
    assert not set(PATIENTS) & set(answer.patient_ids)


# --- the stations that items name --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stations", "caller", "held", "passes"),
    [
        ((), "DXA1", (DXA1,), False),
        ((), "DXA1", (DXA2,), True),
        (("DXA2",), "DXA1", (DXA2,), False),
        (("DXA2",), "DXA1", (DXA1,), False),
        (("DXA1", "DXA2"), "DXA1", (DXA2,), True),
        (("DXA1", "DXA2"), "DXA2", (DXA2,), False),
        (("DXA2", "DXA4"), "DXA1", (DXA2,), True),
        (("DXA2", "DXA4"), "DXA1", (DXA2, DXA4), False),
        (("DXA3",), "DXA1", (DXA3,), True),  # in shadow
        (("CT1",), "DXA1", (DXA2,), True),
        (("DXA2", "CT1"), "DXA1", (DXA2,), True),
        (("DXA2  ",), "DXA1", (DXA2,), False),
    ],
)
def test_item_passes_by_the_gates_of_caller_and_stations(
    ris_rig: DicomRig, ris: VirtualRis, stations: tuple[str, ...], caller: str, held: tuple[str, ...], *, passes: bool
) -> None:
    ris.book([Appointment(1, stations)])
    for device in held:
        ris_rig.site.hold(device)
    answer = ask(ris_rig, caller, station="")
    expected = (0x0000, ("TEST00001",)) if passes else (0xC100, ())
    assert (answer.status, answer.patient_ids) == expected


def test_list_of_an_open_scanner_lacks_the_items_of_a_held_one(booked: DicomRig) -> None:
    booked.site.hold(DXA2)
    answer = ask(booked, station="")
    assert (answer.status, answer.patient_ids) == (0x0000, (*PATIENTS, "SPINE-1234"))


def test_stations_of_every_step_count() -> None:
    item = worklist_item(Appointment(1, ("DXA1", "DXA2 ")))
    item.ScheduledProcedureStepSequence.append(worklist_item(Appointment(2)).ScheduledProcedureStepSequence[0])
    item.ScheduledProcedureStepSequence.append(
        worklist_item(Appointment(3, ("DXA3",))).ScheduledProcedureStepSequence[0]
    )
    assert station_ae_titles(item) == {"DXA1", "DXA2", "DXA3"}
    assert station_ae_titles(Dataset()) == frozenset()


# --- modes -------------------------------------------------------------------------------------------------


def test_codes_of_procedure_and_protocol_name_the_mode() -> None:
    policy = scanner_policy("DXA4", modes=MODES)
    codes = procedure_codes(worklist_item(Appointment(1, procedure_code="DXAFA")))
    assert mode_of(policy, codes) == "forearm"
    assert mode_of(policy, frozenset({"OTHER"})) is None
    assert mode_of(policy, frozenset({"DXAFA", "DXASH"})) is None


def test_only_items_of_a_held_mode_are_withheld(ris_rig: DicomRig, ris: VirtualRis) -> None:
    codes = ("DXASH", "DXAFA", "UNMAPPED")
    ris.book([Appointment(number, ("DXA4",), code) for number, code in enumerate(codes, start=1)])
    ris_rig.site.gates = {(DXA4, "spine-hip"): OPEN, (DXA4, "forearm"): HELD, (DXA4, None): HELD}
    answer = ask(ris_rig, "DXA4")
    assert (answer.status, answer.patient_ids) == (0xC100, ("TEST00001",))
    ris.book([Appointment(1, ("DXA4",), "DXASH")])
    assert ask(ris_rig, "DXA4").status == 0x0000


# --- the upstream ------------------------------------------------------------------------------------------


def break_stop(ris: VirtualRis) -> None:
    ris.stop()


def break_fail(ris: VirtualRis) -> None:
    ris.fails = True


def break_silence(ris: VirtualRis) -> None:
    ris.delay_s = 10.0


@pytest.mark.parametrize("break_", [break_stop, break_fail, break_silence])
def test_upstream_in_trouble_is_a_failure_and_never_an_empty_list(
    booked: DicomRig, ris: VirtualRis, break_: Callable[[VirtualRis], None]
) -> None:
    break_(ris)
    answer = ask(booked)
    assert (answer.status, answer.items) == (0xC102, ())
    assert "upstream worklist" in answer.error_comment
    booked.site.hold(DXA1)
    answer = ask(booked)
    assert answer.status == 0xC100
    assert answer.error_comment.startswith("qc_failed")


def test_upstream_that_stops_within_an_answer_is_a_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept_and_stall, args=(server,), daemon=True).start()
        upstream = Upstream("RIS", "127.0.0.1", server.getsockname()[1], timeout_s=0.5)
        with running(tmp_path, upstream=upstream) as rig:
            started = time.monotonic()
            assert ask(rig).status == 0xC102
            assert time.monotonic() - started < 5


def test_no_upstream_configured_is_a_failure(rig: DicomRig) -> None:
    answer = ask(rig)
    assert (answer.status, answer.error_comment) == (0xC102, "no upstream worklist is configured")


def test_upstream_with_too_many_items_is_a_failure(tmp_path: Path, ris: VirtualRis) -> None:
    ris.book(invented_clinic("DXA1", 5))
    upstream = Upstream("RIS", "127.0.0.1", ris.port, max_items=4)
    with running(tmp_path, upstream=upstream) as rig:
        assert ask(rig).status == 0xC102


def test_upstream_sees_the_scanners_own_title_unless_told_otherwise(tmp_path: Path, ris: VirtualRis) -> None:
    with running(tmp_path / "own", ris) as rig:
        ask(rig)
    with running(tmp_path / "other", upstream=Upstream("RIS", "127.0.0.1", ris.port, present_as="BONEWATCH")) as rig:
        ask(rig)
    assert ris.calling_ae_titles == ["DXA1", "BONEWATCH"]


def test_failing_queries_leave_no_threads_or_descriptors(booked: DicomRig, ris: VirtualRis) -> None:
    ask(booked)
    ris.stop()
    ask(booked)
    _settle()
    before = threads(), descriptors()
    for _ in range(30):
        ask(booked)
    _settle()
    assert (threads(), descriptors()) <= before


# --- what passes through -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (b"ISO_IR 100", "TËST^ÏNVENTED Ø1 ".encode("latin-1")),
        (b"ISO_IR 192", "TËST^ÏNVENTED=試^験 ".encode()),
        (b"", b"T\xcbST^WITHOUT CHARSET"),
        (b"ISO_IR 999", b"T\xcbST^UNKNOWN SET"),
    ],
)
def test_bytes_of_names_pass_untouched(ris_rig: DicomRig, ris: VirtualRis, charset: bytes, name: bytes) -> None:
    padded = name + b" " * (len(name) % 2)
    item = _wire(worklist_item(Appointment(1, ("DXA1",), patient_name="@" * len(padded))))
    sent = item.replace(b"@" * len(padded), padded)
    place = sent.index(b"\x08\x00\x05\x00")
    sent = sent[:place] + b"\x08\x00\x05\x00" + len(charset).to_bytes(4, "little") + charset + sent[place + 18 :]
    ris.book_items([_unwire(sent)])
    (received,) = ask(ris_rig, station="").items
    assert _wire(received) == sent


def test_worklist_is_spoken_in_the_one_transfer_syntax(rig: DicomRig) -> None:
    entity = RequestingEntity("DXA1", timeout_s=10.0)
    entity.add_requested_context(_FIND, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    association = entity.associate("127.0.0.1", rig.port, ae_title="BONEWATCH")
    assert [context.transfer_syntax for context in association.accepted_contexts] == [[ImplicitVRLittleEndian]]
    association.release()


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_pending_status_is_the_upstreams(booked: DicomRig, ris: VirtualRis, status: int) -> None:
    ris.pending_status = status
    association = _associated(booked)
    statuses = [int(answer.Status) for answer, _ in association.send_c_find(worklist_query(), _FIND)]
    association.release()
    assert statuses == [status] * 4 + [0x0000]


def test_cancelled_query_ends_as_cancelled(ris_rig: DicomRig, ris: VirtualRis) -> None:
    ris.book(invented_clinic("DXA1", 400))
    association = _associated(ris_rig)
    statuses: list[int] = []
    for answer, _ in association.send_c_find(worklist_query(), _FIND, msg_id=7):
        if not statuses:
            association.send_c_cancel(7, query_model=_FIND)
        statuses.append(int(answer.Status))
    association.release()
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 400


def test_names_and_dates_of_birth_appear_nowhere(
    ris_rig: DicomRig, ris: VirtualRis, caplog: pytest.LogCaptureFixture
) -> None:
    ris.book([Appointment(1, ("DXA1",), patient_id="ID-NOBODY-7", patient_name="SECRET^PERSON", birth_date="19431224")])
    caplog.set_level(logging.DEBUG, logger="collectors")
    with capture_logs() as logs:
        assert ask(ris_rig).patient_ids == ("ID-NOBODY-7",)
        ris_rig.site.hold(DXA1)
        assert ask(ris_rig).status == 0xC100
    stored = [path.read_text() for path in ris_rig.data_dir.rglob("*") if path.is_file()]
    told = [caplog.text, str(logs), generate_latest().decode(), *stored]
    secrets = ("SECRET", "PERSON", "19431224", "NOBODY")  # no figure so short that a measured time may hold it
    assert [secret for secret in secrets if any(secret in text for text in told)] == []


# --- tools -------------------------------------------------------------------------------------------------

_FIND = ModalityWorklistInformationFind


def _associated(rig: DicomRig) -> Association:
    entity = RequestingEntity("DXA1", timeout_s=10.0)
    entity.add_requested_context(_FIND, ImplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", rig.port, ae_title="BONEWATCH")
    assert association.is_established
    return association


def _wire(item: Dataset) -> bytes:
    encoded = encode(item, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    return encoded


def _unwire(data: bytes) -> Dataset:
    return decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)


def _accept_and_stall(server: socket.socket) -> None:
    client, _ = server.accept()
    client.recv(100_000)
    client.sendall(b"\x02\x00\x00\x00\x01\x00half")
    time.sleep(3)
    client.close()


def _settle() -> None:
    time.sleep(0.3)
