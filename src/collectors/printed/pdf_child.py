"""The program that reads one PDF from its standard input and writes its glyphs with their places, as JSON.

It runs in a process of its own with limits of time and memory: PDFium is native code, and a file may be built to
exhaust or to break it. It knows nothing of the site, and leaves no core dump: a page may be a patient's.
"""

import ctypes
import resource
import sys

import msgspec
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from collectors.printed.page import Glyph

MAX_GLYPHS = 60_000
"""In one file; a page of a report has about two thousand."""

READ, UNREADABLE, PASSWORD, OVER_LIMIT = 0, 3, 4, 5
"""How the program ends; anything else was a fault or a kill."""

_SOFT_HYPHEN = 0x02
"""PDFium's mark for a hyphen at the end of a line."""


class _OverLimitError(Exception):
    """More than a report has."""


def main(max_pages: int, seconds: int, max_memory: int) -> int:
    """Read, write, and return how it went."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    try:
        pages = _pages(sys.stdin.buffer.read(), max_pages)
    except pdfium.PdfiumError as error:
        return PASSWORD if error.err_code == pdfium_c.FPDF_ERR_PASSWORD else UNREADABLE
    except (_OverLimitError, MemoryError):
        return OVER_LIMIT
    sys.stdout.buffer.write(msgspec.json.encode(pages))
    return READ


def _pages(data: bytes, max_pages: int) -> list[list[Glyph]]:
    document = pdfium.PdfDocument(data)
    if len(document) > max_pages:
        raise _OverLimitError
    pages: list[list[Glyph]] = []
    left = MAX_GLYPHS
    for page in document:
        text = page.get_textpage()
        left -= text.count_chars()
        if left < 0:
            raise _OverLimitError
        pages.append(_glyphs(text, _Upright(page)))
    return pages


class _Upright:
    """Places of a page as it is seen, from its top left; a printed landscape page is often stored turned."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self._turned = page.get_rotation()
        self._width, self._height = page.get_size()

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a place in the file's coordinates is seen."""
        match self._turned:
            case 90:
                return y, x
            case 180:
                return self._width - x, y
            case 270:
                return self._width - y, self._height - x
            case _:
                return x, self._height - y


def _glyphs(text: pdfium.PdfTextPage, upright: _Upright) -> list[Glyph]:
    """Return what is printed and no space: gaps tell words apart, in whatever order the file draws them."""
    found = []
    x, y = ctypes.c_double(), ctypes.c_double()
    for place in range(text.count_chars()):
        code = pdfium_c.FPDFText_GetUnicode(text, place)
        character = "-" if code == _SOFT_HYPHEN else chr(code) if code <= sys.maxunicode else ""
        if not character.isprintable() or character.isspace() or not character:
            continue
        left, bottom, right, top = text.get_charbox(place, loose=True)
        corners = upright.place(left, bottom), upright.place(right, top)
        (left, right), (top, bottom) = (sorted(ends) for ends in zip(*corners, strict=True))
        if right > left and bottom > top and pdfium_c.FPDFText_GetCharOrigin(text, place, x, y):
            found.append(Glyph(character, left, right, upright.place(x.value, y.value)[1], bottom - top))
    return found


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
