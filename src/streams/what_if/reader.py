"""A site's past under other rules, read from its log; the log is opened for reading and nothing is written."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from streams.fold.state import state_from_blob
from streams.policy import DevicePolicy
from streams.sqlite_log import SqliteEventLog
from streams.what_if.differences import Difference
from streams.what_if.expected import Expected, expected_of, spread_of
from streams.what_if.proposal import Proposal
from streams.what_if.replay import replayed

LOG_FILE: Final = "site-log.sqlite"


class Answer(msgspec.Struct, frozen=True):
    """What would have been otherwise on one device, and what to expect of both sets of rules from now on, by phantom.

    `expected` has that of the rules in force first; a phantom with too few readings is left out.
    """

    difference: Difference
    expected: dict[str, tuple[Expected, Expected]]


class LoggedPast:
    """Answers what other rules would have said; safe from any thread, one question at a time.

    Parameters
    ----------
    folder
        The site's data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_FILE
        self._one_at_a_time = threading.Lock()

    def policy(self, device: str) -> DevicePolicy | None:
        """Return the policy in force of a device; None where the log knows nothing of it.

        Raises
        ------
        LogError
            The log cannot be read.
        """
        with SqliteEventLog(self._path, read_only=True) as log:
            return _policy(log, device)

    def answer(
        self, device: str, proposal: Proposal, since: datetime, progress: Callable[[int], None] = lambda _: None
    ) -> Answer:
        """Replay one device.

        Raises
        ------
        LogError
            The log cannot be read.
        """
        with self._one_at_a_time, SqliteEventLog(self._path, read_only=True) as log:
            found = replayed(device, log.rows(device), proposal, since, progress)
            policy = _policy(log, device)
        expected = dict[str, tuple[Expected, Expected]]()
        for name, places in found.places.items():
            spread = spread_of(places)
            if spread is None or policy is None:
                continue
            try:
                expected[name] = expected_of(policy.qc, *spread), expected_of(proposal.qc, *spread)
            except ValueError:
                continue  # a spread so small or large that no chart is reckoned for it
        return Answer(found, expected)


def _policy(log: SqliteEventLog, device: str) -> DevicePolicy | None:
    stored = next((one for one in log.states() if one.device == device), None)
    return state_from_blob(stored.blob).policy if stored else None
