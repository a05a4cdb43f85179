"""The device fold: one event in, the new state, its outcomes and the next deadline out."""

from datetime import datetime, timedelta
from functools import singledispatch
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold import chart_reviews, commissioning, due_work, epochs, handover, measurements, reviews
from streams.fold.checks import checked
from streams.fold.gate import refresh
from streams.fold.gate_history import known_anew
from streams.fold.patients import Scan, bypass
from streams.fold.qc import Terms
from streams.fold.state import (
    VENDOR_QC,
    Chart,
    Check,
    DeviceState,
    OpenFault,
    Override,
    Reading,
    Session,
    latest,
)
from streams.fold.window import Subject, aside, closed, place
from streams.messages import (
    BaselineAccepted,
    BypassEvidence,
    CalibrationCheckRead,
    CheckVerdict,
    ClinicCalendarChanged,
    ClockCorrected,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DecisionWithdrawn,
    DeviceReconfigured,
    DeviceRegistered,
    DeviceRetired,
    DutyDone,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    Fact,
    FaultCleared,
    FaultLogged,
    FoldUpgraded,
    GateOverridden,
    MeasurementReleased,
    MeasurementVerified,
    Outcome,
    OverrideEnded,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    PhantomMeasured,
    QcReleased,
    ReturnDecided,
    ReviewAssessed,
    ReviewDecided,
    ServicedRemotely,
    SessionClosed,
    SessionOpened,
    Source,
    StateChanged,
    StepReviewed,
    TimeReached,
    UtcTime,
    VendorQcReported,
    Verdict,
    WatchInterrupted,
    WorklistRefused,
    event_id,
)
from streams.policy import SECONDS_AHEAD_SUSPECT, DevicePolicy, PhantomRole

SUSPECT_AHEAD: Final = timedelta(seconds=SECONDS_AHEAD_SUSPECT)
WINDOW_READINGS: Final = 64
SHARED_READINGS: Final = 36
MIN_READINGS: Final = 12
VENDOR_READINGS: Final = 16
READINGS_FOR_RULES: Final = 16
"""So many readings take the room that run rules need to look back."""
ACQUISITION: Final = 8
"""Characters of an acquisition's digest: 48 bits tell a few dozen apart."""
OPEN_FAULTS: Final = 10
FAULT_TEXT: Final = 60
FAULT_NAME: Final = 30

Result = tuple[DeviceState, tuple[Outcome, ...]]


class Step(NamedTuple):
    """What one event did; `deadline` is when time alone changes the state next."""

    state: DeviceState
    outcomes: tuple[Outcome, ...]
    deadline: UtcTime | None


def step(state: DeviceState, event: Event) -> Step:
    """Fold one event. Pure: what is now is the event's `recorded_at`, or the deadline that was reached."""
    now = event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at
    if not isinstance(event.fact, ClockCorrected):
        now = latest(state.now, now) or now
    notes = state.notes + 1 if isinstance(event.fact, WorklistRefused) else 0
    state = replace(state, device_seq=event.device_seq, now=now)
    state, outcomes = (_parked if state.parked is not None else _apply)(event.fact, event, state)
    state, changes = refresh(state)
    outcomes = (*outcomes, *changes)
    return Step(replace(state, notes=0 if outcomes else notes), outcomes, state.deadline)


def park(state: DeviceState, event: Event, why: str) -> Step:
    """Stop understanding a device whose event could not be folded: held until it is folded anew."""
    state = replace(state, device_seq=event.device_seq, now=event.recorded_at, parked=why, override=None, notes=0)
    state, changes = refresh(state)
    return Step(state, changes, state.deadline)


@singledispatch
def _apply(fact: Fact, event: Event, state: DeviceState) -> Result:  # noqa: ARG001 - the dispatch's signature
    """Facts that only mark time or are kept for people: `refresh` does what is due."""
    return state, ()


