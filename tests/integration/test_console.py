"""The console without a browser: who may see and do what, and what a refusal looks like."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from litestar.testing import TestClient

from dashboards.access.lockout import FAILURES_ALLOWED
from dashboards.app import create_app
from dashboards.auth import SESSION_COOKIE
from dashboards.console.catalogue import ACTIONS
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import (
    AcceptBaseline,
    ClearFault,
    DecideReview,
    EnterPhantomScan,
    EnterVendorQc,
    LogFault,
    OverrideGate,
    ReleaseQc,
    RetireDevice,
)
from streams.messages import BypassDetected, BypassEvidence, Person, Reason, ReasonCode
from streams.policy import Enforcement
from streams.roles import Role
from streams.site import EventConflictError, SiteUnavailableError
from tests.console_client import Visitor
from tests.console_fakes import (
    FAILED,
    MISSING,
    NOW,
    FakeDemo,
    FakeSite,
    department,
    held_gate,
    open_gate,
    phantom,
    scanner,
)

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
SETTINGS = HttpSettings(site_name="Test hospital", time_zone="Europe/London")
QC_FORM = "/devices/dxa-1/do/daily-qc"


class MovableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def site() -> FakeSite:
    return department()


@pytest.fixture
def users(tmp_path: Path, clock: MovableClock) -> Iterator[UserStore]:
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    store = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=hasher, waits_s=0.5)
    for role in Role:
        store.add_user(f"The {role.value}", role, PASSWORD)
    yield store
    store.close()


@pytest.fixture
def visitor(site: FakeSite, users: UserStore, clock: MovableClock) -> Iterator[Visitor]:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=clock)
    with TestClient(app) as client:
        yield Visitor(client)


@pytest.fixture
def operator(visitor: Visitor) -> Visitor:
    assert visitor.sign_in("The operator", PASSWORD).status_code == 303
    return visitor


@pytest.fixture
def physicist(visitor: Visitor) -> Visitor:
    assert visitor.sign_in("The physicist", PASSWORD).status_code == 303
    return visitor


# --- what the board says -----------------------------------------------------------------------------------


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


def test_an_unknown_device_or_form_is_a_page_that_says_so(physicist: Visitor) -> None:
    for path in ("/devices/nope", "/devices/nope/do/daily-qc", "/devices/dxa-1/do/nope", "/devices/dxa-1/parts/nope"):
        answer = physicist.get(path)
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]


# --- signing in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/devices/dxa-1", QC_FORM, "/devices/dxa-1/parts/gate"])
def test_pages_behind_the_board_lead_to_sign_in_and_back(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).headers["location"] == f"/sign-in?next={path}"
    assert visitor.sign_in("The operator", PASSWORD, path).headers["location"] == path


@pytest.mark.parametrize("there", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_sign_in_leads_nowhere_else(visitor: Visitor, there: str) -> None:
    assert visitor.sign_in("The operator", PASSWORD, there).headers["location"] == "/"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.sign_in("The operator", PASSWORD).headers["set-cookie"]
    assert SESSION_COOKIE in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()


def test_wrong_password_and_unknown_name_read_alike(visitor: Visitor) -> None:
    answers = [visitor.sign_in(name, "wrong horse battery") for name in ("The operator", "Nobody")]
    assert {answer.status_code for answer in answers} == {401}
    assert all("The name or the password is not right" in answer.text for answer in answers)
    assert SESSION_COOKIE not in visitor.client.cookies


def test_too_many_wrong_passwords_lock_the_name_out(visitor: Visitor) -> None:
    for _ in range(FAILURES_ALLOWED):
        visitor.sign_in("The operator", "wrong horse battery")
    answer = visitor.sign_in("The operator", PASSWORD)
    assert answer.status_code == 429
    assert "Try again after 08:00:00" in answer.text


def test_a_sign_in_that_finds_no_turn_says_to_try_again(visitor: Visitor, users: UserStore) -> None:
    with users._hashing.turn(), users._hashing.turn():
        answer = visitor.sign_in("The operator", PASSWORD)
    assert answer.status_code == 503
    assert "Try again in a few seconds." in answer.text
    assert visitor.sign_in("The operator", PASSWORD).status_code == 303


def test_a_session_ends_by_itself(operator: Visitor, clock: MovableClock) -> None:
    assert operator.get("/devices/dxa-1").status_code == 200
    clock.now += timedelta(hours=SETTINGS.session_hours)
    assert operator.get("/devices/dxa-1").headers["location"].startswith("/sign-in")


def test_signing_out_ends_the_session_on_the_server(operator: Visitor) -> None:
    token = operator.client.cookies[SESSION_COOKIE]
    assert operator.post("/sign-out").status_code == 303
    operator.client.cookies.set(SESSION_COOKIE, token)
    assert operator.get("/devices/dxa-1").status_code == 302


def test_signing_in_anew_ends_the_session_before(operator: Visitor) -> None:
    token = operator.client.cookies[SESSION_COOKIE]
    operator.sign_in("The physicist", PASSWORD)
    operator.client.cookies.set(SESSION_COOKIE, token, domain="testserver.local")
    assert operator.client.cookies[SESSION_COOKIE] == token
    assert operator.get("/devices/dxa-1").status_code == 302


# --- forms -------------------------------------------------------------------------------------------------


def test_the_daily_qc_is_recorded_with_performer_and_reviewer(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee", note="all well")
    assert answer.headers["location"] == "/devices/dxa-1?done=daily-qc"
    (command,) = site.commands
    assert isinstance(command, EnterVendorQc)
    assert command.actor == Person("The operator", "operator")
    assert (command.passed, command.reviewed_by, command.note) == (True, "Sam Lee", "all well")
    assert command.measured_at is None
    assert command.device == "bath/dxa-1"
    assert "Daily QC recorded." in operator.get(answer.headers["location"]).text


def test_an_earlier_time_is_read_in_the_sites_zone(operator: Visitor, site: FakeSite) -> None:
    operator.fill_in(QC_FORM, result="failed", reviewed_by="Sam Lee", measured_at="2026-07-01T07:30")
    (command,) = site.commands
    assert isinstance(command, EnterVendorQc)
    assert command.measured_at is not None
    assert command.measured_at.isoformat() == "2026-07-01T06:30:00+00:00"


def test_a_time_that_the_clocks_skip_is_refused(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee", measured_at="2026-03-29T01:30")
    assert answer.status_code == 422
    assert not site.commands


def test_what_is_missing_is_named_beside_its_field_and_the_rest_is_kept(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, note="phantom on its side")
    assert answer.status_code == 422
    assert "Say whether the QC passed or failed" in answer.text
    assert 'href="#reviewed_by"' in answer.text
    assert "phantom on its side" in answer.text
    assert not site.commands


def test_a_stale_page_is_refused_and_keeps_what_was_typed(operator: Visitor, site: FakeSite) -> None:
    page = operator.get(QC_FORM).text
    site.change("dxa-1", gate=held_gate(FAILED))
    assert 'name="expected_device_seq" value="7"' in page
    answer = operator.fill_in(QC_FORM, expected_device_seq="7", result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 409
    assert "out of date" in answer.text
    assert 'value="Sam Lee"' in answer.text
    assert 'name="expected_device_seq" value="8"' in answer.text
    assert not site.commands


def test_a_refusal_keeps_the_request_id_and_a_new_form_has_another(operator: Visitor) -> None:
    first, second = operator.get(QC_FORM).text, operator.get(QC_FORM).text
    assert first != second
    answer = operator.fill_in(QC_FORM, request_id="a" * 32)
    assert f'value="{"a" * 32}"' in answer.text


def test_a_site_that_cannot_commit_says_that_nothing_was_recorded(operator: Visitor, site: FakeSite) -> None:
    site.fails_with = SiteUnavailableError("disk full")
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 503
    assert "Nothing was recorded" in answer.text
    assert 'value="Sam Lee"' in answer.text


def test_the_same_form_with_other_content_is_refused(operator: Visitor, site: FakeSite) -> None:
    site.fails_with = EventConflictError("e1")
    answer = operator.fill_in(QC_FORM, request_id="a" * 32, result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 409
    assert f'value="{"a" * 32}"' not in answer.text


@pytest.mark.parametrize("bmd", ["", "abc", "nan", "inf", "-1", "0", "5", "1e999"])
def test_a_bmd_that_is_no_bmd_is_refused(operator: Visitor, site: FakeSite, bmd: str) -> None:
    answer = operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-5678", bmd_g_cm2=bmd)
    assert answer.status_code == 422
    assert not site.commands


def test_a_phantom_scan_by_hand(operator: Visitor, site: FakeSite) -> None:
    operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-5678", bmd_g_cm2="1,0231", repeat="yes")
    (command,) = site.commands
    assert isinstance(command, EnterPhantomScan)
    assert (command.phantom_id, command.bmd_g_cm2, command.repeat) == ("SPINE-5678", 1.0231, True)


def test_a_phantom_of_another_scanner_is_refused(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-1234", bmd_g_cm2="1.0")
    assert answer.status_code == 422
    assert not site.commands


def test_decisions_of_a_physicist(physicist: Visitor, site: FakeSite) -> None:
    failed_chart = phantom("SPINE-5678", drift_open=True, failure_confirmed=True)
    site.views["dxa-2"] = scanner("dxa-2", "DXA2", "Prodigy", held_gate(FAILED), (failed_chart,))
    chosen = {"phantom_id": "SPINE-5678"}
    for slug, fields in {
        "accept-baseline": chosen | {"reason": "ten scans looked at"},
        "release-qc": chosen | {"cause": "cable loose, reseated"},
        "decide-review": {"review_id": "R00000000001", "verdict": "annotate", "decision": "real; service called"},
        "override": {"reason": "urgent patient", "advised_by": "self", "by_telephone": "yes"},
        "log-fault": {"text": "table squeaks", "stops_scanning": "no"},
        "retire": {"reason": "replaced"},
    }.items():
        assert physicist.fill_in(f"/devices/dxa-2/do/{slug}", **fields).status_code == 303, slug
    wanted = [AcceptBaseline, ReleaseQc, DecideReview, OverrideGate, LogFault, RetireDevice]
    assert [type(command) for command in site.commands] == wanted


@pytest.mark.parametrize(
    ("first", "last"), [("2026-06-01", "9999-12-31"), ("0001-01-01", "2026-06-01"), ("2026-06-01", "2201-01-01")]
)
def test_a_baseline_from_history_names_days_that_can_be(
    physicist: Visitor, site: FakeSite, first: str, last: str
) -> None:
    site.views["dxa-2"] = msgspec.structs.replace(site.views["dxa-2"], stage="commissioning")
    answer = physicist.fill_in(
        "/devices/dxa-2/do/baseline-from-history", phantom_id="SPINE-5678", first=first, last=last, reason="a year"
    )
    assert answer.status_code == 422
    assert "Enter a day between 1990 and 2200, such as 2026-06-01" in answer.text
    assert not site.commands


def test_a_fault_is_cleared_by_its_id(physicist: Visitor, site: FakeSite) -> None:
    physicist.fill_in("/devices/scale-1/do/clear-fault", fault_id="f1", text="display changed")
    (command,) = site.commands
    assert isinstance(command, ClearFault)
    assert (command.fault_id, command.text) == ("f1", "display changed")


def test_an_override_needs_what_the_site_says_it_needs(operator: Visitor, site: FakeSite) -> None:
    site.change("dxa-1", gate=held_gate(FAILED))
    answer = operator.fill_in("/devices/dxa-1/do/override", reason="Six patients wait")
    assert answer.status_code == 422
    assert "Name the physicist who advised it" in answer.text
    assert "Six patients wait" in answer.text
    assert not site.commands


@pytest.mark.parametrize("code", list(ReasonCode))
def test_an_override_is_offered_where_every_reason_may_be_overridden(
    operator: Visitor, site: FakeSite, code: ReasonCode
) -> None:
    site.change("dxa-1", gate=held_gate(FAILED, Reason(code, "as it is", "This clears it")))
    page, form = operator.get("/devices/dxa-1").text, operator.get("/devices/dxa-1/do/override").text
    may_be = code in {"state_unknown", "independent_overdue", "qc_failed", "verification_required"}
    assert ("do/override" in page) is may_be
    assert ("<form" in form[form.index("<main") :]) is may_be
    for text in (page, form):
        assert ("cannot be overridden: what clears it is listed above" in text) is not may_be
        assert text.count("cannot be overridden") <= 1
    assert may_be or "This clears it" in form


def test_a_hold_of_one_mode_bars_the_override_of_the_device(operator: Visitor, site: FakeSite) -> None:
    gates = {"spine": held_gate(FAILED), "forearm": held_gate(MISSING)}
    site.views["dxa-1"] = msgspec.structs.replace(site.views["dxa-1"], gate=held_gate(FAILED), gates=gates)
    assert "do/override" not in operator.get("/devices/dxa-1").text


def test_nobody_is_told_of_an_override_that_is_not_theirs_or_not_needed(visitor: Visitor, site: FakeSite) -> None:
    visitor.sign_in("The engineer", PASSWORD)
    assert "cannot be overridden" not in visitor.get("/devices/dxa-1").text
    visitor.sign_in("The operator", PASSWORD)
    assert "cannot be overridden" in visitor.get("/devices/dxa-1").text
    site.change("dxa-1", gate=open_gate())
    assert "cannot be overridden" not in visitor.get("/devices/dxa-1").text


def test_a_confirmed_failure_of_the_scanners_own_qc_can_be_released(physicist: Visitor, site: FakeSite) -> None:
    site.views["dxa-2"] = msgspec.structs.replace(
        site.views["dxa-2"],
        gate=held_gate(FAILED),
        vendor_qc_failure_confirmed=True,
        vendor_qc_passed_since_failure=True,
    )
    page = physicist.get("/devices/dxa-2").text
    assert "do/release-qc" in page
    assert "Failure confirmed; it has passed since" in page
    form = physicist.get("/devices/dxa-2/do/release-qc").text
    assert "The scanner&#39;s own QC" in form
    assert "SPINE-5678" not in form[form.index("<form", form.index("<main")) :]
    answer = physicist.fill_in("/devices/dxa-2/do/release-qc", phantom_id="manufacturer", cause="cable reseated")
    assert answer.status_code == 303
    (command,) = site.commands
    assert isinstance(command, ReleaseQc)
    assert (command.phantom_id, command.cause) == ("manufacturer", "cable reseated")


def test_an_override_ends_with_the_clinic_unless_told_otherwise(operator: Visitor, site: FakeSite) -> None:
    site.change("dxa-1", gate=held_gate(FAILED))
    assert 'value="16:30"' in operator.get("/devices/dxa-1/do/override").text


# --- who may not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", list(ACTIONS))
def test_nobody_acts_without_signing_in(visitor: Visitor, site: FakeSite, slug: str) -> None:
    answer = visitor.post(f"/devices/dxa-1/do/{slug}", expected_device_seq="7", request_id="a" * 32)
    assert answer.status_code == 401
    assert "Nothing was recorded" in answer.text
    assert not site.commands


@pytest.mark.parametrize(
    ("role", "slug"),
    [
        ("operator", "accept-baseline"),
        ("operator", "release-qc"),
        ("operator", "decide-review"),
        ("operator", "clear-fault"),
        ("operator", "retire"),
        ("engineer", "daily-qc"),
        ("engineer", "override"),
        ("manager", "log-fault"),
        ("service", "daily-qc"),
        ("admin", "override"),
    ],
)
def test_a_role_that_may_not_is_refused(visitor: Visitor, site: FakeSite, role: str, slug: str) -> None:
    visitor.sign_in(f"The {role}", PASSWORD)
    assert visitor.get(f"/devices/dxa-1/do/{slug}").status_code == 403
    answer = visitor.post(f"/devices/dxa-1/do/{slug}", expected_device_seq="7", request_id="a" * 32)
    assert answer.status_code == 403
    assert not site.commands
    assert f"do/{slug}" not in visitor.get("/devices/dxa-1").text


@pytest.mark.parametrize("token", ["", "0" * 128, "nonsense"])
def test_a_form_without_its_token_is_refused(operator: Visitor, site: FakeSite, token: str) -> None:
    answer = operator.post(QC_FORM, token=token, expected_device_seq="7", request_id="a" * 32, result="passed")
    assert answer.status_code == 403
    assert not site.commands


def test_another_kind_of_body_is_no_way_round_the_token(operator: Visitor, site: FakeSite) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answer = operator.client.post(QC_FORM, content=b'{"result": "passed"}', headers={"content-type": kind})
        assert answer.status_code == 403, kind
    assert not site.commands


def test_a_body_too_long_is_refused(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="x" * 100_000)
    assert answer.status_code == 413
    assert not site.commands


def test_signing_out_wants_the_token_too(operator: Visitor) -> None:
    assert operator.post("/sign-out", token="0" * 128).status_code == 403
    assert operator.get("/devices/dxa-1").status_code == 200


# --- the demonstration -------------------------------------------------------------------------------------


def test_outside_a_demonstration_its_routes_do_not_exist(visitor: Visitor) -> None:
    assert visitor.post("/demo/sign-in", role="physicist").status_code == 404
    assert visitor.post("/demo/run", name="fail-qc", device_id="dxa-1").status_code == 404
    assert "Make something happen" not in visitor.get("/").text
    assert "Choose a role" not in visitor.get("/sign-in").text


def test_a_role_is_not_given_to_a_visitor_from_elsewhere(site: FakeSite, users: UserStore) -> None:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, demo=FakeDemo(site))
    with TestClient(app, base_url="http://127.0.0.1") as client:  # its client is "testclient", no loopback address
        client.headers["x-forwarded-for"] = "127.0.0.1"
        answer = Visitor(client).post("/demo/sign-in", role="physicist")
    assert answer.status_code == 403
    assert SESSION_COOKIE not in client.cookies


def test_a_demonstrations_session_counts_for_nothing_outside_it(visitor: Visitor, users: UserStore) -> None:
    token = users.sessions.start("Demo physicist", Role.PHYSICIST, timedelta(hours=1))
    visitor.client.cookies.set(SESSION_COOKIE, token)
    assert visitor.get("/devices/dxa-1").status_code == 302
