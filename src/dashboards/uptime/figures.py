"""Uptime in figures: hours and percent, as JSON gives them and every other form shows them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from streams.messages import ReasonCode
from streams.uptime.account import Account, Stages
from streams.uptime.history import Repair
from streams.uptime.rebooking import ToRebook
from streams.uptime.report import Line, Report

HOUR: Final = 3600.0

CAUSES: Final[Mapping[ReasonCode, str]] = {
    ReasonCode.FAULT_STOPS_SCANNING: "Fault",
    ReasonCode.QC_FAILED: "QC failed",
    ReasonCode.CHECK_FAILED: "Check failed",
    ReasonCode.WITH_ENGINEER: "With the engineer",
    ReasonCode.VERIFICATION_REQUIRED: "Verification after service",
    ReasonCode.NO_BASELINE: "No baseline",
    ReasonCode.CLOCK_SUSPECT: "Scanner's clock",
    ReasonCode.CHECK_DUE: "Check not done",
    ReasonCode.INDEPENDENT_OVERDUE: "Independent phantom not scanned",
    ReasonCode.QC_MISSING: "Daily QC not done",
    ReasonCode.DUTY_OVERDUE: "Due work not done",
    ReasonCode.DRIFT_UNREVIEWED: "Drift not reviewed",
    ReasonCode.STATE_UNKNOWN: "Bonewatch could not vouch for it",
}

NOT_COUNTED: Final[Mapping[str, str]] = {
    "not_registered": "Not under watch yet",
    "not_commissioned": "Not in clinical use yet",
    "retired": "Retired",
    "not_watched": "Bonewatch was not running",
}


class Loss(msgspec.Struct, frozen=True):
    """Clinic hours and appointments lost to one cause; weighted by the share of modes that were held."""

    cause: str
    unplanned_hours: float
    planned_hours: float
    slots: float


class Mean(msgspec.Struct, frozen=True):
    """A mean in hours by the clock, and of how many repairs."""

    hours: float
    of: int


class Figures(msgspec.Struct, frozen=True):
    """One line of a report: a device, a make, the site. Hours are clinic hours but where they are a `Mean`.

    ``availability_percent`` leaves planned service out, ``availability_with_planned_percent`` counts it as downtime;
    null where there was no clinic time. ``mtbf_hours`` is null without a failure: then it is at least
    ``mtbf_at_least_hours`` (the time up), and above ``mtbf_above_hours`` with 95 % confidence.
    """

    name: str
    title: str
    kind: str
    covered_hours: float
    up_hours: float
    unplanned_hours: float
    planned_hours: float
    overridden_hours: float
    overrides: int
    not_counted_hours: dict[str, float]
    availability_percent: float | None
    availability_with_planned_percent: float | None
    target_percent: float | None
    target_counts_planned: bool | None
    target_met: bool | None
    slots_lost: float
    lost: tuple[Loss, ...]
    failures: int
    failures_going_on: int
    mtbf_hours: float | None
    mtbf_at_least_hours: float | None
    mtbf_above_hours: float | None
    mean_time_to: dict[str, Mean | None]
    repairs: tuple[Repair, ...]
    rebook: tuple[ToRebook, ...]


class ReportFigures(msgspec.Struct, frozen=True):
    """A report: `until` is as far as time had come when it was made."""

    site: str
    time_zone: str
    first: date
    last: date
    until: datetime
    devices: tuple[Figures, ...]
    makes: tuple[Figures, ...]
    whole: Figures


def figures_of(report: Report) -> ReportFigures:
    """Return a report's figures, rounded to what is worth telling."""
    return ReportFigures(
        report.site,
        report.time_zone,
        report.first,
        report.last,
        report.until,
        tuple(_line(line) for line in report.devices),
        tuple(_line(line) for line in report.makes),
        _line(report.whole),
    )


def _line(line: Line) -> Figures:
    account = line.account
    has_none = account.failures == 0 and account.up_s > 0
    return Figures(
        name=line.name,
        title=line.title,
        kind=line.kind,
        covered_hours=_hours(account.covered_s),
        up_hours=_hours(account.up_s),
        unplanned_hours=_hours(account.unplanned_s),
        planned_hours=_hours(account.planned_s),
        overridden_hours=_hours(account.overridden_s),
        overrides=account.overrides,
        not_counted_hours={why: _hours(seconds) for why, seconds in account.uncounted_s.items()},
        availability_percent=_percent(account.availability),
        availability_with_planned_percent=_percent(account.availability_with_planned),
        target_percent=line.target.percent if line.target else None,
        target_counts_planned=line.target.counts_planned if line.target else None,
        target_met=line.is_met,
        slots_lost=round(account.slots, 2),
        lost=tuple(_losses(account)),
        failures=account.failures,
        failures_going_on=account.going_on,
        mtbf_hours=None if account.mtbf_s is None else _hours(account.mtbf_s),
        mtbf_at_least_hours=_hours(account.up_s) if has_none else None,
        mtbf_above_hours=None if account.mtbf_above_s is None else _hours(account.mtbf_above_s),
        mean_time_to=_means(account.repairs),
        repairs=account.repairs,
        rebook=line.rebook,
    )


def _losses(account: Account) -> list[Loss]:
    return [
        Loss(code.value, _hours(lost.unplanned_s), _hours(lost.planned_s), round(lost.slots + lost.planned_slots, 2))
        for code, lost in account.by_cause()
    ]


def _means(repairs: Sequence[Repair]) -> dict[str, Mean | None]:
    stages = msgspec.structs.asdict(Stages.of(repairs))
    return {name: None if mean is None else Mean(round(mean[0], 4), mean[1]) for name, mean in stages.items()}


def _hours(seconds: float) -> float:
    return round(seconds / HOUR, 4)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 3)
