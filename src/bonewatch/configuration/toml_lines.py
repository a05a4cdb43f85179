"""Find the line of a TOML file that a decoding error speaks of."""

import re
from typing import Final

_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[\.\.\.\]")
_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_\-]+)\s*=")


def line_of(text: str, path: str) -> int | None:
    """Return the line of `path` (as msgspec writes it, ``$.device[1].phantom[0].role``), or None.

    The nearest enclosing table counts where the key itself is missing.
    """
    wanted = [name or int(index or 0) for name, index in _STEP.findall(path)]
    places = _places(text)
    while wanted:
        line = places.get(tuple(wanted))
        if line is not None:
            return line
        wanted.pop()
    return None


def _places(text: str) -> dict[tuple[str | int, ...], int]:
    """Map the path of every table and key to its line; array tables are numbered within their parent."""
    places: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = _table(header.group(1), header.group(2).split("."), counts)
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places[(*table, key.group(1))] = number
    return places


def _table(brackets: str, names: list[str], counts: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
    path: tuple[str | int, ...] = ()
    for place, name in enumerate(names):
        path = (*path, name)
        if brackets == "[[" and place == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
