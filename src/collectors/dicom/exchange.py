"""One request and its response over an association of ours, with a data set sent as the bytes it is."""

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_CREATE, N_EVENT_REPORT, N_SET
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from collectors.dicom.deadline_socket import DeadlineSocket, RequestingEntity
from collectors.errors import CollectorError

Message = C_STORE | N_ACTION | N_CREATE | N_EVENT_REPORT | N_SET
"""What can be asked of a peer here."""

MAX_CONTEXTS: Final = 128
"""So many presentation contexts fit one association."""
_LOOK_S: Final = 0.1
_SLACK_S: Final = 5.0
_ENDS_WITHIN_S: Final = 1.0


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
        request = partial(
            entity.associate,
            host,
            port,
            contexts=list(contexts),
            ae_title=ae_title,
            ext_neg=list(roles),
            evt_handlers=[*handlers, (evt.EVT_DIMSE_RECV, _message_complete)],
        )
        self._association = _in_time(request, 2 * timeout_s + _SLACK_S)
        self._checkpoint = Checkpoint()
        self._association._reactor_checkpoint = self._checkpoint  # noqa: SLF001 - the association's thread looks here
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
        self._checkpoint.clear()  # as pynetdicom's own send methods do
        try:
            while not self._checkpoint.is_somebody_held(_LOOK_S):
                if not association.is_alive():  # its thread has ended, and is never held
                    raise BrokenOffError("the peer has ended the association")
            association.dimse.send_msg(request, context_id)
            while True:
                place, message = _next_message(association)
                if message is None or place is None:
                    raise BrokenOffError("the peer broke off, or did not answer in time")
                if isinstance(message, type(request)) and message.MessageIDBeingRespondedTo == request.MessageID:
                    return message
                association._serve_request(message, place)  # noqa: SLF001
        finally:
            self._checkpoint.set()


class Checkpoint(threading.Event):
    """Where an association's thread is held while another speaks for it; knows whether anybody is held.

    pynetdicom says that its thread is paused before it waits, and goes on saying so for a moment after it was let go:
    who believes it may have the answer to a request taken away, and then waits for it until the time is up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._change = threading.Condition()
        self._is_open = True
        self._held = 0

    def is_set(self) -> bool:
        """Whether it lets everybody pass."""
        return self._is_open

    def set(self) -> None:
        """Let everybody pass, those who are held too."""
        with self._change:
            self._is_open = True
            self._change.notify_all()

    def clear(self) -> None:
        """Hold whoever comes."""
        with self._change:
            self._is_open = False

    def wait(self, timeout: float | None = None) -> bool:
        """Pass, or be held until it is open; return whether it is."""
        with self._change:
            self._held += 1
            self._change.notify_all()
            try:
                return self._change.wait_for(self.is_set, timeout)
            finally:
                self._held -= 1

    def is_somebody_held(self, within_s: float) -> bool:
        """Whether it is closed and somebody stands before it, or does so in time."""
        with self._change:
            return self._change.wait_for(lambda: not self._is_open and self._held > 0, within_s)


def _in_time(associate: Callable[[], Association], within_s: float) -> Association:
    """Return the association; PeerError if pynetdicom is still at it long after its own time limits.

    It waits without a limit for its own state machine in some places (`Association.kill`): that holds one idle thread
    then, and not the caller. An association that comes about after all is closed: nobody would use it.
    """
    made: queue.SimpleQueue[Association | Exception] = queue.SimpleQueue()
    lock, given_up = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            result: Association | Exception = associate()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            result = error
        with lock:
            is_late = given_up.is_set()
            if not is_late:
                made.put(result)
        if is_late and not isinstance(result, Exception):
            close(result)

    threading.Thread(target=run, name="peer-associate", daemon=True).start()
    with suppress(queue.Empty):
        return _made(made.get(timeout=within_s))
    with lock:
        given_up.set()
    with suppress(queue.Empty):  # it came just before the lock
        return _made(made.get_nowait())
    raise PeerError("the peer cannot be reached: no association came about in time")


def _made(result: Association | Exception) -> Association:
    if isinstance(result, Exception):
        raise result
    return result


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
    """Release, or abort what cannot be released; its threads and socket go with it.

    One that the peer has just ended is left to end: an abort beside the peer's own is an event that pynetdicom's state
    machine does not know, and its thread dies of it.
    """
    if association.is_established:
        _hold(association)
        association.release()
    if association.is_alive():
        association.join(_ENDS_WITHIN_S)
    if association.is_alive() and not association.is_released:
        association.abort()


def _hold(association: Association) -> None:
    """Wait until the association's thread is held: pynetdicom's own release may begin while it still answers."""
    checkpoint = association._reactor_checkpoint  # noqa: SLF001 - see `Checkpoint`
    if isinstance(checkpoint, Checkpoint):
        checkpoint.clear()
        checkpoint.is_somebody_held(_ENDS_WITHIN_S)


def _message_complete(event: evt.Event) -> None:
    transport = event.assoc.dul.socket
    if isinstance(transport, DeadlineSocket):
        transport.message_complete()
