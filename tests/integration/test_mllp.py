"""ORU^R01 over MLLP to hl7apy's own server, stopped and started again, and to receivers that behave badly."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from publishing.acknowledgement import Acknowledgement, acknowledgement
from publishing.delivery import Delivered, Delivery, Postponed, Refused, Result
from publishing.mllp import END, START, Blocks, MllpChannel, tls_context
from publishing.published import Selection
from publishing.queue import Queue
from publishing.settings import MllpSettings
from publishing.subscriber import Subscriber
from publishing.told import TYPES
from streams.messages import Event, MeasurementValidated, PatientMeasured, RecordedOutcome
from streams.sqlite_log import SqliteEventLog
from tests.certificates import Authority
from tests.folding import MONDAY
from tests.mllp_receivers import Conversation, acknowledged, block, received, ris, rude, saying, taking, tls_server

HELLO: Final = "MSH|^~\\&|BONEWATCH|s|||20261102094105+0000||ORU^R01^ORU_R01|{}|P|2.5.1\rOBR|1|A1|A1|x^y^z\r"
SETTINGS: Final = MllpSettings(name="ris", host="127.0.0.1", port=1, tls=False, timeout_s=2.0)


def delivery(name: str = "ONE") -> Delivery:
    return Delivery(1, name, TYPES[0], "s/dxa-1", 1, HELLO.format(name).encode(), 0.0, 0)


@pytest.fixture
def channels(tmp_path: Path) -> Iterator["Channels"]:
    with ExitStack() as stack:
        yield Channels(tmp_path, stack)


class Channels:
    """Channels to receivers on loopback, closed after the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack

    def to(self, port: int, like: MllpSettings = SETTINGS) -> MllpChannel:
        there = replace(like, port=port)
        context = tls_context(there, self.folder)
        channel = MllpChannel(there, context, site="s", log=self.folder / "log.sqlite")
        self._stack.callback(channel.close)
        return channel

    def told_by(self, *conversations: Conversation, timeout_s: float = 2.0) -> Result:
        """Deliver one message to a rude receiver."""
        with rude(*conversations) as port:
            return self.to(port, replace(SETTINGS, timeout_s=timeout_s)).deliver(delivery())


# --- a real server -------------------------------------------------------------------------------------------


def test_hl7apys_server_takes_one_message_after_another_though_it_closes_after_each(channels: Channels) -> None:
    taken: list[str] = []
    with ris(0, taken) as port:
        channel = channels.to(port)
        assert [channel.deliver(delivery(name)) for name in ("ONE", "TWO", "THREE")] == [Delivered()] * 3
    assert taken == [HELLO.format(name) for name in ("ONE", "TWO", "THREE")]


def test_a_server_that_is_stopped_and_started_gets_the_same_message_then(channels: Channels) -> None:
    taken: list[str] = []
    with ris(0, taken) as port:
        channel = channels.to(port)
        assert channel.deliver(delivery("ONE")) == Delivered()
    assert channel.deliver(delivery("TWO")) == Postponed(
        "it refuses the connection: nothing listens there", everything=True
    )
    with ris(port, taken):
        assert channel.deliver(delivery("TWO")) == Delivered()
    assert taken == [HELLO.format("ONE"), HELLO.format("TWO")]


def weighed(number: int) -> MeasurementValidated:
    names = (f"ACC{number}", f"w{number}", "scale", "Invented", "Balance", "1")
    return MeasurementValidated(f"m{number}", 0, MONDAY, *names, weight_kg=70.0 + number)


def write_weights(path: Path, count: int) -> None:
    with SqliteEventLog(path) as log, log.transaction():
        for seq in range(log.last_seqs().get("s/scale", 0) + 1, count + 1):
            fact = PatientMeasured(f"ACC{seq}", MONDAY, f"w{seq}", weight_kg=70.0 + seq)
            recorded = RecordedOutcome(f"o{seq}", f"e{seq}", "s/scale", seq, weighed(seq))
            log.write(Event(f"e{seq}", "s/scale", log.log_id, seq, MONDAY, 1, fact), (recorded,))


def test_a_receiver_that_was_away_gets_everything_in_order_and_nothing_twice(channels: Channels) -> None:
    """Through queue and follower, with a receiver that is stopped on the way and has an error of its own."""
    log = channels.folder / "log.sqlite"
    write_weights(log, 1)
    taken: list[str] = []
    with ris(0, taken) as port:
        quick = replace(SETTINGS, port=port, retry_s=0.05, retry_max_s=0.05)
        channel = MllpChannel(quick, None, site="s", log=log)
        subscriber = Subscriber(quick, Selection(TYPES), channel, data_dir=channels.folder, log=log)
        subscriber.start()  # what was before is not told
        write_weights(log, 3)
        subscriber.wake()
        until(lambda: len(taken) == 2)
    try:
        write_weights(log, 6)
        subscriber.wake()
        with Queue(channels.folder) as queue:
            until(lambda: "refuses" in queue.standing("ris").trouble)
            with ris(port, taken, ["AE"]):
                until(lambda: queue.standing("ris").delivered == 5)
    finally:
        subscriber.stop()
    accessions = [message.split("OBR|1|")[1].split("|")[0] for message in taken]
    assert accessions == ["ACC2", "ACC3", "ACC4", "ACC5", "ACC6"]
    assert all("|29463-7^Body weight^LN" in message and "|F||" in message for message in taken)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


