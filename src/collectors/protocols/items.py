"""What a parser makes of bytes: readings, what the device says of itself, and what nobody understood."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol


class Quantity(StrEnum):
    """What was measured: weight in kg, height in cm."""

    WEIGHT = "weight"
    HEIGHT = "height"


class Condition(StrEnum):
    """How the device says it stands with a reading; only a stable one can be a measurement.

    `UNTOLD`: its protocol has no word for it, so readings must be seen to agree before one counts.
    """

    STABLE = "stable"
    UNSTABLE = "unstable"
    OVERLOAD = "overload"
    UNDERLOAD = "underload"
    INVALID = "invalid"
    UNTOLD = "untold"


class Reading(NamedTuple):
    """One reading.

    Parameters
    ----------
    value
        In kg or cm, sign included, exactly as sent or exactly converted; None where none was sent.
    unit
        As sent; empty where the line did not say it and the configuration does.
    imperial
        Whether it was converted from pounds, ounces, stones, feet or inches.
    zero
        Whether the device says that it stands at zero, or sent the value zero.
    net
        Whether a tare was subtracted.
    raw
        The frame.
    """

    quantity: Quantity
    value: Decimal | None
    condition: Condition
    unit: str
    imperial: bool = False
    zero: bool = False
    net: bool = False
    raw: bytes = b""

    @property
    def is_measurement(self) -> bool:
        """Whether the device vouches for the value: stable, there is one, and it is not negative."""
        return self.condition is Condition.STABLE and self.value is not None and self.value >= 0


class Identity(NamedTuple):
    """The device's own serial number, as it was asked for."""

    serial: str
    raw: bytes = b""


class Answer(NamedTuple):
    """A command was done (`accepted`) or not."""

    command: str
    accepted: bool
    raw: bytes = b""


class DeviceError(NamedTuple):
    """The device reports a fault of its own, or that it did not understand."""

    code: str
    raw: bytes = b""


class Noise(NamedTuple):
    """Bytes that are no frame, or a frame that does not hold; `why` for people."""

    data: bytes
    why: str


Item = Reading | Identity | Answer | DeviceError | Noise


class Parser(Protocol):
    """A protocol in one direction; one instance a line."""

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
