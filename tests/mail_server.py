"""A real SMTP server on loopback (aiosmtpd) that keeps what it is given, and can be stopped and started."""

import email
import email.policy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True)
class Mail:
    """One message as it came."""

    to: tuple[str, ...]
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The address in it that acknowledges, as far as it stands behind the host's name."""
        return next((word for word in self.text.split() if "/acknowledge?" in word), "")


@dataclass
class MailServer:
    """What came; `refuses` says why a message is not taken (an SMTP answer), `before` is called as one comes."""

    port: int
    came: list[Mail] = field(default_factory=list)
    refuses: Callable[[Mail], str] = lambda _mail: ""
    _controller: Controller | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        content: Any = envelope.content
        message = email.message_from_bytes(content, policy=email.policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        mail = Mail(tuple(envelope.rcpt_tos), str(message["subject"]), str(body.get_content()).replace("\r\n", "\n"))
        if why := self.refuses(mail):
            return why
        with self._changed:
            self.came.append(mail)
            self._changed.notify_all()
        return "250 taken"

    def wait_for(self, count: int, within_s: float = 15.0) -> list[Mail]:
        """Wait for so many messages; return all that came."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.came) >= count, within_s), f"{len(self.came)} came"
            return list(self.came)

    def url(self, to: str = "{address}") -> str:
        """The Apprise URL that leads here."""
        return f"mailto://127.0.0.1:{self.port}?from=bonewatch@example.org&to={to}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server for the length of a block."""
    server = MailServer(free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def eventually(is_so: Callable[[], bool], within_s: float = 15.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.02)
