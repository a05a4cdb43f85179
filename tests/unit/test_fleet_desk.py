"""A worker's desk: what one batch of a site's records leads to, in the order they came, whatever bytes they are."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import codec
from streams.envelope import (
    LogRow,
    Record,
    RejectedRecordError,
    record_from_row,
    refold_request,
    refold_requested,
    row_from_record,
)
from streams.fleet.check import Known, known_from_blob
from streams.fleet.desk import Plan, SiteDesk
from streams.fleet.taking_up import OnTopic, take_up
from streams.forwarder import _last_of
from streams.topics import DEAD_LETTERS, MAX_RECORD_BYTES
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
    return record_from_row(
        event, position=row.position + 50, link=b"q" * 32, body=codec.encode(event), outcome_bodies=()
    )


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
    assert taken_up(desk, plan, DEVICE, plan.gaps[DEVICE], there).state.device_seq == 13


def taken_up(desk: SiteDesk, plan: Plan, device: str, log_id: str, there: OnTopic) -> Known:
    """Have a desk take a device up from rows that are all at hand."""
    before = desk.before(device, log_id)
    up = take_up(before, there)
    for row, received in up.rows:
        desk.keep_row(plan, row, received)
    return desk.take_up(plan, device, up, before)


def test_one_bad_header_does_not_let_a_forged_row_in(records: list[Record]) -> None:
    desk = SiteDesk("a")
    lies = with_header(records[10], "ce_logposition", b"1000000000000")
    place = next(n for n in range(20, 60) if records[n].key != records[10].key)
    row = row_from_record("a", *records[place])
    body = codec.encode(replace(row.event, event_id="forged"))
    forged = record_from_row(row.event, position=place + 1, link=b"q" * 32, body=body, outcome_bodies=())
    plan = take(desk, [*records[:10], lies, *records[11:place], forged])
    whose = records[10].key.decode(), records[place].key.decode()
    assert [plan.parked[device].partition(" (")[0] for device in whose] == [
        "unreadable: position 1000000000000 is not its own",
        f"log_forked: the chain breaks at position {place + 1}",
    ]


@pytest.mark.parametrize("position", [1, 5])
def test_a_row_with_an_old_position_is_new_only_if_the_topic_says_so(records: list[Record], position: int) -> None:
    desk = SiteDesk("a")
    row = row_from_record("a", *records[20])
    forged = record_from_row(row.event, position=position, link=b"q" * 32, body=row.body, outcome_bodies=())
    before = take(desk, records[:20])
    plan = take(desk, [forged])
    assert (before.gaps, list(plan.gaps), plan.counts) == ({}, [row.event.device], {"gap": 1})


def test_a_device_that_nobody_has_heard_of_is_not_made_by_asking_for_it() -> None:
    desk, plan = SiteDesk("a"), Plan()
    taken_up(desk, plan, "a/dxa-9", "", OnTopic(()))
    assert (desk.known("a/dxa-9"), plan.states, plan.counts) == (None, {}, {})


def refused(record: Record) -> RejectedRecordError:
    with pytest.raises(RejectedRecordError) as raised:
        row_from_record("a", *record)
    return raised.value


def with_header(record: Record, name: str, content: bytes | None) -> Record:
    headers: list[Any] = [(n, content if n == name else c) for n, c in record.headers]
    return record._replace(headers=headers)


@pytest.mark.parametrize(
    ("header", "contents"),
    [
        ("ce_type", [None]),
        ("ce_subject", [None]),
        ("ce_logposition", [None, b"", b"0", b"-1", b"1.5", b"1_0", b" 1", b"9" * 19, b"9" * 5000, "\u0663".encode()]),
        ("ce_link", [None, b"", b"ab", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"ab " * 32]),
        ("ce_deviceseq", [None, b"", b"0", b"-3", b"99", b"9" * 19, b"one"]),
    ],
)
def test_headers_out_of_bounds_are_unreadable(records: list[Record], header: str, contents: list[bytes | None]) -> None:
    for content in contents:
        error = refused(with_header(records[0], header, content))
        assert (error.rejection, error.device) == ("unreadable", records[0].key.decode())


@pytest.mark.parametrize("name", [b"a/", b"a/dxa\x00", b"a/\xff", b"a/" + b"x" * 300, b"a/dxa\n1", b"ab/dxa"])
def test_what_can_be_no_device_is_nobodys(records: list[Record], name: bytes) -> None:
    record = with_header(records[0]._replace(key=name), "ce_subject", name)
    assert (refused(record).rejection, refused(record).device) == ("foreign_device", None)
    request = with_header(refold_request(DEVICE, identity="1", at=""), "ce_subject", name)
    assert refold_requested("a", request.headers) is None


def changed(record: Record, change: Callable[[dict[str, Any]], None]) -> Record:
    whole = json.loads(record.value)
    change(whole)
    return record._replace(value=json.dumps(whole).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"device_seq": 0},
        {"device_seq": 2**63},
        {"device_seq": 2},
        {"fold_version": 2**40},
        {"log_id": "f\0f"},
        {"event_id": "\0"},
        {"recorded_at": "0001-01-01T00:00:00+23:59"},
        {"recorded_at": "1969-12-31T23:59:59Z"},
        {"recorded_at": "9999-12-31T23:59:59-23:59"},
        {"recorded_at": "2201-01-01T00:00:00Z"},
    ],
)
def test_content_out_of_bounds_is_unreadable(records: list[Record], change: dict[str, object]) -> None:
    error = refused(changed(records[0], lambda whole: whole["event"].update(change)))
    assert error.rejection == "unreadable"
    assert "\0" not in str(error)


def test_a_reason_can_be_kept_by_every_table(records: list[Record]) -> None:
    strange = changed(records[0], lambda whole: whole["event"]["fact"].update(type="x\0y" + "z" * 9000))
    error = refused(strange)
    assert error.rejection == "unknown_version"
    assert "\0" not in str(error)
    assert len(str(error)) < 600


def test_what_looks_suspicious_and_is_within_bounds_is_read(records: list[Record]) -> None:
    judged = next(record for record in records if b'"note"' in record.value)
    text = "1066-10-14, 1234567890123456789012 and \\u0000"

    def write(whole: dict[str, Any]) -> None:
        for outcome in whole["outcomes"]:
            if "note" in outcome["outcome"]:
                outcome["outcome"]["note"] = text

    row = row_from_record("a", *changed(judged, write))
    assert text in [getattr(outcome.outcome, "note", "") for outcome in row.outcomes]


def test_a_record_larger_than_may_travel_is_refused_and_a_letter_of_it_is_cut(records: list[Record]) -> None:
    large = records[0]._replace(value=b" " * 3_000_000)
    assert refused(large).rejection == "too_large"
    foreign = Record(b"other/x" * 9_000, b"0" * 3_000_000, [("ce_subject", b"other/x" * 9_000), ("none", None)])  # type: ignore[list-item]
    plan = take(SiteDesk("a"), [foreign])
    ((topic, letter),) = plan.outcomes
    size = len(letter.key) + len(letter.value) + sum(len(name) + len(content) for name, content in letter.headers)
    assert (topic, size < MAX_RECORD_BYTES) == (DEAD_LETTERS, True)
    assert dict(letter.headers)["bonewatch_cut_from"] == str(2 * 63_000 + 3_000_000 + 14).encode()


headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "ce_subject", "ce_logposition", "ce_link", "ce_deviceseq", "ce_logid", "x"]),
        st.none() | st.binary(max_size=70) | st.sampled_from([DEVICE.encode(), b"1", b"ab" * 32]),
    )
)
anything = st.tuples(
    st.none() | st.binary(max_size=20) | st.just(DEVICE.encode()),
    st.none() | st.binary(max_size=200) | st.sampled_from([b"[" * 5000, b'{"event":' + b"[" * 5000]),
    headers,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=5))
def test_no_bytes_end_a_desk(bad: list[tuple[bytes | None, bytes | None, Any]]) -> None:
    desk, plan = SiteDesk("a"), Plan()
    for key, value, said in bad:
        desk.take(plan, key, value, said)
        look(key, value, said)


def look(key: bytes | None, value: bytes | None, said: Any) -> LogRow | None:
    """Read a record as worker, sink and forwarder do: a row, or refused."""
    _last_of("a", [SimpleNamespace(headers=said, offset=0)])
    try:
        return row_from_record("a", key, value, said)
    except RejectedRecordError:
        return None


STRANGE: list[Any] = [
    None,
    0,
    -1,
    2**63,
    2**70,
    1e308,
    "",
    "\0",
    "0001-01-01T00:00:00+23:59",
    "2026-02-30T00:00:00Z",
    [],
    {},
    True,
]


@pytest.mark.parametrize("seed", range(100))
def test_no_mutation_of_real_rows_ends_a_desk(records: list[Record], seed: int) -> None:
    rng, desk, plan = random.Random(seed), SiteDesk("a"), Plan()  # noqa: S311 - repeatable, not secret
    start = rng.randrange(len(records) - 20)
    for record in records[start : start + 20]:
        key, value, said = mutated(rng, record) if rng.random() < 0.5 else record
        desk.take(plan, key, value, said)
        look(key, value, said)
    assert all(known_from_blob(record.value) for _, record in plan.records())


def mutated(rng: random.Random, record: Record) -> Record:
    how = rng.choice(["field", "field", "cut", "byte", "header"])
    if how == "field":
        whole = json.loads(record.value)
        inside, name = rng.choice(list(fields_of(whole)))
        inside[name] = rng.choice(STRANGE)
        return record._replace(value=json.dumps(whole).encode())
    if how == "header":
        return with_header(record, rng.choice(record.headers)[0], rng.choice([None, rng.randbytes(32)]))
    at = rng.randrange(len(record.value))
    tail = b"" if how == "cut" else rng.randbytes(1) + record.value[at + 1 :]
    return record._replace(value=record.value[:at] + tail)


def fields_of(value: Any) -> Any:
    """Every place in JSON, as its container and its name there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield value, name
        yield from fields_of(inner)
