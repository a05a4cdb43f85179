"""The console without a browser: what the board and a device's page say."""

import re
from typing import Final

import pytest

from streams.messages import BypassDetected, BypassEvidence, Reason, ReasonCode
from streams.policy import Enforcement
from tests.accounts import clock
from tests.console_client import Visitor
from tests.console_fakes import FAILED, MISSING, NOW, FakeSite, held_gate, open_gate, phantom, scanner
from tests.integration.console_rig import operator, physicist, site, users, visitor

__all__ = ["clock", "operator", "physicist", "site", "users", "visitor"]  # fixtures, used by their names


def test_the_board_says_who_may_scan_why_not_and_whom_to_ring(visitor: Visitor) -> None:
    board = visitor.get("/").text
    assert "1 of 2 scanners is clear to scan" in board
    assert "Do not scan patients on Scanner DXA1" in board
    assert "QC has not been reported today" in board
    assert "Run the daily QC" in board
    assert "01225 428 331" in board
    assert "Clear to scan until 23:59 today" in board
    assert "08:30" in board
    assert "in 45 minutes" in board
    assert "/devices/dxa-1/do/daily-qc" in board


def test_the_board_shows_an_override_with_its_name_and_end(visitor: Visitor, operator: Visitor, site: FakeSite) -> None:
    site.change("dxa-1", gate=held_gate(FAILED))
    operator.fill_in("/devices/dxa-1/do/override", reason="Six patients wait", until="12:00", advised_by="Dr M Expert")
    board = visitor.get("/").text
    assert "Override: clear to scan until 12:00 today" in board
    assert "The operator" in board


def bypass(number: int, enforcement: Enforcement = Enforcement.WORKLIST) -> BypassDetected:
    return BypassDetected(
        subject_event_id=f"e{number}",
        evidence=BypassEvidence.SCAN_STARTED,
        at=NOW,
        accession_number=f"RK9-{number:07}",
        mode="",
        reasons=(ReasonCode.QC_MISSING,),
        enforcement=enforcement,
    )


def test_patients_scanned_past_a_held_gate_are_told_and_their_requests_only_to_staff(
    visitor: Visitor, physicist: Visitor, site: FakeSite
) -> None:
    site.bypassed("dxa-1", bypass(1), bypass(2))
    board = visitor.get("/").text
    assert "2 patients were scanned while it was held" in board
    assert "RK9-0000001" not in board
    page = physicist.get("/devices/dxa-1").text
    assert "RK9-0000001" in page
    assert "Held by QC missing; the scanner said that it began" in page


def test_in_shadow_only_the_device_s_page_tells(visitor: Visitor, physicist: Visitor, site: FakeSite) -> None:
    site.bypassed("dxa-1", bypass(1, Enforcement.SHADOW))
    assert "scanned while it was held" not in visitor.get("/").text
    assert "In shadow: nobody was told not to scan" in physicist.get("/devices/dxa-1").text


def test_the_wall_shows_the_board_without_anything_to_press(visitor: Visitor) -> None:
    wall = visitor.get("/wall").text
    assert "Do not scan patients" in wall
    assert "Enter daily QC" not in wall


def test_a_part_of_the_board_is_no_whole_page(visitor: Visitor) -> None:
    part = visitor.get("/parts/board").text
    assert "Do not scan patients" in part
    assert "<html" not in part


def test_text_from_elsewhere_is_escaped(visitor: Visitor, site: FakeSite) -> None:
    odd = scanner("dxa-1", "DXA1", "<script>alert(1)</script>", open_gate(), (phantom("SPINE-1234"),))
    site.views["dxa-1"] = odd
    assert "<script>alert" not in visitor.get("/").text


def test_the_device_page_shows_chart_phantoms_verdicts_and_actions(physicist: Visitor) -> None:
    page = physicist.get("/devices/dxa-2").text
    for wanted in ('data-phantom="SPINE-5678"', "Latest verdicts", "Duties and phantoms", "do/decide-review", "signal"):
        assert wanted in page


@pytest.mark.parametrize("days", ["-1", "0", "36525", "999999999", "9" * 30])
def test_any_span_of_the_chart_is_shown(physicist: Visitor, days: str) -> None:
    assert physicist.get(f"/devices/dxa-1?days={days}").status_code == 200


def test_an_unknown_device_or_form_is_a_page_that_says_so(physicist: Visitor) -> None:
    for path in ("/devices/nope", "/devices/nope/do/daily-qc", "/devices/dxa-1/do/nope", "/devices/dxa-1/parts/nope"):
        answer = physicist.get(path)
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]


SINCE_REPAIR: Final = Reason(
    ReasonCode.VERIFICATION_REQUIRED, "Scanner's own QC: no pass since the repair", "Run every QC again"
)


@pytest.mark.parametrize(("reason", "is_asked"), [(MISSING, True), (SINCE_REPAIR, True), (FAILED, False)])
def test_the_daily_qc_is_the_main_button_only_where_it_is_what_is_asked_for(
    site: FakeSite, operator: Visitor, reason: Reason, *, is_asked: bool
) -> None:
    site.change("dxa-1", gate=held_gate(reason))
    board = operator.get("/").text
    (link,) = re.findall(r'<a class="([^"]+)" href="/devices/dxa-1/do/daily-qc"', board)
    assert ("nhsuk-button--secondary" not in link) == is_asked
