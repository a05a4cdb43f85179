"""A report as a document: sections of text, pairs, tables and drawings. Paper and screen are made of the same one."""

from typing import Literal

import msgspec

from dashboards.reports.drawing import Drawing

Align = Literal["L", "R"]
Tone = Literal["plain", "good", "warn", "bad", "quiet"]


class Text(msgspec.Struct, frozen=True, tag=True):
    """A paragraph; its tone never says what its words do not."""

    words: str
    tone: Tone = "plain"


class Points(msgspec.Struct, frozen=True, tag=True):
    """A list of sentences."""

    points: tuple[Text, ...]


class Pairs(msgspec.Struct, frozen=True, tag=True):
    """Names with their values."""

    pairs: tuple[tuple[str, str], ...]


class Table(msgspec.Struct, frozen=True, tag=True):
    """A table; `widths` are shares, `aligns` one letter a column, `name` says what it is to who cannot see it."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    aligns: str = ""
    strong_last: bool = False


class Picture(msgspec.Struct, frozen=True, tag=True):
    """A drawing, its name, and how it is to be read."""

    name: str
    drawing: Drawing
    words: str


class Signature(msgspec.Struct, frozen=True, tag=True):
    """Boxes to sign in by hand, under what is signed."""

    words: str
    boxes: tuple[str, ...]


Block = Text | Points | Pairs | Table | Picture | Signature


class Section(msgspec.Struct, frozen=True):
    """A part of a document under its title."""

    title: str
    blocks: tuple[Block, ...]


class Document(msgspec.Struct, frozen=True):
    """A report: title, what it is about in a line or two, sections, and what stands at the foot of each page."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: str
