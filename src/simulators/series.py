"""Bone densities that a virtual scanner would measure: plainly synthetic, the same for the same seed."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

VERTEBRAE: Final = {"L1": 0.955, "L2": 0.985, "L3": 1.015, "L4": 1.045}
"""Density of each vertebra of the synthetic spine phantom, relative to L1-L4."""


class BmdSeries(msgspec.Struct, frozen=True):
    """Densities of one phantom on one scanner, by day and scan of the day.

    Every value can be asked for on its own, in any order: it depends on seed, day and scan alone.

    Parameters
    ----------
    target_g_cm2
        What the scanner reads on average before anything goes wrong.
    cv_percent
        Precision: SD of repeated scans, percent of the target.
    drift_percent_per_day
        Slope from the day `drift_from_day` on.
    step_percent
        Shift from the day `step_at_day` on.
    seed
        Another seed, another series.
    """

    target_g_cm2: float = 1.0
    cv_percent: float = 0.4
    drift_percent_per_day: float = 0.0
    drift_from_day: int = 0
    step_percent: float = 0.0
    step_at_day: int = 0
    seed: int = 0

    def bmd_g_cm2(self, day: int, scan: int = 0) -> float:
        """Return the density of one scan, rounded as a console prints it."""
        drifted = self.drift_percent_per_day * max(0, day - self.drift_from_day)
        stepped = self.step_percent if day >= self.step_at_day else 0.0
        noise = float(np.random.default_rng((self.seed, day, scan)).normal()) * self.cv_percent
        return round(self.target_g_cm2 * (1.0 + (drifted + stepped + noise) / 100.0), 4)

    def days(self, count: int) -> Iterator[float]:
        """Iterate over the first scans of the days 0, 1, ... `count` - 1."""
        return (self.bmd_g_cm2(day) for day in range(count))


def spine_readings(total_g_cm2: float) -> dict[str, float]:
    """Return the regions of a spine phantom scan whose L1-L4 is `total_g_cm2`."""
    vertebrae = {name: round(total_g_cm2 * share, 4) for name, share in VERTEBRAE.items()}
    return {**vertebrae, "L1-L4": total_g_cm2}
