"""The database is a projection that can be made anew and tidied, and a reader sees its views alone."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from storage.checksum import checksums
from storage.errors import StorageError
from storage.rebuild import rebuild
from storage.rows import TABLES
from storage.sink import Sink
from storage.upkeep import keep_up
from streams.sqlite_log import SqliteEventLog
from tests.folding import MONDAY
from tests.integration.database_rig import SITE, apply, scanner
from tests.postgres import ServerDatabase
from tests.site_logs import write_log

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
    "review_log",
    "open_faults",
    "open_handovers",
    "review_decisions_in_force",
)
CLINICAL_VIEWS = (
    "current_measurements",
    "current_measurement_values",
    "current_cross_calibrated",
    "amended_measurements",
    "review_measurements",
)


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
