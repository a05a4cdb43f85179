"""A receiver of webhooks on loopback, as rude as a test wants it."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


@dataclass(frozen=True)
class Posted:
    """One request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


@dataclass(frozen=True)
class Answer:
    """What is answered, after so many seconds."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


@dataclass
class Receiver:
    """What came, and how the next one is answered."""

    url: str
    answer: Callable[[Posted], Answer] = lambda _posted: Answer()
    came: list[Posted] = field(default_factory=list)
    taken: list[Posted] = field(default_factory=list)
    connections: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def ids(self, device: str = "") -> list[str]:
        """Return the ids of what was taken, in order, of one device or of all."""
        return [one.id for one in self.taken if not device or one.event["subject"] == device]

    def wait_for(self, is_so: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until something holds of what came."""
        with self._changed:
            assert self._changed.wait_for(is_so, within_s), f"came {len(self.came)}, taken {len(self.taken)}"

    def take(self, posted: Posted) -> Answer:
        answer = self.answer(posted)
        with self._changed:
            self.came.append(posted)
            if 200 <= answer.status < 300 and not answer.after_s:
                self.taken.append(posted)
            self._changed.notify_all()
        return answer


@contextmanager
def receiving(*, port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = receiver.take(Posted({name.lower(): said for name, said in self.headers.items()}, body))
            time.sleep(answer.after_s)
            self.send_response(answer.status)
            for name, said in {"content-length": "0", **answer.headers}.items():
                self.send_header(name, said)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: callers hang up as the tests want them to."""

    server = Server(("127.0.0.1", port), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/news?token=s3cret")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
