"""What the console says about a device, in plain words for somebody at 07:45."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Final

from dashboards.sessions import Session
from streams.due import DueItem, QcKind
from streams.messages import BypassEvidence, CheckVerdict, DutyStanding, GateStatus, ReasonCode, Verdict
from streams.policy import DutyKind, Enforcement
from streams.readings import DeviceView, PhantomStatus, StandardStatus
from streams.roles import Permission, Role
from streams.site import Gate
from streams.site_time import SiteTime

_VERDICTS: Final = {
    Verdict.PASS: "Pass",
    Verdict.PASS_WITH_NOTE: "Pass with note",
    Verdict.FAIL: "Fail",
    Verdict.FAIL_CONFIRMED: "Fail, confirmed",
    Verdict.WRONG_PHANTOM: "Wrong phantom",
    Verdict.IMPLAUSIBLE: "Implausible",
    Verdict.NO_BASELINE: "No baseline yet",
    Verdict.CLOCK_SUSPECT: "Scanner clock suspect",
    Verdict.TOO_LATE: "Too late to count",
    Verdict.REANALYSIS: "Re-analysis",
    Verdict.HISTORY: "History, not judged",
}

_TONES: Final = {
    Verdict.PASS: "good",
    Verdict.PASS_WITH_NOTE: "good",
    Verdict.FAIL: "bad",
    Verdict.FAIL_CONFIRMED: "bad",
    Verdict.WRONG_PHANTOM: "warn",
    Verdict.IMPLAUSIBLE: "warn",
    Verdict.CLOCK_SUSPECT: "warn",
}

_ENFORCEMENT: Final = {
    "worklist": "While held, this scanner's worklist is refused.",
    "advisory": "Advisory: staff and booking systems are told; the scanner's worklist is not refused.",
    "shadow": "Shadow: decisions are recorded; nothing is shown to the scanner.",
}

_DUTIES: Final = {"manufacturer_daily": "Manufacturer's daily QC", "independent": "Independent check"}

_CHECKS: Final = {
    CheckVerdict.PASS: "Pass",
    CheckVerdict.WARN: "Near its limit",
    CheckVerdict.FAIL: "Fail",
    CheckVerdict.NOT_JUDGED: "Not judged",
}

_LINES: Final = {
    "away": "Not connected.",
    "open": "Listening.",
    "heard": "Connected.",
    "unverified": "Connected, not verified.",
    "silent": "Silent.",
    "noisy": "Not understood.",
    "swapped": "Another device.",
}

_CONDITIONS: Final = {
    "stable": "stable",
    "unstable": "not stable yet",
    "overload": "overload",
    "underload": "underload",
    "invalid": "no valid reading",
    "untold": "waiting until it is the same again",
}

_EVIDENCE: Final = {
    BypassEvidence.SCAN_STARTED: "the scanner said that it began",
    BypassEvidence.MEASURED: "its report came",
    BypassEvidence.OBJECT: "its images came",
}

_KINDS: Final = {
    QcKind.MANUFACTURER_QC: "Manufacturer's QC",
    QcKind.INDEPENDENT_QC: "Independent phantom",
    QcKind.CHECK: "Checks",
    DutyKind.MAINTENANCE: "Maintenance",
    DutyKind.CALIBRATION: "Calibration",
    DutyKind.CERTIFICATE: "Certificates",
    DutyKind.REPLACEMENT: "Replacement",
    DutyKind.DAILY_ARCHIVE: "Daily archive",
    DutyKind.DATABASE_ARCHIVE: "Database archive",
    DutyKind.RECORD_ARCHIVE: "Bonewatch's archive",
    DutyKind.OTHER: "Other",
}

_STANDINGS: Final = {
    DutyStanding.OVERDUE: "Overdue",
    DutyStanding.DUE: "Due",
    DutyStanding.DUE_SOON: "Due soon",
    DutyStanding.OK: "In order",
}

FAR_DAYS: Final = 60
"""Days beyond this are not counted for people."""

DEMO_ROLES: Final = {
    Role.OPERATOR: "Scans patients; enters the daily QC",
    Role.PHYSICIST: "Judges drift; accepts baselines; releases",
    Role.ENGINEER: "Repairs; clears faults",
    Role.MANAGER: "Looks on",
    Role.ADMIN: "Runs the system",
}
"""Roles that a visitor of a demonstration can take, and what they do."""

_STATUS: Final = {GateStatus.OPEN: "Open", GateStatus.HELD: "Held", GateStatus.OVERRIDDEN: "Overridden"}


def device_name(view: DeviceView) -> str:
    """``Scanner DXA1`` or ``Scale scale-1``."""
    return view.title


def headline(view: DeviceView, t: SiteTime) -> str:
    """Say in one sentence whether patients may be scanned."""
    return gate_headline(view.gate, device_name(view), t, scanner=view.kind == "scanner")


def gate_headline(gate: Gate, name: str, t: SiteTime, *, scanner: bool) -> str:
    """Say in one sentence what a gate means for patients."""
    if gate.status is GateStatus.HELD:
        return f"Do not scan patients on {name}" if scanner else f"Do not use {name} for patients"
    verb = "scan" if scanner else "use"
    if gate.status is GateStatus.OVERRIDDEN:
        end = gate.overridden_until or gate.valid_until
        return f"Override: clear to {verb}" + (f" until {t.until(end)}" if end else "")
    return f"Clear to {verb}" + (f" until {t.until(gate.valid_until)}" if gate.valid_until else "")


def board_title(views: Sequence[DeviceView]) -> str:
    """Answer the question of the morning over all scanners."""
    scanners = [view for view in views if view.kind == "scanner"]
    clear = sum(view.gate.lets_patients_through for view in scanners)
    if not scanners:
        return "No scanner is configured"
    if clear == len(scanners):
        return "All scanners are clear to scan" if clear > 1 else "The scanner is clear to scan"
    if clear == 0:
        return "No scanner is clear to scan"
    return f"{clear} of {len(scanners)} scanners {'is' if clear == 1 else 'are'} clear to scan"


def bypassed(view: DeviceView) -> str:
    """Say how many patients were scanned while a device was held, and what to do; nothing where none was."""
    told = [one for one in view.bypasses if one.enforcement is not Enforcement.SHADOW]
    if not told:
        return ""
    who = "A patient was" if len(told) == 1 else f"{len(told)} patients were"
    return (
        f"{who} scanned while it was held, in the last seven days. Tell the physicist: the scans are not vouched for."
    )


def measured_today(view: DeviceView) -> str:
    """``7 patients, 14 scans``; of what is no scanner how many patients."""
    count = view.measured_today
    people = f"{count.patients} patient{'' if count.patients == 1 else 's'}"
    if view.kind != "scanner" or not count.scans:
        return people if count.patients else "nobody yet"
    return f"{people}, {count.scans} scan{'' if count.scans == 1 else 's'}"


def evidence(value: BypassEvidence) -> str:
    """Say what told of a patient's scan."""
    return _EVIDENCE[value]


