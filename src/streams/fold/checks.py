"""Checks of scales and stadiometers with standards of known value: judged, and when the next is due."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from qa_models.metrology import Verdict as Judged
from qa_models.metrology import WeighingInstrument, WeighingRange, judge_check_weight, judge_rod
from streams.fold import reviews
from streams.fold.schedule import due_by
from streams.fold.state import Check, DeviceState
from streams.messages import (
    CalibrationCheckRead,
    CheckJudged,
    CheckVerdict,
    Event,
    MeasurementsAmended,
    Reason,
    ReasonCode,
    ReviewBasis,
    ReviewEnded,
    ReviewOpened,
    SizeAt,
    Source,
)
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Standard

PASSES: Final = 16
"""So many passes of a standard are remembered, to place a check that comes late: a fortnight of daily ones."""
HORIZON: Final = timedelta(days=14)
"""Where no pass is remembered before a check that comes late, so much before it is in doubt."""
GRAMS: Final = 1000
MILLIMETRES: Final = 10
UNITS: Final = {DeviceKind.SCALE: "kg", DeviceKind.STADIOMETER: "cm", DeviceKind.HOIST: "kg"}
_VERDICTS: Final = {
    Judged.PASS: CheckVerdict.PASS,
    Judged.WARN: CheckVerdict.WARN,
    Judged.FAIL: CheckVerdict.FAIL,
}
_GOOD: Final = frozenset({CheckVerdict.PASS, CheckVerdict.WARN})


Result = tuple[DeviceState, tuple[CheckJudged | ReviewOpened | ReviewEnded | MeasurementsAmended, ...]]


def checked(state: DeviceState, fact: CalibrationCheckRead, event: Event, *, suspect: bool) -> Result:
    """Judge a check and remember it; one of history is judged alone.

    Parameters
    ----------
    suspect
        Whether its time is too far ahead to be believed: then it is never a pass.
    """
    policy = state.policy
    standard = policy.checks.standard(fact.standard_id) if policy else None
    if policy is None or policy.kind not in UNITS or standard is None:
        judged = _judged(fact, event, 0.0, CheckVerdict.NOT_JUDGED, "no such standard is configured for this device")
        return state, (judged,)
    if suspect:
        note = "dated in the future: check the clock, then check the device again"
        return state, (_judged(fact, event, standard.nominal, CheckVerdict.NOT_JUDGED, note),)
    judged = judge(fact, event, policy, standard)
    if judged.verdict is CheckVerdict.NOT_JUDGED or fact.source is Source.HISTORY:
        return state, (judged,)  # a check of the past says nothing of today, good or bad
    before = state.checks.get(standard.standard_id)
    if before is not None and fact.measured_at < before.measured_at:
        return _late(state, before, judged, event)
    return _newest(state, policy, judged, event)


def _newest(state: DeviceState, policy: DevicePolicy, judged: CheckJudged, event: Event) -> Result:
    """Take the newest check of a standard: a pass ends what a failure began, a first failure opens a review."""
    name = judged.standard_id
    before = state.checks.get(name)
    passes = _with_pass(before.passes if before else (), judged)
    check = Check(judged.measured_at, judged.verdict, judged.error, passes, before.good_at if before else None)
    state = replace(state, checks=state.checks | {name: check})
    if judged.verdict in _GOOD:
        state, ended = reviews.passed(state, name, judged.measured_at)
        return state, (judged, *ended)
    if before is not None and before.verdict is CheckVerdict.FAIL:
        return state, (judged,)  # of the same episode
    text, sizes = f"The check with {name} failed ({judged.note})", (_size(judged, policy),)
    state, told = reviews.opened(
        state, event, name, ReviewBasis.FAILURE, text, since=check.passed_at or check.good_at, sizes=sizes
    )
    return state, (judged, *told)


def _late(state: DeviceState, newest: Check, judged: CheckJudged, event: Event) -> Result:
    """Place a check that is older than the newest: a failure puts in doubt what lies between the passes about it.

    A late pass is remembered beside those that stand; where none does (after a repair) it counts for nothing.
    """
    name, at = judged.standard_id, judged.measured_at
    passes = _with_pass(newest.passes, judged) if newest.passes else ()
    state = replace(state, checks=state.checks | {name: replace(newest, passes=passes)})
    if judged.verdict is not CheckVerdict.FAIL or state.policy is None:
        return state, (judged,)
    before = max((passed for passed in passes if passed < at), default=None)
    after = min((passed for passed in passes if passed > at), default=None)
    text = f"A failed check with {name} came late: what was measured since wants a look"
    sizes = (_size(judged, state.policy),)
    since = before or (at - HORIZON if len(passes) == PASSES else newest.good_at or at)
    state, told = reviews.opened(
        state, event, name, ReviewBasis.LATE_FAILURE, text, since=since, until=after, sizes=sizes
    )
    return state, (judged, *told)


def _with_pass(passes: tuple[datetime, ...], judged: CheckJudged) -> tuple[datetime, ...]:
    return tuple(sorted({*passes, judged.measured_at}))[-PASSES:] if judged.verdict in _GOOD else passes


def _size(judged: CheckJudged, policy: DevicePolicy) -> SizeAt:
    """Return how far off a device was, with what its display's rounding leaves open, where that is configured."""
    half = None
    if policy.kind is not DeviceKind.STADIOMETER:
        steps = [e_g for largest, e_g in policy.checks.ranges if judged.nominal <= largest]
        half = steps[0] / GRAMS / 2 if steps else None
    low = judged.error - half if half is not None else None
    high = judged.error + half if half is not None else None
    return SizeAt(judged.measured_at, judged.error, low, high)


