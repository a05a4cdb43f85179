"""Sheets of paper: a PDF with a title, headings, plain text, pairs and tables; every report and form is made of these.

The letters are those every reader of PDF has (Helvetica, Latin-1): a letter that it lacks is written without its mark,
or as a question mark.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from fpdf import FPDF
from fpdf.fonts import FontFace

MARGIN_MM: Final = 15
INK: Final = (27, 39, 48)
FAINT: Final = (81, 96, 107)
RULE: Final = (190, 190, 184)
HEAD: Final = (236, 234, 227)
FONT: Final = "helvetica"
LINE_MM: Final = 5.0

Align = Literal["L", "R"]
_INSTEAD: Final = str.maketrans("\u2013\u2014\u2212\u2018\u2019\u201c\u201d", "---''\"\"")
"""Dashes and quotation marks."""


def latin(text: str) -> str:
    """Return text in the letters there are."""
    said = []
    for letter in text.translate(_INSTEAD):
        plain = letter
        if ord(letter) > 255:
            plain = "".join(one for one in unicodedata.normalize("NFKD", letter) if ord(one) < 256) or "?"
        said.append(plain)
    return "".join(said)


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
        self._foot = latin(foot)
        self.set_title(title)
        self.set_creator("Bonewatch")
        self.set_lang("en-GB")
        self.set_creation_date(made_at)
        self.set_margins(MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM + 5)
        self.alias_nb_pages()
        self.add_page()
        self._ink(17, "B")
        self.multi_cell(0, 8, latin(title), new_x="LMARGIN", new_y="NEXT", align="L")

    def footer(self) -> None:
        """Write the foot of a page; called by fpdf2."""
        self.set_y(-MARGIN_MM)
        self.set_font(FONT, size=8)
        self.set_text_color(*FAINT)
        self.cell(0, 5, self._foot)
        self.set_x(self.l_margin)
        self.cell(0, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def heading(self, text: str) -> None:
        """Write a heading that does not stand alone at the end of a page."""
        if self.will_page_break(30):
            self.add_page()
        self.ln(5)
        self._ink(13, "B")
        self.multi_cell(0, 7, latin(text), new_x="LMARGIN", new_y="NEXT", align="L")

    def text_block(self, text: str, *, faint: bool = False) -> None:
        """Write a paragraph."""
        self._ink(10)
        if faint:
            self.set_text_color(*FAINT)
        self.multi_cell(0, LINE_MM, latin(text), new_x="LMARGIN", new_y="NEXT", align="L")

    def pairs(self, pairs: Sequence[tuple[str, str]], *, name_mm: float = 55) -> None:
        """Write names with their values, one pair a line."""
        for name, value in pairs:
            if self.will_page_break(LINE_MM):
                self.add_page()
            self._ink(10)
            self.set_text_color(*FAINT)
            self.cell(name_mm, LINE_MM, latin(name))
            self._ink(10)
            self.multi_cell(0, LINE_MM, latin(value), new_x="LMARGIN", new_y="NEXT", align="L")

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
        self._ink(9)
        self.set_draw_color(*RULE)
        self.ln(1)
        style = FontFace(emphasis="BOLD", fill_color=HEAD, color=INK)
        with self.table(
            headings_style=style,
            col_widths=tuple(widths),
            text_align=tuple("RIGHT" if one == "R" else "LEFT" for one in (aligns or ["L"] * len(head))),
            line_height=LINE_MM,
            padding=0.6,
            borders_layout="HORIZONTAL_LINES",
        ) as table:
            table.row([latin(cell) for cell in head])
            for place, row in enumerate(rows):
                is_last = strong_last and place == len(rows) - 1
                table.row([latin(cell) for cell in row], style=FontFace(emphasis="BOLD") if is_last else None)

    def bytes(self) -> bytes:
        """Return the finished file."""
        return bytes(self.output())

    def _ink(self, size: int, style: Literal["", "B"] = "") -> None:
        self.set_font(FONT, style=style, size=size)
        self.set_text_color(*INK)
