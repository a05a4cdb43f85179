"""The HTTP API with ten years of data: gates and pages of measurements, beside the same rows asked of PostgreSQL.

The site runs in this process with its embedded PostgreSQL; whoever asks is another process, so that neither waits
for the other's Python. Rounds of the page and of the bare query alternate: ratios are of one run.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
import structlog
from rich.console import Console
from rich.table import Table

from bonewatch.bench.figures import Spread, spread
from bonewatch.bench.gate import ACCEPTED
from bonewatch.configuration.loading import parse
from bonewatch.configuration.sections import Config
from bonewatch.data_folder import USERS_FILE
from bonewatch.site import Site
from dashboards.access.scopes import Scope
from dashboards.access.tokens import TokenStore
from dashboards.user_tables import UserTables
from storage.connection import Database, Db
from storage.errors import StorageError
from storage.measurement_queries import DatabaseMeasurements
from storage.opening import connect_to_running, database_of
from streams.measurements import MeasurementQuery
from streams.messages import (
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    PatientMeasured,
    PhantomMeasured,
    RegionMeasured,
    VendorQcReported,
    event_id,
)

PAGE: Final = 100
EVENT_ID: Final = 3
"""Place of the event's id among the columns of `current_measurements`."""
AIM_GATE_P99_MS: Final = 20.0
AIM_PAGE_TIMES: Final = 3.0
CAUGHT_UP_WITHIN_S: Final = 900.0
STARTED_WITHIN_S: Final = 60.0

CONFIGURATION: Final = """
[site]
id = "bench"
time_zone = "UTC"
[dicom]
port = 0
[http]
port = 0
public_status = false
[api]
requests_a_minute = 1000000
[database]
enabled = true
[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
"""


class Sizes(NamedTuple):
    """How much is put in, and how often it is asked for."""

    days: int
    patients_a_day: int
    asks: int


FULL: Final = Sizes(2500, 25, 1000)
SHORT: Final = Sizes(6, 3, 20)


class Figures(NamedTuple):
    """What one run came to; rates are a second, of one asker after the other's answer."""

    measurements: int
    gate: Spread
    gate_rate: float
    page: Spread
    page_rate: float
    bare: Spread
    port: Spread

    @property
    def times_bare(self) -> float:
        """How many times as long a page takes as its bare query, by the medians."""
        return self.page.p50_ms / self.bare.p50_ms


def measure(sizes: Sizes, *, as_json: bool) -> int:
    """Run it, print the figures; 1 if an aim is missed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="bonewatch-bench-", dir=Path.cwd()) as folder:
        figures = _run(Path(folder), sizes)
    if as_json:
        sys.stdout.write(json.dumps(figures._asdict() | {"times_bare": figures.times_bare}) + "\n")
    else:
        _print(figures)
    return 0 if figures.gate.p99_ms < AIM_GATE_P99_MS and figures.times_bare <= AIM_PAGE_TIMES else 1


def _print(figures: Figures) -> None:
    table = Table(title=f"{figures.measurements:,} measurements of ten years; one asker", title_justify="left")
    for name in ("part", "p50 ms", "p99 ms", "a second", ""):
        table.add_column(name, justify="left" if name in {"part", ""} else "right")
    rows = (
        ("gate of one scanner", figures.gate, f"{figures.gate_rate:,.0f}", f"aim p99 < {AIM_GATE_P99_MS:g} ms"),
        (
            f"page of {PAGE} measurements",
            figures.page,
            f"{figures.page_rate:,.0f}",
            f"{figures.times_bare:.2f} times the bare query; aim <= {AIM_PAGE_TIMES:g}",
        ),
        ("the same rows, read by our port", figures.port, "", "query and rows, no HTTP"),
        ("the same rows, bare", figures.bare, "", "psycopg, tuples fetched, nothing made of them"),
    )
    for part, times, rate, remark in rows:
        table.add_row(part, f"{times.p50_ms:.2f}", f"{times.p99_ms:.2f}", rate, remark)
    Console().print(table)


def _run(folder: Path, sizes: Sizes) -> Figures:
    config = parse(CONFIGURATION, "the benchmark's configuration")
    began = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=sizes.days)
    site = Site(config, folder).start(_past(config, began, sizes))
    try:
        token = _token(folder)
        database = database_of(config.database, folder)
        with _running(database) as db:
            count = _caught_up(db, sizes)
            asked = _ask(site.url, token, sizes, began)
            times = [began + timedelta(days=sizes.days * n / sizes.asks) for n in range(sizes.asks)]
            bare = [_bare(db, at) for at in times]
            reader = DatabaseMeasurements(lambda: connect_to_running(database), config.site.id)
            port = [_by_port(reader, at) for at in times]
            reader.close()
    finally:
        site.stop()
    return Figures(
        measurements=count,
        gate=spread(asked["gate"]),
        gate_rate=len(asked["gate"]) / sum(asked["gate"]),
        page=spread(asked["page"]),
        page_rate=len(asked["page"]) / sum(asked["page"]),
        bare=spread(bare),
        port=spread(port),
    )


def _token(folder: Path) -> str:
    tables = UserTables(folder / USERS_FILE)
    try:
        scopes = (Scope.GATES_READ, Scope.MEASUREMENTS_READ)
        return TokenStore(tables, lambda: datetime.now(UTC)).create("Bench", scopes, timedelta(days=1))
    finally:
        tables.close()


def _past(config: Config, began: datetime, sizes: Sizes) -> Iterator[tuple[datetime, Draft]]:
    """Yield every day's QC and patients; the accession numbers and values are invented."""
    key, (policy, calendar) = next(iter(config.devices().items()))

    def draft(at: datetime, name: str, fact: Fact) -> tuple[datetime, Draft]:
        return at, Draft(event_id("bench", name), key, fact)

    yield draft(began, "registered", DeviceRegistered(policy, calendar))
    yield draft(began, "signed", CommissioningSignedOff(ACCEPTED.accepted_by))
    yield draft(began, "baseline", ACCEPTED)
    for day in range(sizes.days):
        at = began + timedelta(days=day)
        qc = VendorQcReported(passed=True, measured_at=at, performed_by="Bench", reviewed_by="Bench")
        yield draft(at, f"qc-{day}", qc)
        bmd = 1.0 + 0.001 * (day % 5 - 2)
        yield draft(at, f"phantom-{day}", PhantomMeasured("SPINE-0001", "L1-L4", bmd, at, f"phantom-{day}"))
        for number in range(sizes.patients_a_day):
            at += timedelta(minutes=15)
            name = f"BENCH{day:05}{number:02}"
            regions = (RegionMeasured("L1-L4", 0.9 + 0.001 * number), RegionMeasured("L1", 0.85))
            yield draft(at, name, PatientMeasured(name, at, f"scan-{name}", pseudonym=f"p{number}", regions=regions))


