"""The handover form as a PDF: three stages, filled in as far as the record stands, blank where it does not.

The fields are those that the AXREM handover form asks for; the form itself is not mandatory and this is not it, but a
local procedure of the same three stages. Scanners go by the radiation controlled area form, the rest by the general
one.
"""

from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from dashboards.paper.sheet import Box, Sheet, full_time, ticks
from streams.equipment_log import Handover
from streams.messages import EquipmentHandedBack, HandoverForm, ServiceKind
from streams.readings import DeviceView
from streams.roles import Role

_YES_NO: Final = {"yes": "Yes", "no": "No"}
_REASONS: Final = {
    ServiceKind.INSTALLATION.value: "Installation",
    ServiceKind.PLANNED_MAINTENANCE.value: "Planned maintenance",
    ServiceKind.BREAKDOWN.value: "Breakdown",
    ServiceKind.UPGRADE.value: "Upgrade",
}
_STATUS: Final = {"works": "Operational", "limits": "Operational with limits", "broken": "Not operational"}
_CLEANED: Final = {"yes": "Done", "no": "Not done", "none": "Not needed"}
_DECISION: Final = {"returns": "It returns, once all has passed", "stays": "It stays out of use"}
_AFFECTED: Final = {
    "dose": "Could it affect patient dose?",
    "image_quality": "Could it affect image quality?",
    "safety": "Could it affect safety features or interlocks?",
    "measurement": "Was tube, detector, software or calibration changed?",
}


class Equipment(NamedTuple):
    """What the form says of a device; a view of it says the same."""

    id: str
    kind: str
    make: str
    model: str
    serial: str


def handover_form(
    view: DeviceView | Equipment, handover: Handover | None, *, site_name: str, zone: ZoneInfo, now: datetime
) -> bytes:
    """Return the form of a device as a PDF; blank but for the device where no handover is given."""
    form = handover.over.form if handover else _form_of(view)
    area = form is HandoverForm.CONTROLLED_AREA
    title = "Radiation controlled area and equipment handover" if area else "Equipment handover"
    number = f"Handover {handover.over.handover_id}. " if handover else ""
    sheet = Sheet(f"{title}: {view.id}", f"{site_name}, {view.id}. {number}Printed {full_time(now, zone)}.", now)
    sheet.head(
        title,
        "Local procedure in three stages, with what the AXREM handover form asks for; it is not that form itself."
        " Empty boxes are filled in by hand. The signed paper is added to the handover in the equipment log.",
    )
    _equipment(sheet, view, handover, site_name)
    _stage_1(sheet, handover, zone, area=area)
    _stage_2(sheet, handover, zone, area=area)
    _stage_3(sheet, view, handover, zone)
    return bytes(sheet.output())


def _form_of(view: DeviceView | Equipment) -> HandoverForm:
    return HandoverForm.CONTROLLED_AREA if view.kind == "scanner" else HandoverForm.GENERAL


def _equipment(sheet: Sheet, view: DeviceView | Equipment, handover: Handover | None, site_name: str) -> None:
    sheet.section("Equipment")
    kind = "Bone densitometer (DXA scanner)" if view.kind == "scanner" else view.kind.capitalize()
    sheet.row(Box("Site", site_name, 2), Box("Department and room", "", 2), Box("Device", view.id))
    sheet.row(
        Box("Equipment", kind, 2), Box("Make", view.make), Box("Model", view.model), Box("Serial number", view.serial)
    )
    if handover:
        sheet.row(
            Box("Handover number", handover.over.handover_id),
            Box("Reported fault", handover.fault or "None named", 3),
        )


