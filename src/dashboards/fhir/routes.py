"""`/fhir`: the same record as `/api/v1`, in FHIR R4 (4.0.1), to read."""

from collections.abc import Callable, Sequence
from typing import Final

from litestar import Response, Router, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from dashboards.audit.shown import note_shown
from dashboards.auth import PUBLIC, Visit
from dashboards.context import Console
from dashboards.errors import answer_error, refusal
from dashboards.fhir.bundle import BY_POST, Found, base_of, begins_at, bundle, refuse_many, sliced
from dashboards.fhir.capability import capability
from dashboards.fhir.described import R4_ALONE, route, route_by_post, told
from dashboards.fhir.device import Devices, device, device_id_in, metric_of
from dashboards.fhir.identity import names_of
from dashboards.fhir.listed import DOCUMENTS, SEARCHED, fitting
from dashboards.fhir.measured import NothingFitsError, found_observations, wanted
from dashboards.fhir.model import FHIR_JSON, FhirJson
from dashboards.fhir.observation import event_of, observations
from dashboards.fhir.outcome import FHIR_PATH
from dashboards.fhir.provenance import provenances
from dashboards.fhir.searching import MOST_COUNT, Form, Given, form_of, referred, refuse_other_formats, search
from dashboards.reading import reading
from streams.measurements import Measurements
from streams.readings import DeviceView

Answer = Response[FhirJson]


@get(
    "/metadata",
    opt=PUBLIC,
    security=[{}],
    media_type=FHIR_JSON,
    responses={406: told(R4_ALONE)},
    sync_to_thread=False,
)
def show_capability(console: NamedDependency[Console], request: Visit) -> FhirJson:
    """What of FHIR is spoken here (CapabilityStatement); needs no credential."""
    return capability(base_of(request), console.settings.site_name, SEARCHED, DOCUMENTS)


# --- devices -----------------------------------------------------------------------------------------------


@get("/Device", **route("Device", is_search=True))
def search_devices(console: NamedDependency[Console], request: Visit) -> Answer:
    """Devices of the site."""
    return _devices(console, request)


def _devices(console: Console, request: Visit, form: Form = ()) -> Answer:
    return _searched(console, request, form, "Device", [device(view) for view in console.readings.devices()])


@get("/Device/{device_id:str}", **route("Device"))
def read_device(console: NamedDependency[Console], device_id: FromPath[str]) -> Answer:
    """One device."""
    return _read(device(_view(console, device_id)), device_id)


@get("/DeviceMetric", **route("DeviceMetric", is_search=True))
def search_metrics(console: NamedDependency[Console], request: Visit) -> Answer:
    """What the devices of the site measure."""
    return _metrics(console, request)


def _metrics(console: Console, request: Visit, form: Form = ()) -> Answer:
    found = [metric_of(console, view) for view in console.readings.devices()]
    return _searched(console, request, form, "DeviceMetric", [one for one in found if one is not None])


@get("/DeviceMetric/{metric_id:str}", **route("DeviceMetric"))
def read_metric(console: NamedDependency[Console], metric_id: FromPath[str]) -> Answer:
    """What one device measures."""
    return _read(metric_of(console, _view(console, metric_id)), metric_id)


def _view(console: Console, given: str) -> DeviceView:
    view = console.readings.device(device_id_in(given))
    if view is None:
        raise NotFoundException("There is no such device at this site")
    return view


# --- measurements ------------------------------------------------------------------------------------------


@get("/Observation", **route("Observation", is_search=True))
def search_observations(console: NamedDependency[Console], request: Visit) -> Answer:
    """Values of measurements by time, a page at a time."""
    return _observations(console, request)


def _observations(console: Console, request: Visit, form: Form = ()) -> Answer:
    asked, devices = search(request, SEARCHED["Observation"], form), Devices(console)
    begins = begins_at(request, console, asked)
    with reading(console) as measurements:
        try:
            wants = wanted(asked, devices, console.settings.zone, base_of(request))
            found = found_observations(measurements, wants, devices, asked.limit, begins)
        except NothingFitsError:
            found = Found([])
    note_shown(request, _measurements_in(found))
    return _answer(bundle(request, console, asked, found))


def _measurements_in(found: Found) -> dict[str, None]:
    """Return the events of the measurements that a page tells of, in its order."""
    told = (it for it in found.resources if it["resourceType"] in {"Observation", "Provenance"})
    return dict.fromkeys(event for it in told if (event := event_of(it["id"])) is not None)


@get("/Observation/{observation_id:str}", **route("Observation"))
def read_observation(console: NamedDependency[Console], observation_id: FromPath[str]) -> Answer:
    """One value of a measurement."""
    event_id, devices = event_of(observation_id), Devices(console)
    with reading(console) as measurements:
        one = measurements.measurement(event_id) if event_id is not None else None
    found = observations(one, devices) if one is not None else []
    is_released = one is not None and one.status == "released"
    if is_released and names_of(observation_id) == (event_id,) and observation_id not in {it["id"] for it in found}:
        values = ", ".join(f"Observation/{it['id']}" for it in found)
        raise HTTPException(detail=f"It had been withheld and is released: see {values}", status_code=410)
    return _read(next((it for it in found if it["id"] == observation_id), None), observation_id)


@get("/Provenance", **route("Provenance", is_search=True))
def search_provenances(console: NamedDependency[Console], request: Visit) -> Answer:
    """What measurements rest on: of some observations, or by id."""
    return _provenances_of(console, request)


def _provenances_of(console: Console, request: Visit, form: Form = ()) -> Answer:
    asked = search(request, SEARCHED["Provenance"], form)
    for given in asked.given:
        refuse_many(given, MOST_COUNT)
    events = {event_of(one) for given in asked.given for one in _named_by(given, base_of(request))}
    if len(events) > MOST_COUNT:
        raise refusal(400, f"Ask about {MOST_COUNT} at most", {"target": "too many"})
    if not asked.given:
        raise refusal(400, "Ask by target, such as Observation/..., or by _id", {"target": "this or _id is needed"})
    with reading(console) as measurements:
        found = [
            one for event_id in sorted(filter(None, events)) for one in _provenances(measurements, event_id, console)
        ]
    return _searched(console, request, form, "Provenance", found)


@get("/Provenance/{provenance_id:str}", **route("Provenance"))
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


def _searched(console: Console, request: Visit, form: Form, kind: str, there: Sequence[FhirJson]) -> Answer:
    """Answer a search over what is there as a whole."""
    asked = search(request, SEARCHED[kind], form)
    begins = begins_at(request, console, asked)
    found = sliced(fitting(asked, there, base_of(request)), asked.limit, begins)
    note_shown(request, _measurements_in(found))
    return _answer(bundle(request, console, asked, found))


def _by_post(kind: str, find: Callable[[Console, Visit, Form], Answer]) -> HTTPRouteHandler:
    """Return the route of a search by POST: what is searched for stands in no address, and so in no proxy's log."""

    @post(f"/{kind}{BY_POST}", **route_by_post(kind))
    async def search_by_post(console: NamedDependency[Console], request: Visit) -> Answer:
        """As by GET, with the parameters in a form."""
        return await sync_to_thread(find, console, request, await form_of(request))

    return search_by_post


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
        _by_post("Device", _devices),
        _by_post("DeviceMetric", _metrics),
        _by_post("Observation", _observations),
        _by_post("Provenance", _provenances_of),
    ],
    before_request=refuse_other_formats,
    exception_handlers={Exception: answer_error},
)
