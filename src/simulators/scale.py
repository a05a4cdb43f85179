"""A virtual scale and stadiometer that speak MT-SICS or plain A&D lines over a pty or a TCP serial server."""

import os
import select
import socket
import threading
import tty
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

STEP_S: Final = 0.05

Dialect = Literal["mt-sics", "and-standard", "adam-muw"]


@dataclass
class VirtualScale:
    """What stands on the scale, and what it says; change the fields while it runs.

    Parameters
    ----------
    dialect
        ``mt-sics`` answers when asked; ``and-standard`` sends by itself; ``adam-muw`` sends on `press`.
    serial
        Its serial number.
    load_kg, height_cm
        What it reads.
    stable
        Whether it says that the reading is.
    silent
        Whether it says nothing at all.
    unit
        ``kg`` or ``lb``: what it says, without converting `load_kg`.
    """

    dialect: Dialect = "mt-sics"
    serial: str = "SIM-0001"
    load_kg: float = 0.0
    height_cm: float | None = None
    stable: bool = True
    silent: bool = False
    unit: str = "kg"
    asked: list[bytes] = field(default_factory=list)
    _rest: bytes = b""
    _pressed: threading.Event = field(default_factory=threading.Event)

    def press(self) -> None:
        """Press the print key."""
        self._pressed.set()

    def heard(self, data: bytes) -> bytes:
        """Return the answers to what came in."""
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        if self.silent:
            return b""
        self.asked += lines
        return b"".join(self._answer(line) for line in lines)

    def says(self) -> bytes:
        """Return what it sends unasked in this step."""
        if self.silent:
            return b""
        if self.dialect == "and-standard":
            head = "ST" if self.stable else "US"
            return f"{head},{self.load_kg:+010.2f} {self.unit}\r\n".encode()
        if self.dialect == "adam-muw" and self._pressed.is_set():
            self._pressed.clear()
            height = f"Height: {self.height_cm:.0f} cm\r\n" if self.height_cm is not None else ""
            return f"Weight: {self.load_kg:.2f} {self.unit}\r\n{height}".encode()
        return b""

    def _answer(self, line: bytes) -> bytes:
        if self.dialect != "mt-sics":
            return b""
        if line == b"I4":
            return f'I4 A "{self.serial}"\r\n'.encode()
        if line in {b"S", b"SI"}:
            return f"S {'S' if self.stable else 'D'} {self.load_kg:10.2f} {self.unit}\r\n".encode()
        if line == b"Z":
            self.load_kg = 0.0
            return b"Z A\r\n"
        return b"ES\r\n"


class PtyPort:
    """The scale at the end of a pseudo-terminal; `path` is what a collector opens."""

    def __init__(self, scale: VirtualScale) -> None:
        self.scale = scale
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtual scale", daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Put bytes on the line, whatever they are."""
        os.write(self._ours, data)

    def unplug(self) -> None:
        """Take the cable out: the port is gone for whoever has it open."""
        self._stopped.set()
        self._thread.join(5.0)
        os.close(self._theirs)
        os.close(self._ours)

    def _run(self) -> None:
        while not self._stopped.is_set():
            ready, _, _ = select.select([self._ours], [], [], STEP_S)
            with suppress(OSError):  # nobody has the other end open
                said = self.scale.heard(os.read(self._ours, 4096)) if ready else b""
                self._write(said + self.scale.says())

    def _write(self, data: bytes) -> None:
        if data:
            os.write(self._ours, data)


class TcpPort:
    """The scale behind a TCP serial server; `url` is what a collector opens. One caller at a time."""

    def __init__(self, scale: VirtualScale, port: int = 0) -> None:
        self.scale = scale
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = int(self._server.getsockname()[1])
        self.url = f"socket://127.0.0.1:{self.port}"
        self._stopped = threading.Event()
        self._caller: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="virtual serial server", daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Put bytes on the line, whatever they are."""
        caller = self._caller
        if caller is not None:
            caller.sendall(data)

    def hang_up(self) -> None:
        """End the present call; the next is taken."""
        caller, self._caller = self._caller, None
        if caller is not None:
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
            caller.close()

    def stop(self) -> None:
        """End, and take no more calls."""
        self._stopped.set()
        self._thread.join(5.0)
        self.hang_up()
        self._server.close()

    def _run(self) -> None:
        self._server.settimeout(STEP_S)
        while not self._stopped.is_set():
            if self._caller is None:
                with suppress(TimeoutError):
                    self._caller, _ = self._server.accept()
                    self._caller.settimeout(None)
                continue
            self._serve(self._caller)

    def _serve(self, caller: socket.socket) -> None:
        try:
            ready, _, _ = select.select([caller], [], [], STEP_S)
            data = caller.recv(4096) if ready else b""
            if ready and not data:
                self.hang_up()
                return
            caller.sendall((self.scale.heard(data) if data else b"") + self.scale.says())
        except (OSError, ValueError):  # the caller has gone, or was hung up meanwhile
            self.hang_up()
