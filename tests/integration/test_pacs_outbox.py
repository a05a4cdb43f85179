"""What is kept for the PACS survives, can be read by nobody, takes bounded room, and knows how it stands."""

import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pydicom
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from collectors.dicom.pacs.outbox import Standing
from collectors.dicom.received import ReceivedObject
from collectors.errors import NoRoomError
from collectors.sealed_store import StoreUnusableError
from tests.integration.pacs_rig import DEVICE, forwarding, is_empty, opened, pacs_settings, patient, waited
from tests.peers import storescp
from tests.virtual_pacs import virtual_pacs

SECRETS = (b"INVENTED", b"TEST0000", b"19500101", b"ACC0000")


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


# --- associations ------------------------------------------------------------------------------------------


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
