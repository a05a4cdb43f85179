"""An operator's request to take a parked device up anew: a record on the site's own topic.

Whoever follows the topic, the worker that has the site and the sink, acts on it in its order; nothing of their own
would reach a worker that happens to have the site.
"""

import uuid
from datetime import UTC, datetime
from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.broker import Broker, BrokerError
from streams.envelope import refold_request
from streams.topics import device_events

REQUEST_MS: Final = 10_000


def ask_for_refold(broker: Broker, device: str) -> None:
    """Put the request on the topic of the device's site.

    Raises
    ------
    ValueError
        If that is no device's key.
    BrokerError
        If the broker, or the site's topic there, cannot be written to.
    """
    site, _, name = device.partition("/")
    topic = device_events(site)
    if not name:
        raise ValueError(f"{device!r} is no device: SITE/DEVICE")
    request = refold_request(device, identity=uuid.uuid4().hex, at=datetime.now(UTC).isoformat())
    try:
        producer = KafkaProducer(
            **broker.options(), acks="all", max_block_ms=REQUEST_MS, bootstrap_timeout_ms=REQUEST_MS
        )
        try:
            sent = producer.send(topic, key=request.key, value=request.value, headers=request.headers, partition=0)
            sent.get(timeout=REQUEST_MS / 1000)
        finally:
            producer.close(timeout=2)
    except KafkaError as error:
        raise BrokerError(f"{broker.servers}: {topic} cannot be written to: {error}") from error
