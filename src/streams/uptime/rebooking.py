"""Which requests were refused on the worklist while a device was held or not in use, and were not scanned since."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from streams.messages import RefusedRequest, UtcTime
from streams.policy import ALL_MODES
from streams.uptime.clinic_hours import Period
from streams.uptime.history import NOT_COMMISSIONED, RETIRED, History, Moment


class Refusals(msgspec.Struct, frozen=True):
    """Requests that were refused at one time on one device."""

    refused_at: UtcTime
    requests: tuple[RefusedRequest, ...]


class Seen(msgspec.Struct, frozen=True):
    """What was refused on each device, and when each request was scanned last, on any."""

    refused: Mapping[str, Sequence[Refusals]] = {}
    scanned: Mapping[str, datetime] = {}


class ToRebook(msgspec.Struct, frozen=True):
    """A request to book anew, by its accession number."""

    accession_number: str
    scheduled_at: UtcTime | None
    refused_at: UtcTime
    mode: str = ""


def to_rebook(history: History, seen: Seen, period: Period, now: datetime) -> tuple[ToRebook, ...]:
    """Return the requests refused in a period that were scheduled for a time in which the device was held or away.

    What was scanned after the refusal, on whatever device of the site, is left out; so is what was scheduled for a time
    at which the device was open again. Of what lies ahead, how the device stands now decides.
    """
    found: dict[str, ToRebook] = {}
    for refusals in seen.refused.get(history.device, ()):
        if not period.start <= refusals.refused_at < min(period.end, now):
            continue
        for request in refusals.requests:
            scanned_at = seen.scanned.get(request.accession_number)
            if scanned_at is not None and scanned_at >= refusals.refused_at:
                continue
            if request.scheduled_at is None or _is_held(history.moments, request.mode, request.scheduled_at):
                found.setdefault(
                    request.accession_number,
                    ToRebook(request.accession_number, request.scheduled_at, refusals.refused_at, request.mode),
                )
    return tuple(sorted(found.values(), key=lambda one: (one.scheduled_at or one.refused_at, one.accession_number)))


def _is_held(moments: Sequence[Moment], mode: str, at: datetime) -> bool:
    before = [moment for moment in moments if moment.at <= at]
    if not before:
        return False
    last = before[-1]
    if last.absent in {NOT_COMMISSIONED, RETIRED}:
        return True  # in nobody's clinical use: no mode is told as down then, and none lets a patient through
    held = {down.mode for down in last.down}
    return bool(held) if mode in {"", ALL_MODES} else mode in held
