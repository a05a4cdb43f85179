"""The forwarder against a real Apache Kafka: each row once, in order, whatever dies on the way."""

import os
import shutil
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError

from bonewatch import fleet
from streams import forwarder as forwarding
from streams.chain import first_link, next_link
from streams.envelope import RejectedRecordError, Rejection, row_from_record
from streams.fleet.forget_request import UnknownSiteError, ask_to_forget
from streams.fleet.site_life import Forgetting
from streams.forwarder import LogForkedError
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import device_events, fleet_topics, site_topic
from tests.fleet_processes import put, records_of
from tests.integration.forwarder_rig import (
    Replaced,
    Running,
    beginning,
    count_there,
    lag,
    records,
    renamed,
    rows_there,
    whole,
)
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.site_logs import write_log


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def site(kafka: RealKafka) -> str:
    """A site of its own for each test, with its topic."""
    name = f"site-{uuid.uuid4().hex[:8]}"
    create(kafka.broker, (site_topic(name), *fleet_topics(2)))
    return name


@pytest.fixture
def log_path(tmp_path: Path, site: str) -> Path:
    path = tmp_path / "site-log.sqlite"
    write_log(path, site)
    return path


@pytest.fixture
def forward(kafka: RealKafka, site: str) -> Iterator[Callable[[Path], Running]]:
    begun: list[Running] = []

    def start(path: Path) -> Running:
        begun.append(Running(path, site, kafka.broker))
        return begun[-1]

    yield start
    for running in begun:
        running.stop()


def test_the_whole_log_arrives_once_in_order_and_its_chain_holds(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    forward(log_path)
    with SqliteEventLog(log_path, read_only=True) as log:
        expected = list(log.rows())
        log_id = log.log_id
    assert len(expected) > 40
    wait_until(lambda: count_there(kafka.broker, site) == len(expected))
    rows = rows_there(kafka.broker, site)
    assert [row.position for row in rows] == [row.position for row in expected]
    assert [row.body for row in rows] == [row.body for row in expected]
    link = first_link(log_id)
    for row in rows:
        link = next_link(link, row.body, row.outcome_bodies)
        assert link == row.link


def test_what_is_committed_later_follows(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    running = forward(log_path)
    with SqliteEventLog(log_path, read_only=True) as log:
        before = log.last_position()
    wait_until(lambda: count_there(kafka.broker, site) == before)
    new = write_log(log_path, site, days=3, from_day=10)
    running.forwarder.wake()
    wait_until(lambda: count_there(kafka.broker, site) > before + new - 1)


def test_a_forwarder_begun_again_goes_on_where_the_broker_is(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    first = forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) > 0)
    first.stop()
    write_log(log_path, site, days=2, from_day=10)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == last)
    assert [row.position for row in rows_there(kafka.broker, site)] == list(range(1, last + 1))


def test_a_restored_copy_that_went_another_way_is_refused(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(log_path, copy)
    write_log(log_path, site, days=2, from_day=10)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == last)
    write_log(copy, site, days=4, from_day=20)
    restored = forward(copy)
    restored.join()
    assert isinstance(restored.failure, LogForkedError)
    assert "was a copy restored" in str(restored.failure)
    assert count_there(kafka.broker, site) == last


def test_a_site_whose_log_was_refused_sends_it_when_the_other_one_is_forgotten(
    kafka: RealKafka, site: str, log_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "FORKED_RETRY_S", 0.5)
    copy = tmp_path / "copy.sqlite"
    shutil.copy(log_path, copy)
    write_log(log_path, site, days=2, from_day=10)
    whole(log_path, site, kafka.broker)
    before = len(records(kafka.broker, device_events(site)))
    forwarder = beginning(copy, site, kafka.broker)
    try:
        wait_until(lambda: forwarding.FORKED._value.get() == 1)
        ask_to_forget(kafka.broker, site, Forgetting("Pat", "restored"))
        with SqliteEventLog(copy, read_only=True) as log:
            expected = [row.link for row in log.rows()]
        wait_until(lambda: count_there(kafka.broker, site) == len(expected))
    finally:
        forwarder.stop()
    there = records(kafka.broker, device_events(site))[before + 1 :]
    assert [row_from_record(site, r.key, r.value, r.headers).link for r in there] == expected
    assert forwarding.FORKED._value.get() == 0


