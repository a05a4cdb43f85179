"""What is checked in says what travels: made by one command, held against real records and AsyncAPI's own schema."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from bonewatch.commands.fleet import topics
from streams import codec, contracts
from streams.envelope import (
    Headers,
    Record,
    notice_from_row,
    record_from_comparison,
    record_from_read,
    record_from_row,
    refold_request,
)
from streams.fleet.combine import Combination
from streams.fleet.desk import published
from streams.fleet.messages import Read
from streams.fleet.site_life import Forgetting, forget_request
from streams.forwarder import Head
from streams.messages import Fact, GateChanged, Outcome, QcJudged
from streams.sqlite_log import SqliteEventLog
from streams.topics import COMPARISONS, DEVICE_EVENTS, OUTCOMES, READS, SITE_HEADS, Topic, fleet_topics
from tests.comparisons import upgraded, visits
from tests.contracts import CONTRACTS, asyncapi_faults, faults, message_schema, record_schema
from tests.site_logs import write_log

SITE_TOPIC = DEVICE_EVENTS.rstrip(".")


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads((CONTRACTS / "asyncapi.json").read_bytes())


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Record]]:
    """What a department's log becomes on Kafka: its rows, and the outcomes that a worker publishes of them."""
    path = tmp_path_factory.mktemp("log") / "site-log.sqlite"
    write_log(path, "bath", days=20)
    return list(_records(path))


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    with SqliteEventLog(path, read_only=True) as log:
        for row in log.rows():
            event, outcomes = codec.decode_event(row.body), row.outcomes
            yield (
                SITE_TOPIC,
                record_from_row(event, position=row.position, link=row.link, body=row.body, outcome_bodies=outcomes),
            )
            for body in row.outcomes:
                yield published(codec.decode_outcome(body), at=event.recorded_at.isoformat())


def headers_of(headers: Headers) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def test_what_is_checked_in_is_what_the_code_says() -> None:
    assert contracts.differences(CONTRACTS) == [], "run ./bonewatch fleet contracts docs/contracts"


def test_one_command_makes_them_and_says_what_differs(tmp_path: Path) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bonewatch", "fleet", "contracts", str(tmp_path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    contracts.write(tmp_path)
    (tmp_path / "asyncapi.json").write_text("{}")
    (tmp_path / "schemas" / "facts" / "of-yesterday.schema.json").write_text("{}")
    checked = run("--check")
    assert checked.returncode == 1
    assert [line.rpartition("/")[2] for line in checked.stdout.splitlines()] == [
        "asyncapi.json",
        "of-yesterday.schema.json",
    ]
    assert run().returncode == 0
    assert contracts.differences(tmp_path) == []


def test_every_fact_and_outcome_has_a_schema() -> None:
    for folder, family in (("facts", Fact), ("outcomes", Outcome)):
        there = {path.name for path in (CONTRACTS / "schemas" / folder).iterdir()}
        assert there == {f"{message.__struct_config__.tag}.schema.json" for message in get_args(family)}


def test_every_record_of_a_department_is_as_its_topic_says(records: list[tuple[str, Record]]) -> None:
    seen = set()
    for topic, record in records:
        assert faults(record_schema(topic), json.loads(record.value)) == []
        seen.add(topic)
    assert len(records) > 100
    assert seen >= {SITE_TOPIC, OUTCOMES[QcJudged], OUTCOMES[GateChanged]}


def test_keys_and_headers_are_as_the_document_says(document: Any, records: list[tuple[str, Record]]) -> None:
    for topic, record in records[:200]:
        messages = _channel(document, topic)["messages"]
        (message,) = (messages[name] for name in messages.keys() - {"tooLarge", "refoldRequested", "siteForgotten"})
        assert faults(message["headers"], headers_of(record.headers)) == []
        assert faults(message["bindings"]["kafka"]["key"], record.key.decode()) == []


def test_readings_and_comparisons_are_as_their_topics_say(document: Any) -> None:
    combination, seen = Combination(), set()
    reads: list[Read] = [*visits(), *upgraded(0.6)]
    for read in reads:
        combination.take(read)
        seen.add(_check(document, READS[type(read)], record_from_read(read)))
    for key, comparison in combination.news().comparisons:
        seen.add(_check(document, COMPARISONS[type(comparison)], record_from_comparison(key, comparison)))
    assert seen == {*READS.values(), *COMPARISONS.values()}


def _check(document: Any, topic: str, record: Record) -> str:
    (message,) = _channel(document, topic)["messages"].values()
    assert faults(record_schema(topic), json.loads(record.value)) == []
    assert faults(message["headers"], headers_of(record.headers)) == []
    assert faults(message["bindings"]["kafka"]["key"], record.key.decode()) == []
    return topic


def test_facts_and_outcomes_alone_are_as_their_schemas_say(records: list[tuple[str, Record]]) -> None:
    of_site = [json.loads(record.value) for topic, record in records if topic == SITE_TOPIC]
    parts = [("facts", row["event"]["fact"]) for row in of_site]
    parts += [("outcomes", outcome["outcome"]) for row in of_site for outcome in row["outcomes"]]
    for folder, value in parts:
        assert faults(message_schema(folder, value["type"]), value) == []


