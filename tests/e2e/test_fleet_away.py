"""A site whose broker is away for a day: nothing waits for it, nothing is lost, and all of it arrives in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.ris import VirtualRis
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import fleet_topics, site_topic
from tests.fleet_campaign.expected import differences, straight
from tests.integration.forwarder_rig import count_there, rows_there
from tests.integration.test_kafka_sink import Following
from tests.kafka import RealKafka, free_ports, require_java, wait_until
from tests.postgres import ServerDatabase, database, embedded, server
from tests.running import SiteProcess, configuration, console, seed

__all__ = ["database", "embedded", "server"]

SITE = "test-site"
SCANNERS = 3
HOURS = 24
"""An hour of a busy department, here: each scanner's phantom twice and its worklist twice, one out of tolerance."""


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    ris = VirtualRis()
    ris.start()
    yield ris
    ris.stop()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[RealKafka]:
    """A broker that nobody has started yet."""
    require_java()
    (tmp_path / "kafka").mkdir()
    broker = RealKafka(tmp_path / "kafka", free_ports())
    yield broker
    broker.stop()


def work_a_day(site: SiteProcess) -> None:
    """Scan and ask for the worklist: every scan is acknowledged, every answer is what the last scan says."""
    for n in range(1, SCANNERS + 1):
        with console(f"DXA{n}", site.dicom_port, phantom=f"SPINE-000{n}") as dxa:
            for _ in range(HOURS):
                assert dxa.scan(1.06).status == 0x0000
                assert dxa.worklist().status == 0xC100
                assert dxa.scan(1.0).status == 0x0000
                assert dxa.worklist().status == 0x0000


def last_position(site: SiteProcess) -> int:
    with SqliteEventLog(log_of(site), read_only=True) as log:
        return log.last_position()


def log_of(site: SiteProcess) -> Path:
    return site.folder / "var" / "site-log.sqlite"


def check_arrival(kafka: RealKafka, site: SiteProcess) -> None:
    """Every row of the log is on the topic once, in the log's order, byte for byte."""
    wait_until(lambda: count_there(kafka.broker, SITE) == last_position(site), within_s=120)
    with SqliteEventLog(log_of(site), read_only=True) as log:
        expected = [(row.position, row.link, row.body, row.outcomes) for row in log.rows()]
    there = [(row.position, row.link, row.body, row.outcome_bodies) for row in rows_there(kafka.broker, SITE)]
    assert there == expected


def test_a_day_without_the_broker_delays_no_gate_and_arrives_whole(
    kafka: RealKafka, ris: VirtualRis, database: ServerDatabase, tmp_path: Path
) -> None:
    text = configuration(ris.port, scanners=SCANNERS) + f'[kafka]\nbootstrap_servers = "{kafka.broker.servers}"\n'
    folder = tmp_path / "site"
    folder.mkdir()
    seed(folder, text)
    with SiteProcess(folder) as site:
        work_a_day(site)  # the broker was never there
        assert site.metric("bonewatch_forwarded_events_total") == 0
        first_day = last_position(site)
        assert first_day > 2 * SCANNERS * HOURS
        kafka.start()
        create(kafka.broker, (site_topic(SITE), *fleet_topics(2)))
        check_arrival(kafka, site)

        kafka.kill()
        sent = site.metric("bonewatch_forwarded_events_total")
        work_a_day(site)  # it went away
        assert site.metric("bonewatch_forwarded_events_total") == sent
        assert site.get("/readyz").status_code == 200
        assert last_position(site) >= first_day + 2 * SCANNERS * HOURS
        kafka.start()
        following = Following(kafka, database)
        try:
            check_arrival(kafka, site)
            wait_until(lambda: site.metric("bonewatch_forward_lag_events") == 0)
            with database.connect() as db:
                wait_until(lambda: differences(db, straight([log_of(site)])) == [], within_s=90)
        finally:
            following.stop()
