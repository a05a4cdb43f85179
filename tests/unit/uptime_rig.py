"""A device's log reckoned over a period."""

from datetime import UTC, date, datetime

from streams.messages import QcJudged, Verdict
from streams.policy import PhantomRole
from streams.uptime.account import Account, account_of
from streams.uptime.clinic_hours import period_of
from streams.uptime.history import history_of
from tests.downtime import Told, utc

HOUR = 3600.0
LATER = datetime(2027, 6, 1, tzinfo=UTC)


def reckoned(told: Told, first: str, last: str, *, now: datetime = LATER, time_zone: str = "UTC") -> Account:
    period = period_of(date.fromisoformat(first), date.fromisoformat(last), time_zone)
    return account_of(history_of("bath/dxa-1", told.entries), period, now)


def hours_lost(account: Account) -> dict[str, float]:
    return {code.value: (lost.unplanned_s + lost.planned_s) / HOUR for code, lost in account.by_cause()}


def confirmed() -> QcJudged:
    at = utc("2026-01-05T12:00")
    return QcJudged("e", 0, PhantomRole.INDEPENDENT, "SPINE-1", "L1-L4", at, Verdict.FAIL_CONFIRMED)
