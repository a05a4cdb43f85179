"""Pages beside the board: people, the audit, measurements, comments, the wall's way in, what charts cost."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dashboards.access.scopes import Scope
from dashboards.auth import SCREEN_COOKIE
from dashboards.console.people import CHANGES
from dashboards.console.typed import Typed
from streams.messages import MeasurementReleased
from streams.roles import Role
from tests.accessible_site import AccessibleSite
from tests.accounts import PASSWORD
from tests.console_client import Visitor


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessibleSite]:
    site = AccessibleSite(tmp_path_factory.mktemp("site"))
    yield site
    site.end()


@pytest.fixture
def visitor(made: AccessibleSite) -> Iterator[Visitor]:
    with httpx.Client(base_url=made.url, timeout=30) as client:
        yield Visitor(client)


def signed_in(visitor: Visitor, role: Role) -> Visitor:
    assert visitor.sign_in(f"The {role.value}", PASSWORD).status_code == 303
    return visitor


def navigation(page: str) -> list[str]:
    return re.findall(
        r'<li><a href="[^"]+"[^>]*>([^<]+)</a></li>', page[page.index('id="places"') : page.index("</nav>")]
    )


def test_the_navigation_holds_what_the_role_may_use_and_marks_the_page(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.ADMIN).get("/people").text
    assert navigation(page) == [
        "Status",
        "Reviews",
        "Due work",
        "Uptime",
        "Alerts",
        "Log",
        "Audit",
        "People",
        "Reports",
    ]
    assert '<a href="/people" aria-current="page">' in page
    page = signed_in(visitor, Role.ENGINEER).get("/devices/dxa-1").text
    assert navigation(page) == ["Status", "Reviews", "Due work", "Handed to me", "Uptime", "Alerts", "Log", "Reports"]
    assert '<a href="/" aria-current="true">' in page
    assert "Measurements" in navigation(signed_in(visitor, Role.OPERATOR).get("/").text)
    assert 'id="places"' not in visitor.client.get("/wall").text


# --- people --------------------------------------------------------------------------------------------------


def test_an_administrator_adds_a_person_gives_a_password_and_closes_the_account(
    visitor: Visitor, made: AccessibleSite
) -> None:
    signed_in(visitor, Role.ADMIN)
    added = visitor.fill_in("/people/add", name="Nia Example", role="operator", password="a long enough one")
    assert added.headers["location"] == "/people?done=add"
    page = visitor.get("/people").text
    assert "Nia Example" in page
    assert "Has not signed in" in page
    assert visitor.sign_in("Nia Example", "a long enough one").status_code == 303
    signed_in(visitor, Role.ADMIN)
    [nia] = [one for one in made.users.users() if one.name == "Nia Example"]
    assert nia.last_sign_in is not None
    visitor.fill_in("/people/password?name=Nia+Example", password="another long one", name="Nia Example")
    assert made.users.verify("Nia Example", "another long one").enabled
    assert visitor.fill_in("/people/close?name=Nia+Example").status_code == 303
    assert visitor.sign_in("Nia Example", "another long one").status_code == 401


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "", "role": "operator", "password": "a long enough one"}, "Type the person"),
        ({"name": "The operator", "role": "operator", "password": "a long enough one"}, "account named The operator"),
        ({"name": "Nia", "role": "king", "password": "a long enough one"}, "Choose a role"),
        ({"name": "Nia", "role": "operator", "password": "short"}, "at least 12 characters"),
    ],
)
def test_what_is_missing_is_said_and_no_password_comes_back(
    visitor: Visitor, fields: dict[str, str], said: str
) -> None:
    answer = signed_in(visitor, Role.ADMIN).fill_in("/people/add", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert fields["password"] not in answer.text.replace("password", "")


def test_nobody_closes_their_own_account(visitor: Visitor, made: AccessibleSite) -> None:
    answer = signed_in(visitor, Role.ADMIN).fill_in("/people/close?name=The+admin")
    assert answer.status_code == 422
    assert "another administrator" in answer.text
    assert made.users.account("The admin") is not None


def test_nobody_is_offered_to_close_their_own_account(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.ADMIN).get("/people").text
    assert "/people/close?name=The%20admin" not in page
    assert "/people/close?name=The%20operator" in page


def test_of_two_administrators_who_close_each_other_the_second_is_told_why_not(made: AccessibleSite) -> None:
    made.users.add_user("Second Admin", Role.ADMIN, PASSWORD)
    second = made.users.sessions.find(made.users.sign_in("Second Admin", PASSWORD, timedelta(hours=1)))
    assert second is not None
    made.users.disable("Second Admin", keep=Role.ADMIN)  # by the other, after the second one's request was let in
    console = made.app.state.console
    typed = Typed({"name": "The admin"}, console.time)
    CHANGES["close"].carry_out(console, second, typed)
    assert "last administrator" in typed.errors["name"]
    assert made.users.account("The admin") is not None


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_others_neither_see_nor_change_accounts(visitor: Visitor, made: AccessibleSite, role: Role) -> None:
    signed_in(visitor, role)
    assert visitor.get("/people").status_code == 403
    assert visitor.get("/people/add").status_code == 403
    assert visitor.post("/people/close", name="The admin").status_code == 403
    assert made.users.account("The admin") is not None


# --- the audit -----------------------------------------------------------------------------------------------


def test_the_audit_says_who_saw_which_measurements_and_who_recorded_what(
    visitor: Visitor, made: AccessibleSite
) -> None:
    signed_in(visitor, Role.OPERATOR).get("/measurements")
    signed_in(visitor, Role.ADMIN).fill_in("/people/password?name=The+service", password=PASSWORD)
    page = signed_in(visitor, Role.MANAGER).get("/audit").text
    assert "GET /measurements" in page
    assert "2 measurements shown: " in page
    assert all(row.event_id in page for row in made.measurements.rows)
    assert "person The service" in page
    assert "Oil ordered" in page
    one = visitor.get("/audit?person=The+operator").text
    assert "GET /measurements" in one
    assert "Oil ordered" not in one
    device = visitor.get("/audit?device=dxa-1").text
    assert "Oil ordered" in device
    assert "GET /measurements" not in device
    assert "Nothing is on record for this" in visitor.get("/audit?day=2020-01-01").text
    assert "uses follow each other" in visitor.get("/audit?verify=true").text


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "0001-01-01"])
def test_a_day_that_is_none_is_refused(visitor: Visitor, day: str) -> None:
    assert signed_in(visitor, Role.MANAGER).get(f"/audit?day={day}").status_code == 400
    assert visitor.get(f"/measurements?day={day}").status_code == 400


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.PHYSICIST, Role.ENGINEER, Role.SERVICE])
def test_the_audit_is_for_managers_and_administrators(visitor: Visitor, role: Role) -> None:
    assert signed_in(visitor, role).get("/audit").status_code == 403


# --- measurements --------------------------------------------------------------------------------------------


def test_a_day_of_measurements_says_what_is_withheld_and_why_and_names_nobody(
    visitor: Visitor, made: AccessibleSite
) -> None:
    page = signed_in(visitor, Role.OPERATOR).get("/measurements").text
    assert "1 validated, 1 withheld" in page
    assert "Withheld: QC missing" in page
    assert "1.nobody" not in page
    assert "/release" not in page
    assert "ACC-WITHHELD" not in visitor.get("/measurements?status=validated").text
    made.measurements.is_away = True
    away = visitor.get("/measurements")
    made.measurements.is_away = False
    assert away.status_code == 503
    assert "the database does not answer" in away.text


def test_a_physicist_releases_what_was_withheld_with_what_the_record_holds(
    visitor: Visitor, made: AccessibleSite
) -> None:
    path = f"/devices/dxa-1/measurements/{made.withheld_id}/release"
    assert signed_in(visitor, Role.OPERATOR).get(path).status_code == 403
    signed_in(visitor, Role.PHYSICIST)
    assert path in visitor.get("/measurements").text
    assert visitor.fill_in(path, reason=" ").status_code == 422
    answer = visitor.fill_in(path, reason="QC was done and not sent")
    assert answer.status_code == 303
    [item] = made.readings.equipment_log.items("dxa-1", limit=1)
    assert isinstance(item.matter, MeasurementReleased)
    assert item.matter.measured.accession_number == "ACC-3"
    assert visitor.get("/devices/dxa-2/measurements/" + made.withheld_id + "/release").status_code == 404


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.SERVICE, Role.ADMIN])
def test_who_may_not_read_measurements_does_not(visitor: Visitor, role: Role) -> None:
    assert signed_in(visitor, role).get("/measurements").status_code == 403


# --- comments ------------------------------------------------------------------------------------------------


def test_a_comment_on_a_verdict_stands_beside_it_and_leads_back(visitor: Visitor, made: AccessibleSite) -> None:
    signed_in(visitor, Role.OPERATOR)
    verdict = [one for one in made.readings.qc("dxa-2") if one.bmd_g_cm2 is not None][-1]
    path = f"/devices/dxa-2/do/comment?about={verdict.subject_event_id}"
    assert path.replace("&", "&amp;") in visitor.get("/devices/dxa-2").text
    assert verdict.phantom_id in visitor.get(path).text
    before = made.readings.qc("dxa-2")
    visitor.fill_in(path, text="Table was moved")
    page = visitor.get("/devices/dxa-2").text
    assert page.count("Table was moved") == 2  # beside the verdict, and among the latest comments
    assert made.readings.qc("dxa-2") == before


def test_a_comment_on_a_review_stands_on_its_page(visitor: Visitor, made: AccessibleSite) -> None:
    signed_in(visitor, Role.OPERATOR)
    page = visitor.get(f"/reviews/dxa-2/{made.review_id}").text
    found = re.search(r'href="(/devices/dxa-2/do/comment\?about=[^"]+)"', page)
    assert found is not None
    assert "CUSUM" in visitor.get(found[1]).text
    visitor.fill_in(found[1], text="New phantom holder")
    assert "New phantom holder" in visitor.get(f"/reviews/dxa-2/{made.review_id}").text


def test_an_entry_that_is_about_what_is_nowhere_shown_leads_nowhere(visitor: Visitor, made: AccessibleSite) -> None:
    signed_in(visitor, Role.OPERATOR)
    for item in made.readings.equipment_log.items("dxa-1"):
        page = visitor.get(f"/devices/dxa-1/log/{item.id}").text
        for address in re.findall(r'<dt>About</dt><dd><a href="([^"]+)"', page):
            assert visitor.get(address).status_code == 200


# --- the board -----------------------------------------------------------------------------------------------


def test_the_board_counts_who_was_scanned_today_without_a_name(visitor: Visitor) -> None:
    page = visitor.get("/").text
    assert "2 patients, 3 scans" in page
    assert "1 patient, 1 scan" in page
    assert "nobody yet" in page
    assert "ACC-" not in page


def test_what_a_chart_costs_is_said_in_words(visitor: Visitor) -> None:
    # SD 0.5 % is sigma: the CUSUM's published ARL0 of 465 and ARL1 of 10.4 scans (Montgomery, table 9.3), seven a week
    page = " ".join(signed_in(visitor, Role.PHYSICIST).get("/devices/dxa-1").text.split())
    assert "7 scans a week" in page
    cusum = page[page.index("<strong>CUSUM, k 0.5, h 5.") :]
    assert "False alarms while the scanner is well: 0.8 a year." in cusum  # 365.25 / 465
    assert "of 0.5 % is noticed after 10 days" in cusum  # 10.4 scans of one a day


def open_wall(visitor: Visitor, token: str) -> httpx.Response:
    return visitor.client.post("/wall/open", data={"_csrf_token": visitor.token(), "token": token})


def test_a_screen_opens_the_wall_with_a_token_and_nothing_else(tmp_path: Path) -> None:
    made = AccessibleSite(tmp_path, public_status=False)
    try:
        with httpx.Client(base_url=made.url, timeout=30) as client:
            visitor = Visitor(client)
            assert visitor.get("/wall").headers["location"] == "/wall/open"
            right = made.users.tokens.create("Wall", [Scope.GATES_READ], timedelta(days=30))
            wrong = made.users.tokens.create("Other", [Scope.QC_READ], timedelta(days=30))
            assert open_wall(visitor, wrong).status_code == 401
            assert open_wall(visitor, "guessed").status_code == 401
            more = made.users.tokens.create("More", [Scope.GATES_READ, Scope.ACTIONS_WRITE], timedelta(days=30))
            refused = open_wall(visitor, more)
            assert (refused.status_code, "opens more than the wall" in refused.text) == (422, True)
            assert more not in refused.text
            assert SCREEN_COOKIE not in client.cookies
            opened = open_wall(visitor, right)
            assert opened.headers["location"] == "/wall"
            assert "HttpOnly" in opened.headers["set-cookie"]
            assert "Scanner DXA1" in visitor.get("/wall").text
            assert visitor.get("/parts/board?wall=true").status_code == 200
            for path in ("/devices/dxa-1", "/reviews", "/people", "/measurements", "/api/v1/devices"):
                assert visitor.get(path).status_code in {302, 401}, path
            made.users.tokens.revoke("Wall")
            assert visitor.get("/wall").status_code == 302
            assert SCREEN_COOKIE in client.cookies
    finally:
        made.end()