# --- what the receiver says ----------------------------------------------------------------------------------

FREE: Final = "ERR||PID^1^3|204^Unknown key identifier^HL70357|E||||Jane Invented is unknown\r"


@pytest.mark.parametrize(
    ("code", "more", "wanted"),
    [
        ("AA", "", Delivered()),
        ("CA", "", Delivered()),
        ("AE", "", Postponed("the receiver answers AE", everything=False)),
        ("CE", "", Postponed("the receiver answers CE", everything=False)),
        ("AR", "", Refused("the receiver answers AR")),
        ("CR", FREE, Refused("the receiver answers CR: 204 unknown key identifier at PID^1^3")),
        ("AE", FREE, Postponed("the receiver answers AE: 204 unknown key identifier at PID^1^3", everything=False)),
        ("AE", "ERR||Jane Invented|Jane^Invented|E\r", Postponed("the receiver answers AE", everything=False)),
        ("AE", "ERR|||207|E\r", Postponed("the receiver answers AE: 207 application internal error", everything=False)),
    ],
)
def test_an_acknowledgement_is_taken_at_its_code_and_told_in_the_standards_words(
    channels: Channels, code: str, more: str, wanted: Result
) -> None:
    assert channels.told_by(saying(lambda message: block(acknowledged(message, code, more=more)))) == wanted


def test_an_acknowledgement_may_have_other_separators_another_version_and_unix_lines() -> None:
    answer = b"MSH#%@!*#RIS#####20261102##ACK#7#P#2.3\nMSA#AE#ONE#text\nZZZ#1\nERR##PID%1%5#101%Required#E\n"
    assert acknowledgement(answer) == Acknowledgement("AE", "ONE", "101", "PID^1^5")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"MSA|AA|ONE\r",
        b"MSH|^~\\&|RIS\r",
        b"MSH|^~\\&|RIS\rMSA|XX|ONE\r",
        b"MSH|^~\\&|RIS\rMSA|AA\r",
        b"MSH||||||||\rMSA|AA|ONE\r",
        b"MSH\rMSA|AA|ONE\r",
        b"\xff\xfe\x00\rMSH\r",
        b"MSH|^~\\&|RIS\rMSA|AA|" + b"x" * 5000,
    ],
)
def test_what_is_no_acknowledgement_acknowledges_nothing(answer: bytes) -> None:
    assert acknowledgement(answer) is None


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b"MSH|^~\\&|" + noise + b"\rMSA|AA|" + noise))
def test_no_answer_breaks_the_reader(answer: bytes) -> None:
    said = acknowledgement(answer)
    assert said is None or said.code == "AA"


