"""Observations in sigmas from a centre line: what may be a centre line, and how far an observation is from it."""

from math import isfinite

from qa_models.series import finite_number, positive_number


def sigmas_from_target(x: float, target: float, sigma: float, place: str) -> float:
    """Return z of a finite x; a ValueError naming `place` if that is too far away for a float."""
    z = (x - target) / sigma
    if not isfinite(z):
        raise ValueError(f"{place} = {x!r} is no finite number of sigmas from {target!r}")
    return z


def refuse_centre(target: float, sigma: float) -> None:
    """Raise a ValueError unless the target is a finite number and sigma one above zero."""
    finite_number(target, "target")
    positive_number(sigma, "sigma")
