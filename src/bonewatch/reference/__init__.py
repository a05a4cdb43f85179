"""Pages of the manual that are made from the program itself, so that they say what it does."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bonewatch.reference import command_line, hazard_log, http_api, metrics, topics

PAGES: Final[dict[Path, Callable[[Path], str]]] = {
    Path("reference/command-line.md"): command_line.page,
    Path("reference/http-api.md"): http_api.page,
    Path("reference/topics.md"): topics.page,
    Path("reference/metrics.md"): metrics.page,
    Path("safety/hazard-log.md"): hazard_log.page,
}
"""Each by its path below the manual's folder; made from the program, or from data that lies in that folder."""


def differences(docs: Path) -> dict[Path, str]:
    """Return the pages of a manual that are not what the program says, as they should be."""
    made = {path: make(docs) for path, make in PAGES.items()}
    return {path: text for path, text in made.items() if _there(docs / path) != text}


def write(docs: Path) -> list[Path]:
    """Write the pages that differ; return which."""
    changed = differences(docs)
    for path, text in changed.items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_text(text, encoding="utf-8")
    return list(changed)


def _there(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
