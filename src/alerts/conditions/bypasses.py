"""Patients scanned past a held gate: told at once, of nobody by name."""

from collections.abc import Iterator
from datetime import datetime

from alerts.condition import Condition, Kind, Severity
from alerts.rules import AlertRules
from alerts.situation import Situation
from streams.policy import Enforcement
from streams.readings import DeviceView
from streams.roles import Role


def bypasses(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield one condition a device while an incident about it is open; each further patient is news.

    In shadow nobody was told not to scan, and nobody is told now.
    """
    for device in situation.devices:
        view = device.view
        told = [one for one in view.bypasses if one.enforcement is not Enforcement.SHADOW]
        count = min(len(told), sum(incident.kind == "bypass" for incident in view.incidents))
        if count:
            words = sorted(f"scan:{one.subject_event_id}" for one in told)
            yield _bypass(view, count, " ".join(words), min(one.at for one in told), rules)


def _bypass(view: DeviceView, count: int, news: str, since: datetime, rules: AlertRules) -> Condition:
    who = "A patient was" if count == 1 else f"{count} patients were"
    return Condition(
        key=f"bypass:{view.id}",
        kind=Kind.BYPASS,
        severity=Severity.URGENT,
        audience=(Role.PHYSICIST, Role.OPERATOR),
        since=since,
        news=news,
        headline=f"{who} scanned on {view.title} while it was held",
        advice="Stop scanning until it is cleared. A physicist says whether the scans can be used and closes the "
        "incident in the equipment log.",
        ring=view.ring or rules.contacts.get(Role.PHYSICIST, ""),
        device=view.id,
        device_name=view.title,
        page=f"/devices/{view.id}/log",
        many="scanners were used while held",
    )