def reason_names(codes: Sequence[ReasonCode]) -> str:
    """Name what held a gate."""
    return ", ".join(plain_code(code.value) for code in codes)


def plain_code(code: str) -> str:
    """Name what a reason's code says."""
    return code.replace("_", " ").replace("qc", "QC")


def looks_up_patients(visitor: Session) -> bool:
    """Whether a visitor's role sees patients' last visits."""
    return visitor.may(Permission.LOOK_UP_PATIENT)


def gate_status(gate: Gate) -> str:
    """``Open``, ``Held`` or ``Overridden``."""
    return _STATUS[gate.status]


def sentence(text: str) -> str:
    """Begin with a capital letter what was written to follow a code."""
    return text[:1].upper() + text[1:]


def verdict(value: Verdict) -> str:
    """Name a verdict."""
    return _VERDICTS[value]


def tone(value: Verdict) -> str:
    """Return ``good``, ``bad``, ``warn`` or ``plain``: the colour that goes with the words."""
    return _TONES.get(value, "plain")


def enforcement(view: DeviceView) -> str:
    """Say how far the gate reaches."""
    return _ENFORCEMENT.get(view.enforcement, "")


def duty(role: str) -> str:
    """Name a duty."""
    return _DUTIES.get(role, role)


def standard_name(standard: StandardStatus) -> str:
    """Name a weight or rod by its id and value."""
    return f"{standard.standard_id} ({standard.nominal:g} {standard.unit})"


