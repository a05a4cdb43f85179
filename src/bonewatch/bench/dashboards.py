"""Dashboards with ten years of 400 scanners: how long every panel's question takes, and pages of the console.

The database is a private embedded PostgreSQL with fsync off, or one made on a server that is named (for TimescaleDB),
filled by SQL with invented data; one asker, warm cache.
Questions are asked with the rights of Grafana's role, rows fetched, times in the caller. Each choice of devices and
end of the time is another. The whole takes four to six minutes and 3 GB of the current folder, and shows how far it is.
"""

import json
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bonewatch.bench.dashboard_data import PARTS, PHANTOM, SCANNERS_OF_A_SITE, Sizes, began, fill
from bonewatch.bench.pages import PageFigure, page_figures
from dashboards.grafana.catalogue import boards
from dashboards.grafana.expansion import TimeRange, expand
from dashboards.grafana.queries import SqlQuery
from storage.connection import Db, open_connection
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

AIM_P95_MS: Final = 200.0
FULL: Final = Sizes(100, 120, 40)
SHORT: Final = Sizes(2, 5, 3)
LONG_ENOUGH_S: Final = 4.0
LEAST_ASKS: Final = 5
"""A question that has been asked for so long is asked no further, if it was asked so often."""
WIDE: Final = {"bonewatch-fleet", "bonewatch-faults", "bonewatch-reviews", "bonewatch-pipeline"}
"""Dashboards that one opens for every site; of the others one site, or one scanner."""

_SPANS: Final[Mapping[str, timedelta]] = {
    "now-24h": timedelta(hours=24),
    "now-14d": timedelta(days=14),
    "now-30d": timedelta(days=30),
    "now-90d": timedelta(days=90),
    "now-1y": timedelta(days=365),
}


class Asked(NamedTuple):
    """One way of asking a panel's question, and how long it took."""

    board: str
    query: str
    devices: str
    span: str
    daily: bool
    rows: int
    p50_ms: float
    p95_ms: float

    @property
    def is_usual(self) -> bool:
        """Whether it is what somebody sees who opens the dashboard, of any site or of all: the aim is for these."""
        return self.span == "as opened" and not self.daily


class Way(NamedTuple):
    """Which devices are chosen and over what time."""

    devices: str
    span: str
    length: timedelta


class Asking(NamedTuple):
    """A question in one of its ways, of the rows or of the view of days."""

    board: str
    query: SqlQuery
    way: Way
    daily: bool


