"""Content that no table takes, against a real PostgreSQL: its place is kept, and every other row stands."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from storage.sink import Batch, FleetDevice, Refusal, Sink, SinkRow
from streams.messages import CheckJudged, CheckVerdict, RecordedOutcome
from tests.folding import MONDAY, baseline
from tests.postgres import Recorded, ServerDatabase

SITE, OTHER = "bath", "york"
STANDS = 6
"""Rows of the site that stand before the bad one comes."""


def rows_of(site: str) -> list[SinkRow]:
    device = Recorded(device=f"{site}/dxa-1")
    device.fact(baseline())
    device.vendor_qc()
    for minute in range(8):
        device.now += timedelta(minutes=minute)
        device.scan(1.0)
    return device.log.rows


def numbered(row: SinkRow, position: int) -> SinkRow:
    return row._replace(position=position)


def altered(row: SinkRow, **fields: Any) -> SinkRow:
    return row._replace(event=replace(row.event, **fields))


EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
LATE = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))

BAD: dict[str, Callable[[SinkRow], SinkRow]] = {
    "a place beyond 64 bits": lambda row: numbered(row, 2**63),
    "a place far below": lambda row: numbered(row, -(2**70)),
    "a number beyond 64 bits": lambda row: altered(row, device_seq=2**63),
    "a number beyond 64 bits at a place that was seen": lambda row: altered(numbered(row, 2), device_seq=2**63),
    "a time before the calendar": lambda row: altered(row, recorded_at=EARLY),
    "a time after the calendar": lambda row: altered(row, recorded_at=LATE),
}


@pytest.mark.parametrize("what", BAD)
def test_what_one_site_sends_stops_neither_it_nor_the_others(database: ServerDatabase, what: str) -> None:
    rows, others = rows_of(SITE), rows_of(OTHER)
    sink = Sink(database.connect)
    sink.apply(SITE, rows[:STANDS], STANDS)
    bad = BAD[what](rows[STANDS])
    coming = [bad, *rows[STANDS + 1 :]]
    applied = sink.apply_all([Batch(SITE, coming, 40, [Refusal(39, "", "unreadable")]), Batch(OTHER, others, 50)])
    assert (applied.rows, applied.refused) == (len(coming) + len(others), 1)
    reached = sink.sources()
    sink.close()
    assert {source: stands.position for source, stands in reached.items()} == {SITE: 40, OTHER: 50}
    db = database.connect()
    kept = db.execute("SELECT device, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
    assert kept == [(f"{SITE}/dxa-1", len(rows) - 1), (f"{OTHER}/dxa-1", len(others))]
    place = min(max(bad.position, -(2**63)), 2**63 - 1)
    assert db.execute("SELECT source, log_position FROM refused_rows").fetchall() == [(SITE, place)]
    assert db.execute("SELECT site, position FROM refusals").fetchall() == [(SITE, 39)]


def test_a_log_whose_name_no_text_can_hold_stands_nowhere_and_others_do(database: ServerDatabase) -> None:
    sink = Sink(database.connect)
    nameless = [altered(row, log_id="\x00") for row in rows_of(SITE)[:3]]
    applied = sink.apply_all([Batch(SITE, nameless, 3), Batch(OTHER, rows_of(OTHER), 50)])
    assert applied.refused == 3
    assert list(sink.sources()) == [OTHER]
    sink.set_aside(OTHER, "log \x00 comes")
    assert sink.refused(OTHER, "york/\x00", "unknown_version") == []
    sink.close()


def test_a_device_whose_name_has_nul_comes_again_and_counts_once(database: ServerDatabase) -> None:
    named = [altered(row, device=f"{SITE}/\x00") for row in rows_of(SITE)]
    sink = Sink(database.connect)
    for _ in range(2):
        assert sink.apply(SITE, named, 20).refused == 0
    sink.close()
    db = database.connect()
    assert db.execute("SELECT device, count(*) FROM events GROUP BY 1").fetchall() == [(f"{SITE}/\ufffd", len(named))]


def test_a_check_judged_on_what_is_no_check_is_set_aside_and_the_rest_of_its_row_stands(
    database: ServerDatabase,
) -> None:
    rows = rows_of(SITE)
    event = rows[4].event
    judged = CheckJudged(
        subject_event_id=event.event_id,
        measured_at=MONDAY,
        standard_id="s",
        nominal=1.0,
        read=1.0,
        error=0.0,
        verdict=CheckVerdict.PASS,
    )
    odd = RecordedOutcome("odd", event.event_id, event.device, event.device_seq, judged)
    rows[4] = rows[4]._replace(outcomes=(*rows[4].outcomes, odd))
    sink = Sink(database.connect)
    assert sink.apply(SITE, rows, len(rows)).refused == 1
    sink.close()
    db = database.connect()
    assert db.execute("SELECT count(*) FROM events").fetchall() == [(len(rows),)]
    assert db.execute("SELECT log_position, sqlstate FROM refused_rows").fetchall() == [(5, "CheckJudged")]
    assert db.execute("SELECT count(*) FROM checks").fetchall() == [(0,)]


def test_what_workers_say_of_a_device_is_kept_without_nul_and_what_fits_nowhere_is_left_out(
    database: ServerDatabase,
) -> None:
    now = datetime.now(UTC)
    sink = Sink(database.connect)
    said = [
        FleetDevice("bath/a\x00", 1, "Invalid value 'b\x00'", now, None, 0),
        FleetDevice("bath/b", 2**63, "beyond", now, None, 1),
        FleetDevice("bath/c", 3, "event 4 is missing", now, None, 2),
    ]
    assert sink.apply_devices("states/0", said, 3) == 1
    sink.close()
    parked = database.connect().execute("SELECT device, why FROM parked_devices ORDER BY device").fetchall()
    assert parked == [("bath/a\ufffd", "Invalid value 'b\ufffd'"), ("bath/c", "event 4 is missing")]
