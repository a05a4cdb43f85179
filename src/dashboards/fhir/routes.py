"""`/fhir`: the same record as `/api/v1`, in FHIR R4 (4.0.1), to read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation, Schema
from litestar.openapi.spec import Parameter as Documented
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath

from dashboards.access.needs import RouteNeeds, needs
from dashboards.access.scopes import Scope
from dashboards.auth import PUBLIC, Visit
from dashboards.context import Console
from dashboards.errors import answer_error, refusal
from dashboards.fhir.bundle import Found, base_of, begins_at, bundle, refuse_many, sliced
from dashboards.fhir.capability import capability
from dashboards.fhir.device import Devices, device, device_id_in, metric_of
from dashboards.fhir.identity import names_of
from dashboards.fhir.measured import PARAMETERS as OF_OBSERVATIONS
from dashboards.fhir.measured import NothingFitsError, found_observations, wanted
from dashboards.fhir.model import FHIR_JSON, FhirJson
from dashboards.fhir.observation import event_of, observations
from dashboards.fhir.outcome import FHIR_PATH
from dashboards.fhir.provenance import provenances
from dashboards.fhir.searching import (
    MOST_COUNT,
    Given,
    Parameter,
    Parameters,
    fits_code,
    fits_coding,
    fits_identifier,
    fits_string,
    referred,
    refuse_other_formats,
    search,
)
from dashboards.reading import reading
from streams.measurements import Measurements
from streams.readings import DeviceView

Answer = Response[FhirJson]
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
_R4_ALONE: Final = "JSON of R4 alone is spoken here"
_STRING: Final = Schema(type=OpenAPIType.STRING, max_length=1000)


def _route(kind: str, *, is_search: bool = False, patient_linked: bool = False) -> dict[str, Any]:
    """Return the arguments of a route: what it needs, and what it may answer, all of it FHIR."""
    found: RouteNeeds = needs(Scope.FHIR_READ, patient_linked=patient_linked)
    responses: dict[int, ResponseSpec] = {
        status: _told(spec.description) if spec.data_container is not None else spec
        for status, spec in found["responses"].items()
    }
    responses[406] = _told(_R4_ALONE)
    if kind == "Observation" and not is_search:
        responses[410] = _told("What had been withheld is released: its values are resources of their own")
    arguments: dict[str, Any] = {**found, "responses": responses, "media_type": FHIR_JSON, "sync_to_thread": True}
    if is_search:
        names = [name for base, one in SEARCHED[kind].items() for name in one.names(base)]
        arguments["opt"] = {**found["opt"], "parameters": (*names, "_count", "_format")}
        arguments["operation_class"] = _documented(kind)
    return arguments


def _told(words: str) -> ResponseSpec:
    return ResponseSpec(dict[str, Any], description=words, media_type=FHIR_JSON, generate_examples=False)


def _documented(kind: str) -> type[Operation]:
    """Return an operation of the API's document that names the search parameters."""
    searched = [
        Documented(name=name, param_in="query", schema=_STRING, description=one.words, required=False)
        for base, one in SEARCHED[kind].items()
        for name in one.names(base)
    ]
    searched.append(
        Documented(name="_count", param_in="query", schema=_STRING, description="The most of one page", required=False)
    )

    @dataclass
    class Searched(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or ()), *searched]

    return Searched


@get(
    "/metadata",
    opt=PUBLIC,
    security=[{}],
    media_type=FHIR_JSON,
    responses={406: _told(_R4_ALONE)},
    sync_to_thread=False,
)
def show_capability(console: NamedDependency[Console], request: Visit) -> FhirJson:
    """What of FHIR is spoken here (CapabilityStatement); needs no credential."""
    return capability(base_of(request), console.settings.site_name, SEARCHED, DOCUMENTS)


# --- devices -----------------------------------------------------------------------------------------------


@get("/Device", **_route("Device", is_search=True))
def search_devices(console: NamedDependency[Console], request: Visit) -> Answer:
    """Devices of the site."""
    return _searched(console, request, "Device", [device(view) for view in console.readings.devices()])


@get("/Device/{device_id:str}", **_route("Device"))
def read_device(console: NamedDependency[Console], device_id: FromPath[str]) -> Answer:
    """One device."""
    return _read(device(_view(console, device_id)), device_id)


@get("/DeviceMetric", **_route("DeviceMetric", is_search=True))
def search_metrics(console: NamedDependency[Console], request: Visit) -> Answer:
    """What the devices of the site measure."""
    found = [metric_of(console, view) for view in console.readings.devices()]
    return _searched(console, request, "DeviceMetric", [one for one in found if one is not None])


