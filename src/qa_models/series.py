"""Series of observations as they arrive from outside: taken as floats, or refused by value and place.

NumPy is loaded only for the arrays of a `replay`: a process that only streams does not pay for it.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Series: TypeAlias = "Sequence[float] | NDArray[Any]"
"""A one-dimensional series of numbers, oldest first."""


def finite_number(value: Any, place: str) -> float:
    """Return value as a Python float.

    Raises
    ------
    ValueError
        If value is not a finite number (a bool, None or a masked value is none); the message names it and the
        place it came from.

    Examples
    --------
    >>> finite_number(True, "x")
    Traceback (most recent call last):
    ValueError: x = True is not a number
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        # A ValueError like every bad value: who catches it cannot do more about the one than the other.
        raise ValueError(f"{place} = {value!r} is not a number")  # noqa: TRY004
    try:
        number = float(value)
    except OverflowError:  # an integer or a fraction beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{place} = {number!r} is not finite")
    return number


def finite_series(x: Series, *, at_least: int, name: str = "x") -> list[float]:
    """Return x as Python floats.

    Parameters
    ----------
    x
        Series, shape ``(n,)``: a sequence, or an array of NumPy or alike.
    at_least
        Fewest values accepted.
    name
        What a refusal calls the series.

    Raises
    ------
    ValueError
        If x is not one-dimensional, has a value that is not a finite number (a bool, None or a masked value
        is none), or has too few; the message names the value and its place.

    Examples
    --------
    >>> finite_series([1, 1.002, 0.998], at_least=2)
    [1.0, 1.002, 0.998]
    >>> finite_series([1.001, float("nan")], at_least=2)
    Traceback (most recent call last):
    ValueError: x[1] = nan is not finite
    """
    if getattr(x, "ndim", 1) != 1:
        raise ValueError(f"{name} has shape {getattr(x, 'shape', None)}; one dimension is needed")
    values: list[Any] = x.tolist() if hasattr(x, "tolist") else list(x)
    numbers = [finite_number(value, f"{name}[{i}]") for i, value in enumerate(values)]
    if len(numbers) < at_least:
        raise ValueError(f"{name} has {len(numbers)} values; at least {at_least} are needed")
    return numbers


def scans_first(x: "ArrayLike") -> "NDArray[np.float64]":
    """Return the observations of many devices, one row per scan: the rows are what a `replay` walks along.

    Parameters
    ----------
    x
        Observations, shape ``(n_devices, n_scans)``, oldest first.

    Returns
    -------
    numpy.ndarray
        Contiguous floats of shape ``(n_scans, n_devices)``; all finite.

    Raises
    ------
    ValueError
        If x is not two-dimensional, not of numbers (booleans and masked values are none) or holds one that is
        not finite; the message names the value and its place ``x[device, scan]``.

    Examples
    --------
    >>> scans_first([[1.0, 1.1, 1.2], [2.0, 2.1, 2.2]]).tolist()
    [[1.0, 2.0], [1.1, 2.1], [1.2, 2.2]]
    >>> scans_first([[1.0, 1.1], [2.0, float("inf")]])
    Traceback (most recent call last):
    ValueError: x[1, 1] = inf is not finite
    """
    import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        device, scan = np.argwhere(np.ma.getmaskarray(x))[0]
        raise ValueError(f"x[{device}, {scan}] is masked, not a number")
    table = np.asarray(x)
    if table.ndim != 2:
        raise ValueError(f"x has shape {table.shape}; (n_devices, n_scans) is needed")
    if table.dtype.kind not in "fiu":
        raise ValueError(f"x holds {table.dtype}, not numbers")
    if not isinstance(x, np.ndarray) and any(isinstance(value, (bool, np.bool_)) for row in x for value in row):  # type: ignore[union-attr]
        raise ValueError("x holds a bool among its numbers")
    table = np.ascontiguousarray(table.T, dtype=np.float64)
    if not np.isfinite(table).all():
        scan, device = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(f"x[{device}, {scan}] = {float(table[scan, device])!r} is not finite")
    return table


def one_per_device(values: "ArrayLike", n_devices: int, name: str, *, counts: bool = False) -> "NDArray[Any]":
    """Return a copy of one field of the states that a `replay` starts from.

    Parameters
    ----------
    values
        The field, shape ``(n_devices,)``.
    n_devices
        Devices of x.
    name
        Name of the field, for the refusal.
    counts
        Whether the values are counts: integers in, integers out. Otherwise floats.

    Raises
    ------
    ValueError
        If values has another shape or is not of such numbers.
    """
    import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

    array = np.asarray(values)
    if array.shape != (n_devices,):
        raise ValueError(f"state.{name} has shape {array.shape}; ({n_devices},) is needed, one for each row of x")
    if array.dtype.kind not in ("iu" if counts else "fiu"):
        raise ValueError(f"state.{name} holds {array.dtype}, not {'counts' if counts else 'numbers'}")
    return array.astype(np.int64 if counts else np.float64)
