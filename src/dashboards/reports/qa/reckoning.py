"""Reckons a device's month from its record. Pure."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from dashboards.console.log_words import said
from dashboards.reports.qa.duties import duties_in, policy_at
from dashboards.reports.qa.figures import (
    BypassLine,
    DueLine,
    EpochLine,
    HandoverLine,
    Happening,
    Identity,
    Limits,
    MeasurementCounts,
    QaReport,
)
from dashboards.reports.qa.overrides import overrides_in
from dashboards.reports.qa.readings import counted, failures_in, names_of, readings_in, software_of
from dashboards.reports.qa.reviews import concerns, reviews_of, studies_in
from dashboards.uptime.figures import Figures
from streams.equipment_log import LogItem, LogKind, kind_of
from streams.messages import (
    BaselineAccepted,
    BypassDetected,
    DeviceReconfigured,
    DeviceRegistered,
    DutyChanged,
    EquipmentHandedBack,
    EquipmentHandedOver,
    GateChanged,
    IncidentClosed,
    IncidentRecorded,
    MeasurementValidated,
    MeasurementWithheld,
    ReturnDecided,
    StateChanged,
    StepReviewed,
)
from streams.policy import DeviceKind, DevicePolicy, Enforcement
from streams.record.device import DeviceRecord
from streams.uptime.clinic_hours import Period, period_of

CONTEXT: Final = timedelta(days=61)
"""So much before the period is drawn on the control chart beside it."""
_TOLD_APART: Final = frozenset({LogKind.QC, LogKind.BYPASS})


def qa_report(
    record: DeviceRecord,
    uptime: Figures | None,
    *,
    site: str,
    time_zone: str,
    days: tuple[date, date],
    now: datetime,
) -> QaReport:
    """Return what a device's record says of some days.

    Parameters
    ----------
    uptime
        The device's uptime of the same days; what is to be rebooked is left out, for it names requests.
    days
        The first and the last, both included, in the site's zone.
    """
    period = period_of(*days, time_zone)
    until = max(period.start, min(period.end, now))
    policy = policy_at(record, until)
    known = Period(period.start, until)
    readings = readings_in(record, known, policy, time_zone)
    of_days, duties = duties_in(record, *days, until)
    before = readings_in(record, Period(period.start - CONTEXT, period.start), policy, time_zone)
    waiting = [one for one in reviews_of(record) if not one.verdict]
    return QaReport(
        site=site,
        time_zone=time_zone,
        first=days[0],
        last=days[1],
        until=until,
        made_at=now,
        anchor=record.anchor,
        identity=_identity(record, policy, known),
        limits=_limits(policy),
        epochs=tuple(_epochs(record, known)),
        phantoms=_phantoms(policy),
        days=of_days,
        duties=duties,
        readings=readings,
        before=before,
        subjects=counted(readings, before, names_of(policy)),
        failures=failures_in(record, readings),
        log=tuple(_log(record, known)),
        bypasses=tuple(_bypasses(record, known)),
        overrides=tuple(overrides_in(record, known)),
        handovers=tuple(_handovers(record, known)),
        reviews=tuple(one for one in reviews_of(record) if concerns(one, known)),
        reviews_waiting=len(waiting),
        measurements=_measurements(record, known),
        gate_changes=dict(
            Counter(one.matter.status.value for one in record.outcomes_of(GateChanged) if _in(one.at, known))
        ),
        due_work=tuple(_due_work(record, policy, known)),
        studies=tuple(studies_in(record, known)),
        uptime=replace(uptime, rebook=()) if uptime else None,
    )


def _in(at: datetime, period: Period) -> bool:
    return period.start <= at < period.end


def _identity(record: DeviceRecord, policy: DevicePolicy | None, period: Period) -> Identity:
    name = record.device.rpartition("/")[2]
    if policy is None:
        return Identity(name, "")
    stages = [one.matter.stage for one in record.outcomes_of(StateChanged) if one.at < period.end]
    came = [one.matter.policy.serial for one in record.facts_of(DeviceRegistered) if _in(one.at, period)]
    changed = [one.matter.policy.serial for one in record.facts_of(DeviceReconfigured) if _in(one.at, period)]
    before = policy_at(record, period.start)
    serials = dict.fromkeys([before.serial if before else "", *came, *changed])
    return Identity(
        device=name,
        kind=policy.kind.value,
        make=policy.make,
        model=policy.model,
        serial=policy.serial,
        ae_title=policy.ae_title if policy.kind is DeviceKind.SCANNER else "",
        enforcement=policy.enforcement.value if policy.kind is DeviceKind.SCANNER else "",
        stage=stages[-1] if stages else "unknown",
        modes=tuple(mode.name for mode in policy.modes),
        software=software_of(record),
        serials_before=tuple(one for one in serials if one and one != policy.serial),
    )


def _limits(policy: DevicePolicy | None) -> Limits | None:
    if policy is None or policy.kind is not DeviceKind.SCANNER:
        return None
    qc = policy.qc
    return Limits(
        qc.tolerance_percent,
        qc.min_scans,
        qc.sigma_floor_percent,
        qc.cusum_k,
        qc.cusum_h,
        qc.rules,
        qc.repeats,
        qc.hold_on_signal,
    )


def _phantoms(policy: DevicePolicy | None) -> tuple[tuple[str, str, str, str], ...]:
    """Return each phantom's name, serial number, role and frequency."""
    if policy is None or policy.kind is not DeviceKind.SCANNER:
        return ()
    return tuple(
        (f"{one.patient_id} ({one.region})", one.serial, one.role.value, one.frequency.value) for one in policy.phantoms
    )


