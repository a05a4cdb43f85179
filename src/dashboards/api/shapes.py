"""The JSON of `/api/v1`: plain values, times in UTC, BMD in g/cm2, no patient data."""

from datetime import datetime

import msgspec

from streams.messages import QcJudged
from streams.readings import DeviceView, PhantomStatus
from streams.site import Gate


class ReasonOut(msgspec.Struct, frozen=True):
    """Why a gate is as it is; `holds` false only warns."""

    code: str
    text: str
    clears_when: str
    holds: bool


class GateOut(msgspec.Struct, frozen=True):
    """A gate now; past `valid_until` it is held, whoever asks. `overridden_by` is told to those signed in only."""

    status: str
    since: datetime | None
    valid_until: datetime | None
    reasons: list[ReasonOut]
    overridden_by: str = ""
    overridden_until: datetime | None = None


class BaselineOut(msgspec.Struct, frozen=True):
    """The baseline in force: mean and limits in g/cm2."""

    epoch: int | None
    mean: float | None
    sigma: float | None
    lower: float | None
    upper: float | None
    scans: int
    established: bool


class PhantomOut(msgspec.Struct, frozen=True):
    """A phantom, its duty and how its chart stands."""

    patient_id: str
    role: str
    region: str
    frequency: str
    serial: str
    baseline: BaselineOut | None
    candidates: int
    candidates_needed: int
    last_verdict: str | None
    last_measured_at: datetime | None
    last_passed_at: datetime | None
    due_by: datetime | None
    failure_confirmed: bool
    drift_open: bool


class DeviceOut(msgspec.Struct, frozen=True):
    """A device; `ae_title` for scanners only."""

    id: str
    kind: str
    make: str
    model: str
    serial: str
    enforcement: str
    stage: str
    phantoms: list[PhantomOut]
    gate: GateOut
    gates: dict[str, GateOut]
    device_seq: int
    ae_title: str | msgspec.UnsetType = msgspec.UNSET


class LimitsOut(msgspec.Struct, frozen=True):
    """What the reading was judged against, g/cm2."""

    target: float
    lower: float
    upper: float


class StatisticsOut(msgspec.Struct, frozen=True):
    """Where the reading stands: sigma in g/cm2, CUSUM sums and decision interval in sigmas, run rules violated."""

    sigma: float
    deviation_percent: float
    cusum_upper: float
    cusum_lower: float
    cusum_h: float
    signal: bool
    violated: tuple[str, ...] = ()


class QcOut(msgspec.Struct, frozen=True):
    """A judged reading; revisions replace it under the same `event_id`."""

    event_id: str
    revision: int
    role: str
    phantom_id: str
    region: str
    measured_at: datetime
    verdict: str
    bmd_g_cm2: float | None
    epoch: int | None
    limits: LimitsOut | None
    statistics: StatisticsOut | None
    note: str


class EpochOut(msgspec.Struct, frozen=True):
    """An accepted baseline and since when it binds."""

    phantom_id: str
    epoch: int
    accepted_at: datetime
    scans: int
    mean: float
    lower: float
    upper: float
    established: bool
    step_percent: float | None


def gate_out(gate: Gate, *, names: bool) -> GateOut:
    """Return a gate's JSON, with people's names or without."""
    reasons = [ReasonOut(r.code.value, r.text, r.clears_when, r.holds) for r in gate.reasons]
    by = gate.overridden_by if names else ""
    return GateOut(gate.status.value, gate.since, gate.valid_until, reasons, by, gate.overridden_until)


def phantom_out(phantom: PhantomStatus) -> PhantomOut:
    """Return a phantom's JSON."""
    baseline = None
    if phantom.mean is not None:
        baseline = BaselineOut(
            phantom.epoch,
            phantom.mean,
            phantom.sigma,
            phantom.lower,
            phantom.upper,
            phantom.baseline_scans,
            phantom.baseline_established,
        )
    return PhantomOut(
        patient_id=phantom.patient_id,
        role=phantom.role,
        region=phantom.region,
        frequency=phantom.frequency,
        serial=phantom.serial,
        baseline=baseline,
        candidates=phantom.candidates,
        candidates_needed=phantom.candidates_needed,
        last_verdict=phantom.last.verdict.value if phantom.last else None,
        last_measured_at=phantom.last.measured_at if phantom.last else None,
        last_passed_at=phantom.last_passed_at,
        due_by=phantom.due_by,
        failure_confirmed=phantom.failure_confirmed,
        drift_open=phantom.drift_open,
    )


def device_out(view: DeviceView, *, names: bool) -> DeviceOut:
    """Return a device's JSON, with people's names or without."""
    return DeviceOut(
        id=view.id,
        kind=view.kind,
        make=view.make,
        model=view.model,
        serial=view.serial,
        enforcement=view.enforcement,
        stage=view.stage,
        phantoms=[phantom_out(phantom) for phantom in view.phantoms],
        gate=gate_out(view.gate, names=names),
        gates={mode: gate_out(gate, names=names) for mode, gate in view.gates.items()},
        device_seq=view.device_seq,
        ae_title=view.ae_title if view.kind == "scanner" else msgspec.UNSET,
    )


def qc_out(judged: QcJudged) -> QcOut:
    """Return a reading's JSON."""
    chart = judged.chart
    limits = LimitsOut(chart.target, chart.lower, chart.upper) if chart else None
    statistics = (
        StatisticsOut(**{name: getattr(chart, name) for name in StatisticsOut.__struct_fields__}) if chart else None
    )
    return QcOut(
        event_id=judged.subject_event_id,
        revision=judged.revision,
        role=judged.role.value,
        phantom_id=judged.phantom_id,
        region=judged.region,
        measured_at=judged.measured_at,
        verdict=judged.verdict.value,
        bmd_g_cm2=judged.bmd_g_cm2,
        epoch=chart.epoch if chart else None,
        limits=limits,
        statistics=statistics,
        note=judged.note,
    )


# --- what people do ----------------------------------------------------------------------------------------


class FieldOut(msgspec.Struct, frozen=True):
    """A field of an action; `choices` maps what is sent to what people read."""

    name: str
    label: str
    kind: str
    required: bool
    hint: str = ""
    value: str = ""
    choices: dict[str, str] = {}
    suggestions: tuple[str, ...] = ()


class ActionOut(msgspec.Struct, frozen=True):
    """What the person may do to the device now."""

    slug: str
    title: str
    intro: str
    fields: tuple[FieldOut, ...]


class ActionsOut(msgspec.Struct, frozen=True):
    """Actions, and the state of the device that they were offered for."""

    device_seq: int
    actions: tuple[ActionOut, ...]


class AskedIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for: values by field, as they would be typed. A `request_id` counts once.

    Sent again it is refused as out of date, for the device has changed by the first.
    """

    request_id: str
    device_seq: int
    values: dict[str, str] = {}


class DoneOut(msgspec.Struct, frozen=True):
    """It is in the record."""

    done: str
