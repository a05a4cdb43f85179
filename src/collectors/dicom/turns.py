"""Whose turn it is to speak on an association that a peer opened: its own thread's, or one of ours with a request.

pynetdicom answers in the association's thread, and has no way for another to send meanwhile without mixing the parts
of two messages. What the peer answers is seen as it comes in, and is passed over by the association's thread.
"""

import threading
from typing import Any, Final
from weakref import WeakKeyDictionary

from pynetdicom.association import Association

_turns: Final[WeakKeyDictionary[Association, threading.Lock]] = WeakKeyDictionary()


def take_turns(association: Association) -> None:
    """Have an association's thread take its turn for each request that it answers."""
    turn = _turns[association] = threading.Lock()
    serve = association._serve_request  # noqa: SLF001 - pynetdicom has no public place for it

    def serve_in_turn(message: Any, context_id: int) -> None:
        with turn:
            serve(message, context_id)

    association._serve_request = serve_in_turn  # type: ignore[method-assign, assignment] # noqa: SLF001


def turn_on(association: Association) -> threading.Lock:
    """Return what must be held to send on an association that takes turns."""
    return _turns[association]
