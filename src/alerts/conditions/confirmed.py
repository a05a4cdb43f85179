"""Failures that are confirmed: a physicist looks into them, at once around a clinic, else after quiet hours."""

from collections.abc import Iterator

from alerts.condition import Condition, Kind, Severity
from alerts.conditions.clearance import needs_note
from alerts.conditions.failures import failures
from alerts.conditions.nearness import near_clinic
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, Situation
from streams.fold.schedule import zone
from streams.readings import DeviceView, PhantomStatus
from streams.roles import Role
from streams.site_time import SiteTime


def confirmed(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield the failures that are confirmed, and those that a physicist has only to release."""
    time = SiteTime(zone(situation.time_zone), situation.at)
    for device in situation.devices:
        if device.view.stage == "retired":
            continue
        clinic = near_clinic(device, situation.at, rules, situation.time_zone)
        note = needs_note(device, clinic, time) if clinic else ""
        for phantom in device.view.phantoms:
            if phantom.failure_confirmed:
                yield _failed(device.view, phantom, clinic, note, time)


def endings(situation: Situation) -> Iterator[tuple[str, str]]:
    """Yield what can be said by key of failures that were released."""
    for device in situation.devices:
        for phantom in device.view.phantoms:
            if not phantom.failure_confirmed:
                name = f"{device.view.title}: phantom {phantom.patient_id}"
                yield failure_key(device.view, phantom), f"{name} is released."


def failure_key(view: DeviceView, phantom: PhantomStatus) -> str:
    """Return the key under which a confirmed failure of a phantom is known."""
    return f"qc_failed:{view.id}:{phantom.patient_id}"


def _failed(
    view: DeviceView, phantom: PhantomStatus, clinic: ClinicSpan | None, note: str, time: SiteTime
) -> Condition:
    failing = next((one for one in failures(view) if one.chart == phantom.patient_id), None)
    name = f"{view.title}: phantom {phantom.patient_id}"
    if phantom.passed_since_failure:
        news, what = "awaits_release", "failed and passes again; a release is awaited"
        brief, advice = f"{name} awaits release", "Record the cause and release it on the device's page."
    else:
        size = f" ({failing.size})" if failing and failing.size else ""
        news, what = f"failed:{failing.event_id if failing else 'unknown'}", f"failed twice{size}"
        brief, advice = f"{name} failed twice", "Find the cause. A scan of the phantom must pass; then release it."
    return Condition(
        key=failure_key(view, phantom),
        kind=Kind.QC_FAILED,
        severity=Severity.URGENT if clinic is not None else Severity.PROMPT,
        audience=(Role.PHYSICIST,),
        since=phantom.last.measured_at if phantom.last else view.gate.since or time.now,
        news=news,
        headline=f"{name} {what}",
        brief=brief,
        advice=advice,
        device=view.id,
        device_name=view.title,
        needs_by=clinic.starts if clinic else None,
        needs_note=note,
        page=f"/devices/{view.id}",
        many="phantoms await a physicist",
    )
