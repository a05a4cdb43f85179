"""The API does what its document says: every endpoint is taken from there, so that none is forgotten."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from alerts.desk import Desk
from alerts.queue import Queue
from dashboards.access.lockout import LOCKED_FOR
from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings
from dashboards.app import create_app
from dashboards.fhir.identity import id_of
from dashboards.manner.document import DOCUMENT_PATH
from dashboards.reports.source import Reports
from dashboards.settings import HttpSettings, StreamSettings
from publishing.published import PublishedLog
from storage.measurement_queries import DatabaseMeasurements
from streams.record.reader import LoggedRecords
from streams.uptime.reader import LoggedUptime
from tests.alert_rig import alert, keep, links
from tests.api_rig import Rig, serving
from tests.console_stage import PASSWORD, PHYSICIST, SiteStage
from tests.integration.test_measurement_database import failing, review_of, taken
from tests.postgres import ServerDatabase, database, embedded, server

__all__ = ["database", "embedded", "server"]  # fixtures, used by their names

CASES: Final = 160
"""Over all endpoints: enough to find an undocumented answer, few enough for CI."""

KNOWN: Final = {
    "device_id": "dxa-1",
    "slug": "log-fault",
    "alert_id": "0" * 12,
    "event_id": "0" * 24,
    "review_id": "0" * 12,
    "metric_id": id_of("dxa-1", "bmd"),
    "observation_id": "0" * 24,
    "provenance_id": "0" * 24,
}
"""What the site has by the names that paths use: half of the requests are about it."""

OPEN_TO_EVERYBODY: Final = {"/fhir/metadata"}

BASIC: Final = {"Authorization": f"Basic {b64encode(f'{PHYSICIST}:{PASSWORD}'.encode()).decode()}"}

CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

Client = TestClient[Litestar]
Endpoint = tuple[str, str, dict[str, Any]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Rig, Client]]:
    with serving(tmp_path, api=ApiSettings(requests_a_minute=0, unknown_requests_a_minute=0)) as both:
        yield both


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[SiteStage]:
    stage = SiteStage(tmp_path)
    yield stage
    stage.end()


def endpoints(client: Client) -> list[Endpoint]:
    """Method, address and description of every endpoint in the document that asks for a credential."""
    found = []
    for path, item in client.get(DOCUMENT_PATH).json()["paths"].items():
        for method, operation in item.items():
            address = path.replace("{accession}", "ACC1")
            for name, value in KNOWN.items():
                address = address.replace(f"{{{name}}}", value)
            assert "{" not in address, f"say in KNOWN what the site has for {path}"
            if operation["security"] != [{}]:
                found.append((method.upper(), address, operation))
            else:
                assert address in OPEN_TO_EVERYBODY
    return found


def test_what_is_asked_of_the_api_is_answered_as_its_document_says(
    stage: SiteStage, database: ServerDatabase, tmp_path: Path
) -> None:
    made, patients = failing()
    taken(database, made)
    have = KNOWN | {
        "event_id": patients[0],
        "review_id": review_of(made),
        "observation_id": id_of(patients[0], "0"),
        "provenance_id": id_of(patients[0]),
        "alert_id": "alert-1",
    }
    queue = Queue(tmp_path)
    keep(queue, alert())
    published = PublishedLog(tmp_path / "site-log.sqlite")
    log, names = tmp_path / "site-log.sqlite", {"dxa-1": "bath/dxa-1", "dxa-2": "bath/dxa-2"}
    published = PublishedLog(log)
    uptime = LoggedUptime(log, "Test hospital", "Europe/London", names, {})
    app = create_app(
        site=stage._engine,
        readings=stage._readings,
        users=stage._users,
        settings=HttpSettings(
            site_name="Test hospital",
            api=ApiSettings(requests_a_minute=0, unknown_requests_a_minute=0),
            streams=StreamSettings(lasts_s=0),  # each ends when it has told what there is
        ),
        clock=stage._clock,
        measurements=DatabaseMeasurements(database.connect, "test-site"),
        published=published,
        alerts=Desk(queue, links(), unreached_s=600.0, clock=stage._clock),
        uptime=uptime,
        reports=Reports("Test hospital", LoggedRecords(log, names), uptime),
    )
    token = stage._users.tokens.create("Schemathesis", list(Scope), timedelta(days=1))
    schema = schemathesis.openapi.from_asgi(DOCUMENT_PATH, app)
    tried, each = set(), max(8, CASES // len(list(schema.get_all_operations())))
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        known = {name: have[name] for name in have if f"{{{name}}}" in operation.path}
        cases = st.one_of(
            operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known),
            operation.as_strategy(GenerationMode.POSITIVE),
            operation.as_strategy(GenerationMode.NEGATIVE),
        )

        @settings(
            max_examples=each,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, signs_in=st.sampled_from(("password", "password", "token", "nobody")))
        def answers_as_documented(case: schemathesis.Case[Any], signs_in: str) -> None:
            headers = {"token": {"Authorization": f"Bearer {token}"}, "password": BASIC, "nobody": {}}[signs_in]
            case.call_and_validate(headers=headers, checks=list(CHECKS))
            tried.add((case.method, case.operation.path))

        answers_as_documented()
    published.close()
    assert len(tried) == len(list(schema.get_all_operations()))


def test_no_endpoint_of_the_document_is_open_to_a_wrong_an_expired_or_an_insufficient_credential(
    served: tuple[Rig, Client],
) -> None:
    rig, client = served
    expired = rig.token(*Scope, name="Old", lasts=timedelta(minutes=1))
    wrong = {"Authorization": f"Bearer bwt_{'x' * 43}"}
    found = endpoints(client)
    for place, (method, address, operation) in enumerate(found):
        rig.clock.now += LOCKED_FOR  # each with a clean sheet
        suffices = {scope for one in operation["security"] if "token" in one for scope in one["token"]}
        others = rig.token(*(one for one in Scope if one not in suffices), name=f"Other {place}")
        statuses = [
            client.request(method, address, headers=headers, json={} if method == "POST" else None).status_code
            for headers in (wrong, expired, others, {})
        ]
        nobody = 200 if {} in operation["security"] else 401
        assert statuses == [401, 401, 403, nobody], (method, address)
    assert {address for _, address, _ in found} >= {"/api/v1/devices", "/api/v1/test/patients/ACC1", "/fhir/Device"}
    assert rig.site.commands == []


def test_where_status_is_not_public_no_endpoint_is_open_without_a_credential(tmp_path: Path) -> None:
    with serving(tmp_path, public=False) as (_, client):
        for method, address, _ in endpoints(client):
            assert client.request(method, address).status_code == 401, (method, address)


def test_the_document_names_every_way_to_sign_in_and_the_scope_of_every_endpoint(served: tuple[Rig, Client]) -> None:
    document = served[1].get(DOCUMENT_PATH).json()
    assert set(document["components"]["securitySchemes"]) == {"token", "password", "session"}
    for method, address, operation in endpoints(served[1]):
        by_token = [one["token"] for one in operation["security"] if "token" in one]
        assert by_token, address
        assert {scope for one in by_token for scope in one} <= {scope.value for scope in Scope}
        assert all(len(one) == 1 for one in by_token), address  # of two in one, both would be needed
        assert ({"session": []} in operation["security"]) is (method == "GET"), address
        for status in ("401", "403", "429"):
            spoken = "application/fhir+json" if address.startswith("/fhir/") else "application/problem+json"
            assert set(operation["responses"][status]["content"]) == {spoken}, address
