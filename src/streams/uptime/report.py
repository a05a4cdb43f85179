"""The uptime of a site: each device, each make, the whole; against the contract's target."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import groupby

import msgspec

from streams.messages import UtcTime
from streams.uptime.account import Account, account_of
from streams.uptime.clinic_hours import period_of
from streams.uptime.history import History
from streams.uptime.rebooking import Seen, ToRebook, to_rebook


class Target(msgspec.Struct, frozen=True):
    """What a service contract promises: at least so many percent, with planned service counted as downtime or not."""

    percent: float
    counts_planned: bool = False


class Line(msgspec.Struct, frozen=True):
    """One line of a report: a device, a make, or the site."""

    name: str
    account: Account
    title: str = ""
    kind: str = ""
    target: Target | None = None
    rebook: tuple[ToRebook, ...] = ()

    @property
    def is_met(self) -> bool | None:
        """Whether the contract's target is met; None without target or clinic time."""
        if self.target is None:
            return None
        account = self.account
        reached = account.availability_with_planned if self.target.counts_planned else account.availability
        return None if reached is None else 100 * reached >= self.target.percent - 1e-9


class Report(msgspec.Struct, frozen=True):
    """Uptime from the first to the last day, both included, as far as time has come (`until`)."""

    site: str
    time_zone: str
    first: date
    last: date
    until: UtcTime
    devices: tuple[Line, ...]
    makes: tuple[Line, ...]
    whole: Line


def report_of(
    site: str,
    time_zone: str,
    days: tuple[date, date],
    now: datetime,
    histories: Sequence[History],
    *,
    targets: Mapping[str, Target],
    seen: Seen,
) -> Report:
    """Reckon a report from the histories of a site's devices.

    Raises
    ------
    ValueError
        The first day comes after the last, or a day lies outside the years that can be.
    """
    period = period_of(*days, time_zone)
    lines = []
    for history in histories:
        policy = history.policy
        lines.append(
            Line(
                history.device.rpartition("/")[2],
                account_of(history, period, now),
                " ".join(filter(None, (policy.make, policy.model))) if policy else "",
                policy.kind.value if policy else "",
                targets.get(history.device),
                to_rebook(history, seen, period, now),
            )
        )
    makes = {h.device.rpartition("/")[2]: h.policy.make if h.policy else "" for h in histories}
    by_make = groupby(sorted(lines, key=lambda line: makes[line.name]), key=lambda line: makes[line.name])
    return Report(
        site,
        time_zone,
        *days,
        until=max(period.start, min(period.end, now)),
        devices=tuple(lines),
        makes=tuple(_sum(make or "make not given", list(of_make)) for make, of_make in by_make),
        whole=_sum(site, lines),
    )


def _sum(name: str, lines: Sequence[Line]) -> Line:
    return Line(name, sum((line.account for line in lines), Account()))
