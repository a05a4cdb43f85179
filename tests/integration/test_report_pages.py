"""Reports over the console and the API: who gets what, and that every download goes on record."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from dashboards.access.scopes import Scope
from dashboards.reports.evidence.check import check_pack
from dashboards.reports.files import QA_FORMS
from streams.roles import Role
from tests.reported_site import Served, serving, write_log

DAYS = "first=2026-11-01&last=2026-11-30"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("site") / "site-log.sqlite"
    write_log(log)
    return log


@pytest.fixture(scope="module")
def served(log: Path) -> Iterator[Served]:
    with serving(log.parent, log) as served:
        yield served


@pytest.fixture(autouse=True)
def nobody_signed_in(served: Served) -> None:
    served.client.cookies.clear()
    served.trail.entries.clear()


def by_token(served: Served, path: str, *scopes: Scope) -> httpx.Response:
    token = served.users.tokens.create(f"Program {uuid4()}", list(scopes), timedelta(days=1))
    return served.client.get(f"/api/v1/reports/{path}", headers={"Authorization": f"Bearer {token}"})


def on_record(served: Served) -> list[tuple[str, str, int, str]]:
    return [(one.who, one.route, one.status, one.subject.get("device_id", "")) for one in served.trail.entries]


# --- the console -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/reports", "/reports/qa?device=dxa-1", f"/reports/evidence?device=dxa-1&{DAYS}"])
def test_reports_are_for_people_who_signed_in(served: Served, path: str) -> None:
    assert served.client.get(path, follow_redirects=False).status_code == 302


def test_everybody_picks_a_device_and_a_month_and_few_take_evidence(served: Served) -> None:
    operator = served.visitor(Role.OPERATOR)
    assert 'href="/reports"' in operator.get("/").text
    page = operator.get("/reports").text
    assert 'value="2026-11"' in page  # the last month that is over
    assert "Evidence for an inspection" not in page
    assert "Evidence for an inspection" in served.visitor(Role.MANAGER).get("/reports").text


def test_the_page_of_a_month_leads_to_its_files_and_the_months_beside(served: Served) -> None:
    operator = served.visitor(Role.OPERATOR)
    page = operator.get("/reports/qa?device=dxa-1&month=2026-11").text
    assert "QA report: dxa-1, November 2026" in page
    assert "missing on Wed 4 Nov" in page
    assert "month=2026-10" in page
    assert "month=2026-12" in page
    files = re.findall(r'href="(/reports/qa/dxa-1/[^"]+)"', page)
    assert {path.removeprefix("/reports/qa/dxa-1/qa-dxa-1-2026-11") for path in files} == set(QA_FORMS) - {".json"}
    for path in files:
        answer = operator.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{path.rsplit("/", 1)[1]}"'
    told = on_record(served)
    assert ("The operator", "/reports/qa", 200, "dxa-1") in told
    assert told.count(("The operator", "/reports/qa/{device_id}/{name}", 200, "dxa-1")) == len(files)


def test_without_a_month_it_is_the_last_that_is_over(served: Served) -> None:
    assert "November 2026" in served.visitor(Role.OPERATOR).get("/reports/qa?device=dxa-1").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reports/qa?device=dxa-9&month=2026-11", 404),
        ("/reports/qa?device=dxa-1&month=november", 400),
        ("/reports/qa/dxa-1/qa-dxa-1-2026-11.exe", 404),
        ("/reports/qa/dxa-1/qa-dxa-2-2026-11.pdf", 404),
        ("/reports/qa/dxa-1/qa-dxa-1-2026-13.pdf", 400),
        ("/reports/evidence?device=dxa-1", 400),
        ("/reports/evidence?device=dxa-1&first=2026-11-30&last=2026-11-01", 400),
        ("/reports/evidence?device=dxa-1&first=2024-01-01&last=2026-11-30", 400),
        ("/reports/evidence?device=dxa-9&first=2026-11-01&last=2026-11-30", 404),
    ],
)
def test_what_cannot_be_meant_is_refused(served: Served, path: str, status: int) -> None:
    assert served.visitor(Role.PHYSICIST).get(path).status_code == status


@pytest.mark.parametrize("role", Role)
def test_evidence_is_for_those_who_answer_for_the_service(served: Served, log: Path, role: Role) -> None:
    answer = served.visitor(role).get(f"/reports/evidence?device=dxa-1&{DAYS}")
    if role not in {Role.PHYSICIST, Role.MANAGER, Role.ADMIN}:
        assert answer.status_code == 403
        return
    assert answer.headers["content-disposition"] == ('attachment; filename="evidence-dxa-1-2026-11-01-2026-11-30.zip"')
    assert check_pack(answer.content, log).faults == ()
    assert (f"The {role.value}", "/reports/evidence", 200, "dxa-1") in on_record(served)


def test_uptime_comes_as_html_too(served: Served) -> None:
    answer = served.visitor(Role.MANAGER).get("/uptime/files/uptime-2026-11.html")
    assert answer.headers["content-type"].startswith("text/html")
    assert "91.875 %" in answer.text
    assert "Uptime of Bath, 1 November 2026 to 30 November 2026" in answer.text


# --- the API -----------------------------------------------------------------------------------------------


def test_a_token_reads_what_its_scopes_permit_and_it_goes_on_record(served: Served, log: Path) -> None:
    qa = by_token(served, "qa/dxa-1?month=2026-11", Scope.QC_READ)
    assert (qa.status_code, qa.json()["duties"][0]["missed_on"]) == (200, ["2026-11-04"])
    readings = by_token(served, "qa/dxa-1/readings?month=2026-11", Scope.QC_READ)
    assert len(list(csv.DictReader(io.StringIO(readings.text)))) == 43
    evidence = by_token(served, f"evidence/dxa-1?{DAYS}", Scope.EVIDENCE_READ)
    assert evidence.headers["content-type"] == "application/zip"
    assert check_pack(evidence.content, log).faults == ()
    assert [(route, status, device) for _, route, status, device in on_record(served)] == [
        ("/api/v1/reports/qa/{device_id}", 200, "dxa-1"),
        ("/api/v1/reports/qa/{device_id}/readings", 200, "dxa-1"),
        ("/api/v1/reports/evidence/{device_id}", 200, "dxa-1"),
    ]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("qa/dxa-1?month=2026-11", Scope.GATES_READ),
        ("qa/dxa-1/pdf?month=2026-11", Scope.GATES_READ),
        (f"evidence/dxa-1?{DAYS}", Scope.QC_READ),
        ("uptime?month=2026-11", Scope.QC_READ),
    ],
)
def test_another_scope_does_not_suffice(served: Served, path: str, scope: Scope) -> None:
    assert by_token(served, path, scope).status_code == 403
    assert served.client.get(f"/api/v1/reports/{path}").status_code == 401


@pytest.mark.parametrize(
    "path", ["qa/dxa-1?month=november", "qa/dxa-1", f"evidence/dxa-1?{DAYS.replace('2026-11-01', '2020-01-01')}"]
)
def test_a_period_that_cannot_be_meant_is_a_problem_400(served: Served, path: str) -> None:
    answer = by_token(served, path, *Scope)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
