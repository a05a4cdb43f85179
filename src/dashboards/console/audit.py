"""The audit page: who used what and did what on a day, and whether the record of use is whole."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import ServiceUnavailableException, ValidationException
from litestar.params import FromQuery

from dashboards.access.needs import ON_RECORD
from dashboards.audit.trail import AuditEntry, AuditError, AuditTrail
from dashboards.auth import Visit, require
from dashboards.console import log_words
from dashboards.console.templates import page
from dashboards.context import Console
from streams.readings import DeviceView
from streams.roles import Permission

SHOWN: Final = 500
LOOKED_AT: Final = 2000
"""Entries of one device's log that are gone through for a day."""

_IN_WORDS: Final = {("POST", "/sign-in"): "Sign-in", ("POST", "/sign-out"): "Sign-out"}


class Line(NamedTuple):
    """One line of the audit: a use that is on record, or something that was recorded about a device."""

    at: datetime
    who: str
    what: str
    about: str
    more: str
    is_use: bool


@get("/audit", opt=ON_RECORD, sync_to_thread=True)
def audit_page(
    console: NamedDependency[Console],
    request: Visit,
    *,
    day: FromQuery[str] = "",
    person: FromQuery[str] = "",
    device: FromQuery[str] = "",
    verify: FromQuery[bool] = False,
) -> Response[Any]:
    """Show a day, today unless another is chosen, of one person or device or of all."""
    require(request, Permission.READ_AUDIT)
    chosen = _day(console, day)
    views = [view for view in console.readings.devices() if device in {"", view.id}]
    try:
        everything = sorted([*_uses(console, chosen, device), *_done(console, chosen, views)], key=lambda one: one.at)
        verified = _trail(console).verified() if verify else None
    except AuditError as error:
        raise ServiceUnavailableException(str(error)) from error
    lines = [one for one in everything if person in {"", one.who}]
    return page(
        console,
        request,
        "audit.html",
        lines=lines[::-1][:SHOWN],
        left_out=max(0, len(lines) - SHOWN),
        people=sorted({one.who for one in everything if one.who} | ({person} if person else set())),
        devices=console.readings.devices(),
        day=chosen,
        person=person,
        device=device,
        verified=verified,
        question={"day": chosen.isoformat(), "person": person, "device": device, "verify": "true"},
    )


def _trail(console: Console) -> AuditTrail:
    if console.audit is None:
        raise AuditError("This application keeps no record of use")
    return console.audit


def _uses(console: Console, day: date, device: str) -> Iterator[Line]:
    since, until = _bounds(console, day)
    for entry in _trail(console).between(since, until):
        about = entry.subject.get("device_id", "")
        if device in {"", about}:
            yield Line(entry.at, entry.who, _used(entry), about, _shown(entry), is_use=True)


def _used(entry: AuditEntry) -> str:
    """Say what was asked for and how it went."""
    went = "" if entry.status < 400 else f", refused ({entry.status})"
    return f"{_IN_WORDS.get((entry.method, entry.route), f'{entry.method} {entry.route}')}{went}"


def _shown(entry: AuditEntry) -> str:
    """Say by which way, what it was about, and which measurements were shown."""
    about = ", ".join(f"{name} {value}" for name, value in entry.subject.items() if name != "device_id")
    count = len(entry.shown)
    shown = f"{count} measurement{'' if count == 1 else 's'} shown: {', '.join(entry.shown)}" if count else ""
    asked = f"asked by {', '.join(entry.query)}" if entry.query else ""
    return "; ".join(filter(None, (about, asked, shown, f"{entry.way} from {entry.address}" if entry.way else "")))


def _done(console: Console, day: date, views: Sequence[DeviceView]) -> Iterator[Line]:
    since, until = _bounds(console, day)
    for view in views:
        for item in console.equipment_log.items(view.id, limit=LOOKED_AT):
            told = log_words.said(item)
            if since <= item.at < until and told.by is not None:
                yield Line(item.at, told.by.name, told.title, view.id, told.text, is_use=False)


def _bounds(console: Console, day: date) -> tuple[datetime, datetime]:
    def begins(one: date) -> datetime:
        return datetime.combine(one, time(), console.settings.zone).astimezone(UTC)

    return begins(day), begins(day + timedelta(days=1))


def _day(console: Console, text: str) -> date:
    if not text:
        return console.time.now.date()
    try:
        chosen = date.fromisoformat(text)
    except ValueError as error:
        raise ValidationException("A day is written as year, month and day, such as 2026-11-20") from error
    if not 2000 <= chosen.year < 9999:
        raise ValidationException("There is no record of that day")
    return chosen


audit_handlers = (audit_page,)
