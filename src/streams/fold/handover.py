"""A device in an engineer's hands and back (DESIGN 5.3): the three stages, remote service, verification afterwards.

After any service each duty must pass again, measured and recorded after the hand-back. Work that changes what is
measured also needs ten scans that agree with the last ten before it, or a new baseline.
"""

from datetime import datetime
from statistics import fmean
from typing import Final

from msgspec.structs import replace

from streams.fold.state import VENDOR_QC, Changed, Chart, Check, DeviceState, Service, latest
from streams.fold.window import closed
from streams.messages import (
    Affected,
    CheckVerdict,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    MeasurementVerified,
    Reason,
    ReasonCode,
    ReturnDecided,
    ServicedRemotely,
    StateChanged,
)
from streams.policy import DeviceKind

COMPARED: Final = 10
"""Scans on each side of work that changes the measurement (DESIGN 5.3)."""
AGREES_PERCENT: Final = 1.0
"""How far their means may lie apart for the baseline to stand (DESIGN 5.3)."""

WITH_ENGINEER: Final = "with_engineer"
HANDED_BACK: Final = "handed_back"
VERIFYING: Final = "verifying"
CLINICAL: Final = "clinical"
WORKERS: Final = 6
"""So many who worked on a device within one absence are remembered."""
AWAY: Final = frozenset({WITH_ENGINEER, HANDED_BACK})
"""Stages in which nobody here may use a device."""

Result = tuple[DeviceState, tuple[StateChanged, ...]]


def handed_over(state: DeviceState, fact: EquipmentHandedOver, event: Event) -> Result:
    """Begin a handover; one that was handed back and not returned goes on from where the device stood before."""
    last = state.service
    service = Service(
        fact.handover_id,
        fact.form,
        fact.engineer,
        fact.company,
        event.recorded_at,
        last.stage_before if last else state.stage,
        affected=last.affected if last else False,
        workers=_with_worker(last.workers if last else (), fact.engineer),
    )
    return _staged(replace(state, service=service, override=None, session=None), WITH_ENGINEER)


def handed_back(state: DeviceState, fact: EquipmentHandedBack, event: Event) -> Result:
    """End the engineer's part: nothing that passed before counts."""
    service = state.service
    if service is None or service.handover_id != fact.handover_id:
        return state, ()
    service = replace(
        service,
        affected=service.affected or _any(fact.affected),
        is_working=fact.is_working,
        workers=_with_worker(service.workers, fact.engineer),
    )
    state = _serviced(replace(state, service=service), fact.affected, event.recorded_at)
    return _staged(state, HANDED_BACK)


def return_decided(state: DeviceState, fact: ReturnDecided) -> Result:
    """Let the device return, to be verified; or leave it out of use."""
    service = state.service
    if service is None or service.handover_id != fact.handover_id or not fact.returns:
        return state, ()
    return _staged(
        replace(state, service=None), VERIFYING if service.stage_before == CLINICAL else service.stage_before
    )


def serviced_remotely(state: DeviceState, fact: ServicedRemotely, event: Event) -> Result:
    """Verify a device that was serviced from afar."""
    state = _serviced(state, fact.affected, event.recorded_at)
    if state.service is not None:
        affected = state.service.affected or _any(fact.affected)
        workers = _with_worker(state.service.workers, fact.engineer)
        state = replace(state, service=replace(state.service, affected=affected, workers=workers))
    return _staged(state, VERIFYING) if state.stage == CLINICAL else (state, ())


def measurement_verified(state: DeviceState, fact: MeasurementVerified) -> Result:
    """Let a phantom's baseline stand after work that could have moved it."""
    return settled(state, fact.phantom_id), ()


def settled(state: DeviceState, phantom_id: str) -> DeviceState:
    """Take a phantom off those whose measurement is to be verified: it agrees, or has a new baseline."""
    if state.changed is None:
        return state
    left = {name: mean for name, mean in state.changed.before.items() if name != phantom_id}
    return replace(state, changed=replace(state.changed, before=left) if left else None)


def reconfigured(state: DeviceState) -> DeviceState:
    """Wait no longer for scans of a phantom that has no duty here any more."""
    if state.changed is None or state.policy is None:
        return state
    own = {phantom.patient_id for phantom in state.policy.own_phantoms}
    left = {name: mean for name, mean in state.changed.before.items() if name in own}
    return replace(state, changed=replace(state.changed, before=left) if left else None)


