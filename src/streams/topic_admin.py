"""Creates Kafka's topics as `streams.topics` has them, sets what can be set, and says where a broker differs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from streams.broker import Broker, BrokerError
from streams.refusal import RefusedError, refused_access, require_accepted
from streams.topics import FOR_EVER, Topic

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


def alter(broker: Broker, topics: Iterable[Topic]) -> list[str]:
    """Set what topics that are there are to have; return in words what was changed.

    What would delete records (a shorter retention, another cleanup policy) is left as it is, as are partitions and
    copies: `differences` says so.
    """
    changed: list[str] = []
    with administration(broker) as admin:
        there = set(admin.list_topics())
        for topic in topics:
            if topic.name not in there:
                continue
            stands = _stands(admin, topic)
            wanted = topic.config_with(stands.copies)  # two of one copy could never be in sync
            new = {key: value for key, value in wanted.items() if _may_become(key, stands.config.get(key), value)}
            if new:
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, new)])
            changed += [f"{topic.name}: {key} was {stands.config.get(key)}, is {value}" for key, value in new.items()]
    return changed


def _may_become(key: str, old: str | None, new: str) -> bool:
    """Whether a setting differs and can be changed without losing a record."""
    if old == new or key == "cleanup.policy":
        return False
    return key != "retention.ms" or new == FOR_EVER or (old not in {None, FOR_EVER} and int(new) > int(str(old)))


class _Stands(NamedTuple):
    """A topic as it is on the broker: its partitions, the fewest copies of any, its settings."""

    partitions: int
    copies: int
    config: dict[str, str]


def _stands(admin: KafkaAdminClient, topic: Topic) -> _Stands:
    (described,) = admin.describe_topics([topic.name])
    copies = min(len(partition["replica_nodes"]) for partition in described["partitions"])
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
    config = _config(admin.describe_configs([resource], config_filter="all"), topic.name)
    return _Stands(len(described["partitions"]), copies, config)


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
    stands = _stands(admin, topic)
    if stands.partitions != topic.partitions:
        yield f"{stands.partitions} partitions, not {topic.partitions}"
    if stands.copies < replicas:
        yield f"{stands.copies} copies of each partition, not {replicas}"
    for key, value in topic.config_with(max(stands.copies, replicas)).items():
        if stands.config.get(key) != value:
            yield f"{key} is {stands.config.get(key)}, not {value}"


def _config(answer: Any, name: str) -> dict[str, str]:
    """Return a topic's settings from the client's answer."""
    found: dict[str, Any] = answer["topic"][name] if "topic" in answer else answer[name]
    return {key: said["value"] if isinstance(said, dict) else said for key, said in found.items()}
