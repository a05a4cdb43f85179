"""How things stand at one instant: plain values, gathered elsewhere, that conditions are derived from."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from alerts.rota import instant
from streams.fold.schedule import clinics_on, has_clinic, local_day, next_clinic_day
from streams.policy import ClinicCalendar
from streams.readings import DeviceView


class ClinicSpan(NamedTuple):
    """One clinic of one device; `is_assumed` where none is configured and usual hours are taken."""

    starts: datetime
    ends: datetime
    is_assumed: bool = False


class LineView(msgspec.Struct, frozen=True):
    """How a device's serial line stands (see `streams.lines.LineStatus`) and since when, where that is known."""

    state: str
    why: str = ""
    since: datetime | None = None


class DeviceSituation(msgspec.Struct, frozen=True):
    """One device as people see it, with its clinics of today and of the next day that has any, in order.

    `heard_at` is when anything came from the device last, `first_patient_at` the first appointment from now on; None
    where nobody knows: nothing is concluded then.
    """

    view: DeviceView
    clinics: tuple[ClinicSpan, ...] = ()
    line: LineView | None = None
    heard_at: datetime | None = None
    first_patient_at: datetime | None = None


class UptimeStanding(msgspec.Struct, frozen=True):
    """Where a device's uptime stands against its contract since `first`, the first day of the period; percent.

    `covered_hours` is the clinic time that it rests on.
    """

    device: str
    device_name: str
    first: date
    covered_hours: float
    reached_percent: float
    promised_percent: float


class Trouble(msgspec.Struct, frozen=True):
    """Something of the site itself that does not work: a channel that delivers nothing, a log that cannot be written.

    `trouble_id` stays the same while the trouble is the same.
    """

    trouble_id: str
    since: datetime
    headline: str
    advice: str = ""


class Situation(msgspec.Struct, frozen=True):
    """How a site stands at `at`.

    `clock_unkept_since` is from when it was seen that nothing keeps this computer's clock right; None where something
    does, or nobody knows. `not_ready` says why nothing can be recorded, `undelivered` which messages do not get out.
    """

    at: datetime
    time_zone: str
    devices: tuple[DeviceSituation, ...] = ()
    uptime: tuple[UptimeStanding, ...] = ()
    clock_unkept_since: datetime | None = None
    not_ready: Trouble | None = None
    undelivered: tuple[Trouble, ...] = ()


def clinics_ahead(calendar: ClinicCalendar, at: datetime, assumed: tuple[str, str]) -> tuple[ClinicSpan, ...]:
    """Return a device's clinics of today and of the next day that has any, in order, without what is closed.

    Where no clinic is configured the device works every day that is not closed: `assumed` hours are taken then.
    """
    today = local_day(at, calendar.time_zone)
    coming = next_clinic_day(calendar, today + timedelta(days=1))
    return tuple(
        span
        for day in (today, coming)
        if day is not None and has_clinic(calendar, day)
        for span in _clinics(calendar, day, assumed)
    )


def _clinics(calendar: ClinicCalendar, day: date, assumed: tuple[str, str]) -> list[ClinicSpan]:
    if calendar.clinics:
        return [ClinicSpan(start, end) for start, end in clinics_on(calendar, day)]
    start, end = (instant(day, clock, calendar.time_zone) for clock in assumed)
    return [ClinicSpan(start, end, is_assumed=True)]