@get("/DeviceMetric/{metric_id:str}", **_route("DeviceMetric"))
def read_metric(console: NamedDependency[Console], metric_id: FromPath[str]) -> Answer:
    """What one device measures."""
    return _read(metric_of(console, _view(console, metric_id)), metric_id)


def _view(console: Console, given: str) -> DeviceView:
    view = console.readings.device(device_id_in(given))
    if view is None:
        raise NotFoundException("There is no such device at this site")
    return view


# --- measurements ------------------------------------------------------------------------------------------


@get("/Observation", **_route("Observation", is_search=True, patient_linked=True))
def search_observations(console: NamedDependency[Console], request: Visit) -> Answer:
    """Values of measurements by time, a page at a time."""
    asked, devices = search(request, OF_OBSERVATIONS), Devices(console)
    begins = begins_at(request, console, asked)
    with reading(console) as measurements:
        try:
            wants = wanted(asked, devices, console.settings.zone, base_of(request))
            found = found_observations(measurements, wants, devices, asked.limit, begins)
        except NothingFitsError:
            found = Found([])
    return _answer(bundle(request, console, asked, found))


@get("/Observation/{observation_id:str}", **_route("Observation", patient_linked=True))
def read_observation(console: NamedDependency[Console], observation_id: FromPath[str]) -> Answer:
    """One value of a measurement."""
    event_id, devices = event_of(observation_id), Devices(console)
    with reading(console) as measurements:
        one = measurements.measurement(event_id) if event_id is not None else None
    found = observations(one, devices) if one is not None else []
    if found and names_of(observation_id) == (event_id,) and observation_id not in {it["id"] for it in found}:
        values = ", ".join(f"Observation/{it['id']}" for it in found)
        raise HTTPException(detail=f"It had been withheld and is released: see {values}", status_code=410)
    return _read(next((it for it in found if it["id"] == observation_id), None), observation_id)


@get("/Provenance", **_route("Provenance", is_search=True, patient_linked=True))
def search_provenances(console: NamedDependency[Console], request: Visit) -> Answer:
    """What measurements rest on: of some observations, or by id."""
    asked = search(request, PROVENANCES)
    for given in asked.given:
        refuse_many(given, MOST_COUNT)
    events = {event_of(one) for given in asked.given for one in _named_by(given, base_of(request))}
    if not asked.given:
        raise refusal(400, "Ask by target, such as Observation/..., or by _id", {"target": "this or _id is needed"})
    with reading(console) as measurements:
        found = [
            one for event_id in sorted(filter(None, events)) for one in _provenances(measurements, event_id, console)
        ]
    return _searched(console, request, "Provenance", found)


@get("/Provenance/{provenance_id:str}", **_route("Provenance", patient_linked=True))
def read_provenance(console: NamedDependency[Console], provenance_id: FromPath[str]) -> Answer:
    """What one measurement rests on, or one decision about it."""
    event_id = event_of(provenance_id)
    with reading(console) as measurements:
        found = _provenances(measurements, event_id, console) if event_id is not None else []
    return _read(next((it for it in found if it["id"] == provenance_id), None), provenance_id)


def _provenances(measurements: Measurements, event_id: str, console: Console) -> list[FhirJson]:
    one = measurements.provenance(event_id)
    return provenances(one, Devices(console)) if one is not None else []


def _named_by(given: Given, base: str) -> list[str]:
    if given.name == "_id":
        return list(given.values)
    return [name for value in given.values if (name := referred(value, "Observation", base)) is not None]


# --- answers -----------------------------------------------------------------------------------------------

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


def _searched(console: Console, request: Visit, kind: str, there: Sequence[FhirJson]) -> Answer:
    """Answer a search over what is there as a whole."""
    asked, base = search(request, SEARCHED[kind]), base_of(request)
    begins = begins_at(request, console, asked)
    fitting = [one for one in there if all(_TESTS[given.name](given, one, base) for given in asked.given)]
    return _answer(bundle(request, console, asked, sliced(fitting, asked.limit, begins)))


def _read(one: FhirJson | None, asked: str) -> Answer:
    """Answer with a resource that has the id that is asked for, and its version as a weak tag."""
    if one is None or one["id"] != asked:
        raise NotFoundException("There is no such resource")
    return _answer(one, {"ETag": f'W/"{one["meta"]["versionId"]}"'})


def _answer(content: FhirJson, headers: dict[str, str] | None = None) -> Answer:
    return Response(content, media_type=FHIR_JSON, headers=headers)


fhir_router: Final = Router(
    path=FHIR_PATH,
    route_handlers=[
        show_capability,
        search_devices,
        read_device,
        search_metrics,
        read_metric,
        search_observations,
        read_observation,
        search_provenances,
        read_provenance,
    ],
    before_request=refuse_other_formats,
    exception_handlers={Exception: answer_error},
)
