"""What a month of a device's QA comes to: plain values from which every form of the report is made.

Days and times are aware; BMD in g/cm2, weights in kg, heights in cm. Nothing here names a patient or a request.
"""

from datetime import date, datetime

import msgspec

from dashboards.uptime.figures import Figures
from streams.record.device import Anchor


class Identity(msgspec.Struct, frozen=True):
    """What the device is, by its configuration at the end of the period; `software` as its readings named it."""

    device: str
    kind: str
    make: str = ""
    model: str = ""
    serial: str = ""
    ae_title: str = ""
    enforcement: str = ""
    stage: str = "unknown"
    modes: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    serials_before: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """By what readings were judged at the end of the period; all but tolerance and scans are local policy."""

    tolerance_percent: float
    min_scans: int
    sigma_floor_percent: float
    cusum_k: float
    cusum_h: float
    rules: str
    repeats: int
    hold_on_signal: bool


class EpochLine(msgspec.Struct, frozen=True):
    """A baseline in force at some time of the period, and who accepted it."""

    phantom_id: str
    epoch: int
    accepted_at: datetime
    accepted_by: str
    role: str
    reason: str
    scans: int
    mean_g_cm2: float
    sd_g_cm2: float
    sigma_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    established: bool
    step_percent: float | None
    is_comparable: bool | None
    until: datetime | None


class DutyLine(msgspec.Struct, frozen=True):
    """A QC duty over the days on which it was due: a daily one is met by a pass that day, a weekly one within seven.

    `not_passed_on` are days with readings of which none passed, `missed_on` those without any that counts.
    """

    subject: str
    name: str
    frequency: str
    due: int
    done: int
    not_passed_on: tuple[date, ...]
    missed_on: tuple[date, ...]


class Days(msgspec.Struct, frozen=True):
    """How the days of the period fell: due, closed and why, without a clinic, out of clinical use."""

    due: int
    closed: tuple[tuple[date, str], ...]
    without_clinic: int
    not_in_use: tuple[date, ...]


class ReadingLine(msgspec.Struct, frozen=True):
    """One judged reading, in its latest revision."""

    event_id: str
    revision: int
    measured_at: datetime
    subject: str
    region: str
    verdict: str
    value: float | None
    unit: str
    deviation: float | None
    deviation_unit: str
    epoch: int | None = None
    target: float | None = None
    lower: float | None = None
    upper: float | None = None
    sigma: float | None = None
    cusum_upper: float | None = None
    cusum_lower: float | None = None
    cusum_h: float | None = None
    signal: bool = False
    violated: tuple[str, ...] = ()
    is_repeat: bool = False
    note: str = ""
    performed_by: str = ""
    source: str = ""


class SubjectLine(msgspec.Struct, frozen=True):
    """The readings of one phantom, standard, or of the manufacturer's QC, counted; the deviation of those on the chart.

    `signals` counts episodes that began in the period; `signalled_before` says that one went on from before it.
    """

    subject: str
    name: str
    readings: int
    verdicts: dict[str, int]
    repeats: int
    signals: int
    signalled_before: bool
    mean_deviation: float | None
    sd_deviation: float | None
    unit: str


class Failure(msgspec.Struct, frozen=True):
    """A reading that failed, and what became of it."""

    measured_at: datetime
    subject: str
    value: float | None
    deviation: float | None
    unit: str
    is_confirmed: bool
    passed_at: datetime | None = None
    cause: str = ""
    released_by: str = ""
    released_at: datetime | None = None


class Happening(msgspec.Struct, frozen=True):
    """One line of the equipment log."""

    at: datetime
    kind: str
    title: str
    text: str
    by: str
    is_open: bool | None = None


class BypassLine(msgspec.Struct, frozen=True):
    """A patient scanned while the gate was held, without the request's number.

    Outside shadow it opened an incident: `is_open` says whether nobody has closed that.
    """

    at: datetime
    evidence: str
    reasons: tuple[str, ...]
    in_shadow: bool
    is_open: bool | None = None


class OverrideLine(msgspec.Struct, frozen=True):
    """Somebody opened a held gate, past what `codes` name; `open_hours` is how long it was open by that, by the clock.

    `until` is when it was to end at the latest. Where the device has several modes an hour counts once.
    """

    at: datetime
    by: str
    role: str
    advised_by: str
    by_telephone: bool
    codes: tuple[str, ...]
    reason: str
    until: datetime
    open_hours: float


class HandoverLine(msgspec.Struct, frozen=True):
    """A handover as far as it stands."""

    handover_id: str
    kind: str
    reason: str
    over_at: datetime
    handed_over_by: str
    engineer: str
    back_at: datetime | None = None
    work_done: str = ""
    decided_at: datetime | None = None
    decided_by: str = ""
    returns: bool | None = None


class ReviewLine(msgspec.Struct, frozen=True):
    """A review that was opened or decided in the period, or waits; empty `verdict`: it waits.

    `size` is the estimate at its last time, with the 95 % interval where one is known.
    """

    review_id: str
    subject: str
    text: str
    opened_at: datetime
    since: datetime | None
    size: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    verdict: str = ""
    decision: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None


class MeasurementCounts(msgspec.Struct, frozen=True):
    """Patients' measurements of the period as they stand, in numbers only; `reasons` of those withheld at first."""

    validated: int
    overridden: int
    withheld: int
    released: int
    reasons: dict[str, int]


class DueLine(msgspec.Struct, frozen=True):
    """Work that comes round, as it stood at the end."""

    name: str
    standing: str
    due_at: datetime | None
    done_on: str


class StudyLine(msgspec.Struct, frozen=True):
    """A cross-calibration in force at the end: for serial comparison only."""

    study_id: str
    version: int
    other_device: str
    region: str
    slope: float
    intercept_g_cm2: float
    standard_error_g_cm2: float
    accepted_by: str
    accepted_at: datetime


class QaReport(msgspec.Struct, frozen=True):
    """A device's month. `until` is as far as time had come, `anchor` where the log stood when it was made."""

    site: str
    time_zone: str
    first: date
    last: date
    until: datetime
    made_at: datetime
    anchor: Anchor
    identity: Identity
    limits: Limits | None
    epochs: tuple[EpochLine, ...]
    phantoms: tuple[tuple[str, str, str, str], ...]
    days: Days
    duties: tuple[DutyLine, ...]
    readings: tuple[ReadingLine, ...]
    before: tuple[ReadingLine, ...]
    subjects: tuple[SubjectLine, ...]
    failures: tuple[Failure, ...]
    log: tuple[Happening, ...]
    bypasses: tuple[BypassLine, ...]
    overrides: tuple[OverrideLine, ...]
    handovers: tuple[HandoverLine, ...]
    reviews: tuple[ReviewLine, ...]
    reviews_waiting: int
    measurements: MeasurementCounts
    gate_changes: dict[str, int]
    due_work: tuple[DueLine, ...]
    studies: tuple[StudyLine, ...]
    uptime: Figures | None
