"""The fleet's sink on a real Kafka and a real PostgreSQL: every row once, whatever is begun again."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import kafka_sink
from storage.connection import Db, open_connection
from storage.kafka_sink import KafkaSink
from storage.log_rows import readable
from storage.sink import Batch, Reached, Sink
from streams.broker import Broker
from streams.envelope import Headers, LogRow, RejectedRecordError, Rejection, row_from_record
from streams.fleet.desk import Plan, SiteDesk
from streams.fleet.refold_request import ask_for_refold
from streams.fleet.site_life import SiteLife
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import create
from streams.topics import fleet_topics, site_topic
from tests.fleet_campaign.expected import differences, straight
from tests.fleet_processes import put, records_of
from tests.integration.test_fleet_worker import forwarded
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.peers import free_port
from tests.postgres import ServerDatabase
from tests.site_logs import write_log


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


class Following:
    """A sink in a thread."""

    def __init__(self, kafka: RealKafka, database: ServerDatabase) -> None:
        self._stopped = threading.Event()
        sink = KafkaSink(kafka.broker, Sink(database.connect), group=f"sink-{id(self)}")
        self._thread = threading.Thread(target=sink.run, args=(self._stopped,))
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def count(database: ServerDatabase, table: str, site: str) -> int:
    with database.connect() as db:
        row = db.execute(f"SELECT count(*) FROM {table} WHERE device LIKE %s", (f"{site}/%",)).fetchone()
    assert row is not None
    return int(row[0])


def test_sites_are_in_the_database_once_and_a_sink_begun_again_goes_on(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path
) -> None:
    first = forwarded(kafka, tmp_path, "first", devices=2, days=15)
    following = Following(kafka, database)
    try:
        changes = {o.outcome_id for o in first if type(o.outcome).__name__ == "GateChanged"}
        wait_until(lambda: count(database, "gate_changes", "first") == len(changes) > 20, within_s=60)
    finally:
        following.stop()
    events = count(database, "events", "first")
    second = forwarded(kafka, tmp_path, "second", devices=1, days=5)
    following = Following(kafka, database)
    try:
        judged = {o.outcome.subject_event_id for o in second if type(o.outcome).__name__ == "QcJudged"}  # type: ignore[union-attr]
        wait_until(lambda: count(database, "qc_readings", "second") == len(judged) > 5, within_s=60)
    finally:
        following.stop()
    assert count(database, "events", "first") == events


def test_what_an_older_sink_could_not_read_is_read_when_its_device_is_taken_up(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "older.sqlite"
    write_log(path, "older", devices=2, days=3)
    create(kafka.broker, (site_topic("older"),))
    records = records_of(path)
    put(kafka.broker, "older", records)

    def older(site: str, key: bytes | None, value: bytes | None, headers: Headers) -> LogRow:
        """Read as a program that does not know the scanner's own QC."""
        if b"vendor-qc-reported" in (value or b"") and key == b"older/dxa-1":
            raise RejectedRecordError(Rejection.UNKNOWN_VERSION, "unknown", "older/dxa-1")
        return row_from_record(site, key, value, headers)

    with monkeypatch.context() as patched:
        patched.setattr(kafka_sink, "row_from_record", older)
        following = Following(kafka, database)
        try:
            wait_until(lambda: count(database, "events", "older") == len(records) - 3, within_s=60)
        finally:
            following.stop()
    with database.connect() as db:
        assert (
            db.execute("SELECT device, rejection FROM refusals").fetchall() == [("older/dxa-1", "unknown_version")] * 3
        )
    following = Following(kafka, database)
    try:
        ask_for_refold(kafka.broker, "older/dxa-1")
        wait_until(lambda: count(database, "events", "older") == len(records), within_s=60)
    finally:
        following.stop()
    with database.connect() as db:
        assert db.execute("SELECT * FROM refusals").fetchall() == []
        assert differences(db, straight([path]), site="older") == []


def test_rows_before_a_fork_stand_whatever_batch_they_came_in(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path
) -> None:
    path, other = tmp_path / "split.sqlite", tmp_path / "other.sqlite"
    write_log(path, "split", devices=2, days=3)
    write_log(other, "split", devices=1, days=1)
    create(kafka.broker, (site_topic("split"),))
    records = records_of(path)
    put(kafka.broker, "split", [*records[:17], *records_of(other)[:1], *records[17:]])
    following = Following(kafka, database)
    try:
        wait_until(lambda: aside(database) != "", within_s=60)
    finally:
        following.stop()
    assert count(database, "events", "split") == 17
    assert "comes where" in aside(database)


