"""A printed page as lines of words: pure geometry, in whatever order the file draws its text.

Lengths are in points, heights counted downwards from the top of the page.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

import msgspec

_SAME_LINE: Final = 0.3
"""Of the glyphs' height: baselines this close are one line."""
_NEXT_WORD: Final = 0.12
"""Of the glyphs' height: a wider gap ends a word; a space is about 0.24."""
_STRUCK_TWICE: Final = 0.1
"""Of the glyphs' height: the same glyph this close is a bold one, made by printing it twice."""
CELL_GAP: Final = 0.6
"""Of the glyphs' height: a wider gap ends a cell."""

_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z /.-]*:")


class Glyph(msgspec.Struct, frozen=True, array_like=True):
    """One character: its left and right edge, its baseline, and the height of its font."""

    text: str
    left: float
    right: float
    base: float
    height: float


class Word(Glyph, frozen=True, array_like=True):
    """Glyphs without a gap."""

    @property
    def centre(self) -> float:
        """Where the middle of the word is."""
        return (self.left + self.right) / 2


class Line(msgspec.Struct, frozen=True):
    """The words on one baseline, from the left."""

    words: tuple[Word, ...]

    @property
    def base(self) -> float:
        """The baseline of the first word."""
        return self.words[0].base

    @property
    def height(self) -> float:
        """The height of the tallest font in it."""
        return max(word.height for word in self.words)

    @property
    def text(self) -> str:
        """The words with one space between them, two where a cell ends."""
        parts = [self.words[0].text]
        for before, word in zip(self.words, self.words[1:], strict=False):
            parts.append("  " if word.left - before.right > CELL_GAP * word.height else " ")
            parts.append(word.text)
        return "".join(parts)

    def within(self, left: float, right: float) -> tuple[Word, ...]:
        """Return the words that begin between two places."""
        return tuple(word for word in self.words if left <= word.left <= right)


class Page(msgspec.Struct, frozen=True, dict=True):
    """The lines of a page, from the top."""

    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        """The page's text, line by line; two spaces between cells."""
        return "\n".join(line.text for line in self.lines)

    def field(self, label: str) -> str:
        """Return what stands behind a label and its colon: in its cell, else in the next if that is no label."""
        own = re.compile(rf"{re.escape(label)} ?:(.*)", re.IGNORECASE)
        for line in self.lines:
            parts = line.text.split("  ")
            for place, part in enumerate(parts):
                if found := own.fullmatch(part):
                    after = "".join(parts[place + 1 : place + 2])
                    return found[1].strip() or ("" if _LABEL.match(after) else after)
        return ""

    def find(self, pattern: str) -> re.Match[str] | None:
        """Return the first match of a pattern in the page's text, letters of either case."""
        return re.search(pattern, self.text, re.MULTILINE | re.IGNORECASE)


def page_of(glyphs: Iterable[Glyph]) -> Page:
    """Return the page that these glyphs make."""
    return Page(tuple(Line(tuple(_words(line))) for line in _baselines(glyphs)))


def cells(words: Iterable[Word]) -> Iterator[Word]:
    """Join the words of each cell, a space between them."""
    joined: Word | None = None
    for word in words:
        if joined and word.left - joined.right <= CELL_GAP * word.height:
            joined = Word(f"{joined.text} {word.text}", joined.left, word.right, joined.base, joined.height)
            continue
        if joined:
            yield joined
        joined = word
    if joined:
        yield joined


def _baselines(glyphs: Iterable[Glyph]) -> Iterator[list[Glyph]]:
    line: list[Glyph] = []
    for glyph in sorted(glyphs, key=lambda glyph: glyph.base):
        if line and glyph.base - line[0].base > _SAME_LINE * min(glyph.height, line[0].height):
            yield line
            line = []
        line.append(glyph)
    if line:
        yield line


def _words(glyphs: list[Glyph]) -> Iterator[Word]:
    word: list[Glyph] = []
    for glyph in sorted(glyphs, key=lambda glyph: glyph.left):
        if word and _is_struck_twice(word[-1], glyph):
            continue
        if word and glyph.left - word[-1].right > _NEXT_WORD * glyph.height:
            yield _word(word)
            word = []
        word.append(glyph)
    if word:
        yield _word(word)


def _is_struck_twice(before: Glyph, glyph: Glyph) -> bool:
    return before.text == glyph.text and glyph.left - before.left < _STRUCK_TWICE * glyph.height


def _word(glyphs: list[Glyph]) -> Word:
    text = "".join(glyph.text for glyph in glyphs)
    return Word(text, glyphs[0].left, max(g.right for g in glyphs), glyphs[0].base, max(g.height for g in glyphs))
