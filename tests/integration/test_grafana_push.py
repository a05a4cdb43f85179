"""`grafana push` against a server that keeps what it is given; what is so already is left alone."""

import json
import socket
from collections.abc import Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bonewatch import cli
from bonewatch.errors import ConfigError
from dashboards.grafana.catalogue import boards, documents
from dashboards.grafana.push import difference
from dashboards.grafana.sources import Sources
from tests.certificates import Authority
from tests.grafana_server import EDITOR, VIEWER, Kept, running

UIDS = [board.uid for board in boards()]


@pytest.fixture
def grafana() -> Iterator[Kept]:
    with running() as kept:
        yield kept


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONEWATCH_GRAFANA_TOKEN", EDITOR)


def push(*words: str) -> None:
    assert cli.app(["grafana", "push", *words], result_action="return_value", exit_on_error=False) == 0


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as error:
        push(*words)
    return str(error.value)


def test_a_first_push_brings_a_folder_and_every_dashboard(grafana: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    push(grafana.url)
    assert list(grafana.folders) == ["bonewatch"]
    assert list(grafana.dashboards) == UIDS
    for uid, text in documents(Sources()).items():
        kept = grafana.dashboards[uid]
        assert kept["meta"]["folderUid"] == "bonewatch"
        assert kept["dashboard"] == json.loads(text) | {"id": kept["dashboard"]["id"], "version": 1}
    assert capsys.readouterr().out.endswith(f"{len(UIDS) + 1} changed.\n")


def test_a_second_push_changes_nothing_and_says_so(grafana: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    push(grafana.url)
    before, asked = deepcopy(grafana.dashboards), len(grafana.asked)
    capsys.readouterr()
    push(grafana.url)
    told = capsys.readouterr().out
    assert grafana.dashboards == before
    assert len(grafana.asked) == asked
    assert told.endswith("Nothing to change.\n")
    assert told.count("unchanged") == len(UIDS) + 1


def test_what_somebody_changed_is_put_right_and_named(grafana: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    push(grafana.url)
    grafana.dashboards["bonewatch-gates"]["dashboard"]["panels"][0]["title"] = "Mine"
    grafana.dashboards["bonewatch-fleet"]["meta"]["folderUid"] = "elsewhere"
    grafana.folders["bonewatch"]["title"] = "Their words"
    capsys.readouterr()
    push(grafana.url)
    told = capsys.readouterr().out
    assert "changed   dashboard Gates (panels[0].title)" in told
    assert "changed   dashboard Fleet overview (its folder)" in told
    assert told.endswith("2 changed.\n")
    assert grafana.dashboards["bonewatch-gates"]["dashboard"]["version"] == 2
    assert grafana.dashboards["bonewatch-fleet"]["meta"]["folderUid"] == "bonewatch"
    assert grafana.folders["bonewatch"]["title"] == "Their words"


def test_what_grafana_adds_is_no_difference_and_a_panel_more_is(grafana: Kept) -> None:
    push(grafana.url)
    kept = grafana.dashboards["bonewatch-gates"]["dashboard"]
    kept["panels"][0]["pluginVersion"] = "12.3.1"
    push(grafana.url)
    assert kept["version"] == 1
    kept["panels"].append({"title": "Mine"})
    push(grafana.url)
    assert grafana.dashboards["bonewatch-gates"]["dashboard"]["version"] == 2


def test_a_difference_is_named_by_its_place() -> None:
    assert difference({"a": [1, {"b": 2}], "more": 1}, {"a": [1, {"b": 2}]}) == ""
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "a[1].b"
    assert difference({"a": [1]}, {"a": [1, 2]}) == "a"
    assert difference({}, {"a": "x"}) == "a"
    assert difference(None, {"a": "x"}) == "all of it"


def test_data_sources_are_made_where_asked_and_their_password_is_told_to_nobody(
    grafana: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("s3cret-words\n")
    words = (
        grafana.url, "--database", "db.example.org:5432", "--database-password-file", str(tmp_path / "password"),
        "--prometheus", "http://prometheus:9090",
    )  # fmt: skip
    push(*words)
    assert grafana.sources["bonewatch"]["jsonData"] == {"database": "bonewatch", "sslmode": "verify-full"}
    assert grafana.sources["bonewatch"]["secureJsonFields"] == {"password": True}
    assert grafana.sources["prometheus"]["url"] == "http://prometheus:9090"
    asked = len(grafana.asked)
    push(*words)
    assert len(grafana.asked) == asked
    grafana.sources["bonewatch"]["url"] = "elsewhere:5432"
    push(*words)
    assert grafana.asked[asked:] == ["PUT /api/datasources/uid/bonewatch"]
    told = capsys.readouterr()
    assert "s3cret-words" not in told.out + told.err
    assert EDITOR not in told.out + told.err


def test_other_uids_of_data_sources_are_used_throughout(grafana: Kept) -> None:
    push(grafana.url, "--postgres-uid", "theirs", "--prometheus-uid", "also-theirs")
    whole = json.dumps(grafana.dashboards)
    assert '"uid": "theirs"' in whole
    assert '"uid": "also-theirs"' in whole
    assert '"uid": "prometheus"' not in whole


# --- refusals --------------------------------------------------------------------------------------------------------


def test_an_unknown_token_is_a_sentence(grafana: Kept, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("glsa_old\n")
    told = refused(grafana.url, "--token-file", str(tmp_path / "token"))
    assert "401 (Invalid API key)" in told
    assert "service account" in told
    assert "glsa_old" not in told
    assert grafana.asked == []


def test_a_viewers_token_is_a_sentence(grafana: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONEWATCH_GRAFANA_TOKEN", VIEWER)
    told = refused(grafana.url)
    assert "403" in told
    assert "Editor" in told


def test_a_place_that_is_no_grafana_is_a_sentence(grafana: Kept) -> None:
    assert "sub-path" in refused(grafana.url + "/elsewhere")


def test_a_dashboard_that_comes_from_a_file_is_left_alone(grafana: Kept) -> None:
    push(grafana.url)
    grafana.dashboards["bonewatch-gates"]["meta"]["provisioned"] = True
    assert "comes from a file" in refused(grafana.url)


def test_a_grafana_that_is_away_is_a_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "is away" in refused(f"http://127.0.0.1:{free.getsockname()[1]}")


def test_a_sign_in_page_in_front_is_a_sentence() -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Sign in</html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    assert "another server in front" in refused(f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    thread.join()
    server.server_close()


def test_tls_is_checked_against_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = Authority("Test CA")
    ca = authority.write(tmp_path / "ca.pem")
    with running(certificate=authority.issue("grafana.test"), folder=tmp_path) as kept:
        told = refused(kept.url)
        assert "is not trusted" in told
        assert "--ca-file" in told
        assert kept.asked == []
        push(kept.url, "--ca-file", str(ca))
        assert list(kept.dashboards) == UIDS
    assert "cannot be read as certificates" in refused(kept.url, "--ca-file", str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://grafana.example.org", "in the clear"),
        ("grafana.example.org", "no address"),
        ("ftp://grafana.example.org", "no address"),
    ],
)
def test_an_address_that_would_not_do_is_refused_before_anything_is_sent(url: str, why: str) -> None:
    assert why in refused(url)


def test_without_a_token_nothing_is_asked(grafana: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BONEWATCH_GRAFANA_TOKEN")
    assert "BONEWATCH_GRAFANA_TOKEN" in refused(grafana.url)
    assert "cannot be read" in refused(grafana.url, "--token-file", str(tmp_path / "none"))
    (tmp_path / "odd").write_bytes("t\u00f6ken".encode())
    assert "is none" in refused(grafana.url, "--token-file", str(tmp_path / "odd"))
    assert "--database-password-file" in refused(grafana.url, "--database", "db:5432")
    assert grafana.asked == []
