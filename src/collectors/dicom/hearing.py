"""When each peer last opened an association, whatever for: a scanner that asks for nothing is silent."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pynetdicom import AE, evt
from pynetdicom.events import Event

MOST: Final = 1_000
"""More titles are not remembered: a peer may call itself anything."""


class Hearing:
    """Remembers when each AE title was heard last since the start (a `DicomService`); safe from any thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._heard: dict[str, datetime] = {}

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        """What is called when an association has been accepted."""
        return [(evt.EVT_ESTABLISHED, self._note)]

    def add_to(self, entity: AE) -> None:
        """Add no presentation context."""

    def start(self) -> None:
        """Do nothing: associations come by themselves."""

    def stop(self) -> None:
        """Do nothing."""

    def heard_at(self, ae_title: str) -> datetime | None:
        """Return when a peer was heard last; None where it has not been since the start."""
        return self._heard.get(ae_title)

    def _note(self, event: Event) -> None:
        title = event.assoc.requestor.ae_title.strip()
        if title in self._heard or len(self._heard) < MOST:
            self._heard[title] = self._clock()
