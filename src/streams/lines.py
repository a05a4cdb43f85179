"""The port through which the console sees what stands on a scale now: nothing of it is in the log."""

from datetime import datetime
from typing import Protocol

import msgspec


class LiveReading(msgspec.Struct, frozen=True):
    """The last reading of one quantity; kg or cm."""

    quantity: str
    value: float | None
    condition: str
    imperial: bool
    at: datetime


class LineStatus(msgspec.Struct, frozen=True):
    """How a device's line stands; `unclaimed` counts measurements that came while no session was open."""

    state: str
    why: str
    serial: str
    can_be_zeroed: bool
    readings: tuple[LiveReading, ...] = ()
    unclaimed: int = 0


class Lines(Protocol):
    """The lines of a site."""

    def status(self, device: str) -> LineStatus | None:
        """Return how a device's line stands, by device key; None for one that has no line."""

    def zero(self, device: str) -> bool:
        """Have a device zeroed; False where it cannot be."""


class NoLines:
    """A site without any."""

    def status(self, device: str) -> LineStatus | None:  # noqa: ARG002 - the port's form
        """Return None."""
        return None

    def zero(self, device: str) -> bool:  # noqa: ARG002 - the port's form
        """Return False."""
        return False
