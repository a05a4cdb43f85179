"""The `Measurements` port served by the database's views: a page at a time, from the place where the last one ended."""

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import psycopg
from psycopg.rows import dict_row

from storage.annotations import Comparability, Step, annotations_of
from storage.connection import Db
from storage.errors import StorageError
from storage.last_visit import last_visit_of
from storage.settings import AnnotationRules
from streams.measurements import (
    Amendment,
    Annotation,
    BaselineThen,
    CheckThen,
    GateThen,
    Measurement,
    MeasurementQuery,
    MeasurementsAwayError,
    Place,
    Provenance,
    RawRegion,
    Review,
    ReviewedMeasurement,
    SerialValue,
    StudyThen,
)
from streams.visits import LastVisit, PersonQuery, SeveralPeopleError

KEPT: Final = 4
"""So many connections stay open between questions."""

Columns = dict[str, Any]
Shape = TypeVar("Shape", bound=msgspec.Struct)

_MEASUREMENT: Final = (
    "m.subject_event_id AS event_id, m.device, m.measured_at, m.revision, m.recorded_at, m.status, m.standing,"
    " m.accession_number, m.acquisition_id, m.pseudonym, m.mode, m.anatomy, m.analysed_at, m.reason_codes, m.kind,"
    " m.make, m.model, m.serial, m.software, m.weight_kg, m.height_cm, m.is_overridden, m.issue_codes, m.qc, m.changes,"
    " m.gate_since, m.released_by, m.reason AS release_reason"
)
_CONDITIONS: Final = {
    "accession_number": "m.accession_number = %(accession_number)s",
    "pseudonym": "m.pseudonym = %(pseudonym)s",
    "device": "m.device = %(device)s",
    "since": "m.measured_at >= %(since)s",
    "until": "m.measured_at <= %(until)s",
    "status": "m.status = %(status)s",
}
_AFTER: Final = "(m.measured_at, m.subject_event_id) > (%(at)s, %(event_id)s)"
_ORDER: Final = "ORDER BY m.measured_at, m.subject_event_id LIMIT %(limit)s"
_OF_THESE: Final = (
    "JOIN unnest(%(devices)s::text[], %(events)s::text[]) AS asked (device, subject_event_id)"
    " USING (device, subject_event_id)"
)


class Ask(NamedTuple):
    """What a page is of; names and conditions are ours, never of a request, which gives the values of `asked` alone."""

    conditions: Sequence[str]
    asked: Columns
    source: str = "current_measurements m"
    more: str = ""


