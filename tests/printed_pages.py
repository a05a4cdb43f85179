"""Pages of printed reports, changed as printers, templates and faults change them."""

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Final

import msgspec
import pypdfium2 as pdfium
from fpdf import FPDF

from collectors.printed.layouts import layout_of, read_scans
from collectors.printed.page import Line, Page
from collectors.printed.pdf import read_pages
from collectors.printed.scan import PrintedScan
from collectors.printed.settings import DateOrder
from simulators.printed import (
    GE_FEMURS,
    GE_SPINE,
    HOLOGIC_HIPS,
    HOLOGIC_SPINE,
    NORLAND_SPINE,
    Report,
    Text,
    ge_page,
    hologic_page,
    norland_page,
    printed,
)

ORDERS: Final[dict[str, DateOrder]] = {"hologic": "", "ge": "month-first", "norland": "month-first"}
SPINES: Final = {
    "hologic": Report(HOLOGIC_SPINE),
    "ge": Report(GE_SPINE, serial="DF+12345"),
    "norland": Report(NORLAND_SPINE, serial="4711"),
}
HIPS: Final = {"hologic": Report(HOLOGIC_HIPS), "ge": Report(GE_FEMURS, serial="DF+12345")}
LAY_OUT: Final[dict[str, Callable[[Report], list[Text]]]] = {
    "hologic": hologic_page,
    "ge": ge_page,
    "norland": norland_page,
}


def spine(make: str) -> list[Text]:
    return LAY_OUT[make](SPINES[make])


def pages_of(*pages: Sequence[Text], font_file: str = "") -> tuple[Page, ...]:
    return read_pages(printed(pages, font_file=font_file), max_pages=12, timeout_s=60)


def scans_of(make: str, page: Sequence[Text], *, font_file: str = "") -> tuple[PrintedScan, ...]:
    (read,) = pages_of(page, font_file=font_file)
    layout = layout_of(read)
    assert layout is not None
    return read_scans(read, layout, ORDERS[make])


def table(scan: PrintedScan) -> dict[str, tuple[str, str, str]]:
    """Area, BMC and BMD of each region, as printed."""
    return {row.region: (str(row.area_cm2), str(row.bmc_g), str(row.bmd_g_cm2)) for row in scan.rows}


def retyped(page: Sequence[Text], old: str, new: str) -> list[Text]:
    """The page with one text everywhere replaced by another; empty: gone."""
    assert any(text.text == old for text in page), old
    texts = (msgspec.structs.replace(text, text=new) if text.text == old else text for text in page)
    return [text for text in texts if text.text]


def swapped(page: Sequence[Text], one: str, other: str, *, values: bool) -> list[Text]:
    """The page with two columns, found by their headings, changing places; their values alone, or headings too."""
    places = {text.text: text.x for text in page if text.text in {one, other}}
    moved = {places[one]: places[other], places[other]: places[one]}
    first = min(text.y for text in page if text.text == one) + (20 if values else -1)
    return [
        msgspec.structs.replace(text, x=moved[text.x]) if text.x in moved and text.y > first else text for text in page
    ]


def without_row(page: Sequence[Text], region: str) -> list[Text]:
    gone = {text.y for text in page if text.text == region}
    assert gone
    return [text for text in page if text.y not in gone]


def misreadings(page: Page, figures: set[str]) -> Iterator[Page]:
    """The page with one digit of one of these figures read as another, everywhere it could be."""
    for place, line in enumerate(page.lines):
        for index, word in enumerate(line.words):
            for at, digit in enumerate(word.text if word.text in figures else ""):
                for other in "0123456789" if digit.isdigit() else "":
                    if other != digit:
                        text = word.text[:at] + other + word.text[at + 1 :]
                        misread = msgspec.structs.replace(word, text=text)
                        words = (*line.words[:index], misread, *line.words[index + 1 :])
                        yield Page((*page.lines[:place], Line(words), *page.lines[place + 1 :]))


def turned(page: Sequence[Text], degrees: int) -> bytes:
    """The page as drivers store it that turn paper: drawn sideways, and to be shown turned by `degrees`."""
    width, height = 595.0, 842.0
    across = degrees % 180 == 90
    pdf = FPDF(unit="pt", format=(height, width) if across else (width, height))
    pdf.add_page()
    for text in page:
        x, y = {
            90: (text.y, width - text.x),
            180: (width - text.x, height - text.y),
            270: (height - text.y, text.x),
        }[degrees]
        pdf.set_font("Helvetica", "B" if text.bold else "", text.size)
        with pdf.rotation(degrees, x, y):
            pdf.text(x, y, text.text)
    document = pdfium.PdfDocument(bytes(pdf.output()))
    document[0].set_rotation(degrees)
    written = BytesIO()
    document.save(written)
    return written.getvalue()


def with_content(content: bytes) -> bytes:
    """A PDF of one page with this content, packed twice."""
    head = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>" % len(content)
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
        head + b" stream\n" + content + b"\nendstream",
    )
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, part) for number, part in enumerate(parts, start=1))
    return b"%PDF-1.7\n" + body + b"trailer << /Root 1 0 R /Size 5 >>\n%%EOF\n"
