"""Somebody's last visit over HTTP and on the console, from a real PostgreSQL; nothing that names anybody is kept."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from litestar.testing import TestClient
from msgspec.structs import replace
from psycopg import sql

from collectors.pseudonym import Pseudonyms
from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings, OpenIdSettings
from dashboards.app import create_app
from dashboards.audit.trail import AuditEntry, SqliteTrail, uses
from dashboards.settings import HttpSettings
from storage.connection import Db
from storage.errors import DatabaseAwayError
from storage.measurement_queries import DatabaseMeasurements
from storage.renaming import rename
from tests.accounts import PASSWORD
from tests.api_rig import Rig
from tests.console_client import Visitor
from tests.console_fakes import NOW
from tests.integration.test_database import scanner
from tests.integration.test_measurement_database import patient, taken
from tests.postgres import Recorded, ServerDatabase, database, embedded, server

__all__ = ["database", "embedded", "server"]  # fixtures, used by their names

SOMEBODY = "NOBODY-4711-ZZ"
ANOTHER = "NOBODY-0815-YY"
ADDRESS = "/api/v1/patient-lookups"


class Served(NamedTuple):
    """A department with a database, and a client of it."""

    client: TestClient[Any]
    token: dict[str, str]
    names: Pseudonyms
    folder: Path
    database: ServerDatabase

    def asked(self, **body: str) -> Any:
        answer = self.client.post(ADDRESS, json=body, headers=self.token)
        assert answer.status_code == 200, answer.text
        return answer.json()["last_visit"]

    @property
    def record(self) -> list[AuditEntry]:
        return list(uses(self.folder / "audit.sqlite"))


@contextmanager
def serving(
    folder: Path, database: ServerDatabase, connect: Callable[[], Db] | None = None, site: str = "test-site"
) -> Iterator[Served]:
    rig = Rig(folder, api=ApiSettings(), openid=OpenIdSettings(), trail=None, public=True)
    names, trail = Pseudonyms(folder), SqliteTrail(folder / "audit.sqlite")
    app = create_app(
        site=rig.site,
        readings=rig.site,
        users=rig.users,
        settings=HttpSettings(site_name="Test hospital", public_status=True),
        clock=lambda: NOW,
        audit=trail,
        measurements=DatabaseMeasurements(connect or database.connect, site),
        pseudonyms=names,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Served(client, rig.token(Scope.MEASUREMENTS_READ), names, folder, database)
    trail.close()
    rig.users.close()


@pytest.fixture
def served(tmp_path: Path, database: ServerDatabase) -> Iterator[Served]:
    with serving(tmp_path, database) as served:
        yield served


def measured(names: Pseudonyms, *who: tuple[str, str], device: str = "test-site/dxa-1") -> Recorded:
    """A scanner that measured people, by id and accession number."""
    made = scanner(device=device)
    for patient_id, number in who:
        patient(made, number, acquisition=f"scan-{len(made.log.rows)}", pseudonym=names.of(patient_id), anatomy="spine")
    return made


# --- for programs ------------------------------------------------------------------------------------------


def test_the_last_visit_is_found_by_the_patients_id_and_by_the_number_of_an_earlier_scan(served: Served) -> None:
    made = measured(served.names, (SOMEBODY, "ACC1"), (ANOTHER, "ACC2"))
    patient(made, "ACC1", acquisition="scale", regions=(), weight_kg=61.5)
    taken(served.database, made)
    by_id = served.asked(patient_id=f" {SOMEBODY.lower()} ")
    assert [one["anatomy"] for one in by_id["measurements"]] == ["spine", ""]
    assert by_id["weight"]["value"] == 61.5, "it came by number alone"
    assert (by_id["accession_numbers"], by_id["follow_up"][0]["device"]) == (["ACC1"], "test-site/dxa-1")
    assert served.asked(accession_number="ACC1") == by_id
    assert served.asked(patient_id="NOBODY-AT-ALL") is None
    assert served.asked(accession_number="ACC9") is None


def test_somebody_is_found_before_and_after_a_rotation_is_in_the_database(served: Served) -> None:
    taken(served.database, measured(served.names, (SOMEBODY, "ACC1")))
    before = served.asked(patient_id=SOMEBODY)
    served.names.rotate()
    assert served.asked(patient_id=SOMEBODY) == before, "the sink has not renamed it yet"
    with served.database.connect() as db, db.transaction():
        assert rename(db, "test-site", served.names).pseudonyms == 1
    assert served.asked(patient_id=SOMEBODY) == before


def test_with_a_lost_key_nobody_is_said_not_to_have_been_here(tmp_path: Path, database: ServerDatabase) -> None:
    names = Pseudonyms(tmp_path)
    names.rotate()
    taken(database, measured(names, (SOMEBODY, "ACC1")))
    (tmp_path / "pseudonym.key").unlink()
    with serving(tmp_path, database) as served:
        answer = served.client.post(ADDRESS, json={"patient_id": SOMEBODY}, headers=served.token)
        assert (answer.status_code, "key of the pseudonyms is lost" in answer.json()["detail"]) == (503, True)
        assert served.asked(accession_number="ACC1")["accession_numbers"] == ["ACC1"]


def test_a_number_of_several_people_is_refused_and_names_nobody(served: Served) -> None:
    made = measured(served.names, (SOMEBODY, "ACC1"), (ANOTHER, "ACC1"))
    patient(made, "ACC1", acquisition="scale", regions=(), weight_kg=61.5)
    taken(served.database, made)
    answer = served.client.post(ADDRESS, json={"accession_number": "ACC1"}, headers=served.token)
    assert (answer.status_code, "several people" in answer.json()["detail"]) == (409, True)
    assert served.asked(patient_id=SOMEBODY)["weight"] is None, "whose it is nobody knows"


def test_another_site_of_the_same_database_is_not_looked_at_though_its_numbers_are_the_same(
    tmp_path: Path, database: ServerDatabase
) -> None:
    theirs = Pseudonyms(tmp_path / "theirs")
    away = measured(theirs, (ANOTHER, "ACC1"), device="test-site-2/dxa-1")
    patient(away, "ACC1", acquisition="their scale", regions=(), weight_kg=99.5)
    patient(away, "ACC2", acquisition="their other scale", regions=(), weight_kg=88.5)
    with serving(tmp_path, database) as served:
        here = measured(served.names, (SOMEBODY, "ACC1"), (SOMEBODY, "ACC2"))
        patient(here, "ACC1", acquisition="scale", regions=(), weight_kg=61.5)
        taken(database, here, away)
        found = served.asked(accession_number="ACC1")
        assert found["weight"]["value"] == 61.5
        assert {one["device"] for one in found["measurements"]} == {"test-site/dxa-1"}
        assert served.asked(patient_id=SOMEBODY) == found
        assert served.asked(patient_id=ANOTHER) is None
    there = tmp_path / "there"
    there.mkdir()
    with serving(there, database, site="test-site-2") as served:
        assert served.asked(accession_number="ACC1")["weight"]["value"] == 99.5


def test_what_is_no_question_is_refused_without_repeating_it(served: Served) -> None:
    bodies: list[tuple[dict[str, Any], int]] = [
        ({}, 422),
        ({"patient_id": SOMEBODY, "accession_number": "ACC1"}, 422),
        ({"patient_id": SOMEBODY * 9}, 400),
        ({"patient_id": 4711}, 400),
        ({"patient": SOMEBODY}, 400),
    ]
    for body, status in bodies:
        answer = served.client.post(ADDRESS, json=body, headers=served.token)
        assert answer.status_code == status
        assert "NOBODY" not in answer.text
        assert "4711" not in answer.text


def test_it_needs_its_scope_a_post_and_no_session(served: Served) -> None:
    body = {"patient_id": SOMEBODY}
    assert served.client.post(ADDRESS, json=body).status_code == 401
    assert served.client.get(ADDRESS, headers=served.token).status_code == 405
    visitor = Visitor(served.client)
    visitor.sign_in("Pat Nurse", PASSWORD)
    assert served.client.post(ADDRESS, json=body).status_code == 401
    assert served.client.post(ADDRESS, json=body, auth=("Eng Ineer", PASSWORD)).status_code == 403
    assert served.client.post(ADDRESS, json=body, auth=("Pat Nurse", PASSWORD)).status_code == 200


def test_without_the_database_it_says_so(tmp_path: Path, database: ServerDatabase) -> None:
    def away() -> Db:
        raise DatabaseAwayError("the embedded database is not up yet")

    with serving(tmp_path, database, away) as served:
        answer = served.client.post(ADDRESS, json={"patient_id": SOMEBODY}, headers=served.token)
        assert (answer.status_code, "not up yet" in answer.json()["detail"]) == (503, True)
        visitor = Visitor(served.client)
        visitor.sign_in("Pat Nurse", PASSWORD)
        page = visitor.post("/before-the-scan", patient_id=SOMEBODY)
        assert (page.status_code, "not up yet" in page.text) == (503, True)


# --- on the console ----------------------------------------------------------------------------------------


def test_an_operator_sees_it_before_the_scan_and_an_engineer_does_not(tmp_path: Path, database: ServerDatabase) -> None:
    with serving(tmp_path, database, site="bath") as served:
        _look_before_the_scan(served)


def _look_before_the_scan(served: Served) -> None:
    taken(served.database, measured(served.names, (SOMEBODY, "ACC1"), device="bath/dxa-2"))
    visitor = Visitor(served.client)
    assert visitor.get("/before-the-scan").headers["location"].startswith("/sign-in")
    visitor.sign_in("Eng Ineer", PASSWORD)
    assert visitor.get("/before-the-scan").status_code == 403
    assert visitor.post("/before-the-scan", patient_id=SOMEBODY).status_code == 403
    served.client.cookies.clear()
    visitor.sign_in("Pat Nurse", PASSWORD)
    assert '<a href="/before-the-scan">' in visitor.get("/").text
    page = visitor.post("/before-the-scan", patient_id=SOMEBODY)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "Spine: use Scanner DXA2" in page.text
    assert "Now: Clear to scan" in page.text
    assert SOMEBODY not in page.text
    views = served.client.app.state.console.readings.views
    views["dxa-2"] = replace(views["dxa-2"], stage="retired")
    page = visitor.post("/before-the-scan", patient_id=SOMEBODY)
    assert "ask a physicist which scanner" in page.text
    assert "is from Scanner DXA2, which is not in use here any more" in page.text
    assert "use Scanner DXA2" not in page.text
    assert visitor.post("/before-the-scan", token="0" * 128, patient_id=SOMEBODY).status_code == 403
    assert "Nothing found" in visitor.post("/before-the-scan", accession_number="ACC9").text
    for fields in ({}, {"patient_id": SOMEBODY, "accession_number": "ACC1"}, {"patient_id": SOMEBODY * 5}):
        page = visitor.post("/before-the-scan", **fields)
        assert (page.status_code, 'href="#patient_id"' in page.text, SOMEBODY in page.text) == (422, True, False)


# --- what stays --------------------------------------------------------------------------------------------


def test_every_use_is_on_record_and_nothing_that_was_typed_is_anywhere(served: Served) -> None:
    taken(served.database, measured(served.names, (SOMEBODY, "ACC1")))
    with structlog.testing.capture_logs() as logged:
        key = {"Idempotency-Key": "booking-1"}
        for patient_id in (SOMEBODY, ANOTHER):
            answer = served.client.post(ADDRESS, json={"patient_id": patient_id}, headers=served.token | key)
            assert answer.status_code == 200, "the key is not heeded: a question is never kept"
        served.client.post(ADDRESS, content=f'{{"patient_id": "{SOMEBODY}', headers=served.token)
        visitor = Visitor(served.client)
        assert visitor.post("/before-the-scan", patient_id=SOMEBODY).status_code == 401, "of strangers nothing is noted"
        visitor.sign_in("Pat Nurse", PASSWORD)
        visitor.post("/before-the-scan", patient_id=SOMEBODY)
        visitor.post("/before-the-scan", patient_id=ANOTHER)
    name = served.names.of(SOMEBODY)
    told = [(one.who, one.way, one.route, one.status, one.subject, one.query) for one in served.record]
    assert told == [
        ("Booking", "token", ADDRESS, 200, {"pseudonym": name}, ()),
        ("Booking", "token", ADDRESS, 200, {}, ()),
        ("Booking", "token", ADDRESS, 400, {}, ()),
        ("Pat Nurse", "password", "/sign-in", 303, {}, ()),
        ("Pat Nurse", "session", "/before-the-scan", 200, {"pseudonym": name}, ()),
        ("Pat Nurse", "session", "/before-the-scan", 200, {}, ()),
    ]
    said = [SOMEBODY.encode(), SOMEBODY.casefold().encode(), ANOTHER.encode(), ANOTHER.casefold().encode()]
    kept = [path.read_bytes() for path in served.folder.iterdir() if path.is_file()] + [repr(logged).encode()]
    with served.database.connect() as db:
        tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'bonewatch'").fetchall()
        for (table,) in tables:
            rows = db.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("bonewatch", table))).fetchall()
            kept.append(repr(rows).encode())
    assert len(tables) > 20
    assert not any(text in content for content in kept for text in said)
    with sqlite3.connect(served.folder / "users.sqlite") as users:
        assert users.execute("SELECT count(*) FROM answer").fetchall() == [(0,)]
    users.close()


def test_what_cannot_be_put_on_record_is_not_answered(served: Served) -> None:
    taken(served.database, measured(served.names, (SOMEBODY, "ACC1")))
    visitor = Visitor(served.client)
    visitor.sign_in("Pat Nurse", PASSWORD)
    with sqlite3.connect(served.folder / "audit.sqlite") as trail:
        trail.execute("DROP TABLE entry")
    trail.close()
    answers = (
        served.client.post(ADDRESS, json={"patient_id": SOMEBODY}, headers=served.token),
        visitor.post("/before-the-scan", patient_id=SOMEBODY),
    )
    assert [(one.status_code, "record of use cannot be written" in one.text) for one in answers] == [(503, True)] * 2
    assert not any("dxa-1" in one.text for one in answers)
