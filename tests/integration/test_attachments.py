"""Files added to the log: kept once, sealed, by what they are; a store that cannot be read says so."""

import hashlib
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from collectors.attachments import Attachments
from streams.attachments import FileRefusedError, FileStoreError, clean_name, media_type
from tests.equipment_files import JPEG, PDF, PNG


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Attachments]:
    store = Attachments(tmp_path, min_free_bytes=0)
    yield store
    store.close()


def rows(folder: Path) -> list[tuple[str, str, int]]:
    with sqlite3.connect(folder / "attachments.sqlite") as db:
        found = db.execute("SELECT digest, media_type, size FROM files").fetchall()
    db.close()
    return found


@pytest.mark.parametrize(("data", "kind"), [(PDF, "application/pdf"), (PNG, "image/png"), (JPEG, "image/jpeg")])
def test_a_file_comes_back_as_it_was_known_by_its_content(files: Attachments, data: bytes, kind: str) -> None:
    kept = files.keep(data)
    assert (kept.digest, kept.media_type, kept.size) == (hashlib.sha256(data).hexdigest(), kind, len(data))
    assert files.read(kept.digest) == data


def test_a_file_that_came_twice_is_kept_once_and_survives_the_process(files: Attachments, tmp_path: Path) -> None:
    kept = files.keep(PDF)
    assert files.keep(PDF) == kept
    files.close()
    again = Attachments(tmp_path, min_free_bytes=0)
    assert again.keep(PDF) == kept
    assert again.read(kept.digest) == PDF
    again.close()
    assert rows(tmp_path) == [(kept.digest, "application/pdf", len(PDF))]


def test_nothing_of_a_file_can_be_read_from_the_disk_without_the_key(files: Attachments, tmp_path: Path) -> None:
    files.keep(PDF)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("attachments*"))
    assert b"%PDF-" not in on_disk
    assert (tmp_path / "attachments.sqlite").stat().st_mode & 0o077 == 0
    assert (tmp_path / "attachments.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"MZ\x90\x00 a program", "no PDF, PNG or JPEG"),
        (b"<html><script>alert(1)</script></html>", "no PDF, PNG or JPEG"),
        (b"GIF89a" + bytes(40), "no PDF, PNG or JPEG"),
        (PDF + bytes(10_000_000), "larger than 10 MB"),
        (PDF[: len(PDF) // 2], "not whole"),
        (PNG[: len(PNG) // 2], "not whole"),
        (JPEG[: len(JPEG) // 2], "not whole"),
        (b"%PDF-", "not whole"),
        (b"\x89PNG\r\n\x1a\n", "not whole"),
        (b"\xff\xd8\xff", "not whole"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 3, "not whole"),
    ],
)
def test_what_is_no_whole_file_of_a_kept_kind_is_refused(
    files: Attachments, tmp_path: Path, data: bytes, says: str
) -> None:
    with pytest.raises(FileRefusedError, match=says):
        files.keep(data)
    assert not list(tmp_path.glob("attachments*"))


@pytest.mark.parametrize("whole", [PNG, JPEG])
def test_every_cut_of_a_picture_is_seen(whole: bytes) -> None:
    for end in range(3 if whole is JPEG else 8, len(whole) - 2):
        with pytest.raises(FileRefusedError, match="not whole"):
            media_type(whole[:end])


def test_a_telephone_s_picture_with_more_behind_its_end_is_kept() -> None:
    taken = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd9 in a description"
    Image.new("RGB", (64, 64)).save(taken, "JPEG", progressive=True, exif=exif)
    assert media_type(taken.getvalue() + b"SEFHe\x00trailer") == "image/jpeg"


def test_a_file_that_is_not_there_is_a_clear_error(files: Attachments) -> None:
    with pytest.raises(FileStoreError, match="not in the store: restore it from a backup"):
        files.read("a" * 64)


def test_changed_bytes_are_never_given_back_and_the_file_can_be_kept_anew(files: Attachments, tmp_path: Path) -> None:
    kept = files.keep(PDF)
    files.close()
    with sqlite3.connect(tmp_path / "attachments.sqlite") as db:
        db.execute("UPDATE files SET sealed = zeroblob(length(sealed))")
    db.close()
    again = Attachments(tmp_path, min_free_bytes=0)
    with pytest.raises(FileStoreError, match="cannot be opened"):
        again.read(kept.digest)
    again.keep(PDF)
    assert again.read(kept.digest) == PDF
    again.close()


def test_one_file_in_another_s_place_is_not_taken_for_it(files: Attachments, tmp_path: Path) -> None:
    first, second = files.keep(PDF), files.keep(PNG)
    files.close()
    with sqlite3.connect(tmp_path / "attachments.sqlite") as db:
        (sealed,) = db.execute("SELECT sealed FROM files WHERE digest = ?", (second.digest,)).fetchone()
        db.execute("UPDATE files SET sealed = ? WHERE digest = ?", (sealed, first.digest))
    db.close()
    again = Attachments(tmp_path, min_free_bytes=0)
    with pytest.raises(FileStoreError, match="cannot be opened"):
        again.read(first.digest)
    again.close()


def test_a_store_without_its_key_says_what_to_restore_and_works_once_it_is_back(
    files: Attachments, tmp_path: Path
) -> None:
    kept = files.keep(PDF)
    files.close()
    key = tmp_path / "attachments.key"
    key.rename(tmp_path / "elsewhere")
    again = Attachments(tmp_path, min_free_bytes=0)
    for ask in (lambda: again.read(kept.digest), lambda: again.keep(PNG)):
        with pytest.raises(FileStoreError, match="the system's administrator restores"):
            ask()
    (tmp_path / "elsewhere").rename(key)
    assert again.read(kept.digest) == PDF
    again.close()


def test_a_damaged_store_says_what_to_restore(tmp_path: Path) -> None:
    (tmp_path / "attachments.sqlite").write_bytes(b"not a database" * 100)
    store = Attachments(tmp_path)
    with pytest.raises(FileStoreError, match="cannot be opened"):
        store.keep(PDF)


def test_a_disk_that_is_nearly_full_keeps_no_file(tmp_path: Path) -> None:
    store = Attachments(tmp_path, min_free_bytes=1 << 60)
    with pytest.raises(FileStoreError, match="nearly full"):
        store.keep(PDF)
    store.close()
    assert rows(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "kind", "clean"),
    [
        ("report.pdf", "application/pdf", "report.pdf"),
        ("Bericht Prüfung 3.PDF", "application/pdf", "Bericht Prüfung 3.pdf"),
        ("../../etc/passwd", "application/pdf", "passwd.pdf"),
        ("C:\\Users\\oz\\form.pdf", "application/pdf", "form.pdf"),
        ("photo.jpeg", "image/jpeg", "photo.jpeg"),
        ("photo.html", "image/jpeg", "photo.html.jpg"),
        ("invoice.pdf.exe", "application/pdf", "invoice.pdf.exe.pdf"),
        ("", "image/png", "file.png"),
        ("...", "image/png", "file.png"),
        (".png", "image/png", "png.png"),
        ("a\r\nSet-Cookie: x.pdf", "application/pdf", "a Set-Cookie_ x.pdf"),
        ("evil\u202efdp.exe", "application/pdf", "evil fdp.exe.pdf"),
        ("x" * 300 + ".pdf", "application/pdf", "x" * 116 + ".pdf"),
        ("nul\x00.pdf", "application/pdf", "nul.pdf"),
    ],
)
def test_a_name_is_people_s_words_and_never_a_path(name: str, kind: str, clean: str) -> None:
    assert clean_name(name, kind) == clean