def _parked(fact: Fact, event: Event, state: DeviceState) -> Result:
    """Let a parked device still be overridden (by the rules, `state_unknown` may be), and withhold what it measures."""
    if isinstance(fact, PatientMeasured):
        return state, (measurements.measured(state, fact, event, suspect_after=event.recorded_at),)
    return _apply(fact, event, state) if isinstance(fact, GateOverridden | OverrideEnded) else (state, ())


@_apply.register
def _phantom_measured(fact: PhantomMeasured, event: Event, state: DeviceState) -> Result:
    phantom = state.policy.phantom(fact.phantom_id) if state.policy else None
    if phantom is None or phantom.region != fact.region:
        return state, ()  # another region of the same scan: kept, not charted
    if phantom.role is PhantomRole.CIRCULATING:
        return state, ()  # it has no chart here: the fleet compares scanners by it
    subject = Subject(phantom.patient_id, phantom.role, phantom.region)
    acquisition = event_id(fact.acquisition_id)[:ACQUISITION]
    reading = Reading(event.event_id, fact.measured_at, fact.bmd_g_cm2, acquisition, failed=False)
    return _read(state, event, reading, subject, fact.source)


@_apply.register
def _vendor_qc_reported(fact: VendorQcReported, event: Event, state: DeviceState) -> Result:
    subject = Subject(VENDOR_QC, PhantomRole.MANUFACTURER_DAILY, "")
    reading = Reading(event.event_id, fact.measured_at, None, event.event_id[:ACQUISITION], failed=not fact.passed)
    return _read(state, event, reading, subject, fact.source)


def _read(state: DeviceState, event: Event, reading: Reading, subject: Subject, source: Source) -> Result:
    chart, terms = state.chart(subject.phantom_id), _terms(state, subject.phantom_id)
    if reading.measured_at > event.recorded_at + SUSPECT_AHEAD:
        placed = aside(chart, reading, Verdict.CLOCK_SUSPECT, subject, terms)
    else:
        # A clock a little fast must not make tonight's scan tomorrow's.
        reading = replace(reading, measured_at=min(reading.measured_at, event.recorded_at))
        placed = place(chart, reading, subject, terms, is_history=source is Source.HISTORY)
    if placed.is_history:
        return state, placed.judged
    if not all(judged.verdict.passed for judged in placed.judged):
        state = replace(state, override=None)  # an override answers for what was known when it was given
    after = epochs.counted(placed.chart, reading, terms)
    at = terms.rules.established_at
    is_news = epochs.is_proposed(after, at) and not epochs.is_proposed(chart, at)
    proposals = (epochs.proposal(after, subject.phantom_id, terms),) if is_news else ()
    state, told = chart_reviews.told(_with_chart(state, subject.phantom_id, after), event, chart, placed, terms)
    return state, (*placed.judged, *told, *proposals)


def _terms(state: DeviceState, phantom_id: str) -> Terms:
    assert state.policy is not None  # noqa: S101 - readings come after registration; else the device is parked
    others = []
    for phantom in state.policy.phantoms:
        if phantom.patient_id != phantom_id:
            baseline = state.chart(phantom.patient_id).baseline
            known = baseline.mean_g_cm2 if baseline else phantom.nominal_g_cm2
            others += [known] if known else []
    share = VENDOR_READINGS if phantom_id == VENDOR_QC else _window_readings(state.policy)
    return Terms(state.policy.qc, state.chart(phantom_id).baseline, tuple(others), state.calendar.time_zone, share)


