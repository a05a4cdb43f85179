"""The gate: may patients be scanned, why not, until when. Unknown is held; quality control always gets through."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold import commissioning, due_work, handover
from streams.fold.checks import duties
from streams.fold.gate_history import remembered
from streams.fold.qc import spoken
from streams.fold.schedule import due_by
from streams.fold.state import VENDOR_QC, Chart, DeviceState, ModeGate, earliest
from streams.messages import DutyChanged, GateChanged, GateStatus, Reason, ReasonCode, StateChanged, Verdict
from streams.policy import DeviceKind, DevicePolicy, Frequency, Phantom, PhantomRole

VENDOR_NAME: Final = "scanner's own QC"


class Assessment(NamedTuple):
    """Reasons of one mode at an instant, and the next instant at which time alone changes them."""

    reasons: tuple[Reason, ...]
    next_change: datetime | None


def assess(state: DeviceState, mode: str) -> Assessment:
    """Collect the reasons for one mode at `state.now`."""
    if state.parked is not None or state.policy is None or state.now is None:
        text = "Bonewatch cannot vouch for this device: " + (state.parked or "it has no configuration")
        unknown = Reason(ReasonCode.STATE_UNKNOWN, text, "Ring whoever runs Bonewatch.")
        return Assessment((unknown, *_known_before(state, mode)), None)
    reasons = [*_life(state), *commissioning.reasons(state), *handover.reasons(state), *_faults(state)]
    due_times: list[datetime | None] = []
    if state.policy.kind is DeviceKind.SCANNER:
        for reason, due in _duties(state, state.policy, mode, state.now):
            reasons += [reason] if reason else []
            due_times.append(due)
    else:
        for reason, due in duties(state, state.policy, state.now):
            reasons += [reason] if reason else []
            due_times.append(due)
    for reason, due in due_work.holding(state, state.policy, state.now):
        reasons += [reason] if reason else []
        due_times.append(due)
    return Assessment(tuple(reasons), earliest(*(due for due in due_times if due and due > state.now)))


def _known_before(state: DeviceState, mode: str) -> Iterator[Reason]:
    """Yield what held a parked device before it was parked: not knowing more does not clear it."""
    gate = state.gates.get(mode)
    for reason in gate.reasons if gate else ():
        if reason.holds and reason.code is not ReasonCode.STATE_UNKNOWN:
            yield reason


def _life(state: DeviceState) -> Iterator[Reason]:
    if state.stage == "retired":
        yield Reason(ReasonCode.RETIRED, "retired from service", "Nothing: this device is out of service.")


def _faults(state: DeviceState) -> Iterator[Reason]:
    stopping = sum(fault.stops_scanning for fault in state.faults)
    if stopping:
        text = "a fault stops scanning" if stopping == 1 else f"{stopping} faults stop scanning"
        clears = "An engineer or a physicist clears it; then every QC passes again."
        yield Reason(ReasonCode.FAULT_STOPS_SCANNING, text, clears)


def _duties(
    state: DeviceState, policy: DevicePolicy, mode: str, now: datetime
) -> Iterator[tuple[Reason | None, datetime | None]]:
    """Yield each duty's reasons (or None) with the instant at which its pass lapses."""
    own = [p for p in policy.own_phantoms if not p.modes or mode in p.modes]
    vendor = state.chart(VENDOR_QC)
    if policy.qc.manufacturer_required and not any(p.role is PhantomRole.MANUFACTURER_DAILY for p in own):
        yield from _duty(state, Phantom(VENDOR_QC, PhantomRole.MANUFACTURER_DAILY), vendor, now)
    elif vendor.head.failures or vendor.head.confirmed:
        yield _failure(vendor, VENDOR_NAME), None
    if not any(p.role is PhantomRole.INDEPENDENT for p in own):
        text = f"no independent phantom vouches for {mode}"
        yield Reason(ReasonCode.NO_BASELINE, text, "Configure a phantom for this mode."), None
    for name, chart in state.charts.items():
        if chart.head.confirmed and name != VENDOR_QC and policy.phantom(name) is None:
            yield _failure(chart, f"phantom {name}"), None  # taken out of the configuration: that releases nothing
    for phantom in own:
        chart = state.chart(phantom.patient_id)
        if chart.baseline is None:
            yield (
                Reason(
                    ReasonCode.NO_BASELINE,
                    f"no baseline for {phantom.patient_id} ({len(chart.candidates)} of {policy.qc.min_scans} scans)",
                    f"Scan the phantom {policy.qc.min_scans} times; a physicist accepts the baseline.",
                ),
                None,
            )
        yield from _duty(state, phantom, chart, now)
        if chart.head.drift_open:
            yield _drift(phantom, chart.head.signalled, hold=policy.qc.hold_on_signal), None


