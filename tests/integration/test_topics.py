"""Topics on a real Kafka are as the code has them, and what is not is said."""

from pathlib import Path

from streams.topic_admin import administration, create, differences
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
