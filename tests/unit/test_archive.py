import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode
from structlog.testing import capture_logs

from collectors.archive import Archive, folder_name, write_durably
from collectors.dicom.received import ReceivedObject
from collectors.errors import NoBmdError, NoRoomError, PatientObjectError
from collectors.metrics import UNKNOWN_DEVICE
from collectors.quarantine import Quarantine, QuarantineError
from collectors.settings import QuarantineLimits

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SECRET = b"PatientName SECRET^PERSON 19431224"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def keep(
    quarantine: Quarantine, data: bytes = SECRET, *, minute: int = 0, encrypted: bool = True, device: str = "site/dxa-1"
) -> Path | None:
    at = NOW + timedelta(minutes=minute)
    return quarantine.keep(PatientObjectError(), device, data, received_at=at, encrypted=encrypted)


def flood(quarantine: Quarantine, count: int) -> list[Path]:
    """Send from an AE title that nobody configured."""
    paths = [keep(quarantine, minute=30 + number, device=UNKNOWN_DEVICE) for number in range(count)]
    return [path for path in paths if path]


def test_object_lies_whole_under_device_and_month(archive: Archive, tmp_path: Path) -> None:
    path, is_new = archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW)
    assert path == tmp_path / "archive" / "dxa-1" / "2026" / "01" / "1.2.3.dcm"
    assert path.read_bytes() == b"whole"
    assert is_new
    assert [file.name for file in path.parent.iterdir()] == ["1.2.3.dcm"]


def test_same_object_is_kept_once_even_in_another_month(archive: Archive) -> None:
    first, _ = archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW)
    again = archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW + timedelta(days=60))
    assert again == (first, False)


def test_other_content_never_overwrites(archive: Archive) -> None:
    first, _ = archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW)
    second, is_new = archive.store("site/dxa-1", "1.2.3", b"other", received_at=NOW)
    assert is_new
    assert (first.read_bytes(), second.read_bytes()) == (b"whole", b"other")
    assert archive.others("site/dxa-1", "1.2.3", than=second)
    Archive.remove(second)
    assert not archive.others("site/dxa-1", "1.2.3", than=first)


def test_copies_of_a_uid_are_found_in_every_month_and_no_other_uids(archive: Archive) -> None:
    january, _ = archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW)
    other, _ = archive.store("site/dxa-1", "1.2.3", b"other", received_at=NOW)
    february, _ = archive.store("site/dxa-1", "1.2.3", b"third", received_at=NOW + timedelta(days=31))
    archive.store("site/dxa-1", "1.2.3.4", b"another's", received_at=NOW)
    archive.store("site/dxa-2", "1.2.3", b"another's", received_at=NOW)
    assert set(archive.copies("site/dxa-1", "1.2.3")) == {january, other, february}


def test_a_uid_whose_last_part_looks_like_a_hash_is_found(archive: Archive) -> None:
    uid = "1.2.3.2026010509150012"
    path, _ = archive.store("site/dxa-1", uid, b"whole", received_at=NOW)
    again, _ = archive.store("site/dxa-1", uid, b"other", received_at=NOW)
    assert archive.copies_of("site/dxa-1", {uid, "1.2.4"}) == {uid: sorted([path, again])}


@pytest.mark.parametrize("uid", ["", "../../etc/passwd", "1.2/3", "NAME", "1" * 65, ".1"])
def test_no_name_escapes_the_folder(archive: Archive, uid: str) -> None:
    with pytest.raises(ValueError, match="UID"):
        archive.store("site/dxa-1", uid, b"whole", received_at=NOW)


@pytest.mark.parametrize(("device", "name"), [("site/dxa-1", "dxa-1"), ("..", "unknown"), ("a b\n", "a_b_")])
def test_device_is_a_safe_folder_name(device: str, name: str) -> None:
    assert folder_name(device) == name


def test_disk_that_cannot_be_written_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("in the way")
    with pytest.raises(NoRoomError):
        archive.store("site/dxa-1", "1.2.3", b"whole", received_at=NOW)


