"""Small files as people add them: whole, and of the three kinds that are kept."""

import io
from datetime import UTC, datetime
from typing import Final

from fpdf import FPDF
from PIL import Image


def pdf(text: str = "Invented service report") -> bytes:
    """A PDF of one page, the same each time."""
    document = FPDF()
    document.set_creation_date(datetime(2026, 11, 2, tzinfo=UTC))
    document.add_page()
    document.set_font("Helvetica", size=12)
    document.cell(0, 10, text)
    return bytes(document.output())


def image(kind: str) -> bytes:
    """A picture of 40 by 30 points as Pillow writes PNG or JPEG."""
    taken = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 120, 40)).save(taken, kind)
    return taken.getvalue()


PDF: Final = pdf()
PNG: Final = image("PNG")
JPEG: Final = image("JPEG")
