"""Every panel's SQL on real PostgreSQL with the real schema and a year of data, asked as Grafana's role asks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
import pytest

from dashboards.grafana.board import Annotation, Variable
from dashboards.grafana.boards import scanner as scanner_board
from dashboards.grafana.boards import uptime as uptime_board
from dashboards.grafana.catalogue import boards
from dashboards.grafana.expansion import TimeRange, expand
from dashboards.grafana.queries import ColumnType, SqlQuery
from storage.connection import Db
from storage.log_rows import readable
from storage.sink import Sink
from streams.policy import Clinic, ClinicCalendar, Closure
from streams.sqlite_log import SqliteEventLog
from tests import uptime_site
from tests.folding import MONDAY, PHANTOM, POLICY, baseline
from tests.grafana_story import ACCESSION, PSEUDONYM, SITE, story
from tests.integration.database_rig import apply
from tests.postgres import MemoryLog, Recorded, Server, ServerDatabase

NOW: Final = datetime.now(UTC)
YEAR: Final = TimeRange(NOW - timedelta(days=366), NOW)
SCANNERS: Final = [f"{SITE}/dxa-1", f"{SITE}/dxa-2"]
SMALL: Final = [f"{SITE}/scale-1", f"{SITE}/rod-1"]
CHOSEN: Final = {"site": [SITE], "make": ["Invented"], "device": SCANNERS, "phantom": [PHANTOM]}
MAY_BE_EMPTY: Final = {"parked_devices", "refusals"}
"""What only the fleet's workers and sinks write."""

TYPES: Final = {
    ColumnType.TIME: {"timestamptz"},
    ColumnType.NUMBER: {"int4", "int8", "float8"},
    ColumnType.TEXT: {"text"},
    ColumnType.FLAG: {"bool"},
}
BOARDS = boards()
QUERIES = [pytest.param(b.uid, q, id=f"{b.uid}-{q.name}") for b in BOARDS for q in b.sql]
OF_DAYS = [pytest.param(b.uid, q, id=f"{b.uid}-{q.name}") for b in BOARDS for q in b.sql if q.aggregate]


def as_reader(database: ServerDatabase) -> Db:
    """A connection with Grafana's rights, and nothing to find names by but their schema."""
    db = database.connect()
    db.execute("SET ROLE bonewatch_reader")
    db.execute("SET search_path = pg_catalog")
    return db


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[ServerDatabase]:
    made = ServerDatabase(server.create(server.template))
    apply(Sink(made.connect), story(NOW).rows, SITE)
    yield made
    made.stop()
    server.drop(made.conninfo)


@pytest.fixture(scope="module")
def reader(filled: ServerDatabase) -> Db:
    return as_reader(filled)


