"""A server that an administrator runs: the password comes from a file or the environment, and is never said."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.connection import PASSWORD_VARIABLE, GivenServer
from storage.embedded import CLUSTER, EmbeddedPostgres
from storage.errors import DatabaseAwayError, StorageError

PASSWORD = "correct horse 'battery' \\staple"  # noqa: S105 - an invented password


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that asks a user for a password."""
    folder = tmp_path_factory.mktemp("given") / "database"
    server = EmbeddedPostgres(folder)
    with server.connect() as db:
        literal = db.execute("SELECT quote_literal(%s)", (PASSWORD,)).fetchone()
        assert literal is not None
        db.execute(f"CREATE ROLE given LOGIN PASSWORD {literal[0]}".encode())
        hba = folder / CLUSTER / "pg_hba.conf"
        hba.write_text("local all given scram-sha-256\n" + hba.read_text(encoding="utf-8"), encoding="utf-8")
        db.execute("SELECT pg_reload_conf()")
    yield f"postgresql://given@/postgres?host={server.host}"
    server.stop()


def test_the_password_is_read_from_its_file_each_time(url: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    given = GivenServer(url, secret)
    with pytest.raises(StorageError, match="secret cannot be read: FileNotFoundError"):
        given.connect()
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    with given.connect() as db:
        assert db.execute("SELECT current_user").fetchall() == [("given",)]


def test_the_environment_says_the_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, PASSWORD_VARIABLE, PASSWORD)
    GivenServer(url).connect().close()


def test_a_wrong_password_is_refused_without_saying_it(url: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("swordfish", encoding="utf-8")
    with pytest.raises(DatabaseAwayError) as refused:
        GivenServer(url, secret).connect()
    assert "password authentication failed" in str(refused.value)
    assert "swordfish" not in f"{refused.value!r} {refused.value.__cause__!r}"