@pytest.mark.parametrize("stale", [0, 3])
def test_a_log_of_a_forgotten_site_begins_at_its_first_row_whatever_was_on_its_way(
    kafka: RealKafka, site: str, log_path: Path, stale: int
) -> None:
    whole(log_path, site, kafka.broker)
    ask_to_forget(kafka.broker, site, Forgetting("Pat", "restored"))
    with pytest.raises(UnknownSiteError, match="nothing of"):
        ask_to_forget(kafka.broker, site, Forgetting("Pat", "once more"))
    put(kafka.broker, site, records_of(log_path)[10 : 10 + stale])
    assert forwarding.last_sent(kafka.broker.options(), site) is None
    before = len(records(kafka.broker, device_events(site)))
    whole(log_path, site, kafka.broker)
    there = records(kafka.broker, device_events(site))[before:]
    assert [r.value for r in there] == [r.value for r in records_of(log_path)]


def test_a_log_without_news_looks_now_and_then_whether_its_site_was_forgotten(
    kafka: RealKafka, site: str, log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "LOOK_AGAIN_S", 0.2)
    forwarder = beginning(log_path, site, kafka.broker)
    try:
        with SqliteEventLog(log_path, read_only=True) as log:
            last = log.last_position()
        wait_until(lambda: count_there(kafka.broker, site) == last)
        ask_to_forget(kafka.broker, site, Forgetting("Pat", "restored"))
        wait_until(lambda: count_there(kafka.broker, site) == last)
        assert len(records(kafka.broker, device_events(site))) == 2 * last + 1
    finally:
        forwarder.stop()


def test_a_copy_that_ends_before_what_was_sent_is_refused(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(log_path, copy)
    write_log(log_path, site, days=2, from_day=10)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == last)
    restored = forward(copy)
    restored.join()
    assert isinstance(restored.failure, LogForkedError)


def test_records_of_others_at_the_end_of_the_topic_do_not_stop_a_site(
    kafka: RealKafka,
    site: str,
    log_path: Path,
    forward: Callable[[Path], Running],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = forward(log_path)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    wait_until(lambda: count_there(kafka.broker, site) == last)
    first.stop()
    monkeypatch.setattr(forwarding, "LOOK_BACK", 2)
    producer = KafkaProducer(**kafka.broker.options())
    for n in range(5):
        producer.send(device_events(site), key=f"{site}/dxa-1".encode(), value=b"no row", headers=[("n", b"%d" % n)])
    producer.send(device_events(site), value=b"", headers=[("ce_logposition", b"one"), ("ce_link", b"")])
    producer.close()
    assert count_there(kafka.broker, site) == last
    write_log(log_path, site, days=2, from_day=10)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == last)
    positions = [dict(record.headers).get("ce_logposition") for record in records(kafka.broker, device_events(site))]
    assert [int(said) for said in positions if said not in {None, b"one"}] == list(range(1, last + 1))


def test_a_hole_at_the_end_of_a_topic_is_filled(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    """Rows behind missing ones prove nothing: the log is sent again from where the first is missing."""
    whole = records_of(log_path)
    put(kafka.broker, site, [*whole[:10], *whole[15:20]])
    assert count_there(kafka.broker, site) == 10
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == len(whole))
    positions = [row.position for row in rows_there(kafka.broker, site)]
    assert positions == [*range(1, 11), *range(16, 21), *range(11, len(whole) + 1)]


def test_rows_sent_again_fill_a_hole_and_prove_nothing_else(kafka: RealKafka, site: str, log_path: Path) -> None:
    whole = records_of(log_path)
    again = [forwarding._marked(record) for record in whole]
    put(kafka.broker, site, [*again[:3], *whole[:10], *again[20:25]])
    assert count_there(kafka.broker, site) == 10
    put(kafka.broker, site, again[10:12])
    assert count_there(kafka.broker, site) == 12


