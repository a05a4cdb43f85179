"""Series of observations as they arrive from outside: taken as floats, or refused by value and place."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Series: TypeAlias = "Sequence[float] | NDArray[Any]"
"""A one-dimensional series of numbers, oldest first."""


def finite_series(x: Series, *, at_least: int) -> list[float]:
    """Return x as Python floats.

    Parameters
    ----------
    x
        Series, shape ``(n,)``: a sequence, or an array of NumPy or alike.
    at_least
        Fewest values accepted.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has a value that is not a finite number (a bool or None is none), or has
        too few; the message names the value and its place.

    Examples
    --------
    >>> finite_series([1, 1.002, 0.998], at_least=2)
    [1.0, 1.002, 0.998]
    >>> finite_series([1.001, float("nan")], at_least=2)
    Traceback (most recent call last):
    ValueError: x[1] = nan is not finite
    """
    if getattr(x, "ndim", 1) != 1:
        raise ValueError(f"x has shape {getattr(x, 'shape', None)}; one dimension is needed")
    values: list[Any] = x.tolist() if hasattr(x, "tolist") else list(x)
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, Real):
            # A ValueError like every bad value: who catches it cannot do more about the one than the other.
            raise ValueError(f"x[{i}] = {value!r} is not a number")  # noqa: TRY004
        if not math.isfinite(value):
            raise ValueError(f"x[{i}] = {value!r} is not finite")
    if len(values) < at_least:
        raise ValueError(f"x has {len(values)} values; at least {at_least} are needed")
    return [float(value) for value in values]
