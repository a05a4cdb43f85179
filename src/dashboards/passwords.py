"""Argon2, a few passwords at a time: each takes 64 MiB while it is worked on, and anybody can send one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import PasswordHasher

AT_ONCE: Final = 2
"""Passwords worked on at the same time, whatever is asked: 128 MiB with the library's parameters."""

WAITING: Final = 8
"""Callers that may wait for their turn; each holds a thread that other pages need."""

WAITS_S: Final = 3.0
"""How long a caller waits for its turn."""


class HashingBusyError(Exception):
    """No turn came free; nothing was hashed. Try again in a few seconds."""

    def __str__(self) -> str:
        return "Too many people are signing in at this moment. Try again in a few seconds"


class HashingTurns:
    """Lends the hasher to a few callers at a time; it is the only way to it.

    Parameters
    ----------
    hasher
        Argon2 parameters.
    waits_s
        How long a caller waits for its turn before it is refused.
    """

    def __init__(self, hasher: PasswordHasher, *, waits_s: float = WAITS_S) -> None:
        self._hasher = hasher
        self._waits_s = waits_s
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def turn(self) -> Iterator[PasswordHasher]:
        """Yield the hasher for as long as the caller works with it; HashingBusyError if no turn comes free."""
        if not self._places.acquire(blocking=False):
            raise HashingBusyError
        try:
            if not self._turns.acquire(timeout=self._waits_s):
                raise HashingBusyError
            try:
                yield self._hasher
            finally:
                self._turns.release()
        finally:
            self._places.release()
