"""The history of alerts: what happened to each, whom it was told to by which channel, and who took it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from alerts.book import Alert, Book


class Happening(StrEnum):
    """One thing that happens to an alert."""

    RAISED = "raised"
    TOLD = "told"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    PASSED_ON = "passed_on"
    RESOLVED = "resolved"


class HistoryRow(NamedTuple):
    """One line of the history; `text` is the headline, or for what was passed on to whom."""

    at: float
    alert: str
    what: Happening
    person: str = ""
    channel: str = ""
    text: str = ""


def rows_of(before: Book, after: Book, now: float) -> list[HistoryRow]:
    """Return what one book says that the book before it did not; deliveries write their own lines."""
    known = {alert.id: alert for alert in (*before.resolved, *before.alerts.values())}
    everything = (*after.resolved, *after.alerts.values())
    return [row for alert in everything for row in _of_one(known.get(alert.id), alert, now)]


def _of_one(before: Alert | None, alert: Alert, now: float) -> Iterator[HistoryRow]:
    headline = alert.condition.headline
    if before is None:
        yield HistoryRow(now, alert.id, Happening.RAISED, text=headline)
    if alert.acknowledged_at is not None and (before is None or before.acknowledged_at != alert.acknowledged_at):
        yield HistoryRow(now, alert.id, Happening.ACKNOWLEDGED, alert.acknowledged_by, text=headline)
    if alert.tier > (1 if before is None else before.tier):
        yield HistoryRow(now, alert.id, Happening.ESCALATED, text=f"tier {alert.tier}")
    if alert.resolved_at is not None and (before is None or before.resolved_at is None):
        yield HistoryRow(now, alert.id, Happening.RESOLVED, text=headline)