class DatabaseMeasurements:
    """Reads measurements and reviews.

    Parameters
    ----------
    connect
        Returns a connection in autocommit, the schema first in its search path.
    site
        Whose people are looked up: several sites may share the database, and their requests' numbers are their own.
    rules
        Limits of the annotations that are local policy.
    """

    def __init__(self, connect: Callable[[], Db], site: str, rules: AnnotationRules | None = None) -> None:
        self._connect = connect
        self._site = site
        self._rules = rules or AnnotationRules()
        self._free: queue.LifoQueue[Db] = queue.LifoQueue(KEPT)

    def close(self) -> None:
        """Close the connections that stay open."""
        while True:
            try:
                self._free.get_nowait().close()
            except queue.Empty:
                return

    def page(self, query: MeasurementQuery, after: Place | None, limit: int) -> Sequence[Measurement]:
        """Return up to `limit` measurements behind a place."""
        asked = {name: value for name, value in msgspec.structs.asdict(query).items() if value is not None}
        conditions = [_CONDITIONS[name] for name in asked]
        if query.status not in {None, "superseded"}:
            conditions.append("m.standing = %(status)s")  # what an index knows
        with self._session() as db:
            return _page(db, Ask(conditions, asked), after, limit)[0]

    def measurement(self, event_id: str) -> Measurement | None:
        """Return one measurement, or None."""
        with self._session() as db:
            return _one(db, event_id)

    def provenance(self, event_id: str) -> Provenance | None:
        """Return what a measurement rests on, or None."""
        with self._session() as db:
            one = _one(db, event_id)
            return _provenance(db, one) if one is not None else None

    def annotations(self, event_id: str) -> Sequence[Annotation] | None:
        """Return what the rules say of a measurement; None where there is no such measurement."""
        with self._session() as db:
            one = _one(db, event_id)
            if one is None:
                return None
            if not one.pseudonym:
                return []
            conditions = [
                "m.pseudonym = %(pseudonym)s",
                "m.measured_at < %(before)s",
                "m.status IN ('validated', 'released')",
            ]
            earlier, _ = _page(db, Ask(conditions, {"pseudonym": one.pseudonym, "before": one.measured_at}))
            return annotations_of(one, earlier, self._rules, _comparability(db, [one, *earlier]))

    def last_visit(self, person: PersonQuery) -> LastVisit | None:
        """Return somebody's last visit, or None where nothing was measured."""
        with self._session() as db:
            measured = _of_person(db, self._site, person)
            return last_visit_of(measured, _comparability(db, measured), _serials(db, measured))

    def reviews(self, *, waiting: bool, after: Place | None, limit: int) -> Sequence[Review]:
        """Return up to `limit` reviews that wait for a physicist, or of all, the oldest first, behind a place."""
        where, asked = ["is_open"] if waiting else ["true"], Columns({"limit": limit})
        if after is not None:
            where.append("(opened_at, review_id) > (%(at)s, %(id)s)")
            asked |= {"at": after[0], "id": after[1]}
        with self._session() as db:
            return _reviews(db, " AND ".join(where), asked)

    def review(self, review_id: str) -> Review | None:
        """Return one review, or None."""
        with self._session() as db:
            return next(iter(_reviews(db, "review_id = %(review_id)s", {"review_id": review_id, "limit": 1})), None)

    def review_page(self, review_id: str, after: Place | None, limit: int) -> Sequence[ReviewedMeasurement]:
        """Return up to `limit` measurements that lie in a review."""
        with self._session() as db:
            more = ", m.size, m.size_low, m.size_high, m.size_unit"
            ask = Ask(["m.review_id = %(review_id)s"], {"review_id": review_id}, "review_measurements m", more)
            found, rows = _page(db, ask, after, limit)
            return [
                ReviewedMeasurement(one, row["size_unit"], row["size"], row["size_low"], row["size_high"])
                for one, row in zip(found, rows, strict=True)
            ]

    @contextmanager
    def _session(self) -> Iterator[Db]:
        """Give a connection; one that failed is not used again."""
        try:
            try:
                db = self._free.get_nowait()
            except queue.Empty:
                db = self._connect()
        except StorageError as error:
            raise MeasurementsAwayError(str(error)) from error
        try:
            with db.transaction():  # a measurement and its values are of one moment
                db.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield db
        except psycopg.Error as error:
            db.close()
            raise MeasurementsAwayError(f"the database gave up: {type(error).__name__}") from error
        except BaseException:
            db.close()
            raise
        try:
            self._free.put_nowait(db)
        except queue.Full:
            db.close()


def _rows(db: Db, query: str, asked: Columns) -> list[Columns]:
    with db.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), asked).fetchall()


def _page(
    db: Db, ask: Ask, after: Place | None = None, limit: int | None = None
) -> tuple[list[Measurement], list[Columns]]:
    """Return measurements with their values, and their rows."""
    conditions, asked = ask.conditions, {**ask.asked, "limit": limit}
    if after is not None:
        conditions = [*conditions, _AFTER]
        asked |= {"at": after[0], "event_id": after[1]}
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT {_MEASUREMENT}{ask.more} FROM {ask.source} {where} {_ORDER}"  # noqa: S608 - ours
    rows = _rows(db, query, asked)
    return _with_values(db, rows), rows