def ask(db: Db, sql: str, over: TimeRange = YEAR, **chosen: list[str]) -> list[dict[str, Any]]:
    cursor = db.execute(expand(sql, over, CHOSEN | chosen).encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize(("uid", "query"), QUERIES)
def test_a_panel_gets_the_columns_and_types_that_it_expects_and_rows(reader: Db, uid: str, query: SqlQuery) -> None:
    devices = SMALL if uid == "bonewatch-checks" else SCANNERS
    cursor = reader.execute(expand(query.sql, YEAR, CHOSEN | {"device": devices}).encode())
    described = cursor.description or []
    assert [column.name for column in described] == [column.name for column in query.columns]
    for column, wanted in zip(described, query.columns, strict=True):
        assert reader.adapters.types[column.type_code].name in TYPES[wanted.type], wanted.name
    rows = cursor.fetchall()
    assert rows or query.name in MAY_BE_EMPTY
    if query.columns[0].name == "time":
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    told = repr(rows)
    assert ACCESSION not in told
    assert PSEUDONYM not in told


@pytest.mark.parametrize(("uid", "query"), OF_DAYS)
def test_an_aggregate_says_what_the_rows_behind_it_say(reader: Db, uid: str, query: SqlQuery) -> None:
    whole = TimeRange(*(when.replace(hour=0, minute=0, second=0, microsecond=0) for when in YEAR))
    aggregate, raw = (ask(reader, sql, whole) for sql in (query.aggregate, query.sql))
    assert len(aggregate) == len(raw) > 0, uid
    for column in query.columns:
        said, behind = ([row[column.name] for row in rows] for rows in (aggregate, raw))
        assert said == (pytest.approx(behind) if column.type is ColumnType.NUMBER else behind)


@pytest.mark.parametrize(
    ("uid", "variable"), [pytest.param(b.uid, v, id=f"{b.uid}-{v.name}") for b in BOARDS for v in b.variables]
)
def test_a_variable_offers_something(reader: Db, uid: str, variable: Variable) -> None:
    values = [row for (row,) in reader.execute(expand(variable.sql, YEAR, CHOSEN).encode()).fetchall()]
    small = {"device": [*SMALL, *(SCANNERS if uid != "bonewatch-checks" else ())]}
    wanted = {"site": [SITE], "make": ["Invented"], "phantom": [PHANTOM], "device": SCANNERS}
    if uid in {"bonewatch-checks", "bonewatch-faults", "bonewatch-reviews"}:
        wanted |= small
    assert sorted(values) == sorted(wanted[variable.name])


@pytest.mark.parametrize("annotation", scanner_board.ANNOTATIONS, ids=lambda one: one.name)
def test_a_mark_has_a_time_and_words(reader: Db, annotation: Annotation) -> None:
    rows = ask(reader, annotation.sql)
    assert rows
    for row in rows:
        assert row["text"]
        assert row["time"].tzinfo is not None
        assert row.get("timeend", row["time"]) >= row["time"]


def test_grafanas_role_sees_neither_patients_nor_tables_nor_more_by_the_functions(filled: ServerDatabase) -> None:
    owner = filled.connect()
    assert owner.execute("SELECT count(*) FROM measurements WHERE pseudonym = %s", (PSEUDONYM,)).fetchone() != (0,)
    db = as_reader(filled)
    for name in ("measurements", "bypasses", "gate_changes", "clinic_calendars", "current_measurements"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"SELECT 1 FROM bonewatch.{name}".encode())
    views = owner.execute(
        "SELECT table_name FROM information_schema.role_table_grants"
        " WHERE grantee = 'bonewatch_reader' AND table_schema = 'bonewatch'"
    ).fetchall()
    assert len(views) > 20
    for (view,) in views:
        told = repr(db.execute(f"SELECT * FROM bonewatch.{view}".encode()).fetchall())
        assert PSEUDONYM not in told, view


# --- numbers worked out by hand --------------------------------------------------------------------------------------


def test_the_cusum_panel_says_what_montgomery_published(database: ServerDatabase, reference_data: Path) -> None:
    """Montgomery's table 9.1 (target 10, sigma 1) as readings of a phantom: target 1, sigma 0.005."""
    table = np.genfromtxt(
        reference_data / "montgomery_table9_1_cusum_ewma.csv", delimiter=",", names=True, skip_header=1
    )
    one = Recorded(start=MONDAY)
    one.fact(baseline())
    for day, x in enumerate(table["x"]):
        one.until(MONDAY + timedelta(days=day, minutes=1))
        one.scan(1.0 + 0.005 * (float(x) - 10.0))
    apply(Sink(database.connect), one.log.rows)
    db = as_reader(database)
    over = TimeRange(MONDAY, MONDAY + timedelta(days=40))
    chart = ask(db, scanner_board.CUSUM.sql, over, device=[one.device])
    assert [row["Upwards"] for row in chart] == pytest.approx(table["Cplus"], abs=1e-6)
    assert [-row["Downwards"] for row in chart] == pytest.approx(table["Cminus"], abs=1e-6)
    assert {(row["Upper limit"], row["Lower limit"]) for row in chart} == {(5.0, -5.0)}
    control = ask(db, scanner_board.CONTROL_CHART.sql, over, device=[one.device])
    assert [n for n, row in enumerate(control, start=1) if row["CUSUM signals"] is not None] == [29, 30]
    first = control[0]
    limits = [first[name] for name in ("Centre line", "Lower tolerance", "Upper tolerance", "-3 sigma", "+2 sigma")]
    assert limits == pytest.approx([1.0, 0.985, 1.015, 0.985, 1.01])


@pytest.fixture
def november(database: ServerDatabase, tmp_path: Path) -> Db:
    """The site whose hours `uptime_site` works out by hand."""
    uptime_site.write_log(tmp_path / "log.sqlite")
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log:
        apply(Sink(database.connect), readable(log.rows()), "bath")
    return as_reader(database)


def test_uptime_is_what_was_worked_out_by_hand(november: Db) -> None:
    first = TimeRange(uptime_site.MONDAY, uptime_site.MONDAY + timedelta(days=6))
    both = ["bath/dxa-1", "bath/dxa-2"]
    by_device = {row["Device"]: row for row in ask(november, uptime_board.BY_DEVICE.sql, first, device=both)}
    assert by_device["bath/dxa-1"] == pytest.approx(  # five clinics of eight hours; five hours of Tuesday lost
        {"Device": "bath/dxa-1", "Mode": "all", "Uptime": 87.5, "Clinic hours": 40.0, "Hours lost": 5.0}
    )
    assert by_device["bath/dxa-2"]["Uptime"] == 100.0
    second = TimeRange(first.since, first.since + timedelta(days=13))
    weeks = ask(november, uptime_board.BY_WEEK.sql, second, device=["bath/dxa-1"])
    assert [(row["time"], row["Uptime"]) for row in weeks] == [
        (uptime_site.MONDAY, 87.5),
        (uptime_site.MONDAY + timedelta(days=7), 98.75),  # half an hour of Wednesday lost
    ]
    reasons = {
        row["Reason"]: row["Hours lost"] for row in ask(november, uptime_board.BY_REASON.sql, first, device=both)
    }
    assert reasons["Fault stops scanning"] == 4.0  # 10:00 to 14:00
    assert reasons["With engineer"] == 2.5  # 12:00 until the return was decided at 14:30


def test_clinics_are_in_the_sites_zone_without_closures_and_as_they_stood_then(database: ServerDatabase) -> None:
    """The week of 23 March 2026, and the Monday after the clocks went forward; Tuesday closed, Wednesday from noon."""
    calendar = ClinicCalendar(
        "Europe/London",
        (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"), Clinic((3,), "16:00", "18:00")),
        (Closure("2026-03-24", "2026-03-24"), Closure("2026-03-25", "2026-03-25", starts="12:00")),
    )
    start = datetime(2026, 3, 20, 12, tzinfo=UTC)
    apply(Sink(database.connect), Recorded(POLICY, calendar, start=start).log.rows)
    rows = (
        as_reader(database)
        .execute(
            "SELECT starts_at, ends_at FROM bonewatch.clinic_sessions(ARRAY['test-site/dxa-1'], %s, %s) ORDER BY 1",
            (datetime(2026, 3, 23, 9, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC)),
        )
        .fetchall()
    )
    assert [f"{a:%d %H:%M}-{b:%H:%M}" for a, b in rows] == [
        "23 09:00-16:30",  # cut to the time asked for
        "25 08:30-12:00",
        "26 08:30-18:00",  # the overlap counts once
        "27 08:30-16:30",
        "30 07:30-12:00",  # 08:30 in summer time, cut
    ]


@pytest.mark.parametrize(("back", "days"), [(366, 366), (300, 40), (257, 3), (30, 1), (3, 3), (0.2, 0.1)])
def test_states_between_two_times_are_the_intervals_cut_to_them(
    filled: ServerDatabase, back: float, days: float
) -> None:
    since = NOW - timedelta(days=back)
    until = min(since + timedelta(days=days), NOW)
    db = filled.connect()
    states = db.execute(
        "SELECT device, mode, starts_at, ends_at, status, reason_codes FROM gate_states(%s, %s, %s) ORDER BY 1, 2, 3",
        ([*SCANNERS, *SMALL], since, until),
    ).fetchall()
    intervals = db.execute(
        "SELECT device, mode, greatest(starts_at, %(a)s), least(ends_at, %(b)s), status, reason_codes"
        " FROM gate_intervals WHERE greatest(starts_at, %(a)s) < least(ends_at, %(b)s) ORDER BY 1, 2, 3",
        {"a": since, "b": until},
    ).fetchall()
    assert states == intervals
    assert states


@pytest.mark.parametrize(("away_days", "asked_after_days"), [(3, 1), (50, 1), (50, 25), (50, 48)])
def test_deadlines_of_a_site_that_was_not_running_are_told_as_they_passed(
    database: ServerDatabase, away_days: int, asked_after_days: int
) -> None:
    """Written down days or weeks late, asked for a day between: the gate was held from its deadline on."""
    one = Recorded(start=MONDAY, log=MemoryLog())
    one.fact(baseline())
    one.vendor_qc()
    one.scan(1.0)
    opened = one.now
    one.now += timedelta(days=away_days)
    one.vendor_qc()
    one.scan(1.0)
    apply(Sink(database.connect), one.log.rows)
    between = (opened + timedelta(days=asked_after_days), opened + timedelta(days=asked_after_days + 1))
    states = database.connect().execute(
        "SELECT status, starts_at, ends_at FROM gate_states(%s, %s, %s)", ([one.device], *between)
    )
    intervals = database.connect().execute(
        "SELECT status, greatest(starts_at, %(a)s), least(ends_at, %(b)s) FROM gate_intervals"
        " WHERE starts_at < %(b)s AND ends_at > %(a)s",
        {"a": between[0], "b": between[1]},
    )
    told = states.fetchall()
    assert told == intervals.fetchall()
    assert {status for status, _, _ in told} == {"held"}


@pytest.mark.parametrize(
    ("columns", "quick", "whole", "condition"),
    [
        ("review_id, site, phantom_id, bases, opened_at, decided_at, verdict, decision, is_open", "review_log",
         "review_status", "true"),
        ("fault_id, text, stops_scanning, logged_at, logged_by, code", "open_faults", "faults", "is_open"),
        ("handover_id, handed_over_at, handed_over_by, engineer, company, reason", "open_handovers", "handovers",
         "decided_at IS NULL"),
    ],
)  # fmt: skip
def test_the_quick_lists_say_what_the_whole_ones_say(
    filled: ServerDatabase, columns: str, quick: str, whole: str, condition: str
) -> None:
    db = filled.connect()
    rows = db.execute(f"SELECT device, {columns} FROM {quick} ORDER BY 1, 2".encode()).fetchall()
    other = db.execute(f"SELECT device, {columns} FROM {whole} WHERE {condition} ORDER BY 1, 2".encode()).fetchall()
    assert rows == other
    assert rows
