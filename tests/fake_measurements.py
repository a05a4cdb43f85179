"""What a database says of measurements, without one: two of a device, one of them withheld."""

from collections.abc import Sequence
from datetime import timedelta

from streams.measurements import (
    Annotation,
    Measurement,
    MeasurementQuery,
    MeasurementsAwayError,
    Place,
    Provenance,
    Review,
    ReviewedMeasurement,
)
from streams.visits import LastVisit, PersonQuery
from tests.console_fakes import NOW


def measurement(event: str, device: str, *, status: str = "validated", reasons: tuple[str, ...] = ()) -> Measurement:
    """Return a measurement of this morning."""
    at = NOW - timedelta(minutes=30)
    return Measurement(
        event_id=event,
        device=device,
        measured_at=at,
        revision=0,
        recorded_at=at,
        status=status,
        standing=status,
        accession_number=f"ACC-{status.upper()}",
        acquisition_id=f"scan-{event}",
        pseudonym="1.nobody",
        mode="all",
        anatomy="spine",
        analysed_at=None,
        reason_codes=reasons,
        kind="scanner",
        make="Invented",
        model="Virtual",
        serial="V-1",
        software="1.0",
        weight_kg=None,
        height_cm=None,
        is_overridden=False,
        issue_codes=(),
        qc=(),
        changes=(),
        gate_since=None,
        released_by="",
        release_reason="",
    )


class FakeMeasurements:
    """The port, in memory; `is_away` makes it fail as a database that cannot be reached."""

    def __init__(self, device: str, event: str, holding: str, withheld: str) -> None:
        self.rows = [
            measurement(event, device),
            measurement(withheld, holding, status="withheld", reasons=("qc_missing",)),
        ]
        self.is_away = False

    def page(self, query: MeasurementQuery, after: Place | None, limit: int) -> Sequence[Measurement]:
        if self.is_away:
            raise MeasurementsAwayError("the database does not answer")
        found = [
            row
            for row in self.rows
            if (query.device in {None, row.device} and query.status in {None, row.status})
            and (query.since is None or row.measured_at >= query.since)
            and (query.until is None or row.measured_at <= query.until)
            and (after is None or (row.measured_at, row.event_id) > after)
        ]
        return sorted(found, key=lambda row: (row.measured_at, row.event_id))[:limit]

    def measurement(self, event_id: str) -> Measurement | None:
        return next((row for row in self.rows if row.event_id == event_id), None)

    def provenance(self, event_id: str) -> Provenance | None:
        del event_id
        return None

    def annotations(self, event_id: str) -> Sequence[Annotation] | None:
        del event_id
        return None

    def last_visit(self, person: PersonQuery) -> LastVisit | None:
        del person
        return None

    def reviews(self, *, waiting: bool, after: Place | None, limit: int) -> Sequence[Review]:
        del waiting, after, limit
        return ()

    def review(self, review_id: str) -> Review | None:
        del review_id
        return None

    def review_page(self, review_id: str, after: Place | None, limit: int) -> Sequence[ReviewedMeasurement]:
        del review_id, after, limit
        return ()
