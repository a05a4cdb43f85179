"""Reads a column map; what is wrong with one is said with the file, the key and what to do."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from collectors.files.column_map import ColumnMap
from collectors.files.errors import MapError
from collectors.files.map_checks import faults_in

MAX_MAP_BYTES: Final = 64 * 1024


def load(path: Path) -> ColumnMap:
    """Return the map of a file.

    Raises
    ------
    MapError
        If it cannot be read or does not hold.
    """
    try:
        if path.stat().st_size > MAX_MAP_BYTES:
            raise MapError(f"{path}: a column map has at most {MAX_MAP_BYTES} bytes")
        return map_from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"{path} cannot be read: {error}") from error


def map_from_toml(text: str, where: str) -> ColumnMap:
    """Return the map that a file's text says; `where` is named in errors.

    Raises
    ------
    MapError
        If it does not hold.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), ColumnMap)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise MapError(f"{where}: {error}") from error
    if faults := faults_in(found):
        raise MapError(f"{where}: {'; '.join(faults)}")
    return found
