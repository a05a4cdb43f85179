"""Rows of measurements of patients, and of the reviews of those that a device may have got wrong."""

from datetime import datetime
from typing import NamedTuple


class MeasurementRow(NamedTuple):
    """One revision of a measurement; of one that is withheld no value stands here. `qc` and `changes` are JSON."""

    device: str
    subject_event_id: str
    measured_at: datetime
    revision: int
    device_seq: int
    recorded_at: datetime
    outcome_id: str
    status: str
    accession_number: str
    acquisition_id: str
    pseudonym: str
    mode: str
    anatomy: str
    analysed_at: datetime | None
    reason_codes: list[str]
    kind: str = ""
    make: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""
    weight_kg: float | None = None
    height_cm: float | None = None
    is_overridden: bool = False
    issue_codes: list[str] = []  # noqa: RUF012 - a row is never changed
    qc: str = "[]"
    changes: str = "[]"
    decisions: list[str] = []  # noqa: RUF012 - as above
    gate_since: datetime | None = None
    released_by: str = ""
    released_by_role: str = ""
    reason: str = ""


class ValueRow(NamedTuple):
    """A region of one revision of a measurement, as the device gave it; `place` is its place there."""

    device: str
    subject_event_id: str
    measured_at: datetime
    revision: int
    place: int
    region: str
    laterality: str
    bmd_g_cm2: float
    bmc_g: float | None
    area_cm2: float | None
    t_score: float | None
    z_score: float | None


class CrossCalibratedRow(NamedTuple):
    """A region's BMD as another scanner would read it: for serial comparison only."""

    device: str
    subject_event_id: str
    measured_at: datetime
    revision: int
    place: int
    region: str
    bmd_g_cm2: float
    standard_error_g_cm2: float
    as_device: str
    study_id: str
    version: int


class ReviewEndRow(NamedTuple):
    """What a review is about ended at `until`; `place` is the outcome's among those of its event."""

    device: str
    device_seq: int
    place: int
    recorded_at: datetime
    review_id: str
    until: datetime


class AssessmentRow(NamedTuple):
    """The estimate of a review; `begins` is the earliest onset that the data allow, `spans` and `sizes` are JSON."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    review_id: str
    method: str
    begins: datetime
    likeliest: datetime
    spans: str
    shape: str
    readings: int
    slope_per_day: float | None
    slope_low: float | None
    slope_high: float | None
    is_open: bool
    unit: str
    sizes: str
    data_digest: str


class DecisionWithdrawnRow(NamedTuple):
    """The decision of a review was taken back."""

    device: str
    device_seq: int
    recorded_at: datetime
    review_id: str
    reason: str
    withdrawn_by: str
    withdrawn_by_role: str


class AmendmentRow(NamedTuple):
    """What was decided about the measurements of a span of time; the highest revision of a review stands."""

    device: str
    review_id: str
    revision: int
    device_seq: int
    recorded_at: datetime
    outcome_id: str
    verdict: str
    since: datetime
    until: datetime
    modes: list[str]
    unit: str
    sizes: str
    text: str
    decided_by: str
    decided_by_role: str
    decided_at: datetime
    is_withdrawn: bool


MeasurementTableRow = (
    MeasurementRow | ValueRow | CrossCalibratedRow | ReviewEndRow | AssessmentRow | DecisionWithdrawnRow | AmendmentRow
)
