"""A drawing in millimetres from its upper left corner: the same on paper (fpdf2) and on screen (SVG)."""

from html import escape
from typing import Final, Literal

import msgspec

Ink = Literal["ink", "faint", "grid", "good", "bad", "warn", "signal", "accent", "band", "month"]
Shape = Literal["disc", "ring", "cross", "triangle", "square", "diamond", "halo"]
Anchor = Literal["start", "middle", "end"]

TEXT_MM: Final = 2.9
"""Height of the letters."""


class Line(msgspec.Struct, frozen=True, tag=True):
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    ink: Ink
    width: float = 0.25
    dashes: tuple[float, ...] = ()


class Area(msgspec.Struct, frozen=True, tag=True):
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    ink: Ink


class Mark(msgspec.Struct, frozen=True, tag=True):
    """A sign at a point; shapes differ so that nobody needs the colours."""

    x: float
    y: float
    shape: Shape
    ink: Ink


class Label(msgspec.Struct, frozen=True, tag=True):
    """Words at a point of their base line."""

    x: float
    y: float
    words: str
    anchor: Anchor = "start"
    ink: Ink = "faint"


Part = Line | Area | Mark | Label


class Drawing(msgspec.Struct, frozen=True):
    """Parts in the order in which they are drawn."""

    width: float
    height: float
    parts: tuple[Part, ...]


RADIUS: Final = 0.95
HALO: Final = 1.75


def outline(mark: Mark) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the lines of a mark that is drawn with lines: each a run of points."""
    x, y, r = mark.x, mark.y, RADIUS * 1.15
    if mark.shape == "cross":
        return (((x - r, y - r), (x + r, y + r)), ((x - r, y + r), (x + r, y - r)))
    if mark.shape == "triangle":
        return (((x, y - 1.2 * r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r), (x, y - 1.2 * r)),)
    if mark.shape == "diamond":
        return (((x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y), (x, y - 1.3 * r)),)
    if mark.shape == "square":
        return (((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r), (x - r, y - r)),)
    return ()


def svg_from(drawing: Drawing, name: str) -> str:
    """Return the drawing as an SVG element that takes its colours from the page's style sheet.

    Parameters
    ----------
    name
        What it shows, for who cannot see it; the values stand in a table beside it.
    """
    parts = "".join(_svg(part) for part in drawing.parts)
    size = f'viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
    return f'<svg class="drawing" role="img" {size} aria-label="{escape(name)}">{parts}</svg>'


def _svg(part: Part) -> str:
    match part:
        case Line():
            return _svg_line(part.points, part.ink, part.width, part.dashes)
        case Area():
            box = f'x="{part.x:.2f}" y="{part.y:.2f}" width="{part.width:.2f}" height="{part.height:.2f}"'
            return f'<rect class="fill-{part.ink}" {box}/>'
        case Label():
            place = f'x="{part.x:.2f}" y="{part.y:.2f}" font-size="{TEXT_MM}" text-anchor="{part.anchor}"'
            return f'<text class="fill-{part.ink}" {place}>{escape(part.words)}</text>'
        case Mark():
            return _svg_mark(part)


def _svg_mark(mark: Mark) -> str:
    centre = f'cx="{mark.x:.2f}" cy="{mark.y:.2f}"'
    if mark.shape == "disc":
        return f'<circle class="fill-{mark.ink}" {centre} r="{RADIUS}"/>'
    if mark.shape in {"ring", "halo"}:
        r = HALO if mark.shape == "halo" else RADIUS
        return f'<circle class="line-{mark.ink}" {centre} r="{r}" stroke-width="0.4"/>'
    return "".join(_svg_line(points, mark.ink, 0.5, ()) for points in outline(mark))


def _svg_line(points: tuple[tuple[float, float], ...], ink: Ink, width: float, dashes: tuple[float, ...]) -> str:
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    dashed = f' stroke-dasharray="{" ".join(f"{one:g}" for one in dashes)}"' if dashes else ""
    return f'<polyline class="line-{ink}" points="{path}" stroke-width="{width}"{dashed}/>'
