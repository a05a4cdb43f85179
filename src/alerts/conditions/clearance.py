"""A device that is not cleared for patients around a clinic, and an override that is about to end.

Nobody is told of a device that is not in use at all: not commissioned yet, retired, with an engineer. A scanner that is
not cleared stops patients and is urgent; a scale or stadiometer withholds its own measurements, never the scanner's.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from alerts.condition import Condition, Kind, Severity
from alerts.conditions.failures import Failure, failures
from alerts.conditions.nearness import day_ends, near_clinic
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation, Situation
from streams.fold.schedule import zone
from streams.messages import GateStatus, Reason, ReasonCode
from streams.readings import DeviceView
from streams.roles import Role
from streams.site_time import SiteTime

NOT_DONE: Final = frozenset({ReasonCode.QC_MISSING, ReasonCode.INDEPENDENT_OVERDUE, ReasonCode.CHECK_DUE})
FAILED: Final = frozenset({ReasonCode.QC_FAILED, ReasonCode.CHECK_FAILED})
OUT_OF_USE: Final = frozenset({ReasonCode.WITH_ENGINEER, ReasonCode.NOT_COMMISSIONED, ReasonCode.RETIRED})
REASONS_NAMED: Final = 2


class _Told(NamedTuple):
    """What a held gate is told as: kind, news, why in a few words, which QC is meant, and since when it is so.

    A gate that was held before because QC was not done yet is told as failed since the first reading that failed.
    """

    kind: Kind
    news: str
    why: str
    detail: str = ""
    since: datetime | None = None


def clearance(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield what keeps devices from being used in a clinic that is near."""
    time = SiteTime(zone(situation.time_zone), situation.at)
    for device in situation.devices:
        clinic = near_clinic(device, situation.at, rules, situation.time_zone)
        if clinic is not None and device.view.gate.status is GateStatus.HELD and not is_out_of_use(device.view):
            yield _not_cleared(device, clinic, rules, time)
        if clinic is not None:
            yield from _override_ending(device, clinic, rules, time)


def endings(situation: Situation) -> Iterator[tuple[str, str]]:
    """Yield what can be said by key now that devices are cleared."""
    time = SiteTime(zone(situation.time_zone), situation.at)
    for device in situation.devices:
        view = device.view
        gate = view.gate
        if gate.status is GateStatus.OPEN:
            yield gate_key(view), f"{view.title} is cleared."
        elif gate.status is GateStatus.OVERRIDDEN and gate.overridden_until is not None:
            yield gate_key(view), f"{view.title} may be used on an override until {time.when(gate.overridden_until)}."


def gate_key(view: DeviceView) -> str:
    """Return the key under which a device's held gate is known."""
    return f"gate:{view.id}"


def is_out_of_use(view: DeviceView) -> bool:
    """Whether a device is held because nobody here uses it now."""
    return any(reason.code in OUT_OF_USE for reason in view.gate.holding)


def needs_note(device: DeviceSituation, clinic: ClinicSpan, time: SiteTime) -> str:
    """Say what else is known of the clinic that is near."""
    if clinic.is_assumed:
        return "no clinic hours are configured; usual hours are assumed"
    first = device.first_patient_at
    if first is None or not max(clinic.starts, time.now) <= first < clinic.ends:
        return ""
    return f"first patient {time.clock(first)}"


def _not_cleared(device: DeviceSituation, clinic: ClinicSpan, rules: AlertRules, time: SiteTime) -> Condition:
    view = device.view
    told = _told(view, time)
    is_scanner = view.kind == "scanner"
    state = "is not cleared" if is_scanner else "withholds its measurements"
    return Condition(
        key=gate_key(view),
        kind=told.kind,
        severity=Severity.URGENT if is_scanner else Severity.PROMPT,
        audience=(Role.OPERATOR,),
        since=told.since or view.gate.since or time.now,
        news=told.news,
        headline=f"{view.title} {state}: {told.why}{told.detail}",
        brief=f"{view.title}: {told.why}" if told.kind is Kind.QC_NOT_DONE else f"{view.title} {state}",
        line=f"{view.title}: {told.why}",
        advice=_advice(view, told.kind),
        ring=view.ring or rules.contacts.get(Role.PHYSICIST, ""),
        device=view.id,
        device_name=view.title,
        needs_by=clinic.starts,
        needs_note=needs_note(device, clinic, time),
        page=f"/devices/{view.id}",
        many="scanners are not cleared" if is_scanner else "devices withhold their measurements",
    )


