"""From what is wrong now and what was told before to what is told next. Pure: no clock, no I/O, nothing remembered."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from alerts.book import AlertState, Book
from alerts.condition import Findings, Severity
from alerts.digest import digest_at
from alerts.escalation import escalated
from alerts.lifecycle import brought_up, set_back
from alerts.notes import Note, NoteReason
from alerts.recipients import Look
from alerts.rota import Rota, next_change
from alerts.rules import AlertRules
from alerts.telling import told

__all__ = ["NotAcknowledged", "Note", "NoteReason", "Step", "acknowledge", "step"]


class Step(msgspec.Struct, frozen=True):
    """What one look comes to: the book to keep, notes to deliver, and when to look again at the latest."""

    book: Book
    notes: tuple[Note, ...] = ()
    next_at: datetime | None = None


class NotAcknowledged(msgspec.Struct, frozen=True):
    """Why an acknowledgement is refused, in words for who asked; who took it before and when."""

    why: str
    by: str = ""
    at: datetime | None = None


def step(book: Book, findings: Findings, at: datetime, rules: AlertRules, rota: Rota) -> Step:
    """Bring the book up to `at` and say who is told what now.

    The same book, findings and time give the same notes; the book that comes back with the same findings and time
    gives none. `next_at` is when something is to be done though nothing changes; None where there is nothing.
    """
    book = brought_up(set_back(book, at), findings, at, rules)
    book = escalated(book, at, rules)
    book, notes = told(book, findings, Look(at, rules, rota))
    return Step(replace(book, stepped_at=at), notes, min(_moments(book, at, rules, rota), default=None))


def acknowledge(book: Book, alert_id: str, person: str, at: datetime) -> Book | NotAcknowledged:
    """Note that somebody takes an alert: its escalation stops until there is news."""
    alert = book.alert(alert_id)
    if alert is None:
        return NotAcknowledged("There is no such alert, or it was over long ago.")
    if alert.state is AlertState.RESOLVED:
        return NotAcknowledged("It is over: there is nothing left to take.", at=alert.resolved_at)
    if alert.state is AlertState.ACKNOWLEDGED:
        who = "You have" if alert.acknowledged_by == person else f"{alert.acknowledged_by} has"
        return NotAcknowledged(f"{who} taken it already.", alert.acknowledged_by, alert.acknowledged_at)
    taken = replace(
        alert,
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by=person,
        acknowledged_at=at,
        next_tier_at=None,
    )
    return replace(book, alerts=book.alerts | {alert.condition.key: taken})


def _moments(book: Book, at: datetime, rules: AlertRules, rota: Rota) -> Iterator[datetime]:
    """Yield the instants after `at` at which time alone may give somebody something to be told."""
    for since in book.gathering.values():
        yield since + timedelta(seconds=rules.group_seconds)
    for alert in book.alerts.values():
        if alert.gone_at is not None:
            yield alert.gone_at + timedelta(minutes=rules.settle_minutes)
        if alert.next_tier_at is not None:
            yield alert.next_tier_at
        if alert.is_open and alert.condition.severity is Severity.DIGEST:
            digest = digest_at(alert.news_at, rules, rota.time_zone)
            if digest > at:
                yield digest
    if any(alert.is_open for alert in book.alerts.values()) or any(alert.owed for alert in book.resolved):
        for person in rota.people:
            change = next_change(person, at, rota.time_zone)
            if change is not None:
                yield change
