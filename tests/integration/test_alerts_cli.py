"""The command line's ``alerts``: how they stand, a test message, taking one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.queue import Queue
from bonewatch.commands.alerts import alerts_app
from bonewatch.errors import ConfigError
from dashboards.audit.trail import AUDIT_FILE, uses
from tests.alert_rig import Clock, Wire, alert, deliverer, keep, note, tell
from tests.mail_server import MailServer, mail_server
from tests.running import configuration

ALERTS = """
[alerts]
[[alerts.channel]]
name = "mail"
url_file = "mail-url"
[[alerts.channel]]
name = "wall"
url_file = "wall-url"
[[alerts.person]]
name = "Anna Example"
roles = ["operator"]
channels = ["mail"]
address = "anna@example.org"
"""


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, mails: MailServer) -> Path:
    (tmp_path / "site.toml").write_text(configuration() + ALERTS)
    (tmp_path / "mail-url").write_text(mails.url())
    (tmp_path / "wall-url").write_text(mails.url("wall@example.org"))
    (tmp_path / "var").mkdir()
    return tmp_path


@pytest.fixture
def queue(folder: Path) -> Iterator[Queue]:
    with Queue(folder / "var") as queue:
        keep(queue, alert())
        yield queue


def run(folder: Path, *words: str) -> int:
    found = alerts_app([*words, "--config", str(folder / "site.toml")], result_action="return_value")
    assert isinstance(found, int)
    return found


def test_a_test_message_goes_to_a_person_and_it_is_said_what_became_of_it(
    folder: Path, mails: MailServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "test", "Anna Example") == 0
    (mail,) = mails.wait_for(1)
    assert (mail.to, mail.subject) == (("anna@example.org",), "Bonewatch test: Test department")
    assert "Nothing is wrong, and there is nothing to do." in mail.text
    assert run(folder, "test", "--channel", "wall") == 0
    assert mails.wait_for(2)[1].to == ("wall@example.org",)
    mails.stop()
    assert run(folder, "test", "Anna Example") == 1
    said = capfd.readouterr().out
    assert said.count("taken; now look whether it arrived") == 2
    assert "mail: not taken:" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["test", "Nobody"], "Nobody is no [[alerts.person]]; there are Anna Example"),
        (["test"], "name a person, or a --channel"),
        (["test", "--channel", "fax"], "fax is no [[alerts.channel]]; there are mail, wall"),
        (["status"], "alerts.sqlite is not there: the site has not run with [alerts] yet"),
    ],
)
def test_what_cannot_be_done_is_told_and_why(folder: Path, words: list[str], why: str) -> None:
    with pytest.raises(ConfigError) as told:
        run(folder, *words)
    assert why in str(told.value)


@pytest.mark.usefixtures("queue")
def test_status_says_what_is_open_and_who_takes_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "status") == 0
    shown = capfd.readouterr().out
    assert "alert-1" in shown
    assert "nobody" in shown
    assert run(folder, "acknowledge", "alert-1", "--name", "Ben Example") == 0
    assert "Ben Example takes alert-1." in capfd.readouterr().out
    assert run(folder, "acknowledge", "alert-1", "--name", "Anna Example") == 1
    assert "Ben Example has taken it already." in capfd.readouterr().out
    assert run(folder, "status", "--json") == 0
    (one,) = json.loads(capfd.readouterr().out)["alerts"]
    assert one["acknowledged_by"] == "Ben Example"
    (use,) = uses(folder / "var" / AUDIT_FILE)
    assert (use.way, use.method, use.route) == ("command line", "acknowledge", "alert")
    assert use.subject == {"alert": "alert-1", "in the name of": "Ben Example"}


def test_status_fails_where_a_channel_does_not_take_what_waits(
    folder: Path, queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    tell(queue, note("1"))
    deliverer(queue, {"mail": Wire(why="the server is away")}, Clock()).deliver("mail")
    assert run(folder, "status") == 1
    assert "mail: 1 waiting since" in capfd.readouterr().out
    assert run(folder, "status", "--json") == 1
    told = json.loads(capfd.readouterr().out)
    assert told["troubles"][0]["why"] == "the server is away"
    assert {one["channel"]: one["standing"] for one in told["channels"]} == {"mail": {"waiting": 1}, "wall": {}}
