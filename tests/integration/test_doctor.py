"""The command that looks at a port, for whoever has just connected a scale."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.scale import TcpPort, VirtualScale
from tests.integration.test_scale_site import configuration


@pytest.fixture
def scale() -> Iterator[TcpPort]:
    port = TcpPort(VirtualScale(load_kg=70.45))
    yield port
    port.stop()


def doctor(*words: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bonewatch", "doctor", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def test_raw_bytes_and_readings_of_a_port_are_printed(scale: TcpPort) -> None:
    done = doctor("--port", scale.url, "--protocol", "mt-sics", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    assert "MT-SICS (Mettler-Toledo) (built from its public description, never tried on a device)" in done.stdout
    assert "S S      70.45 kg" in done.stdout
    assert "weight: 70.45 kg, stable" in done.stdout
    assert 'I4 A "SIM-0001" serial number SIM-0001' in done.stdout
    assert "It works." in done.stdout


def test_a_configured_device_is_looked_at_as_configured(scale: TcpPort, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(configuration(scale.url, "socket://127.0.0.1:1"))
    done = doctor("scale-1", "-c", "site.toml", "--seconds", "2", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    scale.scale.serial = "SIM-0002"
    scale.hang_up()
    swapped = doctor("scale-1", "-c", "site.toml", "--seconds", "2", folder=tmp_path)
    assert swapped.returncode == 1
    assert "it says that it is SIM-0002, not SIM-0001" in swapped.stdout


def test_the_wrong_protocol_is_told_from_a_dead_port(scale: TcpPort) -> None:
    scale.scale.dialect = "and-standard"
    wrong = doctor("--port", scale.url, "--protocol", "ohaus", "--seconds", "3")
    assert wrong.returncode == 1
    assert "not understood: no form of line that is known" in wrong.stdout
    assert "check protocol, baud rate and parity" in wrong.stdout
    dead = doctor("--port", "socket://127.0.0.1:1", "--protocol", "ohaus", "--seconds", "1")
    assert dead.returncode == 1
    assert "0 bytes" in dead.stdout


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    assert "name a device and its --config" in doctor().stderr
    assert "there is no protocol 'mt-six'" in doctor("--port", "x", "--protocol", "mt-six").stderr
    (tmp_path / "site.toml").write_text(configuration("socket://127.0.0.1:1", "socket://127.0.0.1:1"))
    unknown = doctor("scale-9", "-c", "site.toml", folder=tmp_path)
    assert unknown.returncode == 1
    assert "scale-9 is no device with a port there" in unknown.stderr
    assert "Traceback" not in unknown.stderr
