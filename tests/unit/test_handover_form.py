"""The handover form as it is printed: what stands in it at each stage, on no more than two pages."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from msgspec.structs import replace

from dashboards.paper.handover_form import handover_form
from streams.equipment_log import Handover
from streams.messages import (
    Affected,
    EquipmentHandedBack,
    EquipmentHandedOver,
    HandoverForm,
    Person,
    ReturnDecided,
    ServiceKind,
)
from tests.console_fakes import NOW, department
from tests.folding import ENGINEER, OPERATOR, PHYSICIST

VIEWS = {view.id: view for view in department().devices()}
OVER = EquipmentHandedOver(
    "Ab12Cd34", HandoverForm.CONTROLLED_AREA, "table stuck", OPERATOR, ENGINEER.name, "Invented Ltd", "mind the arm"
)
UNSAFE_DOSE = Affected(dose=True, image_quality=False, safety=False, measurement=False)
BACK = EquipmentHandedBack(
    "Ab12Cd34", ENGINEER.name, "belt", UNSAFE_DOSE, is_working=True, recorded_by=ENGINEER, report="SR-1"
)
FIRST = Handover("e1", NOW, OVER)
SECOND = replace(FIRST, back_at=NOW + timedelta(hours=1), back=BACK)
THIRD = replace(
    SECOND, decided_at=NOW + timedelta(hours=2), decision=ReturnDecided("Ab12Cd34", returns=True, decided_by=PHYSICIST)
)
YES, NO = "\u2612 Yes", "\u2612 No"


def printed(handover: Handover | None, device: str = "dxa-1") -> str:
    """The text of the form, in one line; it has at most two pages."""
    form = handover_form(
        VIEWS[device], handover, site_name="Invented Hospital", zone=ZoneInfo("America/New_York"), now=NOW
    )
    document = pypdfium2.PdfDocument(form)
    assert len(document) <= 2
    text = " ".join(page.get_textpage().get_text_bounded() for page in document)
    document.close()
    return " ".join(text.split())


def test_a_blank_form_names_the_device_and_decides_nothing() -> None:
    text = printed(None)
    for said in ("Radiation controlled area", "Invented Hospital", "Hologic", "Horizon W", "300123", "not that form"):
        assert said in text
    assert text.count("\u2612") == 1  # QC before use is no choice
    assert text.count("Signature") == 4


def test_a_scale_has_the_general_form() -> None:
    text = printed(None, "scale-1")
    assert "Radiation controlled area" not in text
    assert "Controlled area" not in text
    assert "Equipment handover" in text
    assert "a check with every standard must pass" in text


def test_the_first_stage_leaves_the_others_blank() -> None:
    text = printed(FIRST)
    for said in ("\u2612 Breakdown", "02:45, 20 November 2026", "Oz Operator, operator", "mind the arm", "Ab12Cd34"):
        assert said in text  # the time in the site's zone: NOW is 07:45 UTC
    assert "\u2610 Operational \u2610 Operational with limits \u2610 Not operational" in text
    assert "\u2610 It returns" in text


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_every_reason_has_its_tick(kind: ServiceKind) -> None:
    words = {
        ServiceKind.BREAKDOWN: "Breakdown",
        ServiceKind.PLANNED_MAINTENANCE: "Planned maintenance",
        ServiceKind.UPGRADE: "Upgrade",
        ServiceKind.INSTALLATION: "Installation",
    }
    text = printed(replace(FIRST, over=replace(OVER, kind=kind)))
    assert [word for word in words.values() if f"\u2612 {word}" in text] == [words[kind]]


def test_the_second_stage_says_what_could_be_affected_and_how_the_engineer_signed() -> None:
    text = printed(SECOND)
    assert text.count(YES) == 4  # dose; the controlled area over and back; QC before use
    assert text.count(NO) == 3
    assert "\u2612 Operational \u2610" in text
    assert "Signed in to Bonewatch, 03:45, 20 November 2026" in text
    on_screen = printed(replace(SECOND, back=replace(BACK, recorded_by=OPERATOR, is_working=False)))
    assert "recorded by Oz Operator, operator" in " ".join(on_screen.split())
    assert "\u2612 Not operational" in on_screen


def test_the_third_stage_says_who_decided_and_when_the_qc_had_passed() -> None:
    text = printed(THIRD)
    assert "\u2612 It returns" in text
    assert "Pat Physicist, physicist" in text
    assert "in clinical use from" not in text
    done = printed(replace(THIRD, verified_at=NOW + timedelta(hours=3)))
    assert "in clinical use from 05:45, 20 November 2026" in done
    stays = ReturnDecided("Ab12Cd34", returns=False, decided_by=PHYSICIST, note="waits for parts")
    out = printed(replace(THIRD, decision=stays))
    assert "\u2612 It stays out of use" in out
    assert "waits for parts" in out


def test_the_longest_texts_fit_two_pages() -> None:
    long = ("Nothing moves. " * 40)[:500]
    name = Person("N" * 60, "physicist")
    printed(
        replace(
            THIRD,
            fault=long,
            over=replace(OVER, reason=long, hazards=long, engineer="E" * 120, company="C" * 200),
            back=replace(BACK, work_done=long, report="R" * 200, engineer="E" * 120),
            decision=ReturnDecided("Ab12Cd34", returns=False, decided_by=name, note=long),
        )
    )


@pytest.mark.parametrize("name", ["Łukasz Żółć", "Ñuño Ångström", "Ελένη Νικολάου", "Олена Коваль", "Nguyễn Văn"])
def test_names_in_many_alphabets_are_printed(name: str) -> None:
    assert name in printed(replace(FIRST, over=replace(OVER, engineer=name)))


@pytest.mark.parametrize("text", ["王小明 said so", "broken \U0001f622", "tab\there\x00", "line\nbreak"])
def test_letters_that_the_font_lacks_do_not_stop_the_form(text: str) -> None:
    assert "Invented Hospital" in printed(replace(FIRST, over=replace(OVER, reason=text)))