def _window_readings(policy: DevicePolicy) -> int:
    """Return how many readings of a phantom may still change: the state stays under 8 kB."""
    phantoms = len(policy.own_phantoms)
    if phantoms == 1:
        return WINDOW_READINGS
    shared = SHARED_READINGS - (READINGS_FOR_RULES if policy.qc.rules != "none" else 0)
    return max(MIN_READINGS, shared // phantoms)


@_apply.register
def _session_opened(fact: SessionOpened, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    """Begin a session; one that is open ends: a device is used for one thing at a time."""
    session = Session(
        fact.session_id, fact.purpose, fact.until, fact.opened_by.name, fact.standard_id, fact.accession_number
    )
    return replace(state, session=session), ()


@_apply.register
def _session_closed(fact: SessionClosed, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    is_open = state.session is not None and state.session.session_id == fact.session_id
    return (replace(state, session=None) if is_open else state), ()


@_apply.register
def _calibration_check_read(fact: CalibrationCheckRead, event: Event, state: DeviceState) -> Result:
    suspect = fact.measured_at > event.recorded_at + SUSPECT_AHEAD
    state, outcomes = checked(state, fact, event, suspect=suspect)
    if state.session is not None and fact.session_id == state.session.session_id:
        state = replace(state, session=None)  # one reading is the check: who steps on next is no weight
    standards = state.policy.checks.standards if state.policy else ()
    all_passed = standards and all(
        (check := state.checks.get(s.standard_id)) is not None and check.passed_at is not None for s in standards
    )
    if all_passed and state.stage == "commissioning":
        clinical = StateChanged(stage="clinical", previous="commissioning")
        return replace(state, stage="clinical"), (*outcomes, clinical)
    return state, outcomes


@_apply.register
def _patient_scan_started(fact: PatientScanStarted, event: Event, state: DeviceState) -> Result:
    kind, person = BypassEvidence.SCAN_STARTED, fact.pseudonym
    return bypass(state, event, Scan(kind, fact.started_at, fact.mode, fact.accession_number, person, fact.mpps_uid))


@_apply.register
def _patient_measured(fact: PatientMeasured, event: Event, state: DeviceState) -> Result:
    kind, scan_id, person = BypassEvidence.MEASURED, fact.acquisition_id, fact.pseudonym
    judged = measurements.measured(state, fact, event, suspect_after=event.recorded_at + SUSPECT_AHEAD)
    scan = Scan(kind, fact.measured_at, fact.mode, fact.accession_number, person, scan_id)
    state, found = bypass(state, event, scan)
    return state, (judged, *found)


@_apply.register
def _measurement_released(fact: MeasurementReleased, event: Event, state: DeviceState) -> Result:
    return state, measurements.released(state, fact, event)


@_apply.register
def _patient_object_received(fact: PatientObjectReceived, event: Event, state: DeviceState) -> Result:
    kind, scan_id, person = BypassEvidence.OBJECT, fact.acquisition_id, fact.pseudonym
    return bypass(state, event, Scan(kind, fact.acquired_at, fact.mode, fact.accession_number, person, scan_id))


@_apply.register
def _baseline_accepted(fact: BaselineAccepted, event: Event, state: DeviceState) -> Result:
    # Every chart's books are closed: another phantom's baseline tells a wrong phantom, but never in retrospect.
    state = replace(state, charts={name: closed(chart) for name, chart in state.charts.items()})
    chart = _restarted(state.chart(fact.phantom_id))
    step = None if fact.step_percent is None else (fact.epoch, fact.step_percent)
    chart = replace(chart, baseline=fact, candidates=(), routine_days=(), unreviewed_step=step)
    state = _with_chart(state, fact.phantom_id, chart)
    state, ended = reviews.begun_anew(state, fact.phantom_id, event.recorded_at)
    state, staged = commissioning.into_service(handover.settled(state, fact.phantom_id))
    return state, (*ended, *staged)


@_apply.register
def _step_reviewed(fact: StepReviewed, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    chart = state.chart(fact.phantom_id)
    if chart.unreviewed_step is None or chart.unreviewed_step[0] != fact.epoch:
        return state, ()
    return _with_chart(state, fact.phantom_id, replace(chart, unreviewed_step=None)), ()


@_apply.register
def _commissioning_recorded(fact: CommissioningRecorded, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return commissioning.recorded(state, fact)


@_apply.register
def _commissioning_signed_off(fact: CommissioningSignedOff, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return commissioning.signed_off(state)


@_apply.register
def _qc_released(fact: QcReleased, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    chart = closed(state.chart(fact.phantom_id))
    head = replace(chart.head, failures=0, confirmed=False, passed_since=False)
    return _with_chart(
        state, fact.phantom_id, replace(chart, head=head, checkpoint=head, candidates=(), routine_days=())
    ), ()


@_apply.register
def _review_assessed(fact: ReviewAssessed, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return reviews.assessed(state, fact), ()


@_apply.register
def _review_decided(fact: ReviewDecided, event: Event, state: DeviceState) -> Result:
    decides_drift = reviews.is_of_drift(state, fact)
    if decides_drift and fact.phantom_id in state.charts and state.charts[fact.phantom_id].head.drift_open:
        state = _with_chart(state, fact.phantom_id, _restarted(closed(state.chart(fact.phantom_id))))
    return reviews.decided(state, fact, event)


@_apply.register
def _decision_withdrawn(fact: DecisionWithdrawn, event: Event, state: DeviceState) -> Result:
    return reviews.withdrawn(state, fact, event)


def _restarted(chart: Chart) -> Chart:
    """Begin CUSUM and run rules anew on a closed chart: a person has decided."""
    head = replace(
        chart.head,
        cusum_upper=0.0,
        cusum_lower=0.0,
        n_upper=0,
        n_lower=0,
        drift_open=False,
        drift_since=None,
        recent=(),
        signalled=(),
    )
    return replace(chart, head=head, checkpoint=head)


@_apply.register
def _gate_overridden(fact: GateOverridden, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return replace(state, override=Override(fact.codes, fact.until, fact.overridden_by.name)), ()


@_apply.register
def _override_ended(fact: OverrideEnded, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return replace(state, override=None), ()


@_apply.register
def _fault_logged(fact: FaultLogged, event: Event, state: DeviceState) -> Result:
    by, text = fact.logged_by.name[:FAULT_NAME], fact.text[:FAULT_TEXT]
    fault = OpenFault(fact.fault_id, text, fact.stops_scanning, by, event.recorded_at)
    others = [f for f in state.faults if f.fault_id != fact.fault_id]
    others.sort(key=lambda f: f.stops_scanning)  # where there are too many, one that does not stop scanning goes
    kept = sorted([*others, fault][-OPEN_FAULTS:], key=lambda f: f.logged_at)
    return replace(state, faults=tuple(kept)), ()


@_apply.register
def _fault_cleared(fact: FaultCleared, event: Event, state: DeviceState) -> Result:
    cleared = next((f for f in state.faults if f.fault_id == fact.fault_id), None)
    state = replace(state, faults=tuple(f for f in state.faults if f.fault_id != fact.fault_id))
    return (handover.to_be_verified(state, event.recorded_at) if cleared and cleared.stops_scanning else state), ()


@_apply.register
def _handed_over(fact: EquipmentHandedOver, event: Event, state: DeviceState) -> Result:
    return handover.handed_over(state, fact, event)


@_apply.register
def _handed_back(fact: EquipmentHandedBack, event: Event, state: DeviceState) -> Result:
    return handover.handed_back(state, fact, event)


@_apply.register
def _return_decided(fact: ReturnDecided, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return handover.return_decided(state, fact)


@_apply.register
def _serviced_remotely(fact: ServicedRemotely, event: Event, state: DeviceState) -> Result:
    return handover.serviced_remotely(state, fact, event)


@_apply.register
def _measurement_verified(fact: MeasurementVerified, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return handover.measurement_verified(state, fact)


@_apply.register
def _study_accepted(fact: CrossCalibrationAccepted, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    studies = dict(state.studies) | {fact.study_id: fact.version}
    return measurements.study_accepted(replace(state, studies=tuple(studies.items())), fact), ()


@_apply.register
def _study_withdrawn(fact: CrossCalibrationWithdrawn, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return measurements.study_withdrawn(state, fact), ()


@_apply.register
def _watch_interrupted(fact: WatchInterrupted, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return replace(state, unwatched=(fact.since, fact.until)), ()


@_apply.register
def _duty_done(fact: DutyDone, event: Event, state: DeviceState) -> Result:
    return due_work.done(state, fact, event), ()


@_apply.register
def _device_registered(fact: DeviceRegistered, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    state = replace(commissioning.begun_anew(state), policy=fact.policy, calendar=fact.calendar)
    return state, (StateChanged(stage="commissioning", previous="unknown"),)


@_apply.register
def _device_reconfigured(fact: DeviceReconfigured, event: Event, state: DeviceState) -> Result:
    before, policy = state.policy, fact.policy
    state = replace(state, policy=policy)
    if before is None:
        return state, ()
    if before.serial and policy.serial != before.serial:  # another scanner: nothing known of the old one counts
        stage = StateChanged(stage="commissioning", previous=state.stage)
        anew = replace(commissioning.begun_anew(state), charts={}, checks={}, session=None, override=None)
        anew = replace(anew, service=None, changed=None, verifying=False, duties={}, studies=(), equations=())
        anew = replace(known_anew(anew, event.recorded_at), bypassed=(), unwatched=None)
        anew, ended = reviews.all_ended(anew, event.recorded_at)
        return anew, (stage, *ended)
    if before.mode_names != policy.mode_names:
        state = known_anew(state, event.recorded_at)
    charts = dict(state.charts)
    if (before.qc, before.phantoms) != (policy.qc, policy.phantoms):
        charts = {name: closed(chart) for name, chart in charts.items()}
    for phantom in before.phantoms:
        same = policy.phantom(phantom.patient_id)
        if same is not None and (same.region, same.serial) != (phantom.region, phantom.serial):
            charts.pop(phantom.patient_id, None)  # another thing is measured under this id: its chart begins anew
    same_value = {s.standard_id for s in policy.checks.standards if s in before.checks.standards}
    known = {name: check for name, check in state.checks.items() if policy.checks.standard(name) is not None}
    checks = {name: check if name in same_value else check.unheard(check.measured_at) for name, check in known.items()}
    return handover.reconfigured(replace(state, charts=charts, checks=checks)), ()


@_apply.register
def _clinic_calendar_changed(fact: ClinicCalendarChanged, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return replace(state, calendar=fact.calendar), ()


@_apply.register
def _device_retired(fact: DeviceRetired, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    return replace(state, stage="retired", override=None), (StateChanged(stage="retired", previous=state.stage),)


@_apply.register
def _clock_corrected(fact: ClockCorrected, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    """Void what was passed in a future that never was; a fresh pass opens."""
    now, charts = event.recorded_at, {}
    for name, chart in state.charts.items():
        books = closed(chart)
        passed_at = books.head.passed_at
        head = replace(books.head, passed_at=passed_at if passed_at is not None and passed_at <= now else None)
        closed_at = min(books.closed_at, now) if books.closed_at is not None else None
        charts[name] = replace(books, head=head, checkpoint=head, closed_at=closed_at)
    checks = {name: _without_future(check, now) for name, check in state.checks.items()}
    state = replace(state, charts=charts, checks=checks, override=None, unwatched=None)
    return due_work.without_future(reviews.without_future(known_anew(state, now), now), now), ()


def _without_future(check: Check, now: datetime) -> Check:
    """Return a check of which nothing later than now is known; what was passed in truth before may still be doubted."""
    if check.measured_at <= now:
        return check
    good_at = latest(*(passed for passed in (*check.passes, check.good_at) if passed is not None and passed <= now))
    return Check(now, CheckVerdict.NOT_JUDGED, 0.0, good_at=good_at)


@_apply.register
def _fold_upgraded(fact: FoldUpgraded, event: Event, state: DeviceState) -> Result:  # noqa: ARG001
    # every gate, and how due work stands, is published anew: what was decided before may differ
    return due_work.unpublished(replace(known_anew(state, event.recorded_at), gates={})), ()


def _with_chart(state: DeviceState, phantom_id: str, chart: Chart) -> DeviceState:
    return replace(state, charts=state.charts | {phantom_id: chart})