def _duty(
    state: DeviceState, phantom: Phantom, chart: Chart, now: datetime
) -> Iterator[tuple[Reason | None, datetime | None]]:
    assert state.policy is not None  # noqa: S101 - assess has checked
    due = lapses_at(state, phantom, chart)
    name = VENDOR_NAME if phantom.patient_id == VENDOR_QC else f"phantom {phantom.patient_id}"
    yield _failure(chart, name), None
    if chart.unplaced is Verdict.CLOCK_SUSPECT:
        reason = Reason(
            ReasonCode.CLOCK_SUSPECT,
            f"{name} dated in the future: check the scanner's clock",
            "Set the scanner's clock, then scan the phantom again.",
        )
        yield reason, None
    elif chart.unplaced is not None and _failure(chart, name) is None:
        reason = Reason(
            ReasonCode.QC_FAILED,
            f"{name}: a failed scan came late",
            "Check the scanner's clock, then scan again: a new scan must pass.",
        )
        yield reason, None
    if due is None or due <= now:
        yield _overdue(phantom, name, verifying=state.verifying), None
    else:
        yield None, due


def lapses_at(state: DeviceState, phantom: Phantom, chart: Chart) -> datetime | None:
    """Return until when the last pass of a duty holds; None where nothing passed."""
    if chart.head.passed_at is None or state.policy is None:
        return None
    grace = state.policy.qc.independent_grace_days
    return due_by(chart.head.passed_at, phantom.frequency, grace, state.calendar.time_zone)


def _failure(chart: Chart, name: str) -> Reason | None:
    head = chart.head
    size = "" if head.failed_percent is None else f" {head.failed_percent:+.1f} %"
    if head.confirmed:
        if head.passed_since:
            text, clears = f"{name} failed, release awaited", "A physicist records the cause and releases."
        else:
            text = f"{name} failed twice{size}: ring physicist"
            clears = "Find the cause; a scan of the phantom passes; a physicist releases."
        return Reason(ReasonCode.QC_FAILED, text, clears)
    if head.failures:
        return Reason(
            ReasonCode.QC_FAILED,
            f"{name} failed{size}: repeat once",
            ("Run it once more." if name == VENDOR_NAME else "Reposition the phantom and scan it once more.")
            + " If it fails again, ring the physicist.",
        )
    if head.unresolved is Verdict.WRONG_PHANTOM:
        return Reason(ReasonCode.QC_FAILED, f"wrong phantom scanned as {name}", "Scan the right phantom.")
    if head.unresolved is Verdict.IMPLAUSIBLE:
        return Reason(
            ReasonCode.QC_FAILED,
            f"{name}: implausible value",
            "If a patient was scanned under the phantom's id, tell the physicist. Scan the phantom again.",
        )
    return None


def _overdue(phantom: Phantom, name: str, *, verifying: bool) -> Reason:
    if verifying:
        text = f"{name}: no pass since the repair"
        return Reason(ReasonCode.VERIFICATION_REQUIRED, text, "Run every QC again: each must pass after the repair.")
    if phantom.role is PhantomRole.INDEPENDENT:
        often = "today" if phantom.frequency is Frequency.DAILY else "this week"
        return Reason(
            ReasonCode.INDEPENDENT_OVERDUE, f"{name}: no pass {often}", "Scan this phantom; it must be within limits."
        )
    how = (
        "Run the scanner's daily QC and enter its result."
        if phantom.patient_id == VENDOR_QC
        else "Scan this phantom; it must be within limits."
    )
    return Reason(ReasonCode.QC_MISSING, f"{name}: no pass today", how)