def _told(view: DeviceView, time: SiteTime) -> _Told:
    """Say why a gate is held, the worst first; what else holds it is named or counted."""
    holding = view.gate.holding
    failing = failures(view)
    beside = [reason for reason in holding if not _is_of(reason, failing)]
    undone = [reason for reason in beside if reason.code in NOT_DONE]
    other = [reason for reason in beside if reason.code not in NOT_DONE]
    words = [f"failed:{failure.event_id}" for failure in failing]
    words += [reason.code.value for reason in other]
    words += ["not_done"] if undone else []
    said = [*(_failure(failure, time) for failure in failing), *(_plain(reason) for reason in other)]
    if any(reason.code in FAILED for reason in holding):
        kind = Kind.QC_FAILED
    else:
        kind = Kind.GATE_HELD if other else Kind.QC_NOT_DONE
    if undone:
        said.append(("QC" if view.kind == "scanner" else "check") + " not done")
    detail = f" ({_joined([reason.text for reason in undone])})" if kind is Kind.QC_NOT_DONE else ""
    since = min((failure.measured_at for failure in failing), default=None) if kind is Kind.QC_FAILED else None
    return _Told(kind, " ".join(sorted(set(words))), _joined(said), detail, since)


def _is_of(reason: Reason, failing: Sequence[Failure]) -> bool:
    """Whether a reason is said by a failed reading already: it failed, so it did not pass; another chart's is not."""
    return reason.code in FAILED | NOT_DONE and any(
        re.search(rf"\b{re.escape(failure.named)}(?![\w-])", reason.text) for failure in failing
    )


def _plain(reason: Reason) -> str:
    """Return a reason's words; why Bonewatch itself lost track stands on the device's page, not in messages."""
    return "Bonewatch cannot vouch for it" if reason.code is ReasonCode.STATE_UNKNOWN else reason.text


def _joined(said: Sequence[str]) -> str:
    said = list(dict.fromkeys(said)) or ["nobody can vouch for it"]
    more = len(said) - REASONS_NAMED
    return "; ".join(said[:REASONS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _failure(failure: Failure, time: SiteTime) -> str:
    """Say what failed, when and by how much: ``this morning's phantom failed (+1.9 %)``."""
    local = failure.measured_at.astimezone(time.zone)
    size = f" ({failure.size})" if failure.size else ""
    if local.date() != time.now.date():
        day = time.day(failure.measured_at)
        return f"{failure.name} failed{size} " + (day if day == "yesterday" else f"on {day}")
    if not failure.is_phantom:
        return f"{failure.name} failed today{size}"
    when = "this morning's" if local.hour < 12 else "today's"
    return f"{when} phantom failed" + (" again" if failure.is_confirmed else "") + size


def _advice(view: DeviceView, kind: Kind) -> str:
    """Say what would clear a device, by what the gate says of each reason, and what its being held does not do."""
    holding: Sequence[Reason] = view.gate.holding
    worst = [reason for reason in holding if reason.code in FAILED] if kind is Kind.QC_FAILED else holding
    steps = list(dict.fromkeys(reason.clears_when for reason in worst if reason.clears_when))
    if view.kind != "scanner":
        steps.append("No scanner is held by this.")
    elif view.enforcement != "worklist":
        steps.append("Its worklist is not refused: do not scan patients on it.")
    return " ".join(steps)


def _override_ending(
    device: DeviceSituation, clinic: ClinicSpan, rules: AlertRules, time: SiteTime
) -> Iterator[Condition]:
    """Yield an override that ends within the lead while the day's clinics go on."""
    view = device.view
    until = view.gate.overridden_until
    if view.gate.status is not GateStatus.OVERRIDDEN or until is None:
        return
    ends = day_ends(device, clinic, str(time.zone.key))
    if not time.now < until <= time.now + timedelta(minutes=rules.override_ending_minutes) or until >= ends:
        return
    yield Condition(
        key=f"override:{view.id}",
        kind=Kind.OVERRIDE_ENDING,
        severity=Severity.PROMPT,
        audience=(Role.OPERATOR,),
        since=view.gate.since or time.now,
        news=f"until:{until.isoformat()}",
        headline=f"The override of {view.title} is about to end; then it is held again: "
        + _joined([_plain(reason) for reason in view.gate.holding]),
        brief=f"Override of {view.title}",
        advice="Clear what holds it, or record another override while there is time.",
        ring=view.ring or rules.contacts.get(Role.PHYSICIST, ""),
        device=view.id,
        device_name=view.title,
        needs_by=until,
        needs_what="override",
        page=f"/devices/{view.id}",
        many="overrides are about to end",
    )
