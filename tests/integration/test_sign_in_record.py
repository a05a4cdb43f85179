"""Who signed in to the console, who tried to and who signed out stands on the record of use; of strangers nothing."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from litestar.testing import TestClient

from dashboards.app import create_app
from dashboards.audit.trail import AuditEntry, AuditError, MemoryTrail
from dashboards.auth import SESSION_COOKIE
from dashboards.users import UserStore
from tests.accounts import PASSWORD, MovableClock, clock
from tests.console_client import Visitor
from tests.console_fakes import FakeSite
from tests.integration.console_rig import SETTINGS, site, users

__all__ = ["clock", "site", "users"]  # fixtures, used by their names

WRONG = "wrong horse battery"


class Trail(MemoryTrail):
    """Cannot be written once it is full."""

    is_full = False

    def append(self, entry: AuditEntry) -> "Future[None]":
        if not self.is_full:
            return super().append(entry)
        failed: Future[None] = Future()
        failed.set_exception(AuditError("the record of use cannot be written: disk full"))
        return failed

    @property
    def told(self) -> list[tuple[str, str, str, int]]:
        return [(one.who, one.way, one.route, one.status) for one in self.entries]


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def visitor(site: FakeSite, users: UserStore, clock: MovableClock, trail: Trail) -> Iterator[Visitor]:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=clock, audit=trail)
    with TestClient(app) as client:
        yield Visitor(client)


def test_signing_in_and_out_stands_there_by_name_and_address(visitor: Visitor, trail: Trail) -> None:
    visitor.sign_in(" the  OPERATOR ", PASSWORD)
    visitor.post("/sign-out")
    assert trail.told == [
        ("The operator", "password", "/sign-in", 303),
        ("The operator", "session", "/sign-out", 303),
    ]
    assert {one.address for one in trail.entries} == {"testclient"}


def test_a_wrong_password_stands_there_for_an_account_open_or_closed_and_no_more_once_locked(
    visitor: Visitor, users: UserStore, trail: Trail
) -> None:
    users.disable("The engineer")
    visitor.sign_in("The engineer", PASSWORD)
    for _ in range(8):
        visitor.sign_in("The operator", WRONG)
    failed = ("password", "/sign-in", 401)
    assert trail.told == [("The engineer", *failed), *[("The operator", *failed)] * 5]


def test_of_names_that_are_nobodys_and_of_forms_without_a_token_nothing_is_kept(visitor: Visitor, trail: Trail) -> None:
    for name in (WRONG, "", "x" * 500, "Nobody"):
        assert visitor.sign_in(name, PASSWORD).status_code == 401
    visitor.post("/sign-in", token="0" * 128, name="The operator", password=PASSWORD)
    visitor.post("/sign-out")
    assert trail.entries == []


def test_nothing_that_was_typed_stands_there(visitor: Visitor, trail: Trail) -> None:
    visitor.sign_in("The operator", WRONG, "/devices/dxa-1")
    visitor.sign_in("The operator", PASSWORD, "/devices/dxa-1")
    assert len(trail.entries) == 2
    assert not any(text in repr(trail.entries) for text in (WRONG, PASSWORD, "/devices"))


def test_a_record_that_cannot_be_written_keeps_nobody_from_the_gates(visitor: Visitor, trail: Trail) -> None:
    trail.is_full = True
    assert visitor.sign_in("The operator", WRONG).status_code == 401
    assert visitor.sign_in("The operator", PASSWORD).status_code == 303
    assert SESSION_COOKIE in visitor.client.cookies
    assert visitor.get("/devices/dxa-1").status_code == 200
    assert visitor.post("/sign-out").status_code == 303


def test_what_cannot_be_put_on_record_is_told_to_a_person_as_a_page(visitor: Visitor, trail: Trail) -> None:
    visitor.sign_in("The operator", PASSWORD)
    trail.is_full = True
    for answer in (visitor.get("/measurements"), visitor.post("/before-the-scan", accession_number="ACC-1")):
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/html")
        assert "Nothing is answered: the record of use cannot be written now" in answer.text
        assert "Sign out" in answer.text


def test_the_audit_page_says_it(visitor: Visitor) -> None:
    visitor.sign_in("The operator", WRONG)
    visitor.sign_in("The manager", PASSWORD)
    page = visitor.get("/audit").text
    assert "Sign-in, refused (401)" in page
    assert "password from testclient" in page
