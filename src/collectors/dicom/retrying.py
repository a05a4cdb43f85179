"""When a peer in trouble is tried again: later each time, said once."""

from typing import Final

import structlog

from collectors.errors import CollectorError
from streams.patience import Patience

_log: Final = structlog.get_logger("collectors.dicom")


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
        self._patience = Patience(first_s, most_s)

    @property
    def is_waiting(self) -> bool:
        """Whether it is too early to try again."""
        return not self._patience.is_over

    @property
    def waits_s(self) -> float:
        """How long until it may be tried again."""
        return self._patience.waits_s

    def failed(self, error: Exception) -> None:
        """Wait, longer than the last time; of an error that is none of ours only the name is said."""
        if not self._patience.tries:
            code = error.code if isinstance(error, CollectorError) else type(error).__name__
            reason = str(error) if isinstance(error, CollectorError) else ""
            _log.warning(f"{self._name}_in_trouble", code=code, reason=reason, **self._said)
        self._patience.failed()

    def succeeded(self) -> None:
        """All is well."""
        if self._patience.tries:
            _log.info(f"{self._name}_well_again", **self._said)
        self._patience.succeeded()
