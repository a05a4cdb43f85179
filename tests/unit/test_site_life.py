"""From where the records of a site count: those of before it was forgotten do not, whatever is begun again."""

from pathlib import Path

import pytest

from streams.broker import Broker
from streams.envelope import Record
from streams.fleet.desk import TOMBSTONE, Plan, SiteDesk
from streams.fleet.forget_request import ask_to_forget
from streams.fleet.site_life import (
    NEVER,
    Forgetting,
    SiteLife,
    blob_from_life,
    forget_request,
    forgets,
    life_from_blob,
    life_key,
    site_of_life,
)
from streams.topics import GATES, WORKER_STATES
from tests.fleet_processes import records_of
from tests.site_logs import write_log

FORGET = forget_request("a", Forgetting("Pat", "restored"), identity="1", at="2026-11-22T10:00:00+00:00")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    path: Path = tmp_path_factory.mktemp("log") / "site.sqlite"
    write_log(path, "a", devices=2, days=5)
    return records_of(path)


def lives(records: list[Record], life: SiteLife, *, first: int = 0) -> tuple[SiteLife, list[int]]:
    """Follow records from an offset on; return the life after them, and the offsets that count."""
    counted = []
    for offset, record in enumerate(records, first):
        life = life.after("a", offset, record.headers)
        if life.has(offset):
            counted.append(offset)
    return life, counted


def test_a_site_that_was_never_forgotten_counts_from_its_first_record(records: list[Record]) -> None:
    assert lives(records, SiteLife()) == (SiteLife(), list(range(len(records))))


def test_behind_a_request_a_log_begins_with_its_first_row(records: list[Record]) -> None:
    stream = [*records[:10], FORGET, *records[10:14], *records]
    life, counted = lives(stream, SiteLife())
    assert life == SiteLife(10, 15)
    assert counted == [*range(10), *range(15, len(stream))]


@pytest.mark.parametrize("resumed", range(20))
def test_who_resumes_before_what_it_knows_counts_the_same(records: list[Record], resumed: int) -> None:
    stream = [*records[:10], FORGET, *records[10:14], *records]
    life, counted = lives(stream[resumed:], SiteLife(10, 15), first=resumed)
    assert life == SiteLife(10, 15)
    assert counted == list(range(max(15, resumed), len(stream)))


def test_a_first_row_that_cannot_be_read_begins_a_log_too(records: list[Record]) -> None:
    stream = [*records[:10], FORGET, records[0]._replace(value=b"garbled"), *records[1:]]
    assert lives(stream, SiteLife())[0] == SiteLife(10, 11)


def test_another_sites_request_is_none(records: list[Record]) -> None:
    assert not forgets("b", FORGET.headers)
    assert forgets("a", FORGET.headers)
    assert not any(forgets("a", record.headers) for record in records)


def test_a_life_stands_beside_the_devices_in_the_table() -> None:
    assert life_from_blob(blob_from_life(SiteLife(3, NEVER))) == SiteLife(3, NEVER)
    assert site_of_life(life_key("a")) == "a"
    assert (site_of_life(b"a/dxa-1"), site_of_life(b"a"), site_of_life(b"")) == (None, None, None)


def take(desk: SiteDesk, records: list[Record], *, first: int = 0) -> Plan:
    plan = Plan()
    for offset, record in enumerate(records, first):
        desk.take(plan, *record, offset=offset)
    return plan


def test_a_desk_drops_a_site_that_was_forgotten_and_takes_its_log_anew(records: list[Record]) -> None:
    desk, fresh = SiteDesk("a"), SiteDesk("a")
    take(desk, records)
    plan = take(desk, [FORGET], first=len(records))
    assert plan.records() == [
        (WORKER_STATES, Record(b"a/", blob_from_life(SiteLife(len(records), NEVER)), [])),
        (WORKER_STATES, Record(b"a/dxa-1", TOMBSTONE, [])),
        (WORKER_STATES, Record(b"a/dxa-2", TOMBSTONE, [])),
    ]
    assert sorted(plan.outcomes) == [(GATES, Record(f"a/dxa-{n}#all".encode(), TOMBSTONE, [])) for n in (1, 2)]
    assert desk.known("a/dxa-1") is None
    anew, once = take(desk, records, first=len(records) + 1), take(fresh, records)
    assert (anew.outcomes, anew.reads, anew.counts) == (once.outcomes, once.reads, once.counts)
    assert {known.life for known in anew.states.values() if known} == {len(records)}
    assert desk.life == SiteLife(len(records), len(records) + 1)


def test_what_was_found_amiss_before_a_site_was_forgotten_says_nothing_of_it_now(records: list[Record]) -> None:
    desk = SiteDesk("a")
    lost = next(n for n in range(10, len(records)) if records[n].key == b"a/dxa-1")
    garbled = next(n for n in range(lost + 1, len(records)) if records[n].key == b"a/dxa-2")
    bad = records[garbled]._replace(value=b"garbled")
    plan = take(desk, [*records[:lost], *records[lost + 1 : garbled], bad, *records[garbled + 1 :], FORGET, *records])
    assert (plan.gaps, plan.parked, desk.parked()) == ({}, {}, 0)
    assert plan.counts["forgotten"] == 1


@pytest.mark.parametrize("asked", [Forgetting(" ", "restored"), Forgetting("Pat", "")])
def test_nobody_forgets_a_site_without_a_name_and_a_reason(asked: Forgetting) -> None:
    with pytest.raises(ValueError, match="a person and a reason"):
        ask_to_forget(Broker("127.0.0.1:1"), "a", asked)
