"""A site's news at receivers on the web: real ones on loopback, refusing, slow, away, and killed on the way."""

import base64
import hashlib
import hmac
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bonewatch import logs
from bonewatch.cli import app as command_line
from bonewatch.configuration.loading import load
from bonewatch.errors import ConfigError
from bonewatch.site import Site
from publishing.delivery import Message
from publishing.published import BEGINNING, PublishedLog, Reached, Selection
from publishing.queue import Entry, Queue, Standing
from publishing.settings import WebhookSettings
from publishing.subscriber import Subscriber
from publishing.webhook import WebhookChannel, signer
from simulators.patient_objects import PatientScan, scan_report
from simulators.scanner import PhantomLabel, VirtualScanner
from streams.messages import Draft, VendorQcReported
from tests.certificates import Authority
from tests.contracts import faults, record_schema
from tests.mllp_receivers import ris
from tests.running import configuration, seed
from tests.site_logs import write_log
from tests.unit.test_publishing_queue import write
from tests.webhook_receiver import Answer, Posted, Receiver, receiving

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the standard's example
OLD_SECRET: Final = "whsec_" + base64.b64encode(b"the secret before this one").decode()
DEVICES: Final = ("s/dxa-1", "s/dxa-2")
LOG: Final = "site-log.sqlite"


def settings_for(url: str, **changed: object) -> WebhookSettings:
    plain = WebhookSettings(name="epr", url=url, timeout_s=5.0, retry_s=0.02, retry_max_s=0.05)
    return msgspec.structs.replace(plain, **changed)


@contextmanager
def telling(
    folder: Path,
    settings: WebhookSettings,
    *secrets: str,
    authority: Path | None = None,
    selection: Selection | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Subscriber]:
    """A subscriber for the length of a block."""
    context = ssl.create_default_context(cafile=authority)
    channel = WebhookChannel(settings, [signer(one) for one in secrets or (SECRET,)], context, clock=clock)
    told = selection or Selection()
    subscriber = Subscriber(settings, told, channel, data_dir=folder, log=folder / LOG, clock=clock)
    subscriber.start()
    try:
        yield subscriber
    finally:
        subscriber.stop()
        assert not subscriber._thread.is_alive()


def begin(folder: Path, name: str = "epr") -> None:
    """Let a subscriber begin with the log's first row."""
    with Queue(folder) as queue, PublishedLog(folder / LOG) as log:
        queue.begin(name, log.reached(BEGINNING))


def wanted(folder: Path, device: str = "") -> list[str]:
    """Return the ids of what is published of a log, in its order."""
    with PublishedLog(folder / LOG) as log:
        notices = log.after(BEGINNING, Selection(), 10_000).notices
    return [one.id for one in notices if not device or one.device == device]


def standing(folder: Path) -> Standing:
    with Queue(folder) as queue:
        return queue.standing("epr")


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"bonewatch_publish_{name}", {"subscription": "epr"}) or 0.0