def _epochs(record: DeviceRecord, period: Period) -> Iterator[EpochLine]:
    """Yield the baselines that were in force at some time of a period."""
    accepted = [one for one in record.facts_of(BaselineAccepted) if one.at < period.end]
    steps = {(one.matter.phantom_id, one.matter.epoch): one.matter for one in record.facts_of(StepReviewed)}
    for place, (at, _, fact) in enumerate(accepted):
        ends = next((one.at for one in accepted[place + 1 :] if one.matter.phantom_id == fact.phantom_id), None)
        if ends is not None and ends <= period.start:
            continue
        step = steps.get((fact.phantom_id, fact.epoch))
        yield EpochLine(
            phantom_id=fact.phantom_id,
            epoch=fact.epoch,
            accepted_at=at,
            accepted_by=fact.accepted_by.name,
            role=fact.accepted_by.role,
            reason=fact.reason,
            scans=fact.n,
            mean_g_cm2=fact.mean_g_cm2,
            sd_g_cm2=fact.sd_g_cm2,
            sigma_g_cm2=fact.sigma_g_cm2,
            lower_g_cm2=fact.lower_g_cm2,
            upper_g_cm2=fact.upper_g_cm2,
            established=fact.established,
            step_percent=fact.step_percent,
            is_comparable=step.is_comparable if step else None,
            until=ends,
        )


def _log(record: DeviceRecord, period: Period) -> Iterator[Happening]:
    """Yield the lines of the equipment log; QC stands among the readings, a bypass among the bypasses."""
    closed = {one.matter.incident_id for one in record.facts_of(IncidentClosed)}
    for place, (at, name, fact) in enumerate(record.facts):
        kind = kind_of(fact)
        if kind is None or kind in _TOLD_APART or not _in(at, period):
            continue
        told = said(LogItem(name, place, at, kind, fact))
        more = "; ".join(f"{what}: {words}" for what, words in told.more)
        is_open = name not in closed if isinstance(fact, IncidentRecorded) else None
        by = f"{told.by.name}, {told.by.role}" if told.by else ""
        yield Happening(at, kind.value, told.title, ". ".join(filter(None, (told.text, more))), by, is_open)


def _bypasses(record: DeviceRecord, period: Period) -> Iterator[BypassLine]:
    closed = {one.matter.incident_id for one in record.facts_of(IncidentClosed)}
    for at, name, outcome in record.outcomes_of(BypassDetected):
        if _in(at, period):
            shadow = outcome.enforcement is Enforcement.SHADOW
            reasons = tuple(code.value for code in outcome.reasons)
            is_open = None if shadow else name not in closed
            yield BypassLine(outcome.at, outcome.evidence.value, reasons, shadow, is_open)


def _handovers(record: DeviceRecord, period: Period) -> Iterator[HandoverLine]:
    """Yield the handovers of which a stage fell into a period."""
    backs = {one.matter.handover_id: one for one in record.facts_of(EquipmentHandedBack)}
    decisions = {one.matter.handover_id: one for one in record.facts_of(ReturnDecided)}
    for at, _, fact in record.facts_of(EquipmentHandedOver):
        back, decided = backs.get(fact.handover_id), decisions.get(fact.handover_id)
        times = [at, *([back.at] if back else []), *([decided.at] if decided else [])]
        if at >= period.end or (back and decided and not any(_in(one, period) for one in times)):
            continue
        yield HandoverLine(
            handover_id=fact.handover_id,
            kind=fact.kind.value,
            reason=fact.reason,
            over_at=at,
            handed_over_by=fact.handed_over_by.name,
            engineer=f"{fact.engineer}, {fact.company}",
            back_at=back.at if back else None,
            work_done=back.matter.work_done if back else "",
            decided_at=decided.at if decided else None,
            decided_by=decided.matter.decided_by.name if decided else "",
            returns=decided.matter.returns if decided else None,
        )


def _measurements(record: DeviceRecord, period: Period) -> MeasurementCounts:
    """Count patients' measurements by the latest word on each."""
    last: dict[str, MeasurementValidated | MeasurementWithheld] = {}
    reasons, held = Counter[str](), set[str]()
    for told in record.outcomes:
        one = told.matter
        if isinstance(one, MeasurementValidated | MeasurementWithheld) and _in(one.measured_at, period):
            last[one.subject_event_id] = one
            if isinstance(one, MeasurementWithheld) and one.subject_event_id not in held:
                held.add(one.subject_event_id)
                reasons.update(code.value for code in one.reasons)
    good = [one for one in last.values() if isinstance(one, MeasurementValidated)]
    return MeasurementCounts(
        validated=len(good),
        overridden=sum(one.is_overridden for one in good),
        withheld=len(last) - len(good),
        released=sum(one.released_by is not None for one in good),
        reasons=dict(reasons),
    )


def _due_work(record: DeviceRecord, policy: DevicePolicy | None, period: Period) -> Iterator[DueLine]:
    last = {
        one.matter.duty_id: one.matter for one in record.outcomes_of(DutyChanged) if one.at < period.end
    }  # the log is in order: the last stands
    for duty in policy.duties if policy else ():
        stands = last.get(duty.duty_id)
        if stands is not None:
            yield DueLine(duty.name, stands.standing.value, stands.due_at, stands.done_on)
