"""How often one person may look patients up: so often within an hour, told in plain words, on record."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from litestar.testing import TestClient

from dashboards.access.limits import HourlyLimit
from dashboards.app import create_app
from dashboards.audit.trail import MemoryTrail
from dashboards.users import UserStore
from tests.accounts import PASSWORD, MovableClock, clock
from tests.console_client import Visitor
from tests.console_fakes import NOW, FakeSite
from tests.fake_measurements import FakeMeasurements
from tests.integration.console_rig import SETTINGS, site, users

__all__ = ["clock", "site", "users"]  # fixtures, used by their names

TRAIL = MemoryTrail()


@pytest.fixture
def visitor(site: FakeSite, users: UserStore, clock: MovableClock) -> Iterator[Visitor]:
    TRAIL.entries.clear()
    app = create_app(
        site=site,
        readings=site,
        users=users,
        settings=SETTINGS,
        clock=clock,
        audit=TRAIL,
        measurements=FakeMeasurements("bath/dxa-2", "e1", "bath/dxa-1", "e2"),
    )
    with TestClient(app) as client:
        visitor = Visitor(client)
        visitor.sign_in("The operator", PASSWORD)
        yield visitor


def look_up(visitor: Visitor, token: str) -> int:
    return visitor.post("/before-the-scan", token=token, accession_number="ACC-NOBODY").status_code


def test_one_person_looks_up_120_patients_an_hour_and_no_more(visitor: Visitor, clock: MovableClock) -> None:
    token = visitor.token()
    assert {look_up(visitor, token) for _ in range(120)} == {200}
    answer = visitor.post("/before-the-scan", token=token, accession_number="ACC-NOBODY")
    assert answer.status_code == 429
    assert "You have looked patients up 120 times within an hour" in answer.text
    assert "Try again after 08:45:00" in answer.text
    assert "ACC-NOBODY" not in answer.text
    assert [(one.who, one.status) for one in TRAIL.entries][-1] == ("The operator", 429)
    visitor.sign_in("The operator", PASSWORD)
    assert look_up(visitor, visitor.token()) == 429, "a new session is the same person"
    visitor.sign_in("The physicist", PASSWORD)
    assert look_up(visitor, visitor.token()) == 200
    clock.now += timedelta(hours=1)
    visitor.sign_in("The operator", PASSWORD)
    assert look_up(visitor, visitor.token()) == 200


def test_what_is_no_question_does_not_count(visitor: Visitor) -> None:
    token = visitor.token()
    assert {visitor.post("/before-the-scan", token=token).status_code for _ in range(121)} == {422}
    assert look_up(visitor, token) == 200


def test_days_of_measurements_are_shown_240_times_an_hour(visitor: Visitor) -> None:
    assert {visitor.get("/measurements").status_code for _ in range(240)} == {200}
    answer = visitor.get("/measurements")
    assert answer.status_code == 429
    assert "240 times within an hour, the most allowed. Try again after 08:45:00." in answer.text
    assert "ACC-" not in answer.text


def test_a_limit_slides_by_the_time_of_each_use() -> None:
    limit = HourlyLimit(2)
    assert limit.count("a", NOW) is None
    assert limit.count("a", NOW + timedelta(minutes=40)) is None
    assert limit.count("a", NOW + timedelta(minutes=59)) == NOW + timedelta(hours=1)
    assert limit.count("a", NOW + timedelta(hours=1)) is None
    assert limit.count("a", NOW + timedelta(hours=1)) == NOW + timedelta(minutes=100)
