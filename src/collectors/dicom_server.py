"""The transport under the application entity: pynetdicom's, with what it leaves open closed.

Measured and read in pynetdicom 3.0.4 (reference/protocols.md, section 3): an accepted socket has no timeout, so that
a peer that stops within a PDU holds two threads for ever (#979); a socket that the peer has reset is not closed; the
length of a PDU and of an object is whatever the peer says; Nagle is on; and the upper-layer loop sleeps a
millisecond between looks.
"""

import contextlib
import socket
import threading
import time
from typing import Any, ClassVar, Final

import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from collectors import metrics
from collectors.settings import DicomSettings

MAX_PDU_BYTES: Final = 1024 * 1024
"""No PDU may be longer, whatever was negotiated; an association request can exceed the negotiated length."""

BUSY_SLEEP_S: Final = 0.0001
IDLE_SLEEP_S: Final = 0.002
LOOKS_BEFORE_IDLE: Final = 1_000
"""After so many looks without data (0.2 s) the loop of an association sleeps longer, to leave the processor alone."""

_log: Final = structlog.get_logger("collectors.dicom")


class BoundedSocket(AssociationSocket):
    """A peer's socket with a deadline for each PDU and a limit for PDUs and objects."""

    def __init__(self, association: Association, client: socket.socket, settings: DicomSettings) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(settings.idle_timeout_s)
        super().__init__(association, client_socket=client)
        self._settings = settings
        self._object_bytes = 0
        self._looks = 0

    @property
    def ready(self) -> bool:
        """Whether data can be read; sets how long the association's loop sleeps until it looks again."""
        is_ready = super().ready
        self._looks = 0 if is_ready else self._looks + 1
        sleep_s = BUSY_SLEEP_S if self._looks < LOOKS_BEFORE_IDLE else IDLE_SLEEP_S
        self.assoc.dul._run_loop_delay = sleep_s  # noqa: SLF001 - pynetdicom has no public setting for it
        return is_ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes, fewer if the peer closes; OSError beyond a limit, which ends the association."""
        self._object_bytes += nr_bytes
        if nr_bytes > MAX_PDU_BYTES or self._object_bytes > self._settings.max_object_bytes:
            metrics.CONNECTIONS_CUT.labels("too_large").inc()
            raise OSError("the peer sends more than is allowed")
        client = self.socket
        if client is None:
            raise OSError("the connection is closed")
        deadline = time.monotonic() + self._settings.idle_timeout_s
        received = bytearray()
        while len(received) < nr_bytes:
            client.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = client.recv(min(65_536, nr_bytes - len(received)))
            if not chunk:
                break
            received += chunk
        return received

    def message_complete(self) -> None:
        """Begin to count a new object."""
        self._object_bytes = 0

    def _shutdown_socket(self) -> None:
        """Close even what cannot be shut down because the peer has gone."""
        if self.socket is None:
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class _Connection(RequestHandler):
    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the plain socket announced itself; ours will
        server = self.server
        assert isinstance(server, ScannerServer)  # noqa: S101 - narrows the type; it makes these handlers
        association.dul.socket = BoundedSocket(association, self.request, server.settings)
        return association


class ScannerServer(ThreadedAssociationServer):
    """Accepts the scanners' connections; an association has two threads of its own.

    Parameters
    ----------
    settings
        Address and limits.
    """

    request_queue_size: ClassVar[int] = 256  # type: ignore[misc] # a class variable in socketserver too

    def __init__(
        self, entity: ApplicationEntity, settings: DicomSettings, handlers: list[evt.EventHandlerType]
    ) -> None:
        self.settings = settings
        address = (settings.host, settings.port)
        super().__init__(
            entity,
            address,
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=[*handlers, (evt.EVT_DIMSE_RECV, _message_complete)],
            request_handler=_Connection,
        )
        entity._servers.append(self)  # noqa: SLF001 - shutdown() takes the server out of there

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make the association in this thread: it starts its own and returns at once."""
        self.finish_request(request, client_address)

    def verify_request(self, _request: Any, _client_address: Any) -> bool:
        """Whether to talk to a peer at all: a flood is cut before it costs threads."""
        if len(self.active_associations) < 4 * self.settings.max_associations:
            return True
        metrics.CONNECTIONS_CUT.labels("flood").inc()
        return False

    def service_actions(self) -> None:
        """Do nothing: pynetdicom would collect garbage here, to close sockets that we close ourselves."""

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Log without the traceback that socketserver prints."""
        _log.exception("connection_failed")

    def stop(self) -> None:
        """Accept nobody any more and end all associations."""
        self.shutdown()
        associations = self.active_associations
        for association in associations:
            association.abort(block=False)
        deadline = time.monotonic() + 5.0
        for association in associations:
            association.join(max(0.0, deadline - time.monotonic()))
            transport = association.dul.socket
            if association.is_alive() and transport is not None:
                transport.close()


def be_quick(event: Event) -> None:
    """Let an association that we requested answer without delay; bind it to EVT_CONN_OPEN."""
    association = event.assoc
    association.dul._run_loop_delay = BUSY_SLEEP_S  # noqa: SLF001 - pynetdicom has no public setting for it
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _message_complete(event: Event) -> None:
    transport = event.assoc.dul.socket
    if isinstance(transport, BoundedSocket):
        transport.message_complete()


def serve(server: ScannerServer) -> threading.Thread:
    """Serve in a thread of its own until `ScannerServer.stop`."""
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom-server", daemon=True
    )
    thread.start()
    return thread
