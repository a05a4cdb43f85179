"""What cannot be in the rules of alerts, in words for whoever wrote them: each with its key and what to do."""

from collections.abc import Iterator
from datetime import time
from itertools import pairwise
from typing import Final

from alerts.rules import AlertRules, Timetable

_POSITIVE: Final = ("pre_clinic_minutes", "scanner_silent_minutes", "max_lines")
_NOT_NEGATIVE: Final = (
    "group_seconds",
    "settle_minutes",
    "soonest_escalation_minutes",
    "override_ending_minutes",
    "line_silent_minutes",
    "review_days",
    "handover_hours",
    "incident_days",
    "uptime_hours",
    "wait_for_duty_hours",
)


def problems(rules: AlertRules) -> Iterator[str]:
    """Yield what is wrong with rules; nothing where they can be used."""
    for names, least in ((_POSITIVE, 1), (_NOT_NEGATIVE, 0)):
        yield from (f"{name} must be at least {least}" for name in names if not getattr(rules, name) >= least)
    yield from _clock("digest_at", rules.digest_at)
    for clock in rules.assumed_clinic:
        yield from _clock("assumed_clinic", clock)
    if not rules.digest_days:
        yield 'digest_days must name at least one day, such as ["mon"]'
    yield from _timetable("urgent", rules.urgent)
    yield from _timetable("prompt", rules.prompt)


def _clock(name: str, text: str) -> Iterator[str]:
    try:
        is_clock = f"{time.fromisoformat(text):%H:%M}" == text
    except ValueError:
        is_clock = False
    if not is_clock:
        yield f"{name} must be times of day such as 08:00, not {text[:20]!r}"


def _timetable(name: str, timetable: Timetable) -> Iterator[str]:
    after = timetable.after_minutes
    if any(minutes <= 0 for minutes in after) or any(one >= other for one, other in pairwise(after)):
        yield f"{name}.after_minutes must be above 0 and each more than the one before"
