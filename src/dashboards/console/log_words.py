"""What the equipment log says of each thing in it, in plain words: a title, what was written, who."""

from functools import singledispatch
from typing import Final, NamedTuple

from dashboards.console.wording import evidence, reason_names, sentence
from streams.equipment_log import LogItem, LogKind, OpenIncident
from streams.messages import (
    Affected,
    AttachmentAdded,
    BaselineAccepted,
    BypassDetected,
    CalibrationCheckRead,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DecisionWithdrawn,
    DeviceRetired,
    DutyDone,
    EntryKind,
    EquipmentHandedBack,
    EquipmentHandedOver,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    MeasurementReleased,
    MeasurementVerified,
    OverrideEnded,
    Person,
    PhantomMeasured,
    QcReleased,
    ReturnDecided,
    ReviewDecided,
    ReviewVerdict,
    ServicedRemotely,
    ServiceKind,
    StepReviewed,
    VendorQcReported,
    WatchInterrupted,
)
from streams.policy import Enforcement

KINDS: Final = {
    LogKind.FAULT: "Faults",
    LogKind.SERVICE: "Service and handovers",
    LogKind.INCIDENT: "Incidents",
    LogKind.BYPASS: "Scanned while held",
    LogKind.OVERRIDE: "Overrides",
    LogKind.QC: "QC by hand",
    LogKind.DECISION: "Decisions and work done",
    LogKind.ENTRY: "Entries",
    LogKind.COMMENT: "Comments",
    LogKind.FILE: "Files",
}
"""Names of the filters, in their order."""

SERVICE_KINDS: Final = {
    ServiceKind.BREAKDOWN: "Breakdown",
    ServiceKind.PLANNED_MAINTENANCE: "Planned maintenance",
    ServiceKind.UPGRADE: "Upgrade",
    ServiceKind.INSTALLATION: "Installation",
}

ENTRY_KINDS: Final = {
    EntryKind.DAILY: "Daily entry",
    EntryKind.SERVICE: "Service",
    EntryKind.REPAIR: "Repair",
    EntryKind.OTHER: "Something else",
    EntryKind.COMMENT: "Comment",
}

INCIDENT_KINDS: Final = {
    "incident": "Incident",
    "near_miss": "Near miss",
    "override": "Incident: gate overridden",
    "bypass": "Incident: patient scanned while held",
}

_AFFECTED: Final = {
    "dose": "dose",
    "image_quality": "image quality",
    "safety": "safety features",
    "measurement": "what is measured",
}


class Said(NamedTuple):
    """One line of the log for people; `more` are its further particulars, by what they are."""

    title: str
    text: str = ""
    by: Person | None = None
    more: tuple[tuple[str, str], ...] = ()


def said(item: LogItem) -> Said:
    """Return what the log says of an item."""
    return _said(item.matter)


def incident(one: OpenIncident) -> str:
    """Name an open incident in a line."""
    about = f"request {one.text}" if one.kind == "bypass" and one.text else one.text
    return ": ".join(filter(None, (INCIDENT_KINDS.get(one.kind, one.kind), about)))


def affected(value: Affected) -> str:
    """Say what work could have affected."""
    return ", ".join(words for name, words in _AFFECTED.items() if getattr(value, name)) or "nothing"


_FOLLOWS: Final = {
    ReviewVerdict.NONE: "nothing follows",
    ReviewVerdict.ANNOTATE: "measurements annotated",
    ReviewVerdict.AMEND: "measurements amended",
    ReviewVerdict.RECALL: "patients recalled",
}


@singledispatch
def _said(matter: object) -> Said:
    raise TypeError(f"the equipment log has no words for {type(matter).__name__}")


def _given(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in pairs if pair[1])


@_said.register
def _fault_logged(fact: FaultLogged) -> Said:
    title = "Fault: stops scanning" if fact.stops_scanning else "Fault"
    return Said(title, fact.text, fact.logged_by, _given(("Code", fact.code), ("Component", fact.component)))


@_said.register
def _fault_cleared(fact: FaultCleared) -> Said:
    return Said("Fault cleared", fact.text, fact.cleared_by)


@_said.register
def _handed_over(fact: EquipmentHandedOver) -> Said:
    more = (("Engineer", f"{fact.engineer}, {fact.company}"), ("The engineer was told", fact.hazards))
    return Said(f"Handed over: {SERVICE_KINDS[fact.kind].lower()}", fact.reason, fact.handed_over_by, _given(*more))


@_said.register
def _handed_back(fact: EquipmentHandedBack) -> Said:
    title = "Handed back: it works" if fact.is_working else "Handed back: it does not work"
    more = (("Engineer", fact.engineer), ("Could have affected", affected(fact.affected)), ("Report", fact.report))
    return Said(title, fact.work_done, fact.recorded_by, _given(*more))


@_said.register
def _return_decided(fact: ReturnDecided) -> Said:
    title = "It returns, once every QC has passed" if fact.returns else "It stays out of use"
    return Said(title, fact.note, fact.decided_by)


@_said.register
def _remote(fact: ServicedRemotely) -> Said:
    more = (
        ("Engineer", f"{fact.engineer}, {fact.company}"),
        ("Could have affected", affected(fact.affected)),
        ("Report", fact.report),
    )
    return Said("Serviced remotely", fact.work_done, fact.recorded_by, _given(*more))


@_said.register
def _verified(fact: MeasurementVerified) -> Said:
    text = f"{fact.phantom_id}: the mean of {fact.n} scans moved by {fact.step_percent:+.2f} %"
    return Said("Measurement verified after service", text, fact.verified_by)


