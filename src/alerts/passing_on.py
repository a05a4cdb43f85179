"""A message that reaches nobody goes to the next person: one of the same role, else the fallback."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec.structs import replace

from alerts.deliveries import Route, Unreached
from alerts.policy import Note, NoteReason
from alerts.queue import Queue
from alerts.rota import Person, Rota, is_on_duty
from alerts.told import Happening, HistoryRow

PASSED: Final = frozenset({NoteReason.RAISED, NoteReason.NEWS, NoteReason.ESCALATED})
"""What is passed on: nobody needs another's digest, or the end of what they were not told."""


def pass_on(queue: Queue, rota: Rota, routes: Mapping[str, Route], at: datetime, after: timedelta) -> int:
    """Queue every message that has reached nobody for so long once more, for the next person; return how many.

    A person without channels is passed by at once. Whoever is next is asked in turn, each once; the first message
    stays in the queue, for its person's channels may work again.
    """
    count = 0
    for one in queue.unreached(queued_before=(at - after).timestamp()):
        if one.is_passed_on or one.note.reason not in PASSED:
            continue
        asked = queue.asked_for(one.first_person, one.note.alerts, one.first_at)
        heir = next((person for person in _next(rota, one.first_person, at) if _is_able(person, routes, asked)), None)
        with queue.changing() as change:
            change.passed_on(one.note.id)
            if heir is not None:
                count += change.tell(_for(one, heir), routes[heir.name], at.timestamp(), instead_of=one)
                change.happened(
                    HistoryRow(at.timestamp(), alert, Happening.PASSED_ON, one.note.person, text=heir.name)
                    for alert in one.note.alerts
                )
        structlog.get_logger("alerts").warning("alert_passed_on", note=one.note.id, is_taken_up=heir is not None)
    return count


def _is_able(person: Person, routes: Mapping[str, Route], asked: frozenset[str]) -> bool:
    return person.name not in asked and bool(routes.get(person.name, Route(())).channels)


def _next(rota: Rota, first: str, at: datetime) -> Iterator[Person]:
    """Yield whom to turn to: the same role on duty by tier, the same role off duty, the fallback."""
    person = rota.person(first)
    roles = set(person.roles) if person else set()
    same = sorted((one for one in rota.people if roles & set(one.roles)), key=lambda one: one.tier)
    on_duty = [one for one in same if is_on_duty(one, at, rota.time_zone)]
    yield from on_duty
    yield from (one for one in same if one not in on_duty)
    yield from (one for name in rota.fallback if (one := rota.person(name)) is not None)


def _for(one: Unreached, heir: Person) -> Note:
    """Return the message for somebody else, which says whose it was."""
    digest = hashlib.sha256(f"{one.note.id} {heir.name}".encode()).hexdigest()[:24]
    text = f"{one.first_person} could not be reached, so this comes to you.\n\n{_original(one)}"
    return replace(one.note, id=digest, person=heir.name, text=text)


def _original(one: Unreached) -> str:
    """Return the text as it was first, without the line that an earlier passing on put before it."""
    first, _, rest = one.note.text.partition("\n\n")
    return rest if first.startswith(f"{one.first_person} could not be reached") else one.note.text
