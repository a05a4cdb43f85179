"""Where bad records end: topics, worker, sink and database together, and the good rows around them go on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams import codec
from streams.envelope import Record, notice_from_row
from streams.forwarder import Forwarder, LogForkedError
from streams.messages import GateChanged
from streams.sqlite_log import SqliteEventLog
from streams.topics import DEAD_LETTERS, GATES, device_events
from tests.fleet_campaign.expected import differences, straight
from tests.fleet_campaign.ground import LOG, SITE
from tests.fleet_processes import FleetProcess, fleet, fleet_process, put, records_of
from tests.integration.test_fleet_worker import by_id, outcomes_there, published
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.postgres import Server, ServerDatabase, embedded, server
from tests.site_logs import write_log

__all__ = ["embedded", "server"]

SITES = (
    "twice",
    "gapped",
    "turned",
    "large",
    "garbled",
    "altered",
    "future",
    "foreign",
    "copied",
    "renewed",
    "again",
    "good",
)


@dataclass
class Fleet:
    """One broker, worker, sink and database for all tests here; each has a site of its own."""

    kafka: RealKafka
    worker: FleetProcess
    sink: FleetProcess
    database: ServerDatabase
    folder: Path

    def log(self, site: str, *, days: int = 4) -> Path:
        """Make a log of two devices."""
        path = self.folder / f"{site}.sqlite"
        write_log(path, site, devices=2, days=days)
        return path

    def put(self, site: str, records: list[Record]) -> None:
        put(self.kafka.broker, site, records)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.connect() as db:
            return db.execute(query.encode(), values).fetchall()

    def parked(self, site: str) -> dict[str, str]:
        return dict(self.rows("SELECT device_id, why FROM parked_devices WHERE site = %s", site))

    def gate(self, device: str) -> list[tuple[Any, ...]]:
        """What the fleet's dashboards say of a device's gate."""
        return self.rows("SELECT status, reason_codes, parked <> '' FROM gate_now WHERE device = %s", device)

    def refusals(self, site: str) -> list[tuple[Any, ...]]:
        query = "SELECT device, rejection FROM refusals WHERE site = %s ORDER BY position"
        return self.rows(query, site)

    def positions(self, site: str) -> list[int]:
        query = "SELECT log_position FROM events WHERE device LIKE %s ORDER BY log_position"
        return [row[0] for row in self.rows(query, f"{site}/%")]

    def published_gate(self, device: str) -> str:
        """The last gate on the topic, whole."""
        of_device = [one for one in published(self.kafka.broker, [GATES]) if one.key == f"{device}#all".encode()]
        return of_device[-1].value.decode() if of_device else ""

    def missing(self, path: Path, *, device: str = "") -> set[str]:
        """Which outcomes of a log, or of one device there, are on no topic."""
        with SqliteEventLog(path, read_only=True) as log:
            bodies = [body for row in log.rows(device or None) for body in row.outcomes]
        return {codec.decode_outcome(body).outcome_id for body in bodies} - by_id(
            outcomes_there(self.kafka.broker)
        ).keys()

    def refold(self, device: str) -> None:
        assert "taken up" in fleet("refold", device, "--servers", self.kafka.broker.servers)

    def differences(self, path: Path, site: str) -> list[str]:
        """Where the database does not say of a site what a straight replay of its log gives."""
        with self.database.connect() as db:
            return differences(db, straight([path]), site=site)


@pytest.fixture(scope="module")
def shared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    database = ServerDatabase(server.create(server.template))
    try:
        with real_kafka(folder / "kafka") as kafka:
            servers = kafka.broker.servers
            fleet("topics", *SITES, "--servers", servers, "--partitions", "2")
            url = ["--database-url", database.conninfo]
            with (
                fleet_process(folder / "worker.log", "worker", "--servers", servers) as worker,
                fleet_process(folder / "sink.log", "sink", "--servers", servers, *url) as sink,
            ):
                yield Fleet(kafka, worker, sink, database, folder)
            assert "Traceback" not in worker.said + sink.said
    finally:
        database.stop()
        server.drop(database.conninfo)


HELD = [("held", ["state_unknown"], True)]
ROWS = "bonewatch_fleet_rows_total"
UNREADABLE = "bonewatch_fleet_sink_unreadable_total"


def increase(process: FleetProcess, name: str, **labels: str) -> Callable[[], float]:
    """How much a counter of worker or sink has grown since now."""
    before = process.metric(name, **labels)
    return lambda: process.metric(name, **labels) - before


def of(records: list[Record], device: str) -> list[int]:
    """Where a device's records stand."""
    return [place for place, record in enumerate(records) if record.key == device.encode()]


