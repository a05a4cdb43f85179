"""Who is told what now: each person's news gathered into one message, and the book of what was told."""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from alerts.book import Alert, AlertState, Book
from alerts.condition import Findings, Severity
from alerts.digest import digest_at
from alerts.escalation import timed
from alerts.notes import Contents, Note, NoteReason, note_id
from alerts.recipients import Look, reaches_nobody, recipients
from alerts.rota import Person
from alerts.wording import written

OVER: Final = "over"
"""Stands for the news that an alert is over, in the identity of a message."""

Concerned = dict[str, tuple[str, ...]]
"""By alert key: the names of those whom it concerns now."""


def told(book: Book, findings: Findings, look: Look) -> tuple[Book, tuple[Note, ...]]:
    """Gather what each person is to be told; return the messages whose time has come, and the book that knows of them.

    The time of gathering begins with the first of what there is to tell, however much follows.
    """
    concerned = {
        key: tuple(person.name for person in recipients(alert, look))
        for key, alert in book.alerts.items()
        if alert.is_open
    }
    notes: list[Note] = []
    gathering: dict[str, datetime] = {}
    for person in look.rota.people:
        contents = _to_tell(book, findings, person, concerned, look)
        if not contents.alerts and not contents.over:
            continue
        since = book.gathering.get(person.name, look.at)
        if look.at < since + timedelta(seconds=look.rules.group_seconds):
            gathering[person.name] = since
            continue
        notes.append(_note(person, contents, look))
        book = _noted(book, person.name, contents, look)
    alerts = {
        key: replace(alert, reaches_nobody=alert.is_open and reaches_nobody(alert, look.rota))
        for key, alert in book.alerts.items()
    }
    return replace(book, alerts=alerts, gathering=gathering), tuple(notes)


def _to_tell(book: Book, findings: Findings, person: Person, concerned: Concerned, look: Look) -> Contents:
    """Return what somebody is to be told now; of what waits for the end of quiet hours, nothing yet."""
    is_quiet = look.is_quiet(person)
    alerts = tuple(
        alert
        for key, alert in book.alerts.items()
        if person.name in concerned.get(key, ())
        and alert.untold(person.name)
        and _may_be_told(alert, look, is_quiet=is_quiet)
    )
    over = tuple(
        (alert, findings.endings[alert.condition.key])
        for alert in book.resolved
        if person.name in alert.owed and not is_quiet
    )
    taken = tuple(
        alert
        for alert in book.alerts.values()
        if alert.state is AlertState.ACKNOWLEDGED
        and person.name in alert.told
        and person.name not in (alert.acknowledged_by, *alert.told_taken)
    )
    return Contents(alerts, over, taken)


def _may_be_told(alert: Alert, look: Look, *, is_quiet: bool) -> bool:
    severity = alert.condition.severity
    if severity is Severity.URGENT:
        return True
    if is_quiet or severity is Severity.PROMPT:
        return not is_quiet
    return look.at >= digest_at(alert.news_at, look.rules, look.rota.time_zone)


def _note(person: Person, contents: Contents, look: Look) -> Note:
    news = [(alert.id, word) for alert in contents.alerts for word in alert.untold(person.name)]
    over = [(alert.id, OVER) for alert, _ in contents.over]
    subject, text = written(contents, look.at, look.rules, look.rota.time_zone)
    return Note(
        id=note_id(person.name, [*news, *over]),
        person=person.name,
        reason=_reason(person, contents),
        alerts=tuple(alert.id for alert in (*contents.alerts, *(alert for alert, _ in contents.over))),
        subject=subject,
        text=text,
        urgent=any(alert.condition.severity is Severity.URGENT for alert in contents.alerts),
    )


def _reason(person: Person, contents: Contents) -> NoteReason:
    if not contents.alerts:
        return NoteReason.RESOLVED
    if all(alert.condition.severity is Severity.DIGEST for alert in contents.alerts):
        return NoteReason.DIGEST
    new = [alert for alert in contents.alerts if person.name not in alert.told]
    if any(alert.state is AlertState.ESCALATED and alert.told for alert in new):
        return NoteReason.ESCALATED
    return NoteReason.RAISED if new else NoteReason.NEWS


def _noted(book: Book, name: str, contents: Contents, look: Look) -> Book:
    """Enter in the book what somebody has been told."""
    alerts = dict(book.alerts)
    for alert in contents.alerts:
        alerts[alert.condition.key] = _with_told(alert, name, look)
    for alert in contents.taken:
        alerts[alert.condition.key] = replace(alert, told_taken=(*alert.told_taken, name))
    over = {alert.id for alert, _ in contents.over}
    resolved = tuple(
        replace(alert, owed=tuple(one for one in alert.owed if one != name)) if alert.id in over else alert
        for alert in book.resolved
    )
    return replace(book, alerts=alerts, resolved=resolved)


def _with_told(alert: Alert, name: str, look: Look) -> Alert:
    is_urgent = alert.condition.severity is Severity.URGENT and name not in alert.urgently_told
    return timed(
        replace(
            alert,
            told=alert.told | {name: (*alert.told.get(name, ()), *sorted(alert.untold(name)))},
            urgently_told=(*alert.urgently_told, name) if is_urgent else alert.urgently_told,
            counted_from=alert.counted_from or look.at,
        ),
        look.rules,
    )
