"""What travels between the workers and the comparison of scanners, and what that comes to.

Neither facts of a device nor outcomes of its fold: a site's decisions never depend on them.
"""

from datetime import date

import msgspec

from streams.messages import Message, UtcTime


class CirculatingPhantomRead(Message, frozen=True, tag="bonewatch.circulating-phantom-read.v1"):
    """One region of a phantom that visits several scanners was read by one of them.

    `phantom` is its serial number where the site knows it, else the id under which the site files it.
    """

    event_id: str
    device: str
    device_seq: int
    make: str
    model: str
    phantom: str
    region: str
    bmd_g_cm2: float
    measured_at: UtcTime
    acquisition_id: str
    software: str = ""


class ScannerRead(Message, frozen=True, tag="bonewatch.scanner-read.v1"):
    """A scanner's own phantom was read and charted; `sigma_g_cm2` is that of the chart."""

    event_id: str
    device: str
    device_seq: int
    make: str
    model: str
    phantom: str
    bmd_g_cm2: float
    sigma_g_cm2: float
    measured_at: UtcTime
    software: str = ""


Read = CirculatingPhantomRead | ScannerRead


class Estimate(msgspec.Struct, frozen=True, array_like=True):
    """A number and its confidence interval; no interval where the data are too few for one."""

    value: float
    lower: float | None = None
    upper: float | None = None


class Level(msgspec.Struct, frozen=True):
    """One region of a circulating phantom: the consensus of the scanners, and its course, in g/cm2."""

    region: str
    consensus_g_cm2: float
    trend_g_cm2_per_year: Estimate | None = None
    visit_sd_g_cm2: float | None = None


class ComparedScanner(msgspec.Struct, frozen=True):
    """One scanner against the consensus: it reads ``intercept + slope * consensus``.

    `differences_percent` are of the levels, in their order; none where the consensus is not above zero.
    """

    device: str
    make: str
    model: str
    visits: int
    first_visit: date
    last_visit: date
    differences_percent: tuple[Estimate | None, ...]
    slope: Estimate | None = None
    intercept_g_cm2: Estimate | None = None
    residual_sd_g_cm2: float | None = None


class CrossCalibrationEstimated(Message, frozen=True, tag="bonewatch.cross-calibration-estimated.v1"):
    """Scanners were compared by a phantom that visited them, by `readings` of it; the last one of a phantom stands.

    An estimate for a physicist to accept, never in itself a correction of anybody's value.
    """

    phantom: str
    readings: int
    levels: tuple[Level, ...]
    degrees_of_freedom: int
    compared_at: date
    scanners: tuple[ComparedScanner, ...]
    visits_left_out: int = 0


class ScannerStep(msgspec.Struct, frozen=True):
    """What one scanner's phantom changed by, in percent of its mean before."""

    device: str
    since: date
    percent: float
    standard_error_percent: float
    n_before: int
    n_after: int


class SharedStepEstimated(Message, frozen=True, tag="bonewatch.shared-step-estimated.v1"):
    """Scanners of one make changed together, or were shown not to; the last one of a make and version stands.

    `software` is the version that they changed to, each at its own time; empty for a step at one time, found by the
    group's chart. `shared` says whether it is beyond what scanners do each on their own.
    """

    make: str
    software: str
    since: date
    readings: int
    percent: Estimate
    between_sd_percent: float
    shared: bool
    scanners: tuple[ScannerStep, ...]


Comparison = CrossCalibrationEstimated | SharedStepEstimated


def group_of(read: Read) -> str:
    """Return what is compared together: a phantom, or scanners of one make."""
    return read.phantom if isinstance(read, CirculatingPhantomRead) else read.make