def test_a_broker_that_hangs_longer_than_a_batch_would_wait_leaves_no_hole(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    running = forward(log_path)
    with SqliteEventLog(log_path, read_only=True) as log:
        before = log.last_position()
    wait_until(lambda: count_there(kafka.broker, site) == before)
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        write_log(log_path, site, days=60, from_day=10)  # several batches, all on their way at once
        running.forwarder.wake()
        time.sleep(2.2 * forwarding.REQUEST_MS / 1000)
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    wait_until(lambda: count_there(kafka.broker, site) == last, within_s=60)
    positions = [row.position for row in rows_there(kafka.broker, site)]
    assert list(dict.fromkeys(positions)) == list(range(1, last + 1))


def test_a_topic_of_which_no_record_is_a_row_is_begun_at_the_first(
    kafka: RealKafka, site: str, log_path: Path, forward: Callable[[Path], Running]
) -> None:
    producer = KafkaProducer(**kafka.broker.options())
    producer.send(device_events(site), value=b"hello")
    producer.close()
    assert forwarding.last_sent(kafka.broker.options(), site) is None
    forward(log_path)
    with SqliteEventLog(log_path, read_only=True) as log:
        last = log.last_position()
    wait_until(lambda: count_there(kafka.broker, site) == last)


def test_an_event_too_large_to_travel_leaves_a_notice_in_its_place(
    kafka: RealKafka,
    site: str,
    log_path: Path,
    forward: Callable[[Path], Running],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SqliteEventLog(log_path, read_only=True) as log:
        sizes = sorted((len(row.body) + sum(map(len, row.outcomes)), row.position) for row in log.rows())
    largest = sizes[-1][1]
    monkeypatch.setattr(forwarding, "MAX_RECORD_BYTES", forwarding.HEADERS_BYTES + sizes[-1][0])
    forward(log_path)
    wait_until(lambda: count_there(kafka.broker, site) == len(sizes))
    refused = {}
    for record in records(kafka.broker, device_events(site)):
        try:
            row_from_record(site, record.key, record.value, record.headers)
        except RejectedRecordError as error:
            refused[int(dict(record.headers)["ce_logposition"])] = (error.rejection, error.device)
    assert refused[largest][0] is Rejection.TOO_LARGE
    assert refused[largest][1] is not None
    assert len(refused) < 5


def test_a_broker_killed_on_the_way_loses_and_doubles_nothing(kafka: RealKafka, tmp_path: Path, site: str) -> None:
    path = tmp_path / "site-log.sqlite"
    write_log(path, site, devices=4, days=150)
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
    assert last > 1500
    running = Running(path, site, kafka.broker)
    try:
        wait_until(lambda: count_there(kafka.broker, site) > 0)
        kafka.kill()
        kafka.start()
        wait_until(lambda: count_there(kafka.broker, site) == last, within_s=90)
        assert [row.position for row in rows_there(kafka.broker, site)] == list(range(1, last + 1))
    finally:
        running.stop()


@pytest.mark.parametrize("content", ["", "no certificate", None])
def test_a_ca_that_cannot_be_read_for_a_moment_ends_no_forwarder(
    kafka: RealKafka, site: str, log_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is being replaced; the broker here speaks no TLS, so that taking it away lets the site go on."""
    ca_file = log_path.with_name("ca.pem")
    if content is not None:
        ca_file.write_text(content)
    broker = Replaced(kafka.broker.servers, ca_file)
    forwarder = beginning(log_path, site, broker)
    try:
        with SqliteEventLog(log_path, read_only=True) as log:
            last = log.last_position()
        wait_until(lambda: lag() == last)
        write_log(log_path, site, days=2, from_day=10)
        with SqliteEventLog(log_path, read_only=True) as log:
            more = log.last_position()
        wait_until(lambda: lag() == more > last)
        broker.now.append(kafka.broker)
        wait_until(lambda: count_there(kafka.broker, site) == more and lag() == 0)
    finally:
        forwarder.stop()
    said = capsys.readouterr().out
    assert said.count("cannot be read as the broker's CA") == 1
    assert "broker_back" in said


def test_a_log_that_cannot_be_read_for_a_moment_ends_no_forwarder(
    kafka: RealKafka, site: str, log_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder = beginning(log_path, site, kafka.broker)
    try:
        renamed(log_path, "events", "hidden")
        wait_until(lambda: "forwarding_fails" in capsys.readouterr().out)
        renamed(log_path, "hidden", "events")
        write_log(log_path, site, days=2, from_day=10)
        with SqliteEventLog(log_path, read_only=True) as log:
            last = log.last_position()
        wait_until(lambda: count_there(kafka.broker, site) == last)
    finally:
        forwarder.stop()
    assert "forwarding_fails" not in capsys.readouterr().out, "it is said once"


def test_an_event_of_a_version_unknown_here_travels_as_it_is(kafka: RealKafka, site: str, log_path: Path) -> None:
    with SqliteEventLog(log_path, read_only=True) as log:
        rows = list(log.rows())
    last, later = rows[-1], list[tuple[Any, ...]]()
    for n, (kind, body) in enumerate([("phantom-measured.v9", last.body), ("garbled.v1", b"\xff{")], start=1):
        unknown = body.replace(b".v1", b".v9")
        place = (f"later-{n}", last.device, last.device_seq + n, kind)
        later.append((*place, last.recorded_at, b"", unknown, bytes(32)))
    with closing(sqlite3.connect(log_path)) as db:
        db.executemany(
            "INSERT INTO events (event_id, device, device_seq, type, recorded_at, fact, body, link)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            later,
        )
        db.commit()
    write_log(log_path, site, devices=1, days=1, from_day=30)
    with SqliteEventLog(log_path, read_only=True) as log:
        end = log.last_position()
    assert end > len(rows) + 2
    forwarder = beginning(log_path, site, kafka.broker)
    try:
        wait_until(lambda: count_there(kafka.broker, site) == end)
    finally:
        forwarder.stop()
    unknown, garbled = records(kafka.broker, device_events(site))[len(rows) : len(rows) + 2]
    assert dict(unknown.headers)["ce_type"] == b"phantom-measured.v9"
    assert dict(unknown.headers)["ce_id"] == b"later-1"
    for record, rejection in ((unknown, Rejection.UNKNOWN_VERSION), (garbled, Rejection.UNREADABLE)):
        with pytest.raises(RejectedRecordError) as raised:
            row_from_record(site, record.key, record.value, record.headers)
        assert (raised.value.rejection, raised.value.device) == (rejection, last.device)


def test_a_producer_given_up_sends_nothing_later(kafka: RealKafka, site: str) -> None:
    """kafka-python's own close leaves it running where rows are still on their way and the broker is gone."""
    topic = device_events(site)
    producer = KafkaProducer(**kafka.broker.options(), acks="all", enable_idempotence=True)
    producer.send(topic, key=b"k", value=b"first", partition=0).get(timeout=30)
    kafka.kill()
    try:
        late = producer.send(topic, key=b"k", value=b"late", partition=0)
        forwarding._close(producer)
        assert not producer._sender.is_alive()
        with pytest.raises(KafkaError):
            late.get(timeout=5)
    finally:
        kafka.start()
    assert [record.value for record in records(kafka.broker, topic)] == [b"first"]


def test_records_of_another_program_are_told_from_a_sites() -> None:
    headers = [("ce_subject", b"elsewhere/dxa-1"), ("ce_type", b"x")]
    with pytest.raises(RejectedRecordError, match="foreign_device"):
        row_from_record("here", b"here/dxa-1", b"{}", headers)
    with pytest.raises(RejectedRecordError, match="unreadable") as raised:
        row_from_record("here", b"here/dxa-1", b"not json", [])
    assert raised.value.device == "here/dxa-1"