def test_a_database_that_is_away_is_said_to_be_and_the_lag_ends_at_nothing(
    kafka: RealKafka, database: ServerDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarded(kafka, tmp_path, "waiting", devices=1, days=2)
    there = threading.Event()

    def connect() -> Db:
        return database.connect() if there.is_set() else open_connection(f"host=127.0.0.1 port={free_port()} user=x")

    sink, stopped = KafkaSink(kafka.broker, Sink(connect), group="away"), threading.Event()
    thread = threading.Thread(target=sink.run, args=(stopped,))
    thread.start()
    try:
        wait_until(lambda: kafka_sink.AWAY._value.get() == 1, within_s=60)
        there.set()
        wait_until(lambda: count(database, "events", "waiting") > 0, within_s=60)
        wait_until(lambda: (kafka_sink.AWAY._value.get(), kafka_sink.LAG._value.get()) == (0, 0))
    finally:
        stopped.set()
        thread.join(30)
    said = capsys.readouterr().out
    assert said.count("cannot be reached") >= 1
    assert "database_back" in said
    assert "broker_" not in said
    assert "Traceback" not in said


def test_worker_and_sink_judge_a_chain_alike(kafka: RealKafka, database: ServerDatabase, tmp_path: Path) -> None:
    """Rows with a false position, with altered content behind a hole, and repeated: what one refuses the other does."""
    path = tmp_path / "alike.sqlite"
    write_log(path, "alike", devices=3, days=5)
    create(kafka.broker, (site_topic("alike"),))
    records = records_of(path)
    lies = records[20]._replace(
        headers=[(name, b"900000" if name == "ce_logposition" else said) for name, said in records[20].headers]
    )
    place = next(n for n in range(30, len(records)) if b"phantom-measured" in records[n].value)
    altered = records[place]._replace(value=records[place].value.replace(b'"region":"L1-L4"', b'"region":"L1-L3"'))
    stream = [*records[:20], lies, *records[21:place], altered, *records[place + 1 :], *records[3:9]]
    put(kafka.broker, "alike", stream)
    desk, plan = SiteDesk("alike"), Plan()
    for record in stream:
        desk.take(plan, *record)
    following = Following(kafka, database)
    try:
        wait_until(lambda: count(database, "events", "alike") == len(records) - 2, within_s=60)
    finally:
        following.stop()
    with database.connect() as db:
        refused = db.execute("SELECT position, device, rejection FROM refusals ORDER BY position").fetchall()
    assert refused == [(20, records[20].key.decode(), "unreadable"), (place, altered.key.decode(), "chain")]
    assert plan.parked.keys() == {device for _, device, _ in refused}


def test_what_was_read_before_a_site_was_forgotten_is_not_taken_in_after_it(
    database: ServerDatabase, tmp_path: Path
) -> None:
    """A sink that lost the site while it had a batch of it in hand."""
    for site in ("one", "one-more"):
        write_log(tmp_path / site, site, devices=1, days=3)
    with SqliteEventLog(tmp_path / "one") as log, SqliteEventLog(tmp_path / "one-more") as other:
        rows, others = readable(log.rows()), readable(other.rows())
    with closing(Sink(database.connect)) as sink:
        sink.apply_all([Batch("one", rows[:5], 5), Batch("one-more", others, 9)])
        sink.forget("one", 8)
        sink.forget("one", 8)
        assert sink.apply_all([Batch("one", rows[5:], 8), Batch("one-more", others, 9)]).refused == 0
        assert (count(database, "events", "one"), count(database, "events", "one-more")) == (0, len(others))
        assert sink.sources()["one"] == Reached(9, "", 0, b"", SiteLife(8, -1))
        sink.apply("one", rows, 40)
        assert sink.sources()["one"].log_position == 0, "nobody may begin it who has not seen the request"
        bad = rows[3]._replace(position=2**70)
        sink.apply_all([Batch("one", [*rows[:3], bad, *rows[4:]], 20, life=SiteLife(8, 9))])
        sink.forget("one", 8)
    assert count(database, "events", "one") == len(rows) - 1
    with database.connect() as db:
        assert db.execute("SELECT begins FROM sink_state WHERE source = 'one'").fetchall() == [(9,)]


def aside(database: ServerDatabase) -> str:
    with database.connect() as db:
        found = db.execute("SELECT set_aside FROM sink_state WHERE source = 'split'").fetchone()
    return str(found[0]) if found else ""


@pytest.mark.parametrize("device", ["nowhere", "no site/dxa-1", "site/"])
def test_what_is_no_device_cannot_be_taken_up(device: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        ask_for_refold(Broker("127.0.0.1:1"), device)
