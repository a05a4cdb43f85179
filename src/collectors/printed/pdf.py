"""A PDF's pages as text with places, read in a child process with limits (see `pdf_child`)."""

import subprocess
import sys
from typing import Final

import msgspec

from collectors.printed import pdf_child
from collectors.printed.errors import OverLimitError, PasswordError, UnreadablePdfError
from collectors.printed.page import Glyph, Page, page_of

MAX_MEMORY: Final = 1024 * 1024 * 1024
"""Bytes of address space that reading one file may take."""

_pages: Final = msgspec.json.Decoder(list[list[Glyph]])


def read_pages(data: bytes, *, max_pages: int, timeout_s: float, max_memory: int = MAX_MEMORY) -> tuple[Page, ...]:
    """Return the pages of a PDF.

    Raises
    ------
    UnreadablePdfError, PasswordError, OverLimitError
        By what the sender can do about it.
    """
    if not data.lstrip()[:5] == b"%PDF-":
        raise UnreadablePdfError
    limits = (str(max_pages), str(max(1, round(timeout_s))), str(max_memory))
    command = (sys.executable, "-P", "-m", pdf_child.__name__, *limits)
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise OverLimitError from error
    if done.returncode == pdf_child.PASSWORD:
        raise PasswordError
    if done.returncode == pdf_child.UNREADABLE:
        raise UnreadablePdfError
    if done.returncode != pdf_child.READ:
        raise OverLimitError
    return tuple(page_of(glyphs) for glyphs in _pages.decode(done.stdout))
