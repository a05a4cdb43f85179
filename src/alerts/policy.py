"""From what is wrong now and what was told before to what is told next. Pure: no clock, no I/O, nothing remembered."""

from datetime import datetime
from enum import StrEnum

import msgspec

from alerts.book import Book
from alerts.condition import Findings
from alerts.rota import Rota
from alerts.rules import AlertRules


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


class Step(msgspec.Struct, frozen=True):
    """What one look comes to: the book to keep, notes to deliver, and when to look again at the latest."""

    book: Book
    notes: tuple[Note, ...] = ()
    next_at: datetime | None = None


class NotAcknowledged(msgspec.Struct, frozen=True):
    """Why an acknowledgement is refused, in words for who asked."""

    why: str


def step(book: Book, findings: Findings, at: datetime, rules: AlertRules, rota: Rota) -> Step:
    """Bring the book up to `at` and say who is told what now."""
    raise NotImplementedError


def acknowledge(book: Book, alert_id: str, person: str, at: datetime) -> Book | NotAcknowledged:
    """Note that somebody takes an alert: its escalation stops until there is news."""
    raise NotImplementedError
