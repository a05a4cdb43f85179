"""Who may do what on the fleet's Kafka: access lists as code, beside the topics. Pure.

What no access list allows is refused (`allow.everyone.if.no.acl.found=false`). A site is bound to its own topic: nobody
else may write there, so what stands on it is the site's word.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from streams.topics import DEVICE_EVENTS, SITE_HEADS, WORKER_STATES, device_events, fleet_topics

WORKER_GROUPS: Final = ("bonewatch-fleet", "bonewatch-comparison")
SINK_GROUP: Final = "bonewatch-sink"
"""What the consumer groups of the fleet's own processes are called, or begin with."""
INTERNAL: Final = re.compile(r"\.(worker-|dead-letters)")
"""Topics that are the workers' own."""

ADMINISTRATOR: Final = "admin"
"""What the brokers' administrator is called; nobody gets rights or a password under this name."""
OWN: Final = "bonewatch"
"""What the names of the fleet's own processes and their groups begin with; no site and no subscriber is called so."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class FleetRole(StrEnum):
    """What a user of the fleet's Kafka is."""

    SITE = "site"
    WORKER = "worker"
    SINK = "sink"
    SUBSCRIBER = "subscriber"


class Grant(NamedTuple):
    """One thing that a user may do: an operation on a topic or group, or on all whose names begin so."""

    kind: str
    name: str
    operation: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.name}{'*' if self.prefixed else ''}"


def grants(role: FleetRole, name: str) -> frozenset[Grant]:
    """Return everything that a user may do.

    Parameters
    ----------
    role
        What it is.
    name
        What it signs in as; a site's is the site's id, a subscriber's names its groups: `name` and `name-...`.

    Raises
    ------
    ValueError
        If the name is none (lower-case letters, digits and hyphens, at most 63), or one that is kept for others.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: lower-case letters, digits and hyphens, at most 63")
    if name == ADMINISTRATOR:
        raise ValueError(f"{name!r} is the administrator: it needs no rights, and its password is not given here")
    if role in {FleetRole.SITE, FleetRole.SUBSCRIBER} and name.startswith(OWN):
        raise ValueError(f"{name!r} would be taken for one of the fleet's own processes: choose another name")
    match role:
        case FleetRole.SITE:
            own = _topic(device_events(name), "write", "read")
            return own | _topic(SITE_HEADS, "write")
        case FleetRole.WORKER:
            shared = [_topic(topic, "write", "read") for topic in _shared()]
            groups = [_group(group, prefixed=True) for group in WORKER_GROUPS]
            return _logs_of_sites().union(*shared, *groups)
        case FleetRole.SINK:
            states = _topic(WORKER_STATES, "read")  # which devices the workers have parked
            return _logs_of_sites().union(_published(), states) | _group(SINK_GROUP, prefixed=True)
        case FleetRole.SUBSCRIBER:
            return _published() | _group(name) | _group(f"{name}-", prefixed=True)


def _shared() -> list[str]:
    return [topic.name for topic in fleet_topics(1) if topic.name != SITE_HEADS]


def _published() -> frozenset[Grant]:
    """Reading what is meant for clinical services."""
    found: frozenset[Grant] = frozenset()
    return found.union(*(_topic(name, "read") for name in _shared() if not INTERNAL.search(name)))


def _logs_of_sites() -> frozenset[Grant]:
    return _topic(DEVICE_EVENTS, "read", prefixed=True)


def _topic(name: str, *operations: str, prefixed: bool = False) -> frozenset[Grant]:
    return frozenset(Grant("topic", name, operation, prefixed) for operation in (*operations, "describe"))


def _group(name: str, *, prefixed: bool = False) -> frozenset[Grant]:
    return frozenset(Grant("group", name, operation, prefixed) for operation in ("read", "describe"))
