"""Escalation by the timetable: what nobody takes goes on to the next tier."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from alerts.book import Alert, AlertState, Book
from alerts.rules import AlertRules


def escalated(book: Book, at: datetime, rules: AlertRules) -> Book:
    """Bring every alert to the tier that it has reached by now; of one that was slept through, all at once."""
    return replace(book, alerts={key: _escalated(alert, at, rules) for key, alert in book.alerts.items()})


def timed(alert: Alert, rules: AlertRules) -> Alert:
    """Return an alert with the time of its next tier."""
    return replace(alert, next_tier_at=next_tier_at(alert, rules))


def next_tier_at(alert: Alert, rules: AlertRules) -> datetime | None:
    """Return when an alert goes on to its next tier; None where it does not.

    A clinic that begins before the first step of the timetable brings that step forward.
    """
    after = rules.timetable(alert.condition.severity).after_minutes
    if not alert.is_open or alert.counted_from is None or alert.tier > len(after):
        return None
    by_timetable = alert.counted_from + timedelta(minutes=after[alert.tier - 1])
    needs_by = alert.condition.needs_by
    if alert.tier > 1 or needs_by is None or needs_by <= alert.counted_from:
        return by_timetable
    return min(by_timetable, max(needs_by, alert.counted_from + timedelta(minutes=rules.soonest_escalation_minutes)))


def _escalated(alert: Alert, at: datetime, rules: AlertRules) -> Alert:
    due = next_tier_at(alert, rules)
    while due is not None and due <= at:
        alert = replace(alert, tier=alert.tier + 1, state=AlertState.ESCALATED)
        due = next_tier_at(alert, rules)
    return timed(alert, rules)
