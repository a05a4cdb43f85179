"""Units of weight and height as devices write them, in kg and cm."""

from decimal import Decimal
from typing import Final, NamedTuple

from collectors.protocols.items import Quantity


class Unit(NamedTuple):
    """A unit: of what, how many kg or cm, and whether it is imperial."""

    quantity: Quantity
    factor: Decimal
    imperial: bool


UNITS: Final[dict[str, Unit]] = {
    "kg": Unit(Quantity.WEIGHT, Decimal(1), imperial=False),
    "g": Unit(Quantity.WEIGHT, Decimal("0.001"), imperial=False),
    "t": Unit(Quantity.WEIGHT, Decimal(1000), imperial=False),
    "lb": Unit(Quantity.WEIGHT, Decimal("0.45359237"), imperial=True),
    "lbs": Unit(Quantity.WEIGHT, Decimal("0.45359237"), imperial=True),
    "oz": Unit(Quantity.WEIGHT, Decimal("0.028349523125"), imperial=True),
    "st": Unit(Quantity.WEIGHT, Decimal("6.35029318"), imperial=True),
    "cm": Unit(Quantity.HEIGHT, Decimal(1), imperial=False),
    "mm": Unit(Quantity.HEIGHT, Decimal("0.1"), imperial=False),
    "m": Unit(Quantity.HEIGHT, Decimal(100), imperial=False),
    "in": Unit(Quantity.HEIGHT, Decimal("2.54"), imperial=True),
}
"""By their spelling in lower case; factors are those of the international yard and pound (1959)."""

INCHES_A_FOOT: Final = 12


def unit(spelling: str) -> Unit | None:
    """Return the unit of a spelling, whatever its case and the blanks about it; None if it is none we know."""
    return UNITS.get(spelling.strip().lower())
