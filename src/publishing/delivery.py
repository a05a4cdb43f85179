"""What is delivered, and how that went: the words that queue, follower and channels share."""

from typing import NamedTuple, Protocol

import msgspec

from publishing.published import Notice


class Message(NamedTuple):
    """Something to deliver: the same `id` however often it is sent."""

    id: str
    body: bytes


class Delivery(msgspec.Struct, frozen=True):
    """A message in the queue; `tries` is how often it was sent in vain, `queued_at` Unix seconds."""

    id: int
    message_id: str
    type: str
    device: str
    position: int
    body: bytes
    queued_at: float
    tries: int


class Delivered(NamedTuple):
    """The receiver has it."""


class Postponed(NamedTuple):
    """It is sent again later; `everything` says that nothing else would go through either."""

    why: str
    everything: bool
    wait_s: float = 0.0


class Refused(NamedTuple):
    """The receiver will never take it."""

    why: str


Result = Delivered | Postponed | Refused


class ComposeError(Exception):
    """A notice cannot be put into the words of a receiver; the text says why, without data."""


class Channel(Protocol):
    """One way of telling one receiver; for one thread."""

    def compose(self, notice: Notice) -> tuple[Message, ...]:
        """Return what tells the receiver of a notice: the same for the same notice.

        Raises
        ------
        ComposeError
            If that cannot be said.
        """

    def deliver(self, delivery: Delivery) -> Result:
        """Send one message and wait for what the receiver says."""

    def close(self) -> None:
        """Let go of connections."""
