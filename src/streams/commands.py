"""What people ask for. A command is not a fact: `streams.fold.decisions.decide` turns it into facts or refuses.

Every command names its device, the person who asks, and a `request_id` made with the form, so that the same form
sent twice counts once.
"""

from datetime import datetime

import msgspec

from streams.messages import Draft, Person, SessionPurpose


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What every command carries; `device` is ``site/device``."""

    device: str
    actor: Person
    request_id: str


class EnterVendorQc(Request, frozen=True, kw_only=True):
    """Record the scanner's own QC by hand: the 30-second entry."""

    passed: bool
    reviewed_by: str
    measured_at: datetime | None = None
    note: str = ""


class EnterPhantomScan(Request, frozen=True, kw_only=True):
    """Record a phantom scan by hand, for a scanner that sends no structured report."""

    phantom_id: str
    bmd_g_cm2: float
    measured_at: datetime | None = None
    repeat: bool = False


class OpenSession(Request, frozen=True, kw_only=True):
    """Say what a scale or stadiometer is used for now: a check with a standard, or one patient's measurement.

    For a patient the accession number is given twice: as typed, and as read back from the request.
    """

    purpose: SessionPurpose
    standard_id: str = ""
    accession_number: str = ""
    read_back: str = ""


class CloseSession(Request, frozen=True, kw_only=True):
    """End the session that is open."""


class EnterCheck(Request, frozen=True, kw_only=True):
    """Record by hand what a scale (kg) or stadiometer (cm) read of a standard."""

    standard_id: str
    read: float
    measured_at: datetime | None = None


class EnterMeasurement(Request, frozen=True, kw_only=True):
    """Record by hand a patient's weight (kg) or height (cm), as a scale's or stadiometer's display showed it.

    The accession number is given twice: as typed, and as read back from the request.
    """

    accession_number: str
    read_back: str
    read: float
    measured_at: datetime | None = None


class AcceptBaseline(Request, frozen=True, kw_only=True):
    """Accept the gathered scans of a phantom as its baseline."""

    phantom_id: str
    reason: str


class ReleaseQc(Request, frozen=True, kw_only=True):
    """Release a phantom's chart after a confirmed failure: the cause is found and a scan has passed since."""

    phantom_id: str
    cause: str


class DecideReview(Request, frozen=True, kw_only=True):
    """Close the drift review of one chart with a decision."""

    phantom_id: str
    decision: str


class OverrideGate(Request, frozen=True, kw_only=True):
    """Open a held gate until a time, for a reason; `advised_by` names the physicist an operator has asked."""

    reason: str
    until: datetime | None = None
    advised_by: str = ""
    by_telephone: bool = False


class EndOverride(Request, frozen=True, kw_only=True):
    """End an override now."""


class LogFault(Request, frozen=True, kw_only=True):
    """Report a fault by hand."""

    text: str
    stops_scanning: bool


class ClearFault(Request, frozen=True, kw_only=True):
    """Say that a fault is put right."""

    fault_id: str
    text: str


class HandOver(Request, frozen=True, kw_only=True):
    """Stage 1 of a handover: give a device to an engineer, who signs for it on this screen or by an account."""

    reason: str
    engineer: str
    company: str
    engineer_signed: bool
    hazards: str = ""
    fault_id: str = ""


class SaidAffected(msgspec.Struct, frozen=True):
    """What an engineer says that work could have affected; None where it was left blank, which is no answer."""

    dose: bool | None = None
    image_quality: bool | None = None
    safety: bool | None = None
    measurement: bool | None = None


class HandBack(Request, frozen=True, kw_only=True):
    """Stage 2: the engineer says what was done and hands the device back."""

    engineer: str
    work_done: str
    affected: SaidAffected
    is_working: bool
    engineer_signed: bool
    report: str = ""


class DecideReturn(Request, frozen=True, kw_only=True):
    """Stage 3: the customer decides whether the device returns, to be verified, or stays out of use."""

    returns: bool
    note: str = ""


class RecordRemoteService(Request, frozen=True, kw_only=True):
    """Record service from afar, by its report: no area is transferred, and the device is verified."""

    engineer: str
    company: str
    work_done: str
    affected: SaidAffected
    report: str = ""


class VerifyMeasurement(Request, frozen=True, kw_only=True):
    """Accept that work did not change what a phantom measures: ten scans after agree with ten before."""

    phantom_id: str


class RetireDevice(Request, frozen=True, kw_only=True):
    """Take a device out of service for good."""

    reason: str


Command = (
    EnterVendorQc
    | EnterPhantomScan
    | OpenSession
    | CloseSession
    | EnterCheck
    | EnterMeasurement
    | AcceptBaseline
    | ReleaseQc
    | DecideReview
    | OverrideGate
    | EndOverride
    | LogFault
    | ClearFault
    | HandOver
    | HandBack
    | DecideReturn
    | RecordRemoteService
    | VerifyMeasurement
    | RetireDevice
)


class Refusal(msgspec.Struct, frozen=True):
    """Why a command was not carried out: a code for programs, and words that say what is missing."""

    code: str
    text: str


Decision = tuple[Draft, ...] | Refusal
"""The facts a command became, or why it became none."""
