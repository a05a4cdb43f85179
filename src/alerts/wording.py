"""A message in words: what is wrong, since when, by when it matters, what to do, whom to ring. No patient, ever."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from alerts.book import Alert, AlertState
from alerts.condition import Condition, Kind, Severity
from alerts.notes import Contents
from alerts.rules import AlertRules
from streams.fold.schedule import zone
from streams.site_time import SiteTime

IN_FULL: Final = 3
"""Up to so many alerts of one sort are told in full in one message; more become a list."""
SORTS: Final = 3
"""Where what to do differs more often than this among one sort, the list says to look at each device."""
_SAY_WHEN: Final = frozenset(Kind) - {
    Kind.QC_FAILED,
    Kind.GATE_HELD,
    Kind.BYPASS,
    Kind.DEVICE_SILENT,
    Kind.DEVICE_PARKED,
    Kind.RETURN_UNDECIDED,
    Kind.NOT_READY,
    Kind.NOT_DELIVERED,
}
"""Kinds whose sentence says since when itself, or for which nothing but the day's beginning could be said."""
_WHERE: Final = {"/due": "due work", "/reviews": "reviews", "/uptime": "uptime"}
"""What the console calls the page on which the rest of a list stands; else it is the board."""
_ORDER: Final = (Severity.URGENT, Severity.PROMPT, Severity.DIGEST)


def written(contents: Contents, at: datetime, rules: AlertRules, time_zone: str) -> tuple[str, str]:
    """Return the subject and the plain text of one message."""
    time = SiteTime(zone(time_zone), at.replace(second=0, microsecond=0))
    alerts = sorted((alert.condition for alert in contents.alerts), key=_urgency)
    endings = sorted({ending for _, ending in contents.over})
    taken = [_taken(alert, time) for alert in contents.taken]
    parts = list(_told(alerts, rules, time))
    parts += ["\n".join(_at_most(lines, rules.max_lines)) for lines in (endings, taken) if lines]
    parts += _untaken(contents.alerts, time)
    return _subject(alerts, endings, time), "\n\n".join(parts) + "\n"


def _urgency(condition: Condition) -> tuple[int, bool, datetime, datetime, str]:
    """Return what sorts alerts: a patient scanned past a held gate before all, then by when it matters."""
    by = condition.needs_by or condition.since
    return (_ORDER.index(condition.severity), condition.kind is not Kind.BYPASS, by, condition.since, condition.key)


def _subject(alerts: Sequence[Condition], endings: Sequence[str], time: SiteTime) -> str:
    """Say the most urgent in a few words, and how much more there is."""
    if not alerts:
        return endings[0].rstrip(".") if len(endings) == 1 else f"{len(endings)} alerts are over"
    groups = list(_by_many(alerts).values())
    first, rest = groups[0], len(alerts) - len(groups[0])
    subject = _counted(first) if len(first) > 1 else (first[0].brief or first[0].headline)
    starts = min((one.needs_by for one in first if one.needs_by is not None), default=None)
    if starts is not None and starts > time.now:
        subject += f", {first[0].needs_what} {time.away(starts)}"
    if not rest:
        return subject
    return f"{subject}, and {rest} more alert" + ("" if rest == 1 else "s")


def _by_many(alerts: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Put together what is told in one line; what has no plural stands alone."""
    groups: defaultdict[str, list[Condition]] = defaultdict(list)
    for one in alerts:
        groups[one.many or one.key].append(one)
    return groups


def _counted(group: Sequence[Condition]) -> str:
    return f"{len(group)} {group[0].many}"


def _told(alerts: Sequence[Condition], rules: AlertRules, time: SiteTime) -> Iterator[str]:
    """Yield a paragraph for each alert, or for each sort where there are many of it."""
    left = rules.max_lines
    is_long = len(alerts) > rules.max_lines
    for group in _by_many(alerts).values():
        if len(group) == 1 or not (is_long or len(group) > IN_FULL):
            yield from (_in_full(condition, time) for condition in group)
            left -= len(group)
            continue
        for like in _alike(group):
            named = like[: max(left, 1)]
            left -= len(named)
            yield "\n".join(_list(like, named, time))


def _in_full(condition: Condition, time: SiteTime) -> str:
    """Tell one alert: what, by when, since when, what to do, whom to ring."""
    first = f"{condition.headline}."
    if condition.needs_by is not None:
        first += f" {_needs_by(condition, time)}."
    lines = [first]
    if condition.kind not in _SAY_WHEN:
        lines.append(f"Since {time.when(condition.since)}.")
    if condition.advice:
        lines.append(f"What to do: {condition.advice}")
    if condition.ring:
        lines.append(f"Whom to ring: {condition.ring}")
    return "\n".join(lines)


def _needs_by(condition: Condition, time: SiteTime) -> str:
    assert condition.needs_by is not None  # noqa: S101 - the callers have checked
    what = condition.needs_what
    verb = "started" if condition.needs_by <= time.now and what == "clinic" else ""
    verb = verb or ("starts" if what == "clinic" else "ends")
    day = time.day(condition.needs_by)
    when = time.clock(condition.needs_by) + ("" if day == "today" else f" {day}")
    return f"{what.capitalize()} {verb} {when}" + (f" ({condition.needs_note})" if condition.needs_note else "")


def _alike(group: Sequence[Condition]) -> list[list[Condition]]:
    """Put together what the same is to be done about; too many sorts of that are one."""
    sorts: defaultdict[str, list[Condition]] = defaultdict(list)
    for one in group:
        sorts[one.advice].append(one)
    return list(sorts.values()) if len(sorts) <= SORTS else [list(group)]


def _list(group: Sequence[Condition], named: Sequence[Condition], time: SiteTime) -> Iterator[str]:
    """Yield how many there are, by when it matters, the first of them a line each, what to do and whom to ring."""
    by = {_needs_by(one, time) if one.needs_by else "" for one in group}
    yield f"{_counted(group)}. {by.pop()}." if len(by) == 1 and by != {""} else f"{_counted(group)}."
    yield from (f"- {_line(one, time, is_timed=len(by) > 0)}" for one in named)
    if len(group) > len(named):
        yield f"- and {len(group) - len(named)} more: see {_WHERE.get(group[0].page, 'the board')}"
    advice = {one.advice for one in group}
    yield f"What to do: {advice.pop() if len(advice) == 1 else 'see the page of each.'}"
    ring = {one.ring for one in group if one.ring}
    if ring:
        yield f"Whom to ring: {ring.pop() if len(ring) == 1 else 'see the page of each.'}"


def _line(condition: Condition, time: SiteTime, *, is_timed: bool) -> str:
    by = f"; {_uncapitalised(_needs_by(condition, time))}" if is_timed and condition.needs_by else ""
    return (condition.line or condition.headline) + by


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _at_most(lines: Sequence[str], most: int) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], *([f"and {more} more: see the board"] if more > 0 else [])]


def _untaken(alerts: Sequence[Alert], time: SiteTime) -> list[str]:
    """Say of what was escalated since when nobody has taken it."""
    told = [one.counted_from for one in alerts if one.state is AlertState.ESCALATED and one.counted_from is not None]
    if not told:
        return []
    some = "them" if len(told) == len(alerts) else f"{len(told)} of these"
    what = "it" if len(alerts) == 1 else some
    return [f"First told at {time.when(min(told))}: nobody has taken {what} yet."]


def _taken(alert: Alert, time: SiteTime) -> str:
    when = f" at {time.when(alert.acknowledged_at)}" if alert.acknowledged_at else ""
    return f"{alert.condition.headline}: {alert.acknowledged_by} has taken it{when}."
