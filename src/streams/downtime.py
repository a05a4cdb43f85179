"""What was scanned while Bonewatch itself was not running, and how it stands now (DESIGN 5.6). Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from streams.fold.schedule import due_by
from streams.fold.state import VENDOR_QC
from streams.messages import (
    BaselineAccepted,
    Event,
    GateChanged,
    Outcome,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    QcJudged,
    ReasonCode,
    VendorQcReported,
    Verdict,
    WatchInterrupted,
)
from streams.policy import DevicePolicy, Frequency


class Gap(msgspec.Struct, frozen=True):
    """A time in which nobody watched."""

    since: datetime
    until: datetime


class Standing(StrEnum):
    """How a scan of the gap stands with the gate and the QC of its time."""

    COVERED = "covered"
    HELD = "held"
    QC_FAILED = "qc_failed"
    QC_MISSING = "qc_missing"


_CLEARED_BY_QC: Final = frozenset({ReasonCode.QC_MISSING, ReasonCode.INDEPENDENT_OVERDUE, ReasonCode.STATE_UNKNOWN})
"""What held a gate before the gap and a pass in it clears; anything else only a person clears."""


class GapScan(msgspec.Struct, frozen=True):
    """A patient's scan in the gap; `lacking` names the duties without a pass that counted then, or what held."""

    device: str
    at: datetime
    accession_number: str
    mode: str
    standing: Standing
    lacking: tuple[str, ...] = ()


class _Record:
    """What the record says of one device: how it stood when the gap began, its QC, its scans in the gap."""

    def __init__(self, gap: Gap) -> None:
        self.gap = gap
        self.held: dict[str, tuple[str, ...]] = {}
        self.limits: dict[str, BaselineAccepted] = {}
        self.judged: dict[str, dict[str, QcJudged]] = {}
        self.vendor_passed: dict[str, bool] = {}
        self.scanned: dict[str, tuple[datetime, str]] = {}

    def take(self, event: Event, outcomes: tuple[Outcome, ...]) -> None:
        fact, is_before = event.fact, event.recorded_at < self.gap.since
        if isinstance(fact, VendorQcReported):
            self.vendor_passed[event.event_id] = fact.passed
        if isinstance(fact, BaselineAccepted) and (is_before or fact.phantom_id not in self.limits):
            self.limits[fact.phantom_id] = fact
        for outcome in outcomes:
            if isinstance(outcome, QcJudged):
                self.judged.setdefault(outcome.phantom_id, {})[outcome.subject_event_id] = outcome
            if isinstance(outcome, GateChanged) and is_before:
                holding = (reason.code for reason in outcome.reasons if reason.holds)
                self.held[outcome.mode] = tuple(code.value for code in holding if code not in _CLEARED_BY_QC)
        at, number, mode = _scan(event)
        if at is not None and self.gap.since <= at < self.gap.until:
            who = number or event.event_id
            self.scanned[who] = min(self.scanned.get(who, (at, mode)), (at, mode))

    def has_passed(self, judged: QcJudged) -> bool:
        """Whether a reading is a pass; one that was entered too late to be placed is judged by what it said itself."""
        if judged.verdict not in {Verdict.TOO_LATE, Verdict.HISTORY}:
            return judged.verdict.passed
        if judged.bmd_g_cm2 is None:
            return self.vendor_passed.get(judged.subject_event_id, False)
        limits = self.limits.get(judged.phantom_id)
        return limits is not None and limits.lower_g_cm2 <= judged.bmd_g_cm2 <= limits.upper_g_cm2


def gaps(events: Iterable[Event]) -> list[Gap]:
    """Return the interruptions on record, oldest first, each once though every device tells of it."""
    found = {Gap(e.fact.since, e.fact.until) for e in events if isinstance(e.fact, WatchInterrupted)}
    return sorted(found, key=lambda gap: gap.since)


def scans_in(
    gap: Gap,
    device: str,
    policy: DevicePolicy,
    time_zone: str,
    recorded: Iterable[tuple[Event, tuple[Outcome, ...]]],
) -> list[GapScan]:
    """Return what was scanned on a device in a gap, once for each request, by the QC that is on record by now.

    A scan is covered if nothing but QC held the gate of its mode when the gap began, and every duty of that mode had a
    pass that was measured before it and still held, with nothing failed after it. QC that was done on paper counts once
    it is entered, with the time at which it was measured.
    """
    record = _Record(gap)
    for event, outcomes in recorded:
        record.take(event, outcomes)
    found = []
    for who, (at, mode) in record.scanned.items():
        standing, lacking = _standing(at, mode, policy, time_zone, record)
        found.append(GapScan(device, at, who, mode, standing, lacking))
    return sorted(found, key=lambda scan: scan.at)


def _scan(event: Event) -> tuple[datetime | None, str, str]:
    match event.fact:
        case PatientMeasured(measured_at=at, accession_number=number, mode=mode):
            return at, number, mode
        case PatientScanStarted(started_at=at, accession_number=number, mode=mode):
            return at, number, mode
        case PatientObjectReceived(acquired_at=at, accession_number=number, mode=mode):
            return at, number, mode
    return None, "", ""


def _standing(
    at: datetime, mode: str, policy: DevicePolicy, time_zone: str, record: _Record
) -> tuple[Standing, tuple[str, ...]]:
    modes = (mode,) if mode in policy.mode_names else policy.mode_names
    held = tuple(dict.fromkeys(code for name in modes for code in record.held.get(name, ())))
    if held:
        return Standing.HELD, held
    lacking = dict(_lacking(at, modes, policy, time_zone, record))
    if not lacking:
        return Standing.COVERED, ()
    failed = Standing.QC_FAILED in lacking.values()
    return Standing.QC_FAILED if failed else Standing.QC_MISSING, tuple(lacking)


def _lacking(
    at: datetime, modes: tuple[str, ...], policy: DevicePolicy, time_zone: str, record: _Record
) -> Iterator[tuple[str, Standing]]:
    phantoms = [one for one in policy.own_phantoms if not one.modes or set(one.modes) & set(modes)]
    duties = [(phantom.patient_id, phantom.frequency) for phantom in phantoms]
    duties += [(VENDOR_QC, Frequency.DAILY)] if policy.qc.manufacturer_required else []
    for name, frequency in duties:
        before = [one for one in record.judged.get(name, {}).values() if one.measured_at <= at and _counts(one)]
        last = max(before, key=lambda one: one.measured_at, default=None)
        if last is None or due_by(last.measured_at, frequency, policy.qc.independent_grace_days, time_zone) <= at:
            yield name, Standing.QC_MISSING
        elif not record.has_passed(last):
            yield name, Standing.QC_FAILED


def _counts(judged: QcJudged) -> bool:
    """Whether a reading speaks for or against the scanner at all."""
    return judged.verdict not in {Verdict.REANALYSIS, Verdict.NO_BASELINE}