@_said.register
def _vendor_qc(fact: VendorQcReported) -> Said:
    title = f"Manufacturer's QC by hand: {'passed' if fact.passed else 'failed'}"
    return Said(title, fact.note, None, _given(("Run by", fact.performed_by), ("Reviewed by", fact.reviewed_by)))


@_said.register
def _phantom(fact: PhantomMeasured) -> Said:
    text = f"{fact.phantom_id} {fact.region}: {fact.bmd_g_cm2:.4f} g/cm²"
    return Said("Phantom scan by hand", text, None, _given(("Scanned by", fact.performed_by)))


@_said.register
def _check(fact: CalibrationCheckRead) -> Said:
    return Said(
        "Check by hand", f"{fact.standard_id} read {fact.read:g}", None, _given(("Checked by", fact.performed_by))
    )


@_said.register
def _overridden(fact: GateOverridden) -> Said:
    advised = f"{fact.advised_by}{', by telephone' if fact.by_telephone else ''}" if fact.advised_by else ""
    held = ", ".join(code.replace("_", " ").replace("qc", "QC") for code in fact.codes)
    return Said("Gate overridden", fact.reason, fact.overridden_by, _given(("Held by", held), ("Advised by", advised)))


@_said.register
def _override_ended(fact: OverrideEnded) -> Said:
    return Said("Override ended", "", fact.ended_by)


@_said.register
def _bypass(outcome: BypassDetected) -> Said:
    number = outcome.accession_number or "no request number"
    shadow = ". In shadow: nobody was told not to scan" if outcome.enforcement is Enforcement.SHADOW else ""
    text = f"{number}: {evidence(outcome.evidence)}{shadow}"
    return Said("Patient scanned while held", text, None, _given(("Held by", sentence(reason_names(outcome.reasons)))))


@_said.register
def _incident(fact: IncidentRecorded) -> Said:
    return Said(INCIDENT_KINDS.get(fact.kind, sentence(fact.kind.replace("_", " "))), fact.text, fact.recorded_by)


@_said.register
def _incident_closed(fact: IncidentClosed) -> Said:
    return Said("Incident closed", fact.finding, fact.closed_by)


@_said.register
def _baseline(fact: BaselineAccepted) -> Said:
    text = f"{fact.phantom_id}, epoch {fact.epoch}: mean {fact.mean_g_cm2:.4f} g/cm² of {fact.n} scans"
    return Said("Baseline accepted", text, fact.accepted_by, _given(("Reason", fact.reason)))


@_said.register
def _released(fact: QcReleased) -> Said:
    return Said(f"{fact.phantom_id} released after a failure", fact.cause, fact.released_by)


@_said.register
def _review(fact: ReviewDecided) -> Said:
    return Said(f"Review of {fact.phantom_id} decided: {_FOLLOWS[fact.verdict]}", fact.decision, fact.decided_by)


@_said.register
def _decision_withdrawn(fact: DecisionWithdrawn) -> Said:
    return Said("A review's decision was taken back", fact.reason, fact.withdrawn_by)


@_said.register
def _measurement_released(fact: MeasurementReleased) -> Said:
    return Said("A withheld measurement was released", fact.reason, fact.released_by)


@_said.register
def _step(fact: StepReviewed) -> Said:
    across = "may be compared" if fact.is_comparable else "may not be compared"
    text = f"{fact.decision.rstrip('.')}. Measurements across it {across}."
    return Said(f"Step of {fact.phantom_id} to epoch {fact.epoch} reviewed", text, fact.decided_by)


@_said.register
def _commissioning(fact: CommissioningRecorded) -> Said:
    title = f"Commissioning: {fact.step.value.replace('_', ' ')}"
    more = (
        ("Done by", f"{fact.done_by}, {fact.organisation}, {fact.done_on}"),
        ("Satisfactory", "yes" if fact.is_satisfactory else "no"),
        ("Endorsed by", fact.endorsed_by),
        ("Reference", fact.reference),
    )
    return Said(title, fact.result, fact.recorded_by, _given(*more))


@_said.register
def _signed_off(fact: CommissioningSignedOff) -> Said:
    return Said(
        "Commissioning signed off", fact.note, fact.signed_by, _given(("In service since", fact.in_service_since))
    )


@_said.register
def _cross_calibration(fact: CrossCalibrationAccepted) -> Said:
    text = f"{fact.study_id}, version {fact.version}: against {fact.other_device}, {fact.method}, {fact.n} pairs"
    return Said("Cross-calibration accepted", text, fact.accepted_by, _given(("Reason", fact.reason)))


@_said.register
def _withdrawn(fact: CrossCalibrationWithdrawn) -> Said:
    return Said(f"Cross-calibration {fact.study_id} withdrawn", fact.reason, fact.withdrawn_by)


@_said.register
def _duty(fact: DutyDone) -> Said:
    done = ("Done by", f"{fact.done_by}, {fact.done_on}")
    more = (done, ("Valid until", fact.valid_until), ("Reference", fact.reference))
    return Said(f"Work done: {fact.duty_id}", fact.note, fact.recorded_by, _given(*more))


@_said.register
def _retired(fact: DeviceRetired) -> Said:
    return Said("Retired from service", fact.reason, fact.retired_by)


@_said.register
def _interrupted(fact: WatchInterrupted) -> Said:
    text = f"From {fact.since:%d/%m/%Y %H:%M} to {fact.until:%d/%m/%Y %H:%M} UTC"
    return Said("Bonewatch was not running", text)


@_said.register
def _entry(fact: LogEntryMade) -> Said:
    return Said(ENTRY_KINDS[fact.kind], fact.text, fact.made_by)


@_said.register
def _file(fact: AttachmentAdded) -> Said:
    return Said(f"File added: {fact.attachment.name}", fact.text, fact.added_by)
