"""Readings of displays and certificates as exact decimals, so that a limit is met or not and never by a last bit."""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final, TypeAlias

Number: TypeAlias = int | float | Decimal
"""Decimals and ints are taken as they are, floats rounded to 12 significant digits: 0.1 is a tenth. NumPy's floats
in single precision are rounded to the 7 digits that they hold."""

LARGEST_EXPONENT: Final = 100
"""No quantity measured here is 1e101 or more, or below 1e-100 without being zero; decimals of any such have sums,
products and quotients."""


def exact(name: str, value: Number) -> Decimal:
    """Return value as a decimal; a refusal calls it by `name`.

    Arithmetic on the result is exact to the 28 digits of Python's default decimal context.

    Raises
    ------
    ValueError
        If value is not a finite number (a bool is none), or beyond what is measured.

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
    if number and abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{name}, a number of order 1e{number.adjusted()}, is beyond what is measured")
    return number


def exact_series(name: str, values: Iterable[Number], *, positive: bool = False) -> list[Decimal]:
    """Return values as `exact` or `exact_positive` does; a refusal calls them by `name` and place.

    Raises
    ------
    ValueError
        If values are no series, or one is not a finite number (above zero).
    """
    if not isinstance(values, Iterable):
        raise ValueError(f"{name} = {values!r} is no series of numbers")  # noqa: TRY004 - see exact
    take = exact_positive if positive else exact
    return [take(f"{name}[{i}]", value) for i, value in enumerate(values)]


def refuse_no_bool(name: str, value: Any) -> None:
    """Raise a ValueError unless value is True or False: text is true whatever it says.

    Raises
    ------
    ValueError
        If value is no bool.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r} is neither True nor False")  # noqa: TRY004 - see exact


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
    digits = 7 if getattr(value, "dtype", None) == "float32" else 12
    try:
        return Decimal(f"{float(value):.{digits}g}")
    except OverflowError:  # a fraction beyond all floats
        return Decimal("Infinity")
