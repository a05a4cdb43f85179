"""The port through which measurements and reviews are read; a database serves it.

Plain values for pages, programs and FHIR. What is linked to patients (the request's number, the pseudonym) is here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from streams.messages import QcStanding, SizeAt
from streams.policy import LeastSignificantChange
from streams.visits import LastVisit, PersonQuery


class MeasurementsAwayError(Exception):
    """The database cannot be read now; what it says is for people and holds no value."""


class RawRegion(msgspec.Struct, frozen=True):
    """A region as the device gave it; T-score and FRAX take this value."""

    region: str
    laterality: str
    bmd_g_cm2: float
    bmc_g: float | None = None
    area_cm2: float | None = None
    t_score: float | None = None
    z_score: float | None = None


class SerialValue(msgspec.Struct, frozen=True):
    """A region as the scanner `as_device` would read it: for serial comparison only, never for T-score or FRAX."""

    region: str
    bmd_g_cm2: float
    standard_error_g_cm2: float
    as_device: str
    study_id: str
    version: int


class Amendment(msgspec.Struct, frozen=True):
    """A physicist's decision in force about a measurement; sizes in `unit` at the time of the measurement."""

    review_id: str
    revision: int
    verdict: str
    text: str
    unit: str
    size: float | None
    size_low: float | None
    size_high: float | None
    decided_by: str
    decided_at: datetime


class Measurement(msgspec.Struct, frozen=True):
    """A measurement as it stands.

    `status` is ``validated``, ``released``, ``withheld`` (then with `reason_codes` and without values), or
    ``superseded`` where a newer analysis of the same acquisition is there; `standing` is what it was judged.
    """

    event_id: str
    device: str
    measured_at: datetime
    revision: int
    recorded_at: datetime
    status: str
    standing: str
    accession_number: str
    acquisition_id: str
    pseudonym: str
    mode: str
    anatomy: str
    analysed_at: datetime | None
    reason_codes: tuple[str, ...]
    kind: str
    make: str
    model: str
    serial: str
    software: str
    weight_kg: float | None
    height_cm: float | None
    is_overridden: bool
    issue_codes: tuple[str, ...]
    qc: tuple[QcStanding, ...]
    changes: tuple[LeastSignificantChange, ...]
    gate_since: datetime | None
    released_by: str
    release_reason: str
    regions: tuple[RawRegion, ...] = ()
    cross_calibrated: tuple[SerialValue, ...] = ()
    amendments: tuple[Amendment, ...] = ()


def serial_values(one: Measurement) -> tuple[SerialValue, ...]:
    """Return the values for serial comparison of regions that stand once: a study names no side of two."""
    names = [region.region for region in one.regions]
    return tuple(value for value in one.cross_calibrated if names.count(value.region) == 1)


class MeasurementQuery(msgspec.Struct, frozen=True):
    """Which measurements are asked for; `device` is its key with the site, times include both ends."""

    accession_number: str | None = None
    pseudonym: str | None = None
    device: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None


Place = tuple[datetime, str]
"""Time and event (or review) of the last row of a page: the next one begins behind it."""


class GateThen(msgspec.Struct, frozen=True):
    """The gate of the measurement's mode as the record has it; it ends when it changed, None while it stands."""

    status: str
    starts_at: datetime
    ends_at: datetime | None
    reason_codes: tuple[str, ...]


class BaselineThen(msgspec.Struct, frozen=True):
    """The baseline of a phantom that stood behind a measurement."""

    phantom_id: str
    epoch: int
    accepted_at: datetime
    mean_g_cm2: float
    sigma_g_cm2: float
    n: int
    event_id: str


class StudyThen(msgspec.Struct, frozen=True):
    """The cross-calibration that a value for serial comparison was made by."""

    study_id: str
    version: int
    kind: str
    as_device: str
    region: str
    method: str
    slope: float
    intercept_g_cm2: float
    standard_error_g_cm2: float
    data_digest: str
    accepted_by: str


class CheckThen(msgspec.Struct, frozen=True):
    """The last passing check of a scale (kg) or stadiometer (cm) up to a measurement."""

    event_id: str
    standard_id: str
    measured_at: datetime
    nominal: float
    read: float
    verdict: str


class Provenance(msgspec.Struct, frozen=True):
    """What a measurement rests on."""

    measurement: Measurement
    gate: GateThen | None
    baselines: tuple[BaselineThen, ...]
    checks: tuple[CheckThen, ...]
    studies: tuple[StudyThen, ...]


class Review(msgspec.Struct, frozen=True):
    """A review; `sizes` are in `unit`, `verdict` is empty while it waits. `measurements` lie in it now."""

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
    sizes: tuple[SizeAt, ...]
    method: str | None
    likeliest: datetime | None
    spans: tuple[tuple[datetime, datetime], ...]
    shape: str | None
    slope_per_day: float | None
    slope_low: float | None
    slope_high: float | None
    onset_is_open: bool | None
    verdict: str
    decision: str
    decided_by: str
    decided_at: datetime | None
    is_open: bool
    measurements: int


class ReviewedMeasurement(msgspec.Struct, frozen=True):
    """A measurement that lies in a review, and how far off the device was then by the review's estimate."""

    measurement: Measurement
    unit: str
    size: float | None
    size_low: float | None
    size_high: float | None


class Annotation(msgspec.Struct, frozen=True):
    """What a rule says of a measurement and the patient's earlier ones; no fact, and not in the log.

    `version` is the rule's: another rule is another version. `made_from` are the events of the measurements that it was
    made from, `value` and `limit` in `unit`; `source` says where the limit comes from.
    """

    kind: str
    version: int
    text: str
    made_from: tuple[str, ...]
    region: str = ""
    laterality: str = ""
    device: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    source: str = ""
    is_beyond: bool | None = None
    is_cross_calibrated: bool = False
    codes: tuple[str, ...] = ()


class Measurements(Protocol):
    """What can be read of measurements and reviews.

    Every method raises `MeasurementsAwayError` where the database cannot be read now.
    """

    def page(self, query: MeasurementQuery, after: Place | None, limit: int) -> Sequence[Measurement]:
        """Return up to `limit` measurements by (`measured_at`, `event_id`) behind a place."""

    def measurement(self, event_id: str) -> Measurement | None:
        """Return one measurement, or None."""

    def provenance(self, event_id: str) -> Provenance | None:
        """Return what a measurement rests on, or None."""

    def annotations(self, event_id: str) -> Sequence[Annotation] | None:
        """Return what the rules say of a measurement; None where there is no such measurement."""

    def last_visit(self, person: PersonQuery) -> LastVisit | None:
        """Return somebody's last visit, or None where nothing was measured; raise `SeveralPeopleError`."""

    def reviews(self, *, waiting: bool, after: Place | None, limit: int) -> Sequence[Review]:
        """Return up to `limit` reviews, those that wait or all, by (`opened_at`, `review_id`) behind a place."""

    def review(self, review_id: str) -> Review | None:
        """Return one review, or None."""

    def review_page(self, review_id: str, after: Place | None, limit: int) -> Sequence[ReviewedMeasurement]:
        """Return up to `limit` measurements that lie in a review, as `page` does."""
