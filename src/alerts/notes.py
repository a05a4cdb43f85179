"""What is delivered: one message to one person, and the lines that it is made of."""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from alerts.book import Alert


class NoteReason(StrEnum):
    """Why somebody gets a message: the strongest of what is in it."""

    ESCALATED = "escalated"
    RAISED = "raised"
    NEWS = "news"
    DIGEST = "digest"
    RESOLVED = "resolved"


class Note(msgspec.Struct, frozen=True):
    """One message to one person, to be delivered once.

    `id` follows from who is told what: the same note never has two. `alerts` are the ids of the alerts in it, those
    first that can be acknowledged.
    """

    id: str
    person: str
    reason: NoteReason
    alerts: tuple[str, ...]
    subject: str
    text: str
    urgent: bool


class Contents(msgspec.Struct, frozen=True):
    """What one message tells: alerts that stand, sentences about those that are over, and who took which.

    `over` are pairs of an alert and its ending; `taken` stand, and another has them.
    """

    alerts: tuple[Alert, ...] = ()
    over: tuple[tuple[Alert, str], ...] = ()
    taken: tuple[Alert, ...] = ()


def note_id(person: str, told: Iterable[tuple[str, str]]) -> str:
    """Return the identity of a message by whom it tells and what: pairs of an alert's id and a word of its news."""
    lines = [person, *(f"{alert_id} {word}" for alert_id, word in sorted(told))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
