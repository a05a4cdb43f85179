"""Measurements of patients as the pathway may use them, and reviews of those that a device may have got wrong.

Facts are what people decide, and the estimate that a review rests on; outcomes are what the fold draws from them.
Nothing here names a patient.
"""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, Person, UtcTime
from streams.messages.readings import PatientMeasured, RegionMeasured
from streams.messages.reasons import ReasonCode
from streams.policy import LeastSignificantChange

# --- reviews -----------------------------------------------------------------------------------------------


class ReviewBasis(StrEnum):
    """Why readings of a device want a physicist's eyes."""

    DRIFT = "drift"
    FAILURE = "failure"
    LATE_FAILURE = "late_failure"
    REPEATED_FIRST_FAILURES = "repeated_first_failures"
    TOO_LATE = "too_late"


class ReviewVerdict(StrEnum):
    """What a physicist decides about the measurements of a review; all but `NONE` reach the record."""

    NONE = "none"
    ANNOTATE = "annotate"
    AMEND = "amend"
    RECALL = "recall"


class SizeAt(msgspec.Struct, frozen=True, array_like=True):
    """How far off a device was at one time, with its 95 % interval where one is known; between times it is a line."""

    at: UtcTime
    size: float
    low: float | None = None
    high: float | None = None


class Onset(msgspec.Struct, frozen=True):
    """Since when a device has drifted: the likeliest time, and every span of time that the data allow (95 %).

    `shape` is ``step`` or ``drift`` (a ramp, then with its slope a day and the 95 % interval). `readings` many readings
    of the chart were looked at; `is_open` says that the data allow an onset before the first of them.
    """

    likeliest: UtcTime
    spans: tuple[tuple[UtcTime, UtcTime], ...]
    shape: str
    readings: int
    slope_per_day: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    is_open: bool = False


class ReviewAssessed(Message, frozen=True, tag="bonewatch.review-assessed.v1"):
    """The estimate of an open review, made from the chart's whole history when its drift signalled.

    `unit` is ``percent``, ``kg`` or ``cm``; `data_digest` the SHA-256 of the readings that it rests on, `method` names
    the estimator.
    """

    review_id: str
    method: str
    onset: Onset
    unit: str
    sizes: tuple[SizeAt, ...]
    data_digest: str


class ReviewDecided(Message, frozen=True, tag="bonewatch.review-decided.v1"):
    """A physicist looked at a review and decided; `decision` is why, in words.

    `unit` and `sizes` are the estimate that the decision rests on, as the physicist saw it.
    """

    phantom_id: str
    decision: str
    decided_by: Person
    review_id: str = ""
    verdict: ReviewVerdict = ReviewVerdict.NONE
    unit: str = ""
    sizes: tuple[SizeAt, ...] = ()


class DecisionWithdrawn(Message, frozen=True, tag="bonewatch.decision-withdrawn.v1"):
    """A physicist took the decision of a review back: everything stands as before it, and the review is open again."""

    review_id: str
    reason: str
    withdrawn_by: Person


class ReviewOpened(Message, frozen=True, tag="bonewatch.review-opened.v1"):
    """What a device measured since `since` wants a physicist's eyes; internal: nothing is published by this.

    It comes again under the same `review_id`, one `revision` higher, when something else tells of the same phantom or
    standard before anybody has decided. `phantom_id` is the phantom or standard that told; `since` None: no
    measurement is in doubt. `modes` are those that the phantom vouches for. `sizes` are in `unit`: percent of BMD, kg
    or cm; those of a drift come with `ReviewAssessed`.
    """

    phantom_id: str
    basis: str
    since: UtcTime | None
    text: str
    review_id: str = ""
    revision: int = 0
    modes: tuple[str, ...] = ()
    unit: str = ""
    sizes: tuple[SizeAt, ...] = ()


class ReviewEnded(Message, frozen=True, tag="bonewatch.review-ended.v1"):
    """What a review is about ended at `until`: a passing reading, a new baseline. It still waits for a decision."""

    review_id: str
    until: UtcTime


class MeasurementsAmended(Message, frozen=True, tag="bonewatch.measurements-amended.v1"):
    """A physicist's decision about what a device measured from `since` to `until` in these modes.

    It is about every validated measurement in that time, also one that arrives later. A later revision under the same
    `review_id` replaces it; one that `is_withdrawn` takes it back.
    """

    review_id: str
    revision: int
    verdict: ReviewVerdict
    since: UtcTime
    until: UtcTime
    modes: tuple[str, ...]
    unit: str
    sizes: tuple[SizeAt, ...]
    text: str
    decided_by: Person
    decided_at: UtcTime
    is_withdrawn: bool = False


# --- measurements ------------------------------------------------------------------------------------------


class MeasurementReleased(Message, frozen=True, tag="bonewatch.measurement-released.v1"):
    """A physicist released a measurement that was withheld, and said why; `measured` is what was measured."""

    subject_event_id: str
    measured: PatientMeasured
    reason: str
    released_by: Person


class QcStanding(msgspec.Struct, frozen=True):
    """The quality control behind a measurement: a phantom (or standard), its epoch, and its last pass before it.

    `event_id` is the reading's that passed, where it is still known to the fold. `is_comparable` is false while a step
    to this epoch is not reviewed: values across it are not to be compared.
    """

    phantom_id: str
    epoch: int | None
    passed_at: UtcTime | None
    event_id: str = ""
    is_comparable: bool = True


class CrossCalibrated(msgspec.Struct, frozen=True):
    """A region's BMD as another scanner would read it: for serial comparison only, never for T-score or FRAX."""

    region: str
    bmd_g_cm2: float
    standard_error_g_cm2: float
    as_device: str
    study_id: str
    version: int


class MeasurementValidated(Message, frozen=True, tag="bonewatch.measurement-validated.v1"):
    """A measurement by a device that was in order (or overridden, and marked) when it was made.

    Values are as the device gave them; T-score and FRAX take these, never a cross-calibrated one. `issues` are what
    whoever reports must know of the device then; `changes` the least significant changes that apply (none: no claim of
    significance). `decisions` are those of reviews that had been decided when it arrived. `released_by` is set where a
    person released it: a later revision under the same `subject_event_id`.
    """

    subject_event_id: str
    revision: int
    measured_at: UtcTime
    accession_number: str
    acquisition_id: str
    kind: str
    make: str
    model: str
    serial: str
    mode: str = ""
    pseudonym: str = ""
    software: str = ""
    analysed_at: UtcTime | None = None
    regions: tuple[RegionMeasured, ...] = ()
    weight_kg: float | None = None
    height_cm: float | None = None
    is_overridden: bool = False
    issues: tuple[ReasonCode, ...] = ()
    qc: tuple[QcStanding, ...] = ()
    cross_calibrated: tuple[CrossCalibrated, ...] = ()
    changes: tuple[LeastSignificantChange, ...] = ()
    decisions: tuple[str, ...] = ()
    gate_since: UtcTime | None = None
    released_by: Person | None = None
    reason: str = ""


class MeasurementWithheld(Message, frozen=True, tag="bonewatch.measurement-withheld.v1"):
    """A measurement that the pathway may not use, and why; a person may release it."""

    subject_event_id: str
    revision: int
    measured_at: UtcTime
    accession_number: str
    acquisition_id: str
    reasons: tuple[ReasonCode, ...]
    mode: str = ""
    pseudonym: str = ""
