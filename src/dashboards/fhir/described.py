"""Arguments of FHIR's routes: what they need, what they may answer, what the API's document says of them."""

from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec import Parameter as Documented
from litestar.openapi.spec.enums import OpenAPIType
from msgspec.structs import replace

from dashboards.access.needs import RouteNeeds, needs
from dashboards.access.scopes import Scope
from dashboards.fhir.listed import SEARCHED
from dashboards.fhir.model import FHIR_JSON
from dashboards.fhir.searching import FORM

PATIENT_LINKED: Final = frozenset({"Observation", "Provenance"})
"""Reads of these go on record."""

R4_ALONE: Final = "JSON of R4 alone is spoken here"
_NO_FORM: Final = "What is searched for comes as a form"
_STRING: Final = Schema(type=OpenAPIType.STRING, max_length=1000)


def route(kind: str, *, is_search: bool = False) -> dict[str, Any]:
    """Return the arguments of a route: what it needs, and what it may answer, all of it FHIR."""
    found: RouteNeeds = needs(Scope.FHIR_READ, patient_linked=kind in PATIENT_LINKED)
    responses: dict[int, ResponseSpec] = {
        status: told(spec.description) if spec.data_container is not None else spec
        for status, spec in found["responses"].items()
    }
    responses[406] = told(R4_ALONE)
    if kind == "Observation" and not is_search:
        responses[410] = told("What had been withheld is released: its values are resources of their own")
    arguments: dict[str, Any] = {**found, "responses": responses, "media_type": FHIR_JSON, "sync_to_thread": True}
    if is_search:
        arguments["opt"] = {**found["opt"], "parameters": (*_parameters(kind), "_format")}
        arguments["operation_class"] = _by_address(kind)
    return arguments


def route_by_post(kind: str) -> dict[str, Any]:
    """Return the arguments of a search by POST; no session counts there, for another site's page could send it."""
    found = route(kind, is_search=True)
    del found["sync_to_thread"], found["responses"][304]
    found["responses"] |= {413: told("The form is too large"), 415: told(_NO_FORM)}
    found["opt"]["needs"] = replace(found["opt"]["needs"], asks_only=True)
    found["security"] = [one for one in found["security"] if "session" not in one]
    return {**found, "status_code": 200, "operation_class": _by_form(kind)}


def told(words: str) -> ResponseSpec:
    """Return an answer of the API's document that is an OperationOutcome."""
    return ResponseSpec(dict[str, Any], description=words, media_type=FHIR_JSON, generate_examples=False)


def _parameters(kind: str) -> dict[str, str]:
    """Return how a resource's search parameters may be written, and what each is."""
    named = {name: one.words for base, one in SEARCHED[kind].items() for name in one.names(base)}
    return {**named, "_count": "The most of one page"}


def _by_address(kind: str) -> type[Operation]:
    """Return an operation of the API's document that names the search parameters."""
    searched = [
        Documented(name=name, param_in="query", schema=_STRING, description=words, required=False)
        for name, words in _parameters(kind).items()
    ]

    @dataclass
    class Searched(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or ()), *searched]

    return Searched


def _by_form(kind: str) -> type[Operation]:
    """Return one that names them as the fields of a form."""
    fields = Schema(type=OpenAPIType.OBJECT, properties=dict.fromkeys(_parameters(kind), _STRING))

    @dataclass
    class SearchedByForm(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody({FORM: OpenAPIMediaType(schema=fields)})

    return SearchedByForm
