"""One request and its response over an association of ours, with a data set sent as the bytes it is."""

import math
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_CREATE, N_EVENT_REPORT, N_SET
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from collectors.dicom.deadline_socket import BUSY_SLEEP_S, DeadlineSocket, RequestingEntity
from collectors.errors import CollectorError

Message = C_STORE | N_ACTION | N_CREATE | N_EVENT_REPORT | N_SET
"""What can be asked of a peer here."""

MAX_CONTEXTS: Final = 128
"""So many presentation contexts fit one association."""
_LOOK_S: Final = 0.1


class PeerError(CollectorError):
    """The peer is away, refuses the association, is silent for too long or breaks off; ask again later."""

    code = "peer_away"


class PeerRejectsError(PeerError):
    """The peer does not know our AE title, or has no association to spare."""

    code = "peer_rejects"


class NoContextError(PeerError):
    """The peer takes none of the classes and transfer syntaxes that were proposed."""

    code = "no_context"


class BrokenOffError(PeerError):
    """The association broke within an exchange: the peer may or may not have taken what was asked."""

    code = "peer_broke_off"


class Peer:
    """An association with a peer for the length of a block; not for two threads at once.

    Parameters
    ----------
    host, port, ae_title
        The peer.
    calling_ae
        What we call ourselves.
    timeout_s
        For connecting, negotiating, and each answer.
    contexts
        What is proposed, at most 128.
    roles
        Which of them we would serve rather than use.
    handlers
        For what the peer asks of us meanwhile.

    Raises
    ------
    PeerRejectsError
        The peer does not want us.
    NoContextError
        It accepts nothing of what is proposed.
    PeerError
        It is not there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ae_title: str,
        *,
        calling_ae: str,
        timeout_s: float,
        contexts: Sequence[PresentationContext],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
        handlers: Sequence[evt.EventHandlerType] = (),
    ) -> None:
        entity = RequestingEntity(calling_ae, timeout_s)
        self._association = entity.associate(
            host,
            port,
            contexts=list(contexts),
            ae_title=ae_title,
            ext_neg=list(roles),
            evt_handlers=[*handlers, (evt.EVT_DIMSE_RECV, _message_complete)],
        )
        self._next_id = 0
        if not self._association.is_established:
            close(self._association)
            raise _why_not(self._association)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody waits for a good-bye that the peer takes its time over."""
        threading.Thread(target=close, args=(self._association,), name="peer-close", daemon=True).start()

    @property
    def is_there(self) -> bool:
        """Whether the association still stands."""
        return bool(self._association.is_established)

    def context_id(self, abstract_syntax: str, transfer_syntax: str | None = None) -> int | None:
        """Return the accepted context for a class, in this very transfer syntax or in any; None if there is none."""
        for context in self._association.accepted_contexts:
            if context.abstract_syntax == abstract_syntax and transfer_syntax in {None, context.transfer_syntax[0]}:
                return context.context_id
        return None

    def transfer_syntax(self, context_id: int) -> str:
        """Return the transfer syntax of an accepted context."""
        found = (one for one in self._association.accepted_contexts if one.context_id == context_id)
        return str(next(found).transfer_syntax[0])

    def ask(self, request: Message, context_id: int) -> Message:
        """Send a request and return its response; what the peer asks meanwhile is answered.

        Raises
        ------
        BrokenOffError
            There is no response.
        """
        association = self._association
        self._next_id = self._next_id % 65_535 + 1
        request.MessageID = self._next_id
        association._reactor_checkpoint.clear()  # noqa: SLF001 - as pynetdicom's own send methods do
        try:
            while not association._is_paused:  # noqa: SLF001
                if not association.is_alive():  # its thread has ended, and never pauses
                    raise BrokenOffError("the peer has ended the association")
                time.sleep(BUSY_SLEEP_S)
            association.dimse.send_msg(request, context_id)
            while True:
                place, message = _next_message(association)
                if message is None or place is None:
                    raise BrokenOffError("the peer broke off, or did not answer in time")
                if isinstance(message, type(request)) and message.MessageIDBeingRespondedTo == request.MessageID:
                    return message
                association._serve_request(message, place)  # noqa: SLF001
        finally:
            association._reactor_checkpoint.set()  # noqa: SLF001


def _next_message(association: Association) -> tuple[int | None, Any]:
    """Return the next message and its context; none if it does not come in time, or the association ends.

    pynetdicom's own `get_msg` waits its whole time for what an association that has ended can bring no more.
    """
    until = time.monotonic() + (association.dimse_timeout or math.inf)
    has_ended = False
    while not has_ended and time.monotonic() < until:
        has_ended = not association.is_established  # what came before the end is there by now
        with suppress(queue.Empty):
            return association.dimse.msg_queue.get(timeout=_LOOK_S)
    return None, None


def _why_not(association: Association) -> PeerError:
    if association.is_rejected:
        return PeerRejectsError("the peer rejects the association")
    if association.rejected_contexts:
        return NoContextError("the peer accepts none of the presentation contexts")
    return PeerError("the peer cannot be reached")


def close(association: Association) -> None:
    """Release, or abort what cannot be released; its threads and socket go with it."""
    if association.is_established:
        association.release()
    if association.is_alive() and not association.is_released:
        association.abort()


def _message_complete(event: evt.Event) -> None:
    transport = event.assoc.dul.socket
    if isinstance(transport, DeadlineSocket):
        transport.message_complete()
