"""When a gate would have been held and was not, or the other way round: in hours of clinics."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from streams.uptime.clinic_hours import Period, hours_in
from streams.uptime.history import History, Moment
from streams.what_if.differences import GateDifference, Side


def gate_differences(in_force: History, proposed: History, period: Period) -> tuple[GateDifference, ...]:
    """Return the times of a period in which one set of rules alone held a gate; those without a clinic are left out."""
    clinics = list(hours_in(in_force.moments, period))
    found = []
    for mode, since, until, side in _spans(in_force.moments, proposed.moments, period):
        seconds = sum(
            (min(one.end, until) - max(one.start, since)).total_seconds()
            for one in clinics
            if one.start < until and one.end > since
        )
        if seconds:
            found.append(GateDifference(side, mode, since, until, seconds / 3600.0))
    return tuple(sorted(found, key=lambda one: (one.since, one.mode)))


def _spans(
    in_force: Sequence[Moment], proposed: Sequence[Moment], period: Period
) -> Iterator[tuple[str, datetime, datetime, Side]]:
    """Yield mode, beginning, end and who holds for each time in which the two differ."""
    begun: dict[str, tuple[datetime, Side]] = {}
    for at, one, other in _together(in_force, proposed, period):
        held, would_be = {down.mode for down in one.down}, {down.mode for down in other.down}
        sides = dict.fromkeys(held - would_be, Side.IN_FORCE) | dict.fromkeys(would_be - held, Side.PROPOSED)
        for mode, (since, side) in list(begun.items()):
            if sides.get(mode) is not side:
                yield mode, since, at, side
                del begun[mode]
        for mode, side in sides.items():
            begun.setdefault(mode, (at, side))
    for mode, (since, side) in begun.items():
        yield mode, since, period.end, side


def _together(
    in_force: Sequence[Moment], proposed: Sequence[Moment], period: Period
) -> Iterator[tuple[datetime, Moment, Moment]]:
    """Yield how both stood from each instant on at which either changed, from the period's beginning."""
    changes = sorted({period.start, *(m.at for m in (*in_force, *proposed) if period.start < m.at < period.end)})
    places, stands = [0, 0], [in_force, proposed]
    for at in changes:
        for which, moments in enumerate(stands):
            while places[which] + 1 < len(moments) and moments[places[which] + 1].at <= at:
                places[which] += 1
        if in_force and proposed:
            yield at, in_force[places[0]], proposed[places[1]]
