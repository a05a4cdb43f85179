"""A document on paper: A4, with a title, a language and bookmarks, the head of a table repeated on each page."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from dashboards.paper.tables import Align, Paper
from dashboards.reports.document import Block, Document, Pairs, Picture, Points, Signature, Table, Text, Tone
from dashboards.reports.drawing import HALO, RADIUS, TEXT_MM, Area, Drawing, Ink, Label, Line, Mark, Part, outline

_TONES: Final[dict[Tone, tuple[int, int, int]]] = {
    "plain": (27, 39, 48),
    "good": (29, 112, 68),
    "warn": (148, 78, 0),
    "bad": (164, 38, 44),
    "quiet": (81, 96, 107),
}
_INKS: Final[dict[Ink, tuple[int, int, int]]] = {
    "ink": (27, 39, 48),
    "faint": (81, 96, 107),
    "grid": (222, 221, 214),
    "good": (29, 112, 68),
    "bad": (164, 38, 44),
    "warn": (168, 90, 0),
    "signal": (123, 63, 160),
    "accent": (11, 85, 99),
    "band": (231, 243, 236),
    "month": (244, 243, 238),
}
_MM_PER_POINT: Final = 25.4 / 72


def pdf_from(document: Document, made_at: datetime) -> bytes:
    """Return the document as a PDF; the same document and time give the same bytes."""
    paper = Paper(document.title, document.foot, made_at)
    for line in document.lead:
        paper.text_block(line, faint=True)
    for section in document.sections:
        first = section.blocks[0] if section.blocks else None
        paper.heading(section.title, before_mm=first.drawing.height + 15 if isinstance(first, Picture) else 30)
        for block in section.blocks:
            _write(paper, block)
    return paper.bytes()


def _write(paper: Paper, block: Block) -> None:
    match block:
        case Text():
            paper.text_block(block.words, ink=_TONES[block.tone])
        case Points():
            for point in block.points:
                paper.point(point.words, ink=_TONES[point.tone], strong=point.tone in {"warn", "bad"})
        case Pairs():
            paper.pairs(block.pairs)
        case Table():
            aligns: list[Align] = ["R" if one == "R" else "L" for one in block.aligns.ljust(len(block.head), "L")]
            paper.grid(block.head, block.rows, widths=block.widths, aligns=aligns, strong_last=block.strong_last)
            paper.ln(1.5)
        case Picture():
            _picture(paper, block.drawing, block.words)
        case Signature():
            paper.signature(block.words, block.boxes)


def _picture(paper: Paper, drawing: Drawing, words: str) -> None:
    """Draw at the full width of the text, on one page."""
    if paper.will_page_break(drawing.height + 2):
        paper.add_page()
    x, y = paper.l_margin, paper.get_y() + 1
    with paper.local_context():
        for part in drawing.parts:
            _DRAW[type(part)](paper, part, x, y)
    paper.set_xy(paper.l_margin, y + drawing.height)
    paper.text_block(words, ink=_TONES["quiet"])


def _line(paper: Paper, part: Line, x: float, y: float) -> None:
    paper.set_draw_color(*_INKS[part.ink])
    paper.set_line_width(part.width)
    if part.dashes:
        paper.set_dash_pattern(dash=part.dashes[0], gap=part.dashes[1])
    paper.polyline([(x + a, y + b) for a, b in part.points])
    paper.set_dash_pattern()


def _area(paper: Paper, part: Area, x: float, y: float) -> None:
    paper.set_fill_color(*_INKS[part.ink])
    paper.rect(x + part.x, y + part.y, part.width, part.height, style="F")


def _label(paper: Paper, part: Label, x: float, y: float) -> None:
    paper.pen(TEXT_MM / _MM_PER_POINT, ink=_INKS[part.ink])
    wide = paper.get_string_width(part.words)
    left = {"start": 0.0, "middle": wide / 2, "end": wide}[part.anchor]
    paper.text(x + part.x - left, y + part.y, part.words)


def _mark(paper: Paper, part: Mark, x: float, y: float) -> None:
    if part.shape == "disc":
        paper.set_fill_color(*_INKS[part.ink])
        paper.circle(x + part.x, y + part.y, RADIUS, style="F")
    elif part.shape in {"ring", "halo"}:
        paper.set_draw_color(*_INKS[part.ink])
        paper.set_line_width(0.4)
        paper.circle(x + part.x, y + part.y, HALO if part.shape == "halo" else RADIUS, style="D")
    for points in outline(part):
        _line(paper, Line(points, part.ink, 0.5), x, y)


_DRAW: Final[dict[type[Part], Callable[[Paper, Any, float, float], None]]] = {
    Line: _line,
    Area: _area,
    Label: _label,
    Mark: _mark,
}
