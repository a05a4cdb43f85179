"""Resources as `fhirclient` knows them: the one place that touches it, for it ships no types."""

from hashlib import sha256
from typing import Any, Final

import msgspec
from fhirclient.models.fhirelementfactory import FHIRElementFactory

FHIR_JSON: Final = "application/fhir+json"
FHIR_VERSION: Final = "4.0.1"

FhirJson = dict[str, Any]
"""A resource, or an element of one, as its JSON."""


def resource(kind: str, /, **elements: Any) -> FhirJson:
    """Return a resource that the R4 models accept; elements that are None or empty are left out.

    Raises
    ------
    fhirclient.models.fhirabstractbase.FHIRValidationError
        An element is missing, unknown, or of another type: a fault of ours.
    """
    checked: FhirJson = FHIRElementFactory.instantiate(kind, _filled({"resourceType": kind, **elements})).as_json()
    return checked


def versioned(kind: str, /, **elements: Any) -> FhirJson:
    """Return a resource whose version is a digest of its content: another content is another version."""
    made = resource(kind, **elements)
    digest = sha256(msgspec.json.encode(made, order="sorted")).hexdigest()[:32]
    return {**made, "meta": {**made.get("meta", {}), "versionId": digest}}


def _filled(element: Any) -> Any:
    """Return an element without what is empty, which FHIR forbids to write."""
    if isinstance(element, dict):
        found = {name: _filled(value) for name, value in element.items()}
        return {name: value for name, value in found.items() if not _is_empty(value)}
    if isinstance(element, list | tuple):
        return [one for one in map(_filled, element) if not _is_empty(one)]
    return element


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | dict | list) and not value)
