"""Alerts with a real queue and real channels, and a clock that the test moves; people are invented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from alerts.book import Alert, Book
from alerts.channels import Channel, Outgoing
from alerts.condition import Condition, Kind, Severity
from alerts.deliverer import Deliverer
from alerts.deliveries import Route
from alerts.links import Links
from alerts.policy import Note, NoteReason
from alerts.queue import Queue
from alerts.settings import DeliverySettings
from streams.roles import Role

MORNING: Final = datetime(2026, 11, 20, 7, 45, tzinfo=UTC)
CONSOLE: Final = "https://bonewatch.example.org"
SETTINGS: Final = DeliverySettings(retry_s=5.0, retry_max_s=300.0)

BY_MAIL: Final = Route(("mail",))


class Clock:
    """Says what the test wants."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Wire:
    """A channel of our own: takes messages unless it is told why not."""

    why: str = ""
    taken: list[Outgoing] = field(default_factory=list)
    tried: int = 0

    def send(self, message: Outgoing) -> str:
        self.tried += 1
        if not self.why:
            self.taken.append(message)
        return self.why


def links(lasts: timedelta = timedelta(hours=24), url: str = CONSOLE) -> Links:
    return Links("a secret of the test", url, lasts)


def condition(key: str = "qc_failed:dxa-1:", *, severity: Severity = Severity.URGENT, news: str = "1") -> Condition:
    return Condition(
        key=key,
        kind=Kind.QC_FAILED,
        severity=severity,
        audience=(Role.OPERATOR,),
        since=MORNING,
        news=news,
        headline="Scanner DXA1 is not cleared: this morning's phantom failed (+1.9 %)",
        brief="Scanner DXA1 is not cleared",
        advice="Repeat with repositioning.",
        ring="medical physics, 2345",
        device="dxa-1",
        device_name="Scanner DXA1",
        needs_by=MORNING + timedelta(minutes=45),
        page="/devices/dxa-1",
    )


def alert(id_: str = "alert-1", *, severity: Severity = Severity.URGENT) -> Alert:
    return Alert(id_, condition(id_, severity=severity), MORNING, MORNING)


def note(
    id_: str,
    person: str = "Anna Example",
    *,
    alerts: tuple[str, ...] = ("alert-1",),
    reason: NoteReason = NoteReason.RAISED,
) -> Note:
    return Note(id_, person, reason, alerts, f"Subject of {id_}", f"Text of {id_}.", urgent=True)


def keep(queue: Queue, *alerts: Alert, at: datetime = MORNING) -> None:
    """Put alerts into the book."""
    with queue.changing() as change:
        change.keep(Book({one.condition.key: one for one in alerts}), at.timestamp())


def tell(queue: Queue, *notes: Note, route: Route = BY_MAIL, at: datetime = MORNING) -> None:
    """Queue notes."""
    with queue.changing() as change:
        for one in notes:
            change.tell(one, route, at.timestamp())


def deliverer(
    queue: Queue,
    channels: Mapping[str, Channel],
    clock: Clock,
    *,
    addresses: Mapping[str, str] | None = None,
    settings: DeliverySettings = SETTINGS,
) -> Deliverer:
    return Deliverer(queue, channels, dict(addresses or {}), settings, links(), clock=clock)
