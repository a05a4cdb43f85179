"""Creates Kafka's topics as `streams.topics` has them, and says where a broker differs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from streams.broker import Broker, BrokerError
from streams.refusal import RefusedError, refused_access, require_accepted
from streams.topics import Topic

REQUEST_MS: Final = 10_000


@contextmanager
def administration(broker: Broker) -> Iterator[KafkaAdminClient]:
    """Open an administrator's connection.

    Raises
    ------
    RefusedError
        If the broker is there and does not take us, or not for this.
    BrokerError
        If it cannot be reached, or fails.
    """
    require_accepted(broker)
    try:
        admin = KafkaAdminClient(**broker.options(), request_timeout_ms=REQUEST_MS, bootstrap_timeout_ms=REQUEST_MS)
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        why = refused_access(error)
        if why is not None:
            raise RefusedError(f"{broker.servers}: {why}") from error
        raise BrokerError(f"{broker.servers}: {error}") from error


def create(broker: Broker, topics: Iterable[Topic], *, replicas: int = 1) -> list[str]:
    """Create the topics that are not there; return their names.

    Parameters
    ----------
    replicas
        Copies of each partition; three on a cluster that must survive a machine.
    """
    with administration(broker) as admin:
        there = set(admin.list_topics())
        missing = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": replicas,
                "configs": topic.config_with(replicas),
            }
            for topic in topics
            if topic.name not in there
        }
        if missing:
            admin.create_topics(missing)
            admin.wait_for_topics(list(missing))
    return list(missing)


def differences(broker: Broker, topics: Iterable[Topic], *, replicas: int = 1) -> list[str]:
    """Return, in words, where the broker's topics are not as they ought to be; nothing is changed.

    Parameters
    ----------
    replicas
        Copies of each partition that there are to be at least.
    """
    found: list[str] = []
    with administration(broker) as admin:
        there = set(admin.list_topics())
        for topic in topics:
            if topic.name not in there:
                found.append(f"{topic.name} is missing")
                continue
            found += [f"{topic.name}: {words}" for words in _differences(admin, topic, replicas)]
    return found


def _differences(admin: KafkaAdminClient, topic: Topic, replicas: int) -> Iterator[str]:
    (described,) = admin.describe_topics([topic.name])
    partitions = described["partitions"]
    if len(partitions) != topic.partitions:
        yield f"{len(partitions)} partitions, not {topic.partitions}"
    copies = min(len(partition["replica_nodes"]) for partition in partitions)
    if copies < replicas:
        yield f"{copies} copies of each partition, not {replicas}"
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
    config = _config(admin.describe_configs([resource], config_filter="all"), topic.name)
    for key, value in topic.config_with(max(copies, replicas)).items():
        if config.get(key) != value:
            yield f"{key} is {config.get(key)}, not {value}"


def _config(answer: Any, name: str) -> dict[str, str]:
    """Return a topic's settings from the client's answer."""
    found: dict[str, Any] = answer["topic"][name] if "topic" in answer else answer[name]
    return {key: said["value"] if isinstance(said, dict) else said for key, said in found.items()}
