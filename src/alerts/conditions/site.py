"""What is wrong with Bonewatch itself: it cannot record, cannot vouch for a device, its clock is off, messages stay."""

from collections.abc import Iterator

from alerts.condition import Condition, Kind, Severity
from alerts.conditions.nearness import near_clinic
from alerts.rules import AlertRules
from alerts.situation import DeviceSituation, Situation, Trouble
from streams.roles import Role


def site(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield what concerns whoever runs Bonewatch."""
    is_near = any(_is_near(device, situation, rules) for device in situation.devices)
    if situation.not_ready is not None:
        severity = Severity.URGENT if is_near else Severity.PROMPT
        yield _trouble(situation.not_ready, Kind.NOT_READY, "not_ready", severity, rules)
    for device in situation.devices:
        if device.view.parked is not None:
            yield _parked(device, situation, rules)
    yield from _own_clock(situation, rules)
    for trouble in situation.undelivered:
        key = f"undelivered:{trouble.trouble_id}"
        yield _trouble(trouble, Kind.NOT_DELIVERED, key, Severity.PROMPT, rules)


def endings(situation: Situation) -> Iterator[tuple[str, str]]:
    """Yield what can be said by key where Bonewatch works again."""
    if situation.not_ready is None:
        yield "not_ready", "Bonewatch records again."
    for device in situation.devices:
        if device.view.parked is None:
            yield f"parked:{device.view.id}", f"Bonewatch watches {device.view.title} again."


def _own_clock(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield that nothing keeps this computer's clock right, where that is known."""
    if situation.clock_unkept_since is not None:
        unkept = Trouble(
            "unkept",
            situation.clock_unkept_since,
            "Nothing keeps the clock of Bonewatch's computer right",
            "See that its time service runs and reaches its servers. How far the clock is off is not known.",
        )
        yield _trouble(unkept, Kind.CLOCK_SKEW, "clock_unkept", Severity.DIGEST, rules)


def _is_near(device: DeviceSituation, situation: Situation, rules: AlertRules) -> bool:
    return near_clinic(device, situation.at, rules, situation.time_zone) is not None


def _trouble(trouble: Trouble, kind: Kind, key: str, severity: Severity, rules: AlertRules) -> Condition:
    return Condition(
        key=key,
        kind=kind,
        severity=severity,
        audience=(Role.ADMIN,),
        since=trouble.since,
        news=trouble.trouble_id,
        headline=trouble.headline,
        advice=trouble.advice,
        ring=rules.contacts.get(Role.ADMIN, ""),
        many="channels deliver nothing" if kind is Kind.NOT_DELIVERED else "",
    )


def _parked(device: DeviceSituation, situation: Situation, rules: AlertRules) -> Condition:
    view = device.view
    clinic = near_clinic(device, situation.at, rules, situation.time_zone)
    return Condition(
        key=f"parked:{view.id}",
        kind=Kind.DEVICE_PARKED,
        severity=Severity.PROMPT if clinic is None else Severity.URGENT,
        audience=(Role.ADMIN,),
        since=view.gate.since or situation.at,
        news="parked",
        headline=f"Bonewatch cannot vouch for {view.title}",
        brief=f"{view.title} is not vouched for",
        advice="Its page says why. It is held until its record can be read again: see the runbook.",
        ring=rules.contacts.get(Role.ADMIN, ""),
        device=view.id,
        device_name=view.title,
        needs_by=clinic.starts if clinic else None,
        page=f"/devices/{view.id}",
        many="devices cannot be vouched for",
    )
