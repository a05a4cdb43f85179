"""Finds the observations that a search asks for: the database narrows measurements down, the rest is looked at here."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from dashboards.fhir.bundle import Found, refuse_many, sliced
from dashboards.fhir.device import Devices, device_id_in
from dashboards.fhir.model import FhirJson
from dashboards.fhir.observation import event_of, observations
from dashboards.fhir.searching import (
    MOST_COUNT,
    Given,
    Parameter,
    Search,
    Span,
    fits_code,
    fits_coding,
    fits_identifier,
    only,
    referred,
    span,
    token,
)
from dashboards.fhir.terms import OBSERVATION_STATUS, Ours
from dashboards.manner.paging import Position
from streams.measurements import Measurement, MeasurementQuery, Measurements, Place

_BY_IDENTIFIER: Final = frozenset({"identifier"})
PARAMETERS: Final = {
    "_id": Parameter("token", "Ids of observations"),
    "identifier": Parameter("token", "The request's accession number, or the measurement's identifier with its system"),
    "based-on": Parameter("reference", "The request's accession number", _BY_IDENTIFIER, needs_modifier=True),
    "subject": Parameter("reference", "The person's pseudonym", _BY_IDENTIFIER, needs_modifier=True),
    "patient": Parameter("reference", "The person's pseudonym", _BY_IDENTIFIER, needs_modifier=True),
    "device": Parameter("reference", "The device that measured"),
    "date": Parameter("date", "When it was measured; a date without a zone is in the site's"),
    "status": Parameter("token", "The observation's status"),
    "code": Parameter("token", "What was measured"),
    "category": Parameter("token", "vital-signs or imaging"),
}
MOST_LOOKED_AT: Final = 1000
"""So many measurements a page at most: where few of them fit, a page is short, and another follows."""

_AT_ONCE: Final = 100
_STATUS_OF: Final = {"registered": "withheld", "cancelled": "superseded", "entered-in-error": "superseded"}
"""Statuses that the database knows by another name."""

_TESTS: Final[dict[str, Callable[[Given, FhirJson], bool]]] = {
    "_id": lambda given, one: one["id"] in given.values,
    "status": lambda given, one: fits_code(given, OBSERVATION_STATUS, one["status"]),
    "code": lambda given, one: fits_coding(given, [one["code"]]),
    "category": lambda given, one: fits_coding(given, one["category"]),
    "identifier": lambda given, one: fits_identifier(given, one["identifier"]),
    "based-on": lambda given, one: fits_identifier(given, [it["identifier"] for it in one.get("basedOn", ())]),
    "subject": lambda given, one: fits_identifier(given, _people(one)),
    "patient": lambda given, one: fits_identifier(given, _people(one)),
}


class NothingFitsError(Exception):
    """What is asked for cannot be both."""


class Wanted(NamedTuple):
    """What is asked for; `events` are the only measurements that can fit, None: those of the query."""

    query: MeasurementQuery
    given: tuple[Given, ...]
    events: tuple[str, ...] | None = None

    def narrowed(self, name: str, value: str) -> "Wanted":
        """Ask the database for one value; NothingFitsError if another is asked for already."""
        if getattr(self.query, name) not in {None, value}:
            raise NothingFitsError
        return self._replace(query=replace(self.query, **{name: value}))

    def among(self, events: tuple[str, ...]) -> "Wanted":
        """Look at some measurements only."""
        before = self.events
        return self._replace(events=events if before is None else tuple(one for one in before if one in events))

    def fits(self, one: FhirJson) -> bool:
        """Whether an observation is as asked for, as far as that shows."""
        return all(_TESTS[given.name](given, one) for given in self.given if given.name in _TESTS)

    def admits(self, one: Measurement) -> bool:
        """Whether a measurement is of the device and the time that are asked for."""
        query = self.query
        is_in_time = (query.since is None or one.measured_at >= query.since) and (
            query.until is None or one.measured_at <= query.until
        )
        return is_in_time and query.device in {None, one.device}


def wanted(asked: Search, devices: Devices, zone: ZoneInfo, base: str) -> Wanted:
    """Return what a search wants; 400 for what cannot be meant so, NothingFitsError where nothing can be both."""
    found = Wanted(MeasurementQuery(), asked.given)
    for given in asked.given:
        match given.name:
            case "_id":
                refuse_many(given, MOST_COUNT)
                found = found.among(tuple(dict.fromkeys(event_of(one) or "" for one in given.values)))
            case "identifier" | "based-on":
                found = _by_identifier(found, given)
            case "subject" | "patient":
                person = token(only(given)).code
                found = found.narrowed("pseudonym", person) if person else found
            case "device":
                key = devices.key(device_id_in(referred(only(given), "Device", base) or ""))
                if key is None:
                    raise NothingFitsError
                found = found.narrowed("device", key)
            case "date":
                both = Span(found.query.since, found.query.until).both(span(given, zone))
                found = found._replace(query=replace(found.query, since=both.since, until=both.until))
            case "status":
                named = {_STATUS_OF.get(token(value).code) for value in given.values}
                status = named.pop() if len(named) == 1 else None
                found = found.narrowed("status", status) if status is not None else found
    return found


def _by_identifier(found: Wanted, given: Given) -> Wanted:
    asked = token(only(given))
    if not asked.code:
        return found
    if asked.system == Ours.MEASUREMENT:
        return found.among((asked.code,))
    return found.narrowed("accession_number", asked.code)


def found_observations(
    measurements: Measurements, wants: Wanted, devices: Devices, count: int, begins: Position | None
) -> Found:
    """Return a page of the observations that are asked for, by time."""
    if wants.events is not None:
        found = []
        for event_id in wants.events:
            one = measurements.measurement(event_id)
            if one is not None and wants.admits(one):
                found += [it for it in observations(one, devices) if wants.fits(it)]
        return sliced(found, count, begins)
    page: list[FhirJson] = []
    walk = _walk(measurements, wants.query, _step(begins), min(count + 1, _AT_ONCE))
    for looked_at, (one, before) in enumerate(walk):
        first = int(begins[3]) if begins and looked_at == 0 and one.event_id == begins[2] else 0
        if looked_at == MOST_LOOKED_AT:
            return Found(page, _position(before, one, 0))
        fitting = [it for it in observations(one, devices) if wants.fits(it)]
        for place, it in enumerate(fitting[first:], start=first):
            if len(page) == count:
                return Found(page, _position(before, one, place))
            page.append(it)
    return Found(page)


def _walk(
    measurements: Measurements, query: MeasurementQuery, before: Place | None, first: int
) -> Iterator[tuple[Measurement, Place | None]]:
    """Yield measurements by time behind a place, `first` many at first, each with the place before it."""
    at_once = first
    while True:
        rows = measurements.page(query, before, at_once)
        for one in rows:
            yield one, before
            before = (one.measured_at, one.event_id)
        if len(rows) < at_once:
            return
        at_once = _AT_ONCE


def _position(before: Place | None, one: Measurement, skip: int) -> Position:
    """Return where a page begins: behind a place, in a measurement whose first observations were told."""
    at, event_id = (before[0].isoformat(), before[1]) if before is not None else ("", "")
    return [at, event_id, one.event_id, skip]


def _step(begins: Position | None) -> Place | None:
    return (datetime.fromisoformat(str(begins[0])), str(begins[1])) if begins and begins[0] else None


def _people(one: FhirJson) -> list[FhirJson]:
    return [one["subject"]["identifier"]] if "subject" in one else []
