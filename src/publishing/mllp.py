"""Tells a system that takes HL7 version 2 over MLLP (HL7's "minimal lower layer protocol", release 1).

A message is a block between 0x0B and 0x1C 0x0D; the receiver answers with a block that acknowledges it. The connection
is kept between messages, and made anew once where the receiver had closed it. A message that got no answer is sent
again later as it was, control id and all: the receiver tells by that id that it has it already.
"""

import socket
import ssl
import time
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

from publishing.acknowledgement import acknowledgement
from publishing.delivery import Delivery, Message, Postponed, Result
from publishing.oru import OruComposer
from publishing.published import Notice
from publishing.settings import MllpSettings
from publishing.trust import context_of

START: Final = b"\x0b"
END: Final = b"\x1c\r"
MOST_BYTES: Final = 65_536
"""A receiver that does not stop answering is not listened to for longer."""
IDLE_S: Final = 30.0
"""A connection that was not used for so long is not relied on: what lies between may have forgotten it."""


class NoAnswerError(Exception):
    """There was no answer to a message; the text says what there was instead."""


class Blocks:
    """Takes bytes, gives the contents of whole blocks; what stands outside of one is noise.

    The carriage return after a block is among that: some receivers leave it out.
    """

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[bytes]:
        """Return the blocks that these bytes complete."""
        self._buffer += data
        found = []
        while (end := self._buffer.find(END[:1])) >= 0:
            block, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            start = block.rfind(START)
            if start >= 0:
                found.append(block[start + 1 :])
        return found


def tls_context(settings: MllpSettings, folder: Path) -> ssl.SSLContext | None:
    """Return what is asked of a receiver's certificate and shown of our own; None without TLS.

    Parameters
    ----------
    folder
        What the settings' files are relative to.

    Raises
    ------
    ValueError
        A file cannot be used; the text names its key and says why.
    """
    if not settings.tls:
        return None
    files = {"ca_file": settings.ca_file, "certificate_file": settings.certificate_file, "key_file": settings.key_file}
    return context_of(folder, **files)


class MllpChannel:
    """One system that takes ORU^R01 over MLLP; for one thread.

    Parameters
    ----------
    settings
        Where it is, for how long it is waited for, and what stands in MSH.
    context
        By `tls_context`; None: without TLS.
    site
        The site's id.
    log
        The site log's file.
    zone
        In which times are written.
    """

    def __init__(
        self, settings: MllpSettings, context: ssl.SSLContext | None, *, site: str, log: Path, zone: tzinfo = UTC
    ) -> None:
        self._settings, self._context = settings, context
        self._composer = OruComposer(settings, site=site, log=log, zone=zone)
        self._socket: socket.socket | None = None
        self._used_at = 0.0

    def compose(self, notice: Notice) -> tuple[Message, ...]:
        """Return the messages of a notice, one a measurement; none where there is nothing to say."""
        return self._composer.compose(notice)

    def deliver(self, delivery: Delivery) -> Result:
        """Send one message and wait for its acknowledgement."""
        deadline = time.monotonic() + self._settings.timeout_s
        if time.monotonic() - self._used_at > IDLE_S:
            self._hang_up()
        is_kept = self._socket is not None
        try:
            try:
                return self._exchange(delivery, deadline)
            except (ConnectionError, ssl.SSLError):
                if not is_kept:
                    raise
            self._hang_up()
            return self._exchange(delivery, deadline)
        except (OSError, NoAnswerError) as error:
            self._hang_up()
            return Postponed(self._words(error), everything=True)

    def close(self) -> None:
        """Close the connection and the log."""
        self._hang_up()
        self._composer.close()

    def _exchange(self, delivery: Delivery, deadline: float) -> Result:
        """Send a message and read until its acknowledgement; what acknowledges another one is not for it."""
        connection = self._connected(deadline)
        connection.settimeout(_left_s(deadline))
        connection.sendall(START + delivery.body + END)
        blocks, received, heard = Blocks(), 0, ""
        while True:
            try:
                connection.settimeout(_left_s(deadline))
                data = connection.recv(MOST_BYTES)
            except TimeoutError as error:
                raise NoAnswerError(f"no answer within {self._settings.timeout_s:g} s{heard}") from error
            received += len(data)
            if not data:
                raise ConnectionAbortedError
            if received > MOST_BYTES:
                raise NoAnswerError("it answers without end")
            for block in blocks.receive(data):
                said = acknowledgement(block)
                if said is not None and said.control_id == delivery.message_id:
                    self._used_at = time.monotonic()
                    return said.result
                heard = ", but " + ("one that is no acknowledgement" if said is None else "one to another message")

    def _connected(self, deadline: float) -> socket.socket:
        """Return the connection, made if there is none; TLS, where it is asked for, within the same time."""
        if self._socket is None:
            host = self._settings.host
            try:
                raw = socket.create_connection((host, self._settings.port), timeout=_left_s(deadline))
            except UnicodeError as error:
                raise socket.gaierror from error  # no name of a host can be so
            try:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                raw.settimeout(_left_s(deadline))
                self._socket = self._context.wrap_socket(raw, server_hostname=host) if self._context else raw
            except BaseException:
                raw.close()
                raise
        return self._socket

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _words(self, error: OSError | NoAnswerError) -> str:
        """Return what is wrong with the connection."""
        match error:
            case NoAnswerError():
                words = str(error)
            case ssl.SSLCertVerificationError():
                words = f"its certificate is not trusted: {error.verify_message}"
            case ssl.SSLError():
                words = f"TLS fails: {error.reason or type(error).__name__}"
            case TimeoutError():
                words = f"no connection within {self._settings.timeout_s:g} s"
            case ConnectionRefusedError():
                words = "it refuses the connection: nothing listens there"
            case ConnectionError():
                words = "it closed the connection without an answer"
            case socket.gaierror():
                words = "its host's name is not known"
            case _:
                words = f"it cannot be reached: {error.strerror or type(error).__name__}"
        return words


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
