"""Every address of the console that changes something: its token, who may, its methods and how long it may be.

The addresses come from the application itself: one that the table here does not name fails the test.
"""

from typing import Final

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from dashboards.app import create_app
from dashboards.console.catalogue import ACTIONS
from dashboards.users import UserStore
from streams.roles import Role
from tests.accounts import PASSWORD, clock
from tests.console_client import Visitor
from tests.console_fakes import FakeDemo, FakeSite
from tests.integration.console_rig import SETTINGS, site, users, visitor

__all__ = ["clock", "site", "users", "visitor"]  # fixtures, used by their names

ANYBODY: Final = "-"
"""Needs no sign-in."""

INITIALS: Final = {"O": "operator", "P": "physicist", "E": "engineer", "M": "manager", "S": "service", "A": "admin"}
ALL: Final = "OPEMSA"

FORMS: Final = {
    "start-check": "OP",
    "measure-patient": "OP",
    "end-session": "OP",
    "enter-check": "OP",
    "enter-measurement": "OP",
    "daily-qc": "OP",
    "phantom-scan": "OP",
    "accept-baseline": "P",
    "baseline-from-history": "P",
    "release-qc": "P",
    "decide-review": "P",
    "withdraw-decision": "P",
    "record-commissioning": "OP",
    "sign-off": "P",
    "review-step": "P",
    "duty-done": "OPES",
    "hand-over": "OP",
    "hand-back": "OPE",
    "decide-return": "OP",
    "remote-service": "OP",
    "verify-measurement": "P",
    "override": "OP",
    "end-override": "OP",
    "log-fault": "OPE",
    "clear-fault": "PE",
    "retire": "PA",
    "log-entry": "OPEM",
    "comment": "OPEM",
    "report-incident": "OPEM",
    "close-incident": "PM",
}
"""Who may send which form of a device."""

POSTS: Final = {
    "/sign-in": ANYBODY,
    "/wall/open": ANYBODY,
    "/acknowledge": ANYBODY,
    "/sign-out": ALL,
    "/alerts/{alert_id:str}/acknowledge": "OPEMA",
    "/reviews/decide": "P",
    "/people/{change:str}": "A",
    "/before-the-scan": "OP",
    "/devices/{device_id:str}/measurements/{event_id:str}/release": "P",
    "/devices/{device_id:str}/log/{item_id:str}/file": "OPEM",
    "/devices/{device_id:str}/do/{slug:str}": "",
}
"""Who may send what to which address; the forms of a device stand above."""

DEMONSTRATION: Final = {"/demo/sign-in", "/demo/run"}
"""Of a demonstration only: see `test_console_access.py`."""


def writing(app: Litestar) -> dict[str, set[str]]:
    """Return the console's routes that are more than read, with their methods."""
    return {
        route.path: {str(method) for method in route.methods} - {"GET", "HEAD", "OPTIONS"}
        for route in app.routes
        if isinstance(route, HTTPRoute)
        and not route.path.startswith(("/api/", "/fhir"))
        and route.methods - {"GET", "HEAD", "OPTIONS"}
    }


def address(path: str) -> str:
    """Return an address under a route."""
    for name, value in (("alert_id", "a1"), ("change", "add"), ("device_id", "dxa-1"), ("event_id", "e1")):
        path = path.replace(f"{{{name}:str}}", value)
    return path.replace("{item_id:str}", "i1")


EVERY: Final = {
    **{address(path): who for path, who in POSTS.items() if who},
    **{f"/devices/dxa-1/do/{slug}": who for slug, who in FORMS.items()},
}
"""Each address that is sent to, and who may."""


def test_every_address_that_changes_something_is_in_the_table(site: FakeSite, users: UserStore) -> None:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, demo=FakeDemo(site))
    assert writing(app) == {path: {"POST"} for path in {*POSTS, *DEMONSTRATION}}
    assert set(ACTIONS) == set(FORMS)


@pytest.mark.parametrize("role", INITIALS)
def test_each_role_may_send_what_is_its_own_and_nothing_else(
    visitor: Visitor, site: FakeSite, users: UserStore, role: str
) -> None:
    visitor.sign_in(f"The {INITIALS[role]}", PASSWORD)
    token = visitor.token()
    last = {"/sign-out", "/sign-in"}
    answers = {path: visitor.post(path, token=token) for path in sorted(EVERY, key=lambda one: (one in last, one))}
    refused = {path for path, answer in answers.items() if "may not do this" in answer.text}
    assert refused == {path for path, who in EVERY.items() if who != ANYBODY and role not in who}
    assert {answers[path].status_code for path in refused} <= {403}
    assert not {answer.status_code for answer in answers.values()} & {405, 500}
    assert not site.commands
    assert len(users.users()) == len(Role)


def test_who_is_not_signed_in_is_told_so_and_changes_nothing(visitor: Visitor, site: FakeSite) -> None:
    for path, who in EVERY.items():
        answer = visitor.post(path)
        assert (answer.status_code == 401 and "not signed in" in answer.text) == (who != ANYBODY), path
    assert not site.commands


@pytest.mark.parametrize("token", ["", "0" * 128, "é"])
def test_without_the_token_of_its_form_nothing_is_taken(visitor: Visitor, site: FakeSite, token: str) -> None:
    visitor.sign_in("The physicist", PASSWORD)
    for path in EVERY:
        assert visitor.post(path, token=token).status_code in {400, 403}, path
    assert visitor.get("/devices/dxa-1").status_code == 200
    assert not site.commands


def test_the_token_of_another_visitor_is_none(visitor: Visitor, site: FakeSite, users: UserStore) -> None:
    with TestClient(create_app(site=site, readings=site, users=users, settings=SETTINGS)) as client:
        others = Visitor(client).token()
    visitor.sign_in("The physicist", PASSWORD)
    for path in EVERY:
        assert visitor.post(path, token=others).status_code == 403, path


def test_no_other_method_gets_through(visitor: Visitor, site: FakeSite) -> None:
    visitor.sign_in("The physicist", PASSWORD)
    headers = {"x-csrf-token": visitor.token()}
    for path in EVERY:
        for method in ("PUT", "PATCH", "DELETE"):
            assert visitor.client.request(method, path, headers=headers).status_code == 405, (method, path)
    assert not site.commands


def test_a_form_beyond_its_length_is_refused_everywhere(visitor: Visitor, site: FakeSite) -> None:
    visitor.sign_in("The physicist", PASSWORD)
    token = visitor.token()
    for path in EVERY:
        too_long = "x" * (10_100_000 if path.endswith("/file") else 70_000)
        assert visitor.post(path, token=token, note=too_long).status_code == 413, path
    assert not site.commands
