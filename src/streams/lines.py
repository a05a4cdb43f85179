"""The port through which the console sees what stands on a scale now: nothing of it is in the log."""

from datetime import datetime
from typing import Final, Protocol

import msgspec


class LiveReading(msgspec.Struct, frozen=True):
    """The last reading of one quantity; kg or cm."""

    quantity: str
    value: float | None
    condition: str
    imperial: bool
    at: datetime


class LineStatus(msgspec.Struct, frozen=True):
    """How a device's line stands; `unclaimed` counts measurements that came while no session was open.

    `recorded` are those that the last session took.
    """

    state: str
    why: str
    serial: str
    readings: tuple[LiveReading, ...] = ()
    unclaimed: int = 0
    recorded: tuple[LiveReading, ...] = ()


class Lines(Protocol):
    """The lines of a site."""

    def status(self, device: str) -> LineStatus | None:
        """Return how a device's line stands, by device key; None for one that has no line."""


class NoLines:
    """A site without any."""

    def status(self, device: str) -> LineStatus | None:  # noqa: ARG002 - the port's form
        """Return None."""
        return None


NO_LINES: Final = NoLines()
