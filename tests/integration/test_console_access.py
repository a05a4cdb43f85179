"""Who may see and do what in the console: signing in, sessions, roles, tokens of forms, the demonstration."""

from datetime import timedelta

import pytest
from litestar.testing import TestClient

from dashboards.access.lockout import FAILURES_ALLOWED
from dashboards.app import create_app
from dashboards.auth import SESSION_COOKIE
from dashboards.console.catalogue import ACTIONS
from dashboards.users import UserStore
from streams.roles import Role
from tests.accounts import PASSWORD, MovableClock, clock
from tests.console_client import Visitor
from tests.console_fakes import FakeDemo, FakeSite
from tests.integration.console_rig import QC_FORM, SETTINGS, operator, site, users, visitor

__all__ = ["clock", "operator", "site", "users", "visitor"]  # fixtures, used by their names


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


def test_nobody_who_is_signed_in_is_asked_to_sign_in_by_a_page_that_is_not_there(operator: Visitor) -> None:
    assert "Sign in" not in operator.get("/nowhere").text
    assert "Sign out" in operator.get("/devices/dxa-9").text
    operator.client.cookies.clear()
    assert "Sign in" in operator.get("/").text


@pytest.mark.parametrize(
    ("method", "path", "title", "said"),
    [
        ("GET", "/nowhere", "Not found", "There is no such page."),
        ("GET", "/sign-out", "Not possible here", "This address does something else."),
        ("GET", "/devices/dxa-1?days=many", "This cannot be read", "Something in the address is missing or not right."),
        ("GET", "/audit", "Not allowed", "The role operator may not do this"),
        ("POST", "/sign-out", "Not recorded", "This form is out of date. Nothing was recorded."),
        ("POST", QC_FORM, "Not recorded", "This form is out of date. Nothing was recorded."),
    ],
)
def test_what_goes_wrong_is_said_in_plain_words(
    operator: Visitor, method: str, path: str, title: str, said: str
) -> None:
    page = operator.client.request(method, path, follow_redirects=False).text
    main = page[page.index("<main") : page.index("</main>")]
    assert f'<h1 class="form-page__title">{title}</h1>' in main
    assert said in main
    for jargon in ("CSRF", "Validation", "http", "Method", "Forbidden"):
        assert jargon not in main


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
