"""`bonewatch user`, `token` and `audit`, beside a running site."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bonewatch.cli import app as command_line
from bonewatch.configuration.loading import parse
from bonewatch.errors import ConfigError
from tests.running import SiteProcess, configuration, seed

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text(configuration())
    return tmp_path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("site")
    seed(folder, configuration(scanners=1))
    with SiteProcess(folder) as site:
        yield site


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n" * 2))


def run(folder: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line([*words, "-c", str(folder / "site.toml")])
    return int(ended.value.code or 0)


def told(capfd: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    """What a command says to a program."""
    capfd.readouterr()
    assert run(folder, *words, "--json") == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.usefixtures("typed")
def test_a_token_counts_at_once_is_on_record_and_counts_no_more_when_revoked(
    site: SiteProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    assert run(site.folder, "token", "create", "Booking", "--scope", "gates:read", "--scope", "actions:write") == 0
    token = capfd.readouterr().out.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{site.url}/api/v1/devices", headers=headers).status_code == 200
    asked = {"request_id": "a" * 32, "device_seq": 1, "values": {}}
    address = f"{site.url}/api/v1/devices/dxa-1/actions/log-fault"
    assert httpx.post(address, headers=headers, json=asked).status_code == 403
    (kept,) = told(capfd, site.folder, "token", "list")
    assert (kept["name"], sorted(kept["scopes"])) == ("Booking", ["actions:write", "gates:read"])
    assert datetime.fromisoformat(kept["expires_at"]) - began > timedelta(days=364)
    assert datetime.fromisoformat(kept["last_used_at"]) >= began
    assert run(site.folder, "token", "revoke", "booking") == 0
    assert httpx.get(f"{site.url}/api/v1/devices", headers=headers).status_code == 401
    capfd.readouterr()
    assert run(site.folder, "audit", "list", "--since", began.isoformat(), "--json") == 0
    made, used, revoked = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (made["method"], made["way"], made["subject"]) == ("create", "command line", {"token": "Booking"})
    assert (revoked["method"], revoked["subject"]) == ("revoke", {"token": "booking"})
    assert (used["who"], used["way"], used["method"], used["status"]) == ("Booking", "token", "POST", 403)
    assert used["address"] == "127.0.0.1"
    assert told(capfd, site.folder, "audit", "verify")["entries"] == 3
    assert token not in "".join(site.log)


@pytest.mark.usefixtures("typed")
def test_people_are_added_listed_disabled_and_given_a_new_password(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "user", "add", "Pat Nurse", "operator") == 0
    assert run(folder, "user", "disable", "pat nurse") == 0
    assert [one["enabled"] for one in told(capfd, folder, "user", "list")] == [False]
    assert run(folder, "user", "password", "Pat Nurse") == 0
    (person,) = told(capfd, folder, "user", "list")
    assert (person["name"], person["role"], person["enabled"]) == ("Pat Nurse", "operator", True)
    assert not any(PASSWORD in str(value) for value in person.values())
    capfd.readouterr()
    assert run(folder, "audit", "list", "--json") == 0
    kept = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["method"] for one in kept] == ["add", "disable", "password"]
    assert PASSWORD not in str(kept)


def test_lists_are_tables_for_people(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "token", "list") == 0
    assert "no token was made" in capfd.readouterr().out
    assert run(folder, "token", "create", "Booking", "--scope", "gates:read", "--days", "30") == 0
    token = capfd.readouterr().out.strip()
    assert run(folder, "token", "list") == 0
    shown = capfd.readouterr().out
    assert "Booking" in shown
    assert "valid" in shown
    assert token[4:12] not in shown


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["token", "revoke", "Nobody"], "none named Nobody"),
        (["token", "create", "Booking", "--scope", "gates:read", "--days", "0"], "1 to 3660 days"),
        (["token", "create", "Booking", "--scope", "everything"], "everything is no scope; choose of gates:read, "),
        (["user", "disable", "Nobody"], "none named Nobody"),
        (["user", "add", "Pat", "wizard"], "wizard is no role"),
        (["audit", "list"], "has not run yet"),
        (["audit", "verify"], "has not run yet"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, words: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        command_line([*words, "-c", str(folder / "site.toml")])


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("[api]\nrequests_a_minute = -1", "0 .no limit. or more"),
        ('[openid]\nissuer = "http://login.example.org"\naudience = "b"', "begins with https://"),
        ('[openid]\nissuer = "https://login.example.org"', "needs an audience"),
        ('[openid]\nissuer = "https://l.example.org"\naudience = "b"\nalgorithms = ["HS256"]', "HS256"),
        ('[openid]\nissuer = "https://l.example.org"\naudience = "b"\nalgorithms = []', "at least one algorithm"),
        ('[openid]\nissuer = "https://l.example.org"\naudience = "b"\nrole_claim = "groups"', "go together"),
        ('[openid]\nissuer = "https://l.example.org"\naudience = "b"\nleeway_s = 900.0', "between 0 and 300"),
        (
            '[openid]\nissuer = "https://l.example.org"\naudience = "b"\nrole_claim = "g"\nroles = { x = "wizard" }',
            "wizard",
        ),
    ],
)
def test_a_mistake_of_configuration_is_told(section: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(f"{configuration()}\n{section}\n", "site.toml")
