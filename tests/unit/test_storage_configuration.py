"""`[database]`: what is refused, and that its documentation is what the code does."""

from pathlib import Path

import msgspec
import pytest

from bonewatch.configuration.loading import parse, warnings
from bonewatch.errors import ConfigError
from storage.errors import StorageError
from storage.opening import database_of
from storage.settings import DatabaseSettings
from tests.running import configuration
from tests.unit.test_documents import rows_under

SECRET = "swordfish"  # noqa: S105 - an invented password that must not be said


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('url = "mysql://db/x"', "begins with postgresql://"),
        (f'url = "postgresql://me:{SECRET}@db/x"', "no password in this file"),
        (f'url = "postgresql://me@db/x?password={SECRET}"', "no password in this file"),
        ('password_file = "/run/secrets/db"', "goes with a url"),
        ('url = "postgresql://me@localhost/x"\npassword_file = "secret"', "absolute path"),
        ('url = "postgresql://me@db.example.org/x"', "sslmode=verify-full"),
        ('url = "postgresql://me@db.example.org/x?sslmode=prefer"', "sslmode=verify-full"),
        ('url = "postgresql://me@127.0.0.1,db.example.org/x"', "sslmode=verify-full"),
        ('url = "postgresql://me@localhost/x?nonsense=1"', "no connection URL"),
        ("events_kept_months = -1", "0 (for ever) or more"),
        ('path = "x"', "there is no key `path` here"),
    ],
)
def test_a_wrong_database_section_is_a_sentence_without_a_secret(lines: str, words: str) -> None:
    text = configuration(database=lines)
    with pytest.raises(ConfigError) as refused:
        parse(text, "site.toml")
    assert words in str(refused.value)
    assert "line " in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("line", ["weight_change_kg = 0.0", "weight_change_kg = inf", "height_loss_cm = -1.0"])
def test_a_limit_of_an_annotation_that_says_nothing_is_refused_with_its_name(line: str) -> None:
    text = configuration(database=f"enabled = false\n[measurements]\n{line}")
    with pytest.raises(ConfigError, match=f"{line.split(maxsplit=1)[0]} is more than 0, and finite"):
        parse(text, "site.toml")


def test_a_server_whose_name_nobody_checks_is_said() -> None:
    def said(url: str) -> bool:
        notes = warnings(parse(configuration(database=f'url = "{url}"'), "site.toml"))
        return any("sslmode=verify-full" in note for note in notes)

    assert said("postgresql://me@db.example.org/x?sslmode=require")
    assert said("postgresql://me@db.example.org/x?sslmode=disable")
    assert not said("postgresql://me@db.example.org/x?sslmode=verify-full")


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "[::1]", "%2Fvar%2Frun"])
def test_what_stays_on_this_computer_needs_no_tls(host: str) -> None:
    assert parse(configuration(database=f'url = "postgresql://me@{host}/x"'), "site.toml").database.url


def test_every_key_is_documented_with_its_default() -> None:
    rows = rows_under("## `[database]`")
    defaults = {
        field.name: msgspec.json.encode(field.default).decode() for field in msgspec.structs.fields(DatabaseSettings)
    }
    assert {name: said.strip("`") for name, said in rows.items()} == defaults


def test_a_site_without_a_database_has_none_to_open(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="keeps no database"):
        database_of(DatabaseSettings(enabled=False), tmp_path)
    assert list(tmp_path.iterdir()) == []