def test_what_comes_twice_counts_once(shared: Fleet) -> None:
    path = shared.log("twice")
    records, duplicates = records_of(path), increase(shared.worker, ROWS, kind="duplicate")
    shared.put("twice", records)
    shared.put("twice", records[3:])
    wait_until(lambda: duplicates() == len(records) - 3, within_s=90)
    wait_until(lambda: len(shared.positions("twice")) == len(records), within_s=90)
    assert shared.differences(path, "twice") == []
    there = [outcome for outcome in outcomes_there(shared.kafka.broker) if outcome.device.startswith("twice/")]
    assert len(there) == len(by_id(there))
    assert shared.missing(path) == set()


def test_a_gap_parks_its_device_until_it_is_filled_and_taken_up_again(shared: Fleet) -> None:
    path = shared.log("gapped")
    records, gaps = records_of(path), increase(shared.worker, ROWS, kind="gap")
    lost = of(records, "gapped/dxa-1")[4]
    shared.put("gapped", records[:lost] + records[lost + 1 :])
    wait_until(lambda: shared.parked("gapped") == {"dxa-1": "event 5 is missing"}, within_s=90)
    wait_until(lambda: len(shared.positions("gapped")) == len(records) - 1, within_s=90)
    assert gaps() >= 1
    assert shared.worker.metric("bonewatch_fleet_parked_devices") >= 1
    assert "event 5 is missing" in shared.published_gate("gapped/dxa-1")
    assert shared.gate("gapped/dxa-1") == HELD
    wait_until(lambda: shared.missing(path, device="gapped/dxa-2") == set())
    shared.put("gapped", [records[lost]])
    shared.refold("gapped/dxa-1")
    wait_until(lambda: shared.parked("gapped") == {}, within_s=90)
    wait_until(lambda: shared.differences(path, "gapped") == [], within_s=90)
    wait_until(lambda: shared.missing(path) == set())
    again, once = json.loads(shared.published_gate("gapped/dxa-1")), json.loads(last_gate(path, "gapped/dxa-1"))
    assert again["outcome"] == once["outcome"]
    assert again["device_seq"] >= once["device_seq"]


def last_gate(path: Path, device: str) -> bytes:
    with SqliteEventLog(path, read_only=True) as log:
        bodies = [body for row in log.rows(device) for body in row.outcomes]
    return [body for body in bodies if isinstance(codec.decode_outcome(body).outcome, GateChanged)][-1]


def test_rows_that_are_sent_again_fill_holes_and_count_once(shared: Fleet) -> None:
    folder = shared.folder / "again"
    (folder / "var").mkdir(parents=True)
    (folder / "site.toml").write_text(SITE.format(site="again", servers=shared.kafka.broker.servers))
    path = folder / LOG
    write_log(path, "again", devices=3, days=4)
    records, duplicates = records_of(path), increase(shared.worker, ROWS, kind="duplicate")
    lost, refused = of(records, "again/dxa-1")[4], of(records, "again/dxa-2")[6]
    assert lost + 5 < refused < len(records) - 4
    garbled = records[refused]._replace(value=b"\xff{")
    shared.put("again", [*records[:lost], *records[lost + 1 : refused], garbled, *records[refused + 1 :]])
    held = {"dxa-1": "event 5 is missing", "dxa-2": "unreadable"}
    wait_until(lambda: {d: why.partition(":")[0] for d, why in shared.parked("again").items()} == held, within_s=90)
    wait_until(lambda: len(shared.positions("again")) == len(records) - 2, within_s=90)

    said = fleet("forward", "-c", str(folder / "site.toml"), "--rows", f"{lost + 1}-{refused + 3}")
    assert said.startswith(f"Sent {refused - lost + 3} rows once more.")
    wait_until(lambda: shared.positions("again") == list(range(1, len(records) + 1)), within_s=90)
    for device in held:
        shared.refold(f"again/{device}")
    wait_until(lambda: shared.parked("again") == {}, within_s=90)
    assert shared.differences(path, "again") == []
    wait_until(lambda: shared.missing(path) == set())
    assert duplicates() >= len(of(records[lost : refused + 3], "again/dxa-3")) > 0
    there = [o for o in outcomes_there(shared.kafka.broker) if o.device == "again/dxa-3"]
    assert len(there) == len(by_id(there))
    check_goes_on(shared, path, len(records))