def _stage_1(sheet: Sheet, handover: Handover | None, zone: ZoneInfo, *, area: bool) -> None:
    passes = (
        " Control of the radiation controlled area passes to the engineer's company, by whose local rules work goes on."
        if area
        else ""
    )
    sheet.section("Stage 1. The department hands over", f"Filled in by the department.{passes}")
    over = handover.over if handover else None
    at = full_time(handover.over_at, zone) if handover else ""
    sheet.row(
        Box("Reason", ticks(_REASONS, over.kind.value if over else None), 3), Box("Date and time handed over", at, 1.4)
    )
    sheet.row(Box("Why it is handed over, faults seen", over.reason if over else "", lines=2))
    sheet.row(Box("Known hazards, what the engineer was told", over.hazards if over else "", lines=2))
    sheet.row(
        Box("Decontaminated", ticks(_CLEANED, None)),
        *([Box("Controlled area handed over", ticks(_YES_NO, "yes" if over else None))] if area else []),
    )
    by = f"{over.handed_over_by.name}, {over.handed_over_by.role}" if over else ""
    sheet.row(Box("For the department: name and role", by), _signature(f"Signed in to Bonewatch, {at}" if over else ""))
    engineer = f"{over.engineer}, {over.company}" if over else ""
    sheet.row(
        Box("Engineer: name and company", engineer), _signature("Signed on the department's screen" if over else "")
    )


def _stage_2(sheet: Sheet, handover: Handover | None, zone: ZoneInfo, *, area: bool) -> None:
    sheet.section(
        "Stage 2. The engineer hands back",
        "Filled in by the engineer. It says what was done and does not certify fitness for clinical use.",
        room_mm=75,
    )
    back = handover.back if handover else None
    at = full_time(handover.back_at, zone) if handover and handover.back_at else ""
    status = None if back is None else ("works" if back.is_working else "broken")
    sheet.row(Box("Work done", back.work_done if back else "", lines=3))
    sheet.row(Box("Status", ticks(_STATUS, status), 3), Box("Date and time handed back", at, 1.4))
    answers = {name: _yes_no(getattr(back.affected, name)) if back else None for name in _AFFECTED}
    boxes = [Box(label, ticks(_YES_NO, answers[name])) for name, label in _AFFECTED.items()]
    sheet.rows([boxes[:2], boxes[2:]])
    sheet.row(Box("Tests that the engineer did", "", 2, lines=1.6), Box("Service report", back.report if back else ""))
    if area:
        sheet.row(Box("Controlled area handed back to the department", ticks(_YES_NO, "yes" if back else None)))
    sheet.row(Box("Engineer: name", back.engineer if back else ""), _signature(_signed_back(back, at)))


def _stage_3(sheet: Sheet, view: DeviceView | Equipment, handover: Handover | None, zone: ZoneInfo) -> None:
    scanner = view.kind == "scanner"
    qc = "the manufacturer's QC and the independent phantom" if scanner else "a check with every standard"
    sheet.section(
        "Stage 3. The department decides on its return",
        f"Filled in by the department, never by the engineer. Before patients {qc} must pass, measured after stage 2.",
        room_mm=52,
    )
    tests = "QC" if scanner else "Checks"
    decision = handover.decision if handover else None
    at = full_time(handover.decided_at, zone) if handover and handover.decided_at else ""
    chosen = None if decision is None else ("returns" if decision.returns else "stays")
    passed = (
        f"Passed; in clinical use from {full_time(handover.verified_at, zone)}"
        if handover and handover.verified_at
        else ""
    )
    sheet.row(Box(f"{tests} before use", ticks(_YES_NO, "yes")), Box(f"Result: {tests}", passed, 2.4))
    sheet.row(Box("Decision", ticks(_DECISION, chosen), 3), Box("Date and time decided", at, 1.4))
    sheet.row(Box("Note", decision.note if decision else "", lines=1.6))
    by = f"{decision.decided_by.name}, {decision.decided_by.role}" if decision else ""
    sheet.row(
        Box("For the department: name and role", by),
        _signature(f"Signed in to Bonewatch, {at}" if decision else ""),
    )


def _signed_back(back: EquipmentHandedBack | None, at: str) -> str:
    """Say how the engineer signed: by an account, or on the screen of whoever recorded it."""
    if back is None:
        return ""
    if back.recorded_by.role == Role.ENGINEER:
        return f"Signed in to Bonewatch, {at}"
    return f"Signed on the department's screen; recorded by {back.recorded_by.name}, {back.recorded_by.role}"


def _signature(text: str) -> Box:
    return Box("Signature", text, lines=1.8)


def _yes_no(value: object) -> str:
    return "yes" if value else "no"
