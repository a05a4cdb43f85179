"""The JSON of measurements and reviews: what is raw, what is for serial comparison only, and what was decided."""

from datetime import datetime
from typing import Final

import msgspec

from streams.measurements import (
    Amendment,
    Measurement,
    RawRegion,
    Review,
    ReviewedMeasurement,
    SerialValue,
    serial_values,
)
from streams.messages import QcStanding, SizeAt

RAW_IS_FOR: Final = "T-score, FRAX and reporting: values as the device gave them, never cross-calibrated"
SERIAL_IS_FOR: Final = "serial comparison with the named scanner only; never for T-score or FRAX"
FEMORAL_NECK: Final = frozenset({"neck", "femoral neck"})


class RawOut(msgspec.Struct, frozen=True, kw_only=True):
    """Values as the device gave them, with its make and model; FRAX takes the femoral neck's BMD of these."""

    is_for: str
    make: str
    model: str
    regions: tuple[RawRegion, ...]
    femoral_neck: tuple[RawRegion, ...]
    weight_kg: float | None
    height_cm: float | None


class SerialOut(msgspec.Struct, frozen=True):
    """Values as another scanner would read them."""

    is_for: str
    values: tuple[SerialValue, ...]


class ChangeOut(msgspec.Struct, frozen=True):
    """A least significant change that applies, and where it comes from."""

    region: str
    value: float
    unit: str
    source: str
    population: str


class MeasurementOut(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement as it stands; without a least significant change there is no claim of significance.

    `status` is ``validated``, ``released``, ``withheld`` (with `withheld_for`, without values) or ``superseded``.
    """

    event_id: str
    revision: int
    status: str
    standing: str
    accession_number: str
    pseudonym: str
    device: str
    kind: str
    serial: str
    software: str
    mode: str
    anatomy: str
    acquisition_id: str
    measured_at: datetime
    analysed_at: datetime | None
    recorded_at: datetime
    withheld_for: tuple[str, ...]
    issues: tuple[str, ...]
    is_overridden: bool
    raw: RawOut
    serial_comparison: SerialOut
    qc: tuple[QcStanding, ...]
    least_significant_changes: list[ChangeOut]
    amendments: tuple[Amendment, ...]
    released_by: str
    release_reason: str


class SizeOut(msgspec.Struct, frozen=True):
    """How far off a device was at a time, with the 95 % interval where one is known."""

    at: datetime
    size: float
    low: float | None
    high: float | None


class SpanOut(msgspec.Struct, frozen=True):
    """A span of time."""

    since: datetime
    until: datetime


class OnsetOut(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a device has drifted: the likeliest time and all that the data allow (95 %)."""

    method: str
    likeliest: datetime
    spans: list[SpanOut]
    shape: str
    slope_per_day: float | None
    slope_low: float | None
    slope_high: float | None
    is_open: bool


class ReviewOut(msgspec.Struct, frozen=True, kw_only=True):
    """A review; `verdict` is empty while it waits. `measurements` lie in it now."""

    review_id: str
    device: str
    phantom_id: str
    bases: tuple[str, ...]
    text: str
    opened_at: datetime
    since: datetime | None
    until: datetime | None
    modes: tuple[str, ...]
    unit: str
    sizes: list[SizeOut]
    onset: OnsetOut | None
    is_open: bool
    verdict: str
    decision: str
    decided_by: str
    decided_at: datetime | None
    measurements: int


class ReviewedOut(msgspec.Struct, frozen=True):
    """A measurement that lies in a review, and how far off the device was then by the review's estimate."""

    measurement: MeasurementOut
    unit: str
    size: float | None
    size_low: float | None
    size_high: float | None


def measurement_out(one: Measurement) -> MeasurementOut:
    """Return a measurement's JSON."""
    taken = set(MeasurementOut.__struct_fields__) & set(one.__struct_fields__)
    is_hip = one.anatomy in {"hip", ""}
    return MeasurementOut(
        **{name: getattr(one, name) for name in taken},
        withheld_for=one.reason_codes,
        issues=one.issue_codes,
        raw=RawOut(
            is_for=RAW_IS_FOR,
            make=one.make,
            model=one.model,
            regions=one.regions,
            femoral_neck=tuple(r for r in one.regions if is_hip and r.region.lower() in FEMORAL_NECK),
            weight_kg=one.weight_kg,
            height_cm=one.height_cm,
        ),
        serial_comparison=SerialOut(SERIAL_IS_FOR, serial_values(one)),
        least_significant_changes=[ChangeOut(c.region, c.value, c.unit, c.source, c.population) for c in one.changes],
    )


def review_out(one: Review) -> ReviewOut:
    """Return a review's JSON."""
    taken = (set(ReviewOut.__struct_fields__) & set(one.__struct_fields__)) - {"sizes"}
    return ReviewOut(
        **{name: getattr(one, name) for name in taken},
        sizes=[_size_out(size) for size in one.sizes],
        onset=_onset_out(one),
    )


def reviewed_out(one: ReviewedMeasurement) -> ReviewedOut:
    """Return the JSON of a measurement in a review."""
    return ReviewedOut(measurement_out(one.measurement), one.unit, one.size, one.size_low, one.size_high)


def _size_out(size: SizeAt) -> SizeOut:
    return SizeOut(size.at, size.size, size.low, size.high)


def _onset_out(one: Review) -> OnsetOut | None:
    if one.method is None or one.likeliest is None:
        return None
    return OnsetOut(
        method=one.method,
        likeliest=one.likeliest,
        spans=[SpanOut(since, until) for since, until in one.spans],
        shape=one.shape or "",
        slope_per_day=one.slope_per_day,
        slope_low=one.slope_low,
        slope_high=one.slope_high,
        is_open=bool(one.onset_is_open),
    )
