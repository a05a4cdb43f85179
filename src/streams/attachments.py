"""The port through which files that people add to the log are kept, and what such a file may be.

A file's type is read from its content, its name is people's words: never a path, never believed.
"""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final, Protocol

import msgspec

from streams.fold.decisions.records import MAX_FILE_BYTES, MAX_NAME

EXTENSIONS: Final = {"application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg"}
_SPELLINGS: Final = {".jpeg": ".jpg", ".jpe": ".jpg"}

_PDF: Final = b"%PDF-"
_PDF_END: Final = b"%%EOF"
_PDF_TAIL: Final = 1024
"""Readers look for the end of a PDF in so many last bytes."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_SCAN: Final = 0xDA
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of a JPEG without a length."""


class KeptFile(msgspec.Struct, frozen=True):
    """A file in the store: the SHA-256 of its content in hex, its type as read from it, its size in bytes."""

    digest: str
    media_type: str
    size: int


class FileRefusedError(ValueError):
    """The file is none that is kept; the text says what to do."""


class FileStoreError(Exception):
    """The store cannot be used now, or cannot give a file back; the text says what to do."""


class FileStore(Protocol):
    """Keeps files by their content."""

    def keep(self, data: bytes) -> KeptFile:
        """Keep a file durably; one that is there already is not kept twice.

        Raises
        ------
        FileRefusedError
            It is empty, too large, of another type, or not whole.
        FileStoreError
            Nothing can be kept now.
        """

    def read(self, digest: str) -> bytes:
        """Return a file as it came; raise FileStoreError if it is not there or cannot be opened."""


class NoFileStore:
    """A site that keeps no files."""

    def keep(self, data: bytes) -> KeptFile:  # noqa: ARG002 - the port's form
        """Refuse."""
        raise FileStoreError("This site keeps no files.")

    def read(self, digest: str) -> bytes:  # noqa: ARG002 - the port's form
        """Refuse."""
        raise FileStoreError("This site keeps no files.")


NO_FILES: Final = NoFileStore()


def media_type(data: bytes) -> str:
    """Return what a file is by its content, or raise `FileRefusedError`."""
    if not data:
        raise FileRefusedError("The file is empty: choose another.")
    if len(data) > MAX_FILE_BYTES:
        raise FileRefusedError(f"The file is larger than {MAX_FILE_BYTES / 1e6:g} MB: make it smaller, or split it.")
    kind, is_whole = _kind(data)
    if not is_whole:
        raise FileRefusedError("The file is not whole: its end is missing. Save or scan it again.")
    return kind


def _kind(data: bytes) -> tuple[str, bool]:
    if data.startswith(_PDF):
        return "application/pdf", _PDF_END in data[-_PDF_TAIL:]
    if data.startswith(_PNG):
        return "image/png", _png_ends(data)
    if data.startswith(_JPEG):
        return "image/jpeg", _jpeg_ends(data)
    raise FileRefusedError("The file is no PDF, PNG or JPEG, whatever its name says: save it as one of these.")


def _png_ends(data: bytes) -> bool:
    """Walk the chunks (PNG specification, 5.3) to the one that ends the image."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + length > len(data):
            return False
        if data[place + 4 : place + 8] == _PNG_END:
            return True
        place += 12 + length
    return False


def _jpeg_ends(data: bytes) -> bool:
    """Walk the markers (ITU T.81, B.1) to the scan, then look for the end; telephones write more behind it."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_ALONE:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == _JPEG_SCAN:
                return data.find(_JPEG_END, place) >= 0
    return False


def clean_name(name: str, kind: str) -> str:
    """Return the name under which a file is shown and given back: its last part, in plain characters, ending as it is.

    What a browser sends may hold a path, control characters, or an ending that is not what the file is.
    """
    last = PurePosixPath(PureWindowsPath(unicodedata.normalize("NFC", name)).name).name
    plain = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else " " for c in last)
    plain = re.sub(r'[<>:"/\\|?*]', "_", plain)
    plain = " ".join(plain.split()).strip(". ")
    stem, dot, ending = plain.rpartition(".")
    ending = f".{ending.lower()}" if dot else ""
    wanted = EXTENSIONS[kind]
    if _SPELLINGS.get(ending, ending) == wanted and stem.strip(". "):
        plain, wanted = stem.strip(". "), ending
    return (plain or "file")[: MAX_NAME - len(wanted)] + wanted
