"""Pieces of Markdown that every generated page is made of."""

from collections.abc import Iterable, Sequence
from typing import Final

MADE: Final = "<!-- Made by `bonewatch docs reference`; do not edit. -->"
"""The first line of a generated page."""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; bars and line ends within a cell do not break it."""
    lines = [_row(titles), _row(["---"] * len(titles))]
    return [*lines, *(_row([cell.replace("|", "\\|") for cell in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |"


def page(title: str, *parts: Iterable[str]) -> str:
    """Return a generated page: title, and parts with a blank line between them."""
    return "\n\n".join([MADE, f"# {title}", *("\n".join(part) for part in parts)]) + "\n"


def first_sentence(text: str) -> str:
    """Return a docstring's first paragraph in one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())
