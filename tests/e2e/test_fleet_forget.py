"""The way back after a restore: a site whose log was replaced is forgotten by the fleet and taken anew."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.checksum import checksums
from storage.kafka_sink import KafkaSink
from storage.log_rows import readable
from storage.sink import Sink
from streams import codec
from streams.forwarder import Forwarder, LogForkedError
from streams.messages import GateChanged
from streams.sqlite_log import SqliteEventLog
from streams.topics import GATES, SITE_HEADS, WORKER_STATES, device_events
from tests.e2e.test_fleet_bad_records import Fleet
from tests.fleet_processes import fleet, fleet_process, records_of
from tests.integration.test_fleet_worker import published
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.postgres import Server, ServerDatabase, embedded, server
from tests.site_logs import write_log

__all__ = ["embedded", "server"]

SITES = ("restored", "renewed", "live", "other")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        fleet("topics", *SITES, "--servers", broker.broker.servers, "--partitions", "2")
        yield broker


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[ServerDatabase]:
    made = ServerDatabase(server.create(server.template))
    yield made
    made.stop()
    server.drop(made.conninfo)


@pytest.fixture
def shared(kafka: RealKafka, filled: ServerDatabase, tmp_path: Path) -> Iterator[Fleet]:
    """The fleet with a worker and a sink begun for this test: each takes over what the last ones left."""
    servers, url = ["--servers", kafka.broker.servers], ["--database-url", filled.conninfo]
    with (
        fleet_process(tmp_path / "worker.log", "worker", *servers) as worker,
        fleet_process(tmp_path / "sink.log", "sink", *servers, *url) as sink,
    ):
        yield Fleet(kafka, worker, sink, filled, tmp_path)
    assert "Traceback" not in worker.said + sink.said


def send(shared: Fleet, path: Path, site: str) -> None:
    """Forward a log to its end."""
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
        assert any(position == last for position in Forwarder(log, site, shared.kafka.broker).batches())


def forget(kafka: RealKafka, site: str, *words: str) -> "subprocess.CompletedProcess[str]":
    asked = ["--by", "Pat Physicist", "--reason", "the disk was replaced", "--servers", kafka.broker.servers]
    command = [sys.executable, "-m", "bonewatch", "fleet", "forget", site, *asked, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)


def gates_there(shared: Fleet, site: str) -> dict[str, Any]:
    """What a reader of the topic of gates knows of a site: a tombstone ends what it knew."""
    found: dict[str, Any] = {}
    for record in published(shared.kafka.broker, [GATES]):
        if record.key.startswith(f"{site}/".encode()):
            found.pop(record.key.decode(), None)
            if record.value is not None:
                found[record.key.decode()] = json.loads(record.value)["outcome"]
    return found


def gates_of(path: Path) -> dict[str, Any]:
    """The last gate of each mode in a log."""
    found: dict[str, Any] = {}
    with SqliteEventLog(path, read_only=True) as log:
        for body in (body for row in log.rows() for body in row.outcomes):
            recorded = codec.decode_outcome(body)
            if isinstance(recorded.outcome, GateChanged):
                found[f"{recorded.device}#{recorded.outcome.mode}"] = json.loads(body)["outcome"]
    return found


def site_state(shared: Fleet, site: str) -> tuple[Any, ...]:
    """Everything that may not change of a site that nobody speaks of."""
    return (
        shared.rows("SELECT * FROM events WHERE device LIKE %s ORDER BY device, device_seq", f"{site}/%"),
        shared.rows("SELECT * FROM fleet_devices WHERE device LIKE %s ORDER BY device", f"{site}/%"),
        shared.rows("SELECT * FROM sink_state WHERE source = %s", site),
        gates_there(shared, site),
    )


def check_taken_anew(shared: Fleet, path: Path, site: str) -> None:
    """The database and the topic of gates say of a site what its log says, once."""
    wait_until(lambda: shared.differences(path, site) == [], within_s=90)
    wait_until(lambda: gates_there(shared, site) == gates_of(path), within_s=60)
    assert shared.parked(site) == {}
    assert shared.refusals(site) == []
    assert shared.rows("SELECT set_aside FROM sink_state WHERE source = %s", site) == [("",)]


def test_a_restored_log_is_taken_anew_and_another_site_is_not_touched(shared: Fleet) -> None:
    original, copy, other = shared.log("restored"), shared.folder / "copy.sqlite", shared.log("other")
    shutil.copy(original, copy)
    restored_at = len(records_of(copy))
    write_log(original, "restored", devices=2, days=3, from_day=4)
    for path, site in ((original, "restored"), (other, "other")):
        send(shared, path, site)
        wait_until(lambda path=path, site=site: shared.differences(path, site) == [], within_s=90)  # type: ignore[misc]
    wait_until(lambda: gates_there(shared, "other") == gates_of(other), within_s=60)
    untouched = site_state(shared, "other")
    write_log(copy, "restored", devices=2, days=2, from_day=10)
    with pytest.raises(LogForkedError, match="fleet forget"):
        send(shared, copy, "restored")
    shared.put("restored", records_of(copy, after=restored_at))
    wait_until(lambda: "other content" in str(shared.rows("SELECT set_aside FROM sink_state")), within_s=90)
    wait_until(lambda: "log_forked" in str(shared.parked("restored")), within_s=90)

    done = forget(shared.kafka, "restored", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(lambda: shared.positions("restored") == [], within_s=90)
    wait_until(lambda: gates_there(shared, "restored") == {}, within_s=60)
    assert published(shared.kafka.broker, [SITE_HEADS])[-1].value is None
    send(shared, copy, "restored")
    check_taken_anew(shared, copy, "restored")
    assert site_state(shared, "other") == untouched
    there = published(shared.kafka.broker, [device_events("restored")])
    (request,) = [record for record in there if b"disk" in record.value]
    assert json.loads(request.value) == {"by": "Pat Physicist", "reason": "the disk was replaced"}


def test_who_comes_later_says_the_same(shared: Fleet, server: Server, tmp_path: Path) -> None:
    """A worker and a sink begun anew go on, and a database filled from nothing is equal to the one there was."""
    path, other = tmp_path / "renewed.sqlite", tmp_path / "anew.sqlite"
    write_log(path, "renewed", devices=2, days=3)
    write_log(other, "renewed", devices=1, days=4)
    send(shared, path, "renewed")
    wait_until(lambda: shared.differences(path, "renewed") == [], within_s=90)
    shared.put("renewed", [records_of(other)[0]])
    wait_until(lambda: "comes where" in str(shared.rows("SELECT set_aside FROM sink_state")), within_s=90)
    assert forget(shared.kafka, "renewed", "--yes").returncode == 0
    shared.put("renewed", records_of(path)[20:25])  # they were on their way
    send(shared, other, "renewed")
    check_taken_anew(shared, other, "renewed")
    assert shared.worker.stop() == shared.sink.stop() == 0
    write_log(other, "renewed", devices=1, days=2, from_day=4)
    send(shared, other, "renewed")
    servers, url = ["--servers", shared.kafka.broker.servers], ["--database-url", shared.database.conninfo]
    with (
        fleet_process(tmp_path / "worker-2.log", "worker", *servers) as worker,
        fleet_process(tmp_path / "sink-2.log", "sink", *servers, *url) as sink,
    ):
        check_taken_anew(Fleet(shared.kafka, worker, sink, shared.database, tmp_path), other, "renewed")
        known = {r.key: r.value for r in published(shared.kafka.broker, [WORKER_STATES])}
        wait_until(lambda: worker.metric("bonewatch_fleet_lag_events") == 0)
        assert worker.metric("bonewatch_fleet_parked_devices") == 0
    assert (known[b"renewed/dxa-2"], known[b"renewed/dxa-1"] is None) == (None, False)
    rebuilt, straight = (ServerDatabase(server.create(server.template)) for _ in range(2))
    try:
        fill(shared.kafka, rebuilt, shared.database)
        with rebuilt.connect() as db, shared.database.connect() as live:
            assert checksums(db) == checksums(live)
        with straight.connect() as db, rebuilt.connect() as again, SqliteEventLog(other, read_only=True) as log:
            rows = readable(log.rows())
            Sink(straight.connect).apply("renewed", rows, rows[-1].position)
            of_site = "SELECT device, device_seq, link FROM events WHERE device LIKE 'renewed/%' ORDER BY 1, 2"

            assert again.execute(of_site).fetchall() == db.execute(of_site).fetchall()
    finally:
        for made in (rebuilt, straight):
            made.stop()
            server.drop(made.conninfo)


def fill(kafka: RealKafka, empty: ServerDatabase, like: ServerDatabase) -> None:
    """Fill an empty database from the topics, as far as another one is."""
    query = "SELECT source, position FROM sink_state ORDER BY source"
    with like.connect() as db:
        wanted = db.execute(query).fetchall()
    stopped = threading.Event()
    thread = threading.Thread(
        target=KafkaSink(kafka.broker, Sink(empty.connect), group="bonewatch-sink-anew").run, args=(stopped,)
    )
    thread.start()
    try:
        with empty.connect() as db:
            wait_until(lambda: db.execute(query).fetchall() == wanted, within_s=90)
    finally:
        stopped.set()
        thread.join(30)


def test_a_running_forwarder_whose_site_is_forgotten_sends_its_log_once_more(shared: Fleet) -> None:
    path = shared.log("live")
    with SqliteEventLog(path, read_only=True) as log:
        batches, last = Forwarder(log, "live", shared.kafka.broker).batches(), log.last_position()
        assert any(position == last for position in batches)
        wait_until(lambda: shared.differences(path, "live") == [], within_s=90)
        assert forget(shared.kafka, "live", "--yes").returncode == 0
        write_log(path, "live", devices=2, days=1, from_day=4)
        end = log.last_position()
        assert end > last
        reached = [next(batches)]
        while reached[-1] < end:
            reached.append(next(batches))
        assert reached[0] == 0, "its rows came behind the request, so it begins anew"
    check_taken_anew(shared, path, "live")
    assert shared.worker.metric("bonewatch_fleet_rows_total", kind="forgotten") == end - last + 1


@pytest.mark.parametrize(
    ("site", "words", "said"),
    [
        ("nowhere", ["--yes"], "the fleet does not know nowhere"),
        ("No Site", ["--yes"], "is no site id"),
        ("live", [], "say --yes"),
    ],
)
def test_what_cannot_be_forgotten_is_said(kafka: RealKafka, site: str, words: list[str], said: str) -> None:
    before = published(kafka.broker, [device_events("live")])
    refused = forget(kafka, site, *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(published(kafka.broker, [device_events("live")])) == len(before)
