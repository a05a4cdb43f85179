"""Scanners compared through the whole pipeline: site logs, Kafka, worker, comparison, sink, rows in PostgreSQL."""

import asyncio
import csv
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from qa_models.cross_calibration import Visit, circulating_phantom
from storage.checksum import checksums
from storage.comparison_sink import ComparisonSink
from streams.engine import SiteEngine
from streams.envelope import record_from_comparison, record_from_read
from streams.fleet.combiner import Combiner
from streams.fleet.messages import Read, SharedStepEstimated
from streams.forwarder import Forwarder
from streams.messages import DeviceRegistered, Draft, PhantomMeasured, VendorQcReported, event_id
from streams.policy import Phantom, PhantomRole
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import COMPARISONS, READS, fleet_topics, site_topic
from tests.comparisons import upgraded, visits
from tests.folding import MONDAY, PHANTOM, POLICY, WEEKDAY_CLINIC, baseline
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.postgres import ServerDatabase
from tests.unit.test_combine import said

QC1 = Phantom("QC1", PhantomRole.CIRCULATING, region="1")
VISITED = replace(POLICY, phantoms=(*POLICY.phantoms, QC1))


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """One broker for all: each test has makes and phantoms of its own."""
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


@contextmanager
def running(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Run this beside the test until it is done."""

    async def together() -> None:
        loop.set_result((asyncio.get_running_loop(), stopped := asyncio.Event()))
        await work(stopped)

    loop: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(together(),))
    thread.start()
    try:
        yield
    finally:
        its_loop, stopped = loop.result(10)
        its_loop.call_soon_threadsafe(stopped.set)
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def sinking(kafka: RealKafka, database: ServerDatabase) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=ComparisonSink(kafka.broker, database.connect).run, args=(stopped,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def fleet(kafka: RealKafka, database: ServerDatabase, folder: Path) -> Iterator[None]:
    """A worker, a comparison and a sink as an administrator starts them."""
    parts: dict[str, list[str]] = {"worker": [], "compare": [], "sink": ["--database-url", database.conninfo]}
    running = []
    for name, more in parts.items():
        with (folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "bonewatch", "fleet", name, "--servers", kafka.broker.servers, *more]
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        statuses = [process.wait(30) for process in running]
    assert statuses == [0, 0, 0], [(folder / f"{name}.log").read_text() for name in parts]


def forward(kafka: RealKafka, folder: Path, site: str, history: Iterator[tuple[datetime, Draft]]) -> None:
    """Let a site's engine decide a history, and send its log whole."""
    create(kafka.broker, (site_topic(site),))
    with SqliteEventLog(folder / f"{site}.sqlite") as log:
        SiteEngine(log).import_history(history)
        last = log.last_position()
        for position in Forwarder(log, site, kafka.broker).batches():
            if position == last:
                return


def rows(database: ServerDatabase, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as db:
        return db.execute(query.encode()).fetchall()


# --- the thirteen real sites -------------------------------------------------------------------------------


def qc1_scans(reference_data: Path) -> dict[str, list[dict[str, str]]]:
    """Return the readings of the travelling bone phantom by site (R package XcalRep)."""
    found: dict[str, list[dict[str, str]]] = {}
    with (reference_data / "xcalrep_qc1.csv").open() as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            found.setdefault(row["site"].lower(), []).append(row)
    return found


def visits_of(site: str, scans: list[dict[str, str]]) -> Iterator[tuple[datetime, Draft]]:
    device = f"{site}/scanner"
    ordered = sorted(scans, key=lambda row: (row["scan_date"], row["scan_id"], row["section"]))
    start = datetime.fromisoformat(ordered[0]["scan_date"]).replace(tzinfo=UTC)
    policy = replace(VISITED, make="Travelled", model=ordered[0]["scanner"])
    yield start, Draft(event_id(device, "registered"), device, DeviceRegistered(policy, WEEKDAY_CLINIC))
    for row in ordered:
        at = datetime.fromisoformat(row["scan_date"]).replace(hour=12, tzinfo=UTC)
        fact = PhantomMeasured("QC1", row["section"], float(row["vbmd_mg_cm3"]) / 1000, at, row["scan_id"])
        yield at, Draft(event_id(device, row["scan_id"], row["section"]), device, fact)


def compared_by_hand(scans: dict[str, list[dict[str, str]]]) -> dict[str, tuple[float, ...]]:
    """Return slope and the difference in percent of section 5 of each site, straight from the table.

    The model is held against R in tests/unit/test_circulating.py.
    """
    visits = []
    for site, readings in scans.items():
        for day in sorted({row["scan_date"] for row in readings}):
            of_day = [row for row in readings if row["scan_date"] == day]
            levels = []
            for section in "12345":
                values = [float(row["vbmd_mg_cm3"]) / 1000 for row in of_day if row["section"] == section]
                levels.append(sum(values) / len(values))
            visits.append(Visit(f"{site}/scanner", date.fromisoformat(day).toordinal(), tuple(levels)))
    found = circulating_phantom(visits)
    return {
        scanner.scanner: (
            scanner.visits,
            scanner.slope.value if scanner.slope else 0.0,
            100 * scanner.differences[4].value / found.levels[4],
        )
        for scanner in found.scanners
    }


def test_thirteen_sites_and_the_one_without_a_first_visit_come_out_of_the_pipeline(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path, reference_data: Path
) -> None:
    scans = qc1_scans(reference_data)
    assert len(scans) == 13
    readings = sum(map(len, scans.values()))
    with fleet(kafka, database, tmp_path):
        for site, own in scans.items():
            forward(kafka, tmp_path, site, visits_of(site, own))
        query = "SELECT count(DISTINCT device), min(readings) FROM cross_calibrations WHERE phantom = 'QC1'"
        wait_until(lambda: rows(database, query) == [(13, readings)], within_s=90)
    found = {
        device: (number, slope, percent)
        for device, number, slope, percent in rows(
            database,
            "SELECT c.device, visits, slope, difference_percent FROM cross_calibrations c"
            " JOIN cross_calibration_differences d USING (phantom, device) WHERE phantom = 'QC1' AND region = '5'",
        )
    }
    expected = compared_by_hand(scans)
    assert found == {device: pytest.approx(values, rel=1e-9) for device, values in expected.items()}
    assert found["southamptom/scanner"] == pytest.approx((2, 1.0210, 1.99), abs=5e-3)  # as in R
    assert {number for device, (number, *_) in found.items() if "southamptom" not in device} == {3}
    assert rows(database, "SELECT count(*) FROM cross_calibration_differences WHERE phantom = 'QC1'") == [(13 * 5,)]


# --- steps that scanners share -----------------------------------------------------------------------------


def upgraded_site(site: str, *, upgraded_at: int, step_percent: float) -> Iterator[tuple[datetime, Draft]]:
    """Yield sixty QC days of a scanner that took version 2 on one of them."""
    rng, device = random.Random(site), f"{site}/scanner"  # noqa: S311 - invented scans
    yield MONDAY, Draft(event_id(device, "registered"), device, DeviceRegistered(POLICY, WEEKDAY_CLINIC))
    yield MONDAY, Draft(event_id(device, "baseline"), device, baseline())
    for day in range(60):
        at = MONDAY + timedelta(days=day, minutes=1)
        after = day >= upgraded_at
        bmd = round(rng.gauss(1.0, 0.003) * (1 + step_percent / 100 * after), 4)
        vendor = VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")
        yield at, Draft(event_id(device, "vendor", str(day)), device, vendor)
        uid = event_id(device, "scan", str(day))
        fact = PhantomMeasured(PHANTOM, "L1-L4", bmd, at, uid, software="2" if after else "1")
        yield at, Draft(uid, device, fact)


def test_a_step_that_came_with_a_software_version_is_in_the_database_with_every_scanner_that_shares_it(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path
) -> None:
    with fleet(kafka, database, tmp_path):
        for place in range(5):
            site = f"site-{place}"
            forward(kafka, tmp_path, site, upgraded_site(site, upgraded_at=20 + 6 * place, step_percent=0.7))
        found = "FROM shared_steps WHERE make = 'Invented' AND software = '2'"
        wait_until(lambda: rows(database, f"SELECT shared, scanners {found}") == [(True, 5)], within_s=90)
        wait_until(lambda: rows(database, f"SELECT readings {found}") == [(300,)])
    ((lower, upper),) = rows(database, f"SELECT lower_percent, upper_percent {found}")
    assert lower < 0.7 < upper
    of_each = "FROM shared_step_devices WHERE make = 'Invented' AND software = '2' ORDER BY site"
    devices = rows(database, f"SELECT site, since {of_each}")
    assert devices == [(f"site-{n}", (MONDAY + timedelta(days=20 + 6 * n)).date()) for n in range(5)]


# --- what is begun again, and what is no reading -----------------------------------------------------------


def test_a_comparison_begun_again_says_the_same_and_a_dropped_database_has_it_again(
    kafka: RealKafka, database: ServerDatabase
) -> None:
    """Readings are put on their topics as workers put them; the comparison is begun, ended, and begun again."""
    readings: list[Read] = [*visits(), *upgraded(0.6)]
    producer = KafkaProducer(**kafka.broker.options(), acks="all")
    for read in readings:
        record = record_from_read(read)
        producer.send(READS[type(read)], key=record.key, value=record.value, headers=record.headers)
    producer.send(next(iter(READS.values())), key=b"nobody", value=b"no reading")
    producer.send(next(iter(COMPARISONS.values())), key=b"nobody", value=b"no comparison")
    producer.flush(30)
    expected = said(readings)
    steps = [one for one in expected.values() if isinstance(one, SharedStepEstimated)]
    query = (
        "SELECT make, software, readings, percent, shared FROM shared_steps WHERE make = 'Example' ORDER BY software"
    )
    wanted = sorted((s.make, s.software, s.readings, s.percent.value, s.shared) for s in steps)
    for _ in range(2):
        with running(Combiner(kafka.broker).run), sinking(kafka, database):
            wait_until(lambda: rows(database, query) == wanted, within_s=90)
            wait_until(
                lambda: rows(database, "SELECT count(*) FROM cross_calibrations WHERE phantom = 'ESP-7'") == [(4,)]
            )
        rows(database, "DELETE FROM shared_step_estimates RETURNING 1")
        rows(database, "DELETE FROM cross_calibration_estimates RETURNING 1")
    with database.connect() as db:
        assert "shared_step_estimates" not in checksums(db)  # content of the fleet's topics, not of a site's log


def test_the_last_comparison_of_each_stands(kafka: RealKafka, database: ServerDatabase) -> None:
    """Also one that rests on fewer readings: old ones have left their topic by then."""
    first = said(upgraded(0.6))["Example#software#2"]
    assert isinstance(first, SharedStepEstimated)
    first = replace(first, make="Older")
    producer = KafkaProducer(**kafka.broker.options(), acks="all")
    for comparison in (first, replace(first, readings=first.readings - 100, shared=False)):
        record = record_from_comparison("Older#software#2", comparison)
        producer.send(COMPARISONS[SharedStepEstimated], key=record.key, value=record.value, headers=record.headers)
    last = record_from_comparison("last", replace(first, software="last"))
    producer.send(COMPARISONS[SharedStepEstimated], key=last.key, value=last.value, headers=last.headers)
    producer.flush(30)
    with sinking(kafka, database):
        wait_until(lambda: rows(database, "SELECT count(*) FROM shared_steps WHERE make = 'Older'") == [(2,)])
    query = "SELECT readings, shared FROM shared_steps WHERE make = 'Older' AND software = '2'"
    assert rows(database, query) == [(first.readings - 100, False)]
