"""Who may use the API: credentials, scopes, limits, the record of use."""

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from litestar import Litestar, Router, get
from litestar.exceptions import ImproperlyConfiguredException
from litestar.testing import TestClient

from dashboards.access.lockout import FAILURES_ALLOWED, LOCKED_FOR
from dashboards.access.needs import refuse_unnamed
from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings, OpenIdSettings
from dashboards.audit.trail import AuditEntry, AuditError, MemoryTrail
from streams.commands import RecordDuty
from tests.accounts import PASSWORD
from tests.api_rig import Rig, serving
from tests.console_client import Visitor
from tests.openid_provider import Provider

Client = TestClient[Litestar]
PATIENT = "/api/v1/test/patients/ACC1"
WRONG = {"Authorization": f"Bearer bwt_{'x' * 43}"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Rig, Client]]:
    with serving(tmp_path) as both:
        yield both


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"].startswith("application/problem+json")
    return answer.status_code, answer.headers.get("www-authenticate", "")


def test_a_token_opens_what_its_scopes_name_and_nothing_else(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header = rig.token(Scope.MEASUREMENTS_READ)
    assert client.get(PATIENT, headers=header).json() == ["1.0"]
    status, challenge = told(client.get("/api/v1/devices", headers=header))
    assert status == 403
    assert 'error="insufficient_scope", scope="gates:read"' in challenge


def test_nothing_is_read_without_a_credential_but_what_the_site_shows_to_everybody(served: tuple[Rig, Client]) -> None:
    _, client = served
    assert client.get("/api/v1/devices").status_code == 200
    assert told(client.get(PATIENT)) == (401, 'Bearer realm="bonewatch"')
    assert told(client.get("/api/v1/devices/dxa-1/actions")) == (401, 'Bearer realm="bonewatch"')


def test_a_wrong_credential_is_refused_even_where_none_is_needed(served: tuple[Rig, Client]) -> None:
    _, client = served
    status, challenge = told(client.get("/api/v1/devices", headers=WRONG))
    assert status == 401
    assert 'error="invalid_token"' in challenge
    assert told(client.get("/api/v1/devices", auth=("Pat Nurse", "wrong horse battery")))[0] == 401
    assert told(client.get("/api/v1/devices", headers={"Authorization": "Digest x"}))[0] == 401


def test_expired_and_revoked_tokens_are_told_as_such(served: tuple[Rig, Client]) -> None:
    rig, client = served
    short, revoked = rig.token(Scope.GATES_READ, lasts=timedelta(hours=1)), rig.token(Scope.GATES_READ, name="Other")
    rig.users.tokens.revoke("Other")
    rig.clock.now += timedelta(hours=1)
    answers = [client.get("/api/v1/devices", headers=header) for header in (short, revoked)]
    assert [told(answer)[0] for answer in answers] == [401, 401]
    assert ["expired" in answer.text for answer in answers] == [True, False]
    assert ["revoked" in answer.text for answer in answers] == [False, True]


def test_a_session_reads_what_its_role_may_and_writes_nothing(served: tuple[Rig, Client]) -> None:
    rig, client = served
    Visitor(client).sign_in("Pat Nurse", PASSWORD)
    assert client.get(PATIENT).status_code == 200
    asked = {"request_id": "a" * 32, "device_seq": 7, "values": {}}
    assert told(client.post("/api/v1/devices/dxa-1/actions/daily-qc", json=asked))[0] == 401
    assert rig.site.commands == []


def test_an_engineer_sees_no_measurements_of_patients(served: tuple[Rig, Client]) -> None:
    _, client = served
    assert client.get("/api/v1/devices", auth=("Eng Ineer", PASSWORD)).status_code == 200
    assert told(client.get(PATIENT, auth=("Eng Ineer", PASSWORD)))[0] == 403
    assert client.get(PATIENT, auth=("Pat Nurse", PASSWORD)).status_code == 200


def test_a_token_opens_no_page_of_the_console(served: tuple[Rig, Client]) -> None:
    rig, client = served
    answer = client.get("/due", headers=rig.token(*Scope), follow_redirects=False)
    assert answer.headers["location"] == "/sign-in?next=/due"


def test_a_program_records_due_work_and_decides_nothing(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header = rig.token(Scope.ACTIONS_WRITE)
    offered = client.get("/api/v1/devices/dxa-1/actions", headers=header).json()["actions"]
    assert {action["slug"] for action in offered} <= {"record-duty"}
    asked = {"request_id": "a" * 32, "device_seq": 7, "values": {"reason": "x", "passed": "yes"}}
    for slug in ("override", "release", "daily-qc", "log-fault"):
        assert client.post(f"/api/v1/devices/dxa-1/actions/{slug}", headers=header, json=asked).status_code in {
            403,
            404,
        }
    assert [command for command in rig.site.commands if not isinstance(command, RecordDuty)] == []


def test_wrong_tokens_lock_their_address_out_and_right_ones_from_there_still_count(served: tuple[Rig, Client]) -> None:
    rig, client = served
    right = rig.token(Scope.GATES_READ)
    answers = [client.get("/api/v1/devices", headers=WRONG) for _ in range(FAILURES_ALLOWED + 2)]
    assert [answer.status_code for answer in answers] == [401] * FAILURES_ALLOWED + [429, 429]
    assert answers[-1].headers["retry-after"] == str(int(LOCKED_FOR.total_seconds()))
    assert client.get("/api/v1/devices", headers=right).status_code == 200
    rig.clock.now += LOCKED_FOR
    assert client.get("/api/v1/devices", headers=WRONG).status_code == 401


def test_wrong_passwords_lock_the_name_out_of_the_api_too(served: tuple[Rig, Client]) -> None:
    rig, client = served
    answers = [client.get(PATIENT, auth=("Pat Nurse", "wrong horse battery")) for _ in range(FAILURES_ALLOWED + 1)]
    assert [answer.status_code for answer in answers] == [401] * FAILURES_ALLOWED + [429]
    assert "Basic" in answers[0].headers["www-authenticate"]
    rig.clock.now += timedelta(minutes=5)
    answer = client.get(PATIENT, auth=("Pat Nurse", PASSWORD))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "600")


def test_each_caller_and_each_address_has_a_limit_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, api=ApiSettings(requests_a_minute=3, unknown_requests_a_minute=2)) as (rig, client):
        one, other = rig.token(Scope.GATES_READ), rig.token(Scope.GATES_READ, name="Other")
        assert [client.get("/api/v1/devices").status_code for _ in range(3)] == [200, 200, 429]
        answers = [client.get("/api/v1/devices", headers=one) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert client.get("/api/v1/devices", headers=other).status_code == 200


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    with serving(tmp_path, api=ApiSettings(requests_a_minute=0, unknown_requests_a_minute=0)) as (_, client):
        assert {client.get("/api/v1/devices").status_code for _ in range(20)} == {200}


def test_every_use_of_patient_linked_data_and_every_write_is_on_record_by_name(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header = rig.token(Scope.MEASUREMENTS_READ, Scope.GATES_READ)
    client.get("/api/v1/devices", headers=header)
    client.get(PATIENT, headers=header)
    asked = {"request_id": "a" * 32, "device_seq": 7, "values": {"text": "rattles", "stops_scanning": "no"}}
    client.post("/api/v1/devices/dxa-1/actions/log-fault", json=asked, auth=("Pat Nurse", PASSWORD))
    client.post("/api/v1/devices/dxa-1/actions/log-fault", json=asked, headers=header)
    route = "/api/v1/devices/{device_id}/actions/{slug}"
    assert [(e.who, e.way, e.method, e.route, e.status) for e in rig.trail.entries] == [
        ("Booking", "token", "GET", "/api/v1/test/patients/{accession}", 200),
        ("Pat Nurse", "password", "POST", route, 200),
        ("Booking", "token", "POST", route, 403),
    ]
    assert [entry.subject for entry in rig.trail.entries] == [
        {"accession": "ACC1"},
        {"device_id": "dxa-1", "slug": "log-fault"},
        {},
    ]


def test_nothing_that_a_caller_made_up_gets_into_the_record(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header = rig.token(Scope.MEASUREMENTS_READ)
    client.get(f"{PATIENT}?name=Mrs+Jones&born_1931_Jones=1", headers=header | {"X-Patient": "Jones"})
    with structlog.testing.capture_logs() as logged:
        client.get("/api/v1/test/patients/Jones", headers=header)
    assert [(one["event"], one["route"]) for one in logged] == [("request failed", "/api/v1/test/patients/{accession}")]
    assert "Jones" not in repr(logged)
    assert [(entry.status, entry.query) for entry in rig.trail.entries] == [(200, ("name",)), (500, ())]
    assert "Jones" not in repr(rig.trail.entries)


class BrokenTrail(MemoryTrail):
    """A record on a full disk."""

    def append(self, entry: AuditEntry) -> "Future[None]":
        del entry
        done: Future[None] = Future()
        done.set_exception(AuditError("the disk is full"))
        return done


def test_what_cannot_be_put_on_record_is_not_read_and_what_was_done_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, trail=BrokenTrail()) as (rig, client):
        header = rig.token(Scope.MEASUREMENTS_READ)
        answer = client.get(PATIENT, headers=header)
        assert told(answer)[0] == 503
        assert "1.0" not in answer.text
        asked = {"request_id": "a" * 32, "device_seq": 7, "values": {"text": "rattles", "stops_scanning": "no"}}
        done = client.post("/api/v1/devices/dxa-1/actions/log-fault", json=asked, auth=("Pat Nurse", PASSWORD))
        assert done.status_code == 200
        assert len(rig.site.commands) == 1


def test_a_route_that_does_not_say_what_it_needs_keeps_the_application_from_starting() -> None:
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> None:
        """Do nothing."""

    app = Litestar(route_handlers=[Router(path="/api/v1", route_handlers=[forgotten])], openapi_config=None)
    with pytest.raises(ImproperlyConfiguredException, match="forgotten"):
        refuse_unnamed(app)


def test_a_route_that_does_not_say_what_it_needs_is_open_to_nobody(served: tuple[Rig, Client]) -> None:
    rig, client = served
    assert client.get("/api/v1/test/forgotten", headers=rig.token(*Scope)).status_code == 403
    Visitor(client).sign_in("Dr M Expert", PASSWORD)
    assert client.get("/api/v1/test/forgotten").status_code == 403
    assert client.options("/api/v1/devices").headers["allow"] == "GET, OPTIONS"


def test_a_json_web_token_counts_where_a_provider_is_configured(tmp_path: Path, provider: Provider) -> None:
    openid = OpenIdSettings(issuer=provider.issuer, audience="bonewatch")
    with serving(tmp_path, openid=openid) as (rig, client):
        right = {"Authorization": f"Bearer {provider.token(scope='measurements:read')}"}
        assert client.get(PATIENT, headers=right).status_code == 200
        assert told(client.get("/api/v1/devices", headers=right))[0] == 403
        wrong = {"Authorization": f"Bearer {provider.token(aud='another')}"}
        assert told(client.get(PATIENT, headers=wrong))[0] == 401
        assert [(use.who, use.way) for use in rig.trail.entries] == [("booking", "openid")]


def test_a_provider_that_is_away_is_no_fault_of_the_token(tmp_path: Path, provider: Provider) -> None:
    provider.away = True
    openid = OpenIdSettings(issuer=provider.issuer, audience="bonewatch")
    with serving(tmp_path, openid=openid) as (_, client):
        answer = client.get(PATIENT, headers={"Authorization": f"Bearer {provider.token()}"})
        assert (told(answer)[0], answer.headers["retry-after"]) == (503, "60")