def check_goes_on(shared: Fleet, path: Path, sent: int) -> None:
    """The forwarder goes on behind the last row that it sent, not behind one that was sent again."""
    new = write_log(path, "again", devices=3, days=1, from_day=4)
    with SqliteEventLog(path, read_only=True) as log:
        end, before = log.last_position(), len(published(shared.kafka.broker, [device_events("again")]))
        assert any(reached == end for reached in Forwarder(log, "again", shared.kafka.broker).batches())
    assert len(published(shared.kafka.broker, [device_events("again")])) == before + end - sent >= before + new
    wait_until(lambda: shared.differences(path, "again") == [], within_s=90)


@pytest.mark.parametrize(
    ("rows", "said"),
    [("0-3", "has sent rows 1 to"), ("3-99999", "cannot be sent again"), ("3-1", "3 to 1"), ("a-b", "--rows")],
)
def test_rows_that_were_never_sent_cannot_be_sent_again(shared: Fleet, rows: str, said: str) -> None:
    command = [sys.executable, "-m", "bonewatch", "fleet", "forward", "-c", str(shared.folder / "again" / "site.toml")]
    refused = subprocess.run([*command, "--rows", rows], capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_rows_in_another_order_are_put_right_from_the_topic(shared: Fleet) -> None:
    path = shared.log("turned")
    records = records_of(path)
    one, other = of(records, "turned/dxa-2")[5:7]
    records[one], records[other] = records[other], records[one]
    shared.put("turned", records)
    wait_until(lambda: shared.missing(path) == set(), within_s=90)
    wait_until(lambda: shared.differences(path, "turned") == [], within_s=90)
    assert shared.parked("turned") == {}


def test_an_event_too_large_to_travel_parks_its_device(shared: Fleet) -> None:
    path = shared.log("large")
    records = records_of(path)
    counted = increase(shared.worker, ROWS, kind="too_large"), increase(shared.sink, UNREADABLE, rejection="too_large")
    place = of(records, "large/dxa-1")[-2]
    with SqliteEventLog(path, read_only=True) as log:
        row = list(log.rows())[place]
    notice = notice_from_row(codec.decode_event(row.body), position=row.position, link=row.link)
    check_parked_and_flowing(shared, path, place, notice, "too_large")
    assert [counter() for counter in counted] == [1, 1]


def check_parked_and_flowing(shared: Fleet, path: Path, place: int, bad: Record, rejection: str) -> None:
    """Instead of a log's record comes a bad one: its device is parked everywhere, everything else arrives."""
    records = records_of(path)
    device = records[place].key.decode()
    site = device.partition("/")[0]
    shared.put(site, [*records[:place], bad, *records[place + 1 :]])
    wait_until(lambda: shared.parked(site).keys() == {device.partition("/")[2]}, within_s=90)
    expected = [n for n in range(1, len(records) + 1) if n != place + 1]
    wait_until(lambda: shared.positions(site) == expected, within_s=90)
    assert shared.refusals(site) == [(device, rejection)]
    assert shared.gate(device) == HELD
    other = next(record.key.decode() for record in records if record.key != records[place].key)
    assert shared.gate(other) not in ([], HELD)
    wait_until(lambda: shared.missing(path, device=other) == set())
    assert "state_unknown" in shared.published_gate(device)
    assert f'"device": "{device}"' in "".join(line for line in shared.worker.said.splitlines() if "parked" in line)


def test_a_garbled_record_parks_its_device_and_the_row_itself_mends_it(shared: Fleet) -> None:
    path = shared.log("garbled")
    records = records_of(path)
    counted = (
        increase(shared.worker, ROWS, kind="unreadable"),
        increase(shared.sink, UNREADABLE, rejection="unreadable"),
    )
    place = of(records, "garbled/dxa-1")[5]
    check_parked_and_flowing(shared, path, place, records[place]._replace(value=b"\xff{"), "unreadable")
    assert [counter() for counter in counted] == [1, 1]
    check_mended(shared, "garbled", path, records[place])


def check_mended(shared: Fleet, site: str, path: Path, missing: Record) -> None:
    """With the row that was wanting, all is as if nothing had been."""
    shared.put(site, [missing])
    shared.refold(missing.key.decode())
    wait_until(lambda: shared.parked(site) == {}, within_s=90)
    wait_until(lambda: shared.differences(path, site) == [], within_s=90)
    wait_until(lambda: shared.missing(path) == set())


def test_a_record_whose_content_was_changed_breaks_the_chain_and_stands_in_no_table(shared: Fleet) -> None:
    path = shared.log("altered")
    records = records_of(path)
    counted = increase(shared.worker, ROWS, kind="log_forked"), increase(shared.sink, UNREADABLE, rejection="chain")
    place = next(n for n in reversed(range(len(records))) if b"phantom-measured" in records[n].value)
    value = records[place].value.replace(b'"region":"L1-L4"', b'"region":"L1-L3"')
    assert value != records[place].value
    check_parked_and_flowing(shared, path, place, records[place]._replace(value=value), "chain")
    assert [counter() for counter in counted] == [1, 1]
    assert "chain breaks" in "".join(shared.parked("altered").values())
    check_mended(shared, "altered", path, records[place])


def test_an_event_of_a_version_to_come_parks_its_device(shared: Fleet) -> None:
    path = shared.log("future")
    records = records_of(path)
    kind = "unknown_version"
    counted = increase(shared.worker, ROWS, kind=kind), increase(shared.sink, UNREADABLE, rejection=kind)
    place = of(records, "future/dxa-2")[-1]
    value = records[place].value.replace(b".v1", b".v9")
    check_parked_and_flowing(shared, path, place, records[place]._replace(value=value), kind)
    assert [counter() for counter in counted] == [1, 1]
    shared.refold("future/dxa-2")
    wait_until(lambda: "cannot be read" in shared.parked("future").get("dxa-2", ""), within_s=90)


def test_another_sites_device_is_a_dead_letter_and_parks_nobody(shared: Fleet) -> None:
    path, stranger = shared.log("foreign"), shared.folder / "stranger.sqlite"
    write_log(stranger, "good", devices=1, days=1)
    counted = (
        increase(shared.worker, ROWS, kind="foreign_device"),
        increase(shared.sink, UNREADABLE, rejection="foreign_device"),
    )
    records = records_of(path)
    shared.put("foreign", [*records[:4], records_of(stranger)[0], *records[4:]])
    wait_until(lambda: len(shared.positions("foreign")) == len(records), within_s=90)
    wait_until(lambda: shared.missing(path) == set(), within_s=90)
    assert [counter() for counter in counted] == [1, 1]
    assert shared.refusals("foreign") == [("", "foreign_device")]
    assert shared.parked("foreign") == {}
    dead = published(shared.kafka.broker, [DEAD_LETTERS])
    assert [record.key for record in dead] == [b"good/dxa-1"]
    assert b"on the topic of foreign" in dict(dead[0].headers)["bonewatch_rejection"]
    assert shared.positions("good") == []


def aside(shared: Fleet, site: str) -> str:
    found = shared.rows("SELECT set_aside FROM sink_state WHERE source = %s", site)
    return str(found[0][0]) if found else ""


def check_forked(shared: Fleet, site: str, original: Path, forked: list[Record]) -> None:
    """Nothing of the other log stands anywhere, the device it was about is held, other sites go on."""
    before = shared.positions(site)
    shared.put(site, forked)
    wait_until(lambda: aside(shared, site) != "", within_s=90)
    wait_until(lambda: shared.parked(site) != {}, within_s=90)
    assert all("log_forked" in why for why in shared.parked(site).values())
    device = f"{site}/{next(iter(shared.parked(site)))}"
    assert shared.gate(device) == HELD
    assert "log_forked" in shared.published_gate(device)
    assert shared.positions(site) == before
    assert shared.differences(original, site) == []
    assert shared.sink.metric("bonewatch_fleet_sink_forked_total") >= 1


def test_a_restored_copy_is_refused_by_its_forwarder_and_parked_if_its_rows_come_all_the_same(shared: Fleet) -> None:
    original = shared.log("copied")
    copy = shared.folder / "copy.sqlite"
    shutil.copy(original, copy)
    with SqliteEventLog(copy, read_only=True) as log:
        restored_at = log.last_position()
    write_log(original, "copied", devices=2, days=2, from_day=4)
    shared.put("copied", records_of(original))
    wait_until(lambda: shared.differences(original, "copied") == [], within_s=90)
    write_log(copy, "copied", devices=2, days=2, from_day=10)
    with SqliteEventLog(copy, read_only=True) as log, pytest.raises(LogForkedError):
        next(Forwarder(log, "copied", shared.kafka.broker).batches())
    check_forked(shared, "copied", original, records_of(copy, after=restored_at))


def test_a_log_begun_anew_under_a_sites_name_is_another_log(shared: Fleet) -> None:
    original, anew = shared.log("renewed"), shared.folder / "anew.sqlite"
    shared.put("renewed", records_of(original))
    wait_until(lambda: shared.differences(original, "renewed") == [], within_s=90)
    write_log(anew, "renewed", devices=2, days=2)
    check_forked(shared, "renewed", original, records_of(anew))
    shared.put("good", records_of(shared.log("good")))
    wait_until(lambda: len(shared.positions("good")) > 20, within_s=90)
