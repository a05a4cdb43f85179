"""Series of observations as they arrive from outside: taken as floats, or refused by value and place.

NumPy is loaded only for the arrays of a `replay`: a process that only streams does not pay for it.
"""

import math
from collections.abc import Iterable, Sequence, Sized
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Series: TypeAlias = "Sequence[float | Decimal] | NDArray[Any]"
"""A one-dimensional series of numbers, oldest first."""

LARGEST: Final = 1e100
"""No quantity measured here is larger, and the square of nothing smaller overflows."""


def real_number(value: Any, place: str) -> float:
    """Return value as a Python float, which may be infinite or NaN; for a range that is checked next.

    Raises
    ------
    ValueError
        If value is no real number (a bool, None or a masked value is none).
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        # A ValueError like every bad value: who catches it cannot do more about the one than the other.
        raise ValueError(f"{place} = {value!r} is not a number")  # noqa: TRY004
    try:
        return float(value)
    except OverflowError:  # an integer or a fraction beyond all floats
        return math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def finite_number(value: Any, place: str) -> float:
    """Return value as a Python float: what a NumPy scalar of any precision or a Decimal stands for.

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
    number = real_number(value, place)
    if not math.isfinite(number):
        raise ValueError(f"{place} = {number!r} is not finite")
    return number


def positive_number(value: Any, place: str) -> float:
    """Return value as a Python float above zero.

    Raises
    ------
    ValueError
        If value is not a finite number above zero.

    Examples
    --------
    >>> positive_number(0, "sigma")
    Traceback (most recent call last):
    ValueError: sigma = 0 is not positive and finite
    """
    number = real_number(value, place)
    if not 0 < number < math.inf:
        raise ValueError(f"{place} = {value if math.isfinite(number) else number!r} is not positive and finite")
    return number


def whole_number(value: Any, place: str) -> int:
    """Return value as a Python int; 2.0 is none, as a count is never a float.

    Raises
    ------
    ValueError
        If value is no integer (a bool is none).

    Examples
    --------
    >>> whole_number(float("inf"), "scans_before")
    Traceback (most recent call last):
    ValueError: scans_before = inf is not a whole number
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{place} = {value!r} is not a whole number")  # noqa: TRY004 - see real_number
    return int(value)


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
    if not isinstance(x, Iterable):
        raise ValueError(f"{name} = {x!r} is no series of numbers")  # noqa: TRY004 - see real_number
    if getattr(x, "ndim", 1) != 1:
        raise ValueError(f"{name} has shape {getattr(x, 'shape', None)}; one dimension is needed")
    values: list[Any] = x.tolist() if hasattr(x, "tolist") else list(x)
    numbers = [finite_number(value, f"{name}[{i}]") for i, value in enumerate(values)]
    if len(numbers) < at_least:
        raise ValueError(f"{name} has {len(numbers)} values; at least {at_least} are needed")
    return numbers


def named_series(name: str, x: Series, *, at_least: int) -> list[float]:
    """Return x as `finite_series` does; a refusal calls it by `name`.

    Raises
    ------
    ValueError
        As `finite_series`, and if a value is larger than 1e100.

    Examples
    --------
    >>> named_series("before", [1.0, float("nan")], at_least=2)
    Traceback (most recent call last):
    ValueError: before[1] = nan is not finite
    """
    values = finite_series(x, at_least=at_least, name=name)
    for i, value in enumerate(values):
        if abs(value) > LARGEST:
            raise ValueError(f"{name}[{i}] = {value!r} is beyond {LARGEST:g}")
    return values


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
        If x is not two-dimensional, has rows of unequal length, is not of numbers (booleans and masked values,
        alone or in a row of a list, are none) or holds one that is not finite; the message names the value and
        its place ``x[device, scan]``.

    Examples
    --------
    >>> scans_first([[1.0, 1.1, 1.2], [2.0, 2.1, 2.2]]).tolist()
    [[1.0, 2.0], [1.1, 2.1], [1.2, 2.2]]
    >>> scans_first([[1.0, 1.1], [2.0, float("inf")]])
    Traceback (most recent call last):
    ValueError: x[1, 1] = inf is not finite
    """
    import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

    _refuse_masks_and_bools(x)
    try:
        table = np.asarray(x)
    except ValueError as refusal:
        raise ValueError(f"x has rows of unequal shape; (n_devices, n_scans) is needed: {_lengths(x)}") from refusal
    if table.ndim != 2:
        raise ValueError(f"x has shape {table.shape}; (n_devices, n_scans) is needed")
    if table.dtype.kind == "O":  # decimals and fractions, or what is no number at all
        places = np.ndindex(table.shape)
        table = np.reshape([finite_number(table[i, j], f"x[{i}, {j}]") for i, j in places], table.shape)
    if table.dtype.kind not in "fiu":
        raise ValueError(f"x holds {table.dtype}, not numbers")
    table = np.ascontiguousarray(table.T, dtype=np.float64)
    if not np.isfinite(table).all():
        scan, device = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(f"x[{device}, {scan}] = {float(table[scan, device])!r} is not finite")
    return table


def _refuse_masks_and_bools(x: Any) -> None:
    """Raise a ValueError for values that NumPy would take for others: what lies behind a mask, 1 for True."""
    import numpy as np  # noqa: PLC0415 - see scans_first

    if not isinstance(x, Iterable) or (isinstance(x, np.ndarray) and not np.ma.is_masked(x)):
        return  # the type of an array tells its booleans
    for device, row in enumerate(x):
        if isinstance(row, np.ndarray) and row.dtype.kind in "fiu" and not np.ma.is_masked(row):
            continue
        if not isinstance(row, Iterable) or {*map(type, row)} <= {float, int}:
            continue
        for scan, value in enumerate(row):
            if np.ma.is_masked(value):
                raise ValueError(f"x[{device}, {scan}] is masked, not a number")
            if isinstance(value, bool | np.bool_):
                raise ValueError(f"x[{device}, {scan}] = {value!r} is a bool, not a number")  # noqa: TRY004 - see real_number


def _lengths(x: Any) -> str:
    """Say which row of a ragged table is the first of another length."""
    lengths = [len(row) if isinstance(row, Sized) else None for row in x]
    other = next((i for i, length in enumerate(lengths) if length != lengths[0]), 0)
    return f"x[0] has {lengths[0]} values, x[{other}] has {lengths[other]}"


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
