"""Measurements and reviews in a real PostgreSQL, and read over HTTP; expectations by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from dashboards.access.scopes import Scope
from dashboards.app import create_app
from dashboards.audit.trail import MemoryTrail
from dashboards.settings import HttpSettings
from storage.checksum import checksums
from storage.connection import Db
from storage.errors import DatabaseAwayError
from storage.measurement_queries import DatabaseMeasurements
from storage.rebuild import rebuild
from storage.sink import Sink
from streams.engine import SiteEngine
from streams.measurements import Measurements
from streams.messages import (
    DecisionWithdrawn,
    DeviceRegistered,
    Draft,
    Fact,
    MeasurementReleased,
    Onset,
    PatientMeasured,
    PhantomMeasured,
    RegionMeasured,
    ReviewAssessed,
    ReviewDecided,
    ReviewOpened,
    ReviewVerdict,
    SizeAt,
    VendorQcReported,
    event_id,
)
from streams.sqlite_log import SqliteEventLog
from tests.api_rig import Rig
from tests.console_fakes import NOW
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, POLICY, WEEKDAY_CLINIC, baseline
from tests.integration.test_database import apply, scanner
from tests.postgres import MemoryLog, Recorded, ServerDatabase, database, embedded, server

__all__ = ["database", "embedded", "server"]  # fixtures, used by their names

SPINE = RegionMeasured("L1-L4", 0.93, bmc_g=55.1, area_cm2=59.2, t_score=-1.1, z_score=-0.4)
NECK = RegionMeasured("Neck", 0.71, laterality="left", t_score=-1.6)


def patient(made: Recorded, accession: str, **more: Any) -> str:
    """Measure a patient now; return the event's id."""
    fact = PatientMeasured(
        accession,
        more.pop("at", made.now),
        more.pop("acquisition", f"scan-{accession}"),
        **({"regions": (SPINE,)} | more),
    )
    name = event_id("patient", accession, str(made.state.device_seq))
    made.fact(fact, identity=name)
    return name


def taken(database: ServerDatabase, *devices: Recorded) -> Db:
    """The database with what is new of some devices."""
    sink = Sink(database.connect)
    for device in devices:
        apply(sink, device.log.rows)
    sink.close()
    return database.connect()


def review_of(made: Recorded) -> str:
    """The last review that was opened."""
    outcomes = [one.outcome for row in made.log.rows for one in row.outcomes]
    return [one for one in outcomes if isinstance(one, ReviewOpened)][-1].review_id


def failing(log: MemoryLog | None = None, device: str = "test-site/dxa-1") -> tuple[Recorded, list[str]]:
    """QC passed at 07:45; patients at 07:46, 08:46 and 09:46; two failed scans from 12:00 on, too few for a drift."""
    made, patients = Recorded(log=log, device=device), list[str]()
    made.fact(baseline(sigma=0.02))
    made.vendor_qc()
    made.scan(1.0)
    made.now += timedelta(minutes=1)
    for n in range(3):
        patients.append(patient(made, f"ACC{n}"))
        made.now += timedelta(hours=1)
    made.until(MONDAY.replace(hour=12, minute=0))
    made.scan(1.03)
    made.now += timedelta(minutes=5)
    made.scan(1.03)
    return made, patients


# --- measurements ------------------------------------------------------------------------------------------


def test_a_validated_measurement_stands_with_its_values(database: ServerDatabase) -> None:
    made = scanner()
    name = patient(made, "ACC1", regions=(SPINE, NECK), pseudonym="p1", software="13.6", anatomy="hip")
    db = taken(database, made)
    row = db.execute(
        "SELECT subject_event_id, status, accession_number, pseudonym, make, model, software, mode, anatomy, revision"
        " FROM current_measurements"
    ).fetchall()
    assert row == [(name, "validated", "ACC1", "p1", "Invented", "Virtual 1", "13.6", "all", "hip", 0)]
    values = db.execute(
        "SELECT place, region, laterality, bmd_g_cm2, bmc_g, area_cm2, t_score, z_score FROM current_measurement_values"
        " ORDER BY place"
    ).fetchall()
    assert values == [
        (0, "L1-L4", "", 0.93, 55.1, 59.2, -1.1, -0.4),
        (1, "Neck", "left", 0.71, None, None, -1.6, None),
    ]


