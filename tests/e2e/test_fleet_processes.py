"""A site, topics and a worker as people start them, on a real Kafka; the broker's absence stops no scanner."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.sqlite_log import SqliteEventLog
from tests.integration.test_fleet_worker import outcomes_there
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.running import SiteProcess, configuration, seed


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


def bonewatch(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bonewatch", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def text(servers: str) -> str:
    """A department of one scanner that forwards."""
    return configuration(scanners=1) + f'[kafka]\nbootstrap_servers = "{servers}"\n'


def outcomes_of(folder: Path) -> set[str]:
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        return {body.decode() for row in log.rows() for body in row.outcomes}


def test_topics_a_site_and_a_worker(kafka: RealKafka, tmp_path: Path) -> None:
    servers = kafka.broker.servers
    site = seed(tmp_path, text(servers)).site.id
    made = bonewatch("fleet", "topics", site, "--servers", servers)
    assert made.returncode == 0, made.stderr
    assert f"created bonewatch.device-events.v1.{site}" in made.stdout
    assert bonewatch("fleet", "topics", site, "--servers", servers).stdout == "All topics are as they should be.\n"
    worker = subprocess.Popen([sys.executable, "-m", "bonewatch", "fleet", "worker", "--servers", servers])
    process = SiteProcess(tmp_path)
    try:
        wait_until(lambda: len(outcomes_there(kafka.broker)) >= len(outcomes_of(tmp_path)) > 0, within_s=60)
    finally:
        process.kill()
        worker.terminate()
        worker.wait(30)
    assert worker.returncode == 0


def test_a_site_whose_broker_is_away_starts_and_says_so(tmp_path: Path) -> None:
    seed(tmp_path, text("127.0.0.1:1"))
    process = SiteProcess(tmp_path)
    try:
        wait_until(lambda: any("broker_away" in line for line in process.log), within_s=60)
    finally:
        process.kill()


def test_a_broker_that_is_not_there_is_a_sentence() -> None:
    failed = bonewatch("fleet", "topics", "bath", "--servers", "127.0.0.1:1")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error 127.0.0.1:1: ")
    assert "Traceback" not in failed.stderr


def test_a_broker_that_keeps_no_access_lists_is_a_sentence(kafka: RealKafka) -> None:
    failed = bonewatch("fleet", "access", "site", "bath", "--servers", kafka.broker.servers)
    assert failed.returncode == 1
    assert "keeps no access lists" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("command", ["worker", "compare"])
def test_a_broker_that_is_away_is_said_in_one_line_for_programs(tmp_path: Path, command: str) -> None:
    said = tmp_path / "said"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bonewatch", "fleet", command, "--servers", "127.0.0.1:1"], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: "broker_away" in said.read_text(), within_s=60)
    finally:
        process.terminate()
        status = process.wait(30)
    assert status == 0
    assert [json.loads(line)["event"] for line in said.read_text().splitlines()] == ["broker_away"]
