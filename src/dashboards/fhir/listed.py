"""What each resource is searched by, and whether one that is there as a whole fits."""

from collections.abc import Callable, Sequence
from typing import Final

from dashboards.fhir.measured import PARAMETERS as OF_OBSERVATIONS
from dashboards.fhir.model import FhirJson
from dashboards.fhir.searching import (
    Given,
    Parameter,
    Parameters,
    Search,
    fits_code,
    fits_coding,
    fits_identifier,
    fits_string,
    referred,
)

DEVICES: Final = {
    "_id": Parameter("token", "Ids of devices"),
    "identifier": Parameter("token", "The serial number, or the device's key with its system"),
    "manufacturer": Parameter("string", "Who made it", frozenset({"exact", "contains"})),
    "model": Parameter("string", "Which model it is", frozenset({"exact", "contains"})),
    "device-name": Parameter("string", "Its name at the site", frozenset({"exact", "contains"})),
    "status": Parameter("token", "Whether it is available for use"),
    "type": Parameter("token", "What it is"),
}
METRICS: Final = {
    "_id": Parameter("token", "Ids of metrics"),
    "identifier": Parameter("token", "The metric's key with its system"),
    "source": Parameter("reference", "The device"),
    "type": Parameter("token", "What it measures"),
    "category": Parameter("token", "measurement"),
}
PROVENANCES: Final = {
    "_id": Parameter("token", "Ids of provenances; this or target is needed"),
    "target": Parameter("reference", "An observation; this or _id is needed"),
}
SEARCHED: Final[dict[str, Parameters]] = {
    "Device": DEVICES,
    "DeviceMetric": METRICS,
    "Observation": OF_OBSERVATIONS,
    "Provenance": PROVENANCES,
}
DOCUMENTS: Final = {
    "Device": "A scanner, scale, hoist or stadiometer that is configured at the site.",
    "DeviceMetric": "What a device measures; operationalStatus is its gate, calibration its quality control.",
    "Observation": "A value of a measurement: BMD by region, weight, height. Nothing that is withheld has a value.",
    "Provenance": "What a measurement rests on, and each physicist's decision about it that is in force.",
}
_Test = Callable[[Given, FhirJson, str], bool]
_TESTS: Final[dict[str, _Test]] = {
    "_id": lambda given, one, _: one["id"] in given.values,
    "identifier": lambda given, one, _: fits_identifier(given, one["identifier"]),
    "manufacturer": lambda given, one, _: fits_string(given, [one.get("manufacturer", "")]),
    "model": lambda given, one, _: fits_string(given, [one.get("modelNumber", "")]),
    "device-name": lambda given, one, _: fits_string(given, [name["name"] for name in one["deviceName"]]),
    "status": lambda given, one, _: fits_code(given, "http://hl7.org/fhir/device-status", one["status"]),
    "type": lambda given, one, _: fits_coding(given, [one["type"]]),
    "category": lambda given, one, _: fits_code(given, "http://hl7.org/fhir/metric-category", one["category"]),
    "source": lambda given, one, base: _refers(given, [one["source"]], "Device", base),
    "target": lambda given, one, base: _refers(given, one["target"], "Observation", base),
}


def _refers(given: Given, references: Sequence[FhirJson], kind: str, base: str) -> bool:
    asked = {referred(value, kind, base) for value in given.values}
    return any(one["reference"].removeprefix(f"{kind}/") in asked for one in references)


def fitting(asked: Search, there: Sequence[FhirJson], base: str) -> list[FhirJson]:
    """Return those that a search asks for."""
    return [one for one in there if all(_TESTS[given.name](given, one, base) for given in asked.given)]
