"""Why a gate is held or a measurement withheld, in code and in words."""

from enum import StrEnum

import msgspec


class ReasonCode(StrEnum):
    """Why a gate is held; `DRIFT_UNREVIEWED` warns unless policy makes it hold.

    States keep reasons by their place here: a new one comes last.
    """

    QC_MISSING = "qc_missing"
    QC_FAILED = "qc_failed"
    INDEPENDENT_OVERDUE = "independent_overdue"
    NO_BASELINE = "no_baseline"
    FAULT_STOPS_SCANNING = "fault_stops_scanning"
    WITH_ENGINEER = "with_engineer"
    VERIFICATION_REQUIRED = "verification_required"
    CHECK_DUE = "check_due"
    CHECK_FAILED = "check_failed"
    NOT_COMMISSIONED = "not_commissioned"
    RETIRED = "retired"
    CLOCK_SUSPECT = "clock_suspect"
    STATE_UNKNOWN = "state_unknown"
    DRIFT_UNREVIEWED = "drift_unreviewed"
    DUTY_OVERDUE = "duty_overdue"
    MODE_UNKNOWN = "mode_unknown"
    TOO_LATE = "too_late"
    NOT_WATCHED = "not_watched"


class Reason(msgspec.Struct, frozen=True):
    """One reason in plain words, what would clear it, and whether it holds the gate or only warns."""

    code: ReasonCode
    text: str
    clears_when: str
    holds: bool = True