def test_what_is_withheld_has_no_value_until_a_physicist_releases_it(database: ServerDatabase) -> None:
    made = Recorded()  # no baseline, no QC
    name = patient(made, "ACC1")
    db = taken(database, made)
    assert db.execute("SELECT status, 'no_baseline' = ANY (reason_codes) FROM current_measurements").fetchall() == [
        ("withheld", True)
    ]
    assert db.execute("SELECT count(*) FROM current_measurement_values").fetchall() == [(0,)]
    measured = PatientMeasured("ACC1", made.now, "scan-ACC1", regions=(SPINE,))
    made.now += timedelta(hours=1)
    made.fact(MeasurementReleased(name, measured, "QC was on paper", PHYSICIST))
    db = taken(database, made)
    row = db.execute("SELECT status, revision, reason_codes, reason, released_by FROM current_measurements").fetchall()
    assert row == [("released", 1, [], "QC was on paper", PHYSICIST.name)]
    assert db.execute("SELECT bmd_g_cm2 FROM current_measurement_values").fetchall() == [(0.93,)]
    history = db.execute("SELECT revision, status FROM measurement_revisions ORDER BY revision").fetchall()
    assert history == [(0, "withheld"), (1, "released")]


def test_of_analyses_of_one_scan_the_newest_counts_in_whatever_order_they_come(database: ServerDatabase) -> None:
    made = scanner()
    at = made.now
    newer = patient(made, "ACC1", at=at, acquisition="a", analysed_at=at + timedelta(minutes=9))
    older = patient(made, "ACC1", at=at, acquisition="a", analysed_at=at + timedelta(minutes=2))
    other = patient(made, "ACC1", at=at, acquisition="b")
    rows = taken(database, made).execute("SELECT subject_event_id, status, standing FROM current_measurements")
    assert set(rows.fetchall()) == {
        (newer, "validated", "validated"),
        (older, "superseded", "validated"),
        (other, "validated", "validated"),
    }


# --- reviews -----------------------------------------------------------------------------------------------


def test_a_review_lists_everybody_since_the_last_pass_and_nobody_else(database: ServerDatabase) -> None:
    made, patients = failing()
    db = taken(database, made)
    lying = db.execute("SELECT subject_event_id FROM review_measurements ORDER BY measured_at").fetchall()
    assert [name for (name,) in lying] == patients
    row = db.execute("SELECT bases, since, until, modes, unit, measurements, site FROM review_worklist").fetchall()
    assert row == [(["failure"], MONDAY, None, [], "percent", 3, "test-site")]
    made.now += timedelta(minutes=30)
    made.scan(1.0)
    passed_at = made.now
    made.now += timedelta(minutes=30)
    patient(made, "AFTER")
    db = taken(database, made)
    assert db.execute("SELECT until, measurements FROM review_worklist").fetchall() == [(passed_at, 3)]


def test_a_measurement_at_either_end_of_a_review_lies_in_it_and_the_minute_before_and_after_does_not(
    database: ServerDatabase,
) -> None:
    made, _ = failing()
    until = made.now + timedelta(minutes=30)
    made.until(until)
    made.scan(1.0)
    db = taken(database, made)
    for minutes, end in ((-1, MONDAY), (0, MONDAY), (0, until), (1, until)):
        name = f"{end:%H}{minutes}"
        db.execute(
            "INSERT INTO measurements SELECT device, %s, %s, revision, device_seq, recorded_at, outcome_id, status,"
            " accession_number, acquisition_id || %s, pseudonym, mode, anatomy, analysed_at, reason_codes, kind, make,"
            " model, serial, software, weight_kg, height_cm, is_overridden, issue_codes, qc, changes, decisions,"
            " gate_since, released_by, released_by_role, reason FROM measurements"
            " WHERE accession_number = 'ACC0' LIMIT 1",
            (name, end + timedelta(minutes=minutes), name),
        )
    lying = db.execute("SELECT subject_event_id FROM review_measurements WHERE length(subject_event_id) < 5").fetchall()
    assert {name for (name,) in lying} == {"070", "120"}


