"""Which of a stream of readings is one measurement: once for each time that somebody steps on. Pure."""

from decimal import Decimal
from typing import Final

from collectors.protocols.items import Condition, Reading

OFF_BELOW: Final = Decimal("0.5")
"""A value under this share of the measured one means that the load is gone."""


class Plateau:
    """Picks measurements out of one quantity's readings.

    A reading counts when the device vouches for it and something has changed since the last that counted: the load was
    gone, or the value moved. Where the device has no word for stability, readings must agree.

    Parameters
    ----------
    agree
        How many equal readings in a row stand for stability where the device does not tell it.
    """

    def __init__(self, *, agree: int = 2) -> None:
        self._agree = agree
        self._counted: Decimal | None = None
        self._same: tuple[Decimal | None, int] = (None, 0)

    def take(self, reading: Reading) -> Reading | None:
        """Take one reading; return it, stable, if it counts."""
        value = reading.value
        if value is None or reading.condition is Condition.UNSTABLE:
            self._counted, self._same = None, (None, 0)
            return None
        settled = self._settled(reading)
        if settled is None:
            return None
        if self._counted is not None:
            if value < self._counted * OFF_BELOW:
                self._counted = None
            elif value == self._counted:
                return None
        if value <= 0:
            self._counted = None
            return None
        self._counted = value
        return settled

    def _settled(self, reading: Reading) -> Reading | None:
        """Return the reading as stable if it is: by the device's word, or because readings agree."""
        if reading.condition is Condition.STABLE:
            return reading
        if reading.condition is not Condition.UNTOLD:
            return None
        value, count = self._same
        count = count + 1 if value == reading.value else 1
        self._same = (reading.value, count)
        return reading._replace(condition=Condition.STABLE) if count >= self._agree else None
