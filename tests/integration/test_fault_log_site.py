"""Fault logs from the sender to the gate: logger, rsyslog and openssl as peers; a file through rotation and restart."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from bonewatch.configuration.loading import load
from bonewatch.errors import ConfigError
from bonewatch.site import Site
from streams import codec
from streams.messages import FaultCleared, FaultLogged, ReasonCode, Severity
from streams.sqlite_log import SqliteEventLog
from tests.certificates import Authority
from tests.fuzz_fault_logs import AUDIT_3881, AUDIT_A5
from tests.kafka import wait_until

DEVICE = "test-site/dxa-1"

SITE = """
[site]
id = "test-site"
time_zone = "Etc/GMT"
[dicom]
port = 0
[http]
port = 0
[database]
enabled = false
[syslog]
udp_port = 0
tcp_port = 0
tls_port = 0
certificate_file = "syslog.pem"
key_file = "syslog.key"
max_connections_each = 4
{more}
[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
  [[device.log]]
  address = "127.0.0.1"
  rules = "rules.toml"
  [[device.log]]
  file = "scanner.log"
  rules = "rules.toml"
[[device]]
id = "scale-1"
kind = "scale"
  [[device.log]]
  address = "127.0.0.0/24"
  host = "scale-pc"
  rules = "rules.toml"
"""

RULES = r"""
title = "an invented scanner's"
[[rule]]
pattern = '^\w+: QA FAILED'
code = "QA"
text = "The scanner's own QA failed"
[[rule]]
pattern = 'E(?P<code>\d+) stop'
stops_scanning = true
[[rule]]
pattern = 'E(?P<code>\d+) (?P<text>[a-z ]+)'
[[rule]]
pattern = 'R(?P<code>\d+)'
action = "clear"
[[rule]]
pattern = 'AuditMessage event=(?P<code>\w+) .*type=(?P<component>\w+) .*outcome=(4|8)'
text = "A program of the scanner failed"
"""


class Department:
    """A running site with fault logs, in a folder."""

    def __init__(self, folder: Path, *, more: str = "") -> None:
        self.folder = folder
        self.log = folder / "scanner.log"
        certificate, key = Authority("test").issue("bonewatch")
        (folder / "syslog.pem").write_text(certificate)
        (folder / "syslog.key").write_text(key)
        (folder / "rules.toml").write_text(RULES)
        (folder / "site.toml").write_text(SITE.format(more=more))
        self.site = self._started()

    def _started(self) -> Site:
        return Site(load(self.folder / "site.toml"), self.folder / "var", folder=self.folder).start()

    def restart(self) -> None:
        self.site.stop()
        self.site = self._started()

    def port(self, transport: str) -> int:
        assert self.site.fault_logs is not None
        return self.site.fault_logs.ports[transport]

    def facts(self, device: str = DEVICE) -> list[FaultLogged | FaultCleared]:
        with SqliteEventLog(self.folder / "var" / "site-log.sqlite", read_only=True) as log:
            events = [codec.decode_event(row.body) for row in log.rows()]
        return [e.fact for e in events if e.device == device and isinstance(e.fact, FaultLogged | FaultCleared)]

    def codes(self, device: str = DEVICE) -> list[str]:
        return [fact.code if isinstance(fact, FaultLogged) else "over" for fact in self.facts(device)]

    def comes(self, *codes: str, device: str = DEVICE) -> None:
        """Wait until these faults have come, in any order, and no other."""
        wait_until(lambda: len(self.codes(device)) >= len(codes))
        assert sorted(self.codes(device)) == sorted(codes)

    def logger(self, transport: str, *words: str) -> None:
        """Send by `logger`."""
        address = ["--server", "127.0.0.1", "--port", str(self.port(transport)), f"--{transport}"]
        subprocess.run(["logger", *address, "--priority", "local0.err", "--tag", "encore", *words], check=True)

    def write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)


@contextmanager
def department(folder: Path, *, more: str = "") -> Iterator[Department]:
    at = Department(folder, more=more)
    try:
        yield at
    finally:
        at.site.stop()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def became(word: str, device: str = DEVICE) -> float:
    return counted("bonewatch_log_lines_total", device=device, became=word)


def test_logger_is_understood_in_both_forms_over_udp_and_tcp_in_both_framings(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        at.logger("udp", "--rfc5424", "QA FAILED: spine")
        at.logger("udp", "--rfc3164", "E1 tube current low")
        at.logger("tcp", "--rfc5424", "E2 table")
        at.logger("tcp", "--rfc3164", "E3 table")
        at.logger("tcp", "--rfc5424", "--octet-count", "E4 table")
        at.logger("tcp", "--rfc3164", "--octet-count", "E5 stop")
        at.comes("QA", "1", "2", "3", "4", "5")
        fact = next(fact for fact in at.facts() if isinstance(fact, FaultLogged) and fact.code == "QA")
        assert (fact.text, fact.severity) == ("The scanner's own QA failed", Severity.ERROR)
        reasons = {reason.code for reason in at.site.engine.gate(DEVICE).reasons}
        assert ReasonCode.FAULT_STOPS_SCANNING in reasons
        at.logger("tcp", "--rfc5424", "R5")
        wait_until(lambda: at.codes()[-1] == "over")
        reasons = {reason.code for reason in at.site.engine.gate(DEVICE).reasons}
        assert ReasonCode.FAULT_STOPS_SCANNING not in reasons
        assert ReasonCode.VERIFICATION_REQUIRED in reasons


@pytest.mark.parametrize(
    "target",
    [
        'Protocol="udp" Port="{udp}"',
        'Protocol="tcp" Port="{tcp}" TCP_Framing="octet-counted" Template="RSYSLOG_SyslogProtocol23Format"',
        'Protocol="tcp" Port="{tcp}" Template="RSYSLOG_TraditionalForwardFormat"',
        'Protocol="tcp" Port="{tcp}" Template="RSYSLOG_ForwardFormat"',
    ],
)
def test_rsyslog_forwards_a_file_in_each_of_its_forms(tmp_path: Path, target: str) -> None:
    with department(tmp_path) as at:
        work = tmp_path / "rsyslog"
        work.mkdir()
        watched = work / "vendor.log"
        watched.write_text("E1 tube current low\nE2 stop\nE2 stop\nR1\nE3 table\n")
        target = target.format(udp=at.port("udp"), tcp=at.port("tcp"))
        (work / "rsyslog.conf").write_text(f"""
global(workDirectory="{work}")
module(load="imfile" mode="polling" PollingInterval="1")
input(type="imfile" File="{watched}" Tag="apex:" Severity="warning" Facility="local0")
action(type="omfwd" Target="127.0.0.1" {target})
""")
        command = ["rsyslogd", "-n", "-f", str(work / "rsyslog.conf"), "-i", str(work / "pid")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as rsyslog:
            try:
                wait_until(lambda: len(at.codes()) >= 4)
                assert at.codes() == ["1", "2", "over", "3"]
                assert all(fact.severity is Severity.WARNING for fact in at.facts() if isinstance(fact, FaultLogged))
            finally:
                rsyslog.terminate()


def openssl(at: Department, *words: str, lines: str) -> None:
    """Send over TLS and close; a server that refuses is seen by what does not come."""
    command = ["openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{at.port('tls')}", *words]
    subprocess.run(command, input=lines.encode(), capture_output=True, check=False, timeout=60)


def test_openssl_speaks_tls_and_who_does_not_delays_nobody(tmp_path: Path) -> None:
    with department(tmp_path) as at, socket.create_connection(("127.0.0.1", at.port("tls"))) as mute:
        openssl(at, lines="<131>1 - vm apex - - - E1 table\n38 <131>1 - vm apex - - - E2 tube is cold.")
        at.comes("1", "2")
        mute.sendall(b"<131>1 - vm apex - - - E3 in plain\n")
        wait_until(lambda: counted("bonewatch_log_refused_connections_total", why="tls") >= 1)
        assert at.codes() == ["1", "2"]


def test_tls_asks_for_a_certificate_where_an_authority_is_configured(tmp_path: Path) -> None:
    authority = Authority("senders")
    authority.write(tmp_path / "senders.pem")
    for name, issuer in (("sender", authority), ("stranger", Authority("others"))):
        certificate, key = issuer.issue("scanner-pc")
        (tmp_path / f"{name}.pem").write_text(certificate + key)
    with department(tmp_path, more='client_ca_file = "senders.pem"') as at:
        openssl(at, lines="<131>1 - vm apex - - - E1 table\n")
        openssl(at, "-cert", str(tmp_path / "stranger.pem"), lines="<131>1 - vm apex - - - E2 table\n")
        openssl(at, "-cert", str(tmp_path / "sender.pem"), lines="<131>1 - vm apex - - - E3 table\n")
        at.comes("3")


def send_udp(at: Department, *messages: bytes, source: str = "127.0.0.1") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for message in messages:
            sender.sendto(message, ("127.0.0.1", at.port("udp")))


def test_audit_messages_of_both_forms_become_faults_and_name_no_patient(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        xml = AUDIT_A5.encode()
        send_udp(at, b"<85>1 - dxa apex 1 IHE+RFC-3881 - " + xml)
        at.comes("110100")
        (fact,) = at.facts()
        assert isinstance(fact, FaultLogged)
        assert (fact.component, fact.text) == ("110120", "A program of the scanner failed")
        older = b"<85>1 - dxa apex 1 - - \xef\xbb\xbf" + AUDIT_3881.encode().replace(b"110100", b"110101")
        with socket.create_connection(("127.0.0.1", at.port("tcp"))) as connection:
            connection.sendall(b"%d %b" % (len(older), older))
            at.comes("110100", "110101")
        bomb = b'<!DOCTYPE a [<!ENTITY x "110102">]><AuditMessage>&x;</AuditMessage>'
        before = became("damaged")
        send_udp(at, b"<85>1 - dxa apex 1 - - " + bomb)
        wait_until(lambda: became("damaged") == before + 1)
        assert b"TEST" not in (tmp_path / "var" / "site-log.sqlite").read_bytes()


def test_a_device_is_known_by_address_and_name_and_strangers_are_counted(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        before = counted("bonewatch_log_unknown_senders_total", transport="udp")
        strangers = counted("bonewatch_log_unknown_senders_total", transport="tcp")
        send_udp(at, b"<131>1 - scale-pc app - - - E1 load cell", source="127.0.0.9")
        send_udp(at, b"<131>1 - other-pc app - - - E2 load cell", source="127.0.0.9")
        send_udp(at, b"<131>1 - scale-pc app - - - E3 load cell", source="127.0.1.9")
        with socket.create_connection(("127.0.0.1", at.port("tcp")), source_address=("127.0.1.9", 0)) as connection:
            assert connection.recv(1) == b""  # cut before a byte
        at.comes("1", device="test-site/scale-1")
        wait_until(lambda: counted("bonewatch_log_unknown_senders_total", transport="udp") == before + 2)
        assert counted("bonewatch_log_unknown_senders_total", transport="tcp") == strangers + 1
        assert at.facts() == []


def test_a_slow_sender_holds_up_nobody_and_too_many_connections_are_refused(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        slow = [socket.create_connection(("127.0.0.1", at.port("tcp"))) for _ in range(3)]
        for connection in slow:
            connection.sendall(b"500 <131>1 - vm apex - - - E1 half a mess")
        at.logger("tcp", "E2 table")
        at.comes("2")
        slow.append(socket.create_connection(("127.0.0.1", at.port("tcp"))))
        slow[-1].sendall(b"<131>1 - vm apex - - - E3 table\n")
        at.comes("2", "3")
        with socket.create_connection(("127.0.0.1", at.port("tcp"))) as refused:
            assert refused.recv(1) == b""
        for connection in slow:
            connection.close()
        wait_until(lambda: counted("bonewatch_log_connections") == 0)
        at.logger("tcp", "E4 table")
        at.comes("2", "3", "4")


def test_a_flood_is_bounded_and_what_comes_after_it_is_heard(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        flood = b"".join(b"<131>1 - vm apex - - - nothing known %d\n" % number for number in range(30_000))
        before = became("unmatched")
        sending = threading.Thread(target=send_all, args=(at.port("tcp"), flood + b"x" * 200_000 + b"\n"))
        sending.start()
        send_udp(at, *[b"<131>1 - vm apex - - - E1 table"] * 3000)
        sending.join()
        at.logger("tcp", "E2 stop")
        wait_until(lambda: "2" in at.codes())
        wait_until(lambda: became("unmatched") == before + 30_000)
        assert sorted(at.codes()) in (["1", "2"], ["2"])  # datagrams may be lost, and are counted
        assert at.site.fault_logs is not None
        assert len(at.site.fault_logs.last_unmatched(DEVICE)) == 20
        assert counted("bonewatch_log_lost_total", device=DEVICE, why="overlong_or_noise") >= 1


def send_all(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)


def test_a_file_is_followed_through_rotation_emptying_and_restarts(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        at.write("E1 table\nE2 ta")
        at.comes("1")
        at.restart()
        at.write("ble\n")
        at.comes("1", "2")
        at.write("R1\n")
        at.log.rename(tmp_path / "scanner.log.1")
        at.write("E3 table\n")
        at.comes("1", "2", "over", "3")
        at.site.stop()
        at.write("R2\nE1 table\n")
        shutil.copy(at.log, tmp_path / "scanner.log-20261122")
        at.log.write_text("")
        at.write("R1\nE4 a line that is longer than what was there before\nE3 table\n")
        at.site = at._started()
        wait_until(lambda: len(at.codes()) >= 8)
        assert at.codes() == ["1", "2", "over", "3", "over", "1", "over", "4"]


def test_marks_that_are_lost_or_damaged_begin_at_the_end(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        at.write("E1 table\n")
        at.comes("1")
        at.site.stop()
        (mark,) = (tmp_path / "var" / "logs").glob("*.json")
        mark.write_text("{")
        at.write("E2 table\n")
        at.site = at._started()
        wait_until(lambda: mark.read_text() != "{")
        at.write("E3 table\n")
        at.comes("1", "3")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("udp_port = 0\ntcp_port = 0\ntls_port = 0\n", ""), "set udp_port, tcp_port or tls_port"),
        (('key_file = "syslog.key"\n', ""), "tls_port needs certificate_file and key_file"),
        (('address = "127.0.0.1"\n', ""), "a log comes from an address (syslog) or is a file"),
        (('address = "127.0.0.1"', 'address = "encore"'), "encore is no address such as 10.1.2.3"),
        (('file = "scanner.log"', 'file = "scanner.log"\n  host = "x"'), "a name in a message proves nothing"),
        (('host = "scale-pc"', "facts_an_hour = 0"), "facts_an_hour is at least 1"),
        (("max_connections_each = 4", "max_line_bytes = 9"), "max_line_bytes lies between"),
        (("max_connections_each = 4", "max_connection = 9"), "max_connection"),
        (('"rules.toml"', '"absent.toml"'), "absent.toml"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "site.toml").write_text(SITE.format(more="").replace(*change))
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "site.toml")
    assert words in str(error.value)


def test_a_certificate_that_cannot_be_used_and_a_port_that_is_taken_are_said_at_the_start(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        taken = at.port("tcp")
        other = tmp_path / "other.toml"
        other.write_text(SITE.format(more="").replace("tcp_port = 0", f"tcp_port = {taken}"))
        with pytest.raises(ConfigError, match=f"{taken} cannot be listened on"):
            Site(load(other), tmp_path / "other", folder=tmp_path).start()
        (tmp_path / "syslog.pem").write_text("no certificate")
        with pytest.raises(ConfigError, match="certificate_file"):
            Site(load(other), tmp_path / "other", folder=tmp_path).start()
