"""A serial server on the network that sets its line as it is told to (RFC 2217, pyserial's `PortManager`)."""

import select
import socket
import termios
import threading
from contextlib import suppress
from typing import Any, Final

import serial
from serial.rfc2217 import PortManager

from simulators.scale import PtyPort, VirtualScale

STEP_S: Final = 0.02
POLL_S: Final = 0.5


class _Line(serial.Serial):
    """A serial port on a pseudo-terminal, which has no modem lines and refuses seven bits: what was asked is noted."""

    cts = dsr = ri = cd = False

    def _reconfigure_port(self, force_update: bool = False) -> None:  # noqa: FBT001, FBT002 - pyserial's signature
        with suppress(termios.error):
            super()._reconfigure_port(force_update)  # type: ignore[misc] # the stubs leave it out

    def _update_rts_state(self) -> None:
        """Do nothing."""

    def _update_dtr_state(self) -> None:
        """Do nothing."""


class Rfc2217Port:
    """The scale behind a serial server; `url` is what a collector opens, `line` how it last set the line.

    One caller at a time. Behind the server stands a pseudo-terminal, which takes any setting: what the caller asked for
    is read from the server's own port.
    """

    def __init__(self, scale: VirtualScale) -> None:
        self._pty = PtyPort(scale)
        self._port = _Line(self._pty.path, timeout=0)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtual serial server", daemon=True)
        self._thread.start()

    @property
    def line(self) -> tuple[int, int, str, float]:
        """Baud, data bits, parity (``N``, ``E``, ``O``) and stop bits."""
        return self._port.baudrate, self._port.bytesize, self._port.parity, self._port.stopbits

    def stop(self) -> None:
        """End the server and the scale."""
        self._stopped.set()
        self._thread.join(5.0)
        self._server.close()
        self._port.close()
        self._pty.unplug()

    def _run(self) -> None:
        self._server.settimeout(STEP_S)
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                caller, _ = self._server.accept()
                with caller, suppress(OSError):
                    self._serve(caller)

    def _serve(self, caller: socket.socket) -> None:
        port: Any = self._port
        written: Any = _Written(caller)
        manager: Any = PortManager(port, written)
        both: list[Any] = [caller, self._port.fileno()]
        looked_s = 0.0
        while not self._stopped.is_set():
            ready, _, _ = select.select(both, [], [], STEP_S)
            if caller in ready:
                came = caller.recv(4096)
                if not came:
                    return
                self._port.write(b"".join(manager.filter(came)))
            if self._port.fileno() in ready:
                caller.sendall(b"".join(manager.escape(self._port.read(4096))))
            looked_s += STEP_S
            if looked_s >= POLL_S:
                manager.check_modem_lines()
                looked_s = 0.0


class _Written:
    """A socket as the manager writes to one."""

    def __init__(self, caller: socket.socket) -> None:
        self._caller = caller

    def write(self, data: bytes) -> None:
        self._caller.sendall(data)