def test_heads_and_notices_are_as_the_document_says(document: Any) -> None:
    head = json.loads(msgspec.json.encode(Head("bath", "log", 1, "00", "2026-11-02T07:45:00+00:00")))
    assert faults(record_schema(SITE_HEADS), head) == []
    event = codec.decode_event(
        b'{"event_id":"e","device":"bath/dxa-1","log_id":"l","device_seq":1,"recorded_at":"2026-11-02T07:45:00Z",'
        b'"fold_version":1,"fact":{"type":"bonewatch.time-reached.v1","due_at":"2026-11-02T07:45:00Z"}}'
    )
    notice = notice_from_row(event, position=1, link=bytes(32))
    message = _channel(document, SITE_TOPIC)["messages"]["tooLarge"]
    assert faults(message["payload"], json.loads(notice.value)) == []
    assert faults(message["headers"], headers_of(notice.headers)) == []
    request = refold_request("bath/dxa-1", identity="r", at="2026-11-02T07:45:00+00:00")
    message = _channel(document, SITE_TOPIC)["messages"]["refoldRequested"]
    assert faults(message["payload"], json.loads(request.value)) == []
    assert faults(message["headers"], headers_of(request.headers)) == []
    asked = Forgetting("Ada Admin", "restored from a backup")
    request = forget_request("bath", asked, identity="r", at="2026-11-02T07:45:00+00:00")
    message = _channel(document, SITE_TOPIC)["messages"]["siteForgotten"]
    assert faults(message["payload"], json.loads(request.value)) == []
    assert faults(message["headers"], headers_of(request.headers)) == []


def _judged(records: list[tuple[str, Record]]) -> tuple[str, Any]:
    topic, record = next(each for each in records if each[0] == "bonewatch.qc-judged.v1")
    return topic, json.loads(record.value)


def test_a_missing_field_is_refused(records: list[tuple[str, Record]]) -> None:
    topic, value = _judged(records)
    for holder, name in [(value, "device"), (value["outcome"], "verdict"), (value["outcome"], "type")]:
        kept = holder.pop(name)
        assert faults(record_schema(topic), value) != [], name
        holder[name] = kept
    assert faults(record_schema(topic), value) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("revision", "first"),
        ("revision", 0.5),
        ("measured_at", 20261102),
        ("measured_at", "yesterday"),
        ("measured_at", "2026-11-02T07:45:00"),
        ("verdict", "fine"),
        ("bmd_g_cm2", "1.002"),
        ("plausible", 1),
        ("type", "bonewatch.gate-changed.v1"),
        ("chart", {}),
        ("chart", [1, 1.0]),
    ],
)
def test_a_wrong_type_is_refused(records: list[tuple[str, Record]], name: str, wrong: object) -> None:
    topic, value = _judged(records)
    value["outcome"][name] = wrong
    assert faults(record_schema(topic), value) != []


def test_an_event_of_a_kind_that_is_not_known_is_refused(records: list[tuple[str, Record]]) -> None:
    row = json.loads(records[0][1].value)
    row["event"]["fact"]["type"] = "bonewatch.phantom-measured.v9"
    assert faults(record_schema(SITE_TOPIC), row) != []


def test_places_on_a_chart_have_names() -> None:
    found = contracts.schema(get_args(Outcome)[0])
    assert [item["title"] for item in found["$defs"]["ChartPoint"]["prefixItems"]][:2] == ["epoch", "target"]


def test_the_document_is_asyncapi(document: Any) -> None:
    assert asyncapi_faults(document) == []


def test_a_document_that_is_not_is_refused(document: Any) -> None:
    for path, wrong in [
        (("operations", "receive-gate", "action"), "listen"),
        (("channels", "gate", "bindings", "kafka", "partitions"), "many"),
        (("asyncapi",), "2.6.0"),
    ]:
        broken = json.loads(json.dumps(document))
        holder = broken
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = wrong
        assert asyncapi_faults(broken) != [], path


def test_every_reference_leads_somewhere(document: Any) -> None:
    references = list(_references(document))
    assert len(references) > 10
    for reference in references:
        if not reference.startswith("#/"):
            assert (CONTRACTS / reference).is_file(), reference
            continue
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    assert {path for path in references if not path.startswith("#/")} == {
        f"./schemas/records/{path.name}" for path in (CONTRACTS / "schemas" / "records").iterdir()
    }


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _references(inner)


def _channel(document: Any, topic: str) -> Any:
    return next(c for c in document["channels"].values() if c["address"] in {topic, f"{topic}.{{site}}"})


def test_every_topic_is_a_channel_as_the_broker_has_it(document: Any) -> None:
    for topic in fleet_topics(contracts.PARTITIONS):
        binding = _channel(document, topic.name)["bindings"]["kafka"]
        assert binding["topic"] == topic.name
        assert binding["partitions"] == topic.partitions
        said = {
            name: ",".join(v) if isinstance(v, list) else str(v) for name, v in binding["topicConfiguration"].items()
        }
        assert said == topic.config
    assert _channel(document, SITE_TOPIC)["parameters"].keys() == {"site"}
    assert len(document["channels"]) == len(fleet_topics(contracts.PARTITIONS)) + 1


def test_only_what_is_for_subscribers_has_an_operation(document: Any) -> None:
    received = {operation["channel"]["$ref"].rpartition("/")[2] for operation in document["operations"].values()}
    assert received == document["channels"].keys() - {"worker-states", "dead-letters"}


def test_a_topic_that_nobody_describes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no contract says what stands on bonewatch\.secret\.v1"):
        contracts.document((Topic("bonewatch.secret.v1", 1, {"cleanup.policy": "compact"}),))


def test_partitions_are_those_that_the_command_makes() -> None:
    assert inspect.signature(topics).parameters["partitions"].default == contracts.PARTITIONS
