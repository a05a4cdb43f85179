"""Readings of displays and certificates as exact decimals, so that a limit is met or not and never by a last bit."""

from decimal import Decimal
from numbers import Integral, Real
from typing import TypeAlias

Number: TypeAlias = int | float | Decimal
"""Decimals and ints are taken as they are, floats rounded to 12 significant digits: 0.1 is a tenth."""


def exact(name: str, value: Number) -> Decimal:
    """Return value as a decimal; a refusal calls it by `name`.

    Arithmetic on the result is exact to the 28 digits of Python's default decimal context.

    Raises
    ------
    ValueError
        If value is not a finite number (a bool is none).

    Examples
    --------
    >>> exact("load_g", 0.1 + 0.2)
    Decimal('0.3')
    >>> exact("load_g", float("nan"))
    Traceback (most recent call last):
    ValueError: load_g = nan is not finite
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        # A ValueError like every bad value: who catches it cannot do more about the one than the other.
        raise ValueError(f"{name} = {value!r} is not a number")  # noqa: TRY004
    number = decimal_from(value)
    if not number.is_finite():
        raise ValueError(f"{name} = {value!r} is not finite")
    return number


def exact_positive(name: str, value: Number) -> Decimal:
    """Return value as `exact` does; refuse what is not above zero.

    Raises
    ------
    ValueError
        If value is not a finite number above zero.
    """
    number = exact(name, value)
    if number <= 0:
        raise ValueError(f"{name} = {value!r} is not positive")
    return number


def decimal_from(value: Number | Real) -> Decimal:
    """Return a number that `exact` has taken before, as the same decimal."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, Integral):
        return Decimal(int(value))
    return Decimal(f"{float(value):.12g}")
