"""Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425), in one thread in which nobody waits for others.

A connection whose source's queue is full is not read until there is room: TCP then slows its sender. A datagram that
finds no room is lost and counted. Addresses that are not configured are cut before a byte, or a TLS handshake.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import structlog

from collectors.errors import CollectorError
from collectors.fault_logs.framing import Message, Skipped, SyslogFrames
from collectors.fault_logs.intake import SyslogIntake
from collectors.fault_logs.metrics import CONNECTIONS, LOST, REFUSED, UNKNOWN
from collectors.fault_logs.settings import SyslogSettings

READ_BYTES: Final = 65_536
RECEIVE_BUFFER: Final = 4 * 1024 * 1024
HANDSHAKE_S: Final = 10.0
ROOM_S: Final = 0.02


class CertificateError(CollectorError):
    """The certificate, its key or the authority for TLS cannot be used; look at the files."""


class SyslogListener:
    """The ports of one site, from `start` to `stop`.

    Parameters
    ----------
    settings
        Ports and limits.
    intake
        Where messages go.
    certificates
        For TLS (see `server_context`); None where no TLS port is set.
    """

    def __init__(
        self, settings: SyslogSettings, intake: SyslogIntake, certificates: ssl.SSLContext | None = None
    ) -> None:
        self._settings, self._intake, self._certificates = settings, intake, certificates
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: Counter[str] = Counter()
        self._sockets: list[socket.socket] = []
        self._udp: asyncio.DatagramTransport | None = None
        self.ports: dict[str, int] = {}
        self._logger = structlog.get_logger("collectors.fault_logs")

    def start(self) -> None:
        """Listen; raise OSError where a port cannot be listened on."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close every port and connection."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10.0)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        given = self._settings
        if given.udp_port is not None:
            opened = self._bound(socket.SOCK_DGRAM, given.udp_port)
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._udp, _ = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self._intake), sock=opened)
            self.ports["udp"] = opened.getsockname()[1]
        for name, port, tls in (("tcp", given.tcp_port, None), ("tls", given.tls_port, self._certificates)):
            if port is not None:
                opened = self._bound(socket.SOCK_STREAM, port)
                opened.listen(64)
                self._sockets.append(opened)
                self.ports[name] = opened.getsockname()[1]
                self._do(self._accept(name, opened, tls))

    def _bound(self, kind: socket.SocketKind, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        opened = socket.socket(family, kind)
        try:
            opened.setblocking(False)  # noqa: FBT003 - the standard library's form
            if kind is socket.SOCK_STREAM:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((self._settings.host, port))
        except OSError:
            opened.close()
            raise
        return opened

    async def _close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for opened in self._sockets:
            opened.close()
        await asyncio.sleep(0)  # let what was closed be told so

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, name: str, opened: socket.socket, tls: ssl.SSLContext | None) -> None:
        while True:
            try:
                connection, peer = await self._loop.sock_accept(opened)
            except OSError as error:  # out of descriptors, or gone before it was taken
                REFUSED.labels("accept_failed").inc()
                self._logger.warning("syslog_accept_failed", error=type(error).__name__)
                await asyncio.sleep(0.2)
                continue
            address = str(peer[0])
            why = self._refusal(address)
            if why:
                (UNKNOWN.labels(name) if why == "unknown" else REFUSED.labels(why)).inc()
                connection.close()
                continue
            self._open[address] += 1
            CONNECTIONS.inc()
            self._do(self._follow(name, connection, address, tls))

    def _refusal(self, address: str) -> str:
        if not self._intake.knows(address):
            return "unknown"
        if self._open.total() >= self._settings.max_connections:
            return "too_many"
        return "too_many_of_one" if self._open[address] >= self._settings.max_connections_each else ""

    async def _follow(self, name: str, connection: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        reader = asyncio.StreamReader(limit=READ_BYTES)
        transport: asyncio.Transport | None = None
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader),
                connection,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            )
            await self._read(name, reader, address)
        except TimeoutError:
            REFUSED.labels("idle").inc()
        except OSError as error:  # a handshake that fails, a connection that breaks
            REFUSED.labels("tls" if transport is None and tls is not None else "broken").inc()
            self._logger.info("syslog_connection_broken", transport=name, error=type(error).__name__)
        finally:
            self._open[address] -= 1
            self._open += Counter()  # forgets addresses that have none open
            CONNECTIONS.dec()
            if transport is None:
                connection.close()
            else:
                transport.abort()

    async def _read(self, name: str, reader: asyncio.StreamReader, address: str) -> None:
        frames = SyslogFrames(self._settings.max_line_bytes)
        while data := await asyncio.wait_for(reader.read(READ_BYTES), self._settings.idle_timeout_s):
            await self._take(name, address, frames.feed(data))
        await self._take(name, address, frames.end())

    async def _take(self, name: str, address: str, items: list[Message | Skipped]) -> None:
        for item in items:
            if isinstance(item, Skipped):
                self._intake.lose(address, "overlong_or_noise")
                continue
            while not self._intake.offer(address, item.data, name):  # noqa: ASYNC110 - another thread makes room
                await asyncio.sleep(ROOM_S)


class _Datagrams(asyncio.DatagramProtocol):
    """Each datagram is one message."""

    def __init__(self, intake: SyslogIntake) -> None:
        self._intake = intake

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        address = str(addr[0])
        if not self._intake.knows(address):
            UNKNOWN.labels("udp").inc()
        elif not self._intake.offer(address, data.rstrip(b"\r\n\0"), "udp"):
            self._intake.lose(address, "flood")

    def error_received(self, exc: Exception) -> None:
        LOST.labels("unknown", type(exc).__name__).inc()


def server_context(settings: SyslogSettings, folder: Path) -> ssl.SSLContext | None:
    """Return what TLS needs, or None where no TLS port is set.

    Parameters
    ----------
    folder
        Where relative paths start.

    Raises
    ------
    CertificateError
        If a file cannot be read or does not hold.
    """
    if settings.tls_port is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / settings.certificate_file, folder / settings.key_file)
        if settings.client_ca_file:
            context.load_verify_locations(folder / settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise CertificateError(error.strerror or type(error).__name__) from error
    return context
