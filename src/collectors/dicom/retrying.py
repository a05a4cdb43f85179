"""When a peer in trouble is tried again: later each time, said once."""

import time
from typing import Final

import structlog

from collectors.errors import CollectorError

_log: Final = structlog.get_logger("collectors.dicom")


def doubled_s(first_s: float, tries: int, most_s: float) -> float:
    """Return how long to wait after so many tries: twice as long each time, up to the longest."""
    return float(min(most_s, first_s * 2 ** min(max(tries - 1, 0), 30)))


class Retrying:
    """The trouble with one peer under one title; for one thread.

    Parameters
    ----------
    name
        What the log calls it.
    first_s, most_s
        The first wait, doubled each time up to the longest.
    said
        Stands in the log's lines.
    """

    def __init__(self, name: str, first_s: float, most_s: float, **said: str) -> None:
        self._name, self._said = name, said
        self._first_s, self._most_s = first_s, most_s
        self._wait_s = 0.0
        self._until = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether it is too early to try again."""
        return time.monotonic() < self._until

    @property
    def waits_s(self) -> float:
        """How long until it may be tried again."""
        return max(0.0, self._until - time.monotonic())

    def failed(self, error: Exception) -> None:
        """Wait, longer than the last time; of an error that is none of ours only the name is said."""
        if not self._wait_s:
            code = error.code if isinstance(error, CollectorError) else type(error).__name__
            reason = str(error) if isinstance(error, CollectorError) else ""
            _log.warning(f"{self._name}_in_trouble", code=code, reason=reason, **self._said)
        self._wait_s = min(self._most_s, 2 * self._wait_s or self._first_s)
        self._until = time.monotonic() + self._wait_s

    def succeeded(self) -> None:
        """All is well."""
        if self._wait_s:
            _log.info(f"{self._name}_well_again", **self._said)
        self._wait_s = self._until = 0.0
