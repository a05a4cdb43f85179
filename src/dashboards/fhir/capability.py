"""The CapabilityStatement: what of FHIR is spoken here."""

import importlib.metadata
from collections.abc import Mapping
from typing import Final

from dashboards.fhir.model import FHIR_JSON, FHIR_VERSION, FhirJson, resource
from dashboards.fhir.searching import Parameters

CHANGED_ON: Final = "2026-11-22"
"""When what is stated here last changed."""

_SECURITY: Final = (
    "A service token or a JSON Web Token of the site's OpenID Connect provider as Bearer, with the scope fhir:read; or "
    "name and password (HTTP Basic). Every read that is linked to patients is on record."
)


def capability(base: str, site_name: str, searched: Mapping[str, Parameters], documents: Mapping[str, str]) -> FhirJson:
    """Return the statement of this site; `documents` says in words what each resource is."""
    return resource(
        "CapabilityStatement",
        status="active",
        date=CHANGED_ON,
        kind="instance",
        name="Bonewatch",
        title="Bonewatch: validated measurements of bone densitometry",
        publisher="Bonewatch",
        description="Devices, measurements that are QA-validated, and what they rest on; to read. Nothing is written.",
        software={"name": "Bonewatch", "version": importlib.metadata.version("bonewatch")},
        implementation={"description": site_name, "url": base},
        fhirVersion=FHIR_VERSION,
        format=["json", FHIR_JSON],
        rest=[
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": code,
                                }
                            ]
                        }
                        for code in ("OAuth", "Basic")
                    ],
                    "description": _SECURITY,
                },
                "resource": [_resource(kind, parameters, documents[kind]) for kind, parameters in searched.items()],
            }
        ],
    )


def _resource(kind: str, parameters: Parameters, words: str) -> FhirJson:
    return {
        "type": kind,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "documentation": words,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "readHistory": False,
        "conditionalRead": "not-match",
        "referencePolicy": ["literal", "logical"],
        "searchParam": [
            {"name": name, "type": parameter.type, "documentation": _documented(name, parameter.words, parameters)}
            for name, parameter in parameters.items()
        ],
    }


def _documented(name: str, words: str, parameters: Parameters) -> str:
    return f"{words}; ask as {', '.join(parameters[name].names(name))}" if parameters[name].modifiers else words