def test_an_assessment_moves_the_begin_to_the_earliest_onset_and_tells_the_size(database: ServerDatabase) -> None:
    made, patients = failing()
    name, early = review_of(made), MONDAY - timedelta(days=3)
    sizes = (SizeAt(MONDAY, 1.0, 0.0, 2.0), SizeAt(MONDAY + timedelta(hours=4), 3.0, 2.0, 4.0))
    onset = Onset(early + timedelta(days=1), ((early, early + timedelta(days=1)), (MONDAY, MONDAY)), "drift", 40)
    made.fact(ReviewAssessed(name, "onset-posterior-1", onset, "percent", sizes, "d"))
    db = taken(database, made)
    row = db.execute("SELECT since, likeliest, shape, unit, is_open FROM review_status").fetchall()
    assert row == [(early, early + timedelta(days=1), "drift", "percent", True)]
    told = db.execute(
        "SELECT subject_event_id, size, size_low, size_high FROM review_measurements ORDER BY measured_at"
    )
    part = 61 / 240  # 08:46 of 07:45 to 11:45
    assert told.fetchall()[1] == (
        patients[1],
        pytest.approx(1 + 2 * part),
        pytest.approx(2 * part),
        pytest.approx(2 + 2 * part),
    )


def test_only_a_decision_amends_and_its_withdrawal_restores_everything(database: ServerDatabase) -> None:
    made, patients = failing()
    name = review_of(made)
    everything = b"SELECT * FROM current_measurements ORDER BY subject_event_id"
    db = taken(database, made)
    before = db.execute(everything).fetchall()
    assert db.execute("SELECT count(*) FROM amended_measurements").fetchall() == [(0,)]
    made.now += timedelta(hours=1)
    sizes = (SizeAt(MONDAY + timedelta(minutes=1), 2.0, 1.0, 3.0), SizeAt(MONDAY + timedelta(hours=4, minutes=1), 4.0))
    verdict = ReviewVerdict.AMEND
    made.fact(ReviewDecided(PHANTOM, "reads high", PHYSICIST, name, verdict, "percent", sizes))
    db = taken(database, made)
    told = db.execute(
        "SELECT subject_event_id, verdict, text, unit, size, size_low FROM amended_measurements ORDER BY measured_at"
    ).fetchall()
    assert told == [
        (patients[0], "amend", "reads high", "percent", 2.0, 1.0),
        (patients[1], "amend", "reads high", "percent", pytest.approx(2.5), None),
        (patients[2], "amend", "reads high", "percent", pytest.approx(3.0), None),
    ]
    assert db.execute("SELECT count(*) FROM review_worklist").fetchall() == [(0,)]
    assert db.execute("SELECT verdict, decision, is_open FROM review_status").fetchall() == [
        ("amend", "reads high", False)
    ]
    assert db.execute(everything).fetchall() == before, "no status changes: what was measured stays what it was"
    made.now += timedelta(hours=1)
    made.fact(DecisionWithdrawn(name, "wrong phantom", PHYSICIST))
    db = taken(database, made)
    assert db.execute("SELECT count(*) FROM amended_measurements").fetchall() == [(0,)]
    assert db.execute("SELECT is_open, verdict, measurements FROM review_worklist").fetchall() == [(True, "", 3)]
    assert db.execute(everything).fetchall() == before


def test_the_size_beyond_the_first_and_last_time_is_as_there(database: ServerDatabase) -> None:
    db = database.connect()
    sizes = '[["2026-11-02T08:00:00Z", 1.0, 0.5, 1.5], ["2026-11-02T10:00:00Z", 2.0, 1.5, 2.5]]'
    query = "SELECT size, size_low, size_high FROM size_at(%s, %s)"
    found = [
        db.execute(query, (sizes, f"2026-11-02T{time}Z")).fetchone()
        for time in ("07:00", "08:00", "08:30", "10:00", "11:00")
    ]
    first, last = (1.0, 0.5, 1.5), (2.0, 1.5, 2.5)
    assert found == [first, first, (1.25, 0.75, 1.75), last, last]
    assert db.execute(query, ("[]", MONDAY)).fetchone() == (None, None, None)


