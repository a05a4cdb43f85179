"""A department's console and who sits before it, without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.roles import Role
from tests.accounts import CHEAP, PASSWORD, MovableClock
from tests.console_client import Visitor
from tests.console_fakes import FakeSite, department

SETTINGS = HttpSettings(site_name="Test hospital", time_zone="Europe/London")
QC_FORM = "/devices/dxa-1/do/daily-qc"


@pytest.fixture
def site() -> FakeSite:
    return department()


@pytest.fixture
def users(tmp_path: Path, clock: MovableClock) -> Iterator[UserStore]:
    store = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=CHEAP, waits_s=0.5)
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
