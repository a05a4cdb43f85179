"""Comparisons of scanners as rows of the database: the last one stands."""

from typing import Final

import psycopg

from storage.connection import Db
from storage.errors import ContentRefusedError, DatabaseAwayError
from storage.texts import cleaned
from storage.writing import REFUSED
from streams.fleet.messages import (
    Comparison,
    CrossCalibrationEstimated,
    Estimate,
    SharedStepEstimated,
)

_NONE: Final = (None, None, None)


def keep(db: Db, comparison: Comparison) -> None:
    """Put a comparison in the place of the one that stands.

    Raises
    ------
    ContentRefusedError
        No table takes it.
    DatabaseAwayError
        Nothing of it stands, or (a commit without an answer) all of it; keep the same again.
    """
    try:
        with db.transaction():
            if isinstance(comparison, CrossCalibrationEstimated):
                _keep_cross_calibration(db, comparison)
            else:
                _keep_shared_step(db, comparison)
    except (*REFUSED, ValueError) as error:  # of PostgreSQL, or a scanner without a difference for each level
        raise ContentRefusedError(f"no table takes it: {type(error).__name__}") from error
    except psycopg.Error as error:
        raise DatabaseAwayError(f"the database gave up: {type(error).__name__}") from error


def _keep_cross_calibration(db: Db, said: CrossCalibrationEstimated) -> None:
    db.execute("DELETE FROM cross_calibration_estimates WHERE phantom = %s", _plain((said.phantom,)))
    for scanner in said.scanners:
        row = (
            *(said.phantom, scanner.device, said.readings, said.compared_at, said.degrees_of_freedom),
            *(scanner.make, scanner.model, scanner.visits, scanner.first_visit, scanner.last_visit),
            *_parts(scanner.slope),
            *_parts(scanner.intercept_g_cm2),
            scanner.residual_sd_g_cm2,
        )
        _insert(db, "cross_calibration_estimates", row)
        for level, difference in zip(said.levels, scanner.differences_percent, strict=True):
            trend = level.trend_g_cm2_per_year.value if level.trend_g_cm2_per_year else None
            place = (said.phantom, scanner.device, level.region)
            known = (level.consensus_g_cm2, trend, level.visit_sd_g_cm2)
            _insert(db, "cross_calibration_levels", (*place, *known, *_parts(difference)))


def _keep_shared_step(db: Db, said: SharedStepEstimated) -> None:
    place = (said.make, said.software)
    db.execute("DELETE FROM shared_step_estimates WHERE make = %s AND software = %s", _plain(place))
    row = (*place, said.readings, said.since, *_parts(said.percent), said.between_sd_percent, said.shared)
    _insert(db, "shared_step_estimates", row)
    for step in said.scanners:
        size = (step.percent, step.standard_error_percent, step.n_before, step.n_after)
        _insert(db, "shared_step_scanners", (*place, step.device, step.since, *size))


def _parts(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return _NONE if estimate is None else (estimate.value, estimate.lower, estimate.upper)


def _insert(db: Db, table: str, row: tuple[object, ...]) -> None:
    places = ", ".join(["%s"] * len(row))
    db.execute(f"INSERT INTO {table} VALUES ({places})".encode(), _plain(row))  # noqa: S608 - a table of ours


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Return the values without NUL in their texts."""
    return tuple(cleaned(value) if isinstance(value, str) else value for value in row)
