"""Work that comes round: what a completion covers, how each duty stands, and what is due when, for people.

Done late, or on the day, it covers every due day up to then, and the next stays where it was. Done before, and nothing
else outstanding, it covers the next due day if that lies within the days in which it is due soon; earlier than that it
stands in the record and covers nothing.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.due import URGENCY, DueItem, QcKind
from streams.fold.due_dates import day_of, due_after, due_up_to
from streams.fold.schedule import end_of_day, local_day, next_clinic_day, start_of_day
from streams.fold.state import VENDOR_QC, DeviceState, DutyKept, earliest
from streams.messages import DutyChanged, DutyDone, DutyStanding, Event, Reason, ReasonCode
from streams.policy import ClinicCalendar, DeviceKind, DevicePolicy, Duty, Frequency, PhantomRole

QC_WARN_DAYS: Final = 2
"""So many days before a weekly QC or check is due it is due soon; local policy."""
YEARS: Final = range(1990, 2201)
"""Years in which work can have been done, or be due."""
WEEK: Final = 7


def done(state: DeviceState, fact: DutyDone, event: Event) -> DeviceState:
    """Remember that work was done; a date that cannot be, or before the latest, moves nothing."""
    duty = state.policy.duty(fact.duty_id) if state.policy else None
    day = day_of(fact.done_on)
    today = local_day(event.recorded_at, state.calendar.time_zone)
    if duty is None or day is None or day.year not in YEARS or day > today:
        return state
    kept = state.duties.get(duty.duty_id, DutyKept())
    if day.toordinal() < kept.done:
        return state
    is_same_day = day.toordinal() == kept.done  # told twice, or its certificate's day put right: it counts once
    covers = kept.covers if is_same_day else _covered(duty, state.calendar, kept, day)
    until = day_of(fact.valid_until) if fact.valid_until else None
    named = until.toordinal() if until is not None and until.year in YEARS else 0
    return _with(state, duty, replace(kept, done=day.toordinal(), covers=covers, until=named))


def _covered(duty: Duty, calendar: ClinicCalendar, kept: DutyKept, day: date) -> int:
    """Return the ordinal of the last due day that work done on `day` has done with."""
    if duty.every <= 0:
        first = day_of(duty.first_due)
        return max(kept.covers, first.toordinal() if first else 0)
    up_to = due_up_to(duty, calendar, day)
    if up_to is not None and up_to.toordinal() > kept.covers:
        return up_to.toordinal()
    coming = due_after(duty, calendar, _date(kept.covers))
    is_early = coming is not None and coming > day and coming - day <= timedelta(days=duty.warn_days)
    if coming is not None and is_early and kept.covers <= day.toordinal():
        return coming.toordinal()
    return kept.covers


def due_on(duty: Duty, calendar: ClinicCalendar, kept: DutyKept) -> date | None:
    """Return the day on which work is due next, or was and is outstanding; None where it is due no more.

    A certificate that names its own day is due then; where the configuration of one that is due once has been given a
    later day since, on that.
    """
    coming = due_after(duty, calendar, _date(kept.covers))
    until = _date(kept.until)
    if until is None or (duty.every <= 0 and coming is not None and coming > until):
        return coming
    return until


class _Times(NamedTuple):
    """The instants at which the standing of work changes."""

    soon: datetime
    due: datetime
    overdue: datetime

    def standing(self, now: datetime) -> DutyStanding:
        if now >= self.overdue:
            return DutyStanding.OVERDUE
        if now >= self.due:
            return DutyStanding.DUE
        return DutyStanding.DUE_SOON if now >= self.soon else DutyStanding.OK

    def next_after(self, now: datetime) -> datetime | None:
        return earliest(*(at for at in self if at > now))


def _times(day: date, warn_days: int, grace_days: int, time_zone: str) -> _Times:
    return _Times(
        start_of_day(day - timedelta(days=warn_days), time_zone),
        start_of_day(day, time_zone),
        end_of_day(day + timedelta(days=grace_days), time_zone),
    )


def _standings(state: DeviceState, policy: DevicePolicy) -> Iterator[tuple[Duty, DutyKept, date | None, _Times | None]]:
    for duty in policy.duties if state.stage != "retired" else ():
        kept = state.duties.get(duty.duty_id, DutyKept())
        day = due_on(duty, state.calendar, kept)
        zone = state.calendar.time_zone
        yield duty, kept, day, _times(day, duty.warn_days, duty.grace_days, zone) if day else None


def refreshed(state: DeviceState, now: datetime) -> tuple[DeviceState, tuple[DutyChanged, ...], datetime | None]:
    """Bring the standing of all due work up to `now`; return what changed, and when time alone changes it next."""
    if state.policy is None or state.parked is not None or not (state.policy.duties or state.duties):
        return state, (), None
    duties, changes, times = {}, list[DutyChanged](), list[datetime | None]()
    for duty, kept, day, at in _standings(state, state.policy):
        standing = at.standing(now) if at else DutyStanding.OK
        due = day.toordinal() if day else 0
        if (standing, due) != (kept.standing, kept.due):
            due_at = end_of_day(day, state.calendar.time_zone) if day else None
            changes.append(DutyChanged(duty.duty_id, standing, due_at, _iso(kept.done)))
        duties[duty.duty_id] = replace(kept, standing=standing, due=due)
        times.append(at.next_after(now) if at else None)
    return replace(state, duties=duties), tuple(changes), earliest(*times)


def holding(state: DeviceState, policy: DevicePolicy, now: datetime) -> Iterator[tuple[Reason | None, datetime | None]]:
    """Yield the reason of each duty that holds the gate when it is overdue (or None), and when it will be."""
    if not any(duty.holds for duty in policy.duties):
        return
    for duty, _, day, at in _standings(state, policy):
        if not duty.holds or day is None or at is None:
            continue
        if now >= at.overdue:
            text = f"{duty.name}: overdue since {day.day} {day:%B %Y}"
            yield Reason(ReasonCode.DUTY_OVERDUE, text, "Have it done, and record it as done."), None
        else:
            yield None, at.overdue


def without_future(state: DeviceState, now: datetime) -> DeviceState:
    """Forget what was done on days that have not come: the clock had run ahead."""
    today = local_day(now, state.calendar.time_zone).toordinal()
    duties = {name: kept if kept.done <= today else DutyKept() for name, kept in state.duties.items()}
    return replace(state, duties=duties)


def unpublished(state: DeviceState) -> DeviceState:
    """Let how due work stands be published anew."""
    return replace(state, duties={name: replace(kept, standing=None) for name, kept in state.duties.items()})


# --- for people --------------------------------------------------------------------------------------------


def due_list(state: DeviceState, now: datetime) -> tuple[DueItem, ...]:
    """Return all that comes round on a device, QC and checks too, as it stands at `now`; the most urgent first."""
    if state.policy is None or state.stage == "retired":
        return ()
    items = [*_qc_items(state, state.policy, now), *_duty_items(state, state.policy, now)]
    return tuple(sorted(items, key=lambda item: (URGENCY.index(item.standing), item.due_on or date.max)))


def _duty_items(state: DeviceState, policy: DevicePolicy, now: datetime) -> Iterator[DueItem]:
    for duty, kept, day, at in _standings(state, policy):
        standing = at.standing(now) if at else DutyStanding.OK
        yield DueItem(duty.kind, duty.name, standing, day, _date(kept.done), duty.duty_id, duty.holds)


class _Qc(NamedTuple):
    """A QC or check: how often it is due, how many days it may be late, and when it passed last."""

    kind: QcKind
    name: str
    passed_at: datetime | None
    frequency: Frequency
    grace_days: int


def _qcs(state: DeviceState, policy: DevicePolicy) -> Iterator[_Qc]:
    if policy.kind is not DeviceKind.SCANNER:
        rules = policy.checks
        for standard in rules.standards:
            check = state.checks.get(standard.standard_id)
            name, passed_at = f"Check with {standard.standard_id}", check.passed_at if check else None
            yield _Qc(QcKind.CHECK, name, passed_at, rules.frequency, rules.grace_days)
        return
    own = policy.own_phantoms
    if policy.qc.manufacturer_required and not any(p.role is PhantomRole.MANUFACTURER_DAILY for p in own):
        passed_at = state.chart(VENDOR_QC).head.passed_at
        yield _Qc(QcKind.MANUFACTURER_QC, "Manufacturer's daily QC", passed_at, Frequency.DAILY, 0)
    for phantom in own:
        kind = QcKind.INDEPENDENT_QC if phantom.role is PhantomRole.INDEPENDENT else QcKind.MANUFACTURER_QC
        name, passed_at = f"Phantom {phantom.patient_id}", state.chart(phantom.patient_id).head.passed_at
        yield _Qc(kind, name, passed_at, phantom.frequency, policy.qc.independent_grace_days)


def _qc_items(state: DeviceState, policy: DevicePolicy, now: datetime) -> Iterator[DueItem]:
    """Yield how each QC stands: a daily one is due on each clinic day, a weekly one seven days after its pass."""
    zone = state.calendar.time_zone
    for qc in _qcs(state, policy):
        passed, is_weekly = local_day(qc.passed_at, zone) if qc.passed_at else None, qc.frequency is Frequency.WEEKLY
        day: date | None
        if passed is not None and is_weekly:
            day = passed + timedelta(days=WEEK)
        else:
            day = next_clinic_day(state.calendar, passed + timedelta(days=1) if passed else local_day(now, zone))
        warn_days, grace_days = (QC_WARN_DAYS, qc.grace_days) if is_weekly else (0, 0)
        at = _times(day, warn_days, grace_days, zone) if day else None
        yield DueItem(qc.kind, qc.name, at.standing(now) if at else DutyStanding.OK, day, passed, holds=True)


def _with(state: DeviceState, duty: Duty, kept: DutyKept) -> DeviceState:
    return replace(state, duties=state.duties | {duty.duty_id: kept})


def _date(ordinal: int) -> date | None:
    return date.fromordinal(ordinal) if ordinal > 0 else None


def _iso(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat() if ordinal > 0 else ""
