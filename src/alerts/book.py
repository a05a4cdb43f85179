"""What was told to whom: the durable memory of the policy. A restart or a replay finds it and tells nothing twice."""

from datetime import datetime
from enum import StrEnum

import msgspec

from alerts.condition import Condition


class AlertState(StrEnum):
    """Where an alert stands."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True):
    """One condition from when it came up until it is over.

    Attributes
    ----------
    id
        Stable: from the key and `raised_at`.
    tier
        How far it has been escalated; those of tier 1 are told first.
    counted_from
        From when the timetable of escalation counts: when somebody was first told, or it became more urgent since.
    next_tier_at
        When it goes on to the next tier; None while nobody has been told, after the last tier and once acknowledged.
    news_at
        When there was something new last.
    known
        All the news that there has been.
    gone_at
        Since when the condition has not been found; it is over when that has lasted.
    told
        By person, the parts of the news that they were told.
    urgently_told
        Who was told of it as urgent: they are told when it is over.
    told_taken
        Who was told who took it.
    owed
        Who is still to be told that it is over.
    reaches_nobody
        Nobody is there to be told: the console shows it.
    """

    id: str
    condition: Condition
    raised_at: datetime
    news_at: datetime
    known: tuple[str, ...] = ()
    state: AlertState = AlertState.RAISED
    tier: int = 1
    counted_from: datetime | None = None
    next_tier_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    gone_at: datetime | None = None
    resolved_at: datetime | None = None
    told: dict[str, tuple[str, ...]] = {}
    urgently_told: tuple[str, ...] = ()
    told_taken: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    reaches_nobody: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it stands and nobody has taken it: there is somebody to tell, or to escalate to."""
        return self.gone_at is None and self.state in {AlertState.RAISED, AlertState.ESCALATED}

    def untold(self, person: str) -> frozenset[str]:
        """Return the parts of the news as they stand now that somebody was not told."""
        return self.condition.parts - set(self.told.get(person, ()))


class Book(msgspec.Struct, frozen=True):
    """All of it: alerts that are open, by key; those lately over, newest last; messages being gathered, by person.

    `gathering` says since when something has waited for each person's next message, `stepped_at` when was looked last.
    """

    alerts: dict[str, Alert] = {}
    resolved: tuple[Alert, ...] = ()
    gathering: dict[str, datetime] = {}
    stepped_at: datetime | None = None

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert by its id, open or lately over, or None."""
        everything = (*self.alerts.values(), *self.resolved)
        return next((alert for alert in everything if alert.id == alert_id), None)


def encode(book: Book) -> bytes:
    """Return the book as JSON."""
    return msgspec.json.encode(book)


def decode(data: bytes) -> Book:
    """Return the book that was encoded.

    Raises
    ------
    msgspec.DecodeError
        It is no book; `msgspec.ValidationError` where it is JSON of another form.
    """
    return msgspec.json.decode(data, type=Book)