# --- the same again ----------------------------------------------------------------------------------------


def test_in_whatever_order_it_comes_and_rebuilt_the_content_is_the_same(
    database: ServerDatabase, tmp_path: Path
) -> None:
    made, _ = failing()
    made.fact(ReviewDecided(PHANTOM, "why", PHYSICIST, review_of(made), ReviewVerdict.ANNOTATE))
    made.fact(DecisionWithdrawn(review_of(made), "no", PHYSICIST))
    db, sink = taken(database, made), Sink(database.connect)
    straight = checksums(db)
    db.execute("TRUNCATE sink_positions, refused_rows, measurements, measurement_values, amendments, review_ends")
    for row in reversed(made.log.rows):
        apply(sink, [row])
    assert checksums(db) == straight
    sink.close()
    at = MONDAY
    facts: list[Fact] = [
        DeviceRegistered(POLICY, WEEKDAY_CLINIC),
        baseline(),
        VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat"),
        PhantomMeasured(PHANTOM, "L1-L4", 1.0, at, "q"),
        PatientMeasured("ACC1", at, "a", regions=(SPINE, NECK)),
        PhantomMeasured(PHANTOM, "L1-L4", 1.04, at + timedelta(hours=1), "r"),
        PhantomMeasured(PHANTOM, "L1-L4", 1.04, at + timedelta(hours=2), "s"),
    ]
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        drafts = [(at + timedelta(hours=n), Draft(event_id("x", str(n)), DEVICE, fact)) for n, fact in enumerate(facts)]
        SiteEngine(log).import_history(drafts)
        rebuild(database, log, "test-site")
        again = rebuild(database, log, "test-site")
    assert again.is_same
    assert database.connect().execute("SELECT count(*) FROM measurements").fetchall() == [(1,)]
    assert database.connect().execute("SELECT count(*) > 0 FROM review_status").fetchall() == [(True,)]


def test_the_clinical_role_sees_views_and_no_table(database: ServerDatabase) -> None:
    made, _ = failing()
    db = taken(database, made)
    db.execute("SET ROLE bonewatch_clinical")
    assert db.execute("SELECT count(*) FROM current_measurements").fetchall() == [(3,)]
    with pytest.raises(Exception, match="permission denied for table"):
        db.execute("SELECT count(*) FROM measurements")


# --- over HTTP ---------------------------------------------------------------------------------------------


@contextmanager
def served(
    tmp_path: Path, measurements: Measurements | None, trail: MemoryTrail | None = None
) -> Iterator[tuple[TestClient[Any], dict[str, str]]]:
    """A client of the API with a token that reads measurements and reviews."""
    from dashboards.access.settings import ApiSettings, OpenIdSettings  # noqa: PLC0415

    rig = Rig(tmp_path, api=ApiSettings(), openid=OpenIdSettings(), trail=None, public=True)
    app = create_app(
        site=rig.site,
        readings=rig.site,
        users=rig.users,
        settings=HttpSettings(site_name="Test hospital", public_status=True),
        clock=lambda: NOW,
        measurements=measurements,
        audit=trail,
    )
    token = rig.token(Scope.MEASUREMENTS_READ, Scope.REVIEWS_READ)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, token
    rig.users.close()


def test_pages_end_where_the_next_begins(database: ServerDatabase, tmp_path: Path) -> None:
    made, patients = failing()
    taken(database, made)
    trail = MemoryTrail()
    with served(tmp_path, DatabaseMeasurements(database.connect, "test-site"), trail) as (client, token):
        told, address = [], "/api/v1/measurements?limit=2"
        while address:
            answer = client.get(address, headers=token)
            assert answer.status_code == 200, answer.text
            told.append([one["event_id"] for one in answer.json()])
            address = answer.links["next"]["url"] if "next" in answer.links else ""
        assert told == [patients[:2], patients[2:]]
        assert [list(use.shown) for use in trail.entries] == told  # whose values were read stands on record
        for query, expected in {
            "accession_number=ACC1": patients[1:2],
            "since=2026-11-02T08:46:00Z": patients[1:],
            "until=2026-11-02T08:46:00Z": patients[:2],
            "status=withheld": [],
            "status=validated": patients,
        }.items():
            found = client.get(f"/api/v1/measurements?{query}", headers=token).json()
            assert [one["event_id"] for one in found] == expected, query


