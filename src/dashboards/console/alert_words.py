"""What the console says of alerts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from alerts.book import Alert, AlertState
from alerts.condition import Severity
from alerts.desk import AlertView, Telling

_SEVERITIES: Final = {Severity.URGENT: "Urgent", Severity.PROMPT: "Soon", Severity.DIGEST: "For the daily message"}


def title(views: Sequence[AlertView]) -> str:
    """Say how many alerts are open, and how many nobody takes; what is for the daily message is none."""
    views = pressing(views)
    if not views:
        return "No alert is open"
    free = sum(not view.alert.acknowledged_by for view in views)
    if len(views) == 1:
        return f"1 alert is open, {'nobody deals with it yet' if free else 'and somebody deals with it'}"
    whose = "any" if free == len(views) else str(free)
    return f"{len(views)} alerts are open, " + (f"nobody deals with {whose} of them yet" if free else "each in hand")


def pressing(views: Sequence[AlertView]) -> list[AlertView]:
    """Return those that are told at once or soon."""
    return [view for view in views if view.alert.condition.severity is not Severity.DIGEST]


def daily(views: Sequence[AlertView]) -> list[AlertView]:
    """Return those that are for the daily message."""
    return [view for view in views if view.alert.condition.severity is Severity.DIGEST]


def severity(alert: Alert) -> str:
    """Say how soon it is told."""
    return _SEVERITIES[alert.condition.severity]


def what(alert: Alert) -> str:
    """Say what is wrong in one line."""
    return alert.condition.headline


def matters_by(alert: Alert) -> str:
    """Say what `needs_by` is the time of."""
    return {"clinic": "Clinic starts", "override": "Override ends"}.get(alert.condition.needs_what, "Matters by")


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
    """Say above the board what is open; empty when nothing presses."""
    urgent = sum(view.alert.condition.severity is Severity.URGENT for view in pressing(views))
    if not pressing(views):
        return ""
    return title(views) + (f" ({urgent} urgent)" if urgent else "")


def moment(at: float) -> datetime:
    """Return a moment of the queue as other moments are."""
    return datetime.fromtimestamp(at, UTC)
