"""What the fold said of QC and of gates stands in a real PostgreSQL, for every moment."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from storage.sink import FleetDevice, Sink
from streams.messages import QcJudged
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, baseline
from tests.integration.database_rig import EVENTFUL, apply, eventful, scanner
from tests.postgres import Recorded, ServerDatabase

__all__ = ["apply", "scanner"]  # tests of measurements take them from here

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
