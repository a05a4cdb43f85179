"""Scales on real ports: pseudo-terminals and TCP serial servers, unplugged, flooded, silent, swapped."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from collectors.protocols.items import Reading
from collectors.protocols.known import protocol
from collectors.serial.line import SerialDevice, SerialLine
from collectors.serial.link import Link, LinkState
from simulators.rfc2217 import Rfc2217Port
from simulators.scale import PtyPort, TcpPort, VirtualScale
from tests.kafka import wait_until


class Followed:
    """A line, and what it told."""

    def __init__(self, port: str, name: str = "mt-sics", serial: str = "SIM-0001") -> None:
        self.readings: list[Reading] = []
        self.states: list[LinkState] = []
        self.line = SerialLine(
            SerialDevice("site/scale-1", port, protocol(name), serial=serial), self._read, self._changed
        )

    def _read(self, device: str, readings: Sequence[Reading]) -> None:
        assert device == "site/scale-1"
        self.readings += readings

    def _changed(self, device: str, link: Link) -> None:
        assert device == "site/scale-1"
        self.states.append(link.state)

    def reads(self, value: str) -> bool:
        return any(reading.value == Decimal(value) and reading.is_measurement for reading in self.readings)

    @property
    def state(self) -> LinkState:
        return self.line.link.state


@contextmanager
def followed(port: str, name: str = "mt-sics", serial: str = "SIM-0001") -> Iterator[Followed]:
    follower = Followed(port, name, serial)
    follower.line.start()
    try:
        yield follower
    finally:
        follower.line.stop()


@pytest.fixture
def scale() -> VirtualScale:
    return VirtualScale(load_kg=70.45)


@pytest.fixture
def tcp(scale: VirtualScale) -> Iterator[TcpPort]:
    port = TcpPort(scale)
    yield port
    port.stop()


def test_a_scale_on_a_terminal_is_asked_and_read(scale: VirtualScale) -> None:
    port = PtyPort(scale)
    with followed(port.path) as line:
        wait_until(lambda: line.reads("70.45"))
        assert line.state is LinkState.HEARD
        scale.stable, scale.load_kg = False, 82.0
        wait_until(lambda: any(reading.value == 82 for reading in line.readings))
        assert not line.reads("82")
    port.unplug()
    assert {b"I4", b"SI"} <= set(scale.asked)


def test_a_scale_behind_a_serial_server_is_read(tcp: TcpPort) -> None:
    with followed(tcp.url) as line:
        wait_until(lambda: line.reads("70.45"))


@pytest.mark.filterwarnings(r"ignore:set(Daemon|Name)\(\) is deprecated:DeprecationWarning")  # pyserial's own
def test_a_serial_server_is_told_the_settings_of_the_line() -> None:
    """By RFC 2217 the settings themselves can be seen: a pseudo-terminal alone would let bytes pass at any."""
    scale = VirtualScale("and-standard", load_kg=70.45)
    port = Rfc2217Port(scale)
    try:
        with followed(port.url, "and-standard", serial="") as line:
            wait_until(lambda: line.reads("70.45"))
            assert port.line == (2400, 7, "E", 1)
    finally:
        port.stop()


@pytest.mark.filterwarnings(r"ignore:set(Daemon|Name)\(\) is deprecated:DeprecationWarning")
def test_a_scale_behind_an_rfc_2217_server_is_asked() -> None:
    port = Rfc2217Port(VirtualScale(load_kg=70.45))
    try:
        with followed(port.url) as line:
            wait_until(lambda: line.reads("70.45"))
            assert line.state is LinkState.HEARD
            assert port.line == (9600, 8, "N", 1)
    finally:
        port.stop()


def test_one_that_sends_by_itself_is_read_unasked(scale: VirtualScale) -> None:
    scale.dialect = "and-standard"
    port = PtyPort(scale)
    with followed(port.path, "and-standard", serial="") as line:
        wait_until(lambda: line.reads("70.45"))
        assert line.state is LinkState.UNVERIFIED
    port.unplug()
    assert scale.asked == []


def test_unplugging_is_told_and_plugging_in_again_is_noticed(scale: VirtualScale, tmp_path: Path) -> None:
    """The name that an administrator gives a port stays; what it leads to goes and comes, as with USB adapters."""
    name = tmp_path / "ttyScale"
    port = PtyPort(scale)
    name.symlink_to(port.path)
    with followed(str(name)) as line:
        wait_until(lambda: line.state is LinkState.HEARD)
        name.unlink()
        port.unplug()
        wait_until(lambda: line.state is LinkState.AWAY)
        count = len(line.readings)
        scale.load_kg = 81.2
        again = PtyPort(scale)
        name.symlink_to(again.path)
        wait_until(lambda: line.reads("81.2"))
        assert len(line.readings) > count
    again.unplug()
    assert line.states[-1] is LinkState.HEARD
    assert LinkState.AWAY in line.states


def test_a_call_that_ends_is_taken_up_again(tcp: TcpPort) -> None:
    with followed(tcp.url) as line:
        wait_until(lambda: line.reads("70.45"))
        tcp.hang_up()
        wait_until(lambda: LinkState.AWAY in line.states)
        tcp.scale.load_kg = 64.0
        wait_until(lambda: line.reads("64"))


def test_swapped_scales_are_told_and_neither_is_believed() -> None:
    one, two = TcpPort(VirtualScale(serial="A1", load_kg=50)), TcpPort(VirtualScale(serial="B2", load_kg=60))
    with followed(one.url, serial="B2") as first, followed(two.url, serial="A1") as second:
        wait_until(lambda: first.state is second.state is LinkState.SWAPPED)
        assert first.readings == second.readings == []
        one.scale.serial, two.scale.serial = "B2", "A1"  # somebody changes the cables
        one.hang_up()
        two.hang_up()
        wait_until(lambda: first.reads("50") and second.reads("60"))
    one.stop()
    two.stop()


def test_half_a_frame_and_silence_are_told_and_the_next_frame_is_read(
    tcp: TcpPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.serial.line.SILENT_AT_LEAST_S", 0.5)
    monkeypatch.setattr("collectors.serial.line.SILENT_AFTER_ASKS", 1)
    with followed(tcp.url) as line:
        wait_until(lambda: line.state is LinkState.HEARD)
        tcp.scale.silent = True
        tcp.send(b"S S      99.")
        wait_until(lambda: line.state is LinkState.SILENT)
        assert not line.reads("99")
        tcp.scale.silent = False
        wait_until(lambda: line.state is LinkState.HEARD)
        tcp.scale.load_kg = 55.5
        wait_until(lambda: line.reads("55.5"))


def test_a_flood_is_told_and_what_the_scale_says_among_it_is_read(tcp: TcpPort) -> None:
    with followed(tcp.url) as line:
        wait_until(lambda: line.state is LinkState.HEARD)
        done = threading.Event()

        def flood() -> None:
            for _ in range(400):
                tcp.send(b"\xa5" * 4000 + b"\r\n")
            done.set()

        threading.Thread(target=flood, daemon=True).start()
        wait_until(lambda: LinkState.NOISY in line.states)
        wait_until(done.is_set, within_s=60)
        tcp.scale.load_kg = 44.4
        wait_until(lambda: line.reads("44.4"), within_s=60)


def test_a_port_that_is_not_there_is_a_sentence() -> None:
    with followed("/dev/no-such-port") as line:
        wait_until(lambda: "no-such-port" in line.line.link.why)
        assert line.state is LinkState.AWAY


def test_it_can_be_zeroed(tcp: TcpPort) -> None:
    with followed(tcp.url) as line:
        wait_until(lambda: line.reads("70.45"))
        assert line.line.zero()
        wait_until(lambda: tcp.scale.load_kg == 0)
