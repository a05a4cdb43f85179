"""The listening side of the application entity: pynetdicom's server with limits and a prompt end."""

import threading
import time
from typing import Any, ClassVar, Final

import structlog
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from collectors import metrics
from collectors.dicom.deadline_socket import DeadlineSocket
from collectors.dicom.turns import take_turns
from collectors.settings import DicomSettings

STOP_S: Final = 5.0
"""How long associations may take to end when the server stops."""

_PREFERRED: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)

_log: Final = structlog.get_logger("collectors.dicom")


class _Connection(RequestHandler):
    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the plain socket announced itself; ours will
        server = self.server
        assert isinstance(server, ScannerServer)  # noqa: S101 - narrows the type; it makes these handlers
        association.dul.socket = DeadlineSocket(
            association,
            self.request,
            timeout_s=server.settings.idle_timeout_s,
            max_object_bytes=server.settings.max_object_bytes,
        )
        take_turns(association)
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
            evt_handlers=[
                *handlers,
                (evt.EVT_REQUESTED, _prefer_plain_syntaxes),
                (evt.EVT_DIMSE_RECV, _message_complete),
                (evt.EVT_CONN_CLOSE, _connection_closed),
            ],
            request_handler=_Connection,
        )
        entity._servers.append(self)  # noqa: SLF001 - shutdown() takes the server out of there

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make the association in this thread: it starts its own and returns at once."""
        self.finish_request(request, client_address)

    def verify_request(self, _request: Any, _client_address: Any) -> bool:
        """Whether to talk to a peer at all: a flood is cut before it costs threads."""
        if len(self.active_associations) < 8 * self.settings.max_associations:
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
            if association.is_established:
                association.abort(block=False)
            elif association.dul.socket is not None:
                association.dul.socket.close()
        deadline = time.monotonic() + STOP_S
        for association in associations:
            association.join(max(0.0, deadline - time.monotonic()))


def _prefer_plain_syntaxes(event: Event) -> None:
    """Put what is easiest to read first: pynetdicom takes the first transfer syntax of a storage context."""
    request = event.assoc.requestor.primitive
    for context in request.presentation_context_definition_list if request else ():
        context.transfer_syntax = sorted(context.transfer_syntax, key=_preference)


def _preference(transfer_syntax: object) -> int:
    return next((place for place, one in enumerate(_PREFERRED) if one == transfer_syntax), len(_PREFERRED))


def _message_complete(event: Event) -> None:
    transport = event.assoc.dul.socket
    if isinstance(transport, DeadlineSocket):
        transport.message_complete()


def _connection_closed(event: Event) -> None:
    """Wake an association that still waits for its request: it would hold its thread until the timeout."""
    if event.assoc.requestor.primitive is None:
        waiting: Any = event.assoc.dul.to_user_queue
        waiting.put(None)  # read as "nothing came", which is so


def serve(server: ScannerServer) -> threading.Thread:
    """Serve in a thread of its own until `ScannerServer.stop`."""
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom-server", daemon=True
    )
    thread.start()
    return thread
