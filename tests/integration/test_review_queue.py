"""Reviews decided several at once: only those whose trend was opened, each by itself, a stale one refused."""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from itsdangerous import URLSafeSerializer
from litestar.testing import TestClient
from msgspec.structs import replace

from dashboards.app import create_app
from dashboards.console.log_words import said
from dashboards.console.viewed import COUNTS_FOR
from dashboards.users import UserStore
from streams.commands import DecideReview
from streams.equipment_log import LogKind
from streams.messages import ReviewVerdict
from streams.roles import Role
from tests.accessible_site import AccessibleSite
from tests.accounts import PASSWORD, MovableClock, clock
from tests.console_client import Visitor
from tests.console_fakes import FakeSite, review
from tests.integration.console_rig import SETTINGS, site, users

__all__ = ["clock", "site", "users"]  # fixtures, used by their names

PROOF = re.compile(r'name="viewed" type="checkbox" value="([^"]+)"')
TREND = "/reviews/dxa-2/R00000000001/trend"


@pytest.fixture
def queue(site: FakeSite, users: UserStore, clock: MovableClock) -> Iterator[Visitor]:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=clock)
    second = replace(review("bath/dxa-2", "SPINE-5678"), review_id="R00000000002", text="DXA rules on SPINE-5678")
    site.views["dxa-2"] = replace(site.views["dxa-2"], reviews=(*site.views["dxa-2"].reviews, second))
    with TestClient(app) as client:
        visitor = Visitor(client)
        visitor.sign_in("The physicist", PASSWORD)
        yield visitor


def proof(visitor: Visitor, path: str = TREND) -> str:
    page = visitor.get(path)
    assert "trend__plot" in page.text
    found = PROOF.search(page.text)
    assert found is not None
    return unescape(found[1])


def decide(visitor: Visitor, *proofs: str, decision: str = "False alarm: room was cold") -> str:
    data = {"_csrf_token": visitor.token(), "decision": decision, "request_id": "a" * 32, "viewed": list(proofs)}
    return visitor.client.post("/reviews/decide", data=data, follow_redirects=False).text


def test_each_review_becomes_its_own_command_with_the_same_reasons(queue: Visitor, site: FakeSite) -> None:
    page = decide(queue, proof(queue), proof(queue, TREND.replace("001/", "002/")))
    assert "2 of 2 decided" in page
    asked = [command for command in site.commands if isinstance(command, DecideReview)]
    assert [one.review_id for one in asked] == ["R00000000001", "R00000000002"]
    assert {(one.verdict, one.decision) for one in asked} == {(ReviewVerdict.NONE, "False alarm: room was cold")}
    assert len({one.request_id for one in asked}) == 2


def test_a_device_that_changed_since_its_trend_was_shown_refuses(queue: Visitor, site: FakeSite) -> None:
    seen = proof(queue)
    site.change("dxa-2", gate=site.views["dxa-2"].gate)
    page = decide(queue, seen)
    assert "0 of 1 decided" in page
    assert "out of date" in page
    assert not site.commands


@pytest.mark.parametrize("made_up", ["R00000000001", "", "WyJhIl0.AAAA"])
def test_what_was_never_opened_is_not_decided(queue: Visitor, site: FakeSite, made_up: str) -> None:
    assert "Open the trend on this page first" in decide(queue, made_up)
    assert not site.commands


def test_nobody_decides_on_what_another_looked_at_nor_long_ago(
    queue: Visitor, site: FakeSite, users: UserStore, clock: MovableClock
) -> None:
    seen = proof(queue)
    users.add_user("Another physicist", Role.PHYSICIST, PASSWORD)
    queue.sign_in("Another physicist", PASSWORD)
    assert "shown to somebody else" in decide(queue, seen)
    queue.sign_in("The physicist", PASSWORD)
    clock.now += COUNTS_FOR + timedelta(minutes=1)
    assert "too long ago" in decide(queue, seen)
    assert not site.commands


def test_a_proof_from_before_the_clock_was_set_back_counts_no_longer(
    queue: Visitor, site: FakeSite, clock: MovableClock
) -> None:
    seen = proof(queue)
    clock.now -= timedelta(hours=1)
    assert "open it anew" in decide(queue, seen)
    assert not site.commands


def test_without_reasons_or_a_tick_nothing_is_decided(queue: Visitor, site: FakeSite) -> None:
    assert "Record your reasons" in decide(queue, proof(queue), decision=" ")
    assert "Open a trend, then tick" in decide(queue)
    assert not site.commands


def test_who_may_not_decide_gets_neither_proof_nor_form(queue: Visitor, site: FakeSite) -> None:
    seen = proof(queue)
    queue.sign_in("The manager", PASSWORD)
    assert PROOF.search(queue.get(TREND).text) is None
    assert "Record: nothing follows" not in queue.get("/reviews").text
    assert "may not do this" in decide(queue, seen)
    assert not site.commands


SECOND = TREND.replace("001/", "002/")


