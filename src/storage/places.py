"""Where in a log a row of a table comes from, and from when on it counts."""

from datetime import datetime
from typing import NamedTuple

from streams.messages import Event, TimeReached


class Place(NamedTuple):
    """Where in the log a row of a table comes from."""

    device: str
    device_seq: int
    recorded_at: datetime


def placed(event: Event) -> Place:
    """Return where an event stands."""
    return Place(event.device, event.device_seq, event.recorded_at)


def effective_at(event: Event) -> datetime:
    """Return when a change took effect: one that time brought when it fell due, not when it was recorded."""
    return event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at
