"""Outcomes: what the fold draws from facts."""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, UtcTime
from streams.messages.measurements import (
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    ReviewEnded,
    ReviewOpened,
)
from streams.messages.reasons import Reason, ReasonCode
from streams.policy import Enforcement, PhantomRole


class Verdict(StrEnum):
    """What one quality reading says; only the two passes ever open a gate."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    PASS_WITH_NOTE = "pass_with_note"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    FAIL_CONFIRMED = "fail_confirmed"
    WRONG_PHANTOM = "wrong_phantom"
    IMPLAUSIBLE = "implausible"
    NO_BASELINE = "no_baseline"
    CLOCK_SUSPECT = "clock_suspect"
    TOO_LATE = "too_late"
    REANALYSIS = "reanalysis"
    HISTORY = "history"

    @property
    def passed(self) -> bool:
        """Whether this verdict is a pass."""
        return self in {Verdict.PASS, Verdict.PASS_WITH_NOTE}


class ChartPoint(msgspec.Struct, frozen=True, array_like=True):
    """Where a reading stands on its control chart; BMD in g/cm2, CUSUM sums in sigmas.

    `violated` are the run rules that this very reading violates, `signal` says whether CUSUM or rules signal.
    """

    epoch: int
    target: float
    sigma: float
    lower: float
    upper: float
    deviation_percent: float
    cusum_upper: float
    cusum_lower: float
    cusum_h: float
    signal: bool
    violated: tuple[str, ...] = ()


class QcJudged(Message, frozen=True, tag="bonewatch.qc-judged.v1"):
    """A quality reading was judged; a later revision of the same subject replaces it.

    `plausible` is false where the value cannot be this phantom's, whatever else the verdict says.
    """

    subject_event_id: str
    revision: int
    role: PhantomRole
    phantom_id: str
    region: str
    measured_at: UtcTime
    verdict: Verdict
    bmd_g_cm2: float | None = None
    chart: ChartPoint | None = None
    note: str = ""
    plausible: bool = True


class CheckVerdict(StrEnum):
    """What a check of a scale or stadiometer comes to; a warning is within what is permitted, but only just."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    NOT_JUDGED = "not_judged"


class CheckJudged(Message, frozen=True, tag="bonewatch.check-judged.v1"):
    """A check of a scale (kg) or stadiometer (cm) was judged: reading less nominal value, against what is permitted.

    `note` says why a check could not be judged, or how it stands with its limits.
    """

    subject_event_id: str
    standard_id: str
    nominal: float
    read: float
    measured_at: UtcTime
    verdict: CheckVerdict
    error: float
    note: str = ""


class GateStatus(StrEnum):
    """Whether patients may be scanned."""

    OPEN = "open"
    HELD = "held"
    OVERRIDDEN = "overridden"


class GateChanged(Message, frozen=True, tag="bonewatch.gate-changed.v1"):
    """The gate of one mode of a device is now this; past `valid_until` it is held, whoever asks."""

    mode: str
    status: GateStatus
    since: UtcTime
    valid_until: UtcTime | None
    reasons: tuple[Reason, ...]
    overridden_until: UtcTime | None = None
    overridden_by: str = ""


class BypassEvidence(StrEnum):
    """What told that a patient was scanned."""

    SCAN_STARTED = "scan_started"
    MEASURED = "measured"
    OBJECT = "object"


class BypassDetected(Message, frozen=True, tag="bonewatch.bypass-detected.v1"):
    """A patient was scanned while the gate was held; once for a request, whatever tells of it first.

    `reasons` are what held the gate then, `enforcement` how far it reached: in shadow nobody was told not to scan.
    """

    subject_event_id: str
    evidence: BypassEvidence
    at: UtcTime
    accession_number: str
    mode: str
    reasons: tuple[ReasonCode, ...]
    enforcement: Enforcement


class StateChanged(Message, frozen=True, tag="bonewatch.state-changed.v1"):
    """A device's place in its life changed."""

    stage: str
    previous: str


class BaselineProposed(Message, frozen=True, tag="bonewatch.baseline-proposed.v1"):
    """Enough routine scans stand for a new epoch of a phantom's chart; a physicist accepts it, or not.

    `n` scans gave these values; `step_percent` is their mean against that of the epoch in force.
    """

    phantom_id: str
    epoch: int
    n: int
    mean_g_cm2: float
    sd_g_cm2: float
    step_percent: float | None = None


class DutyStanding(StrEnum):
    """How work that comes round stands."""

    OK = "ok"
    DUE_SOON = "due_soon"
    DUE = "due"
    OVERDUE = "overdue"


class DutyChanged(Message, frozen=True, tag="bonewatch.duty-changed.v1"):
    """Work that comes round stands otherwise than before, or is due on another day.

    It is due by `due_at`, the end of that day at the site, and overdue after the grace; None: it is due no more.
    `done_on` is the latest day on which it was done (ISO 8601).
    """

    duty_id: str
    standing: DutyStanding
    due_at: UtcTime | None
    done_on: str = ""


Outcome = (
    QcJudged
    | CheckJudged
    | GateChanged
    | ReviewOpened
    | ReviewEnded
    | BypassDetected
    | StateChanged
    | BaselineProposed
    | DutyChanged
    | MeasurementValidated
    | MeasurementWithheld
    | MeasurementsAmended
)
