"""The overrides of a period: who opened a held gate, why, and for how long it was open by that. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from dashboards.reports.qa.figures import OverrideLine
from streams.messages import GateChanged, GateOverridden, GateStatus
from streams.record.device import DeviceRecord
from streams.uptime.clinic_hours import Period

HOUR: Final = 3600.0

Span = tuple[datetime, datetime]


def overrides_in(record: DeviceRecord, period: Period) -> Iterator[OverrideLine]:
    """Yield the overrides that were made in a period; each is over when the next is made, and by the end of its day."""
    told = list(record.facts_of(GateOverridden))
    spans = _spans(record, period.end)
    for place, (at, _, fact) in enumerate(told):
        if not period.start <= at < period.end:
            continue
        following = told[place + 1].at if place + 1 < len(told) else period.end
        yield OverrideLine(
            at=at,
            by=fact.overridden_by.name,
            role=fact.overridden_by.role,
            advised_by=fact.advised_by,
            by_telephone=fact.by_telephone,
            codes=fact.codes,
            reason=fact.reason,
            until=fact.until,
            open_hours=round(_seconds(spans, at, min(following, fact.until, period.end)) / HOUR, 4),
        )


def _spans(record: DeviceRecord, end: datetime) -> list[Span]:
    """Return when the gate of each mode was open by override, in order; what goes on ends with the period."""
    began: dict[str, datetime] = {}
    spans: list[Span] = []
    for _, _, gate in record.outcomes_of(GateChanged):
        if gate.status is GateStatus.OVERRIDDEN:
            began.setdefault(gate.mode, gate.since)
        elif gate.mode in began:
            spans.append((began.pop(gate.mode), gate.since))
    return sorted([*spans, *((since, end) for since in began.values())])


def _seconds(spans: Iterable[Span], start: datetime, end: datetime) -> float:
    """Return how long a gate was open by override between two times; two modes at once count once."""
    seconds, reached = 0.0, start
    for since, until in spans:
        begin, stop = max(since, reached), min(until, end)
        if begin < stop:
            seconds, reached = seconds + (stop - begin).total_seconds(), stop
    return seconds


def hours_of(overrides: Iterable[OverrideLine]) -> float:
    """Return the hours of several overrides together."""
    return round(sum(one.open_hours for one in overrides), 4)
