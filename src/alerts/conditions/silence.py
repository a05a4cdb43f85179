"""Devices that are not heard while patients are due, and clocks that are off: told while it is so."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from alerts.condition import Condition, Kind, Severity
from alerts.conditions.clearance import is_out_of_use, needs_note
from alerts.conditions.nearness import near_clinic, running_clinic
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation, Situation
from streams.fold.schedule import zone
from streams.messages import ReasonCode
from streams.readings import DeviceView
from streams.roles import Role
from streams.site_time import SiteTime

_DOWN: Final = {
    "away": "is not connected",
    "silent": "sends nothing",
    "noisy": "sends what nobody can read",
    "swapped": "is another device than configured",
}


def silence(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield the devices that are not heard around a clinic."""
    time = SiteTime(zone(situation.time_zone), situation.at)
    for device in situation.devices:
        if is_out_of_use(device.view):
            continue
        clinic = near_clinic(device, situation.at, rules, situation.time_zone)
        if clinic is not None:
            yield from _line_down(device, clinic, rules, time)
        running = running_clinic(device, situation.at)
        if running is not None and not running.is_assumed:
            yield from _nothing_came(device, running, situation.at, rules, time)


def clocks(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield the scanners whose clock is not believed."""
    for device in situation.devices:
        view = device.view
        suspect = next((one for one in view.gate.reasons if one.code is ReasonCode.CLOCK_SUSPECT), None)
        if suspect is not None:
            yield Condition(
                key=f"clock:{view.id}",
                kind=Kind.CLOCK_SKEW,
                severity=Severity.PROMPT,
                audience=(Role.PHYSICIST, Role.ADMIN),
                since=view.gate.since or situation.at,
                news="suspect",
                headline=f"The clock of {view.title} is not believed: {suspect.text}",
                brief=f"Clock of {view.title}",
                advice=suspect.clears_when,
                ring=view.ring or rules.contacts.get(Role.ADMIN, ""),
                device=view.id,
                device_name=view.title,
                page=f"/devices/{view.id}",
                many="scanners' clocks are not believed",
            )


def _line_down(device: DeviceSituation, clinic: ClinicSpan, rules: AlertRules, time: SiteTime) -> Iterator[Condition]:
    line = device.line
    if line is None or line.state not in _DOWN:
        return
    if line.since is not None and time.now - line.since < timedelta(minutes=rules.line_silent_minutes):
        return
    what = f"{device.view.title} {_DOWN[line.state]}"
    yield _silent(
        device,
        rules,
        since=line.since or time.now,
        news=line.state,
        headline=what + (f" ({line.why})" if line.why else ""),
        brief=what,
        advice="See that it is switched on and its cable is in. Until then write down by hand what it shows. "
        "No scanner is held by this.",
        needs_by=clinic.starts,
        note=needs_note(device, clinic, time),
        many="scales and stadiometers are not heard",
    )


def _nothing_came(
    device: DeviceSituation, clinic: ClinicSpan, at: datetime, rules: AlertRules, time: SiteTime
) -> Iterator[Condition]:
    """Yield a scanner that sent nothing for long in clinic time; where nobody knows when it was heard, nothing."""
    view = device.view
    if view.kind != "scanner" or device.heard_at is None or not view.gate.lets_patients_through:
        return
    since = max(device.heard_at, clinic.starts)
    if at - since < timedelta(minutes=rules.scanner_silent_minutes):
        return
    yield _silent(
        device,
        rules,
        since=since,
        news="nothing_came",
        headline=f"Nothing has come from {view.title} since {time.when(device.heard_at)}, and its clinic is running",
        brief=f"Nothing comes from {view.title}",
        advice="See that it is switched on and connected, and that its scans are sent. If no patients were booked, "
        "take this alert and leave it.",
        needs_by=None,
        note="",
        many="scanners send nothing",
    )


def _silent(
    device: DeviceSituation,
    rules: AlertRules,
    *,
    since: datetime,
    news: str,
    headline: str,
    brief: str,
    advice: str,
    needs_by: datetime | None,
    note: str,
    many: str,
) -> Condition:
    view: DeviceView = device.view
    return Condition(
        key=f"silent:{view.id}",
        kind=Kind.DEVICE_SILENT,
        severity=Severity.PROMPT,
        audience=(Role.OPERATOR,),
        since=since,
        news=news,
        headline=headline,
        brief=brief,
        advice=advice,
        ring=rules.contacts.get(Role.ENGINEER, "") or view.ring,
        device=view.id,
        device_name=view.title,
        needs_by=needs_by,
        needs_note=note,
        page=f"/devices/{view.id}",
        many=many,
    )
