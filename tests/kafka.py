"""A real Apache Kafka on loopback for tests, from deploy/kafka, and what tests do with it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from streams.broker import Broker
from tests.peers import free_port

KAFKA = Path(__file__).resolve().parent.parent / "deploy" / "kafka" / "kafka"
QUICK_TO_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A test's broker lives for seconds: half of that went into making it fast."""


@dataclass
class RealKafka:
    """One broker in a folder of its own; it may be killed and started again."""

    folder: Path
    port: int
    secure: bool = False

    @property
    def broker(self) -> Broker:
        """Where clients find it; a secured one as its administrator."""
        if self.secure:
            return self.as_user("admin", (self.folder / "admin-password").read_text())
        return Broker(f"127.0.0.1:{self.port}")

    def as_user(self, name: str, password: str) -> Broker:
        """Where a user of a secured one finds it."""
        return Broker(f"127.0.0.1:{self.port}", self.folder / "tls" / "ca.pem", name, password)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._do("start", str(self.port), *(["--secure"] if self.secure else []))

    def kill(self) -> None:
        """End it as a power cut would."""
        self._do("kill")

    @property
    def pid(self) -> int:
        """The process."""
        return int((self.folder / "kafka.pid").read_text(encoding="utf-8"))

    def stop(self) -> None:
        """End it cleanly."""
        self._do("stop")

    def _do(self, what: str, *words: str) -> None:
        done = subprocess.run(
            [str(KAFKA), what, str(self.folder), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=os.environ | {"KAFKA_JAVA_OPTIONS": QUICK_TO_START},
        )
        assert done.returncode == 0, done.stderr


def free_ports() -> int:
    """Return a free port whose successor, the controller's, is free too."""
    while True:
        port = free_port()
        with socket.socket() as successor, suppress(OSError, OverflowError):
            successor.bind(("127.0.0.1", port + 1))
            return port


def require_java() -> None:
    """Skip where a broker cannot run (never in CI)."""
    for command in ("java", "mvn"):
        if shutil.which(command) is None:
            reason = f"{command} is not installed (tests/system-packages.txt names its package)"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@contextmanager
def real_kafka(folder: Path, *, secure: bool = False) -> Iterator[RealKafka]:
    """Run a broker; skip where there is no Java (never in CI)."""
    require_java()
    kafka = RealKafka(folder, free_ports(), secure)
    kafka.start()
    try:
        yield kafka
    finally:
        kafka.kill()


def wait_until(holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait until something holds; a broker that is away for the moment is waited for too."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except KafkaError:
            pass
        assert time.monotonic() < deadline, f"it did not come about within {within_s:g} s"
        time.sleep(0.1)
