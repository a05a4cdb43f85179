"""Sheets of paper: a PDF with a title, headings, plain text, pairs and tables; every report is made of these."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, cast

from fpdf import FPDF, ViewerPreferences
from fpdf.enums import MethodReturnValue
from fpdf.fonts import FontFace

MARGIN_MM: Final = 15
INK: Final = (27, 39, 48)
FAINT: Final = (81, 96, 107)
RULE: Final = (190, 190, 184)
HEAD: Final = (236, 234, 227)
FONT: Final = "DejaVu"
LINE_MM: Final = 4.7
BOX_MM: Final = 16
LACKING: Final = "\N{WHITE SQUARE}"
"""In the place of a letter that the fonts do not have: that something stood there is seen."""
ROW_LINES: Final = 50
LONG_TEXT: Final = 600
"""A shorter text fits a page in the narrowest column."""
APART: Final = (0.5, 1.0, 0.5, 2.8)
"""Around a cell that begins where the one before it ends."""
_FONTS: Final = Path(__file__).parent / "fonts"

Align = Literal["L", "R"]
Colour = tuple[int, int, int]


class Paper(FPDF):
    """One document on A4; a page ends by itself.

    Parameters
    ----------
    title
        Stands on the first page and in the document's properties.
    foot
        Stands at the foot of every page, before the page's number.
    made_at
        When it was made; the file has this time and no other, so that the same content is the same file.
    wide
        Landscape.
    """

    def __init__(self, title: str, foot: str, made_at: datetime, *, wide: bool = False) -> None:
        super().__init__(orientation="landscape" if wide else "portrait", format="A4")
        self._foot = foot
        self.add_font(FONT, "", _FONTS / "DejaVuSansCondensed.ttf")
        self.add_font(FONT, "B", _FONTS / "DejaVuSansCondensed-Bold.ttf")
        self._known = frozenset(self.fonts[FONT.lower()].cmap)  # type: ignore[union-attr] # fonts with letters of ours
        self.set_title(title)
        self.set_creator("Bonewatch")
        self.set_lang("en-GB")
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.set_creation_date(made_at)
        self.set_margins(MARGIN_MM, MARGIN_MM)
        self.c_margin = 0
        self.set_auto_page_break(auto=True, margin=MARGIN_MM + 5)
        self.alias_nb_pages()
        self.add_page()
        self.pen(17, bold=True)
        self.multi_cell(0, 8, title, new_x="LMARGIN", new_y="NEXT", align="L")

    def normalize_text(self, text: str) -> str:
        """Return a text with a sign for each letter that the fonts lack, without what is no letter; called by fpdf2."""
        return "".join(map(self._written, text))

    def _written(self, letter: str) -> str:
        if letter in "\t\r":
            return " "
        if letter == "\n" or (letter.isprintable() and ord(letter) in self._known):
            return letter
        return LACKING if letter.isprintable() else ""

    def footer(self) -> None:
        """Write the foot of a page; called by fpdf2."""
        self.set_y(-MARGIN_MM)
        self.pen(8, ink=FAINT)
        self.multi_cell(self.epw - 25, 3.6, self._foot, align="L", new_y="TOP")
        self.set_xy(self.l_margin + self.epw - 25, -MARGIN_MM)
        self.cell(25, 3.6, f"Page {self.page_no()} of {{nb}}", align="R")

    def heading(self, text: str, *, before_mm: float = 30) -> None:
        """Write a heading on the page of what follows, at least `before_mm` of it; readers list it as a bookmark."""
        if self.will_page_break(before_mm):
            self.add_page()
        self.ln(4.5)
        self.start_section(text)
        self.pen(13, bold=True)
        self.multi_cell(0, 7, text, new_x="LMARGIN", new_y="NEXT", align="L")

    def text_block(self, text: str, *, faint: bool = False, ink: Colour = INK) -> None:
        """Write a paragraph."""
        self.pen(9.5, ink=FAINT if faint else ink)
        self.multi_cell(0, LINE_MM, text, new_x="LMARGIN", new_y="NEXT", align="L")

    def point(self, text: str, *, ink: Colour = INK, strong: bool = False) -> None:
        """Write a sentence of a list."""
        if self.will_page_break(LINE_MM):
            self.add_page()
        self.pen(9.5, bold=strong, ink=ink)
        self.cell(4.5, LINE_MM, "•")
        self.multi_cell(self.epw - 4.5, LINE_MM, text, new_x="LMARGIN", new_y="NEXT", align="L")

    def pairs(self, pairs: Sequence[tuple[str, str]], *, name_mm: float = 55) -> None:
        """Write names with their values, one pair a line."""
        for name, value in pairs:
            self.pen(9.5, ink=FAINT)
            high = LINE_MM * len(self._lines(name, name_mm - 1.5))
            if self.will_page_break(high):
                self.add_page()
            top, page = self.get_y(), self.page_no()
            self.multi_cell(name_mm - 1.5, LINE_MM, name, align="L")
            self.set_xy(self.l_margin + name_mm, top)
            self.pen(9.5)
            self.multi_cell(0, LINE_MM, value, new_x="LMARGIN", new_y="NEXT", align="L")
            if self.page_no() == page:
                self.set_y(max(self.get_y(), top + high))

    def grid(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        widths: Sequence[int],
        aligns: Sequence[Align] = (),
        strong_last: bool = False,
    ) -> None:
        """Write a table whose head is repeated on every page; `widths` are shares."""
        self.pen(8.5)
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self.ln(1)
        style = FontFace(emphasis="BOLD", fill_color=HEAD, color=INK)
        with self.table(
            headings_style=style,
            col_widths=tuple(widths),
            text_align=tuple("RIGHT" if one == "R" else "LEFT" for one in (aligns or ["L"] * len(head))),
            line_height=4.2,
            padding=(0.5, 1.0, 0.5, 0.6),
            borders_layout="HORIZONTAL_LINES",
        ) as table:
            for place, whole in enumerate((head, *rows)):
                is_last = strong_last and place == len(rows)
                for cells in self._parted(whole, widths):
                    row = table.row(style=FontFace(emphasis="BOLD") if is_last else None)
                    for column, text in enumerate(cells):
                        meets = column > 0 and aligns[column - 1 : column + 1] == ["R", "L"]
                        row.cell(text, padding=APART if meets else None)

    def _parted(self, cells: Sequence[str], widths: Sequence[int]) -> Iterator[Sequence[str]]:
        """Yield a row, in several where it is too high for a page."""
        if all(len(text) + 50 * text.count("\n") < LONG_TEXT for text in cells):
            yield cells
            return
        wide = [self.epw * width / sum(widths) - APART[1] - APART[3] for width in widths]
        lines = [self._lines(text, mm) for text, mm in zip(cells, wide, strict=True)]
        for begin in range(0, max(map(len, lines)), ROW_LINES):
            yield ["\n".join(one[begin : begin + ROW_LINES]) for one in lines]

    def _lines(self, text: str, width_mm: float) -> list[str]:
        """Return a text as it is broken to a width."""
        broken = self.multi_cell(width_mm, LINE_MM, text, align="L", dry_run=True, output=MethodReturnValue.LINES)
        return cast("list[str]", broken)

    def signature(self, words: str, boxes: Sequence[str]) -> None:
        """Draw boxes to sign in, under what is signed; never apart from it."""
        if self.will_page_break(BOX_MM + 4 * LINE_MM):
            self.add_page()
        self.ln(2)
        self.text_block(words)
        self.ln(1.5)
        width, x, y = self.epw / len(boxes), self.l_margin, self.get_y()
        self.set_draw_color(*RULE)
        self.set_line_width(0.25)
        for place, box in enumerate(boxes):
            self.rect(x + place * width, y, width, BOX_MM)
            self.pen(7.5, ink=FAINT)
            self.set_xy(x + place * width + 1.2, y + 0.8)
            self.cell(width - 2, 3.4, box)
        self.set_xy(x, y + BOX_MM)

    def bytes(self) -> bytes:
        """Return the finished file."""
        return bytes(self.output())

    def pen(self, size: float, *, bold: bool = False, ink: Colour = INK) -> None:
        """Take up letters of a size and a colour."""
        self.set_font(FONT, style="B" if bold else "", size=size)
        self.set_text_color(*ink)
