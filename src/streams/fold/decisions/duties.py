"""Recording that work that comes round was done."""

from datetime import date, datetime, timedelta
from typing import Final

from streams.commands import Decision, RecordDuty, Refusal
from streams.fold.decisions.base import (
    EARLIEST_YEAR,
    MISSING,
    NOT_NOW,
    decided,
    drafts_from,
    refuse_role,
    refuse_text,
)
from streams.fold.due_dates import day_of
from streams.fold.schedule import local_day
from streams.fold.state import DeviceState
from streams.messages import DutyDone
from streams.policy import Duty, DutyKind
from streams.roles import Permission

MAX_VALID_YEARS: Final = 30
"""A certificate that is valid for longer is a slip of the pen."""


@decided.register
def _record_duty(command: RecordDuty, state: DeviceState, now: datetime) -> Decision:
    refusal = refuse_role(command, Permission.RECORD_DUTY)
    if refusal or state.policy is None:
        return refusal or Refusal(NOT_NOW, "This device has no configuration yet.")
    if state.stage == "retired":
        return Refusal(NOT_NOW, "It is retired from service: nothing is due on it any more.")
    duty = state.policy.duty(command.duty_id)
    if duty is None:
        known = ", ".join(one.duty_id for one in state.policy.duties) or "none is configured"
        return Refusal(MISSING, f"{command.duty_id or 'Nothing'} is no due work of this device; there is: {known}.")
    done_on = _done_on(command.done_on, local_day(now, state.calendar.time_zone))
    if isinstance(done_on, Refusal):
        return done_on
    valid_until = _valid_until(command.valid_until, duty, done_on)
    if isinstance(valid_until, Refusal):
        return valid_until
    refusal = (
        _recorded_before(state, duty, done_on, valid_until)
        or refuse_text("who did it", command.done_by)
        or refuse_text("the note", command.note, required=False)
        or refuse_text("the number of the report or certificate", command.reference, required=False)
    )
    return refusal or drafts_from(
        command,
        DutyDone(
            duty_id=duty.duty_id,
            done_on=done_on.isoformat(),
            done_by=command.done_by.strip(),
            recorded_by=command.actor,
            valid_until=valid_until.isoformat() if valid_until else "",
            note=command.note.strip(),
            reference=command.reference.strip(),
        ),
    )


def _done_on(text: str, today: date) -> date | Refusal:
    day = day_of(text.strip())
    if day is None:
        return Refusal(MISSING, "Give the day on which it was done, such as 2026-11-23.")
    if day > today:
        return Refusal(MISSING, f"{day.isoformat()} lies in the future: record it when it is done.")
    if day.year < EARLIEST_YEAR:
        return Refusal(MISSING, f"{day.isoformat()} lies before {EARLIEST_YEAR}.")
    return day


def _valid_until(text: str, duty: Duty, done_on: date) -> date | Refusal | None:
    is_certificate, day = duty.kind is DutyKind.CERTIFICATE, day_of(text.strip())
    words = ""
    if not text.strip():
        if is_certificate and duty.every <= 0:
            words = "Give the day until which the new certificate is valid: it is due again then."
    elif not is_certificate:
        words = "Only a certificate is valid until a day of its own; leave that empty."
    elif day is None:
        words = "Give the day until which the certificate is valid, such as 2028-11-23."
    elif day <= done_on:
        words = "The certificate would be valid until before it was renewed: check both days."
    elif day > done_on + timedelta(days=366 * MAX_VALID_YEARS):
        words = f"A certificate is not valid for more than {MAX_VALID_YEARS} years: check the day."
    return Refusal(MISSING, words) if words else day


def _recorded_before(state: DeviceState, duty: Duty, done_on: date, valid_until: date | None) -> Refusal | None:
    kept = state.duties.get(duty.duty_id)
    until = valid_until.toordinal() if valid_until else 0
    if kept is not None and (kept.done, kept.until) == (done_on.toordinal(), until):
        return Refusal(NOT_NOW, f"It is on record already that this was done on {done_on.isoformat()}.")
    return None
