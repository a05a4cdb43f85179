"""Devices and what they measure; how they stand is their gate's, calibration is their quality control's."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from dashboards.context import Console
from dashboards.fhir.identity import id_of, names_of
from dashboards.fhir.model import FhirJson, versioned
from dashboards.fhir.terms import QUALITY_OF_KIND, UCUM, Ours, concept, identifier, instant, serial_number
from streams.messages import CheckVerdict
from streams.readings import DeviceView, StandardStatus
from streams.readings import PhantomStatus as Phantom

KINDS: Final = {
    "scanner": "Bone densitometer (DXA)",
    "scale": "Weighing scale",
    "hoist": "Hoist scale",
    "stadiometer": "Stadiometer",
}
_OUT_OF_USE: Final = frozenset({"retired", "with_engineer"})
"""Stages in which a device does not measure at all."""


class Devices:
    """The devices that resources refer to, each read once."""

    def __init__(self, console: Console) -> None:
        self._readings = console.readings
        self._known: dict[str, DeviceView | None] = {}

    def view(self, key: str) -> DeviceView | None:
        """Return a device by its key with the site; None if it is not configured here now."""
        if key not in self._known:
            view = self._readings.device(key.rpartition("/")[2])
            self._known[key] = view if view is not None and view.device == key else None
        return self._known[key]

    def key(self, device_id: str) -> str | None:
        """Return the key of a device by its id at this site; None if there is none."""
        view = self._readings.device(device_id)
        return view.device if view is not None else None

    def kind(self, key: str) -> str:
        """Return a device's kind; blank if it is not known."""
        view = self.view(key)
        return view.kind if view is not None else ""

    def reference(self, key: str, display: str) -> FhirJson:
        """Refer to a device: by its resource if there is one here, always by its key."""
        view = self.view(key)
        found = {"identifier": identifier(Ours.DEVICE, key), "type": "Device", "display": display}
        return found if view is None else {"reference": f"Device/{id_of(view.id)}", **found}


def device(view: DeviceView) -> FhirJson:
    """Return a device."""
    return versioned(
        "Device",
        id=id_of(view.id),
        identifier=[
            identifier(Ours.DEVICE, view.device),
            *([serial_number(view.serial)] if view.serial else []),
        ],
        status=_status(view),
        manufacturer=view.make,
        serialNumber=view.serial,
        modelNumber=view.model,
        deviceName=[
            {"name": view.id, "type": "user-friendly-name"},
            *([{"name": view.model, "type": "model-name"}] if view.model else []),
        ],
        type={"coding": [{"system": Ours.CODES.value, "code": view.kind}], "text": KINDS.get(view.kind, view.kind)},
    )


def metric(view: DeviceView, accepted: dict[str, datetime]) -> FhirJson | None:
    """Return what a device measures; `accepted` says since when each phantom's baseline binds."""
    measures = QUALITY_OF_KIND.get(view.kind)
    if measures is None:
        return None
    return versioned(
        "DeviceMetric",
        id=id_of(view.id, measures.code),
        identifier=[identifier(Ours.DEVICE, f"{view.device}/{measures.code}")],
        type=measures.concept,
        unit=concept(UCUM, measures.unit),
        source={"reference": f"Device/{id_of(view.id)}"},
        operationalStatus=_operates(view),
        category="measurement",
        calibration=[*_baselines(view, accepted), *_checks(view)],
    )


def metric_of(console: Console, view: DeviceView) -> FhirJson | None:
    """Return what a device measures, as its record has it."""
    accepted: dict[str, datetime] = {}
    for epoch in console.readings.epochs(view.id):
        accepted[epoch.baseline.phantom_id] = epoch.accepted_at
    return metric(view, accepted)


def device_id_in(given: str) -> str:
    """Return the device's id at the site that an id of a Device or DeviceMetric names; blank for what names none."""
    names = names_of(given)
    return names[0] if names else ""


def _status(view: DeviceView) -> str:
    """Active is "available for use": a held device is, for its QC; of what it may measure says the DeviceMetric."""
    if view.stage == "retired":
        return "inactive"
    return "unknown" if view.parked is not None else "active"


def _operates(view: DeviceView) -> str:
    """Standby is "operating, but will not generate any observations": a held device can always be QC-scanned."""
    if view.stage in _OUT_OF_USE:
        return "off"
    return "on" if view.gate.lets_patients_through else "standby"


def _baselines(view: DeviceView, accepted: dict[str, datetime]) -> Iterator[FhirJson]:
    for phantom in view.phantoms:
        at = accepted.get(phantom.patient_id) if phantom.epoch is not None else None
        yield _calibration(_state_of_phantom(phantom), at)


def _state_of_phantom(phantom: Phantom) -> str:
    if phantom.epoch is None:
        return "not-calibrated"
    is_in_doubt = phantom.failure_confirmed or phantom.drift_open or phantom.unreviewed_step is not None
    return "calibration-required" if is_in_doubt else "calibrated"


def _checks(view: DeviceView) -> Iterator[FhirJson]:
    for standard in view.standards:
        yield _calibration(_state_of_standard(standard), standard.last_passed_at)


def _state_of_standard(standard: StandardStatus) -> str:
    if standard.last is None:
        return "not-calibrated"
    has_failed = standard.last.verdict is CheckVerdict.FAIL or standard.last_passed_at is None
    return "calibration-required" if has_failed else "calibrated"


def _calibration(state: str, at: datetime | None) -> FhirJson:
    """Return a calibration; its type is not known, for nothing is adjusted here: it is compared with a standard."""
    return {"type": "unspecified", "state": state, "time": instant(at) if at is not None else None}
