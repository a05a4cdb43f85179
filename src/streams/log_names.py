"""Looks up in a site log what entries are about, and which incidents are open.

An incident's id is the id of the event that opened it, or of the outcome: an override's and a reported one's is an
event, a bypass is an outcome. A bypass in shadow opens none: nobody had been told not to scan.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams import codec
from streams.messages import BypassDetected, Outcome
from streams.policy import Enforcement

RECORDED: Final = "bonewatch.incident-recorded.v1"
CLOSED: Final = "bonewatch.incident-closed.v1"
BYPASS: Final = "bonewatch.bypass-detected.v1"
ATTACHED: Final = "bonewatch.attachment-added.v1"

Fetch = Callable[[str, tuple[object, ...]], list[tuple[Any, ...]]]
"""Runs a query with its values and returns the rows."""


def opens_incident(outcome: Outcome) -> bool:
    """Whether an outcome opens an incident."""
    return isinstance(outcome, BypassDetected) and outcome.enforcement is not Enforcement.SHADOW


class LogNames:
    """See `streams.fold.decisions.records.Named`.

    Parameters
    ----------
    fetch
        Reads the log.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def has(self, device: str, name: str) -> bool:
        """Whether the log of the device holds an event or an outcome of this id."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM events WHERE event_id = ? AND device = ?)"
            " OR EXISTS (SELECT 1 FROM outcomes WHERE outcome_id = ? AND device = ?)"
        )
        ((found,),) = self._fetch(query, (name, device, name, device))
        return bool(found)

    def incident(self, device: str, incident_id: str) -> bool | None:
        """Whether an incident is open; None where there is none of this id."""
        by_event = "SELECT 1 FROM events WHERE event_id = ? AND device = ? AND type = ?"
        is_known = bool(self._fetch(by_event, (incident_id, device, RECORDED)))
        if not is_known:
            by_outcome = "SELECT body FROM outcomes WHERE outcome_id = ? AND device = ? AND type = ?"
            found = self._fetch(by_outcome, (incident_id, device, BYPASS))
            is_known = any(opens_incident(codec.decode_outcome(body).outcome) for (body,) in found)
        return not self._count(device, CLOSED, "incident_id", incident_id) if is_known else None

    def files(self, device: str, about: str) -> int:
        """Return how many files were added to what `about` names."""
        return self._count(device, ATTACHED, "about", about)

    def _count(self, device: str, type_name: str, field: str, value: str) -> int:
        """Count a device's events of a type whose field is this: as it stands in JSON, no other text can hold it."""
        said = f'"{field}":'.encode() + msgspec.json.encode(value)
        query = "SELECT COUNT(*) FROM events WHERE device = ? AND type = ? AND instr(fact, ?) > 0"
        ((count,),) = self._fetch(query, (device, type_name, said))
        return int(count)
