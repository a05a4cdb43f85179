"""What was scanned while Bonewatch itself was not running, and how it stands now (DESIGN 5.6). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from streams.fold.schedule import due_by, local_day
from streams.fold.state import VENDOR_QC
from streams.messages import (
    Event,
    Outcome,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    QcJudged,
    Verdict,
    WatchInterrupted,
)
from streams.policy import DevicePolicy, Frequency


class Gap(msgspec.Struct, frozen=True):
    """A time in which nobody watched."""

    since: datetime
    until: datetime


class Standing(StrEnum):
    """How a scan of the gap stands with the QC of its time."""

    COVERED = "covered"
    QC_FAILED = "qc_failed"
    QC_MISSING = "qc_missing"


class GapScan(msgspec.Struct, frozen=True):
    """A patient's scan in the gap; `lacking` names the duties without a pass that counted then."""

    device: str
    at: datetime
    accession_number: str
    mode: str
    standing: Standing
    lacking: tuple[str, ...] = ()


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

    A scan is covered if every duty had a pass that was measured before it and still held, and nothing failed between.
    QC that was done on paper counts once it is entered, with the time at which it was measured.
    """
    scanned: dict[str, tuple[datetime, str]] = {}
    readings: dict[str, dict[str, QcJudged]] = {}
    for event, outcomes in recorded:
        for outcome in outcomes:
            if isinstance(outcome, QcJudged):
                readings.setdefault(outcome.phantom_id, {})[outcome.subject_event_id] = outcome
        at, number, mode = _scan(event)
        if at is not None and gap.since <= at < gap.until:
            who = number or event.event_id
            scanned[who] = min(scanned.get(who, (at, mode)), (at, mode))
    found = []
    for who, (at, mode) in scanned.items():
        lacking = dict(_lacking(at, policy, time_zone, readings))
        failed = Standing.QC_FAILED in lacking.values()
        standing = Standing.COVERED if not lacking else Standing.QC_FAILED if failed else Standing.QC_MISSING
        found.append(GapScan(device, at, who, mode, standing, tuple(lacking)))
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


def _lacking(
    at: datetime, policy: DevicePolicy, time_zone: str, readings: Mapping[str, Mapping[str, QcJudged]]
) -> Iterator[tuple[str, Standing]]:
    duties = [(phantom.patient_id, phantom.frequency) for phantom in policy.own_phantoms]
    duties += [(VENDOR_QC, Frequency.DAILY)] if policy.qc.manufacturer_required else []
    for name, frequency in duties:
        before = [one for one in readings.get(name, {}).values() if one.measured_at <= at and _counts(one)]
        last = max(before, key=lambda one: one.measured_at, default=None)
        if last is None or due_by(last.measured_at, frequency, policy.qc.independent_grace_days, time_zone) <= at:
            yield name, Standing.QC_MISSING
        elif not last.verdict.passed and not _history_of_the_day(last, at, time_zone):
            yield name, Standing.QC_FAILED


def _counts(judged: QcJudged) -> bool:
    """Whether a reading speaks for or against the scanner at all."""
    return judged.verdict not in {Verdict.REANALYSIS, Verdict.NO_BASELINE}


def _history_of_the_day(judged: QcJudged, at: datetime, time_zone: str) -> bool:
    """Whether a reading came too late to be placed, and was within its limits on that very day."""
    is_late = judged.verdict in {Verdict.TOO_LATE, Verdict.HISTORY}
    chart = judged.chart
    within = chart is not None and judged.bmd_g_cm2 is not None and chart.lower <= judged.bmd_g_cm2 <= chart.upper
    return is_late and within and local_day(judged.measured_at, time_zone) == local_day(at, time_zone)
