"""Taking an alert: by the link in a message, on the page, over the API."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from alerts.desk import Desk
from alerts.queue import Queue
from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings
from dashboards.app import create_app
from dashboards.audit.trail import MemoryTrail
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.roles import Permission, Role, may
from tests.accounts import CHEAP, PASSWORD
from tests.alert_rig import CONSOLE, Clock, Wire, alert, deliverer, keep, links, note, tell
from tests.console_client import TOKEN, Visitor
from tests.console_fakes import department

SETTINGS = HttpSettings(site_name="Test hospital", api=ApiSettings(unknown_requests_a_minute=0))


@dataclass
class Rig:
    """A console with two alerts, of one of which Anna Example was told; the other went to Ben Example."""

    client: TestClient[Litestar]
    queue: Queue
    desk: Desk
    users: UserStore
    clock: Clock
    trail: MemoryTrail
    mail: Wire

    @property
    def link(self) -> str:
        """The path and query of the link in the newest message."""
        word = next(word for word in self.mail.taken[-1].text.split() if word.startswith(CONSOLE))
        return word.removeprefix(CONSOLE)

    def press(self, path: str) -> httpx.Response:
        """Open a link and press its button."""
        page = self.client.get(path)
        assert page.status_code == 200, page.text
        found = TOKEN.search(page.text)
        assert found is not None
        token = parse_qs(urlsplit(path).query)["token"][0]
        return self.client.post("/acknowledge", data={"_csrf_token": found[1], "token": token})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with serving(tmp_path, SETTINGS) as found:
        yield found


@contextmanager
def serving(folder: Path, settings: HttpSettings) -> Iterator[Rig]:
    """A console for the length of a block."""
    clock, site, trail, mail = Clock(), department(), MemoryTrail(), Wire()
    users = UserStore(folder / "users.sqlite", clock=clock, hasher=CHEAP)
    for role in Role:
        users.add_user(f"The {role.value}", role, PASSWORD)
    with Queue(folder) as queue:
        keep(queue, alert("alert-1"), alert("alert-2"))
        tell(queue, note("n2", "Ben Example", alerts=("alert-2",)), note("n1"))
        deliverer(queue, {"mail": mail}, clock).deliver("mail")
        mail.taken.sort(key=lambda one: one.person, reverse=True)  # Anna's is the newest
        desk = Desk(queue, links(), unreached_s=600.0, clock=clock)
        app = create_app(
            site=site, readings=site, users=users, settings=settings, clock=clock, audit=trail, alerts=desk
        )
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Rig(client, queue, desk, users, clock, trail, mail)
    users.close()


def taken_by(rig: Rig, id_: str = "alert-1") -> str:
    view = rig.desk.view(id_)
    assert view is not None
    return view.alert.acknowledged_by


# --- by link -------------------------------------------------------------------------------------------------


def test_looking_at_a_link_takes_nothing_however_often_a_mail_scanner_does(rig: Rig) -> None:
    for _ in range(5):
        page = rig.client.get(rig.link)
        assert page.status_code == 200
        assert rig.client.head(rig.link).status_code in {200, 405}
    assert "Scanner DXA1 is not cleared" in page.text
    assert "I, Anna Example, am dealing with it" in page.text
    assert taken_by(rig) == ""


def test_the_button_takes_the_alert_in_the_name_of_whom_the_message_went_to_without_sign_in(rig: Rig) -> None:
    answer = rig.press(rig.link)
    assert answer.status_code == 200
    assert "It is on record that <strong>Anna Example</strong> deals with it" in answer.text
    assert taken_by(rig) == "Anna Example"
    assert taken_by(rig, "alert-2") == "", "a link takes the alerts of its own message"


def test_a_link_serves_once_and_says_so(rig: Rig) -> None:
    token = parse_qs(urlsplit(rig.link).query)["token"][0]
    rig.press(rig.link)
    for answer in (rig.client.get(rig.link), post(rig, token)):
        assert answer.status_code == 410
        assert "This link was used before; Anna Example is dealing with it" in answer.text


def test_an_expired_link_is_refused_and_says_so(rig: Rig) -> None:
    link, token = rig.link, parse_qs(urlsplit(rig.link).query)["token"][0]
    rig.clock.pass_(hours=24, seconds=1)
    for answer in (rig.client.get(link), post(rig, token)):
        assert answer.status_code == 410
        assert "This link has expired" in answer.text
    assert taken_by(rig) == ""


@pytest.mark.parametrize("token", ["", "x", "eyJhIjoxfQ.AAAA", "a" * 5000])
def test_a_link_that_nobody_made_is_refused(rig: Rig, token: str) -> None:
    answer = rig.client.get("/acknowledge", params={"token": token})
    assert answer.status_code == 410
    assert "This link is not right" in answer.text


def test_a_link_counts_for_its_own_message_and_person_and_for_this_sites_key_alone(rig: Rig) -> None:
    now = rig.clock.now
    for forged in (
        links().link("n2", "Anna Example", now),  # signed, of another's message
        links().link("n3", "Anna Example", now),  # of none
        type(links())("another key", CONSOLE, timedelta(hours=1)).link("n1", "Anna Example", now),
    ):
        assert rig.client.get(forged.removeprefix(CONSOLE)).status_code == 410
    body, dot, signature = rig.link.rpartition(".")
    assert rig.client.get(f"{body}{dot}{signature[::-1]}").status_code == 410
    assert (taken_by(rig), taken_by(rig, "alert-2")) == ("", "")


def test_a_press_that_did_not_come_from_the_page_is_refused(rig: Rig) -> None:
    token = parse_qs(urlsplit(rig.link).query)["token"][0]
    assert rig.client.post("/acknowledge", data={"token": token}).status_code == 403
    assert taken_by(rig) == ""


def test_what_somebody_else_has_taken_is_told(rig: Rig) -> None:
    rig.desk.acknowledge("alert-1", "The operator")
    answer = rig.press(rig.link)
    assert "The operator has taken it already" in answer.text
    assert taken_by(rig) == "The operator"


def test_strangers_are_counted_and_every_use_is_on_record_without_the_link_itself(tmp_path: Path) -> None:
    settings = HttpSettings(site_name="Test hospital", api=ApiSettings(unknown_requests_a_minute=3))
    with serving(tmp_path, settings) as rig:
        token = parse_qs(urlsplit(rig.link).query)["token"][0]
        rig.press(rig.link)
        statuses = [rig.client.get("/acknowledge", params={"token": "x"}).status_code for _ in range(3)]
        assert statuses == [410, 429, 429]
        entries = [(one.method, one.route, one.status, one.subject) for one in rig.trail.entries]
        subject = {"message": "n1", "person": "Anna Example"}
        assert entries[:2] == [("GET", "/acknowledge", 200, subject), ("POST", "/acknowledge", 200, subject)]
        assert token not in str(rig.trail.entries)


def post(rig: Rig, token: str) -> httpx.Response:
    """Press the button of a page that was opened before."""
    visitor = Visitor(rig.client)
    return rig.client.post("/acknowledge", data={"_csrf_token": visitor.token(), "token": token})


# --- on the page ---------------------------------------------------------------------------------------------


def test_the_page_shows_what_is_open_who_was_told_and_who_takes_it(rig: Rig) -> None:
    visitor = Visitor(rig.client)
    visitor.sign_in("The operator", PASSWORD)
    page = visitor.get("/alerts").text
    assert "2 alerts are open, nobody deals with any of them yet" in page
    assert "Anna Example" in page
    assert "medical physics, 2345" in page
    answer = visitor.post("/alerts/alert-1/acknowledge")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?done=taken")
    page = visitor.get("/alerts").text
    assert "<strong>The operator</strong> deals with it" in page
    assert "nobody deals with 1 of them yet" in page
    assert visitor.post("/alerts/alert-1/acknowledge").status_code == 409


def test_taking_an_alert_on_the_page_goes_on_record(rig: Rig) -> None:
    visitor = Visitor(rig.client)
    visitor.sign_in("The operator", PASSWORD)
    visitor.post("/alerts/alert-1/acknowledge")
    used = [(one.who, one.method, one.route, one.status, one.subject) for one in rig.trail.entries]
    route = "/alerts/{alert_id}/acknowledge"
    assert used[1:] == [("The operator", "POST", route, 303, {"alert_id": "alert-1"})]


def test_the_board_says_that_alerts_are_open_to_everybody_and_names_nobody(rig: Rig) -> None:
    board = rig.client.get("/").text
    assert "2 alerts are open, nobody deals with any of them yet (2 urgent)" in board
    assert "Anna" not in board
    assert rig.client.get("/alerts", follow_redirects=False).status_code == 302


def test_what_reaches_nobody_is_shown_with_the_channel_that_does_not_work(rig: Rig) -> None:
    visitor = Visitor(rig.client)
    visitor.sign_in("The operator", PASSWORD)
    assert "cannot be delivered" not in visitor.get("/alerts").text
    keep(rig.queue, alert("alert-3"))
    tell(rig.queue, note("n3", alerts=("alert-3",)), at=rig.clock.now)
    deliverer(rig.queue, {"mail": Wire(why="the server is away")}, rig.clock).deliver("mail")
    rig.clock.pass_(minutes=11)
    page = visitor.get("/alerts").text
    assert "Alerts cannot be delivered" in page
    assert "<strong>Anna Example</strong> was not reached" in page
    assert "the server is away" in page


def test_the_board_is_shown_whatever_becomes_of_the_alerts(rig: Rig) -> None:
    rig.desk.failing = "alerts are not looked for: OSError"
    assert "Alerts are not looked for at the moment: rely on this board" in rig.client.get("/").text
    rig.desk.failing = ""
    rig.queue.close()
    board = rig.client.get("/")
    assert board.status_code == 200
    assert "Alerts cannot be read at the moment: rely on this board" in board.text


def test_a_site_without_alerts_has_no_such_page(tmp_path: Path) -> None:
    site, users = department(), UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    users.add_user("The operator", Role.OPERATOR, PASSWORD)
    with TestClient(create_app(site=site, readings=site, users=users, settings=SETTINGS)) as client:
        visitor = Visitor(client)
        visitor.sign_in("The operator", PASSWORD)
        assert visitor.get("/alerts").status_code == 404
        assert client.get("/acknowledge", params={"token": "x"}).status_code == 404
        assert "/alerts" not in visitor.get("/").text
    users.close()


# --- over the API --------------------------------------------------------------------------------------------


def basic(name: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{PASSWORD}'.encode()).decode()}"}


def test_the_api_lists_alerts_and_a_person_takes_one(rig: Rig) -> None:
    listed = rig.client.get("/api/v1/alerts", headers=basic("The manager")).json()
    assert [one["id"] for one in listed] == ["alert-1", "alert-2"]
    assert listed[0]["told"][0] | {"at": ""} == {"person": "Anna Example", "channel": "mail", "at": ""}
    path = "/api/v1/alerts/alert-1/acknowledgement"
    taken = rig.client.post(path, headers=basic("The manager"))
    assert (taken.status_code, taken.json()["acknowledged_by"]) == (200, "The manager")
    again = rig.client.post(path, headers=basic("The physicist"))
    assert (again.status_code, again.json()["detail"]) == (409, "The manager has taken it already.")
    assert rig.client.post("/api/v1/alerts/none/acknowledgement", headers=basic("The manager")).status_code == 404


@pytest.mark.parametrize("role", list(Role))
def test_who_may_take_an_alert_over_the_api_is_who_may_take_it_on_the_page(rig: Rig, role: Role) -> None:
    name = f"The {role.value}"
    status = rig.client.post("/api/v1/alerts/alert-1/acknowledgement", headers=basic(name)).status_code
    assert status == (200 if may(role, Permission.ACKNOWLEDGE_ALERT) else 403)


def test_a_program_reads_alerts_by_its_scope_and_takes_none(rig: Rig) -> None:
    token = rig.users.tokens.create("Pager", [Scope.ALERTS_READ, Scope.ALERTS_ACKNOWLEDGE], timedelta(days=1))
    header = {"Authorization": f"Bearer {token}"}
    assert len(rig.client.get("/api/v1/alerts", headers=header).json()) == 2
    assert rig.client.post("/api/v1/alerts/alert-1/acknowledgement", headers=header).status_code == 403
    other = rig.users.tokens.create("Booking", [Scope.GATES_READ], timedelta(days=1))
    assert rig.client.get("/api/v1/alerts", headers={"Authorization": f"Bearer {other}"}).status_code == 403