@pytest.mark.parametrize(
    ("place", "other"), [(1, "dxa-1"), (2, "R00000000002"), (3, 8), (4, "2026-11-21T00:00:00+00:00")]
)
def test_an_edited_proof_proves_nothing(queue: Visitor, site: FakeSite, place: int, other: object) -> None:
    payload, _, signature = proof(queue).rpartition(".")
    shown = json.loads(zlib.decompress(base64.urlsafe_b64decode(payload[1:] + "===")))
    shown[place] = other
    edited = base64.urlsafe_b64encode(json.dumps(shown).encode()).decode().rstrip("=")
    assert "Open the trend on this page first" in decide(queue, f"{edited}.{signature}")
    assert not site.commands


def test_what_the_same_secret_signed_for_something_else_proves_nothing(queue: Visitor, users: UserStore) -> None:
    forged = URLSafeSerializer(users.secret("viewed"), salt="itsdangerous").dumps(
        ["The physicist", "dxa-2", "R00000000001", 7, "2026-11-20T07:40:00+00:00"]
    )
    assert "Open the trend on this page first" in decide(queue, str(forged))


def test_two_proofs_of_one_review_are_one_decision_by_the_newer(queue: Visitor, site: FakeSite) -> None:
    older = proof(queue)
    site.change("dxa-2", gate=site.views["dxa-2"].gate)
    page = decide(queue, older, proof(queue), older)
    assert "1 of 1 decided" in page
    assert [one.review_id for one in site.commands if isinstance(one, DecideReview)] == ["R00000000001"]


def test_a_device_taken_from_the_configuration_does_not_hide_what_was_recorded(queue: Visitor, site: FakeSite) -> None:
    other = replace(site.views["dxa-2"], id="dxa-9", device="bath/dxa-9")
    site.views["dxa-9"], site.judged["dxa-9"] = other, site.judged["dxa-2"]
    seen = [proof(queue), proof(queue, TREND.replace("dxa-2", "dxa-9"))]
    del site.views["dxa-9"]
    page = decide(queue, *seen)
    assert "1 of 2 decided" in page
    assert "not configured any more" in page


def test_too_many_at_once_or_too_long_a_form_decides_nothing(queue: Visitor, site: FakeSite) -> None:
    assert "Decide at most 100 at once" in decide(queue, *(f"R{number}" for number in range(101)))
    assert "What was sent is too long" in decide(queue, *(f"R{number:020}" for number in range(5000)))
    assert not site.commands


@pytest.mark.parametrize("hostile", ["'\"><script>x</script>", "../../etc", "%00", "\u202e", "x" * 5000])
def test_a_hostile_id_is_answered_that_there_is_none(queue: Visitor, hostile: str) -> None:
    for path in (f"/reviews/dxa-2/{quote(hostile, safe='')}/trend", f"/reviews/{quote(hostile, safe='')}/R1"):
        answer = queue.get(path)
        assert answer.status_code == 404
        assert "<script>x" not in answer.text
    page = decide(queue, hostile)
    assert "Open the trend on this page first" in page
    assert "<script>x" not in page


def test_what_was_ticked_stays_ticked_where_the_reasons_are_missing(queue: Visitor, site: FakeSite) -> None:
    seen = proof(queue)
    page = decide(queue, seen, "made up", decision="")
    kept = re.findall(r'name="viewed" type="checkbox" value="([^"]+)" checked', page)
    assert [unescape(one) for one in kept] == [seen]
    assert "1 of 1 decided" in decide(queue, *map(unescape, kept))
    assert len(site.commands) == 1


def test_a_button_pressed_twice_says_that_it_is_recorded_and_another_decision_whose_it_is(tmp_path: Path) -> None:
    made = AccessibleSite(tmp_path)
    try:
        with httpx.Client(base_url=made.url, timeout=30) as client:
            visitor = Visitor(client)
            visitor.sign_in("The physicist", PASSWORD)
            seen = proof(visitor, f"/reviews/dxa-2/{made.review_id}/trend")
            assert "1 of 1 decided" in decide(visitor, seen)
            again = decide(visitor, seen)
            assert "1 of 1 decided" in again
            assert "Not recorded" not in again
            other = decide(visitor, seen, decision="Something else")
            assert "0 of 1 decided" in other
            assert "decided meanwhile by The physicist: Nothing follows" in other
        decisions = made.readings.equipment_log.items("dxa-2", kinds=(LogKind.DECISION,))
        assert sum("nothing follows" in said(one).title for one in decisions) == 1
    finally:
        made.end()


def test_on_the_real_record_one_of_two_decisions_is_stale_and_said_so(tmp_path: Path) -> None:
    made = AccessibleSite(tmp_path)
    try:
        with httpx.Client(base_url=made.url, timeout=30) as client:
            visitor = Visitor(client)
            visitor.sign_in("The physicist", PASSWORD)
            path = f"/reviews/dxa-2/{made.review_id}/trend"
            first, second = proof(visitor, path), proof(visitor, path)
            assert "1 of 1 decided" in decide(visitor, first)
            assert "decided meanwhile" in decide(visitor, second, decision="Other reasons")
        decided = made.readings.equipment_log.items("dxa-2", kinds=(LogKind.DECISION,))
        assert "nothing follows" in said(decided[0]).title
    finally:
        made.end()
