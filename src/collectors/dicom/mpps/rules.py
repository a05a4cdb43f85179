"""The rules of PS3.4 F.7 for a step's attributes and status."""

from typing import Final

import msgspec
from pydicom.dataset import Dataset

from collectors.dicom.mpps.steps import Step
from collectors.dicom.text import items, text

IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
DISCONTINUED: Final = "DISCONTINUED"
STATUSES: Final = frozenset({IN_PROGRESS, COMPLETED, DISCONTINUED})

INVALID_VALUE: Final = 0x0106
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE: Final = 0x0111
UNKNOWN_STEP: Final = 0x0112
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_VALUE: Final = 0x0121
NO_LONGER_UPDATED: Final = 0xA710
"""The error's id beside 0x0110: the step has ended."""

_AT_START: Final = (
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
    "ScheduledStepAttributesSequence",
)
AT_END: Final = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence")


class Fault(msgspec.Struct, frozen=True):
    """Why a message is refused; the comment holds our own words alone."""

    status: int
    code: str
    comment: str
    error_id: int | None = None


ENDED: Final = Fault(
    PROCESSING_FAILURE, "ended", "the procedure step has ended and is not changed any more", NO_LONGER_UPDATED
)
EXISTS: Final = Fault(DUPLICATE, "duplicate", "this procedure step exists already")
NOT_KNOWN: Final = Fault(UNKNOWN_STEP, "unknown_step", "no such procedure step")


def fault_at_start(ds: Dataset) -> Fault | None:
    """Return what is wrong with a new step's attributes."""
    for keyword in _AT_START:
        if keyword not in ds:
            return _missing(keyword)
        if not _has_value(ds, keyword):
            return Fault(MISSING_VALUE, "missing_value", f"{keyword} is empty"[:64])
    if not any(text(item, "StudyInstanceUID") for item in items(ds, "ScheduledStepAttributesSequence")):
        return _missing("StudyInstanceUID")
    if status_of(ds) != IN_PROGRESS:
        return Fault(INVALID_VALUE, "invalid_status", "a new procedure step is IN PROGRESS")
    return None


def fault_at_change(ds: Dataset, step: Step) -> Fault | None:
    """Return what is wrong with a change of a step that is known."""
    if step.status != IN_PROGRESS:
        return ENDED
    status = status_of(ds)
    if status and status not in STATUSES:
        return Fault(INVALID_VALUE, "invalid_status", "no status of a procedure step")
    if status in {COMPLETED, DISCONTINUED}:
        needed = AT_END if status == COMPLETED else AT_END[:2]
        for keyword in needed:
            if keyword not in step.given | given_in(ds):
                return _missing(keyword)
    return None


def status_of(ds: Dataset) -> str:
    """Return the status that a message gives a step; empty if it gives none."""
    return text(ds, "PerformedProcedureStepStatus")


def given_in(ds: Dataset) -> frozenset[str]:
    """Return which of the attributes that an end needs are given."""
    return frozenset(keyword for keyword in AT_END if _has_value(ds, keyword))


def _missing(keyword: str) -> Fault:
    return Fault(MISSING_ATTRIBUTE, "missing_attribute", f"{keyword} is missing"[:64])


def _has_value(ds: Dataset, keyword: str) -> bool:
    if keyword.endswith("Sequence"):
        return next(iter(items(ds, keyword)), None) is not None
    return bool(text(ds, keyword))
