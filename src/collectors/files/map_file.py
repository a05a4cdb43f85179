"""Reads a column map; what is wrong with one is said with the file, the key and what to do."""

from pathlib import Path

from collectors.files.column_map import ColumnMap
from collectors.files.errors import MapError
from collectors.files.map_checks import faults_in
from collectors.toml_file import parsed, text_of


def load(path: Path) -> ColumnMap:
    """Return the map of a file.

    Raises
    ------
    MapError
        If it cannot be read or does not hold.
    """
    return map_from_toml(text_of(path, MapError), str(path))


def map_from_toml(text: str, where: str) -> ColumnMap:
    """Return the map that a file's text says; `where` is named in errors.

    Raises
    ------
    MapError
        If it does not hold.
    """
    return parsed(text, ColumnMap, where, faults_in, MapError)
