"""Topics on a real Kafka are as the code has them, and what is not is said."""

from pathlib import Path

from streams.topic_admin import administration, alter, create, differences
from streams.topics import COMPARISONS, GATES, SITE_HEADS, WORKER_STATES, Topic, fleet_topics, site_topic
from tests.kafka import real_kafka

INSYNC = "min.insync.replicas"


def test_what_keeps_the_latest_closes_its_segments_within_the_hour_or_it_is_never_compacted() -> None:
    compacted = {topic.name: topic for topic in fleet_topics(8) if topic.config["cleanup.policy"] == "compact"}
    assert compacted.keys() == {GATES, SITE_HEADS, WORKER_STATES, *COMPARISONS.values()}
    assert {topic.config["segment.ms"] for topic in compacted.values()} == {"3600000"}


def test_of_three_copies_two_must_have_a_record() -> None:
    for topic in (*fleet_topics(8), site_topic("bath")):
        assert [topic.config_with(replicas).get(INSYNC) for replicas in (1, 2, 3, 5)] == [None, None, "2", "2"]


def test_a_broker_that_differs_is_told_in_words(tmp_path: Path) -> None:
    with real_kafka(tmp_path / "kafka") as kafka:
        topics = (*fleet_topics(2), site_topic("bath"))
        create(kafka.broker, topics)
        assert differences(kafka.broker, topics) == []
        wanted = differences(kafka.broker, [site_topic("bath")], replicas=3)
        assert [words.partition(": ")[2] for words in wanted] == [
            "1 copies of each partition, not 3",
            f"{INSYNC} is 1, not 2",
        ]
        with administration(kafka.broker) as admin:
            admin.create_topics({"older": {"num_partitions": 1, "replication_factor": 1, "configs": {}}})
            admin.wait_for_topics(["older"])
        (states,) = (topic for topic in topics if topic.name == WORKER_STATES)
        older = differences(kafka.broker, [Topic("older", 1, states.config)])
        assert "older: segment.ms is 604800000, not 3600000" in older


def test_what_a_topic_has_otherwise_is_set_unless_it_would_delete_records(tmp_path: Path) -> None:
    with real_kafka(tmp_path / "kafka") as kafka:
        older = {"cleanup.policy": "compact", "segment.ms": "7000000", "max.message.bytes": "2000"}
        create(kafka.broker, [Topic("table", 1, older), Topic("for-ever", 1, {"retention.ms": "-1"})])
        create(kafka.broker, [Topic("short", 1, {"retention.ms": "1000000"})])
        states = {**older, "segment.ms": "3600000", "max.message.bytes": "1000000"}
        wanted = [
            Topic("table", 1, states),
            Topic("for-ever", 1, {"retention.ms": "5000000", "cleanup.policy": "compact"}),
            Topic("short", 2, {"retention.ms": "5000000"}),
            Topic("missing", 1),
        ]
        assert alter(kafka.broker, wanted) == [
            "table: segment.ms was 7000000, is 3600000",
            "table: max.message.bytes was 2000, is 1000000",
            "short: retention.ms was 1000000, is 5000000",
        ]
        assert differences(kafka.broker, wanted, replicas=3) == [
            "table: 1 copies of each partition, not 3",
            f"table: {INSYNC} is 1, not 2",
            "for-ever: 1 copies of each partition, not 3",
            "for-ever: retention.ms is -1, not 5000000",
            "for-ever: cleanup.policy is delete, not compact",
            f"for-ever: {INSYNC} is 1, not 2",
            "short: 1 partitions, not 2",
            "short: 1 copies of each partition, not 3",
            f"short: {INSYNC} is 1, not 2",
            "missing is missing",
        ]
        assert alter(kafka.broker, wanted) == []
