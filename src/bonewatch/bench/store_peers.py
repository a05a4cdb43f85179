"""Who takes objects beside us in the benchmark of C-STORE, and who sends them: Debian's Orthanc and DCMTK."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(sys.executable).parent)
_PATH: Final = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != _OURS)
ENVIRONMENT: Final = os.environ | {"TCP_NODELAY": "1", "PATH": _PATH}
"""DCMTK leaves Nagle on, which costs 50 ms an object, unless told; and pynetdicom installs a storescu of its own."""
STARTED_WITHIN_S: Final = 60.0
GIVE_UP_S: Final = 180.0


def is_here(program: str) -> bool:
    """Whether a program is installed."""
    return shutil.which(program, path=_PATH) is not None


def send(port: int, folders: Sequence[Path]) -> float:
    """Send each folder with a storescu of its own, all at once; return the seconds that it took.

    Raises
    ------
    RuntimeError
        One of them failed.
    """
    commands = [
        ["storescu", "-R", "-aet", "DXA1", "-aec", "BONEWATCH", "+sd", "127.0.0.1", str(port), str(folder)]
        for folder in folders
    ]
    started = time.perf_counter()
    senders = [
        subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        said = [sender.communicate(timeout=GIVE_UP_S)[1] for sender in senders]
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    took = time.perf_counter() - started
    if any(sender.returncode for sender in senders):
        raise RuntimeError("storescu failed: " + " ".join(said)[-500:])
    return took


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a server for the length of a block."""
    server = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10.0)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def orthanc(folder: Path, dicom_port: int, http_port: int) -> list[str]:
    """Return the command of an Orthanc that keeps everything in a folder, synchronously, as it does by default."""
    folder.mkdir(parents=True)
    path = folder / "orthanc.json"
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "Plugins": [],
        "TcpNoDelay": True,
    }
    path.write_text(json.dumps(configuration), encoding="utf-8")
    return ["Orthanc", str(path)]


def instances_in_orthanc(http_port: int) -> int:
    """Return how many objects it holds."""
    return int(json.loads(read(f"http://127.0.0.1:{http_port}/statistics"))["CountInstances"])


def read(url: str) -> bytes:
    """Return what a server of the benchmark says at an address on loopback."""
    with urllib.request.urlopen(url, timeout=30.0) as answer:  # noqa: S310 - our own
        return bytes(answer.read())


def storescp(folder: Path, port: int) -> list[str]:
    """Return the command of a storescp that writes what it gets into a folder, without any sync."""
    folder.mkdir(parents=True)
    return ["storescp", "+B", "+xa", "--fork", "-od", str(folder), str(port)]


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in servers]
    for server in servers:
        server.close()
    return ports


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("a server of the benchmark did not start")
