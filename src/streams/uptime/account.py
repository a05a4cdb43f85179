"""The reckoning of a period: clinic time up, down by cause, planned or not, and time that is neither."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, Self, TypeVar

import msgspec

from streams.messages import ReasonCode
from streams.uptime.causes import PRECEDENCE
from streams.uptime.clinic_hours import Hours, Period, hours_in
from streams.uptime.history import NOT_REGISTERED, History, Moment, Repair, Span

NOT_WATCHED: Final = "not_watched"
CHI_SQUARE_95: Final = 2.9957
"""Half the 95th percentile of chi-square, two degrees of freedom: T hours without failure put MTBF above T over it."""


class Lost(msgspec.Struct, frozen=True):
    """Clinic time lost to one cause: seconds weighted by the share of modes that were held, and appointments."""

    unplanned_s: float = 0.0
    planned_s: float = 0.0
    slots: float = 0.0
    planned_slots: float = 0.0

    def __add__(self, other: "Lost") -> "Lost":
        return Lost(
            self.unplanned_s + other.unplanned_s,
            self.planned_s + other.planned_s,
            self.slots + other.slots,
            self.planned_slots + other.planned_slots,
        )


class Account(msgspec.Struct, frozen=True):
    """A period of one device, or of several summed; seconds of clinic time.

    `covered_s` is clinic time in which a device was in clinical use and watched; `uncounted_s`, by why, is neither up
    nor down. `overridden_s` is time up on somebody's override; so many `overrides` were made at any hour. `going_on`
    are failures from before the period.
    """

    covered_s: float = 0.0
    uncounted_s: dict[str, float] = {}
    lost: dict[ReasonCode, Lost] = {}
    overridden_s: float = 0.0
    failures: int = 0
    going_on: int = 0
    repairs: tuple[Repair, ...] = ()
    overrides: int = 0

    @property
    def unplanned_s(self) -> float:
        """Weighted time lost but to planned service."""
        return sum(lost.unplanned_s for lost in self.lost.values())

    @property
    def planned_s(self) -> float:
        """Weighted time lost to planned service."""
        return sum(lost.planned_s for lost in self.lost.values())

    @property
    def up_s(self) -> float:
        """Weighted time in which patients could be scanned."""
        return max(self.covered_s - self.planned_s - self.unplanned_s, 0.0)

    @property
    def slots(self) -> float:
        """Appointments lost in all, those lost to planned service included."""
        return sum(lost.slots + lost.planned_slots for lost in self.lost.values())

    @property
    def availability(self) -> float | None:
        """Share of the clinic time outside planned service in which the device was up; None where there was none."""
        return _share(self.up_s, self.covered_s - self.planned_s)

    @property
    def availability_with_planned(self) -> float | None:
        """The same with planned service counted as downtime: what patients met."""
        return _share(self.up_s, self.covered_s)

    @property
    def mtbf_s(self) -> float | None:
        """Mean clinic time up between failures; None where there was no failure: then see `mtbf_above_s`."""
        return self.up_s / self.failures if self.failures else None

    @property
    def mtbf_above_s(self) -> float | None:
        """Where there was no failure: what the mean exceeds with 95 % confidence."""
        return None if self.failures or not self.up_s else self.up_s / CHI_SQUARE_95

    def by_cause(self) -> list[tuple[ReasonCode, Lost]]:
        """Return what was lost to each cause, in their order of precedence."""
        order = [*PRECEDENCE, *(code for code in ReasonCode if code not in PRECEDENCE)]
        return [(code, self.lost[code]) for code in order if code in self.lost]

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.covered_s + other.covered_s,
            _summed(self.uncounted_s, other.uncounted_s, 0.0),
            _summed(self.lost, other.lost, Lost()),
            self.overridden_s + other.overridden_s,
            self.failures + other.failures,
            self.going_on + other.going_on,
            self.repairs + other.repairs,
            self.overrides + other.overrides,
        )


_Key = TypeVar("_Key")
_Value = TypeVar("_Value", float, Lost)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _summed(one: dict[_Key, _Value], other: dict[_Key, _Value], nothing: _Value) -> dict[_Key, _Value]:
    return {key: one.get(key, nothing) + other.get(key, nothing) for key in dict.fromkeys((*one, *other))}


class _Sums:
    """Sums in the making."""

    def __init__(self) -> None:
        self.covered_s = 0.0
        self.overridden_s = 0.0
        self.uncounted: defaultdict[str, float] = defaultdict(float)
        self.lost: defaultdict[ReasonCode, Lost] = defaultdict(Lost)

    def add(self, moment: Moment | None, start: datetime, end: datetime, slot_minutes: int, *, watched: bool) -> None:
        seconds = (end - start).total_seconds()
        absent = NOT_REGISTERED if moment is None else moment.absent
        if moment is None or absent or not watched:
            self.uncounted[absent or NOT_WATCHED] += seconds
            return
        self.covered_s += seconds
        self.overridden_s += seconds * len(moment.overridden) / max(len(moment.modes), 1)
        for down in moment.down:
            lost = seconds / len(moment.modes)
            slots = lost / (60.0 * slot_minutes)
            self.lost[down.cause] += (
                Lost(planned_s=lost, planned_slots=slots) if down.is_planned else Lost(unplanned_s=lost, slots=slots)
            )


def account_of(history: History, period: Period, now: datetime) -> Account:
    """Reckon a period of one device, up to `now` at the latest."""
    period = Period(period.start, max(period.start, min(period.end, now)))
    sums = _Sums()
    watched = _without(list(hours_in(history.moments, period)), history.interrupted)
    for moment, (hours, is_watched) in _overlaid(history.moments, watched):
        sums.add(moment, hours.start, hours.end, hours.slot_minutes, watched=is_watched)
    real = [repair for repair in history.repairs if repair.is_failure]
    return Account(
        covered_s=sums.covered_s,
        uncounted_s=dict(sums.uncounted),
        lost=dict(sums.lost),
        overridden_s=sums.overridden_s,
        failures=sum(period.start <= repair.began_at < period.end for repair in real),
        going_on=sum(
            repair.began_at < period.start and (repair.ended_at is None or repair.ended_at > period.start)
            for repair in real
        ),
        repairs=tuple(r for r in real if r.released_at is not None and period.start <= r.released_at < period.end),
        overrides=sum(period.start <= at < period.end for at in history.overrides),
    )


def _without(hours: Iterable[Hours], interrupted: Sequence[Span]) -> list[tuple[Hours, bool]]:
    """Cut clinic hours at the edges of times without watch; say of each piece whether it was watched."""
    gaps = sorted(interrupted)
    pieces = []
    for start, end, slot_minutes in hours:
        edges = {start, end, *(edge for gap in gaps for edge in gap if start < edge < end)}
        for left, right in pairwise(sorted(edges)):
            is_watched = not any(since <= left and right <= until for since, until in gaps)
            pieces.append((Hours(left, right, slot_minutes), is_watched))
    return pieces


def _overlaid(
    moments: Sequence[Moment], pieces: Iterable[tuple[Hours, bool]]
) -> Iterator[tuple[Moment | None, tuple[Hours, bool]]]:
    """Yield each piece of clinic time with how the device was in it; both in order of time."""
    following = 0
    for (start, end, slot_minutes), is_watched in pieces:
        at = start
        while at < end:
            while following < len(moments) and moments[following].at <= at:
                following += 1
            until = min(end, moments[following].at) if following < len(moments) else end
            yield (moments[following - 1] if following else None), (Hours(at, until, slot_minutes), is_watched)
            at = until


class Stages(msgspec.Struct, frozen=True):
    """Mean hours by the clock between the stages of repairs, and of how many; None where none has both ends."""

    attended: tuple[float, int] | None
    fixed: tuple[float, int] | None
    qa_passed: tuple[float, int] | None
    released: tuple[float, int] | None
    whole: tuple[float, int] | None

    @classmethod
    def of(cls, repairs: Sequence[Repair]) -> Self:
        """Return the means over repairs: reported to attended, to fixed, to QA passed, to released, and all of it.

        Where nobody attended, or nothing was noted as fixed, the next stage counts from the last one that is on record.
        """
        return cls(
            attended=_mean((r.reported_at, r.attended_at) for r in repairs),
            fixed=_mean((r.attended_at or r.reported_at, r.fixed_at) for r in repairs),
            qa_passed=_mean((r.fixed_at or r.attended_at or r.reported_at, r.qa_passed_at) for r in repairs),
            released=_mean((r.qa_passed_at, r.released_at) for r in repairs),
            whole=_mean((r.reported_at, r.released_at) for r in repairs),
        )


def _mean(spans: Iterable[tuple[datetime | None, datetime | None]]) -> tuple[float, int] | None:
    hours = [(end - start).total_seconds() / 3600 for start, end in spans if start is not None and end is not None]
    return (sum(hours) / len(hours), len(hours)) if hours else None
