"""An operator's request to forget a site: a record on its own topic, behind which its log begins anew.

Whoever follows the topic acts on it in its order, whoever they are and however often they are begun again.
"""

import uuid
from datetime import UTC, datetime
from typing import Final

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from streams.broker import Broker, BrokerError
from streams.fleet.site_life import Forgetting, forget_request
from streams.forwarder import Tail, last_sent
from streams.topics import SITE_HEADS, device_events

REQUEST_MS: Final = 10_000


class UnknownSiteError(BrokerError):
    """The fleet holds nothing of this site, so there is nothing to forget."""


def known_of(broker: Broker, site: str) -> Tail:
    """Return how far the log of a site has been sent since it began.

    Raises
    ------
    ValueError
        If that is no site's id.
    UnknownSiteError
        If the fleet has no topic of it, or no row of a log that has begun.
    BrokerError
        If the broker cannot be read.
    """
    topic = device_events(site)
    try:
        if topic not in _topics(broker):
            raise UnknownSiteError(f"the fleet does not know {site}: there is no topic {topic}")
        tail = last_sent(broker.options(), site)
    except KafkaError as error:
        raise BrokerError(f"{broker.servers}: {topic} cannot be read: {error}") from error
    if tail is None:
        raise UnknownSiteError(f"the fleet has nothing of {site} to forget: no row of its log stands on {topic}")
    return tail


def ask_to_forget(broker: Broker, site: str, asked: Forgetting) -> int:
    """Put the request on a site's topic and take its head away; return where the request stands.

    Raises
    ------
    ValueError
        If that is no site's id, or nobody or no reason is named.
    UnknownSiteError
        As `known_of` says.
    BrokerError
        If the broker cannot be read, or not be written to.
    """
    if not asked.by.strip() or not asked.reason.strip():
        raise ValueError("a person and a reason must be named")
    known_of(broker, site)
    topic = device_events(site)
    request = forget_request(site, asked, identity=uuid.uuid4().hex, at=datetime.now(UTC).isoformat())
    try:
        producer = KafkaProducer(
            **broker.options(), acks="all", max_block_ms=REQUEST_MS, bootstrap_timeout_ms=REQUEST_MS
        )
        try:
            sent = producer.send(topic, key=request.key, value=request.value, headers=request.headers, partition=0)
            at = int(sent.get(timeout=REQUEST_MS / 1000).offset)
            producer.send(SITE_HEADS, key=site.encode(), value=None, partition=0).get(timeout=REQUEST_MS / 1000)
        finally:
            producer.close(timeout=2)
    except KafkaError as error:
        raise BrokerError(f"{broker.servers}: {topic} cannot be written to: {error}") from error
    return at


def _topics(broker: Broker) -> set[str]:
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False, bootstrap_timeout_ms=REQUEST_MS)
    try:
        found: set[str] = consumer.topics()
        return found
    finally:
        consumer.close()
