"""Two series measured on the same things: read together, or refused by name, value and place."""

import math
from typing import NamedTuple

from qa_models.series import Series, named_series


class Moments(NamedTuple):
    """Weighted means of pairs, and weighted sums of squares and products about them."""

    mean_x: float
    mean_y: float
    sxx: float
    syy: float
    sxy: float


def paired_series(
    x: Series, y: Series, *, at_least: int, names: tuple[str, str] = ("x", "y")
) -> tuple[list[float], list[float]]:
    """Return x and y as Python floats; a refusal calls them by `names`.

    Raises
    ------
    ValueError
        If either is not accepted by `named_series`, or they differ in length.

    Examples
    --------
    >>> paired_series([1.0, 2.0], [1.1], at_least=1)
    Traceback (most recent call last):
    ValueError: x has 2 values, y has 1: they are no pairs
    """
    first, second = names
    xs, ys = named_series(first, x, at_least=at_least), named_series(second, y, at_least=at_least)
    if len(xs) != len(ys):
        raise ValueError(f"{first} has {len(xs)} values, {second} has {len(ys)}: they are no pairs")
    return xs, ys


def refuse_no_spread(name: str, values: list[float]) -> None:
    """Refuse a series whose values are all the same.

    Raises
    ------
    ValueError
        Naming the value.
    """
    if min(values) == max(values):
        raise ValueError(f"all {len(values)} values of {name} are {values[0]!r}: there is no spread")


def moments(x: list[float], y: list[float], weights: list[float] | None = None) -> Moments:
    """Return means and sums about them; each pair weighs 1 unless `weights` are given.

    Raises
    ------
    ValueError
        If x or y has no spread, or so little that its square is zero.

    Examples
    --------
    >>> moments([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    Moments(mean_x=2.0, mean_y=4.0, sxx=2.0, syy=8.0, sxy=4.0)
    """
    refuse_no_spread("x", x)
    refuse_no_spread("y", y)
    w = [1.0] * len(x) if weights is None else weights
    mean_x, mean_y = _weighted_mean(x, w), _weighted_mean(y, w)
    dx, dy = [value - mean_x for value in x], [value - mean_y for value in y]
    sums = Moments(mean_x, mean_y, _product_sum(w, dx, dx), _product_sum(w, dy, dy), _product_sum(w, dx, dy))
    if sums.sxx == 0 or sums.syy == 0:
        raise ValueError(f"x or y has too little spread: {sums}")
    return sums


def _weighted_mean(x: list[float], weights: list[float]) -> float:
    return math.fsum(value * weight for value, weight in zip(x, weights, strict=True)) / math.fsum(weights)


def _product_sum(a: list[float], b: list[float], c: list[float]) -> float:
    return math.fsum(i * j * k for i, j, k in zip(a, b, c, strict=True))
