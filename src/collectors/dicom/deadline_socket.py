"""The socket under an association: pynetdicom's, with what it leaves open closed.

Read and measured in pynetdicom 3.0.4 (reference/protocols.md, section 3): reading a PDU has no deadline, so that a
peer that stops within one holds the association's threads for ever, even through an abort (#979); a socket that was
never connected, or that the peer has reset, is not closed; the length of a PDU and of an object is whatever the peer
says; Nagle is on; and the upper-layer loop sleeps a millisecond between looks.
"""

import contextlib
import socket
import time
from ssl import SSLContext
from typing import Final

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket

from collectors import metrics

MAX_PDU_BYTES: Final = 1024 * 1024
"""No PDU may be longer, whatever was negotiated; an association request can exceed the negotiated length."""

BUSY_SLEEP_S: Final = 0.0001
IDLE_SLEEP_S: Final = 0.002
LOOKS_BEFORE_IDLE: Final = 1_000
"""After so many looks without data (0.2 s) the loop of an association sleeps longer, to leave the processor alone."""


class DeadlineSocket(AssociationSocket):
    """A peer's socket with a deadline for each PDU, and limits for PDUs and objects.

    Parameters
    ----------
    association
        Whose socket it is.
    client
        The accepted socket, or None: then one is made that is bound to `address`.
    timeout_s
        How long a PDU may take from its first byte to its last.
    max_object_bytes
        How much may come in before a message is complete.
    """

    def __init__(
        self,
        association: Association,
        client: socket.socket | None = None,
        address: AddressInformation | None = None,
        *,
        timeout_s: float,
        max_object_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        super().__init__(association, client_socket=client, address=address)
        self._timeout_s = timeout_s
        self._max_object_bytes = max_object_bytes
        self._object_bytes = 0
        self._looks = 0
        if self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(timeout_s)

    @property
    def ready(self) -> bool:
        """Whether data can be read; sets how long the association's loop sleeps until it looks again."""
        is_ready = super().ready
        self._looks = 0 if is_ready else self._looks + 1
        sleep_s = BUSY_SLEEP_S if self._looks < LOOKS_BEFORE_IDLE else IDLE_SLEEP_S
        self.assoc.dul._run_loop_delay = sleep_s  # noqa: SLF001 - pynetdicom has no public setting for it
        return is_ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, fewer if the peer closes; OSError beyond a limit, which ends the association."""
        self._object_bytes += nr_bytes
        if nr_bytes > MAX_PDU_BYTES or self._object_bytes > self._max_object_bytes:
            metrics.CONNECTIONS_CUT.labels("too_large").inc()
            raise OSError("the peer sends more than is allowed")
        client = self.socket
        if client is None:
            raise OSError("the connection is closed")
        deadline = time.monotonic() + self._timeout_s
        received = bytearray()
        while len(received) < nr_bytes:
            client.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = client.recv(min(65_536, nr_bytes - len(received)))
            if not chunk:
                break
            received += chunk
            _acknowledge_now(client)
        client.settimeout(self._timeout_s)
        return received

    def message_complete(self) -> None:
        """Begin to count a new object."""
        self._object_bytes = 0

    def _shutdown_socket(self) -> None:
        """Close even what cannot be shut down because nobody is connected, and what another thread closes meanwhile."""
        client = self.socket
        if client is None:
            return
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()


def _acknowledge_now(client: socket.socket) -> None:
    """Send the TCP acknowledgement at once: a peer with Nagle's delay waits 40 ms for it (the kernel forgets it)."""
    if hasattr(socket, "TCP_QUICKACK"):  # Linux
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class RequestingEntity(AE):
    """An application entity that requests associations over sockets with a deadline.

    Parameters
    ----------
    ae_title
        Its calling AE title.
    timeout_s
        For connecting, negotiating, and each answer.
    """

    def __init__(self, ae_title: str, timeout_s: float) -> None:
        super().__init__(ae_title=ae_title)
        self._timeout_s = timeout_s
        self.connection_timeout = self.acse_timeout = timeout_s
        self.dimse_timeout = timeout_s
        self.network_timeout = None  # it would abort beside a release that waits as long, and the second abort kills

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[SSLContext, str] | None
    ) -> AssociationSocket:
        made = DeadlineSocket(assoc, address=address, timeout_s=self._timeout_s)
        made.tls_args = tls_args
        return made
