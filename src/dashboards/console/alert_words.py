"""What the console says of alerts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from alerts.book import Alert, AlertState
from alerts.condition import Severity
from alerts.desk import AlertView, Telling

_SEVERITIES: Final = {Severity.URGENT: "Urgent", Severity.PROMPT: "Soon", Severity.DIGEST: "For the daily message"}


def title(views: Sequence[AlertView]) -> str:
    """Say how many alerts are open, and how many nobody takes."""
    if not views:
        return "No alert is open"
    free = sum(not view.alert.acknowledged_by for view in views)
    alerts = "1 alert is open" if len(views) == 1 else f"{len(views)} alerts are open"
    if not free:
        return f"{alerts}, and somebody deals with {'it' if len(views) == 1 else 'each'}"
    return f"{alerts}, {'nobody deals with it yet' if len(views) == 1 else f'nobody deals with {free} of them yet'}"


def severity(alert: Alert) -> str:
    """Say how soon it is told."""
    return _SEVERITIES[alert.condition.severity]


def what(alert: Alert) -> str:
    """Say what is wrong in one line, with the device's name where the headline has none."""
    condition = alert.condition
    if not condition.device_name or condition.device_name in condition.headline:
        return condition.headline
    return f"{condition.device_name}: {condition.headline}"


def told(view: AlertView) -> list[Telling]:
    """Return who was told, each person once with the first time, in order."""
    first: dict[str, Telling] = {}
    for telling in view.told:
        first.setdefault(telling.person, telling)
    return list(first.values())


def is_escalated(alert: Alert) -> bool:
    """Whether nobody took it in time and others were told."""
    return alert.state is AlertState.ESCALATED or alert.tier > 1


def board_note(views: Sequence[AlertView]) -> str:
    """Say above the board what is open; empty when nothing is."""
    if not views:
        return ""
    urgent = sum(view.alert.condition.severity is Severity.URGENT for view in views)
    free = sum(not view.alert.acknowledged_by for view in views)
    said = ["1 alert is open" if len(views) == 1 else f"{len(views)} alerts are open"]
    if urgent:
        said.append(f"{urgent} urgent")
    said.append("somebody deals with each" if not free else f"nobody deals with {free} yet")
    return ", ".join(said)


def moment(at: float) -> datetime:
    """Return a moment of the queue as other moments are."""
    return datetime.fromtimestamp(at, UTC)
