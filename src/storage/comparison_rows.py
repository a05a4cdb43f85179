"""Comparisons of scanners as rows of the database: the higher revision stands."""

from typing import Final

import psycopg

from storage.connection import Db
from storage.errors import DatabaseAwayError
from streams.fleet.messages import (
    Comparison,
    CrossCalibrationEstimated,
    Estimate,
    SharedStepEstimated,
)

_NONE: Final = (None, None, None)


def keep(db: Db, comparison: Comparison) -> bool:
    """Put a comparison in the place of the one that stands; False where a higher revision stands already.

    Raises
    ------
    DatabaseAwayError
        Nothing of it stands, or (a commit without an answer) all of it; keep the same again.
    """
    try:
        with db.transaction():
            if isinstance(comparison, CrossCalibrationEstimated):
                return _keep_cross_calibration(db, comparison)
            return _keep_shared_step(db, comparison)
    except psycopg.Error as error:
        raise DatabaseAwayError(f"the database gave up: {type(error).__name__}") from error


def _keep_cross_calibration(db: Db, said: CrossCalibrationEstimated) -> bool:
    stands = db.execute(
        "SELECT max(revision) FROM cross_calibration_estimates WHERE phantom = %s", (said.phantom,)
    ).fetchone()
    if stands is not None and stands[0] is not None and stands[0] > said.revision:
        return False
    db.execute("DELETE FROM cross_calibration_estimates WHERE phantom = %s", (said.phantom,))
    for scanner in said.scanners:
        row = (
            *(said.phantom, scanner.device, said.revision, said.compared_at, said.degrees_of_freedom),
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
    return True


def _keep_shared_step(db: Db, said: SharedStepEstimated) -> bool:
    place = (said.make, said.software)
    stands = db.execute(
        "SELECT revision FROM shared_step_estimates WHERE make = %s AND software = %s", place
    ).fetchone()
    if stands is not None and stands[0] > said.revision:
        return False
    db.execute("DELETE FROM shared_step_estimates WHERE make = %s AND software = %s", place)
    row = (*place, said.revision, said.since, *_parts(said.percent), said.between_sd_percent, said.shared)
    _insert(db, "shared_step_estimates", row)
    for step in said.scanners:
        size = (step.percent, step.standard_error_percent, step.n_before, step.n_after)
        _insert(db, "shared_step_scanners", (*place, step.device, step.since, *size))
    return True


def _parts(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return _NONE if estimate is None else (estimate.value, estimate.lower, estimate.upper)


def _insert(db: Db, table: str, row: tuple[object, ...]) -> None:
    places = ", ".join(["%s"] * len(row))
    db.execute(f"INSERT INTO {table} VALUES ({places})".encode(), row)  # noqa: S608 - a table of ours
