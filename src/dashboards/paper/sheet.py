"""An A4 sheet of boxes with labels: what is known is printed, what is not is left to fill in by hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.util import Padding

_FONTS: Final = Path(__file__).parent / "fonts"
_FAMILY: Final = "DejaVu"
_MARGIN_MM: Final = 14.0
_WIDTH_MM: Final = 210.0 - 2 * _MARGIN_MM
_FOOT_MM: Final = 14.0
_LABEL_MM: Final = 3.4
_LINE_MM: Final = 4.3
_PAD_MM: Final = 1.3
_PADDING: Final = Padding(0, _PAD_MM, 0, _PAD_MM)
_INK: Final = (27, 39, 48)
_INK_2: Final = (81, 96, 107)
_RULE: Final = (150, 160, 166)
_BAND: Final = (225, 238, 240)

TICKED: Final = "\u2612"
EMPTY: Final = "\u2610"


class Box(NamedTuple):
    """A labelled box; blank where `text` is. `lines` is the least room for handwriting, `share` its part of the row."""

    label: str
    text: str = ""
    share: float = 1.0
    lines: float = 1.3


def full_time(moment: datetime, zone: ZoneInfo) -> str:
    """``07:45, 3 November 2026``: on paper no day is "today"."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M}, {local.day} {local:%B %Y}"


def ticks(choices: Mapping[str, str], chosen: str | None) -> str:
    """Return choices in one line, the chosen one ticked; none where the answer is not known."""
    return "    ".join(f"{TICKED if key == chosen else EMPTY} {words}" for key, words in choices.items())


class Sheet(FPDF):
    """A document of such pages.

    Parameters
    ----------
    title
        Of the document.
    foot
        At the foot of every page, before its number.
    made_at
        When it was made; stands in the file.
    """

    def __init__(self, title: str, foot: str, made_at: datetime) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.add_font(_FAMILY, "", _FONTS / "DejaVuSansCondensed.ttf")
        self.add_font(_FAMILY, "B", _FONTS / "DejaVuSansCondensed-Bold.ttf")
        self.set_title(title)
        self.set_lang("en-GB")
        self.set_creator("Bonewatch")
        self.set_creation_date(made_at)
        self.set_margins(_MARGIN_MM, 12, _MARGIN_MM)
        self.c_margin = 0
        self.set_auto_page_break(True, _FOOT_MM)  # noqa: FBT003 - its own signature
        self.set_line_width(0.2)
        self.set_draw_color(*_RULE)
        self.add_page()

    def footer(self) -> None:
        """Write the foot and the page's number."""
        self.set_y(-_FOOT_MM + 3)
        self._pen(7.5, ink=_INK_2)
        self.cell(_WIDTH_MM - 25, 4, self._foot)
        self.cell(25, 4, f"Page {self.page_no()} of {{nb}}", align="R")

    def head(self, title: str, lead: str) -> None:
        """Write the title and a line under it."""
        self._pen(16, bold=True)
        self.multi_cell(_WIDTH_MM, 7, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.note(lead)

    def section(self, title: str, note: str = "", *, room_mm: float = 40.0) -> None:
        """Begin a section, on a new page where little room is left."""
        if self.will_page_break(room_mm):
            self.add_page()
        self.ln(2.2)
        self._pen(10.5, bold=True)
        self.set_fill_color(*_BAND)
        self.cell(_WIDTH_MM, 6.2, f"  {title}", border=1, fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if note:
            self.note(note)

    def note(self, text: str) -> None:
        """Write a paragraph in small print."""
        self._pen(8.2, ink=_INK_2)
        self.multi_cell(
            _WIDTH_MM, 3.9, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT, padding=Padding(0.6, 0, 0.8, 0)
        )

    def row(self, *boxes: Box) -> None:
        """Draw boxes beside each other, as high as the highest, never over the end of a page."""
        whole = sum(box.share for box in boxes)
        widths = [_WIDTH_MM * box.share / whole for box in boxes]
        height = max(self._height(box, width) for box, width in zip(boxes, widths, strict=True))
        if self.will_page_break(height):
            self.add_page()
        x, y = self.l_margin, self.get_y()
        for box, width in zip(boxes, widths, strict=True):
            self.rect(x, y, width, height)
            self._pen(6.8, ink=_INK_2)
            self.set_xy(x + _PAD_MM, y + 0.7)
            self.cell(width - 2 * _PAD_MM, _LABEL_MM, box.label)
            self._pen(9.2)
            self.set_xy(x, y + _LABEL_MM + 0.7)
            self.multi_cell(width, _LINE_MM, box.text, align="L", padding=_PADDING)
            x += width
        self.set_xy(self.l_margin, y + height)

    def rows(self, rows: Sequence[Sequence[Box]]) -> None:
        """Draw several rows."""
        for boxes in rows:
            self.row(*boxes)

    def _height(self, box: Box, width: float) -> float:
        self._pen(9.2)
        lines: Any = self.multi_cell(
            width, _LINE_MM, box.text, align="L", padding=_PADDING, dry_run=True, output="LINES"
        )
        return _LABEL_MM + max(len(lines) if box.text else 0, box.lines) * _LINE_MM + 1.6

    def _pen(self, size: float, *, bold: bool = False, ink: tuple[int, int, int] = _INK) -> None:
        self.set_font(_FAMILY, "B" if bold else "", size)
        self.set_text_color(*ink)
