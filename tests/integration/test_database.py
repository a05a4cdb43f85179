"""The sink, the views and the rebuild against a real PostgreSQL: every outcome once, whatever comes how often."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.checksum import checksums
from storage.connection import Db
from storage.errors import DatabaseAwayError, LogForkedError, StorageError
from storage.log_rows import check_same_log, readable
from storage.rebuild import rebuild
from storage.rows import TABLES
from storage.sink import Batch, FleetDevice, Reached, Sink, SinkRow
from storage.upkeep import keep_up
from streams.messages import (
    Affected,
    Attachment,
    AttachmentAdded,
    ClinicCalendarChanged,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationWithdrawn,
    DeviceReconfigured,
    DutyDone,
    EntryKind,
    EquipmentHandedBack,
    EquipmentHandedOver,
    FaultCleared,
    FaultLogged,
    HandoverForm,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    PatientScanStarted,
    Person,
    PhantomMeasured,
    QcJudged,
    QcReleased,
    ReturnDecided,
    ReviewDecided,
    Severity,
    StepReviewed,
)
from streams.policy import Closure, CommissioningStep, Duty, DutyKind
from streams.sqlite_log import SqliteEventLog
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, POLICY, WEEKDAY_CLINIC, baseline
from tests.integration.test_studies import accepted
from tests.postgres import MemoryLog, Recorded, Server, ServerDatabase, database, embedded, server
from tests.site_logs import write_log

__all__ = ["database", "embedded", "server"]  # fixtures, used by their names

SITE = "test-site"
VIEWS = (
    "incidents",
    "equipment_log",
    "commissioning",
    "epochs_compared",
    "studies_in_force",
    "device_bypasses",
    "handovers",
    "duty_now",
    "duty_history",
    "scan_constants",
    "devices",
    "gate_now",
    "gate_intervals",
    "uptime_intervals",
    "qc_chart",
    "qc_history",
    "refusals",
    "parked_devices",
    "diverged_devices",
    "qc_daily",
    "baseline_epochs",
    "review_queue",
    "faults",
    "device_checks",
    "stages",
    "sink_state",
    "cross_calibrations",
    "cross_calibration_differences",
    "shared_steps",
    "shared_step_devices",
    "review_status",
    "review_worklist",
    "review_decisions_in_force",
)
CLINICAL_VIEWS = (
    "current_measurements",
    "current_measurement_values",
    "current_cross_calibrated",
    "amended_measurements",
    "review_measurements",
)


def scanner(log: MemoryLog | None = None, *, device: str = "test-site/dxa-1", is_signed_off: bool = True) -> Recorded:
    """A scanner with a baseline of 1.000 whose QC of Monday 07:45 has passed."""
    made = Recorded(log=log, device=device, is_signed_off=is_signed_off)
    made.fact(baseline())
    made.vendor_qc()
    made.scan(1.0)
    made.now += timedelta(minutes=1)
    return made


def eventful() -> Recorded:
    """A scanner that saw a failure, its repeat and release, a fault, a late reading and a re-analysis, over days."""
    made = scanner()
    made.scan(1.03)
    made.now += timedelta(minutes=2)
    made.scan(1.03)
    made.fact(QcReleased(PHANTOM, "the table was moved", PHYSICIST))
    made.scan(1.001)
    made.fact(FaultLogged("f1", "laser \\ 'off'\tand \"odd\"\nline", stops_scanning=True, logged_by=PHYSICIST))
    made.until(MONDAY + timedelta(days=1))
    made.fact(FaultCleared("f1", "replaced", PHYSICIST))
    made.vendor_qc()
    made.scan(1.002, acquisition="again")
    made.now += timedelta(minutes=5)
    made.scan(1.025, acquisition="again")
    made.now += timedelta(days=2)
    for _ in range(9):
        made.scan(1.008)
        made.now += timedelta(minutes=1)
    made.scan(1.0, at=made.now - timedelta(days=1))
    made.fact(ReviewDecided(PHANTOM, "no action", PHYSICIST))
    return made


EVENTFUL = eventful().log.rows


def apply(sink: Sink, rows: list[SinkRow], source: str = SITE) -> None:
    sink.apply(source, rows, rows[-1].position)


def empty(db: Db) -> None:
    """Empty every table, so that one database serves many examples."""
    tables = ", ".join([*(table.name for table in TABLES), "sink_positions", "refused_rows"])
    db.execute(f"TRUNCATE {tables}".encode())


# --- content -----------------------------------------------------------------------------------------------


def test_the_database_says_what_the_fold_said(database: ServerDatabase) -> None:
    device = eventful()
    apply(Sink(database.connect), device.log.rows)
    db = database.connect()
    events = db.execute("SELECT device_seq, event_id FROM events ORDER BY device_seq").fetchall()
    assert events == [(row.event.device_seq, row.event.event_id) for row in device.log.rows]
    judged: dict[str, QcJudged] = {}
    for row in device.log.rows:
        for outcome in (recorded.outcome for recorded in row.outcomes):
            if isinstance(outcome, QcJudged):
                before = judged.get(outcome.subject_event_id)
                judged[outcome.subject_event_id] = outcome
                assert before is None or outcome.revision > before.revision
    assert any(one.revision for one in judged.values())
    stored = db.execute("SELECT subject_event_id, revision, verdict, bmd_g_cm2, cusum_upper_sigmas FROM qc_chart")
    expected = {
        (name, one.revision, one.verdict.value, one.bmd_g_cm2, one.chart.cusum_upper if one.chart else None)
        for name, one in judged.items()
    }
    assert set(stored) == expected
    gate = device.state.gates["all"]
    now = db.execute("SELECT status, since, valid_until FROM gates").fetchall()
    assert now == [(gate.status.value, gate.since, gate.valid_until)]


def test_numbers_of_a_chart_are_those_of_its_baseline(database: ServerDatabase) -> None:
    apply(Sink(database.connect), scanner().log.rows)
    row = database.connect().execute(
        "SELECT phantom_id, bmd_g_cm2, target_g_cm2, sigma_g_cm2, lower_g_cm2, upper_g_cm2, verdict, epoch,"
        " deviation_percent, signal, measured_at FROM qc_chart WHERE bmd_g_cm2 IS NOT NULL"
    )
    assert row.fetchall() == [(PHANTOM, 1.0, 1.0, 0.005, 0.985, 1.015, "pass", 1, 0.0, False, MONDAY)]


def test_a_revision_replaces_and_the_history_keeps_both(database: ServerDatabase) -> None:
    device = scanner()
    first = device.scan(1.0, acquisition="a")
    device.now += timedelta(minutes=1)
    device.scan(1.02, acquisition="a")
    apply(Sink(database.connect), device.log.rows)
    db = database.connect()
    query = "SELECT revision, verdict, bmd_g_cm2 FROM {} WHERE subject_event_id = %s ORDER BY revision"
    stands = db.execute(query.format("qc_chart").encode(), (first.subject_event_id,)).fetchall()
    history = db.execute(query.format("qc_history").encode(), (first.subject_event_id,)).fetchall()
    assert stands == [(1, "fail", 1.02)]
    assert history == [(0, "pass", 1.0), (1, "fail", 1.02)]


def test_faults_reviews_and_decisions_can_be_read(database: ServerDatabase) -> None:
    apply(Sink(database.connect), eventful().log.rows)
    db = database.connect()
    fault = db.execute("SELECT fault_id, text, logged_by, cleared_text, is_open FROM faults").fetchall()
    assert fault == [("f1", "laser \\ 'off'\tand \"odd\"\nline", PHYSICIST.name, "replaced", False)]
    reviews = db.execute("SELECT basis, decision, is_open FROM review_queue ORDER BY opened_at, basis").fetchall()
    assert ("failure", "the table was moved", False) in reviews
    assert ("drift", "no action", False) in reviews


def test_days_are_counted(database: ServerDatabase) -> None:
    device = scanner()
    device.scan(1.03)
    apply(Sink(database.connect), device.log.rows)
    rows = database.connect().execute(
        "SELECT day, readings, failed, mean_g_cm2, min_g_cm2, max_g_cm2 FROM qc_daily WHERE phantom_id = %s", (PHANTOM,)
    )
    assert rows.fetchall() == [(datetime(2026, 11, 2, tzinfo=UTC), 2, 1, pytest.approx(1.015), 1.0, 1.03)]


# --- gates in time -----------------------------------------------------------------------------------------


def test_a_gate_past_its_time_reads_held(database: ServerDatabase) -> None:
    """Nobody wrote `TimeReached`: the site is dead, and the view says so by itself."""
    start = datetime.now(UTC) - timedelta(days=30)
    device = Recorded(start=start)
    device.fact(baseline())
    device.vendor_qc()
    device.scan(1.0)
    apply(Sink(database.connect), device.log.rows)
    db = database.connect()
    assert db.execute("SELECT status FROM gates").fetchall() == [("open",)]
    now = db.execute("SELECT status, lapsed, reason_codes, since = valid_until FROM gate_now").fetchall()
    assert now == [("held", True, ["state_unknown"], True)]
    ends = db.execute(
        "SELECT status, is_available, is_current, ends_at - starts_at < interval '26 hours'"
        " FROM uptime_intervals ORDER BY starts_at DESC LIMIT 2"
    ).fetchall()
    assert ends == [("held", False, True, False), ("open", True, False, True)]


def test_the_gate_of_a_device_that_the_fleet_has_parked_reads_held(database: ServerDatabase) -> None:
    folded = Recorded()
    sink = Sink(database.connect)
    sink.apply("test-site", folded.log.rows, len(folded.log.rows))
    db = database.connect()
    db.execute("UPDATE gates SET status = 'open', valid_until = NULL, reason_codes = '{}'")
    query = b"SELECT status, reason_codes, parked, since FROM gate_now"
    now = datetime.now(UTC)

    def workers_say(seq: int, parked: str, minute: int) -> tuple[Any, ...] | None:
        said = FleetDevice(DEVICE, seq, parked, now + timedelta(minutes=minute), None, minute)
        sink.apply_devices("states/0", [said._replace(parked="before"), said], minute + 1)
        return db.execute(query).fetchone()

    since = db.execute(query).fetchone()[3]  # type: ignore[index]
    assert workers_say(5, "", 1) == ("open", [], "", since)
    assert workers_say(5, "event 6 is missing", 2) == (
        "held",
        ["state_unknown"],
        "event 6 is missing",
        now + timedelta(minutes=2),
    )
    assert workers_say(5, "event 6 is missing", 3)[3] == now + timedelta(minutes=2), "since it was parked"  # type: ignore[index]
    assert workers_say(7, "", 2)[0] == "held", "what was said before says nothing"  # type: ignore[index]
    assert workers_say(7, "", 5) == ("open", [], "", since)
    assert workers_say(4, "event 5 is missing", 6)[0] == "held", "folded anew, it stands farther back"  # type: ignore[index]
    assert workers_say(7, "", 7) == ("open", [], "", since)
    assert sink.sources()["states/0"].position == 8
    sink.close()


def test_a_parked_device_is_held_and_unavailable_from_when_it_was_parked(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    sink.apply("test-site", EVENTFUL, len(EVENTFUL))
    db = database.connect()
    stood = db.execute("SELECT starts_at, ends_at, status FROM gate_intervals ORDER BY starts_at").fetchall()
    (middle,) = [(starts + (ends - starts) / 2) for starts, ends, _ in stood[3:4]]
    device = EVENTFUL[0].event.device
    sink.apply_devices("states/0", [FleetDevice(device, 9, "event 10 is missing", middle, None, 0)], 1)
    rows = db.execute(
        "SELECT starts_at, ends_at, status, is_available, is_current, reason_codes FROM uptime_intervals"
        " ORDER BY starts_at"
    ).fetchall()
    assert [row[:3] for row in rows[:-1]] == [*stood[:3], (stood[3][0], middle, stood[3][2])]
    assert all(not row[4] for row in rows[:-1])
    starts, ends, *said = rows[-1]
    assert (starts, said) == (middle, ["held", False, True, ["state_unknown"]])
    assert ends > datetime.now(UTC) - timedelta(minutes=1)
    sink.apply_devices("states/0", [FleetDevice(device, 30, "", datetime.now(UTC), None, 1)], 2)
    again = db.execute("SELECT starts_at, status FROM gate_intervals ORDER BY starts_at").fetchall()
    assert again == [(starts, status) for starts, _, status in stood]
    sink.close()


def test_intervals_follow_each_other_without_gap_or_overlap(database: ServerDatabase) -> None:
    apply(Sink(database.connect), eventful().log.rows)
    rows = database.connect().execute("SELECT starts_at, ends_at FROM gate_intervals ORDER BY starts_at").fetchall()
    assert len(rows) > 3
    assert all(ends == starts for (_, ends), (starts, _) in pairwise(rows))


# --- delivered in any way ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(server: Server) -> Iterator[ServerDatabase]:
    """One database for many examples."""
    made = ServerDatabase(server.create(server.template))
    yield made
    made.stop()
    server.drop(made.conninfo)


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


# --- forks -------------------------------------------------------------------------------------------------


def test_another_log_of_a_site_is_refused_whole(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    apply(sink, scanner().log.rows)
    before = checksums(database.connect())
    other = scanner(MemoryLog("restored"))
    other.scan(1.01)
    with pytest.raises(LogForkedError, match="log restored comes where log stands"):
        apply(sink, other.log.rows)
    assert checksums(database.connect()) == before


def test_a_seen_number_with_other_content_is_a_fork(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    here, copy = scanner(), scanner()
    here.scan(1.001)
    copy.scan(1.002)
    apply(sink, here.log.rows)
    with pytest.raises(LogForkedError, match="comes with other content"):
        apply(sink, copy.log.rows[-1:])


def test_a_next_row_that_does_not_continue_the_chain_is_a_fork(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    here, copy = scanner(), scanner()
    here.scan(1.001)
    copy.scan(1.002)
    copy.scan(1.0)
    apply(sink, here.log.rows)
    with pytest.raises(LogForkedError, match="does not continue the chain"):
        apply(sink, copy.log.rows[len(here.log.rows) :])


def test_an_older_copy_of_a_site_log_is_told_from_the_log(database: ServerDatabase, tmp_path: Path) -> None:
    write_log(tmp_path / "log.sqlite", SITE, devices=1, days=2)
    shutil.copy(tmp_path / "log.sqlite", tmp_path / "copy.sqlite")
    write_log(tmp_path / "log.sqlite", SITE, devices=1, days=2, from_day=2)
    sink = Sink(database.connect)
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log:
        apply(sink, readable(log.rows()))
    reached = sink.reached(SITE)
    assert reached is not None
    compare(tmp_path / "log.sqlite", reached)
    with pytest.raises(LogForkedError, match="is not there"):
        compare(tmp_path / "copy.sqlite", reached)
    write_log(tmp_path / "copy.sqlite", SITE, devices=1, days=9, from_day=5)
    with pytest.raises(LogForkedError, match="holds another link"):
        compare(tmp_path / "copy.sqlite", reached)
    sink.close()


def compare(path: Path, reached: Reached) -> None:
    """Compare a log with what the database has reached, as a starting site does."""
    with SqliteEventLog(path, read_only=True) as log:
        check_same_log(log, SITE, reached)


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


# --- rebuild, upkeep, reader -------------------------------------------------------------------------------


def test_a_rebuild_gives_the_same_content(database: ServerDatabase, tmp_path: Path) -> None:
    write_log(tmp_path / "log.sqlite", SITE, devices=2, days=40)
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log:
        first = rebuild(database, log, SITE)
        second = rebuild(database, log, SITE)
        assert not first.is_same
        assert second.is_same
        assert second.events == log.count()[0]
        database.connect().execute("UPDATE gates SET status = 'open', reason_codes = '{}', overridden_by = 'nobody'")
        repaired = rebuild(database, log, SITE)
    assert not repaired.is_same
    assert repaired.after == second.after


def test_a_rebuild_never_drops_what_it_cannot_bring_back(database: ServerDatabase, tmp_path: Path) -> None:
    apply(Sink(database.connect), scanner(device="elsewhere/dxa-1").log.rows, "elsewhere")
    before = checksums(database.connect())
    write_log(tmp_path / "log.sqlite", SITE, devices=1, days=1)
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log, pytest.raises(StorageError, match="elsewhere"):
        rebuild(database, log, SITE)
    assert checksums(database.connect()) == before


def test_raw_events_of_old_months_go_where_so_configured_and_readings_stay(database: ServerDatabase) -> None:
    device = scanner()
    apply(Sink(database.connect), device.log.rows)
    db = database.connect()
    keep_up(db, MONDAY + timedelta(days=400), events_kept_months=0)
    assert db.execute("SELECT count(*) FROM events").fetchall() == [(len(device.log.rows),)]
    keep_up(db, MONDAY + timedelta(days=400), events_kept_months=12)
    assert db.execute("SELECT count(*) FROM events").fetchall() == [(0,)]
    assert db.execute("SELECT count(*) FROM qc_chart").fetchall() == [(2,)]


def test_the_reader_sees_views_and_no_table(database: ServerDatabase) -> None:
    apply(Sink(database.connect), scanner().log.rows)
    db = database.connect()
    db.execute("SET ROLE bonewatch_reader")
    for view in VIEWS:
        assert db.execute(f"SELECT count(*) FROM {view}".encode()).fetchone() is not None
    for table in [*CLINICAL_VIEWS, *(table.name for table in TABLES), "sink_positions", "schema_migrations"]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"SELECT count(*) FROM {table}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("DELETE FROM gates")


def test_every_view_and_table_is_documented(database: ServerDatabase) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "database.md").read_text(encoding="utf-8")
    views = database.connect().execute("SELECT viewname FROM pg_views WHERE schemaname = 'bonewatch'").fetchall()
    assert {view for (view,) in views} == {*VIEWS, *CLINICAL_VIEWS}
    named = (*VIEWS, *CLINICAL_VIEWS, *(table.name for table in TABLES))
    assert [name for name in named if f"`{name}`" not in text] == []


def test_a_handover_can_be_asked_for_in_its_stages(database: ServerDatabase) -> None:
    device = Recorded()
    affected = Affected(dose=False, image_quality=True, safety=False, measurement=False)
    operator, engineer = Person("Oz Operator", "operator"), Person("Eve Engineer", "engineer")
    device.fact(EquipmentHandedOver("h1", HandoverForm.CONTROLLED_AREA, "stuck", operator, engineer.name, "Ltd"))
    device.fact(EquipmentHandedBack("h1", engineer.name, "belt", affected, is_working=True, recorded_by=engineer))
    device.fact(ReturnDecided("h1", returns=False, decided_by=operator, note="waits"))
    device.fact(ReturnDecided("h1", returns=True, decided_by=PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute(
        "SELECT handed_over_by, engineer, company, reason, work_done, affected, is_working, decided_by, returned"
        " FROM handovers"
    ).fetchall() == [
        ("Oz Operator", "Eve Engineer", "Ltd", "stuck", "belt", ["image_quality"], True, "Pat Physicist", True)
    ]
    assert db.execute("SELECT device, stage FROM stages ORDER BY recorded_at").fetchall()[-1][1] == "commissioning"
    db.close()


def test_commissioning_steps_and_studies_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    tests = CommissioningStep.ACCEPTANCE_TESTS
    for is_good in (False, True):
        device.fact(CommissioningRecorded(tests, "2026-10-30", "Ines Taller", "Ltd", is_good, PHYSICIST))
    device.fact(CommissioningSignedOff(PHYSICIST, "2021-03-01", "red folder"))
    for epoch, step in ((1, None), (2, 0.4), (3, -0.9)):
        device.fact(msgspec.structs.replace(baseline(epoch=epoch), step_percent=step))
    device.fact(StepReviewed("SPINE-0001", 2, is_comparable=True, decision="small", decided_by=PHYSICIST))
    for study, version in (("old", 1), ("old", 2), ("gone", 1)):
        device.fact(msgspec.structs.replace(accepted(version, since=MONDAY), study_id=study))
    device.fact(CrossCalibrationWithdrawn("gone", "wrong file", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute("SELECT step, is_satisfactory, done_on FROM commissioning ORDER BY step").fetchall() == [
        ("acceptance_tests", True, "2026-10-30"),
        ("signed_off", True, "2021-03-01"),
    ]
    assert db.execute("SELECT epoch, step_percent, is_comparable FROM epochs_compared ORDER BY epoch").fetchall() == [
        (1, None, None),
        (2, 0.4, True),
        (3, -0.9, None),
    ]
    assert db.execute("SELECT study_id, version, slope FROM studies_in_force").fetchall() == [("old", 2, 1.0)]
    db.close()


def test_due_work_can_be_asked_for_as_it_stands_and_as_it_was_done(database: ServerDatabase) -> None:
    device = Recorded()
    service = Duty("service", "Maintenance", "2026-11-02", 6, "months", holds=True, kind=DutyKind.MAINTENANCE)
    gone = Duty("gone", "Gone", "2026-11-02", 0)
    device.fact(DeviceReconfigured(msgspec.structs.replace(POLICY, duties=(service, gone))))
    device.fact(DeviceReconfigured(msgspec.structs.replace(POLICY, duties=(service,))))
    closures = (Closure("2026-12-25", "2026-12-25", "Christmas Day"),)
    device.fact(ClinicCalendarChanged(msgspec.structs.replace(WEEKDAY_CLINIC, closures=closures)))
    device.fact(DutyDone("service", "2026-11-02", "Eve of Invented Ltd", PHYSICIST, reference="R 17"))
    device.fact(DutyDone("service", "some day", "Eve", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    now = db.execute("SELECT device_id, duty_id, name, kind, holds, standing, due_at, done_on FROM duty_now").fetchall()
    due_at, done_on = datetime(2027, 5, 3, tzinfo=UTC) - timedelta(hours=1), date(2026, 11, 2)
    assert now == [("dxa-1", "service", "Maintenance", "maintenance", True, "ok", due_at, done_on)]
    assert db.execute(
        "SELECT standing, effective_at = recorded_at FROM duty_changes WHERE duty_id = 'service' ORDER BY device_seq"
    ).fetchall() == [("due", True), ("ok", True)]
    assert db.execute("SELECT done_on, done_by, reference, person FROM duty_history ORDER BY done_on").fetchall() == [
        (done_on, "Eve of Invented Ltd", "R 17", "Pat Physicist"),
        (None, "Eve", "", "Pat Physicist"),
    ]
    assert db.execute("SELECT closures->0->>'why' FROM clinic_calendars ORDER BY device_seq").fetchall() == [
        (None,),
        ("Christmas Day",),
    ]
    db.close()


HELD = "qc_missing, independent_overdue, no_baseline, not_commissioned"
"""What holds a scanner that was only registered."""


def test_incidents_entries_and_files_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    operator = Person("Oz Operator", "operator")
    device.fact(LogEntryMade(EntryKind.DAILY, "quiet", operator))
    entry = device.log.rows[-1].event.event_id
    device.fact(LogEntryMade(EntryKind.COMMENT, "seen", PHYSICIST, entry))
    device.fact(IncidentRecorded("near_miss", "wrong side", operator))
    incident = device.log.rows[-1].event.event_id
    device.fact(AttachmentAdded(Attachment("a" * 64, "photo.png", "image/png", 1200), incident, operator, "the table"))
    device.fact(PatientScanStarted("A1", device.now, "1.2.3"))
    bypass = device.log.rows[-1].outcomes[-1].outcome_id
    device.fact(IncidentClosed(incident, "marked anew", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    asked = "incident_id, kind, text, opened_by, finding, closed_by, is_open, files"
    assert db.execute(f"SELECT {asked} FROM incidents ORDER BY opened_at, kind DESC").fetchall() == [
        (incident, "near_miss", "wrong side", "Oz Operator", "marked anew", "Pat Physicist", False, 1),
        (bypass, "bypass", HELD, "", None, None, True, 0),
    ]
    assert db.execute("SELECT kind, title, text, about FROM equipment_log ORDER BY device_seq").fetchall() == [
        ("entry", "daily", "quiet", ""),
        ("comment", "comment", "seen", entry),
        ("incident", "near_miss", "wrong side", ""),
        ("file", "photo.png", "the table", incident),
        ("incident", "bypass", HELD, ""),
        ("incident", "closed", "marked anew", incident),
    ]
    assert db.execute("SELECT digest, media_type, size FROM attachments").fetchall() == [("a" * 64, "image/png", 1200)]
    db.close()


def test_a_fault_of_a_log_and_the_constants_of_a_scan_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    by = Person("the device's log", "service")
    said = {"code": "E17", "severity": Severity.ERROR, "component": "c-arm"}
    device.fact(FaultLogged("f", "C-arm", stops_scanning=True, logged_by=by, **said))  # type: ignore[arg-type]
    scan = PhantomMeasured("SPINE-0001", "L1-L4", 1.0, device.now, "a", software="13.6")
    device.fact(msgspec.structs.replace(scan, scan_mode="Array", k=1.13, d0=48.6))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute("SELECT code, severity, component, is_open FROM faults").fetchall() == [
        ("E17", "error", "c-arm", True)
    ]
    assert db.execute("SELECT phantom_id, k, d0, scan_mode, software FROM scan_constants").fetchall() == [
        ("SPINE-0001", 1.13, 48.6, "Array", "13.6")
    ]
    db.close()