def test_interrupted_write_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(NoRoomError):
        write_durably(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


# --- quarantine --------------------------------------------------------------------------------------------


def test_patient_object_is_encrypted_and_can_be_opened(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    path = keep(quarantine)
    assert path is not None
    assert b"SECRET" not in path.read_bytes()
    assert Quarantine(tmp_path).open(path) == SECRET
    assert stat.S_IMODE((tmp_path / "quarantine.key").stat().st_mode) == 0o600


def test_sidecar_says_why_and_nothing_of_the_patient(tmp_path: Path) -> None:
    path = keep(Quarantine(tmp_path))
    assert path is not None
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["code"] == "patient_object"
    assert sidecar["device"] == "site/dxa-1"
    assert sidecar["size"] == len(SECRET)
    assert sidecar["expires_at"].startswith("2026-02-04")
    told = json.dumps(sidecar) + path.name
    assert not any(secret in told for secret in ("SECRET", "PERSON", "1943"))


def test_phantom_object_lies_open(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    path = quarantine.keep(NoBmdError(), "site/dxa-1", b"phantom", received_at=NOW, encrypted=False)
    assert path is not None
    assert path.read_bytes() == quarantine.open(path) == b"phantom"
    assert not (tmp_path / "quarantine.key").exists()


def test_changed_object_or_other_key_does_not_open(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    path = keep(quarantine)
    assert path is not None
    sealed = path.read_bytes()
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(QuarantineError):
        quarantine.open(path)
    path.write_bytes(sealed)
    (tmp_path / "quarantine.key").write_bytes(bytes(32))
    with pytest.raises(QuarantineError):
        Quarantine(tmp_path).open(path)


@pytest.mark.parametrize("limits", [QuarantineLimits(max_objects=3), QuarantineLimits(max_bytes=200)])
def test_oldest_goes_first(tmp_path: Path, limits: QuarantineLimits) -> None:
    quarantine = Quarantine(tmp_path, limits)
    paths = [keep(quarantine, minute=minute) for minute in range(6)]
    assert len(quarantine) == 3
    assert [path.exists() for path in paths if path] == [False] * 3 + [True] * 3
    assert len(list((tmp_path / "quarantine").iterdir())) == 6


def test_restart_goes_on_counting_and_clears_leftovers(tmp_path: Path) -> None:
    limits = QuarantineLimits(max_objects=3)
    first = Quarantine(tmp_path, limits)
    oldest, *_ = [keep(first, minute=minute) for minute in range(3)]
    (tmp_path / "quarantine" / ".torn.enc.part").write_bytes(b"torn")
    (tmp_path / "quarantine" / "no-sidecar.enc").write_bytes(b"torn")
    (tmp_path / "quarantine" / "no-object.json").write_bytes(b"{}")
    (tmp_path / "quarantine" / "torn-sidecar.enc").write_bytes(b"torn")
    (tmp_path / "quarantine" / "torn-sidecar.json").write_bytes(b"{")
    second = Quarantine(tmp_path, limits)
    assert len(second) == 3
    keep(second, minute=9)
    assert oldest is not None
    assert not oldest.exists()
    assert len(list((tmp_path / "quarantine").iterdir())) == 6


def test_objects_expire(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, QuarantineLimits(keep_days=1))
    path = keep(quarantine)
    assert path is not None
    quarantine.expire(NOW + timedelta(hours=23))
    assert path.exists()
    quarantine.expire(NOW + timedelta(hours=25))
    assert not path.exists()
    assert not path.with_suffix(".json").exists()


def test_object_that_cannot_be_removed_is_counted_and_the_others_expire(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, QuarantineLimits(keep_days=1))
    stuck, other = keep(quarantine), keep(quarantine)
    assert stuck is not None
    assert other is not None
    stuck.unlink()
    (stuck / "in the way").mkdir(parents=True)
    before = REGISTRY.get_sample_value("bonewatch_quarantine_not_removed_total", {"error": "IsADirectoryError"}) or 0
    with capture_logs() as logs:
        quarantine.expire(NOW + timedelta(days=2))
    assert REGISTRY.get_sample_value("bonewatch_quarantine_not_removed_total", {"error": "IsADirectoryError"}) == (
        before + 1
    )
    assert logs == [{"event": "quarantine_not_removed", "error": "IsADirectoryError", "log_level": "warning"}]
    assert not other.exists()
    (stuck / "in the way").rmdir()
    stuck.rmdir()
    quarantine.expire(NOW + timedelta(days=2))
    assert not list((tmp_path / "quarantine").iterdir())


def test_what_cannot_be_removed_stops_neither_eviction_nor_start(tmp_path: Path) -> None:
    limits = QuarantineLimits(max_objects=2)
    quarantine = Quarantine(tmp_path, limits)
    paths = [keep(quarantine, minute=minute) for minute in range(2)]
    assert paths[0] is not None
    paths[0].unlink()
    (paths[0] / "in the way").mkdir(parents=True)
    (tmp_path / "quarantine" / "folder").mkdir()
    newest = keep(quarantine, minute=2)
    assert [path.exists() for path in (*paths, newest) if path] == [True, False, True]
    assert len(Quarantine(tmp_path, limits)) == 2


@pytest.mark.parametrize("limits", [QuarantineLimits(max_objects=8), QuarantineLimits(max_bytes=500)])
@pytest.mark.parametrize("restarted", [False, True])
def test_unknown_callers_never_drive_out_a_devices_objects(
    tmp_path: Path, limits: QuarantineLimits, *, restarted: bool
) -> None:
    quarantine = Quarantine(tmp_path, limits)
    evidence = [keep(quarantine, minute=minute) for minute in range(6)]
    quarantine = Quarantine(tmp_path, limits) if restarted else quarantine
    sent = flood(quarantine, 20)
    assert all(path and path.exists() for path in evidence)
    assert [path for path in sent if path.exists()] == sent[-2:]
    evidence += [keep(quarantine, minute=60 + number) for number in range(2)]
    assert all(path and path.exists() for path in evidence)
    assert not any(path.exists() for path in sent)
    assert not flood(quarantine, 3)
    assert all(path and path.exists() for path in evidence)


def test_unknown_callers_have_their_share_and_no_more_of_an_empty_quarantine(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, QuarantineLimits(max_objects=8))
    sent = flood(quarantine, 20)
    assert [path for path in sent if path.exists()] == sent[-2:]
    assert keep(Quarantine(tmp_path / "small", QuarantineLimits(max_bytes=130)), device=UNKNOWN_DEVICE) is None


def test_full_disk_is_left_alone(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, QuarantineLimits(min_free_bytes=1 << 62))
    assert keep(quarantine) is None
    assert not (tmp_path / "quarantine").exists()


def test_object_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, QuarantineLimits(max_bytes=10))
    assert keep(quarantine, b"x" * 11) is None


def test_quarantine_that_cannot_be_written_does_not_fail_the_caller(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("in the way")
    assert keep(Quarantine(tmp_path)) is None


@pytest.mark.parametrize(
    "uid", ["1.2.3", "1.2.840.10008.1.99", "2.25." + "9" * 39, "2.25.304339497694382241487614846361"]
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_the_file_of_an_object_reads_back_as_it_came(tmp_path: Path, uid: str, syntax: str) -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = "1.2.840.10008.5.1.4.1.1.88.22", uid, "SPINE-0001"
    data = encode(ds, syntax == "1.2.840.10008.1.2", True)  # noqa: FBT003 - pynetdicom's positions
    assert data is not None
    for _ in range(2):
        received = ReceivedObject("DXA1", str(ds.SOPClassUID), uid, syntax, data, NOW)
        (tmp_path / "object.dcm").write_bytes(received.as_file())
        kept = dcmread(tmp_path / "object.dcm")
        meta = kept.file_meta
        assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == (uid, syntax)
        assert (kept.SOPInstanceUID, kept.PatientID) == (uid, "SPINE-0001")
        assert meta.FileMetaInformationGroupLength > 0
