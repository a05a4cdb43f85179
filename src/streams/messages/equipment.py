"""Facts of a device's life beside its readings: commissioning, studies, due work, its log, watching itself."""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, Person, UtcTime
from streams.policy import CommissioningStep

# --- commissioning and comparability -----------------------------------------------------------------------


class CommissioningRecorded(Message, frozen=True, tag="bonewatch.commissioning-recorded.v1"):
    """One step of commissioning was done; a later record of the same step replaces an earlier one.

    `done_on` is a date (ISO 8601). `endorsed_by` is the radiation protection adviser of a critical examination.
    """

    step: CommissioningStep
    done_on: str
    done_by: str
    organisation: str
    is_satisfactory: bool
    recorded_by: Person
    result: str = ""
    reference: str = ""
    endorsed_by: str = ""


class CommissioningSignedOff(Message, frozen=True, tag="bonewatch.commissioning-signed-off.v1"):
    """A physicist took responsibility for a device's clinical use.

    `in_service_since` is the date from which a device that was adopted had been in use; empty for a new one.
    """

    signed_by: Person
    in_service_since: str = ""
    note: str = ""


class StepReviewed(Message, frozen=True, tag="bonewatch.step-reviewed.v1"):
    """A physicist looked at the step between two epochs of a phantom's chart and decided what it means.

    `is_comparable` says whether measurements on both sides may be compared.
    """

    phantom_id: str
    epoch: int
    is_comparable: bool
    decision: str
    decided_by: Person


class StudyKind(StrEnum):
    """What was measured on both scanners of a cross-calibration."""

    PHANTOM = "phantom"
    IN_VIVO = "in_vivo"


class CrossCalibrationAccepted(Message, frozen=True, tag="bonewatch.cross-calibration-accepted.v1"):
    """A physicist accepted a cross-calibration of this device against another: one version of one study.

    ``to = intercept + slope * from`` in g/cm2, within `lower_g_cm2` to `upper_g_cm2` of `from`. `data_digest` is the
    SHA-256 of the data from which it can be derived again. A later version of the study supersedes it.
    """

    study_id: str
    version: int
    kind: StudyKind
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
    valid_from: UtcTime
    accepted_by: Person
    reason: str
    valid_until: UtcTime | None = None
    approval_reference: str = ""


class CrossCalibrationWithdrawn(Message, frozen=True, tag="bonewatch.cross-calibration-withdrawn.v1"):
    """A physicist withdrew a study: from here none of its versions is in force."""

    study_id: str
    reason: str
    withdrawn_by: Person


# --- due work ----------------------------------------------------------------------------------------------


class DutyDone(Message, frozen=True, tag="bonewatch.duty-done.v1"):
    """Work that comes round was done: maintenance, a certificate renewed, an archive written.

    `valid_until` is the date (ISO 8601) that a certificate itself names, where it does.
    """

    duty_id: str
    done_on: str
    done_by: str
    recorded_by: Person
    valid_until: str = ""
    note: str = ""
    reference: str = ""


# --- the equipment log -------------------------------------------------------------------------------------


class EntryKind(StrEnum):
    """What an entry in the equipment log is; a comment is about another event, and alters nothing of it."""

    DAILY = "daily"
    SERVICE = "service"
    REPAIR = "repair"
    COMMENT = "comment"
    OTHER = "other"


class LogEntryMade(Message, frozen=True, tag="bonewatch.log-entry-made.v1"):
    """A person wrote into the equipment log; `about` is the id of the event that a comment is about."""

    kind: EntryKind
    text: str
    made_by: Person
    about: str = ""


class Attachment(msgspec.Struct, frozen=True):
    """A file that is kept: its SHA-256, the name it came under, its type and size in bytes."""

    digest: str
    name: str
    media_type: str
    size: int


class AttachmentAdded(Message, frozen=True, tag="bonewatch.attachment-added.v1"):
    """A file was added to what `about` names: a handover, an incident, a study, an event."""

    attachment: Attachment
    about: str
    added_by: Person
    text: str = ""


class IncidentRecorded(Message, frozen=True, tag="bonewatch.incident-recorded.v1"):
    """Something that must be looked into later; an override opens one."""

    kind: str
    text: str
    recorded_by: Person


class IncidentClosed(Message, frozen=True, tag="bonewatch.incident-closed.v1"):
    """An incident was looked into; `incident_id` is the id of the event that opened it."""

    incident_id: str
    finding: str
    closed_by: Person


# --- watching itself ---------------------------------------------------------------------------------------


class WatchInterrupted(Message, frozen=True, tag="bonewatch.watch-interrupted.v1"):
    """Bonewatch itself was not running between these times: what was scanned then is known from elsewhere alone."""

    since: UtcTime
    until: UtcTime
