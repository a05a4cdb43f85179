"""How long a site's console takes to answer: every page that its menus lead to, with two years of a past to show."""

import re
import secrets
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import psycopg

from bonewatch.bench.dashboard_data import Sizes
from bonewatch.configuration.loading import parse
from bonewatch.configuration.sections import Config
from bonewatch.data_folder import USERS_FILE
from bonewatch.demo.history import Entry, ScannerStory, history
from bonewatch.site import Site
from dashboards.users import UserStore
from simulators.series import BmdSeries
from storage.connection import Database
from storage.errors import StorageError
from storage.opening import connect_to_running, database_of
from streams.roles import Role

AIM_MS: Final = 300.0
ROLES: Final = (Role.PHYSICIST, Role.ADMIN)
"""Between them they may see every page."""
CAUGHT_UP_WITHIN_S: Final = 300.0
PAGES: Final = (
    "/", "/wall", "/alerts", "/reviews", "/reviews/{review}", "/reviews/{review}/trend", "/due", "/uptime", "/log",
    "/measurements", "/before-the-scan", "/engineer", "/reports", "/reports/qa?device=dxa-3&month={month}",
    "/devices/dxa-3", "/devices/dxa-3/log", "/devices/dxa-3/what-if", "/devices/dxa-3/do/decide-review",
)  # fmt: skip
"""`{review}` is one that is open on the scanner that drifts, `{month}` the last whole one."""
PAGES_OF_ADMINS: Final = ("/audit", "/people")
_REVIEW: Final = re.compile(r"/reviews/(dxa-\d+/[^/\"?]+)/trend")
_TOKEN: Final = re.compile(r'name="_csrf_token" value="([0-9a-f]+)"')

_SITE: Final = """
[site]
id = "bench"
time_zone = "UTC"
[dicom]
port = 0
[http]
port = 0
[database]
enabled = true
[alerts]
console_url = "https://bench.example.org"
"""
_SCANNER: Final = """
[[device]]
id = "dxa-{n}"
kind = "scanner"
make = "Invented"
ae_title = "DXA{n}"
enforcement = "worklist"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-{n:04}"
[[clinic]]
device = "dxa-{n}"
days = ["mon", "tue", "wed", "thu", "fri"]
starts = "08:30"
ends = "16:30"
slot_minutes = 20
"""


class PageFigure(NamedTuple):
    """How long one page took until it was whole, at whoever asks in the same process."""

    page: str
    p50_ms: float
    p95_ms: float
    aim_ms: float = AIM_MS

    @property
    def is_within(self) -> bool:
        """Whether the aim is met."""
        return self.p95_ms < self.aim_ms


def page_figures(folder: Path, sizes: Sizes) -> list[PageFigure]:
    """Run a site with a past and ask for its pages, as a physicist who is signed in."""
    scanners, days = min(20, sizes.scanners), min(730, sizes.months * 30)
    config = parse(_SITE + "".join(_SCANNER.format(n=n) for n in range(1, scanners + 1)), "the benchmark's site")
    folder.mkdir()
    password = secrets.token_urlsafe(16)
    users = UserStore(folder / USERS_FILE)
    for role in ROLES:
        users.add_user(role.value, role, password)
    users.close()
    past = _past(config, scanners, days)
    site = Site(config, folder).start(iter(past))
    try:
        _caught_up(database_of(config.database, folder), len(past))
        with (
            httpx.Client(base_url=site.url, timeout=60.0) as physicist,
            httpx.Client(base_url=site.url, timeout=60.0) as admin,
        ):
            _sign_in(physicist, Role.PHYSICIST, password)
            _sign_in(admin, Role.ADMIN, password)
            return [*_timed(physicist, PAGES, sizes.asks), *_timed(admin, PAGES_OF_ADMINS, sizes.asks)]
    finally:
        site.stop()


def _past(config: Config, scanners: int, days: int) -> list[Entry]:
    """Two years of every scanner's phantom; every third drifts, so that there are reviews."""
    stories = tuple(
        ScannerStory(
            f"dxa-{n}",
            f"SPINE-{n:04}",
            BmdSeries(1.0, 0.35, 0.006 if n % 3 == 0 else 0.0, drift_from_day=days // 2, seed=n),
        )
        for n in range(1, scanners + 1)
    )
    return history(config.devices(), "bench", stories, datetime.now(UTC) - timedelta(hours=1), days=days)


def _caught_up(database: Database, events: int) -> None:
    """Wait until the database has every event that was imported."""
    until, count = time.monotonic() + CAUGHT_UP_WITHIN_S, 0
    while time.monotonic() < until:
        try:
            with connect_to_running(database) as db:
                ((count,),) = db.execute(b"SELECT count(*) FROM bonewatch.events").fetchall()
        except (StorageError, psycopg.errors.UndefinedTable):  # it is being made
            count = 0
        if count >= events:
            return
        time.sleep(0.5)
    raise RuntimeError(f"the database holds {count} of {events} events after {CAUGHT_UP_WITHIN_S:g} s")


def _sign_in(client: httpx.Client, role: Role, password: str) -> None:
    token = _TOKEN.search(client.get("/sign-in").text)
    if token is None:
        raise RuntimeError("the sign-in page has no form")
    fields = {"_csrf_token": token[1], "name": role.value, "password": password, "next": "/"}
    client.post("/sign-in", data=fields)


def _timed(client: httpx.Client, pages: Sequence[str], asks: int) -> Iterator[PageFigure]:
    review = _REVIEW.search(client.get("/reviews").text)
    if review is None:
        raise RuntimeError("no review is open: the drift of the invented scanners opened none")
    month = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    for page in pages:
        seconds = []
        for _ in range(asks):
            started = time.perf_counter()
            client.get(page.format(review=review[1], month=month)).raise_for_status()
            seconds.append(time.perf_counter() - started)
        cuts = statistics.quantiles(seconds, n=20, method="inclusive")
        yield PageFigure(page, 1e3 * cuts[9], 1e3 * cuts[18])