def _one(db: Db, event_id: str) -> Measurement | None:
    found, _ = _page(db, Ask(["m.subject_event_id = %(event_id)s"], {"event_id": event_id}), None, 1)
    return found[0] if found else None


def _of_person(db: Db, site: str, person: PersonQuery) -> list[Measurement]:
    """Return all that stands of a site's person, with weights and heights that came under the same requests' numbers.

    Raises
    ------
    SeveralPeopleError
        A number stands for several.
    """
    names, numbers, home = set(person.pseudonyms), {person.accession_number} - {""}, {"site": f"{site}/"}
    if numbers:
        query = (
            "SELECT DISTINCT pseudonym FROM measurements WHERE accession_number = ANY (%(numbers)s)"
            " AND starts_with(device, %(site)s)"
        )
        names = {row["pseudonym"] for row in _rows(db, query, {"numbers": list(numbers), **home})} - {""}
        if len(names) > 1:
            raise SeveralPeopleError
    stands = "m.status IN ('validated', 'released', 'withheld') AND starts_with(m.device, %(site)s)"
    named, _ = _page(db, Ask(["m.pseudonym = ANY (%(names)s)", stands], {"names": list(names), **home}))
    numbers |= {one.accession_number for one in named} - {""}
    of_nobody_else = (
        "NOT EXISTS (SELECT 1 FROM measurements o WHERE o.accession_number = m.accession_number"
        " AND o.pseudonym <> '' AND o.pseudonym <> ALL (%(names)s) AND starts_with(o.device, %(site)s))"
    )
    conditions = ["m.accession_number = ANY (%(numbers)s)", "m.pseudonym = ''", of_nobody_else, stands]
    nameless, _ = _page(db, Ask(conditions, {"numbers": list(numbers), "names": list(names), **home}))
    return [*named, *nameless]


def _with_values(db: Db, rows: Sequence[Columns]) -> list[Measurement]:
    """Return measurements with their regions, cross-calibrated values and amendments: a query for each kind."""
    if not rows:
        return []
    asked = {
        "devices": [row["device"] for row in rows],
        "events": [row["event_id"] for row in rows],
    }
    regions = _grouped(db, f"SELECT * FROM current_measurement_values {_OF_THESE} ORDER BY place", asked)  # noqa: S608
    serial = _grouped(db, f"SELECT * FROM current_cross_calibrated {_OF_THESE} ORDER BY place", asked)  # noqa: S608
    amended = _grouped(db, f"SELECT * FROM amended_measurements {_OF_THESE} ORDER BY decided_at", asked)  # noqa: S608
    found = []
    for row in rows:
        key = (row["device"], row["event_id"])
        more = {
            "regions": [_taken(RawRegion, one) for one in regions.get(key, ())],
            "cross_calibrated": [_taken(SerialValue, one) for one in serial.get(key, ())],
            "amendments": [
                _taken(Amendment, {**one, "revision": one["amendment_revision"]}) for one in amended.get(key, ())
            ],
        }
        found.append(_taken(Measurement, {**row, **more}))
    return found


def _grouped(db: Db, query: str, asked: Columns) -> dict[tuple[str, str], list[Columns]]:
    found: dict[tuple[str, str], list[Columns]] = {}
    for row in _rows(db, query, asked):
        found.setdefault((row["device"], row["subject_event_id"]), []).append(row)
    return found


def _taken(shape: type[Shape], row: Columns) -> Shape:
    """Return a row as a value of the port; columns that it does not have are left out."""
    return msgspec.convert(row, shape)