# --- framing -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=8).filter(lambda part: not set(part) & {0x0B, 0x1C}), max_size=4), st.data())
def test_blocks_come_whole_however_their_bytes_come(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(b"noise" + START + part + END for part in contents)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    blocks, found = Blocks(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += blocks.receive(stream[start:end])
    assert found == contents


# --- rude receivers ------------------------------------------------------------------------------------------


def hanging_up(connection: socket.socket) -> None:
    received(connection)


def half(message: str) -> bytes:
    return block(acknowledged(message, "AA"))[:40]


def in_halves(connection: socket.socket) -> None:
    answer = taking(received(connection))
    connection.sendall(answer[:40])
    time.sleep(0.05)
    connection.sendall(answer[40:])
    connection.recv(1)


def half_and_hanging_up(connection: socket.socket) -> None:
    connection.sendall(half(received(connection)))


def endless(connection: socket.socket) -> None:
    received(connection)
    while True:
        connection.sendall(b"A" * 8192)


def of_another(message: str) -> bytes:
    return block(acknowledged(message, "AA", control_id="ANOTHER"))


@pytest.mark.parametrize(
    ("conversation", "why"),
    [
        (saying(lambda _: b""), "no answer within 0.2 s"),
        (saying(half), "no answer within 0.2 s"),
        (saying(of_another), "no answer within 0.2 s, but one to another message"),
        (saying(lambda _: block("garbage")), "no answer within 0.2 s, but one that is no acknowledgement"),
        (saying(lambda message: acknowledged(message, "AA").encode()), "no answer within 0.2 s"),
        (hanging_up, "it closed the connection without an answer"),
        (half_and_hanging_up, "it closed the connection without an answer"),
        (endless, "it answers without end"),
    ],
)
def test_without_an_acknowledgement_everything_waits(channels: Channels, conversation: Conversation, why: str) -> None:
    assert channels.told_by(conversation, timeout_s=0.2) == Postponed(why, everything=True)


def test_an_answer_may_come_in_parts_and_after_one_to_another_message(channels: Channels) -> None:
    assert channels.told_by(in_halves) == Delivered()
    assert channels.told_by(saying(lambda message: of_another(message) + taking(message))) == Delivered()


def test_a_connection_is_kept_and_made_anew_once_where_the_receiver_closed_it(channels: Channels) -> None:
    connections: list[int] = []

    def counted(conversation: Conversation) -> Conversation:
        def wrapped(connection: socket.socket) -> None:
            connections.append(1)
            conversation(connection)

        return wrapped

    def two_and_half(connection: socket.socket) -> None:
        for _ in range(2):
            connection.sendall(taking(received(connection)))
        connection.sendall(half(received(connection)))

    with rude(counted(two_and_half), counted(saying(taking))) as port:
        channel = channels.to(port)
        assert [channel.deliver(delivery(name)) for name in ("ONE", "TWO")] == [Delivered()] * 2
        assert len(connections) == 1
        assert channel.deliver(delivery("THREE")) == Delivered()
    assert len(connections) == 2


def test_a_late_answer_is_not_taken_for_the_next_messages(channels: Channels) -> None:
    release = threading.Event()

    def late(connection: socket.socket) -> None:
        answer = taking(received(connection))
        release.wait(5)
        connection.sendall(answer)

    with rude(late, saying(lambda _: b"")) as port:
        channel = channels.to(port, replace(SETTINGS, timeout_s=0.2))
        assert channel.deliver(delivery("ONE")) == Postponed("no answer within 0.2 s", everything=True)
        release.set()
        assert channel.deliver(delivery("TWO")) == Postponed("no answer within 0.2 s", everything=True)


def test_a_host_whose_name_nobody_knows_is_said(channels: Channels) -> None:
    result = channels.to(2575, replace(SETTINGS, host="ris.invalid")).deliver(delivery())
    assert isinstance(result, Postponed)
    assert result.everything
    assert result.why in {"its host's name is not known", "no connection within 2 s"}


# --- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Invented Authority")


@pytest.fixture
def tls(channels: Channels, authority: Authority) -> Path:
    """Certificates in the folder: `ca.pem`, and `server` and `other` by this authority and by another one."""
    authority.write(channels.folder / "ca.pem")
    for name, issuer in (("server", authority), ("other", Authority("Other"))):
        certificate, key = issuer.issue("localhost")
        (channels.folder / f"{name}.pem").write_text(certificate)
        (channels.folder / f"{name}.key").write_text(key)
    return channels.folder


TLS: Final = replace(SETTINGS, tls=True, ca_file="ca.pem")


def test_a_receiver_whose_certificate_is_trusted_is_told_over_tls(channels: Channels, tls: Path) -> None:
    with rude(saying(taking, taking), context=tls_server(tls / "server.pem", tls / "server.key")) as port:
        channel = channels.to(port, TLS)
        assert [channel.deliver(delivery(name)) for name in ("ONE", "TWO")] == [Delivered()] * 2


def test_a_certificate_of_nobody_known_is_not_trusted(channels: Channels, tls: Path) -> None:
    with rude(saying(taking), context=tls_server(tls / "other.pem", tls / "other.key")) as port:
        result = channels.to(port, TLS).deliver(delivery())
    assert isinstance(result, Postponed)
    assert result.everything
    assert result.why.startswith("its certificate is not trusted: ")


def test_our_own_certificate_is_shown_where_it_is_asked_for(channels: Channels, tls: Path) -> None:
    context = tls_server(tls / "server.pem", tls / "server.key", tls / "ca.pem")
    own = replace(TLS, certificate_file="server.pem", key_file="server.key")
    with rude(saying(taking), context=context) as port:
        assert channels.to(port, own).deliver(delivery()) == Delivered()
    with rude(saying(taking), context=context) as port:
        result = channels.to(port, TLS).deliver(delivery())
    assert isinstance(result, Postponed)
    assert result.everything
    assert result.why.startswith(("TLS fails: ", "it closed the connection"))


def test_a_receiver_that_does_not_speak_tls_is_told_nothing(channels: Channels, tls: Path) -> None:
    assert tls.is_dir()
    heard: list[bytes] = []

    def plain(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    with rude(plain) as port:
        result = channels.to(port, TLS).deliver(delivery())
    assert isinstance(result, Postponed)
    assert result.why.startswith("TLS fails: ")
    assert b"BONEWATCH" not in heard[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ca_file": "none.pem"}, "ca_file none.pem: No such file or directory"),
        ({"ca_file": "server.key"}, "ca_file server.key: no certificate"),
        (
            {"certificate_file": "none.pem", "key_file": "server.key"},
            "certificate_file none.pem, key_file server.key: No",
        ),
        (
            {"certificate_file": "server.pem", "key_file": "other.key"},
            "key_file other.key: no certificate and key in PEM",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_by_its_key(tls: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tls_context(replace(TLS, **changes), tls)
