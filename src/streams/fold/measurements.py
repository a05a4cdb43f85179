"""Measurements of patients: validated by the gate as it stood when they were made, or withheld with the reasons."""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.gate_history import GateThen, gate_then
from streams.fold.reviews import in_force
from streams.fold.state import VENDOR_QC, Chart, DeviceState, Equation
from streams.messages import (
    CrossCalibrated,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    Event,
    GateStatus,
    MeasurementReleased,
    MeasurementValidated,
    MeasurementWithheld,
    PatientMeasured,
    QcStanding,
    ReasonCode,
    Source,
)
from streams.policy import ALL_MODES, DeviceKind, DevicePolicy, LeastSignificantChange, PhantomRole

EQUATIONS: Final = 6
"""So many cross-calibrations in force are remembered; of more, the oldest is left to the record."""


class Standing(NamedTuple):
    """What is known of the device at the time of a measurement; `withheld` are reasons not to use it."""

    at: datetime
    mode: str
    then: GateThen | None
    withheld: tuple[ReasonCode, ...]


def measured(
    state: DeviceState, fact: PatientMeasured, event: Event, *, suspect_after: datetime
) -> MeasurementValidated | MeasurementWithheld:
    """Judge a measurement by its device's gate when it was made.

    Parameters
    ----------
    suspect_after
        A time later than this is not believed.
    """
    standing = _standing(state, fact, event, suspect_after)
    if standing.withheld or state.policy is None:
        return MeasurementWithheld(
            subject_event_id=event.event_id,
            revision=0,
            measured_at=fact.measured_at,
            accession_number=fact.accession_number,
            acquisition_id=fact.acquisition_id,
            reasons=standing.withheld,
            mode=standing.mode,
            pseudonym=fact.pseudonym,
        )
    return _validated(state, state.policy, fact, standing, event.event_id)


def released(state: DeviceState, fact: MeasurementReleased, event: Event) -> tuple[MeasurementValidated, ...]:
    """Validate a measurement that a person releases, marked with why it had been withheld."""
    if state.policy is None:
        return ()
    standing = _standing(state, fact.measured, event, event.recorded_at)
    validated = _validated(state, state.policy, fact.measured, standing, fact.subject_event_id)
    issues = tuple(dict.fromkeys((*standing.withheld, *validated.issues)))
    return (replace(validated, revision=1, issues=issues, released_by=fact.released_by, reason=fact.reason),)


def _standing(state: DeviceState, fact: PatientMeasured, event: Event, suspect_after: datetime) -> Standing:
    policy, at = state.policy, min(fact.measured_at, event.recorded_at)
    mode = fact.mode
    if policy is not None and not policy.modes:
        mode = ALL_MODES
    if state.parked is not None or policy is None:
        return Standing(at, mode, None, (ReasonCode.STATE_UNKNOWN,))
    if fact.measured_at > suspect_after:
        return Standing(at, mode, None, (ReasonCode.CLOCK_SUSPECT,))
    if mode not in policy.mode_names:
        return Standing(at, mode, None, (ReasonCode.MODE_UNKNOWN,))
    then = gate_then(state, mode, at)
    if then is None or fact.source is Source.HISTORY:
        return Standing(at, mode, then, (ReasonCode.TOO_LATE,))
    withheld = then.codes if then.status is GateStatus.HELD else ()
    if state.unwatched is not None and state.unwatched[0] <= at < state.unwatched[1]:
        withheld = (*withheld, ReasonCode.NOT_WATCHED)
    return Standing(at, mode, then, withheld)


def _validated(
    state: DeviceState, policy: DevicePolicy, fact: PatientMeasured, standing: Standing, subject_event_id: str
) -> MeasurementValidated:
    at, mode, then = standing.at, standing.mode, standing.then
    is_overridden = then is not None and then.status is GateStatus.OVERRIDDEN
    issues = list(then.codes) if then is not None and is_overridden else []
    gate = state.gates.get(mode)
    if gate is not None and then is not None and then.since is not None and gate.since <= at:
        issues += [reason.code for reason in gate.reasons if not reason.holds]
    return MeasurementValidated(
        subject_event_id=subject_event_id,
        revision=0,
        measured_at=fact.measured_at,
        accession_number=fact.accession_number,
        acquisition_id=fact.acquisition_id,
        kind=policy.kind.value,
        make=policy.make,
        model=policy.model,
        serial=policy.serial,
        mode=mode,
        pseudonym=fact.pseudonym,
        software=fact.software,
        analysed_at=fact.analysed_at,
        regions=fact.regions,
        weight_kg=fact.weight_kg,
        height_cm=fact.height_cm,
        is_overridden=is_overridden,
        issues=tuple(dict.fromkeys(issues)),
        qc=tuple(_qc(state, policy, mode, at)),
        cross_calibrated=tuple(_cross_calibrated(state, fact, at)),
        changes=_changes(policy, fact, mode),
        decisions=in_force(state, mode, at),
        gate_since=then.since if then is not None else None,
    )