def eventually(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a log of three changes of each of two gates, and a subscriber at its beginning."""
    write(tmp_path / LOG, *[(device, 1) for _ in range(3) for device in DEVICES])
    begin(tmp_path)
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


# --- what arrives --------------------------------------------------------------------------------------------


def test_everything_arrives_once_in_the_order_of_each_device_over_one_connection(
    tmp_path: Path, receiver: Receiver
) -> None:
    """A log of the real engine, with 63 changes of two gates."""
    write_log(tmp_path / LOG, "s", devices=2, days=10)
    begin(tmp_path)
    with telling(tmp_path, settings_for(receiver.url)):
        receiver.wait_for(lambda: len(receiver.taken) >= 63)
        eventually(lambda: standing(tmp_path).delivered == 63)
    assert len(receiver.came) == receiver.connections * 63 == 63
    for device in DEVICES:
        assert receiver.ids(device) == wanted(tmp_path, device)


def test_each_message_is_a_cloud_event_that_the_secret_vouches_for(folder: Path, receiver: Receiver) -> None:
    """The signature by hand, as the standard has it: HMAC-SHA256 over id, timestamp and body, joined by dots."""
    with telling(folder, settings_for(receiver.url), SECRET, OLD_SECRET):
        receiver.wait_for(lambda: len(receiver.taken) == 6)
    for posted in receiver.taken:
        said = posted.headers
        assert said["content-type"] == "application/cloudevents+json"
        assert abs(int(said["webhook-timestamp"]) - time.time()) < 60
        assert posted.event["id"] == said["webhook-id"]
        assert faults(record_schema("bonewatch.gate.v1"), posted.event["data"]) == []
        signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + posted.body
        keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in (SECRET, OLD_SECRET)]
        macs = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
        assert said["webhook-signature"] == f"v1,{macs[0]} v1,{macs[1]}"


def test_what_happens_while_it_runs_is_told_and_what_was_before_it_began_is_not(
    tmp_path: Path, receiver: Receiver
) -> None:
    write(tmp_path / LOG, ("s/dxa-1", 1))
    with telling(tmp_path, settings_for(receiver.url, retry_s=5.0, retry_max_s=5.0)) as subscriber:
        write(tmp_path / LOG, ("s/dxa-1", 2))
        subscriber.wake()
        receiver.wait_for(lambda: len(receiver.taken) == 2)
    assert receiver.ids() == ["s/dxa-1-2-1", "s/dxa-1-2-2"]


def test_a_subscription_is_told_of_its_own_devices_alone(folder: Path, receiver: Receiver) -> None:
    with telling(folder, settings_for(receiver.url), selection=Selection(devices=("s/dxa-2",))):
        receiver.wait_for(lambda: len(receiver.taken) == 3)
    assert receiver.ids() == wanted(folder, "s/dxa-2")


def test_a_long_stretch_in_which_nothing_is_published_is_noted_once(folder: Path, receiver: Receiver) -> None:
    with telling(folder, settings_for(receiver.url)) as subscriber:
        receiver.wait_for(lambda: len(receiver.taken) == 6)
        write(folder / LOG, *[("s/dxa-1", 0)] * 600)
        subscriber.wake()
        eventually(lambda: standing(folder).position == 606)


# --- receivers in trouble ------------------------------------------------------------------------------------


def test_one_that_is_refused_stops_its_own_device_alone_and_is_sent_again_under_its_id(
    folder: Path, receiver: Receiver
) -> None:
    refused = "s/dxa-1-1-1"
    others = threading.Event()

    def answer(posted: Posted) -> Answer:
        return Answer(500) if posted.id == refused and not others.is_set() else Answer()

    receiver.answer = answer
    with telling(folder, settings_for(receiver.url)):
        receiver.wait_for(lambda: receiver.ids("s/dxa-2") == wanted(folder, "s/dxa-2"))
        assert receiver.ids("s/dxa-1") == []
        eventually(lambda: standing(folder).trouble == "HTTP 500")
        others.set()
        receiver.wait_for(lambda: len(receiver.taken) == 6)
        eventually(lambda: standing(folder).trouble == "")
    assert receiver.ids("s/dxa-1") == wanted(folder, "s/dxa-1")
    tries = [one for one in receiver.came if one.id == refused]
    assert len({one.body for one in tries}) == 1 < len(tries)


def test_a_receiver_that_asks_to_be_left_alone_is_left_alone_for_so_long(folder: Path, receiver: Receiver) -> None:
    asked: list[float] = []

    def answer(_: Posted) -> Answer:
        asked.append(time.monotonic())
        return Answer(429, {"retry-after": "1"}) if len(asked) == 1 else Answer()

    receiver.answer = answer
    with telling(folder, settings_for(receiver.url)):
        receiver.wait_for(lambda: len(receiver.taken) == 6)
    assert asked[1] - asked[0] >= 1.0


def test_a_receivers_cookies_are_not_kept(folder: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _posted: Answer(headers={"set-cookie": f"n{len(receiver.came)}=1"})
    with telling(folder, settings_for(receiver.url)):
        receiver.wait_for(lambda: len(receiver.came) == 6)
    assert [one.headers.get("cookie") for one in receiver.came] == [None] * 6


def test_a_redirect_is_not_followed(folder: Path, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = lambda _: Answer(307, {"location": elsewhere.url})
        with telling(folder, settings_for(receiver.url)):
            eventually(lambda: standing(folder).trouble != "")
        assert standing(folder).trouble == "HTTP 307: redirects are not followed; configure the final address"
        assert (elsewhere.came, standing(folder).waiting) == ([], 6)


def test_one_that_is_away_is_told_everything_when_it_is_back(folder: Path) -> None:
    with receiving() as first:
        port, url = int(first.url.split(":")[2].split("/")[0]), first.url
    with telling(folder, settings_for(url)):
        eventually(lambda: standing(folder).trouble == "cannot be reached: ConnectError")
        eventually(lambda: metric("waiting_messages") == 6 and metric("lag_seconds") > 0 and metric("in_trouble") == 1)
        write(folder / LOG, ("s/dxa-1", 1))
        with receiving(port=port) as again:
            again.wait_for(lambda: len(again.taken) == 7)
            eventually(lambda: metric("waiting_messages") == metric("lag_seconds") == metric("in_trouble") == 0)
    assert [again.ids(device) for device in DEVICES] == [wanted(folder, device) for device in DEVICES]


@pytest.mark.parametrize("way", ["silent", "drips", "hangs up", "talks nonsense"])
def test_a_receiver_that_does_not_answer_in_its_time_as_a_whole_has_not_taken_it(folder: Path, way: str) -> None:
    """One byte at a time within every single read's limit would be an answer that never ends."""

    def serve() -> None:
        while not ended.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with closing(peer):
                peer.recv(65536)
                if way == "talks nonsense":
                    peer.sendall(b"220 mail.example.org ESMTP\r\n\r\n")
                for letter in b"HTTP/1.1 200 OK\r\nx-padding: " + b"a" * 500 if way == "drips" else b"":
                    if ended.wait(0.02):
                        break
                    try:
                        peer.send(bytes([letter]))
                    except OSError:
                        break
                if way == "silent":
                    ended.wait(2.0)

    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with telling(folder, settings_for(url, timeout_s=0.2)):
            eventually(lambda: standing(folder).trouble != "", within_s=3.0)
    finally:
        ended.set()
        server.close()
    begins = "no answer within 0.2 s" if way in {"silent", "drips"} else "cannot be reached: "
    assert standing(folder).trouble.startswith(begins)
    assert standing(folder).waiting == 6


def test_a_receiver_that_writes_much_back_has_taken_it_all_the_same(folder: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(200, {"content-length": "1000000000"})
    with telling(folder, settings_for(receiver.url)) as subscriber:
        receiver.wait_for(lambda: len(receiver.came) >= 1)
        subscriber.stop()
    assert standing(folder).delivered >= 1


@pytest.mark.parametrize("trusted", ["its authority", "another authority", "the machine's"])
def test_a_receiver_is_told_only_if_its_certificate_is_trusted(folder: Path, trusted: str) -> None:
    authority = Authority("a hospital's")
    certificate, key = authority.issue("localhost")
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    named = {"its authority": authority, "another authority": Authority("another"), "the machine's": None}[trusted]
    ca_file = named.write(folder / "ca.pem") if named else None
    with receiving(context=context) as receiver, telling(folder, settings_for(receiver.url), authority=ca_file):
        if trusted == "its authority":
            receiver.wait_for(lambda: len(receiver.taken) == 6)
        else:
            eventually(lambda: standing(folder).trouble != "")
            assert standing(folder).trouble.startswith("its certificate is not trusted: ")
            assert receiver.came == []


def test_a_certificate_of_another_name_is_not_trusted(folder: Path) -> None:
    authority = Authority("a hospital's")
    certificate, key = authority.issue("epr.example.org")
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with receiving(context=context) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        with telling(folder, settings_for(url), authority=authority.write(folder / "ca.pem")):
            eventually(lambda: "Hostname mismatch" in standing(folder).trouble)
        assert receiver.came == []


# --- what is given up ----------------------------------------------------------------------------------------


def test_what_a_receiver_did_not_take_for_so_long_is_given_up_kept_and_sent_again_when_asked(
    folder: Path, receiver: Receiver
) -> None:
    now = [time.time()]
    receiver.answer = lambda posted: Answer(422 if posted.event["subject"] == "s/dxa-1" else 204)
    with capture_logs() as lines, telling(folder, settings_for(receiver.url, give_up_hours=3.0), clock=lambda: now[0]):
        receiver.wait_for(lambda: len(receiver.taken) == 3 and len(receiver.came) > 5)
        assert standing(folder).dead == 0
        now[0] += 3 * 3600 + 1
        eventually(lambda: standing(folder).dead == 3 and standing(folder).trouble == "")
        with Queue(folder) as queue:
            assert {letter.why for letter in queue.dead("epr")} == {"given up after 3 h: HTTP 422"}
            receiver.answer = lambda _: Answer()
            assert queue.revive("epr", now=now[0]) == 3
        receiver.wait_for(lambda: len(receiver.taken) == 6)
    assert receiver.ids("s/dxa-1") == wanted(folder, "s/dxa-1")
    assert [line["count"] for line in lines if line["event"] == "messages_given_up"] == [3]
    assert "token" not in str(lines)


# --- ends, copies and other logs -----------------------------------------------------------------------------


def test_killed_on_the_way_it_loses_nothing_and_sends_again_under_the_same_ids(
    folder: Path, receiver: Receiver
) -> None:
    """Each process is killed while the receiver holds a message whose answer it never gets."""
    write(folder / LOG, *[(device, 2) for _ in range(10) for device in DEVICES])
    held: list[str] = []

    def answer(posted: Posted) -> Answer:
        if len(receiver.came) in {3, 9, 20}:
            held.append(posted.id)
            return Answer(after_s=0.5)
        return Answer()

    receiver.answer = answer
    command = [sys.executable, "-m", "tests.publisher_process", str(folder), receiver.url, SECRET]
    for count in (1, 2, 3):
        process = subprocess.Popen(command)
        receiver.wait_for(lambda count=count: len(held) == count, within_s=30.0)  # type: ignore[misc]
        process.kill()
        process.wait(10.0)
    with telling(folder, settings_for(receiver.url)):
        receiver.wait_for(lambda: set(receiver.ids()) == set(wanted(folder)))
    for device in DEVICES:
        assert list(dict.fromkeys(receiver.ids(device))) == wanted(folder, device)
    bodies: dict[str, set[bytes]] = {}
    for posted in receiver.came:
        bodies.setdefault(posted.id, set()).add(posted.body)
    assert all(len(same) == 1 for same in bodies.values())
    came = [posted.id for posted in receiver.came]
    assert all(came.count(id_) > 1 and id_ in receiver.ids() for id_ in held)


def test_another_log_in_this_place_is_told_nothing_of_until_a_person_says_where_to_go_on(
    folder: Path, receiver: Receiver
) -> None:
    """A copy from before is put back, and goes its own way beyond the place that was reached."""
    (folder / "copy").mkdir()
    write(folder / "copy" / LOG, ("s/dxa-1", 1))
    receiver.answer = lambda _: Answer(503)
    with telling(folder, settings_for(receiver.url)):
        eventually(lambda: standing(folder).waiting == 6)
    for old in folder.glob(f"{LOG}*"):
        old.unlink()
    shutil.copy(folder / "copy" / LOG, folder / LOG)
    write(folder / LOG, *[("s/dxa-2", 2)] * 9)
    receiver.answer, came = lambda _: Answer(), len(receiver.came)
    with capture_logs() as lines, telling(folder, settings_for(receiver.url)):
        eventually(lambda: "`bonewatch publish replay` says where to go on" in standing(folder).trouble)
        assert metric("log_forked") == 1
        time.sleep(0.2)
        assert len(receiver.came) == came
        with Queue(folder) as queue, PublishedLog(folder / LOG) as log:
            queue.replay("epr", log.reached(log.place_of("8")), of_another_log=not log.holds(queue.reached("epr")))
        receiver.wait_for(lambda: len(receiver.taken) == 4)
        eventually(lambda: standing(folder).trouble == "")
    assert receiver.ids() == ["s/dxa-2-8-1", "s/dxa-2-8-2", "s/dxa-2-9-1", "s/dxa-2-9-2"]
    assert [line["event"] for line in lines] == ["subscription_in_trouble", "subscription_well_again"]


def test_the_same_log_ending_elsewhere_is_another_log(folder: Path, receiver: Receiver) -> None:
    """The same `log_id`, as of a copy put back, and other events behind it: told by the hash chain alone."""
    with Queue(folder) as queue:
        before = queue.reached("epr")
        queue.replay("epr", Reached(before.log_id, before.place._replace(position=4), "ab" * 32))
    with telling(folder, settings_for(receiver.url)):
        eventually(lambda: "another one" in standing(folder).trouble)
    assert receiver.came == []


def test_a_queue_that_cannot_be_read_does_not_keep_the_site_from_starting(folder: Path, receiver: Receiver) -> None:
    for old in folder.glob("publishing.sqlite*"):
        old.unlink()
    (folder / "publishing.sqlite").write_text("no database, and longer than the header of one" * 10)
    with capture_logs() as lines, telling(folder, settings_for(receiver.url)):
        eventually(lambda: bool(lines))
        assert metric("in_trouble") == 1
        time.sleep(0.1)
    assert [(line["event"], line["why"]) for line in lines] == [("publishing_fails", "file is not a database")]


# --- a whole site --------------------------------------------------------------------------------------------


def run(folder: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line(["publish", *words, "-c", str(folder / "site.toml")])
    return int(ended.value.code or 0)


def refusal(folder: Path, *words: str) -> str:
    with pytest.raises(ConfigError) as refused:
        command_line(["publish", *words, "-c", str(folder / "site.toml")])
    return str(refused.value)


def told(capfd: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, Any]:
    capfd.readouterr()
    status = run(folder, *words, "--json")
    return status, json.loads(capfd.readouterr().out)


def said(capfd: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, str]:
    capfd.readouterr()
    status = run(folder, *words)
    return status, " ".join(capfd.readouterr().out.split())


def test_a_site_tells_what_it_records_and_the_command_line_says_how_that_stands(
    tmp_path: Path, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    webhook = f'[[webhook]]\nname = "board"\nurl = "{receiver.url}"\nsecret_file = "epr.secret"\nretry_s = 0.1\n'
    (tmp_path / "site.toml").write_text(configuration(scanners=1) + webhook)
    (tmp_path / "epr.secret").write_text(f"{SECRET}\n")
    assert "publishing.sqlite is not there: the site makes it when it starts" in refusal(tmp_path, "status")
    logs.configure()
    site = Site(load(tmp_path / "site.toml"), tmp_path / "var", folder=tmp_path).start()
    try:
        status, (begun,) = told(capfd, tmp_path, "status")
        assert (status, begun["kind"], begun["standing"]["waiting"]) == (0, "webhook", 0)
        receiver.answer = lambda _: Answer(422)
        now = datetime.now(UTC)
        passed = VendorQcReported(passed=True, measured_at=now, performed_by="Oz", reviewed_by="Pat")
        site.engine.append([Draft("qc-1", "test-site/dxa-1", passed)])
        eventually(lambda: told(capfd, tmp_path, "status")[1][0]["standing"]["trouble"] == "HTTP 422")
        status, text = said(capfd, tmp_path, "status")
        assert status == 1
        assert re.search(r"board webhook \d+ 0 1 \d s 0 in trouble board: HTTP 422", text)

        receiver.answer = lambda _: Answer()
        receiver.wait_for(lambda: len(receiver.taken) == 1)
        assert receiver.taken[0].event["type"] == "bonewatch.gate-changed.v1"
        assert receiver.taken[0].event["data"]["event_id"] == "qc-1"
        eventually(lambda: told(capfd, tmp_path, "status")[0] == 0)
        assert "well" in said(capfd, tmp_path, "status")[1]

        everything = wanted(tmp_path / "var")
        again = said(capfd, tmp_path, "replay", "board", "--from", "0")
        assert again == (0, "board is told again of what stands behind position 0.")
        receiver.wait_for(lambda: receiver.ids()[1:] == everything)
        assert len(everything) > 1

        assert told(capfd, tmp_path, "dead", "board") == (0, [])
        assert said(capfd, tmp_path, "dead") == (0, "nothing was given up")
        assert said(capfd, tmp_path, "retry", "board") == (0, "There was nothing to send again.")
        assert refusal(tmp_path, "retry", "ris") == "ris is no subscription here; there are board"
        beyond = refusal(tmp_path, "replay", "board", "--from", "9999")
        assert re.search(r"--from 9999: this place is not in the site's log.*; the log ends at \d+", beyond)
        assert "a place is a position in the log" in refusal(tmp_path, "replay", "board", "--from", "yesterday")
        metrics = httpx.get(f"{site.url}/metrics").text
        assert f'bonewatch_publish_delivered_total{{subscription="board"}} {len(everything) + 1}' in metrics
        assert "s3cret" not in metrics
    finally:
        site.stop()


def test_a_patients_measurement_is_told_as_it_was_sent_and_by_nobodys_name(tmp_path: Path, receiver: Receiver) -> None:
    """To a webhook and to an HL7 receiver; the one was in trouble at first, so that its queue is looked into, too."""
    messages: list[str] = []
    (tmp_path / "epr.secret").write_text(SECRET)
    receiver.answer = lambda _: Answer(503)
    with ris(0, messages) as port:
        text = configuration(scanners=1).replace("[dicom]\n", '[dicom]\npatients = "read"\n', 1)
        text += f'[[webhook]]\nname = "epr"\nurl = "{receiver.url}"\nsecret_file = "epr.secret"\nretry_s = 0.1\n'
        text += f'[[mllp]]\nname = "engine"\nhost = "127.0.0.1"\nport = {port}\ntls = false\n'
        seed(tmp_path, text)
        site = Site(load(tmp_path / "site.toml"), tmp_path / "var", folder=tmp_path).start()
        try:
            scanner = VirtualScanner("DXA1", site.dicom_port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
            assert scanner.send(scanner.report(1.0, datetime.now(UTC))).status == 0x0000
            scan = PatientScan(
                datetime.now(UTC) + timedelta(seconds=1),  # reports tell whole seconds
                patient_id="HOSP-7701",
                patient_name="ÖZQVARSSON^BJÖRK",
                birth_date="18601231",
            )
            assert scanner.send(scan_report(scan)).status == 0x0000
            eventually(lambda: standing(tmp_path / "var").waiting == 2 and len(messages) == 1)
            queued = b"".join(path.read_bytes() for path in (tmp_path / "var").glob("publishing.sqlite*"))
            receiver.answer = lambda _: Answer()
            receiver.wait_for(lambda: len(receiver.taken) == 2)
        finally:
            site.stop()
    gate, measured = (posted.event for posted in receiver.taken)
    assert (gate["data"]["outcome"]["status"], measured["type"]) == ("open", "bonewatch.measurement-validated.v1")
    assert faults(record_schema("bonewatch.measurement-validated.v1"), measured["data"]) == []
    outcome = measured["data"]["outcome"]
    told_regions = [(region["region"], region["bmd_g_cm2"]) for region in outcome["regions"]]
    assert told_regions == [("L1", 0.873), ("L2", 0.943), ("L3", 0.941), ("L4", 0.959), ("L1-L4", 0.93)]
    assert outcome["accession_number"] == "RK9-0012345"
    (message,) = messages
    assert all(f"|{bmd}|g/cm2" in message for _, bmd in told_regions)
    assert "RK9-0012345" in message
    everything = queued + message.encode() + b"".join(posted.body for posted in receiver.came)
    for word in ("ÖZQVARSSON", "BJÖRK", "18601231", "1860-12-31", "HOSP-7701"):
        assert word.encode() not in everything
        assert json.dumps(word)[1:-1].encode() not in everything
    assert b"RK9-0012345" in queued


def test_dead_letters_are_listed_by_what_they_are_about_and_why_and_sent_again_one_by_one(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "site.toml").write_text(configuration(scanners=1).replace('"var"', '"."'))
    with Queue(folder) as queue, PublishedLog(folder / LOG) as log:
        queue.add("epr", entries(log), before=queue.reached("epr"), reached=log.reached(log.end()), now=0.0)
        queue.expire("epr", "given up after 72 h: HTTP 422", queued_before=1.0, device="s/dxa-2")
    status, letters = told(capfd, folder, "dead")
    assert (status, [letter["message_id"] for letter in letters]) == (1, wanted(folder, "s/dxa-2"))
    status, text = said(capfd, folder, "dead", "epr")
    assert status == 1
    assert f"{letters[0]['id']} epr gate-changed s/dxa-2 2" in text
    assert re.search(r"\d d 0 given up", text)
    again = said(capfd, folder, "retry", "epr", "--letter", str(letters[0]["id"]), "--letter", str(letters[2]["id"]))
    assert again == (0, "2 dead letters of epr are sent again.")
    assert (standing(folder).waiting, standing(folder).dead) == (5, 1)
    status, text = said(capfd, folder, "status")
    assert status == 0  # nobody waits for what is configured no more
    assert "not configured" in text


def entries(log: PublishedLog) -> list[Entry]:
    return [Entry(one, Message(one.id, b"{}")) for one in log.after(BEGINNING, Selection(), 10).notices]


def test_a_new_secret_is_printed_for_a_file_to_take(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line(["publish", "new-secret"])
    made = capfd.readouterr().out.rstrip("\n")
    assert signer(made).sign("1", datetime.now(UTC), "{}").startswith("v1,")


def test_a_new_secret_is_written_for_its_owner_alone_and_over_nothing(tmp_path: Path) -> None:
    words = ["publish", "new-secret", "--write-to", str(tmp_path / "epr.secret")]
    with pytest.raises(SystemExit):
        command_line(words)
    kept = (tmp_path / "epr.secret").read_text()
    assert kept.startswith("whsec_")
    assert (tmp_path / "epr.secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match=r"epr.secret cannot be written: File exists"):
        command_line(words)
    assert (tmp_path / "epr.secret").read_text() == kept


def test_a_site_whose_secret_is_missing_does_not_start_and_says_why_in_one_line(tmp_path: Path) -> None:
    webhook = '[[webhook]]\nname = "epr"\nurl = "https://epr.example.org/"\nsecret_file = "epr.secret"\n'
    (tmp_path / "site.toml").write_text(configuration(scanners=1) + webhook)
    for begin_site in (
        lambda: Site(load(tmp_path / "site.toml"), tmp_path / "var", folder=tmp_path).start(),
        lambda: command_line(["check-config", "-c", str(tmp_path / "site.toml")]),
    ):
        with pytest.raises(ConfigError, match=r"^\[\[webhook\]\] epr secret_file epr.secret cannot be read: No such"):
            begin_site()
