"""When each peer last opened an association, whatever for: a scanner that asks for nothing is silent."""

from collections.abc import Callable, Iterable
from datetime import datetime

from pynetdicom import AE, evt
from pynetdicom.events import Event


class Hearing:
    """Remembers when each AE title was heard last since the start (a `DicomService`); safe from any thread.

    Parameters
    ----------
    clock
        Says what time it is, UTC.
    titles
        Of the configured devices; others are not remembered, for a peer may call itself anything.
    """

    def __init__(self, clock: Callable[[], datetime], titles: Iterable[str]) -> None:
        self._clock, self._titles = clock, frozenset(titles)
        self._heard: dict[str, datetime] = {}
        self.since = clock()
        """Since when it has been listened."""

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        """What is called when an association has been accepted."""
        return [(evt.EVT_ESTABLISHED, self._note)]

    def add_to(self, entity: AE) -> None:
        """Add no presentation context."""

    def start(self) -> None:
        """Note since when associations can come."""
        self.since = self._clock()

    def stop(self) -> None:
        """Do nothing."""

    def heard_at(self, ae_title: str) -> datetime | None:
        """Return when a peer was heard last; None where it has not been since the start."""
        return self._heard.get(ae_title)

    def _note(self, event: Event) -> None:
        title = event.assoc.requestor.ae_title.strip()
        if title in self._titles:
            self._heard[title] = self._clock()
