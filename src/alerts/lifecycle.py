"""An alert from raised to resolved: the book brought in line with what is found now."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from alerts.book import Alert, AlertState, Book
from alerts.condition import Condition, Findings, Severity
from alerts.rules import RESOLVED_KEPT, AlertRules

_URGENCY: Final = {Severity.DIGEST: 0, Severity.PROMPT: 1, Severity.URGENT: 2}


def brought_up(book: Book, findings: Findings, at: datetime, rules: AlertRules) -> Book:
    """Raise what is new, note news, and resolve what has not been found for as long as it takes to believe it."""
    alerts: dict[str, Alert] = {}
    for condition in findings.conditions:
        known = book.alerts.get(condition.key)
        alerts[condition.key] = _raised(condition, at) if known is None else _found(known, condition, at)
    over: list[Alert] = []
    for key, alert in book.alerts.items():
        if key in alerts:
            continue
        gone_at = alert.gone_at or at
        if findings.is_partial:
            alerts[key] = replace(alert, gone_at=None)
        elif at < gone_at + timedelta(minutes=rules.settle_minutes):
            alerts[key] = replace(alert, gone_at=gone_at)
        else:
            over.append(_resolved(alert, gone_at))
    resolved = [_still_owed(alert, findings, alerts) for alert in (*book.resolved, *over)]
    return replace(book, alerts=alerts, resolved=tuple(resolved[-RESOLVED_KEPT:]))


def set_back(book: Book, at: datetime) -> Book:
    """Let a book that has seen a later time go on from `at`: what it waits for waits no longer than before."""
    if book.stepped_at is None or at >= book.stepped_at:
        return book
    by = book.stepped_at - at
    return replace(
        book,
        alerts={key: _set_back(alert, by) for key, alert in book.alerts.items()},
        gathering={person: since - by for person, since in book.gathering.items()},
    )


def _set_back(alert: Alert, by: timedelta) -> Alert:
    return replace(
        alert,
        news_at=alert.news_at - by,
        counted_from=alert.counted_from - by if alert.counted_from else None,
        next_tier_at=alert.next_tier_at - by if alert.next_tier_at else None,
        gone_at=alert.gone_at - by if alert.gone_at else None,
    )


def _raised(condition: Condition, at: datetime) -> Alert:
    digest = hashlib.sha256(f"{condition.key} {at.isoformat()}".encode()).hexdigest()[:12]
    return Alert(id=digest, condition=condition, raised_at=at, news_at=at, known=tuple(sorted(condition.parts)))


def _found(alert: Alert, condition: Condition, at: datetime) -> Alert:
    """Return an alert whose condition stands; news raises again what somebody had taken."""
    news = condition.parts - set(alert.known)
    is_worse = _URGENCY[condition.severity] > _URGENCY[alert.condition.severity]
    alert = replace(
        alert,
        condition=condition,
        gone_at=None,
        counted_from=at if is_worse and alert.counted_from is not None else alert.counted_from,
    )
    if not news:
        return alert
    alert = replace(alert, known=(*alert.known, *sorted(news)), news_at=at)
    if alert.state is not AlertState.ACKNOWLEDGED:
        return alert
    return replace(
        alert,
        state=AlertState.RAISED,
        acknowledged_by="",
        acknowledged_at=None,
        counted_from=None,
        told_taken=(),
    )


def _resolved(alert: Alert, gone_at: datetime) -> Alert:
    return replace(
        alert, state=AlertState.RESOLVED, resolved_at=gone_at, next_tier_at=None, owed=tuple(alert.urgently_told)
    )


def _still_owed(alert: Alert, findings: Findings, alerts: dict[str, Alert]) -> Alert:
    """Owe nobody a word that would not be true now: the condition is back, or nothing says that all is well."""
    key = alert.condition.key
    if alert.owed and (key in alerts or key not in findings.endings):
        return replace(alert, owed=())
    return alert