def test_one_measurement_says_what_it_rests_on_and_keeps_raw_and_serial_values_apart(
    database: ServerDatabase, tmp_path: Path
) -> None:
    made = scanner()
    name = patient(made, "ACC1", regions=(SPINE, NECK), anatomy="hip")
    taken(database, made)
    with served(tmp_path, DatabaseMeasurements(database.connect, "test-site")) as (client, token):
        one = client.get(f"/api/v1/measurements/{name}", headers=token).json()
        rests = client.get(f"/api/v1/measurements/{name}/provenance", headers=token).json()
        notes = client.get(f"/api/v1/measurements/{name}/annotations", headers=token)
        assert client.get("/api/v1/measurements/nothing", headers=token).status_code == 404
    raw = one["raw"]
    assert (raw["make"], raw["model"]) == ("Invented", "Virtual 1")
    assert [(r["region"], r["bmd_g_cm2"]) for r in raw["femoral_neck"]] == [("Neck", 0.71)]
    assert "never for T-score or FRAX" in one["serial_comparison"]["is_for"]
    assert rests["gate"]["status"] == "open"
    assert [(b["phantom_id"], b["epoch"], b["mean_g_cm2"]) for b in rests["baselines"]] == [(PHANTOM, 1, 1.0)]
    assert PHANTOM in {standing["phantom_id"] for standing in rests["measurement"]["qc"]}
    assert (notes.status_code, notes.json()) == (200, [])


def test_reviews_are_listed_with_their_measurements(database: ServerDatabase, tmp_path: Path) -> None:
    made, patients = failing()
    name = review_of(made)
    taken(database, made)
    with served(tmp_path, DatabaseMeasurements(database.connect, "test-site")) as (client, token):
        (review,) = client.get("/api/v1/reviews", headers=token).json()
        assert (review["review_id"], review["bases"], review["measurements"]) == (name, ["failure"], 3)
        assert review["sizes"][0]["size"] == pytest.approx(3.0)
        assert client.get(f"/api/v1/reviews/{name}", headers=token).json() == review
        lying = client.get(f"/api/v1/reviews/{name}/measurements", headers=token).json()
        assert [one["measurement"]["event_id"] for one in lying] == patients
        assert {one["size"] for one in lying} == {review["sizes"][0]["size"]}
        assert client.get("/api/v1/reviews/nothing", headers=token).status_code == 404
        assert client.get("/api/v1/reviews").status_code == 401


def test_reviews_come_by_pages_also_those_that_opened_at_one_time(database: ServerDatabase, tmp_path: Path) -> None:
    log = MemoryLog()
    for number in (1, 2, 3):
        made, _ = failing(log, f"test-site/dxa-{number}")
    taken(database, made)  # all three: it is one log
    opened = [one.outcome for row in log.rows for one in row.outcomes if isinstance(one.outcome, ReviewOpened)]
    with served(tmp_path, DatabaseMeasurements(database.connect, "test-site")) as (client, token):
        told, address = [], "/api/v1/reviews?limit=2"
        while address:
            answer = client.get(address, headers=token)
            told.append([one["review_id"] for one in answer.json()])
            address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert [len(page) for page in told] == [2, 1]
    assert sorted(one for page in told for one in page) == sorted(one.review_id for one in opened)


def test_without_a_database_and_with_one_that_is_away_it_says_what_to_do(tmp_path: Path) -> None:
    def away() -> Db:
        raise DatabaseAwayError("the embedded database is not up yet")

    (tmp_path / "a").mkdir()
    with served(tmp_path / "a", None) as (client, token):
        answer = client.get("/api/v1/measurements", headers=token)
        assert (answer.status_code, "[database] enabled = true" in answer.json()["detail"]) == (503, True)
    (tmp_path / "b").mkdir()
    with served(tmp_path / "b", DatabaseMeasurements(away, "test-site")) as (client, token):
        answer = client.get("/api/v1/reviews", headers=token)
        assert (answer.status_code, "not up yet" in answer.json()["detail"]) == (503, True)
