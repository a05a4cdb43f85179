"""The QC card as it is printed: limits, room for two mornings, lines for patients by number; nobody's name."""

from zoneinfo import ZoneInfo

import pypdfium2
from msgspec.structs import replace

from dashboards.paper.qc_card import qc_card
from streams.readings import DeviceView
from tests.console_fakes import NOW, department

VIEWS = {view.id: view for view in department().devices()}


def printed(view: DeviceView) -> str:
    """The text of the card, in one line; it is one page."""
    document = pypdfium2.PdfDocument(
        qc_card(view, site_name="Invented Hospital", zone=ZoneInfo("America/New_York"), now=NOW)
    )
    assert len(document) == 1
    text = document[0].get_textpage().get_text_bounded()
    document.close()
    return " ".join(text.split())


def test_the_card_has_the_limits_in_force_and_room_for_two_mornings_and_their_repeats() -> None:
    view = VIEWS["dxa-1"]
    (phantom, *_) = view.phantoms
    text = printed(replace(view, phantoms=(replace(phantom, lower=0.98765, upper=1.01234, epoch=3),)))
    assert text.count("0.9877 to 1.0123") == 4
    assert text.count("Limits of epoch 3") == 4
    assert text.count("Repeat with repositioning") == 2
    assert text.count("Request (accession) number") == 10
    assert "direct RIS entry" in text


def test_a_phantom_without_a_baseline_has_no_limits_to_pass() -> None:
    view = VIEWS["dxa-1"]
    (phantom, *_) = view.phantoms
    text = printed(replace(view, phantoms=(replace(phantom, lower=None, upper=None, epoch=None),)))
    assert text.count("No baseline: do not scan patients, ring") == 4
    assert "inside" not in text
