"""Provenance: what a measurement rests on, and each decision about it that is in force."""

from collections.abc import Iterator
from typing import Final

from dashboards.fhir.device import Devices
from dashboards.fhir.identity import id_of
from dashboards.fhir.model import FhirJson, versioned
from dashboards.fhir.observation import amended_words, described, observation_ids
from dashboards.fhir.terms import Ours, concept, identifier, instant, serial_number
from streams.measurements import Amendment, Measurement, Provenance

PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_AS_IT_WAS: Final = "device-as-it-was"


def provenances(one: Provenance, devices: Devices) -> list[FhirJson]:
    """Return what a measurement rests on, then the decisions about it; none where it has no observation."""
    targets = [f"Observation/{name}" for name in observation_ids(one.measurement, devices)]
    if not targets:
        return []
    decided = [_decision(one.measurement, amendment, targets) for amendment in one.measurement.amendments]
    return [_measured(one, targets, devices), *decided]


def _measured(one: Provenance, targets: list[str], devices: Devices) -> FhirJson:
    it = one.measurement
    agents = [{"type": concept(PARTICIPANT, "performer", "Performer"), "who": {"reference": f"#{_AS_IT_WAS}"}}]
    if it.released_by:
        agents.append({"type": concept(PARTICIPANT, "verifier", "Verifier"), "who": {"display": it.released_by}})
    return versioned(
        "Provenance",
        id=id_of(it.event_id),
        contained=[_device_then(it, devices)],
        target=[{"reference": target} for target in targets],
        occurredDateTime=instant(it.measured_at),
        recorded=instant(it.recorded_at),
        reason=[{"text": it.release_reason}] if it.release_reason else None,
        activity=concept(OPERATION, "CREATE", "create"),
        agent=agents,
        entity=[{"role": "source", "what": what} for what in _sources(one)],
    )


def _decision(it: Measurement, amendment: Amendment, targets: list[str]) -> FhirJson:
    return versioned(
        "Provenance",
        id=id_of(it.event_id, amendment.review_id),
        target=[{"reference": target} for target in targets],
        occurredDateTime=instant(amendment.decided_at),
        recorded=instant(amendment.decided_at),
        reason=[{"text": amended_words(amendment)}],
        activity=concept(OPERATION, "UPDATE", "revise"),
        agent=[{"type": concept(PARTICIPANT, "author", "Author"), "who": {"display": amendment.decided_by}}],
        entity=[{"role": "source", "what": _named(Ours.REVIEW, amendment.review_id, "Review of the device")}],
    )


def _device_then(it: Measurement, devices: Devices) -> FhirJson:
    """Return the device as it was at the measurement: another may stand under its name now."""
    kind = it.kind or devices.kind(it.device)
    return {
        "resourceType": "Device",
        "id": _AS_IT_WAS,
        "identifier": [identifier(Ours.DEVICE, it.device), *([serial_number(it.serial)] if it.serial else [])],
        "manufacturer": it.make,
        "serialNumber": it.serial,
        "modelNumber": it.model,
        "type": {"text": kind},
        "version": [{"value": it.software}] if it.software else None,
        "note": [{"text": described(it)}],
    }


def _sources(one: Provenance) -> Iterator[FhirJson]:
    """Yield what stood behind the measurement, each by its identifier where it has one."""
    if one.gate is not None:
        reasons = f" ({', '.join(one.gate.reason_codes)})" if one.gate.reason_codes else ""
        yield {"display": f"Gate {one.gate.status} since {instant(one.gate.starts_at)}{reasons}"}
    for standing in one.measurement.qc:
        of = f"epoch {standing.epoch}" if standing.epoch is not None else "no epoch"
        passed = f"passed {instant(standing.passed_at)}" if standing.passed_at is not None else "no pass"
        yield _named(Ours.EVENT, standing.event_id, f"Quality control with {standing.phantom_id}, {of}: {passed}")
    for baseline in one.baselines:
        words = f"Baseline of {baseline.phantom_id}, epoch {baseline.epoch}: {baseline.mean_g_cm2:g} g/cm2"
        yield _named(Ours.EVENT, baseline.event_id, f"{words}, accepted {instant(baseline.accepted_at)}")
    for check in one.checks:
        words = f"Check with {check.standard_id}: {check.read:g} of {check.nominal:g}, {check.verdict}"
        yield _named(Ours.EVENT, check.event_id, f"{words}, {instant(check.measured_at)}")
    for study in one.studies:
        words = f"Cross-calibration {study.study_id} version {study.version} with {study.as_device}"
        yield _named(Ours.STUDY, f"{study.study_id}/{study.version}", f"{words}, accepted by {study.accepted_by}")


def _named(system: Ours, value: str, display: str) -> FhirJson:
    return {"identifier": identifier(system, value) if value else None, "display": display}
