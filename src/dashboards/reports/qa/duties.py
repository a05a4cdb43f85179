"""On which days QC was due, and on which it was done: by the calendar, the policy and the stage of each day."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from dashboards.reports.qa.figures import Days, DutyLine
from streams.fold.schedule import clinics_on, end_of_day, has_clinic, local_day, start_of_day
from streams.fold.state import VENDOR_QC
from streams.messages import (
    CheckJudged,
    CheckVerdict,
    ClinicCalendarChanged,
    DeviceReconfigured,
    DeviceRegistered,
    StateChanged,
)
from streams.policy import ClinicCalendar, DeviceKind, DevicePolicy, Frequency, PhantomRole
from streams.record.device import DeviceRecord

T = TypeVar("T")
WEEK: Final = 7
IN_USE: Final = "clinical"


class _Due(NamedTuple):
    subject: str
    name: str
    frequency: Frequency


class _Done(NamedTuple):
    day: date
    subject: str
    passed: bool


def policy_at(record: DeviceRecord, at: datetime) -> DevicePolicy | None:
    """Return the policy in force just before an instant."""
    told = [(one.at, one.matter.policy) for one in record.facts_of(DeviceRegistered)]
    told += [(one.at, one.matter.policy) for one in record.facts_of(DeviceReconfigured)]
    return _last(told, at)


def calendar_at(record: DeviceRecord, at: datetime) -> ClinicCalendar | None:
    """Return the clinic calendar in force just before an instant."""
    told = [(one.at, one.matter.calendar) for one in record.facts_of(DeviceRegistered)]
    told += [(one.at, one.matter.calendar) for one in record.facts_of(ClinicCalendarChanged)]
    return _last(told, at)


def _last(told: Iterable[tuple[datetime, T]], before: datetime) -> T | None:
    known = sorted((one for one in told if one[0] < before), key=lambda one: one[0])
    return known[-1][1] if known else None


def duties_in(record: DeviceRecord, first: date, last: date, until: datetime) -> tuple[Days, tuple[DutyLine, ...]]:
    """Return how the days fell and how each duty was met, from the first to the last day as far as time has come."""
    calendar = calendar_at(record, until)
    zone = calendar.time_zone if calendar else "UTC"
    done = _done(record, zone)
    due: dict[_Due, list[date]] = {}
    closed, idle, without = list[tuple[date, str]](), list[date](), 0
    for day in _days(first, last, zone, until):
        policy, calendar = policy_at(record, end_of_day(day, zone)), calendar_at(record, end_of_day(day, zone))
        if policy is None or calendar is None:
            continue
        if not has_clinic(calendar, day):
            why = _closed(calendar, day)
            closed += [(day, why)] if why is not None else []
            without += why is None
        elif (in_use := _in_use(record, calendar, day, until)) is None:
            continue
        elif not in_use:
            idle.append(day)
        else:
            for duty in _duties(policy):
                due.setdefault(duty, []).append(day)
    lines = tuple(_line(duty, days, done) for duty, days in due.items())
    return Days(len({day for days in due.values() for day in days}), tuple(closed), without, tuple(idle)), lines


def _days(first: date, last: date, zone: str, until: datetime) -> Iterator[date]:
    """Yield the days that have begun."""
    day = first
    while day <= last and start_of_day(day, zone) < until:
        yield day
        day += timedelta(days=1)


def _closed(calendar: ClinicCalendar, day: date) -> str | None:
    """Return why a day with a clinic otherwise is closed; None where there is none that weekday."""
    if calendar.clinics and not any(day.weekday() in clinic.weekdays for clinic in calendar.clinics):
        return None
    iso = day.isoformat()
    return next((one.why or "closed" for one in calendar.closures if one.first <= iso <= one.last), None)


def _in_use(record: DeviceRecord, calendar: ClinicCalendar, day: date, until: datetime) -> bool | None:
    """Whether the device was in clinical use in some of the day's clinic; None where that has not begun."""
    zone = calendar.time_zone
    clinics = clinics_on(calendar, day) or [(start_of_day(day, zone), end_of_day(day, zone))]
    begun = [(start, min(end, until)) for start, end in clinics if start < until]
    return any(_clinical(record, start, end) for start, end in begun) if begun else None


def _clinical(record: DeviceRecord, start: datetime, end: datetime) -> bool:
    stages = [(one.at, one.matter.stage) for one in record.outcomes_of(StateChanged) if one.at < end]
    began = [stage for at, stage in stages if at <= start]
    return (bool(began) and began[-1] == IN_USE) or any(stage == IN_USE for at, stage in stages if at > start)


def _duties(policy: DevicePolicy) -> Iterator[_Due]:
    if policy.kind is not DeviceKind.SCANNER:
        for standard in policy.checks.standards:
            yield _Due(standard.standard_id, f"Check with {standard.standard_id}", policy.checks.frequency)
        return
    own = policy.own_phantoms
    if policy.qc.manufacturer_required and not any(one.role is PhantomRole.MANUFACTURER_DAILY for one in own):
        yield _Due(VENDOR_QC, "Manufacturer's daily QC", Frequency.DAILY)
    for phantom in own:
        kind = "Independent phantom" if phantom.role is PhantomRole.INDEPENDENT else "Manufacturer's phantom"
        yield _Due(phantom.patient_id, f"{kind} {phantom.patient_id}", phantom.frequency)


def _done(record: DeviceRecord, zone: str) -> list[_Done]:
    qc = [_Done(local_day(one.measured_at, zone), one.phantom_id, one.verdict.passed) for one in record.qc]
    return qc + [_Done(local_day(one.measured_at, zone), one.standard_id, _passed(one)) for one in record.checks]


def _passed(check: CheckJudged) -> bool:
    """Whether a check passed: near its limit is within it."""
    return check.verdict in {CheckVerdict.PASS, CheckVerdict.WARN}


def _line(duty: _Due, days: Sequence[date], done: Sequence[_Done]) -> DutyLine:
    passed = {one.day for one in done if one.subject == duty.subject and one.passed}
    tried = {one.day for one in done if one.subject == duty.subject} - passed
    reach = WEEK if duty.frequency is Frequency.WEEKLY else 0
    met = [day for day in days if any(day - timedelta(days=n) in passed for n in range(reach + 1))]
    unmet = [day for day in days if day not in met]
    return DutyLine(
        duty.subject,
        duty.name,
        duty.frequency.value,
        len(days),
        len(met),
        tuple(day for day in unmet if day in tried),
        tuple(day for day in unmet if day not in tried),
    )
