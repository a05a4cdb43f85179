"""Reads of measurements, which the database serves: where it is away that is told, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from litestar.exceptions import ServiceUnavailableException

from dashboards.context import Console
from streams.measurements import Measurements, MeasurementsAwayError


@contextmanager
def reading(console: Console) -> Iterator[Measurements]:
    """Give what reads, or answer 503 with what to do."""
    if console.measurements is None:
        raise ServiceUnavailableException(
            "This site keeps no database, from which measurements are read: set [database] enabled = true"
        )
    try:
        yield console.measurements
    except MeasurementsAwayError as error:
        raise ServiceUnavailableException(f"Measurements cannot be read now: {error}") from error