def _running(database: Database) -> Db:
    """Return a connection to the server that the site starts, once it is there."""
    until = time.monotonic() + STARTED_WITHIN_S
    while True:
        try:
            return connect_to_running(database)
        except StorageError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _caught_up(db: Db, sizes: Sizes) -> int:
    """Wait until the database holds every measurement; return how many."""
    wanted, until = sizes.days * sizes.patients_a_day, time.monotonic() + CAUGHT_UP_WITHIN_S
    while time.monotonic() < until:
        try:
            ((count,),) = db.execute(b"SELECT count(*) FROM measurements").fetchall()
        except psycopg.errors.UndefinedTable:  # it is being made
            count = 0
        if count >= wanted:
            db.execute(b"ANALYZE")
            return int(count)
        time.sleep(1.0)
    raise RuntimeError(f"the database does not hold {wanted} measurements after {CAUGHT_UP_WITHIN_S:g} s")


def _ask(url: str, token: str, sizes: Sizes, began: datetime) -> dict[str, list[float]]:
    """Return how long each answer took, by another process."""
    asked = {
        "url": url,
        "token": token,
        "asks": sizes.asks,
        "began": began.isoformat(),
        "days": sizes.days,
        "page": PAGE,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bonewatch.bench.asker"],
        input=json.dumps(asked),
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, list[float]] = json.loads(done.stdout)
    return told


def _bare(db: Db, at: datetime) -> float:
    """Time the page's statements, their rows fetched as tuples and let go."""
    started = time.perf_counter()
    rows = db.execute(
        b"SELECT * FROM current_measurements m WHERE m.device = 'bench/dxa-1' AND m.measured_at >= %(at)s"
        b" ORDER BY m.measured_at, m.subject_event_id LIMIT %(limit)s",
        {"at": at, "limit": PAGE + 1},
    ).fetchall()
    events = {"events": [row[EVENT_ID] for row in rows], "first": at}
    for view in (b"current_measurement_values", b"current_cross_calibrated", b"amended_measurements"):
        db.execute(
            b"SELECT * FROM " + view + b" WHERE device = 'bench/dxa-1' AND subject_event_id = ANY (%(events)s)"
            b" AND measured_at >= %(first)s",
            events,
        ).fetchall()
    return time.perf_counter() - started


def _by_port(reader: DatabaseMeasurements, at: datetime) -> float:
    started = time.perf_counter()
    reader.page(MeasurementQuery(device="bench/dxa-1", since=at), None, PAGE + 1)
    return time.perf_counter() - started
