"""`/api/v1/measurements` and `/api/v1/reviews`: what the pathway may use, what it rests on, what waits for a physicist.

Everything here is read from the database, which follows the log.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.api.measurement_shapes import (
    MeasurementOut,
    ReviewedOut,
    ReviewOut,
    measurement_out,
    review_out,
    reviewed_out,
)
from dashboards.audit.shown import note_shown
from dashboards.auth import Visit
from dashboards.context import Console
from dashboards.manner.paging import Cursor, PageLimit, Position
from dashboards.reading import reading
from streams.measurements import (
    Annotation,
    BaselineThen,
    CheckThen,
    GateThen,
    Measurement,
    MeasurementQuery,
    Place,
    StudyThen,
)

Status = Literal["validated", "released", "withheld", "superseded"]
Text = Annotated[str | None, QueryParameter(max_length=200)]
DEFAULT_PAGE: Final = 100
_MEASUREMENTS: Final = needs(Scope.MEASUREMENTS_READ, patient_linked=True)
_REVIEWS: Final = needs(Scope.REVIEWS_READ, patient_linked=True)


class ProvenanceOut(msgspec.Struct, frozen=True):
    """What a measurement rests on: its device and QC, the gate, baselines, checks, cross-calibrations."""

    measurement: MeasurementOut
    gate: GateThen | None
    baselines: tuple[BaselineThen, ...]
    checks: tuple[CheckThen, ...]
    studies: tuple[StudyThen, ...]


@get("/measurements", **_MEASUREMENTS, sync_to_thread=True)
def list_measurements(
    console: NamedDependency[Console],
    request: Visit,
    *,
    accession_number: Text = None,
    device: Text = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    status: FromQuery[Status | None] = None,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> Response[list[MeasurementOut]]:
    """Measurements by time, both ends included, a page at a time; `device` is its id at this site."""
    asked = MeasurementQuery(
        accession_number=_plain(accession_number) if accession_number is not None else None,
        device=console.device(device).device if device is not None else None,
        since=_aware(since),
        until=_aware(until),
        status=status,
    )
    after = _place(console.cursors.after(request, cursor))
    with reading(console) as measurements:
        rows = measurements.page(asked, after, limit + 1)
    note_shown(request, (row.event_id for row in rows[:limit]))
    return console.cursors.page(request, rows, limit, place=_position, shown=measurement_out)


@get("/measurements/{event_id:str}", **_MEASUREMENTS, sync_to_thread=True)
def show_measurement(console: NamedDependency[Console], event_id: FromPath[str]) -> MeasurementOut:
    """One measurement as it stands."""
    with reading(console) as measurements:
        return measurement_out(_found(measurements.measurement(_plain(event_id)), "measurement"))


@get("/measurements/{event_id:str}/provenance", **_MEASUREMENTS, sync_to_thread=True)
def show_provenance(console: NamedDependency[Console], event_id: FromPath[str]) -> ProvenanceOut:
    """What a measurement rests on."""
    with reading(console) as measurements:
        one = _found(measurements.provenance(_plain(event_id)), "measurement")
    return ProvenanceOut(measurement_out(one.measurement), one.gate, one.baselines, one.checks, one.studies)


@get("/measurements/{event_id:str}/annotations", **_MEASUREMENTS, sync_to_thread=True)
def list_annotations(console: NamedDependency[Console], event_id: FromPath[str]) -> list[Annotation]:
    """What rules say of a measurement beside the same person's earlier ones."""
    with reading(console) as measurements:
        return list(_found(measurements.annotations(_plain(event_id)), "measurement"))


@get("/reviews", **_REVIEWS, sync_to_thread=True)
def list_reviews(
    console: NamedDependency[Console],
    request: Visit,
    *,
    waiting: FromQuery[bool] = True,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> Response[list[ReviewOut]]:
    """Reviews that wait for a physicist, or (`waiting` false) all, of all devices and sites, by time."""
    after = _place(console.cursors.after(request, cursor))
    with reading(console) as measurements:
        rows = measurements.reviews(waiting=waiting, after=after, limit=limit + 1)
    return console.cursors.page(
        request, rows, limit, place=lambda one: [one.opened_at.isoformat(), one.review_id], shown=review_out
    )


@get("/reviews/{review_id:str}", **_REVIEWS, sync_to_thread=True)
def show_review(console: NamedDependency[Console], review_id: FromPath[str]) -> ReviewOut:
    """One review."""
    with reading(console) as measurements:
        return review_out(_found(measurements.review(_plain(review_id)), "review"))


@get("/reviews/{review_id:str}/measurements", **_REVIEWS, sync_to_thread=True)
def list_reviewed(
    console: NamedDependency[Console],
    request: Visit,
    review_id: FromPath[str],
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> Response[list[ReviewedOut]]:
    """The measurements that lie in a review, by time, and how far off the device was by its estimate."""
    after = _place(console.cursors.after(request, cursor))
    with reading(console) as measurements:
        _found(measurements.review(_plain(review_id)), "review")
        rows = measurements.review_page(review_id, after, limit + 1)
    note_shown(request, (row.measurement.event_id for row in rows[:limit]))
    return console.cursors.page(
        request,
        rows,
        limit,
        place=lambda one: _position(one.measurement),
        shown=reviewed_out,
    )


Thing = TypeVar("Thing")


def _found(thing: Thing | None, name: str) -> Thing:
    if thing is None:
        raise NotFoundException(f"There is no such {name}")
    return thing


def _plain(text: str) -> str:
    """Return a text without NUL, which no database holds."""
    return text.replace("\x00", "\ufffd")


def _position(one: Measurement) -> Position:
    return [one.measured_at.isoformat(), one.event_id]


def _place(position: Position | None) -> Place | None:
    return (datetime.fromisoformat(str(position[0])), str(position[1])) if position is not None else None


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ValidationException("A time needs its zone, such as 2026-03-01T08:00:00Z")
    return moment


measurement_handlers: Final = (
    list_measurements,
    show_measurement,
    show_provenance,
    list_annotations,
    list_reviews,
    show_review,
    list_reviewed,
)
