"""Files that we fail with, by a fault of ours: tried again less and less often, then given up until the next start."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from collectors.folders import FileState


class _Failing(NamedTuple):
    state: FileState
    since: datetime
    again_at: datetime
    wait: timedelta
    given_up: bool


class Retries:
    """What failed since the start.

    Parameters
    ----------
    wait
        How long to wait after the first failure; each further wait is twice as long.
    give_up
        For how long to try.
    clock
        Says what time it is, UTC.
    """

    def __init__(self, wait: timedelta, give_up: timedelta, clock: Callable[[], datetime]) -> None:
        self._wait, self._give_up, self._clock = wait, give_up, clock
        self._failing: dict[str, _Failing] = {}

    def failed(self, key: str, state: FileState) -> bool:
        """Take a failure; return whether the file is given up, as it is now."""
        now, before = self._clock(), self._of(key, state)
        since, wait = (before.since, before.wait) if before else (now, self._wait)
        given_up = now - since >= self._give_up
        self._failing[key] = _Failing(state, since, now + wait, 2 * wait, given_up)
        return given_up

    def is_waiting(self, key: str, state: FileState) -> bool:
        """Whether it failed a moment ago."""
        failing = self._of(key, state)
        return failing is not None and self._clock() < failing.again_at

    def is_given_up(self, key: str, state: FileState) -> bool:
        """Whether it failed until it was given up."""
        failing = self._of(key, state)
        return failing is not None and failing.given_up

    def forget(self, key: str) -> None:
        """Forget a file that did not fail."""
        self._failing.pop(key, None)

    def forget_more_than(self, most: int) -> None:
        """Forget all where they are too many: they are tried again."""
        if len(self._failing) > most:
            self._failing.clear()

    def _of(self, key: str, state: FileState) -> _Failing | None:
        failing = self._failing.get(key)
        return failing if failing is not None and failing.state == state else None
