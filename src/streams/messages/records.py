"""Facts and outcomes with their identity and their place in the log."""

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec

from streams.messages.base import Message, UtcTime
from streams.messages.facts import Fact
from streams.messages.outcomes import Outcome


class Draft(msgspec.Struct, frozen=True):
    """A fact on its way into the log; `event_id` makes it count once."""

    event_id: str
    device: str
    fact: Fact


class Event(msgspec.Struct, frozen=True):
    """A fact with its place in the log; `device` is ``site/device``."""

    event_id: str
    device: str
    log_id: str
    device_seq: int
    recorded_at: UtcTime
    fold_version: int
    fact: Fact


class RecordedOutcome(msgspec.Struct, frozen=True):
    """An outcome with the event that caused it."""

    outcome_id: str
    event_id: str
    device: str
    device_seq: int
    outcome: Outcome


def type_name(message: Message) -> str:
    """Return the versioned type name, such as ``bonewatch.gate-changed.v1``."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)  # noqa: S101 - every message is declared with one
    return tag


def event_id(*parts: str) -> str:
    """Return the 24-character identity of a fact that these parts name, such as SOP Instance UID and region.

    144 bits of SHA-256: short enough for bounded state, and the parts themselves stay in the fact.
    """
    digest = sha256("\x1f".join(parts).encode()).digest()
    return urlsafe_b64encode(digest[:18]).decode("ascii")
