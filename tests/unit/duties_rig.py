"""Devices with work that comes round, and how it stands on them."""

from datetime import UTC, datetime

from msgspec.structs import replace

from streams.fold.due_work import due_on
from streams.messages import DutyChanged, DutyDone, Outcome, Person
from streams.policy import Clinic, ClinicCalendar, Duty, DutyKind
from tests.folding import OPERATOR, POLICY, WEEKDAY_CLINIC, Folded

MANAGER = Person("Mo Manager", "manager")
WEEKDAYS = (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),)
EVERY_DAY = ClinicCalendar("UTC")
MONTHLY = Duty("service", "Maintenance", "2026-01-31", 1, "months", warn_days=7, grace_days=2)
DAILY = Duty("daily-archive", "Daily archive", "2026-12-21", 1, "days", warn_days=0)
CERTIFICATE = Duty("certificate-W20", "Certificate of W20", "2027-03-01", 0, kind=DutyKind.CERTIFICATE, warn_days=60)


def with_duties(*duties: Duty, calendar: ClinicCalendar = WEEKDAY_CLINIC, start: datetime) -> Folded:
    return Folded(replace(POLICY, duties=duties), calendar, start=start)


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def did(folded: Folded, duty_id: str, done_on: str, valid_until: str = "") -> list[tuple[str, str]]:
    """Record it as done now; return what changed."""
    return changed(folded.fact(DutyDone(duty_id, done_on, "Eve", OPERATOR, valid_until)))


def changed(outcomes: tuple[Outcome, ...]) -> list[tuple[str, str]]:
    """Standing and the end of the due day, of each duty that changed."""
    return [
        (one.standing.value, one.due_at.isoformat() if one.due_at else "")
        for one in outcomes
        if isinstance(one, DutyChanged)
    ]


def changes(folded: Folded, until: datetime) -> list[tuple[str, str]]:
    """Let time pass; when each standing changed, and to what."""
    found = []
    while (deadline := folded.state.deadline) is not None and deadline <= until:
        before = {name: kept.standing for name, kept in folded.state.duties.items()}
        folded.until(deadline)
        found += [
            (deadline.isoformat(), kept.standing.value)
            for name, kept in folded.state.duties.items()
            if kept.standing is not None and kept.standing is not before[name]
        ]
    folded.until(until)
    return found


def next_due(folded: Folded, duty_id: str) -> str:
    assert folded.state.policy is not None
    duty = folded.state.policy.duty(duty_id)
    assert duty is not None
    day = due_on(duty, folded.state.calendar, folded.state.duties[duty_id])
    return day.isoformat() if day else ""
