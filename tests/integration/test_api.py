"""The HTTP API over a department in memory."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import LogFault, OverrideGate
from streams.messages import GateStatus, Person
from streams.roles import Role
from streams.site import Gate
from tests.accounts import CHEAP
from tests.console_client import Visitor
from tests.console_fakes import FAILED, MISSING, NOW, FakeSite, department, held_gate, open_gate
from tests.console_stage import SiteStage

SETTINGS = HttpSettings(site_name="Test hospital")


@pytest.fixture
def site() -> FakeSite:
    return department()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[SiteStage]:
    stage = SiteStage(tmp_path)
    yield stage
    stage.end()


@pytest.fixture
def users(tmp_path: Path) -> Iterator[UserStore]:
    store = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    yield store
    store.close()


@pytest.fixture
def client(site: FakeSite, users: UserStore) -> Iterator[TestClient[Litestar]]:
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=lambda: NOW)
    with TestClient(app) as client:
        yield client


def test_devices_come_with_their_gates_and_phantoms(client: TestClient[Litestar]) -> None:
    devices: list[dict[str, Any]] = client.get("/api/v1/devices").json()
    assert [device["id"] for device in devices] == ["dxa-1", "dxa-2", "scale-1"]
    held = devices[0]
    assert held["ae_title"] == "DXA1"
    assert held["gate"] == {
        "status": "held",
        "since": "2026-11-20T07:40:00Z",
        "valid_until": None,
        "reasons": [
            {"code": "qc_missing", "text": MISSING.text, "clears_when": MISSING.clears_when, "holds": True},
        ],
        "overridden_by": "",
        "overridden_until": None,
    }
    assert held["gates"]["all"]["status"] == "held"
    assert held["device_seq"] == 7
    assert [phantom["patient_id"] for phantom in held["phantoms"]] == ["SPINE-1234", "FOREARM-1"]
    assert held["phantoms"][0]["baseline"]["upper"] == pytest.approx(1.015)
    assert devices[1]["gate"]["valid_until"] == "2026-11-21T00:00:00Z"


def test_only_scanners_have_an_ae_title(client: TestClient[Litestar]) -> None:
    assert "ae_title" not in client.get("/api/v1/devices/scale-1").json()


def test_a_gate_is_read_anew_at_each_request(client: TestClient[Litestar], site: FakeSite) -> None:
    assert client.get("/api/v1/devices/dxa-2/gate").json()["status"] == "open"
    site.change("dxa-2", gate=held_gate(FAILED))
    answer = client.get("/api/v1/devices/dxa-2/gate")
    assert answer.json()["reasons"][0]["code"] == "qc_failed"
    assert answer.headers["cache-control"] == "no-store"


def test_a_gate_can_be_asked_for_one_mode(client: TestClient[Litestar]) -> None:
    assert client.get("/api/v1/devices/dxa-2/gate?mode=all").json()["status"] == "open"
    answer = client.get("/api/v1/devices/dxa-2/gate?mode=forearm")
    assert answer.status_code == 400
    assert "forearm" in answer.json()["detail"]


def test_readings_carry_verdict_limits_statistics_and_epoch(client: TestClient[Litestar]) -> None:
    readings = client.get("/api/v1/devices/dxa-2/qc", params={"limit": 1}).json()
    (reading,) = readings
    assert reading["verdict"] in {"pass", "fail"}
    assert reading["limits"] == {"target": 1.0, "lower": 0.985, "upper": 1.015}
    assert reading["statistics"]["cusum_h"] == 5.0
    assert reading["statistics"]["signal"] is True
    assert reading["epoch"] == 2


def test_readings_can_be_cut_by_time_and_phantom(client: TestClient[Litestar]) -> None:
    since = NOW - timedelta(days=10)
    query = {"since": since.isoformat(), "until": NOW.isoformat(), "phantom_id": "SPINE-1234"}
    readings = client.get("/api/v1/devices/dxa-1/qc", params=query).json()
    assert len(readings) == 10
    assert {reading["phantom_id"] for reading in readings} == {"SPINE-1234"}
    assert readings == sorted(readings, key=lambda reading: str(reading["measured_at"]))


def test_a_vendor_qc_has_no_number(client: TestClient[Litestar]) -> None:
    readings = client.get("/api/v1/devices/dxa-1/qc", params={"phantom_id": "vendor-qc"}).json()
    assert {reading["bmd_g_cm2"] for reading in readings} == {None}
    assert {reading["limits"] for reading in readings} == {None}


@pytest.mark.parametrize("query", ["since=yesterday", "since=2026-11-01T08:00:00", "limit=0", "limit=x", "limit=99999"])
def test_a_query_that_cannot_be_meant_is_refused(client: TestClient[Litestar], query: str) -> None:
    answer = client.get(f"/api/v1/devices/dxa-1/qc?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("path", ["", "/gate", "/qc", "/epochs"])
def test_an_unknown_device_is_a_problem_404(client: TestClient[Litestar], path: str) -> None:
    answer = client.get(f"/api/v1/devices/dxa-9{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no device dxa-9 at this site",
    }


def test_epochs_name_no_person(client: TestClient[Litestar]) -> None:
    epochs = client.get("/api/v1/devices/dxa-1/epochs").json()
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert "Expert" not in str(epochs)


def test_who_overrode_a_gate_is_told_to_those_who_signed_in(
    client: TestClient[Litestar], site: FakeSite, users: UserStore
) -> None:
    site.change("dxa-2", gate=Gate(GateStatus.OVERRIDDEN, NOW, NOW, (FAILED,), "P. Nurse", NOW))
    paths = [f"/api/v1/devices{path}" for path in ("", "/dxa-2", "/dxa-2/gate", "/dxa-2/gate?mode=all")]
    for path in [*paths, "/", "/wall", "/parts/board"]:
        assert "verridden" in client.get(path).text, path
        assert "P. Nurse" not in client.get(path).text, path
    users.add_user("The manager", Role.MANAGER, "correct horse battery")
    Visitor(client).sign_in("The manager", "correct horse battery")
    for path in [*paths, "/", "/wall", "/parts/board"]:
        assert "P. Nurse" in client.get(path).text, path


def test_the_public_reads_quote_no_fault_and_name_nobody(stage: SiteStage) -> None:
    nurse, text = Person("Sam Secret", "operator"), "Mrs Jones fell off the table"
    stage.carry_out(LogFault(device="bath/dxa-1", actor=nurse, request_id="1" * 32, text=text, stops_scanning=True))
    stage.close_gate("dxa-2")
    stage.carry_out(
        OverrideGate(device="bath/dxa-2", actor=nurse, request_id="2" * 32, reason=text, advised_by="Dr Secret")
    )
    api = [
        f"/api/v1/devices{path}" for path in ("", "/dxa-1", "/dxa-1/gate", "/dxa-2/gate", "/dxa-2/qc", "/dxa-2/epochs")
    ]
    answers = {path: httpx.get(stage.url + path).text for path in ("/", "/wall", "/parts/board", "/metrics", *api)}
    assert "fault_stops_scanning" in answers["/api/v1/devices/dxa-1/gate"]
    assert "overridden" in answers["/api/v1/devices/dxa-2/gate"]
    for path, answer in answers.items():
        assert "Jones" not in answer, path
        assert "Secret" not in answer, path


def test_the_description_of_the_api_is_served_and_names_its_paths(client: TestClient[Litestar]) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert set(paths) == {
        f"/api/v1/devices{path}"
        for path in (
            "",
            "/{device_id}",
            "/{device_id}/gate",
            "/{device_id}/qc",
            "/{device_id}/epochs",
            "/{device_id}/actions",
            "/{device_id}/actions/{slug}",
            "/{device_id}/studies",
            "/{device_id}/studies/withdrawn",
        )
    } | {
        f"/api/v1/{path}"
        for path in (
            "events",
            "patient-lookups",
            "measurements",
            "measurements/{event_id}",
            "measurements/{event_id}/provenance",
            "measurements/{event_id}/annotations",
            "reviews",
            "reviews/{review_id}",
            "reviews/{review_id}/measurements",
            "alerts",
            "alerts/{alert_id}/acknowledgement",
            "reports/uptime",
            "reports/evidence/{device_id}",
            *(f"reports/qa/{{device_id}}{form}" for form in ("", "/figures", "/html", "/pdf", "/readings")),
        )
    } | {
        f"/fhir/{path}"
        for path in (
            "metadata",
            *("Device", "Device/{device_id}", "Device/_search"),
            *("DeviceMetric", "DeviceMetric/{metric_id}", "DeviceMetric/_search"),
            *("Observation", "Observation/{observation_id}", "Observation/_search"),
            *("Provenance", "Provenance/{provenance_id}", "Provenance/_search"),
        )
    }


def test_where_status_is_not_public_the_api_wants_a_sign_in(site: FakeSite, users: UserStore) -> None:
    settings = HttpSettings(site_name="Test hospital", public_status=False)
    app = create_app(site=site, readings=site, users=users, settings=settings, clock=lambda: NOW)
    with TestClient(app) as client:
        assert client.get("/api/v1/devices").status_code == 401
        assert client.get("/", follow_redirects=False).headers["location"] == "/sign-in?next=/"
        assert client.get("/events", follow_redirects=False).headers["location"] == "/sign-in?next=/events"
        assert client.get("/healthz").status_code == 200


def test_an_error_of_ours_tells_nothing_of_its_inside(
    site: FakeSite, users: UserStore, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(device_id: str) -> None:
        raise RuntimeError(f"secret of {device_id}")

    site.device = broken  # type: ignore[method-assign]
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/devices/dxa-1")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged
    assert "secret" not in logged.replace("secret of {device_id}", "")


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged(stage: SiteStage) -> None:
    took = []
    with httpx.Client(base_url=stage.url) as client:
        for _ in range(40):
            began = time.perf_counter()
            client.get("/healthz")
            took.append(time.perf_counter() - began)
    assert min(took[20:]) < 0.03  # an acknowledgement may be held back for 40 ms


def test_alive_and_ready_are_two_things(client: TestClient[Litestar], site: FakeSite) -> None:
    assert client.get("/readyz").status_code == 200
    site.ready = False
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_metrics_show_where_gates_stand(client: TestClient[Litestar], site: FakeSite) -> None:
    site.change("dxa-1", gate=open_gate())
    text = client.get("/metrics").text
    assert 'bonewatch_gate_open{device="dxa-1"} 1.0' in text
    assert 'bonewatch_gate_held_reason{code="qc_missing",device="dxa-1"} 0.0' in text
    site.change("dxa-1", gate=held_gate(FAILED))
    text = client.get("/metrics").text
    assert 'bonewatch_gate_open{device="dxa-1"} 0.0' in text
    assert 'bonewatch_gate_held_reason{code="qc_failed",device="dxa-1"} 1.0' in text
    assert 'bonewatch_device_sequence{device="dxa-1"} 9.0' in text
    assert "bonewatch_site_ready 1.0" in text


def test_every_answer_forbids_framing_sniffing_and_foreign_content(client: TestClient[Litestar]) -> None:
    for path in ("/", "/api/v1/devices", "/nowhere", "/static/css/base.css", "/metrics"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