def _comparability(db: Db, measured: Sequence[Measurement]) -> Comparability:
    """Return which steps of these devices nobody has found comparable, and which studies are in force."""
    asked = {"devices": sorted({one.device for one in measured})}
    steps = _rows(
        db,
        "SELECT device, phantom_id, accepted_at AS at FROM epochs_compared WHERE device = ANY (%(devices)s)"
        " AND step_percent IS NOT NULL AND is_comparable IS NOT TRUE",
        asked,
    )
    studies = _rows(
        db, "SELECT device, study_id, version FROM studies_in_force WHERE device = ANY (%(devices)s)", asked
    )
    return Comparability(
        frozenset(Step(**row) for row in steps),
        frozenset((row["device"], row["study_id"], row["version"]) for row in studies),
    )


def _serials(db: Db, measured: Sequence[Measurement]) -> dict[str, str]:
    """Return the serial numbers of devices as they are configured now."""
    rows = _rows(
        db,
        "SELECT DISTINCT ON (device) device, serial FROM device_configurations WHERE device = ANY (%(devices)s)"
        " ORDER BY device, device_seq DESC",
        {"devices": sorted({one.device for one in measured})},
    )
    return {row["device"]: row["serial"] for row in rows}


def _provenance(db: Db, one: Measurement) -> Provenance:
    asked = {"device": one.device, "mode": one.mode, "at": one.measured_at}
    gate = _rows(
        db,
        "SELECT status, starts_at, CASE WHEN is_current THEN NULL ELSE ends_at END AS ends_at, reason_codes"
        " FROM gate_intervals WHERE device = %(device)s AND mode = %(mode)s"
        " AND starts_at <= %(at)s AND ends_at > %(at)s ORDER BY starts_at DESC LIMIT 1",
        asked,
    )
    baselines = [
        _taken(BaselineThen, row)
        for standing in one.qc
        for row in _rows(
            db,
            "SELECT phantom_id, epoch, recorded_at AS accepted_at, mean_g_cm2, sigma_g_cm2, n, event_id FROM baselines"
            " WHERE device = %(device)s AND phantom_id = %(phantom)s AND epoch = %(epoch)s"
            " ORDER BY device_seq DESC LIMIT 1",
            {"device": one.device, "phantom": standing.phantom_id, "epoch": standing.epoch},
        )
    ]
    checks = [
        _taken(CheckThen, row)
        for standing in one.qc
        if standing.epoch is None
        for row in _rows(
            db,
            "SELECT subject_event_id AS event_id, standard_id, measured_at, nominal, read, verdict FROM checks"
            " WHERE device = %(device)s AND standard_id = %(standard)s AND measured_at = %(passed_at)s"
            " ORDER BY device_seq DESC LIMIT 1",
            {"device": one.device, "standard": standing.phantom_id, "passed_at": standing.passed_at},
        )
    ]
    studies = [
        _taken(StudyThen, row)
        for study_id, version in dict.fromkeys((value.study_id, value.version) for value in one.cross_calibrated)
        for row in _rows(
            db,
            "SELECT study_id, version, kind, other_device AS as_device, region, method, slope, intercept_g_cm2,"
            " standard_error_g_cm2, data_digest, accepted_by FROM studies WHERE device = %(device)s"
            " AND study_id = %(study)s AND version = %(version)s ORDER BY device_seq DESC LIMIT 1",
            {"device": one.device, "study": study_id, "version": version},
        )
    ]
    return Provenance(one, _taken(GateThen, gate[0]) if gate else None, tuple(baselines), tuple(checks), tuple(studies))


def _reviews(db: Db, where: str, asked: Columns) -> list[Review]:
    query = (
        f"SELECT s.*, c.measurements FROM (SELECT * FROM review_status WHERE {where} ORDER BY opened_at, review_id"  # noqa: S608
        " LIMIT %(limit)s) s CROSS JOIN LATERAL (SELECT count(*) AS measurements FROM review_measurements m"
        " WHERE m.device = s.device AND m.review_id = s.review_id) c ORDER BY s.opened_at, s.review_id"
    )
    return [_taken(Review, {**row, "spans": row["spans"] or []}) for row in _rows(db, query, asked)]
