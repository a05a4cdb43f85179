"""Patients' objects reach the PACS once each and as they were sent, whatever happens to it or to us meanwhile."""

import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
import pynetdicom
import pytest
from prometheus_client import REGISTRY
from pydicom.filereader import read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from structlog.testing import capture_logs

from collectors.dicom.exchange import BrokenOffError
from collectors.dicom.pacs.forwarder import Forwarder
from collectors.dicom.pacs.outbox import Standing
from collectors.dicom.received import ReceivedObject
from collectors.errors import NoRoomError
from collectors.sealed_store import StoreUnusableError
from tests.integration.pacs_rig import DEVICE, forwarding, is_empty, opened, pacs_settings, patient, waited
from tests.peers import free_port, orthanc, storescp
from tests.virtual_pacs import VirtualPacs, virtual_pacs

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
SECRETS = (b"INVENTED", b"TEST0000", b"19500101", b"ACC0000")


def data_set_of(file: bytes) -> bytes:
    """Return the encoded data set of a part-10 file."""
    stream = BytesIO(file)
    read_preamble(stream, force=False)
    pydicom.filereader._read_file_meta_info(stream)
    return file[stream.tell() :]


# --- real PACS ---------------------------------------------------------------------------------------------


def test_orthanc_stores_what_the_scanner_sent(tmp_path: Path) -> None:
    objects = [patient(number, syntax=syntax) for number, syntax in enumerate(SYNTAXES)]
    with orthanc(tmp_path / "orthanc", 1, ae_title="PACS") as pacs:
        settings = pacs_settings(pacs.dicom_port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            stored = sorted(data_set_of(file) for file in pacs.stored())
    sent = sorted(one.data for one in objects)
    assert [own[: len(other)] for own, other in zip(stored, sent, strict=True)] == sent
    assert not b"".join(own[len(other) :] for own, other in zip(stored, sent, strict=True)).strip(
        b"\0"
    )  # deflated: padded


def test_storescp_gets_every_transfer_syntax_bit_for_bit(tmp_path: Path) -> None:
    objects = [patient(number, syntax=syntax) for number, syntax in enumerate(SYNTAXES[:3])]
    with storescp(tmp_path / "stored") as port:
        settings = pacs_settings(port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
    files = [path.read_bytes() for path in (tmp_path / "stored").iterdir()]
    assert {data_set_of(file) for file in files} == {one.data for one in objects}


def test_orthanc_down_for_a_while_has_everything_once_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    settings = pacs_settings(port)
    objects = [patient(number) for number in range(40)]
    with opened(tmp_path, settings) as outbox, forwarding(outbox, settings), capture_logs() as logs:
        with orthanc(tmp_path / "orthanc", 1, ae_title="PACS", dicom_port=port):
            for one in objects[:10]:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
        for one in objects[10:]:
            outbox.keep(one, DEVICE)
        assert waited(lambda: "pacs_in_trouble" in [line["event"] for line in logs])
        assert outbox.totals().waiting == 30
        with orthanc(tmp_path / "orthanc", 1, ae_title="PACS", dicom_port=port) as pacs:
            assert waited(lambda: is_empty(outbox))
            uids = [str(pydicom.dcmread(BytesIO(file)).SOPInstanceUID) for file in pacs.stored()]
    assert sorted(uids) == sorted(one.sop_instance_uid for one in objects)
    said = [line["event"] for line in logs if line["event"].startswith("pacs_")]
    assert said == ["pacs_in_trouble", "pacs_well_again"]


# --- what is kept, and what survives -----------------------------------------------------------------------

KEEPER = """
import sys
from pathlib import Path
from tests.integration.pacs_rig import DEVICE, forwarding, opened, pacs_settings, patient
settings = pacs_settings(int(sys.argv[2]))
with opened(Path(sys.argv[1]), settings) as outbox, forwarding(outbox, settings):
    for number in range(10_000):
        one = patient(number)
        outbox.keep(one, DEVICE)
        print(one.sop_instance_uid, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, acknowledged: int) -> None:
    with storescp(tmp_path / "stored") as port:
        command = [sys.executable, "-c", KEEPER, str(tmp_path / "site"), str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            uids = [process.stdout.readline().strip() for _ in range(acknowledged)]
            process.send_signal(signal.SIGKILL)
            uids += process.stdout.read().split("\n")[:-1]  # what it could still say was acknowledged too
        settings = pacs_settings(port)
        with opened(tmp_path / "site", settings) as outbox, forwarding(outbox, settings):
            assert waited(lambda: is_empty(outbox))
    stored = {str(pydicom.dcmread(path).SOPInstanceUID) for path in (tmp_path / "stored").iterdir()}
    assert set(uids) - stored == set()
    assert len(uids) >= acknowledged


def test_an_object_is_kept_once_and_let_go_when_it_is_delivered(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(one, DEVICE)
            outbox.keep(one, DEVICE)
            assert outbox.totals().waiting == 1
            own = (DEVICE, one.sop_class_uid, one.sop_instance_uid)
            assert outbox.standing(*own) is Standing.PENDING
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
            assert pacs.uids == [one.sop_instance_uid]
            assert outbox.standing(*own) is Standing.SAFE
            assert outbox.standing(DEVICE, one.sop_class_uid, "1.2.3") is Standing.UNKNOWN


def test_other_content_under_one_uid_is_forwarded_and_counted(tmp_path: Path) -> None:
    one, other = patient(1), patient(2)
    twin = ReceivedObject(
        "DXA1", one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, other.data, one.received_at
    )
    before = REGISTRY.get_sample_value("bonewatch_pacs_kept_total", {"device": DEVICE, "code": "conflict"}) or 0.0
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            outbox.keep(twin, DEVICE)
            assert waited(lambda: is_empty(outbox))
    assert [data for _, data, _ in pacs.taken] == [one.data, other.data]
    assert REGISTRY.get_sample_value("bonewatch_pacs_kept_total", {"device": DEVICE, "code": "conflict"}) == before + 1


def test_nothing_of_a_patient_can_be_read_from_the_files(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1)) as outbox:
        for number in range(5):
            outbox.keep(patient(number), DEVICE)
        contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert [outbox.contents(one) for one in outbox.due(10)] == [patient(number).data for number in range(5)]
    assert set(contents) >= {"outbox.sqlite", "outbox.key"}
    assert [(name, secret) for name, data in contents.items() for secret in SECRETS if secret in data] == []
    assert (tmp_path / "outbox.key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "outbox.sqlite").stat().st_mode & 0o077 == 0


def test_a_missing_key_or_a_damaged_file_is_said_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1)) as outbox:
        outbox.keep(patient(1), DEVICE)
    (tmp_path / "outbox.key").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusableError, match=r"outbox\.key is missing"), opened(tmp_path, pacs_settings(1)):
        pass
    (tmp_path / "elsewhere").rename(tmp_path / "outbox.key")
    (tmp_path / "outbox.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnusableError, match="restore it"), opened(tmp_path, pacs_settings(1)):
        pass


@pytest.mark.parametrize("becomes", [None, bytes(32), b"short"], ids=["missing", "another's", "damaged"])
@pytest.mark.parametrize("starts_anew", [False, True])
def test_a_key_that_goes_while_the_site_runs_is_never_replaced(
    tmp_path: Path, becomes: bytes | None, *, starts_anew: bool
) -> None:
    with opened(tmp_path, pacs_settings(1)) as first, ExitStack() as stack:
        first.keep(patient(1), DEVICE)
        key = (tmp_path / "outbox.key").read_bytes()
        outbox = stack.enter_context(opened(tmp_path, pacs_settings(1))) if starts_anew else first
        (tmp_path / "outbox.key").unlink()
        if becomes is not None:
            (tmp_path / "outbox.key").write_bytes(becomes)
        with capture_logs() as logs, pytest.raises(NoRoomError):
            outbox.keep(patient(2), DEVICE)
        assert [(line["event"], line["log_level"]) for line in logs] == [("key_missing", "error")]
        assert [outbox.contents(one) for one in outbox.due(5)] == [patient(1).data]
        (tmp_path / "outbox.key").write_bytes(key)
        outbox.keep(patient(2), DEVICE)
        assert len([outbox.contents(one) for one in outbox.due(5)]) == 2


@pytest.mark.parametrize(
    "limit", [{"max_objects": 3}, {"max_bytes": 3 * 4000}, {"min_free_bytes": 1 << 62}, {"min_free_bytes": 0}]
)
def test_without_room_nothing_is_taken_and_all_that_was_is_still_sent(tmp_path: Path, limit: dict[str, int]) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, **limit)
        with opened(tmp_path, settings) as outbox:
            if not limit.get("min_free_bytes", 1):  # a full disk, as SQLite sees it
                outbox._store._db.execute("PRAGMA max_page_count = 40")
            taken = []
            with suppress(NoRoomError):
                for number in range(100):
                    outbox.keep(patient(number), DEVICE)
                    taken.append(patient(number).sop_instance_uid)
            with pytest.raises(NoRoomError):
                outbox.keep(patient(99), DEVICE)
            assert len(taken) == outbox.totals().waiting < 100
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
            assert pacs.uids == taken
            if "max_objects" in limit:
                outbox.keep(patient(50), DEVICE)  # there is room again


def test_what_has_gone_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            for number in range(40):
                data = one.data + bytes(100_000)
                uid = f"2.25.{7000 + number}"
                outbox.keep(
                    ReceivedObject("DXA1", one.sop_class_uid, uid, one.transfer_syntax, data, one.received_at), DEVICE
                )
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
            outbox.tidy()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 500_000


# --- a PACS that refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0110])
def test_a_refused_object_blocks_no_other_and_is_set_aside(tmp_path: Path, status: int) -> None:
    objects = [patient(number) for number in range(5)]
    with virtual_pacs() as pacs:
        pacs.statuses[objects[0].sop_instance_uid] = status
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings), capture_logs() as logs:
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert outbox.totals().waiting == 0
            assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects[1:])
            assert [line["reason"] for line in logs if line["event"] == "object_set_aside"] == [f"{status:04X}"]
            pacs.statuses.clear()
            outbox.keep(objects[0], DEVICE)  # the scanner sends it again, after somebody has mended the PACS
            assert waited(lambda: is_empty(outbox))
    assert objects[0].sop_instance_uid in pacs.uids


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_success(tmp_path: Path, status: int) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = status
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
    assert pacs.uids == [one.sop_instance_uid]


def test_an_object_on_which_the_pacs_breaks_off_blocks_no_other(tmp_path: Path) -> None:
    objects = [patient(number) for number in range(8)]
    with virtual_pacs() as pacs:
        pacs.breaks_off.add(objects[0].sop_instance_uid)
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number, one in enumerate(objects):
                outbox.keep(one, DEVICE)
                assert waited(partial(_has, pacs, number))
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert waited(lambda: outbox.totals().waiting == 0)
    assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects[1:])


def test_a_pacs_that_answers_nothing_sets_nothing_aside(tmp_path: Path) -> None:
    objects = [patient(number) for number in range(4)]
    with virtual_pacs() as pacs:
        pacs.breaks_off = {one.sop_instance_uid for one in objects}
        settings = pacs_settings(pacs.port)
        broke_off = {"device": DEVICE, "reason": "peer_broke_off"}
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            before = REGISTRY.get_sample_value("bonewatch_pacs_refused_total", broke_off) or 0.0
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(
                lambda: (REGISTRY.get_sample_value("bonewatch_pacs_refused_total", broke_off) or 0.0) > before + 16
            )
            assert (outbox.totals().waiting, outbox.totals().set_aside) == (4, 0)
            pacs.breaks_off.clear()
            assert waited(lambda: is_empty(outbox))
    assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects)


def test_what_was_set_aside_and_breaks_off_again_keeps_its_distance(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1, max_tries=1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        outbox.refused(outbox.due(1)[0], "A900")
        with outbox._store.transaction() as db:
            db.execute("UPDATE objects SET try_at = 0")
        outbox.broke_off(outbox.due(1)[0], "peer_broke_off")
        assert outbox.due(1) == []


def test_a_pacs_without_room_is_asked_again_and_sets_nothing_aside(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = 0xA700
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            refused = {"device": DEVICE, "reason": "no_room"}
            before = REGISTRY.get_sample_value("bonewatch_pacs_refused_total", refused) or 0.0
            assert waited(
                lambda: (REGISTRY.get_sample_value("bonewatch_pacs_refused_total", refused) or 0.0) > before + 4
            )
            assert (outbox.totals().waiting, outbox.totals().set_aside) == (1, 0)
            pacs.statuses.clear()
            assert waited(lambda: is_empty(outbox))


def test_a_class_that_the_pacs_does_not_take_is_set_aside_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A setting of the process: a site that an earlier test ran in it left it on, and then this PACS takes every class.
    monkeypatch.setattr(pynetdicom._config, "UNRESTRICTED_STORAGE_SERVICE", False)
    one = patient(1)
    odd = ReceivedObject("DXA1", "1.2.840.10008.5.1.4.1.1.11.1", "2.25.77", one.transfer_syntax, b"", one.received_at)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(odd, DEVICE)
            outbox.keep(one, DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: outbox.totals().set_aside == 1 and outbox.totals().waiting == 0)
    assert pacs.uids == [one.sop_instance_uid]


# --- associations ------------------------------------------------------------------------------------------


def test_many_objects_go_over_one_association_under_each_scanners_title(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            for number in range(20):
                outbox.keep(patient(number, calling_ae=f"DXA{1 + number % 2}"), DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
        assert pacs.calling_ae_titles == ["DXA1", "DXA2"]
        assert len(pacs.uids) == 20


def test_all_go_under_the_one_title_that_is_configured(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, present_as="GATEWAY")
        with opened(tmp_path, settings) as outbox:
            for number in range(4):
                outbox.keep(patient(number, calling_ae=f"DXA{number}"), DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert pacs.calling_ae_titles == ["GATEWAY"]


@pytest.mark.timeout(60)
def test_an_association_that_has_ended_meanwhile_holds_nobody(tmp_path: Path) -> None:
    with storescp(tmp_path / "stored") as port:
        settings = pacs_settings(port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(patient(1), DEVICE)
            forwarder = Forwarder(outbox, settings, "BONEWATCH")
            peer = forwarder._peer("DXA1", outbox.due(1))
    assert waited(lambda: not peer._association.is_alive())
    with opened(tmp_path, settings) as outbox, peer:
        forwarder._outbox = outbox
        (waiting,) = outbox.due(1)
        with pytest.raises(BrokenOffError):
            forwarder._send_one(peer, waiting)


def test_more_kinds_of_objects_than_fit_one_association_are_split(tmp_path: Path) -> None:
    with storescp(tmp_path / "stored", options=["-pm"]) as port:
        settings = pacs_settings(port, timeout_s=20.0)
        one = patient(1)
        with opened(tmp_path, settings) as outbox:
            for number in range(200):
                uid = f"2.25.{1000 + number}"
                outbox.keep(
                    ReceivedObject(
                        "DXA1", f"1.2.276.0.99.{number}", uid, one.transfer_syntax, one.data, one.received_at
                    ),
                    DEVICE,
                )
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert len(list((tmp_path / "stored").iterdir())) == 200


def test_a_clock_set_back_delays_nothing(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(one, DEVICE)
            with outbox._store.transaction() as db:
                db.execute("UPDATE objects SET try_at = try_at + 1e10")
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert pacs.uids == [one.sop_instance_uid]


def _has(pacs: VirtualPacs, count: int) -> bool:
    return len(pacs.uids) == count


def test_objects_that_come_one_after_another_share_an_association(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number in range(10):
                outbox.keep(patient(number), DEVICE)
                assert waited(partial(_has, pacs, number + 1))
        assert len(pacs.uids) == 10
        assert len(pacs.calling_ae_titles) <= 2


def _twin(one: ReceivedObject) -> ReceivedObject:
    """Return another content under an object's UID."""
    data = patient(77).data
    return ReceivedObject("DXA1", one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, data, one.received_at)


def test_a_duplicate_is_success_when_it_was_delivered_before(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            pacs.statuses[one.sop_instance_uid] = 0x0111
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            outbox.keep(_twin(one), DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)


def test_a_duplicate_is_success_when_its_answer_may_have_been_lost(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.breaks_off.add(one.sop_instance_uid)
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: pacs.broken)
            pacs.statuses[one.sop_instance_uid] = 0x0111
            pacs.breaks_off.clear()
            assert waited(lambda: is_empty(outbox))


def test_a_duplicate_of_what_we_never_sent_may_be_another(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = 0x0111
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert not outbox.due(1)


def test_a_duplicate_of_other_content_that_waits_for_commitment_is_refused(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, commitment=True)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().sent == 1)
            pacs.statuses[one.sop_instance_uid] = 0x0111
            outbox.keep(_twin(one), DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert outbox.totals().sent == 1
    assert [data for _, data, _ in pacs.taken] == [one.data]


def test_a_refusal_is_no_evidence_that_the_pacs_has_an_object(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        for _ in range(2):
            (waiting,) = outbox.due(1)
            assert not outbox.is_known_there(waiting)
            outbox.sending(waiting)
            outbox.refused(waiting, "A900")
            with outbox._store.transaction() as db:
                db.execute("UPDATE objects SET try_at = 0")


def test_each_time_that_an_object_is_set_aside_is_said(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1, commitment=True, commitment_asks=1, max_tries=1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        outbox.delivered(outbox.due(1)[0])
        outbox.asked("2.25.1", outbox.uncommitted(5))
        with outbox._store.transaction() as db:
            db.execute("UPDATE objects SET ask_at = 1")
        outbox.uncommitted(5)
        with capture_logs() as logs:
            outbox.refused(outbox.due(1)[0], "A900")
    assert [line["event"] for line in logs] == ["object_set_aside"]


def test_a_clock_that_was_ahead_delays_no_commitment(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1, commitment=True, commitment_asks=1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        outbox.delivered(outbox.due(1)[0])
        assert len(outbox.uncommitted(5)) == 1
        with outbox._store.transaction() as db:
            db.execute("UPDATE objects SET ask_at = ask_at + 1e10")
        assert len(outbox.uncommitted(5)) == 1
        outbox.asked("2.25.1", outbox.uncommitted(5))
        assert outbox.uncommitted(5) == []
        assert outbox.totals().sent == 1


@pytest.mark.parametrize("commitment", [False, True])
def test_an_object_is_told_of_by_its_device_and_class(tmp_path: Path, *, commitment: bool) -> None:
    one = patient(1)
    with opened(tmp_path, pacs_settings(1, commitment=commitment)) as outbox:
        outbox.keep(one, DEVICE)
        outbox.delivered(outbox.due(1)[0])
        safe = Standing.PENDING if commitment else Standing.SAFE
        assert outbox.standing(DEVICE, one.sop_class_uid, one.sop_instance_uid) is safe
        assert outbox.standing(DEVICE, "1.2.3", one.sop_instance_uid) is Standing.OTHER_CLASS
        assert outbox.standing("site/other", one.sop_class_uid, one.sop_instance_uid) is Standing.UNKNOWN


def test_an_earlier_versions_outbox_is_taken_over(tmp_path: Path) -> None:
    gone, waits = patient(1), patient(2)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(gone, DEVICE)
            outbox.delivered(outbox.due(1)[0])
            outbox.keep(waits, DEVICE)
            dropped = {"objects": ("was_sent", "broke_off"), "delivered": ("sop_class_uid", "device")}
            for table, column in ((table, column) for table, columns in dropped.items() for column in columns):
                outbox._store._db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            assert outbox.standing(DEVICE, gone.sop_class_uid, gone.sop_instance_uid) is Standing.SAFE
            assert waited(lambda: is_empty(outbox))
    assert pacs.uids == [waits.sop_instance_uid]


def test_a_title_that_the_pacs_does_not_know_stops_no_other(tmp_path: Path) -> None:
    with virtual_pacs(knows=["DXA2"]) as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number in range(6):
                outbox.keep(patient(number, calling_ae=f"DXA{1 + number % 2}"), DEVICE)
            assert waited(lambda: len(pacs.uids) == 3)
            assert outbox.totals().waiting == 3
            assert outbox.totals().set_aside == 0
