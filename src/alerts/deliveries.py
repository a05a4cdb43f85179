"""What is delivered, by which way, and how that stands."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from alerts.notes import Note


class DeliveryState(StrEnum):
    """How a delivery stands; `spared` is one that another channel of the same person has made needless."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"
    SPARED = "spared"


class Route(NamedTuple):
    """The channels that lead to a person, the best first; `all_of_them`, or the first that works."""

    channels: tuple[str, ...]
    all_of_them: bool = False


class Waiting(NamedTuple):
    """The message that a channel is to send next to a person."""

    seq: int
    note: str
    person: str
    channel: str
    reason: str
    subject: str
    text: str
    urgent: bool
    tries: int
    queued_at: float


class Unreached(NamedTuple):
    """A note that no channel of its person has taken; `first_person` is who it was meant for."""

    note: Note
    first_person: str
    first_at: float
    is_passed_on: bool
    why: str


class ChannelTrouble(msgspec.Struct, frozen=True):
    """A channel that does not take what waits for it."""

    channel: str
    waiting: int
    oldest_queued_at: float
    why: str
