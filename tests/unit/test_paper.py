"""Sheets of paper: nothing overlaps, nothing is too high for a page, no letter vanishes."""

from datetime import UTC, datetime

import pypdfium2
import pytest

from dashboards.paper.tables import Paper
from dashboards.reports.saying import number

MADE = datetime(2027, 3, 1, tzinfo=UTC)


def pages_of(paper: Paper) -> list[str]:
    document = pypdfium2.PdfDocument(paper.bytes())
    pages = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return pages


def test_a_long_name_is_broken_before_its_value_and_the_next_pair_stands_below() -> None:
    paper = Paper("Title", "Foot", MADE)
    paper.pairs((("A name that is much longer than the room there is for it", "the value"), ("Next", "below")))
    document = pypdfium2.PdfDocument(paper.bytes())
    text = document[0].get_textpage()
    whole = text.get_text_range()

    def box(words: str) -> tuple[float, float, float, float]:
        start = whole.index(words)
        boxes = [text.get_charbox(start + n) for n in range(len(words))]
        return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)

    assert box("A name that is much longer")[2] < box("the value")[0]
    assert box("Next")[3] < box("room there is for it")[1]
    document.close()


def test_a_row_too_high_for_a_page_goes_on_in_the_next() -> None:
    paper = Paper("Title", "Foot", MADE)
    paper.grid(("When", "What"), [("now", "\n".join(f"line {n}." for n in range(120)))], widths=(30, 100))
    pages = pages_of(paper)
    assert len(pages) == 3
    assert [n for n in range(120) if not any(f"line {n}." in page for page in pages)] == []
    assert all("What" in page for page in pages)


def test_letters_that_the_fonts_lack_are_seen_to_be_missing() -> None:
    paper = Paper("Title", "Foot", MADE)
    paper.text_block("Dr \u4e2d\u6587\tand \u0141ucja\x07\u202e.")
    assert "Dr \u25a1\u25a1 and \u0141ucja." in pages_of(paper)[0]


@pytest.mark.parametrize(("value", "said"), [(-0.001, "+0.00"), (0.0, "+0.00"), (-0.006, "-0.01"), (1.005, "+1.00")])
def test_nothing_has_no_minus(value: float, said: str) -> None:
    assert number(value, 2, sign=True) == said
