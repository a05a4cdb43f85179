"""Files in TOML that a site writes for a collector: read whole or refused with the file, the key and what to do."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

MAX_BYTES: Final = 64 * 1024
"""Nobody writes a longer one by hand."""

T = TypeVar("T")


class TomlFileError(Exception):
    """A file cannot be read or does not hold; the text is for the person who wrote it."""


def text_of(path: Path, error: type[TomlFileError]) -> str:
    """Return what a file says; raise `error` if it cannot be read or is too long."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(f"{path}: such a file has at most {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise error(f"{path} cannot be read: {trouble}") from trouble


def parsed(
    text: str, kind: type[T], where: str, faults_in: Callable[[T], Iterable[str]], error: type[TomlFileError]
) -> T:
    """Return what a text says as a value of a kind; raise `error` if it does not hold.

    `where` is named in errors; `faults_in` says what no type can.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as trouble:
        raise error(f"{where}: {trouble}") from trouble
    if faults := list(faults_in(found)):
        raise error(f"{where}: {'; '.join(faults)}")
    return found
