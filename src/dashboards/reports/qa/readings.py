"""The readings of a period: each on its line, counted by subject, and what became of those that failed."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from dashboards.reports.qa.figures import Failure, ReadingLine, SubjectLine
from streams.fold.checks import UNITS
from streams.fold.schedule import local_day
from streams.fold.state import VENDOR_QC
from streams.messages import (
    CalibrationCheckRead,
    CheckJudged,
    PhantomMeasured,
    QcJudged,
    QcReleased,
    Verdict,
)
from streams.policy import DeviceKind, DevicePolicy
from streams.record.device import DeviceRecord, QcFact
from streams.uptime.clinic_hours import Period

FAILED: Final = frozenset({Verdict.FAIL.value, Verdict.FAIL_CONFIRMED.value})
PASSED: Final = frozenset({Verdict.PASS.value, Verdict.PASS_WITH_NOTE.value, "warn"})
_OFF_THE_CHART: Final = frozenset({Verdict.WRONG_PHANTOM.value, Verdict.IMPLAUSIBLE.value, Verdict.REANALYSIS.value})


def readings_in(
    record: DeviceRecord, period: Period, policy: DevicePolicy | None, zone: str
) -> tuple[ReadingLine, ...]:
    """Return every judged reading measured in a period, by time of measurement."""
    kind = policy.kind if policy else DeviceKind.SCANNER
    lines = [_phantom(one, record.read.get(one.subject_event_id)) for one in record.qc]
    lines += [_check(one, record.read.get(one.subject_event_id), kind) for one in record.checks]
    within = sorted(
        (one for one in lines if period.start <= one.measured_at < period.end),
        key=lambda one: (one.measured_at, one.subject, one.event_id),
    )
    return tuple(_with_repeats(within, zone))


def _phantom(judged: QcJudged, fact: QcFact | None) -> ReadingLine:
    chart = judged.chart
    return ReadingLine(
        event_id=judged.subject_event_id,
        revision=judged.revision,
        measured_at=judged.measured_at,
        subject=judged.phantom_id,
        region=judged.region,
        verdict=judged.verdict.value,
        value=judged.bmd_g_cm2,
        unit="" if judged.bmd_g_cm2 is None else "g/cm²",
        deviation=chart.deviation_percent if chart else None,
        deviation_unit="%" if chart else "",
        epoch=chart.epoch if chart else None,
        target=chart.target if chart else None,
        lower=chart.lower if chart else None,
        upper=chart.upper if chart else None,
        sigma=chart.sigma if chart else None,
        cusum_upper=chart.cusum_upper if chart else None,
        cusum_lower=chart.cusum_lower if chart else None,
        cusum_h=chart.cusum_h if chart else None,
        signal=bool(chart and chart.signal),
        violated=chart.violated if chart else (),
        note=judged.note,
        performed_by=fact.performed_by if fact else "",
        source=fact.source.value if fact else "",
    )


def _check(judged: CheckJudged, fact: QcFact | None, kind: DeviceKind) -> ReadingLine:
    unit = UNITS.get(kind, "")
    return ReadingLine(
        event_id=judged.subject_event_id,
        revision=0,
        measured_at=judged.measured_at,
        subject=judged.standard_id,
        region="",
        verdict=judged.verdict.value,
        value=judged.read,
        unit=unit,
        deviation=judged.error,
        deviation_unit=unit,
        target=judged.nominal,
        note=judged.note,
        performed_by=fact.performed_by if isinstance(fact, CalibrationCheckRead) else "",
        source=fact.source.value if fact else "",
    )


def _with_repeats(lines: Iterable[ReadingLine], zone: str) -> Iterable[ReadingLine]:
    """Mark what was measured again on the same day after a failure of the same phantom or standard."""
    failed: dict[str, object] = {}
    for line in lines:
        day = local_day(line.measured_at, zone)
        is_repeat = failed.get(line.subject) == day and line.verdict not in _OFF_THE_CHART
        yield replace(line, is_repeat=True) if is_repeat else line
        if line.verdict in FAILED:
            failed[line.subject] = day
        elif line.verdict in PASSED:
            failed.pop(line.subject, None)


def counted(
    lines: Sequence[ReadingLine], before: Sequence[ReadingLine], names: dict[str, str]
) -> tuple[SubjectLine, ...]:
    """Count the readings of each phantom or standard, in the order of `names`; strangers follow.

    Parameters
    ----------
    before
        Readings from before the period: a signal that goes on from there does not begin in it.
    """
    subjects = dict.fromkeys([*names, *(line.subject for line in lines)])
    signalling = {line.subject: line.signal for line in before if line.target is not None}
    return tuple(
        _subject(one, names.get(one, one), [line for line in lines if line.subject == one], signalling.get(one, False))
        for one in subjects
    )


def _subject(subject: str, name: str, lines: Sequence[ReadingLine], signalled: bool) -> SubjectLine:  # noqa: FBT001
    charted = [line.deviation for line in lines if line.deviation is not None and line.verdict not in _OFF_THE_CHART]
    signals = [line.signal for line in lines if line.deviation is not None]
    return SubjectLine(
        subject,
        name,
        len(lines),
        dict(Counter(line.verdict for line in lines)),
        sum(line.is_repeat for line in lines),
        sum(now and not before for before, now in zip([signalled, *signals], signals, strict=False)),
        signalled and bool(signals) and signals[0],
        statistics.fmean(charted) if charted else None,
        statistics.stdev(charted) if len(charted) > 1 else None,
        next((line.deviation_unit for line in lines if line.deviation is not None), ""),
    )


def failures_in(record: DeviceRecord, lines: Sequence[ReadingLine]) -> tuple[Failure, ...]:
    """Return each failed reading with the pass that came next and the release, where there were any."""
    passes = [(one.phantom_id, one.measured_at) for one in record.qc if one.verdict.passed]
    passes += [(one.standard_id, one.measured_at) for one in record.checks if one.verdict.value in PASSED]
    releases = list(record.facts_of(QcReleased))
    found = []
    for line in lines:
        if line.verdict not in FAILED:
            continue
        passed = min((at for name, at in passes if name == line.subject and at > line.measured_at), default=None)
        is_confirmed = line.verdict == Verdict.FAIL_CONFIRMED.value
        after = [one for one in releases if one.matter.phantom_id == line.subject and one.at > line.measured_at]
        released = after[0] if after and is_confirmed else None
        failure = Failure(
            line.measured_at, line.subject, line.value, line.deviation, line.deviation_unit, is_confirmed, passed
        )
        if released:
            by = released.matter.released_by.name
            failure = replace(failure, cause=released.matter.cause, released_by=by, released_at=released.at)
        found.append(failure)
    return tuple(found)


def software_of(record: DeviceRecord) -> tuple[str, ...]:
    """Return the versions of software that the period's readings name."""
    named = (fact.software for fact in record.read.values() if isinstance(fact, PhantomMeasured))
    return tuple(sorted({one for one in named if one}))


def names_of(policy: DevicePolicy | None) -> dict[str, str]:
    """Name what has a QC duty: phantoms with their regions, standards with their values."""
    if policy is None:
        return {}
    if policy.kind is not DeviceKind.SCANNER:
        unit = UNITS.get(policy.kind, "")
        return {one.standard_id: f"{one.standard_id} ({one.nominal:g} {unit})" for one in policy.checks.standards}
    phantoms = {one.patient_id: f"{one.patient_id} ({one.region})" for one in policy.phantoms}
    return ({VENDOR_QC: "Manufacturer's QC"} if policy.qc.manufacturer_required else {}) | phantoms