def _drift(phantom: Phantom, signalled: tuple[str, ...], *, hold: bool) -> Reason:
    return Reason(
        ReasonCode.DRIFT_UNREVIEWED,
        f"drift signal on phantom {phantom.patient_id} ({spoken(signalled)})",
        "A physicist looks at the chart and decides.",
        holds=hold,
    )


def refresh(state: DeviceState) -> tuple[DeviceState, tuple[GateChanged | StateChanged | DutyChanged, ...]]:
    """Bring every mode's gate, due work and the next deadline up to `state.now`; return what changed.

    A device that was to be verified, and is, returns to clinical use by itself.
    """
    now = state.now
    assert now is not None  # noqa: S101 - every event sets it
    modes = state.policy.mode_names if state.policy else tuple(state.gates)
    assessments = {mode: assess(state, mode) for mode in modes}
    state = _settled(state, now, assessments)
    staged: tuple[StateChanged, ...] = ()
    if state.stage == handover.VERIFYING and not state.verifying:
        staged = (StateChanged(stage=handover.CLINICAL, previous=state.stage),)
        state = replace(state, stage=handover.CLINICAL)
    gates = {mode: _mode_gate(state, state.gates.get(mode), assessments[mode]) for mode in modes}
    changes = tuple(_changed(mode, gate) for mode, gate in gates.items() if gate != state.gates.get(mode))
    until = state.override.until if state.override else None
    session_until = state.session.until if state.session else None
    state, standings, due = due_work.refreshed(state, now)
    deadline = earliest(until, session_until, due, *(assessment.next_change for assessment in assessments.values()))
    state = remembered(replace(state, deadline=deadline), gates, now)
    return state, (*staged, *changes, *standings)


def _settled(state: DeviceState, now: datetime, assessments: dict[str, Assessment]) -> DeviceState:
    """End what has run its course: a session, an override (past its time, nothing left to override), a verification."""
    if state.session is not None and state.session.until <= now:
        state = replace(state, session=None)
    if not state.verifying and state.override is None:
        return state
    holding = {r.code for assessment in assessments.values() for r in assessment.reasons if r.holds}
    if state.verifying and not handover.still_to_verify(state, holding):
        state = replace(state, verifying=False)
    if state.override is not None and (state.override.until <= now or not holding):
        state = replace(state, override=None)
    return state


def _mode_gate(state: DeviceState, before: ModeGate | None, assessment: Assessment) -> ModeGate:
    assert state.now is not None  # noqa: S101 - refresh has checked
    override = state.override
    holding = {reason.code.value for reason in assessment.reasons if reason.holds}
    status, valid_until = GateStatus.HELD, None
    if not holding:
        status, valid_until = GateStatus.OPEN, assessment.next_change
    elif override is not None and holding <= set(override.codes):
        status, valid_until = GateStatus.OVERRIDDEN, earliest(override.until, assessment.next_change)
    overridden = override if override is not None and status is GateStatus.OVERRIDDEN else None
    return ModeGate(
        status=status,
        since=before.since if before is not None and before.status is status else state.now,
        valid_until=valid_until,
        reasons=assessment.reasons,
        overridden_by=overridden.by if overridden else "",
        overridden_until=overridden.until if overridden else None,
    )


def _changed(mode: str, gate: ModeGate) -> GateChanged:
    return GateChanged(
        mode=mode,
        status=gate.status,
        since=gate.since,
        valid_until=gate.valid_until,
        reasons=gate.reasons,
        overridden_until=gate.overridden_until,
        overridden_by=gate.overridden_by,
    )
