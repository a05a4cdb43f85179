"""What every decision shares: the dispatch by command, refusals that recur, drafts."""

from datetime import UTC, date, datetime, timedelta
from functools import singledispatch
from typing import Final

from streams.commands import Command, Decision, Refusal, Request
from streams.fold.schedule import local_day
from streams.fold.state import DeviceState
from streams.messages import Draft, Fact, event_id
from streams.policy import SECONDS_AHEAD_SUSPECT
from streams.roles import Permission, may

STALE: Final = "stale"
FORBIDDEN: Final = "forbidden"
MISSING: Final = "missing"
NOT_NOW: Final = "not_now"

MAX_TEXT: Final = 500
EARLIEST_YEAR: Final = 1990
"""No DXA scanner of today measured anything before."""


@singledispatch
def decided(command: Command, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001 - the dispatch's signature
    """Return the facts that a command becomes, or why it is refused; one function for each kind of command."""
    raise TypeError(f"no decision is written for {type(command).__name__}")


def drafts_from(command: Request, *facts: Fact) -> tuple[Draft, ...]:
    """Return facts with identities of their own request: the same form sent twice counts once."""
    return tuple(
        Draft(event_id("command", command.device, command.request_id, str(place)), command.device, fact)
        for place, fact in enumerate(facts)
    )


def refuse_role(command: Request, permission: Permission) -> Refusal | None:
    """Refuse a person whose role does not permit it."""
    if may(command.actor.role, permission):
        return None
    return Refusal(FORBIDDEN, f"The role {command.actor.role} may not do this.")


def refuse_text(what: str, text: str, *, required: bool = True) -> Refusal | None:
    """Refuse a text that is missing, or too long; `what` names it for people."""
    if required and not text.strip():
        return Refusal(MISSING, f"Give {what}.")
    if len(text) > MAX_TEXT:
        return Refusal(MISSING, f"Keep {what} under {MAX_TEXT} characters.")
    return None


def refuse_time(measured_at: datetime, now: datetime) -> Refusal | None:
    """Refuse a time of measurement that cannot be."""
    if measured_at.tzinfo is None:
        return Refusal(MISSING, "The time of measurement needs a time zone.")
    if measured_at.year < EARLIEST_YEAR:
        return Refusal(MISSING, f"The time of measurement lies before {EARLIEST_YEAR}.")
    if measured_at.astimezone(UTC) > now + timedelta(seconds=SECONDS_AHEAD_SUSPECT):
        return Refusal(MISSING, "The time of measurement lies in the future.")
    return None


def refuse_day(what: str, said: str, state: DeviceState, now: datetime) -> Refusal | None:
    """Refuse a day that is none, lies in the future, or before any scanner of today."""
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return Refusal(MISSING, f"Give {what} as a date, such as {now:%Y-%m-%d}.")
    if day.year < EARLIEST_YEAR:
        return Refusal(MISSING, f"Give {what}: {said} lies before {EARLIEST_YEAR}.")
    if day > local_day(now, state.calendar.time_zone):
        return Refusal(MISSING, f"Give {what}: {said} lies in the future.")
    return None
