"""The HTTP API over a department in memory, with a route that is linked to patients and a list in pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.testing import TestClient

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings, OpenIdSettings
from dashboards.app import create_app
from dashboards.audit.trail import AuditTrail, MemoryTrail
from dashboards.auth import Visit
from dashboards.context import Console
from dashboards.errors import answer_error
from dashboards.manner.paging import Cursor, PageLimit
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.measurements import Measurements
from streams.roles import Role
from tests.accounts import CHEAP, PASSWORD, MovableClock
from tests.console_fakes import FakeSite, department

ROWS: Final = tuple(range(10))


@get("/patients/{accession:str}", **needs(Scope.MEASUREMENTS_READ, patient_linked=True), sync_to_thread=False)
def read_patient(accession: FromPath[str], name: FromQuery[str | None] = None) -> list[str]:
    """Something linked to a patient."""
    del name
    if accession != "ACC1":
        raise LookupError(accession)
    return ["1.0"]


@get("/rows", **needs(Scope.QC_READ), sync_to_thread=False)
def list_rows(
    console: NamedDependency[Console],
    request: Visit,
    cursor: Cursor = None,
    limit: PageLimit = 3,
    above: FromQuery[int] = -1,
) -> Response[list[int]]:
    """A list in pages."""
    after = console.cursors.after(request, cursor)
    begins = max(above, int(after[0]) if after else -1)
    rows: Sequence[int] = [row for row in ROWS if row > begins][: limit + 1]
    return console.cursors.page(request, rows, limit, place=lambda row: [row], shown=lambda row: row)


@get("/news", **needs(Scope.QC_READ), sync_to_thread=False)
def stream_news() -> Stream:
    """Something in pieces."""
    return Stream(iter(["one", "two"]), media_type="text/event-stream")


@get("/forgotten", include_in_schema=False, sync_to_thread=False)
def forgotten() -> list[int]:
    """Something that does not say who may use it."""
    return [1]


EXTRA: Final = Router(
    path="/api/v1/test",
    route_handlers=[read_patient, list_rows, stream_news, forgotten],
    exception_handlers={Exception: answer_error},
)


class Rig:
    """An application, its people and tokens, and what it put on record."""

    def __init__(
        self,
        folder: Path,
        *,
        api: ApiSettings,
        openid: OpenIdSettings,
        trail: AuditTrail | None,
        public: bool,
        measurements: Measurements | None = None,
    ) -> None:
        self.clock = MovableClock()
        self.site: FakeSite = department()
        self.trail = MemoryTrail()
        self.users = UserStore(folder / "users.sqlite", hasher=CHEAP, clock=self.clock)
        for name, role in {
            "Dr M Expert": Role.PHYSICIST,
            "Pat Nurse": Role.OPERATOR,
            "Eng Ineer": Role.ENGINEER,
        }.items():
            self.users.add_user(name, role, PASSWORD)
        self.app: Litestar = create_app(
            site=self.site,
            readings=self.site,
            users=self.users,
            settings=HttpSettings(site_name="Test hospital", public_status=public, api=api, openid=openid),
            clock=self.clock,
            audit=trail or self.trail,
            measurements=measurements,
        )
        self.app.register(EXTRA)

    def token(self, *scopes: Scope, name: str = "Booking", lasts: timedelta = timedelta(days=1)) -> dict[str, str]:
        """The header of a new token."""
        return {"Authorization": f"Bearer {self.users.tokens.create(name, scopes, lasts)}"}


@contextmanager
def serving(
    folder: Path,
    *,
    api: ApiSettings | None = None,
    openid: OpenIdSettings | None = None,
    trail: AuditTrail | None = None,
    public: bool = True,
    measurements: Measurements | None = None,
) -> Iterator[tuple[Rig, TestClient[Litestar]]]:
    """An application for the length of a block, and a client of it."""
    rig = Rig(
        folder,
        api=api or ApiSettings(),
        openid=openid or OpenIdSettings(),
        trail=trail,
        public=public,
        measurements=measurements,
    )
    with TestClient(rig.app, raise_server_exceptions=False) as client:
        yield rig, client
    rig.users.close()
