"""Rows of the tables of quality control: what was judged, by which baseline or study, and what a physicist decided."""

from datetime import datetime
from typing import NamedTuple


class CheckRow(NamedTuple):
    """A scale or stadiometer was checked with a standard; kg or cm."""

    device: str
    device_seq: int
    recorded_at: datetime
    subject_event_id: str
    measured_at: datetime
    standard_id: str
    nominal: float
    read: float
    error: float
    verdict: str
    note: str
    performed_by: str
    source: str


class QcRow(NamedTuple):
    """One revision of a judged reading; the chart's place is absent where there is no baseline or number."""

    device: str
    subject_event_id: str
    measured_at: datetime
    revision: int
    device_seq: int
    recorded_at: datetime
    outcome_id: str
    role: str
    phantom_id: str
    region: str
    verdict: str
    plausible: bool
    note: str
    bmd_g_cm2: float | None
    epoch: int | None = None
    target_g_cm2: float | None = None
    sigma_g_cm2: float | None = None
    lower_g_cm2: float | None = None
    upper_g_cm2: float | None = None
    deviation_percent: float | None = None
    cusum_upper_sigmas: float | None = None
    cusum_lower_sigmas: float | None = None
    cusum_h_sigmas: float | None = None
    signal: bool | None = None
    violated: list[str] | None = None


class BaselineRow(NamedTuple):
    """An accepted baseline: an epoch of one phantom's chart."""

    device: str
    device_seq: int
    recorded_at: datetime
    event_id: str
    phantom_id: str
    epoch: int
    n: int
    mean_g_cm2: float
    sd_g_cm2: float
    sigma_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    established: bool
    accepted_by: str
    accepted_by_role: str
    reason: str
    step_percent: float | None


class ReviewRow(NamedTuple):
    """Something wants a physicist's eyes; `place` is the outcome's among those of its event, `sizes` are JSON."""

    device: str
    device_seq: int
    outcome_id: str
    recorded_at: datetime
    phantom_id: str
    basis: str
    since: datetime | None
    text: str
    review_id: str = ""
    revision: int = 0
    place: int = 0
    modes: list[str] = []  # noqa: RUF012 - a row is never changed
    unit: str = ""
    sizes: str = "[]"


class DecisionRow(NamedTuple):
    """A physicist decided on a signal, or released a chart after a failure."""

    device: str
    device_seq: int
    recorded_at: datetime
    phantom_id: str
    is_release: bool
    decision: str
    decided_by: str
    decided_by_role: str
    review_id: str = ""
    verdict: str = ""
    unit: str = ""
    sizes: str = "[]"


class StepReviewRow(NamedTuple):
    """A physicist decided what a step between two epochs means."""

    device: str
    device_seq: int
    recorded_at: datetime
    phantom_id: str
    epoch: int
    is_comparable: bool
    decision: str
    decided_by: str
    decided_by_role: str


class CrossCalibrationRow(NamedTuple):
    """An accepted version of a cross-calibration."""

    device: str
    device_seq: int
    recorded_at: datetime
    study_id: str
    version: int
    kind: str
    other_device: str
    region: str
    method: str
    slope: float
    intercept_g_cm2: float
    standard_error_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    n: int
    data_digest: str
    valid_from: datetime
    valid_until: datetime | None
    approval_reference: str
    accepted_by: str
    accepted_by_role: str
    reason: str


class WithdrawalRow(NamedTuple):
    """A cross-calibration was withdrawn."""

    device: str
    device_seq: int
    recorded_at: datetime
    study_id: str
    reason: str
    withdrawn_by: str
    withdrawn_by_role: str


QcTableRow = (
    CheckRow | QcRow | BaselineRow | ReviewRow | DecisionRow | StepReviewRow | CrossCalibrationRow | WithdrawalRow
)
