"""Every outcome once in the database, whatever comes how often, in which order, and whoever is killed meanwhile."""

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.checksum import checksums
from storage.errors import DatabaseAwayError
from storage.log_rows import readable
from storage.sink import Batch, Sink
from streams.messages import FaultLogged, Person, QcJudged
from streams.sqlite_log import SqliteEventLog
from tests.folding import baseline
from tests.integration.database_rig import EVENTFUL, SITE, apply, empty, examples, scanner
from tests.postgres import MemoryLog, Recorded, ServerDatabase
from tests.site_logs import write_log

__all__ = ["examples"]  # fixtures, used by their names


# --- delivered in any way ----------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=12)
def test_redelivery_duplicates_and_any_order_give_the_same_content(
    examples: ServerDatabase, data: st.DataObject
) -> None:
    rows = EVENTFUL
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=6)))
    batches = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    again = data.draw(st.lists(st.sampled_from(batches), max_size=4))
    order = data.draw(st.permutations([*batches, *again]))
    db, sink = examples.connect(), Sink(examples.connect)
    empty(db)
    apply(sink, rows)
    straight = checksums(db)
    empty(db)
    for batch in order:
        apply(sink, batch)
    assert checksums(db) == straight
    assert db.execute("SELECT position, log_position FROM sink_positions").fetchall() == [(len(rows), len(rows))]
    sink.close()
    db.close()


def test_two_sites_stand_in_one_database_each_with_its_position(database: ServerDatabase) -> None:
    here, there = scanner(), scanner(MemoryLog("other"), device="elsewhere/dxa-1")
    sink = Sink(database.connect)
    sink.apply_all([Batch(SITE, here.log.rows, 700), Batch("elsewhere", there.log.rows[:3], 20)])
    sink.apply("elsewhere", there.log.rows[2:], 23)
    sites = database.connect().execute("SELECT site, count(*) FROM devices GROUP BY site ORDER BY site").fetchall()
    assert sites == [("elsewhere", 1), (SITE, 1)]
    reached = sink.sources()
    assert {name: one.position for name, one in reached.items()} == {SITE: 700, "elsewhere": 23}
    assert {name: one.log_position for name, one in reached.items()} == {
        SITE: len(here.log.rows),
        "elsewhere": len(there.log.rows),
    }


def test_a_position_without_rows_advances_too(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    apply(sink, scanner().log.rows)
    sink.apply(SITE, [], 99)
    reached = sink.reached(SITE)
    assert reached is not None
    assert reached.position == 99


# --- odd content -------------------------------------------------------------------------------------------


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "\\N",
        "\\.",
        "a\tb\nc\\r",
        "{}",
        '{"a,b",NULL}',
        "'; DROP TABLE events; --",
        "\U0001f9b4\u202e",
        "\x00",
        "\\u0000",
    ]
)


@given(text=ODD, name=ODD)
@settings(max_examples=25)
def test_any_text_comes_out_as_it_went_in_save_nul(examples: ServerDatabase, text: str, name: str) -> None:
    device = Recorded()
    device.fact(FaultLogged("f", text, stops_scanning=True, logged_by=Person(name, "engineer")))
    db, sink = examples.connect(), Sink(examples.connect)
    empty(db)
    sink.apply(SITE, device.log.rows, 1)
    said = db.execute("SELECT text, logged_by FROM faults").fetchall()
    fact = db.execute("SELECT fact ->> 'text' FROM events WHERE type LIKE '%fault-logged%'").fetchall()
    assert said == [(text.replace("\x00", "\ufffd"), name.replace("\x00", "\ufffd"))]
    assert fact == [(text.replace("\x00", "\ufffd"),)]
    assert db.execute("SELECT count(*) FROM refused_rows").fetchall() == [(0,)]
    assert db.execute("SELECT status FROM gates").fetchall() == [("held",)]
    sink.close()
    db.close()


def test_a_row_that_no_table_takes_is_set_aside_and_the_stream_goes_on(database: ServerDatabase) -> None:
    device = scanner()
    device.fact(baseline(epoch=2**40))
    device.scan(1.001)
    rows = device.log.rows
    poison = next(row for row in rows if b"1099511627776" in row.body)
    applied = Sink(database.connect).apply(SITE, rows, 50)
    assert applied.refused >= 1
    db = database.connect()
    refused = db.execute("SELECT source, log_position, sqlstate FROM refused_rows ORDER BY log_position").fetchall()
    assert refused[0] == (SITE, poison.position, "22003")
    kept = db.execute("SELECT count(*) FROM events").fetchall()
    assert kept == [(len(rows) - len(refused),)]
    assert db.execute("SELECT position FROM sink_positions").fetchall() == [(50,)]


def test_a_clock_centuries_out_needs_no_partition_of_its_own(database: ServerDatabase) -> None:
    device = scanner()
    device.scan(1.0, at=datetime(9999, 12, 31, tzinfo=UTC))
    device.scan(1.0, at=datetime(1, 1, 1, tzinfo=UTC))
    apply(Sink(database.connect), device.log.rows)
    rows = database.connect().execute("SELECT count(*) FROM qc_readings WHERE verdict IN ('clock_suspect', 'too_late')")
    assert rows.fetchall() == [(2,)]


# --- trouble -----------------------------------------------------------------------------------------------


def test_a_connection_cut_between_batches_is_made_anew(database: ServerDatabase) -> None:
    device = scanner()
    sink = Sink(database.connect)
    apply(sink, device.log.rows[:2])
    admin = database.connect()
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    with pytest.raises(DatabaseAwayError):
        apply(sink, device.log.rows)
    apply(sink, device.log.rows)
    assert admin.execute("SELECT count(*) FROM events").fetchall() == [(len(device.log.rows),)]


KILLS = 5


def test_a_sink_killed_anywhere_leaves_every_outcome_once(database: ServerDatabase, tmp_path: Path) -> None:
    write_log(tmp_path / "log.sqlite", SITE, devices=3, days=20)
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log:
        rows = readable(log.rows())
    chance, under_way = random.Random(4), 0  # noqa: S311 - when to kill, not a secret
    for _ in range(KILLS):
        process = _sink_process(tmp_path / "log.sqlite", database.conninfo)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.15))
        under_way += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    assert under_way, "a kill hit a sink at work"
    with _sink_process(tmp_path / "log.sqlite", database.conninfo) as last:
        assert last.wait(60) == 0
    db = database.connect()
    killed = checksums(db)
    places = db.execute("SELECT device, device_seq FROM events ORDER BY log_position").fetchall()
    assert places == [(row.event.device, row.event.device_seq) for row in rows]
    outcomes = db.execute("SELECT outcome_id FROM qc_revisions").fetchall()
    expected = [o.outcome_id for row in rows for o in row.outcomes if isinstance(o.outcome, QcJudged)]
    assert sorted(one[0] for one in outcomes) == sorted(expected)
    empty(db)
    apply(Sink(database.connect), rows)
    assert checksums(db) == killed


def _sink_process(log: Path, conninfo: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.sink_process", str(log), SITE, conninfo]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2])