def judge(fact: CalibrationCheckRead, event: Event, policy: DevicePolicy, standard: Standard) -> CheckJudged:
    """Judge one reading of a standard by the policy in force."""
    try:
        if policy.kind is DeviceKind.STADIOMETER:
            verdict, note = _rod(fact.read, standard, policy.checks)
        else:
            verdict, note = _weight(fact.read, standard, policy.checks)
    except ValueError as error:
        verdict, note = CheckVerdict.NOT_JUDGED, str(error)
    return _judged(fact, event, standard.nominal, verdict, note)


def _judged(fact: CalibrationCheckRead, event: Event, nominal: float, verdict: CheckVerdict, note: str) -> CheckJudged:
    return CheckJudged(
        subject_event_id=event.event_id,
        standard_id=fact.standard_id,
        nominal=nominal,
        read=fact.read,
        measured_at=fact.measured_at,
        verdict=verdict,
        error=float(_exact(fact.read) - _exact(nominal)),
        note=note,
    )


def _rod(read: float, standard: Standard, rules: CheckRules) -> tuple[CheckVerdict, str]:
    found = judge_rod(
        _exact(read) * MILLIMETRES, _exact(standard.nominal) * MILLIMETRES, warn_mm=rules.warn_mm, fail_mm=rules.fail_mm
    )
    limits = f"warns beyond {rules.warn_mm:g} mm, fails beyond {rules.fail_mm:g} mm"
    return _VERDICTS[found.verdict], f"{found.error_mm:+.4g} mm; {limits}"


def _weight(read: float, standard: Standard, rules: CheckRules) -> tuple[CheckVerdict, str]:
    error_g = (_exact(read) - _exact(standard.nominal)) * GRAMS
    found, notes = list[CheckVerdict](), [f"{float(error_g):+.6g} g"]
    if rules.limit_kg is not None:
        limit_g = _exact(rules.limit_kg) * GRAMS
        found.append(CheckVerdict.PASS if abs(error_g) <= limit_g else CheckVerdict.FAIL)
        notes.append(f"limit {float(limit_g):.6g} g")
    if rules.ranges:
        instrument = WeighingInstrument(
            tuple(WeighingRange(_exact(largest) * GRAMS, _exact(e_g)) for largest, e_g in rules.ranges)
        )
        load_g = _exact(standard.nominal) * GRAMS
        by_class = judge_check_weight(_exact(read) * GRAMS, load_g, instrument)
        found.append(_VERDICTS[by_class.verdict])
        notes.append(f"class III permits {float(by_class.mpe_in_service_g):.6g} g in service")
    if not found:
        return CheckVerdict.NOT_JUDGED, "neither limit_kg nor ranges say what is permitted"
    order = (CheckVerdict.FAIL, CheckVerdict.WARN, CheckVerdict.PASS)
    return min(found, key=order.index), "; ".join(notes)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))


def duties(state: DeviceState, policy: DevicePolicy, now: datetime) -> Iterator[tuple[Reason | None, datetime | None]]:
    """Yield the reasons of each standard (or None) with the instant at which its pass lapses."""
    rules = policy.checks
    if not rules.standards:
        text = "no standard is configured to check it with"
        yield Reason(ReasonCode.CHECK_DUE, text, "Configure the weights or rods that it is checked with."), None
    for standard in rules.standards:
        check, name = state.checks.get(standard.standard_id), f"{standard.standard_id} ({_value(standard, policy)})"
        if check is not None and check.verdict is CheckVerdict.FAIL:
            text = f"check with {name} failed: {check.error:+.3g} {UNITS[policy.kind]} off"
            clears = "Check it again; if it fails again, take it out of use and ring whoever mends it."
            yield Reason(ReasonCode.CHECK_FAILED, text, clears), None
            continue
        due = lapses_at(state, rules, check)
        if due is None or due <= now:
            text = f"check with {name} is due"
            yield Reason(ReasonCode.CHECK_DUE, text, f"Check it with {standard.standard_id}."), None
        else:
            yield None, due
        if check is not None and check.verdict is CheckVerdict.WARN:
            text = f"check with {name} is near its limit: {check.error:+.3g} {UNITS[policy.kind]} off"
            yield Reason(ReasonCode.CHECK_FAILED, text, "Have it looked at before it fails.", holds=False), None


def lapses_at(state: DeviceState, rules: CheckRules, check: Check | None) -> datetime | None:
    """Return until when a standard's last pass holds; None where none passed."""
    if check is None or check.passed_at is None:
        return None
    return due_by(check.passed_at, rules.frequency, rules.grace_days, state.calendar.time_zone)


def _value(standard: Standard, policy: DevicePolicy) -> str:
    return f"{standard.nominal:g} {UNITS[policy.kind]}"
