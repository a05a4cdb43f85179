"""The fleet's database across a network: a real PostgreSQL with TLS, and every way to get it wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.connection import PASSWORD_VARIABLE, GivenServer
from storage.errors import DatabaseAwayError, DatabaseRefusedError, StorageError
from storage.migrate import migrate
from tests.certificates import Authority
from tests.tls_postgres import PASSWORD, tls_postgres


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("a test's own")


@pytest.fixture(scope="module")
def url(authority: Authority) -> Iterator[str]:
    with tls_postgres(authority) as url:
        yield url


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, PASSWORD_VARIABLE, PASSWORD)


@pytest.fixture
def ca(tmp_path: Path, authority: Authority) -> Path:
    return authority.write(tmp_path / "ca.pem")


def test_the_schema_is_made_over_tls(url: str, ca: Path) -> None:
    with GivenServer(f"{url}?sslmode=verify-full&sslrootcert={ca}").connect() as db:
        assert db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall() == [(True,)]
        assert migrate(db).pending == ()


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
def test_another_authority_is_refused(url: str, tmp_path: Path, mode: str) -> None:
    other = Authority("somebody else").write(tmp_path / "other.pem")
    with pytest.raises(DatabaseRefusedError, match="is sslrootcert the CA that signed its certificate"):
        GivenServer(f"{url}?sslmode={mode}&sslrootcert={other}").connect()


def test_an_authority_that_is_not_there_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefusedError, match="sslrootcert names the PEM"):
        GivenServer(f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}").connect()


def test_another_name_than_the_certificates_is_refused(url: str, ca: Path) -> None:
    elsewhere = f"{url}?sslmode=verify-full&sslrootcert={ca}&host=db.example.org&hostaddr=127.0.0.1"
    with pytest.raises(DatabaseRefusedError, match="wants the name that is in its certificate"):
        GivenServer(elsewhere).connect()


def test_without_tls_this_server_lets_nobody_in(url: str) -> None:
    with pytest.raises(DatabaseRefusedError, match="over TLS only"):
        GivenServer(f"{url}?sslmode=disable").connect()


def test_a_wrong_password_is_refused(url: str, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, PASSWORD_VARIABLE, "swordfish")
    with pytest.raises(DatabaseRefusedError, match="password authentication failed") as refused:
        GivenServer(f"{url}?sslmode=verify-full&sslrootcert={ca}").connect()
    assert "swordfish" not in str(refused.value)


def test_a_server_that_is_away_is_not_refused() -> None:
    with pytest.raises(DatabaseAwayError) as away:
        GivenServer("postgresql://fleet@127.0.0.1:1/postgres").connect()
    assert not isinstance(away.value, DatabaseRefusedError)


@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=allow"])
def test_a_url_across_a_network_says_what_it_wants(query: str) -> None:
    with pytest.raises(StorageError, match="goes across a network"):
        GivenServer(f"postgresql://fleet@db.example.org/postgres{query}")


def test_the_sink_ends_with_a_sentence_where_it_is_refused(url: str, tmp_path: Path) -> None:
    other = Authority("somebody else").write(tmp_path / "other.pem")
    wrong = f"{url}?sslmode=verify-full&sslrootcert={other}"
    command = [sys.executable, "-m", "bonewatch", "fleet", "sink", "--servers", "127.0.0.1:1", "--database-url", wrong]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "error the database refuses: " in ended.stderr
    assert "Traceback" not in ended.stderr
