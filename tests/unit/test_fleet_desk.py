"""A worker's desk: what one batch of a site's records leads to, in the order they came, whatever bytes they are."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from streams import codec
from streams.envelope import Record, record_from_row, refold_request, row_from_record
from streams.fleet.check import OnTopic
from streams.fleet.desk import Plan, SiteDesk
from tests.fleet_processes import records_of
from tests.site_logs import write_log

DEVICE = "a/dxa-1"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Twenty days of two scanners as their site sent them."""
    path: Path = tmp_path_factory.mktemp("log") / "site.sqlite"
    write_log(path, "a", devices=2, days=20)
    return records_of(path)


def of(records: list[Record], device: str) -> list[Record]:
    return [record for record in records if record.key == device.encode()]


def take(desk: SiteDesk, records: list[Record]) -> Plan:
    plan = Plan()
    for record in records:
        desk.take(plan, *record)
    return plan


def of_another_log(record: Record) -> Record:
    row = row_from_record("a", *record)
    event = replace(row.event, log_id="f" * 32)
    return record_from_row(event, position=10**6, link=b"q" * 32, body=codec.encode(event), outcome_bodies=())


def test_a_device_that_is_parked_behind_a_gap_is_not_taken_up_by_the_gap(records: list[Record]) -> None:
    mine, desk = of(records, DEVICE), SiteDesk("a")
    plan = take(desk, [*mine[:10], *mine[11:13], of_another_log(mine[12])])
    assert plan.gaps == {}
    assert plan.parked.keys() == {DEVICE}
    known = desk.known(DEVICE)
    assert known is not None
    assert known.parked.startswith("log_forked")


def test_a_request_before_a_device_was_parked_does_not_undo_it_and_one_after_it_is_heard(records: list[Record]) -> None:
    mine, desk = of(records, DEVICE), SiteDesk("a")
    asked = refold_request(DEVICE, identity="1", at="2026-11-22T10:00:00+00:00")
    garbled = mine[10]._replace(value=b"no row")
    assert take(desk, [*mine[:10], asked, garbled]).gaps == {}
    assert take(desk, [garbled, asked]).gaps.keys() == {DEVICE}


def test_a_gap_is_folded_anew_from_the_topic(records: list[Record]) -> None:
    mine, desk = of(records, DEVICE), SiteDesk("a")
    plan = take(desk, [*mine[:10], *mine[11:13]])
    assert plan.gaps.keys() == {DEVICE}
    there = OnTopic(tuple(row_from_record("a", *record) for record in mine[:13]))
    assert desk.take_up(plan, DEVICE, plan.gaps[DEVICE], there).state.device_seq == 13
