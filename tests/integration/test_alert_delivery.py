"""Messages go by Apprise to a real SMTP server, and through everything that can go wrong on the way."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from alerts.channels import AppriseChannel, ChannelError, FileChannel, Outgoing, channel_of
from alerts.deliveries import DeliveryState
from alerts.queue import Queue
from alerts.settings import ChannelSettings
from tests.alert_rig import MORNING, Clock, deliverer, note, tell
from tests.mail_server import Mail, MailServer, eventually, free_port, mail_server

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cret-0f-the-channel"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(mails: MailServer) -> None:
    mails.came.clear()
    mails.refuses = lambda _mail: ""


def test_a_message_arrives_as_it_was_meant(mails: MailServer) -> None:
    channel = AppriseChannel(mails.url(), timeout_s=5.0)
    text = "Scanner DXA1 is not cleared: +1.9 % & <not> *marked* up.\n\nRing “physics”, 2345, äöü."
    said = channel.send(Outgoing("Anna Example", "anna@example.org", "Not cleared: ß Scanner DXA1", text, urgent=True))
    assert said == ""
    (mail,) = mails.wait_for(1)
    assert mail.to == ("anna@example.org",)
    assert mail.subject == "Not cleared: ß Scanner DXA1"
    assert mail.text.strip() == text


def test_each_person_gets_one_message_at_their_own_address(mails: MailServer, tmp_path: Path) -> None:
    people = {name: f"{name.split()[0].lower()}@example.org" for name in ("Anna Example", "Ben Example", "Cy Example")}
    channel = AppriseChannel(mails.url(), timeout_s=5.0)
    with Queue(tmp_path) as queue:
        tell(queue, *(note(name, name) for name in people))
        deliverer(queue, {"mail": channel}, Clock(), addresses=people).deliver("mail")
    assert sorted(mail.to for mail in mails.wait_for(3)) == sorted((address,) for address in people.values())


def test_a_person_without_an_address_is_told_of_where_the_channel_needs_one(mails: MailServer) -> None:
    channel = AppriseChannel(mails.url(), timeout_s=5.0)
    assert "no address" in channel.send(Outgoing("Anna Example", "", "s", "t", urgent=False))


def test_what_a_server_refuses_is_a_failure_and_not_a_success(mails: MailServer) -> None:
    mails.refuses = lambda _mail: "452 mailbox full"
    channel = AppriseChannel(mails.url(), timeout_s=5.0)
    assert channel.send(Outgoing("Anna Example", "anna@example.org", "s", "t", urgent=False))
    assert not mails.came


@pytest.mark.parametrize(
    "url",
    [
        f"mailto://anna:{SECRET}@127.0.0.1:1?from=bw@example.org&to=anna@example.org",
        f"json://127.0.0.1:1/{SECRET}?+x-token={SECRET}",
    ],
)
def test_nothing_of_a_channels_url_gets_into_a_log_or_a_reason(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    with Queue(tmp_path) as queue, capture_logs() as logs, caplog.at_level(0):
        tell(queue, note("1"))
        deliverer(queue, {"mail": AppriseChannel(url, timeout_s=1.0)}, Clock()).deliver("mail")
        (trouble,) = queue.troubles()
    assert trouble.why
    printed = "".join(capfd.readouterr())
    for told in (trouble.why, str(logs), caplog.text, printed):
        assert SECRET not in told
        assert "anna" not in told.casefold()


def test_a_url_comes_from_a_file_or_the_environment_and_a_wrong_one_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text("json://127.0.0.1:1/\n")
    assert isinstance(channel_of(ChannelSettings(name="a", url_file="url"), tmp_path, tmp_path), AppriseChannel)
    monkeypatch.setenv("ALERT_URL", f"nonsense://{SECRET}")
    for settings, words in (
        (ChannelSettings(name="b", url_env="ALERT_URL"), "none that Apprise can use"),
        (ChannelSettings(name="c", url_env="NOT_SET_ANYWHERE"), "url_env NOT_SET_ANYWHERE holds one URL"),
        (ChannelSettings(name="d", url_file="missing"), "url_file missing cannot be read"),
    ):
        with pytest.raises(ChannelError, match=words) as told:
            channel_of(settings, tmp_path, tmp_path)
        assert SECRET not in str(told.value)


def test_a_file_takes_messages_to_try_out(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path / "told.txt", clock=Clock())
    assert channel.send(Outgoing("Anna Example", "", "Subject", "Text", urgent=False)) == ""
    assert (tmp_path / "told.txt").read_text() == "--- 2026-11-20T07:45:00+00:00 to Anna Example\nSubject\n\nText\n\n"
    assert "cannot be written" in FileChannel(tmp_path).send(Outgoing("Anna Example", "", "s", "t", urgent=False))


def test_a_server_that_is_down_for_an_hour_gets_everything_once_in_order(tmp_path: Path) -> None:
    server, clock = MailServer(free_port()), Clock()
    channel = AppriseChannel(server.url(), timeout_s=2.0)
    with Queue(tmp_path) as queue:
        delivers = deliverer(queue, {"mail": channel}, clock, addresses={"Anna Example": "anna@example.org"})
        for minute in range(60):
            if minute % 20 == 0:
                tell(queue, note(str(minute)), at=clock.now)
            delivers.deliver("mail")
            clock.pass_(minutes=1)
        assert queue.oldest_waiting() == MORNING.timestamp()
        server.start()
        try:
            for _ in range(20):
                delivers.deliver("mail")
                clock.pass_(minutes=1)
        finally:
            server.stop()
        assert [mail.subject for mail in server.came] == ["Subject of 0", "Subject of 20", "Subject of 40"]
        assert queue.counts() == {("mail", DeliveryState.SENT): 3}


# --- killed --------------------------------------------------------------------------------------------------


def delivering(folder: Path, mails: MailServer) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.alert_process", str(folder), mails.url("anna@example.org")]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}"})


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10.0)


def test_killed_while_it_delivers_nothing_is_lost_and_at_most_what_was_on_its_way_comes_twice(
    mails: MailServer, tmp_path: Path
) -> None:
    names = [str(n) for n in range(12)]
    with Queue(tmp_path) as queue:
        tell(queue, *(note(name) for name in names))
        for count in (3, 7):
            process = delivering(tmp_path, mails)
            mails.wait_for(count)
            kill(process)
        process = delivering(tmp_path, mails)
        try:
            mails.wait_for(len(names))
            until_sent(queue, len(names))
        finally:
            kill(process)
    came = [mail.subject.removeprefix("Subject of ") for mail in mails.came]
    assert list(dict.fromkeys(came)) == names, "in their order"
    assert len(came) - len(names) <= 2, "one for each time it was killed"


def test_killed_between_a_message_and_the_servers_yes_it_is_sent_again(mails: MailServer, tmp_path: Path) -> None:
    asked, killed = threading.Event(), threading.Event()

    def hold(_mail: Mail) -> str:
        if not asked.is_set():
            asked.set()
            killed.wait(10.0)
            return "451 nobody is there any more"
        return ""

    mails.refuses = hold
    with Queue(tmp_path) as queue:
        tell(queue, note("1"))
        process = delivering(tmp_path, mails)
        assert asked.wait(15.0)
        kill(process)
        killed.set()
        assert queue.counts() == {("mail", DeliveryState.WAITING): 1}
        process = delivering(tmp_path, mails)
        try:
            mails.wait_for(1)
            until_sent(queue, 1)
        finally:
            kill(process)
    assert Counter(mail.subject for mail in mails.came) == {"Subject of 1": 1}


def until_sent(queue: Queue, count: int) -> None:
    """Wait until the record says so, too: the server has a message a little earlier."""
    eventually(lambda: queue.counts().get(("mail", DeliveryState.SENT)) == count)
