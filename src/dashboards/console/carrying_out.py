"""Carries out what somebody asks for, whether a page's form or a program asked."""

from typing import Final

import msgspec

from dashboards.console.action import Action, Asked
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.sessions import Session
from streams.commands import Command, Refusal
from streams.fold.decisions import FORBIDDEN, NOT_NOW, STALE
from streams.readings import DeviceView
from streams.site import EventConflictError, SiteUnavailableError

DONE: Final = 200

_STATUS_OF_REFUSAL: Final = {STALE: 409, NOT_NOW: 409, FORBIDDEN: 403}
"""By the refusal's code; anything else is 422: something is missing."""


_SENT_BEFORE: Final = Refusal(
    STALE, "This form was sent before with other content, which is in the record. Nothing new was recorded."
)


class CarriedOut(msgspec.Struct, frozen=True):
    """How it went: an HTTP status and perhaps a refusal; what is wrong with a field stands with the values.

    `device_seq` is how far the device's log reaches with what was recorded; 0 where nothing was.
    """

    status: int
    refusal: Refusal | None = None
    device_seq: int = 0

    @property
    def is_done(self) -> bool:
        """Whether it is in the record."""
        return self.status == DONE


def carry_out(console: Console, action: Action, view: DeviceView, session: Session, typed: Typed) -> CarriedOut:
    """Do it once, or say what is missing; the values name the request and the state of the device it was made for."""
    expected = typed.values.get("expected_device_seq", "")
    if not expected.isdecimal() or len(expected) > 18:
        typed.errors["expected_device_seq"] = "This form is not complete. Check it and send it again."
    command = action.command(asked_by(view, session, typed), typed, view)
    if not typed.errors:
        command = action.prepare(console, view, typed, command)
    if typed.errors:
        return CarriedOut(422)
    done = execute(console, command, int(expected))
    if done.refusal is _SENT_BEFORE:
        typed.values.pop("request_id", None)
    return done


def execute(console: Console, command: Command, expected_device_seq: int) -> CarriedOut:
    """Ask the site for it; say in words what it was refused for."""
    try:
        result = console.site.execute(command, expected_device_seq=expected_device_seq)
    except EventConflictError:
        return CarriedOut(409, _SENT_BEFORE)
    except SiteUnavailableError:
        text = "Nothing was recorded: the record cannot be written now. Try again in a moment."
        return CarriedOut(503, Refusal("unavailable", text))
    if isinstance(result, Refusal):
        return CarriedOut(_STATUS_OF_REFUSAL.get(result.code, 422), result)
    return CarriedOut(DONE, device_seq=max((event.device_seq for event in result.events), default=0))


def asked_by(view: DeviceView, session: Session, typed: Typed) -> Asked:
    """Return who asks for what device, and the request's own name; one that is none is noted with the values."""
    request_id = typed.values.get("request_id", "")
    if not (request_id.isalnum() and request_id.isascii() and 16 <= len(request_id) <= 64):
        typed.errors["request_id"] = "This form is not complete. Check it and send it again."
    return Asked(view.device, session.person, request_id)
