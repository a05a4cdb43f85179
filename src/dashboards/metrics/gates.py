"""Where every gate stands, and what of a device needs somebody."""

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import Metric

from dashboards.metrics.families import labelled, per_device, timestamp
from streams.messages import GateStatus, ReasonCode
from streams.readings import DeviceView


def gates(views: Sequence[DeviceView]) -> Iterable[Metric]:
    """Yield what is known of each device; labels are devices and reason codes, nothing else."""
    yield per_device(
        "bonewatch_gate_open",
        "Open by its own evidence: 1. Held or overridden: 0.",
        views,
        lambda view: view.gate.status is GateStatus.OPEN,
    )
    yield per_device(
        "bonewatch_gate_overridden",
        "Opened by a person against a reason that holds.",
        views,
        lambda view: view.gate.status is GateStatus.OVERRIDDEN,
    )
    yield _held_reasons(views)
    yield per_device(
        "bonewatch_gate_valid_until_timestamp_seconds",
        "When the gate closes by itself.",
        views,
        lambda view: timestamp(view.gate.valid_until),
    )
    yield per_device(
        "bonewatch_device_sequence", "Place of the device's last event in its log.", views, lambda view: view.device_seq
    )
    yield per_device(
        "bonewatch_device_parked",
        "Its events cannot be folded; held until they are.",
        views,
        lambda view: view.parked is not None,
    )
    yield per_device("bonewatch_open_faults", "Faults not cleared.", views, lambda view: len(view.faults))
    yield per_device(
        "bonewatch_bypasses",
        "Patients scanned while the gate was held, in the last seven days.",
        views,
        lambda view: len(view.bypasses),
    )
    yield per_device(
        "bonewatch_open_incidents", "Incidents that nobody has closed.", views, lambda view: len(view.incidents)
    )
    yield per_device(
        "bonewatch_with_engineer_since_timestamp_seconds",
        "Since when an engineer has the device.",
        views,
        lambda view: timestamp(view.service.since if view.service else None),
    )


def _held_reasons(views: Sequence[DeviceView]) -> Metric:
    rows = (
        ((view.id, code.value), float(code in {reason.code for reason in view.gate.holding}))
        for view in views
        for code in ReasonCode
    )
    text = "Whether this reason holds the gate now."
    return labelled("bonewatch_gate_held_reason", text, ("device", "code"), rows)
