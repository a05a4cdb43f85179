"""Systems that take HL7 version 2 over MLLP on loopback: hl7apy's own server, and rude ones that a test writes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

START, END = b"\x0b", b"\x1c\r"


def acknowledged(message: str, code: str, *, control_id: str | None = None, more: str = "") -> str:
    """Return an acknowledgement of a message as a receiver writes it."""
    name = message.split("\r", maxsplit=1)[0].split("|")[9] if control_id is None else control_id
    return f"MSH|^~\\&|RIS|RXX|BONEWATCH||20261102094106||ACK^R01^ACK|7|P|2.5.1\rMSA|{code}|{name}\r{more}"


class Ris(AbstractHandler):  # type: ignore[misc]
    """Takes what hl7apy can read and its definitions allow, or answers as it is told to."""

    def __init__(self, message: str, taken: list[str], codes: list[str]) -> None:
        super().__init__(message)
        self._taken, self._codes = taken, codes

    def reply(self) -> str:
        parse_message(self.incoming_message).validate()
        code = self._codes.pop(0) if self._codes else "AA"
        if code == "AA":
            self._taken.append(self.incoming_message)
        return f"\x0b{acknowledged(self.incoming_message, code)}\x1c\r"


@contextmanager
def ris(port: int, taken: list[str], codes: list[str] | None = None) -> Iterator[int]:
    """Run hl7apy's server; 0: on a free port. It closes the connection after each message."""
    server = MLLPServer("127.0.0.1", port, {"ORU^R01^ORU_R01": (Ris, taken, codes or [])}, timeout=5)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Conversation = Callable[[socket.socket], None]
"""What a rude receiver does with a connection; it is closed afterwards."""


@contextmanager
def rude(*conversations: Conversation, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a receiver that does these things, one a connection, and then takes no more."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def serve() -> None:
        for conversation in conversations:
            with (
                contextlib.suppress(OSError),
                listener.accept()[0] as raw,
                raw if context is None else context.wrap_socket(raw, server_side=True) as connection,
            ):
                taken.append(connection)
                connection.settimeout(5)
                conversation(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        for one in (listener, *taken):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        listener.close()


def received(connection: socket.socket) -> str:
    """Return the next message that comes, or what came of it before the end."""
    data = b""
    while not data.endswith(END):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data.removeprefix(START).removesuffix(END).decode()


def saying(*answers: Callable[[str], bytes]) -> Conversation:
    """Answer each message that comes on a connection, and wait for the end of it."""

    def conversation(connection: socket.socket) -> None:
        for answer in answers:
            connection.sendall(answer(received(connection)))
        while connection.recv(65536):
            pass

    return conversation


def block(text: str) -> bytes:
    return START + text.encode() + END


def taking(message: str) -> bytes:
    """Acknowledge a message."""
    return block(acknowledged(message, "AA"))


def tls_server(certificate: Any, key: Any, ca_file: Any = None) -> ssl.SSLContext:
    """Return a server's TLS; with `ca_file` it asks the client for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