def to_be_verified(state: DeviceState, at: datetime) -> DeviceState:
    """Void every pass: after a repair each duty must pass again, measured and recorded later.

    That binds duties too of which nothing was heard yet: what was measured before it and is entered later is no pass.
    """
    charts, checks = {}, dict[str, Check]()
    is_scanner = state.policy is not None and state.policy.kind is DeviceKind.SCANNER
    duties = (VENDOR_QC, *(p.patient_id for p in state.policy.own_phantoms)) if state.policy and is_scanner else ()
    for name in dict.fromkeys((*state.charts, *duties)):
        books = closed(state.chart(name), at)
        head = replace(books.head, passed_at=None)
        charts[name] = replace(books, head=head, checkpoint=head)
    unheard = Check(at, CheckVerdict.NOT_JUDGED, 0.0)
    standards = (standard.standard_id for standard in state.policy.checks.standards) if state.policy else ()
    for name in dict.fromkeys((*state.checks, *standards)):
        check = state.checks.get(name, unheard)
        voided = replace(check, passes=(), good_at=check.passed_at or check.good_at)
        checks[name] = replace(voided, measured_at=latest(check.measured_at, at) or at)
    return replace(state, charts=charts, checks=checks, verifying=True, override=None)


def still_to_verify(state: DeviceState, holding: set[ReasonCode]) -> bool:
    """Whether a verification goes on: the device is not back yet, or a duty has not passed since."""
    if state.stage in AWAY or ReasonCode.VERIFICATION_REQUIRED in holding:
        return True
    is_scanner = state.policy is not None and state.policy.kind is DeviceKind.SCANNER
    return not is_scanner and bool(holding & {ReasonCode.CHECK_DUE, ReasonCode.CHECK_FAILED})


def reasons(state: DeviceState) -> list[Reason]:
    """Return what a handover, and work that changed the measurement, hold the gate for."""
    found = []
    service = state.service
    if state.stage == WITH_ENGINEER and service is not None:
        text = f"with the engineer of {service.company}"  # boards are public: no names
        clears = "The engineer hands it back; then the department decides on its return."
        found.append(Reason(ReasonCode.WITH_ENGINEER, text, clears))
    elif state.stage == HANDED_BACK and service is not None:
        text = "handed back: the decision on its return is awaited"
        who = "A physicist decides" if service.affected else "The department decides"
        found.append(Reason(ReasonCode.WITH_ENGINEER, text, f"{who} on its return; then every QC passes again."))
    for name in state.changed.before if state.changed else ():
        done = min(len(state.chart(name).candidates), COMPARED)
        text = f"phantom {name}: {done} of {COMPARED} scans since work that changes the measurement"
        clears = f"Scan it {COMPARED} times; a physicist compares them with those before, or accepts a new baseline."
        found.append(Reason(ReasonCode.VERIFICATION_REQUIRED, text, clears))
    return found


def _serviced(state: DeviceState, affected: Affected, at: datetime) -> DeviceState:
    own = [phantom.patient_id for phantom in state.policy.own_phantoms] if state.policy else []
    means = {name: _mean_before(name, state.chart(name)) for name in own} if affected.measurement else {}
    before = {name: mean for name, mean in means.items() if mean}
    state = to_be_verified(state, at)
    if affected.measurement:  # no new baseline rests on scans from both sides
        charts = {name: replace(chart, candidates=(), routine_days=()) for name, chart in state.charts.items()}
        state = replace(state, charts=charts)
    if not before:
        return state
    return replace(state, changed=Changed(at, before | (state.changed.before if state.changed else {})))


def _mean_before(name: str, chart: Chart) -> float:
    """Return the mean of a phantom's last routine scans; its baseline's where there are too few; 0 where none is."""
    values = [value for _, value in chart.candidates[-COMPARED:]]
    if name == VENDOR_QC or chart.baseline is None:
        return 0.0
    return fmean(values) if len(values) == COMPARED else chart.baseline.mean_g_cm2


def _with_worker(workers: tuple[str, ...], name: str) -> tuple[str, ...]:
    return workers if name in workers else (*workers, name)[-WORKERS:]


def _staged(state: DeviceState, stage: str) -> Result:
    if state.stage == stage:
        return state, ()
    return replace(state, stage=stage), (StateChanged(stage=stage, previous=state.stage),)


def _any(affected: Affected) -> bool:
    return affected.dose or affected.image_quality or affected.safety or affected.measurement