def measure(sizes: Sizes, server: str = "", *, as_json: bool) -> int:
    """Run it, print the figures; 1 if a panel as it is opened misses the aim, or a page does.

    `server` is a PostgreSQL in which a database may be made; without one a private server is started.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended from outside: server and folder go with it
    with tempfile.TemporaryDirectory(prefix="bonewatch-bench-", dir=Path.cwd()) as folder:
        with _elsewhere(server) if server else _here(Path(folder) / "fleet") as db:
            asked = _panels(db, sizes)
        pages = page_figures(Path(folder) / "site", sizes)
    slow = [one for one in asked if one.is_usual and one.p95_ms >= AIM_P95_MS]
    missed = [page for page in pages if not page.is_within]
    if as_json:
        found = {"panels": [one._asdict() for one in asked], "pages": [one._asdict() for one in pages]}
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _print(sizes, asked, pages)
    return 1 if slow or missed else 0


@contextmanager
def _here(folder: Path) -> Iterator[Db]:
    """A database of a private server."""
    server = EmbeddedPostgres(folder)
    try:
        with server.connect() as db:
            db.execute("ALTER SYSTEM SET fsync = off")  # only filling is quicker for it
            db.execute("SELECT pg_reload_conf()")
            yield db
    finally:
        server.stop()


@contextmanager
def _elsewhere(server: str) -> Iterator[Db]:
    """A database made on a server for this and dropped afterwards."""
    name = f"bonewatch_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            with open_connection(make_conninfo(server, dbname=name)) as db:
                yield db
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _panels(db: Db, sizes: Sizes) -> list[Asked]:
    now = datetime.now(UTC)
    flavour = migrate(db).flavour
    with _progress() as shown:
        task = shown.add_task("filling", total=len(PARTS))
        for part in fill(db, sizes, now, flavour):
            shown.update(task, description=f"filling: {part}", advance=1)
        asking = list(_asking(sizes, now))
        task = shown.add_task("asking", total=len(asking))
        asked = []
        for one in asking:
            shown.update(task, description=f"asking: {one.query.name}, {one.way.devices}, {one.way.span}")
            asked.append(_ask(db, sizes, now, one))
            shown.advance(task)
        return asked


def _progress() -> Progress:
    """Return what tells how far it is, on standard error: figures alone go where they can be piped."""
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.completed}/{task.total} {task.description}"))
    return Progress(*columns, console=Console(stderr=True))


def _asking(sizes: Sizes, now: datetime) -> Iterator[Asking]:
    for board in boards():
        for query in board.sql:
            for way in _ways(board.uid, _SPANS[board.since], sizes, now):
                for daily in (False, True) if query.aggregate else (False,):
                    yield Asking(board.uid, query, way, daily)


def _ways(uid: str, opened: timedelta, sizes: Sizes, now: datetime) -> Iterator[Way]:
    whole = now - began(sizes, now)
    usual = "every device" if uid in WIDE else "one device" if uid == "bonewatch-scanner" else "one site"
    opened_as = "all sites" if usual == "every device" else usual
    yield Way(opened_as, "as opened", opened)
    yield Way(opened_as, "ten years", whole)
    if usual == "one site":
        yield Way("every device", "as opened", opened)


def _ask(db: Db, sizes: Sizes, now: datetime, one: Asking) -> Asked:
    rng = random.Random(f"{one.board}{one.query.name}")  # noqa: S311 - which devices are looked at
    db.execute("SET ROLE bonewatch_reader")
    db.execute("SET jit = off")  # as this role has it when it signs in, from migration 22 on
    seconds: list[float] = []
    rows = 0
    for _ in range(sizes.asks + 1):
        if sum(seconds) > LONG_ENOUGH_S and len(seconds) >= LEAST_ASKS:
            break
        until = now - timedelta(minutes=rng.randrange(60))
        chosen = _chosen(rng, one.board, one.way, sizes)
        question = one.query.aggregate if one.daily else one.query.sql
        expanded = expand(question, TimeRange(until - one.way.length, until), chosen)
        started = time.perf_counter()
        rows = len(db.execute(expanded.encode()).fetchall())
        seconds.append(time.perf_counter() - started)
    seconds = seconds[1:] or seconds  # the first finds nothing in the cache, and no plan's tables
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    p50, p95 = 1e3 * cuts[9], 1e3 * cuts[18]
    return Asked(one.board, one.query.name, one.way.devices, one.way.span, one.daily, rows, p50, p95)


def _chosen(rng: random.Random, uid: str, way: Way, sizes: Sizes) -> dict[str, Sequence[str]]:
    kinds = {
        "bonewatch-checks": ["scale-1", "stadiometer-1"],
        "bonewatch-faults": [*_scanners(), "scale-1", "stadiometer-1"],
        "bonewatch-reviews": [*_scanners(), "scale-1", "stadiometer-1"],
    }
    names = kinds.get(uid, _scanners())
    sites = [f"site-{site:03}" for site in range(1, sizes.sites + 1)]
    if way.devices in {"one site", "one device"}:
        sites = [rng.choice(sites)]
    devices = [f"{site}/{name}" for site in sites for name in names]
    if way.devices == "one device":
        devices = [rng.choice(devices)]
    return {"site": sites, "make": ["Hologic"], "device": devices, "phantom": [PHANTOM]}


def _scanners() -> list[str]:
    return [f"dxa-{n}" for n in range(1, SCANNERS_OF_A_SITE + 1)]


def _print(sizes: Sizes, asked: Sequence[Asked], pages: Sequence[PageFigure]) -> None:
    console = Console(width=max(120, Console().width))
    years = f"{sizes.months / 12:g} years of {sizes.scanners} scanners"
    title = f"Panels of {years}: p95 in ms, {sizes.asks} asks; aim as opened: < {AIM_P95_MS:g}"
    table = Table(title=title, title_justify="left")
    ways = list(dict.fromkeys((one.span, one.devices == "every device", one.daily) for one in asked))
    for name in ("dashboard", "question"):
        table.add_column(name, no_wrap=True)
    for span, is_every, daily in ways:
        name = span + (", every device" if is_every else "") + (", by days" if daily else "")
        table.add_column(name, justify="right")
    for board, query in dict.fromkeys((one.board, one.query) for one in asked):
        found = {
            (one.span, one.devices == "every device", one.daily): one
            for one in asked
            if (one.board, one.query) == (board, query)
        }
        table.add_row(board.removeprefix("bonewatch-"), query, *(_cell(found.get(way)) for way in ways))
    console.print(table)
    shown = Table(title="Pages of a site's console: time until its answer is whole", title_justify="left")
    for name in ("page", "p50 ms", "p95 ms", "aim ms"):
        shown.add_column(name, justify="left" if name == "page" else "right")
    for page in pages:
        shown.add_row(page.page, f"{page.p50_ms:.1f}", f"{page.p95_ms:.1f}", f"{page.aim_ms:g}")
    console.print(shown)


def _cell(one: Asked | None) -> str:
    if one is None:
        return ""
    told = f"{one.p95_ms:,.0f}" if one.p95_ms >= 10 else f"{one.p95_ms:.1f}"
    return f"[bold red]{told}[/]" if one.is_usual and one.p95_ms >= AIM_P95_MS else told