def check_verdict(value: CheckVerdict) -> str:
    """Name what a check came to."""
    return _CHECKS[value]


def check_tone(value: CheckVerdict) -> str:
    """Return the colour that goes with the words."""
    return {CheckVerdict.PASS: "good", CheckVerdict.FAIL: "bad", CheckVerdict.WARN: "warn"}.get(value, "plain")


def check_shape(value: CheckVerdict) -> Verdict:
    """Return the verdict whose mark stands for this one."""
    return {
        CheckVerdict.PASS: Verdict.PASS,
        CheckVerdict.WARN: Verdict.PASS_WITH_NOTE,
        CheckVerdict.FAIL: Verdict.FAIL,
    }.get(value, Verdict.NO_BASELINE)


def line_state(state: str) -> str:
    """Say how a device's line stands."""
    return _LINES.get(state, state)


def condition(value: str) -> str:
    """Say how a device stands with its reading."""
    return _CONDITIONS.get(value, value)


def due_kind(kind: QcKind | DutyKind) -> str:
    """Name a kind of work that comes round."""
    return _KINDS[kind]


def standing(value: DutyStanding, *, group: bool = False) -> str:
    """Say how work stands; as the title of a group, what is neither due nor soon is coming."""
    return "Coming" if group and value is DutyStanding.OK else _STANDINGS[value]


def day(value: date, t: SiteTime) -> str:
    """Say a day: ``today``, ``tomorrow``, ``Tue 3 Nov``, ``3 Nov 2025``."""
    return t.day(datetime.combine(value, time(12), t.zone))


def due_when(item: DueItem, t: SiteTime) -> str:
    """Say when work is due, or since when it is overdue."""
    if item.due_on is None:
        return "not due any more"
    days = (item.due_on - t.now.date()).days
    count = abs(days)
    if count < 2:
        return f"due {day(item.due_on, t)}"
    if days < 0:
        return f"was due {day(item.due_on, t)}, {count} days ago"
    return f"due {day(item.due_on, t)}" + (f", in {count} days" if count < FAR_DAYS else "")


def due_title(groups: Mapping[DutyStanding, Sequence[object]]) -> str:
    """Answer what is due over all devices."""
    overdue, due = len(groups[DutyStanding.OVERDUE]), len(groups[DutyStanding.DUE])
    if overdue:
        return f"Due work: {overdue} overdue" + (f", {due} due" if due else "")
    return f"Due work: {due} due" if due else "Due work: nothing is overdue"


def board_due(view: DeviceView) -> Sequence[DueItem]:
    """Return what a board says of due work: QC that is due or overdue stands among the gate's reasons already."""
    return [
        item
        for item in view.due
        if item.standing is DutyStanding.DUE_SOON or (item.duty_id and item.standing is not DutyStanding.OK)
    ]


def phantom_name(phantom: PhantomStatus) -> str:
    """Name a phantom by its id, region and serial number."""
    return f"{phantom.patient_id} ({phantom.region})"


def baseline(phantom: PhantomStatus) -> str:
    """Say how a phantom's baseline stands."""
    if phantom.mean is None:
        return f"No baseline: {phantom.candidates} of {phantom.candidates_needed} scans gathered"
    kind = "established" if phantom.baseline_established else "provisional"
    return f"Epoch {phantom.epoch}, {kind}, {phantom.baseline_scans} scans, mean {phantom.mean:.4f} g/cm²"


def may_hand_over(view: DeviceView, visitor: Session | None) -> bool:
    """Whether a visitor may hand a device over to an engineer now."""
    return visitor is not None and visitor.may(Permission.HAND_OVER) and view.stage not in {"retired", "with_engineer"}


def works_on_devices(visitor: Session) -> bool:
    """Whether a visitor's role hands devices over or back."""
    return visitor.may(Permission.HAND_BACK)


def size(count: int) -> str:
    """``1.2 MB`` or ``340 kB``."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