def _qc(state: DeviceState, policy: DevicePolicy, mode: str, at: datetime) -> list[QcStanding]:
    """Return each duty's last pass up to a time: what stands behind a measurement then."""
    if policy.kind is not DeviceKind.SCANNER:
        checks = ((one.standard_id, state.checks.get(one.standard_id)) for one in policy.checks.standards)
        passes = ((name, max((p for p in check.passes if p <= at), default=None)) for name, check in checks if check)
        return [QcStanding(name, None, passed_at) for name, passed_at in passes]
    own = [p.patient_id for p in policy.own_phantoms if not p.modes or mode in p.modes]
    has_own_daily = any(
        p.role is PhantomRole.MANUFACTURER_DAILY for p in policy.own_phantoms if not p.modes or mode in p.modes
    )
    names = own if has_own_daily or not policy.qc.manufacturer_required else [VENDOR_QC, *own]
    return [_of_chart(name, state.chart(name), at) for name in names]


def _of_chart(name: str, chart: Chart, at: datetime) -> QcStanding:
    passes = [r for r in chart.window if r.verdict is not None and r.verdict.passed and r.measured_at <= at]
    passed_at, name_of_pass = None, ""
    if passes:
        passed_at, name_of_pass = passes[-1].measured_at, passes[-1].event_id
    elif chart.checkpoint.passed_at is not None and chart.checkpoint.passed_at <= at:
        passed_at = chart.checkpoint.passed_at
    epoch = chart.baseline.epoch if chart.baseline is not None else None
    return QcStanding(name, epoch, passed_at, name_of_pass, is_comparable=chart.unreviewed_step is None)


def _changes(policy: DevicePolicy, fact: PatientMeasured, mode: str) -> tuple[LeastSignificantChange, ...]:
    """Return the least significant changes that apply: of the same population and anatomy, which must be known."""
    regions, found = {region.region for region in fact.regions}, []
    for change in policy.significant_changes:
        is_its_kind = (change.population, change.anatomy) == (fact.population, fact.anatomy)
        if is_its_kind and change.region in regions and (not change.modes or mode in change.modes):
            found.append(change)
    return tuple(found)


# --- cross-calibration -------------------------------------------------------------------------------------


def study_accepted(state: DeviceState, fact: CrossCalibrationAccepted) -> DeviceState:
    """Remember an equation in force; a later version of its study takes its place."""
    equation = Equation(
        study_id=fact.study_id,
        version=fact.version,
        other_device=fact.other_device,
        region=fact.region,
        slope=fact.slope,
        intercept=fact.intercept_g_cm2,
        standard_error=fact.standard_error_g_cm2,
        lower=fact.lower_g_cm2,
        upper=fact.upper_g_cm2,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
    )
    others = [one for one in state.equations if one.study_id != fact.study_id]
    return replace(state, equations=(*others, equation)[-EQUATIONS:])


def study_withdrawn(state: DeviceState, fact: CrossCalibrationWithdrawn) -> DeviceState:
    """Forget the equation of a study that was withdrawn."""
    return replace(state, equations=tuple(one for one in state.equations if one.study_id != fact.study_id))


def _cross_calibrated(state: DeviceState, fact: PatientMeasured, at: datetime) -> list[CrossCalibrated]:
    """Return what other devices would read, by the equations in force then, within the range that they hold for."""
    found = []
    for one in state.equations:
        is_valid = one.valid_from <= at and (one.valid_until is None or at < one.valid_until)
        for region in fact.regions:
            is_of = is_valid and region.region == one.region and not _is_of_another_anatomy(region.region, fact.anatomy)
            if is_of and one.lower <= region.bmd_g_cm2 <= one.upper:
                value, error = one.intercept + one.slope * region.bmd_g_cm2, one.standard_error
                found.append(CrossCalibrated(region.region, value, error, one.other_device, one.study_id, one.version))
    return found


def _is_of_another_anatomy(region: str, anatomy: str) -> bool:
    """Whether a study, which names its region alone, cannot have been of this: the total that is studied is a hip's."""
    return region == "Total" and anatomy != "hip"
