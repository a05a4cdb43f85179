"""How the API answers: problem details, tags, idempotency keys, pages."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from dashboards.access.scopes import Scope
from dashboards.manner.answers import KEPT_FOR
from tests.accounts import PASSWORD
from tests.api_rig import ROWS, Rig, serving
from tests.console_fakes import FAILED, held_gate

Client = TestClient[Litestar]
NURSE = ("Pat Nurse", PASSWORD)
FAULT = "/api/v1/devices/dxa-1/actions/log-fault"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Rig, Client]]:
    with serving(tmp_path) as both:
        yield both


def asked(text: str = "It rattles") -> dict[str, Any]:
    values = {"text": text, "stops_scanning": "no"}
    return {"request_id": "a" * 32, "device_seq": 7, "values": values}


def keyed(client: Client, key: str, text: str = "It rattles", auth: tuple[str, str] = NURSE) -> httpx.Response:
    return client.post(FAULT, json=asked(text), auth=auth, headers={"Idempotency-Key": key})


# --- problem details ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("DELETE", "/api/v1/devices", 405),
        ("GET", "/api/v1/devices/dxa-1/qc?limit=0", 400),
        ("GET", "/api/v1/devices/dxa-9", 404),
        ("POST", "/api/v1/devices/dxa-1/studies/withdrawn", 401),
    ],
)
def test_what_goes_wrong_is_told_as_problem_details(
    served: tuple[Rig, Client], method: str, path: str, status: int
) -> None:
    answer = served[1].request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert {"type", "title", "detail"} <= set(answer.json())


def test_a_method_that_there_is_not_is_told_with_those_that_there_are(served: tuple[Rig, Client]) -> None:
    answer = served[1].delete("/api/v1/devices")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "OPTIONS"}


def test_what_is_not_right_is_told_by_field_and_never_quoted(served: tuple[Rig, Client]) -> None:
    _, client = served
    answer = client.get("/api/v1/devices/dxa-1/qc?limit=Mrs-Jones")
    assert set(answer.json()["errors"]) == {"limit"}
    assert "Jones" not in answer.text
    answer = client.post(FAULT, json=asked(text=""), auth=NURSE)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"text"})


# --- tags ---


def test_who_has_the_answer_already_is_told_so(served: tuple[Rig, Client]) -> None:
    rig, client = served
    first = client.get("/api/v1/devices/dxa-2/gate")
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/api/v1/devices/dxa-2/gate", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), given
    rig.site.change("dxa-2", gate=held_gate(FAILED))
    after = client.get("/api/v1/devices/dxa-2/gate", headers={"If-None-Match": tag})
    assert (after.status_code, after.json()["status"]) == (200, "held")
    assert after.headers["etag"] != tag


def test_what_was_refused_has_no_tag(served: tuple[Rig, Client]) -> None:
    answer = served[1].get("/api/v1/devices/dxa-9", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.headers.get("etag")) == (404, None)


def test_a_stream_is_not_kept_back_for_a_tag(served: tuple[Rig, Client]) -> None:
    rig, client = served
    answer = client.get("/api/v1/test/news", headers=rig.token(Scope.QC_READ) | {"If-None-Match": "*"})
    assert (answer.status_code, answer.text, answer.headers.get("etag")) == (200, "onetwo", None)


# --- idempotency keys ---


def test_what_is_sent_again_under_its_key_is_done_once_and_answered_as_then(served: tuple[Rig, Client]) -> None:
    rig, client = served
    first, again = keyed(client, "k1"), keyed(client, "k1")
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(rig.site.commands) == 1


def test_what_was_refused_can_be_mended_and_sent_under_its_key(served: tuple[Rig, Client]) -> None:
    rig, client = served
    assert [keyed(client, "k1", text=text).status_code for text in ("", "", "It rattles")] == [422, 422, 200]
    assert len(rig.site.commands) == 1


def test_after_an_error_of_ours_nobody_claims_to_know_what_was_done(served: tuple[Rig, Client]) -> None:
    rig, client = served
    rig.site.fails_with = RuntimeError("somewhere after the commit, perhaps")
    assert keyed(client, "k1").status_code == 500
    rig.site.fails_with = None
    assert keyed(client, "k1").status_code == 409
    assert rig.site.commands == []


def test_a_key_stands_for_one_content_of_one_caller(served: tuple[Rig, Client]) -> None:
    rig, client = served
    assert keyed(client, "k1").status_code == 200
    other = keyed(client, "k1", text="Something else")
    assert (other.status_code, "other content" in other.text) == (422, True)
    assert keyed(client, "k1", auth=("Dr M Expert", PASSWORD)).status_code == 409  # done anew, and out of date by now
    assert len(rig.site.commands) == 1


def test_a_key_that_is_refused_for_other_content_is_on_record_too(served: tuple[Rig, Client]) -> None:
    rig, client = served
    assert keyed(client, "k1").status_code == 200
    assert keyed(client, "k1", text="Something else").status_code == 422
    assert [entry.status for entry in rig.trail.entries] == [200, 422]


def test_a_key_is_forgotten_after_a_day(served: tuple[Rig, Client]) -> None:
    rig, client = served
    assert keyed(client, "k1").status_code == 200
    rig.clock.now += KEPT_FOR + timedelta(seconds=1)
    assert "idempotency-replayed" not in keyed(client, "k1").headers


def test_what_was_forbidden_is_no_answer_to_keep(served: tuple[Rig, Client]) -> None:
    rig, client = served
    headers = rig.token(Scope.ACTIONS_WRITE) | {"Idempotency-Key": "k1"}
    answers = [client.post(FAULT, json=asked(text), headers=headers) for text in ("It rattles", "Something else")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, False]


def test_what_was_begun_and_never_answered_is_told_as_not_known(served: tuple[Rig, Client]) -> None:
    rig, client = served
    body = client.build_request("POST", FAULT, json=asked()).read()
    assert rig.users.answers.begin("password:pat nurse", "k1", FAULT.encode() + b"\n" + body) is None
    answer = keyed(client, "k1")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "2")
    assert rig.site.commands == []


def test_two_at_the_same_moment_are_done_once(served: tuple[Rig, Client]) -> None:
    rig, client = served
    rig.site.answers_after_s = 0.3
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(keyed(client, "k1").status_code)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409]
    assert len(rig.site.commands) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(served: tuple[Rig, Client], key: str) -> None:
    assert keyed(served[1], key).status_code == 400


# --- pages ---


def test_a_list_is_read_page_by_page_to_its_end(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header, read, path = rig.token(Scope.QC_READ), [], "/api/v1/test/rows?limit=4&above=0"
    while path:
        answer = client.get(path, headers=header)
        read.append(answer.json())
        path = answer.links.get("next", {}).get("url", "")
    assert read == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert [row for page in read for row in page] == [row for row in ROWS if row > 0]


def test_a_cursor_is_of_its_question_and_nobody_makes_one_up(served: tuple[Rig, Client]) -> None:
    rig, client = served
    header = rig.token(Scope.QC_READ)
    cursor = httpx.URL(client.get("/api/v1/test/rows", headers=header).links["next"]["url"]).params["cursor"]
    query = {"cursor": cursor}
    assert client.get("/api/v1/test/rows", params=query | {"limit": "9"}, headers=header).json() == [
        3,
        4,
        5,
        6,
        7,
        8,
        9,
    ]
    assert client.get("/api/v1/test/rows", params=query | {"above": "1"}, headers=header).status_code == 400
    other = "A" if cursor[-2] != "A" else "B"  # the last character carries bits that mean nothing
    for wrong in (cursor[:-2] + other + cursor[-1], "", "x.y", "[0,[3]]", "é", "x" * 1001):
        answer = client.get("/api/v1/test/rows", params={"cursor": wrong}, headers=header)
        assert answer.status_code == 400, wrong
        assert answer.headers["content-type"] == "application/problem+json"
