"""What the application entity serves beside storage and worklist: each a part with contexts and handlers of its own."""

from collections.abc import Sequence
from typing import Protocol

from pynetdicom import AE, evt


class DicomService(Protocol):
    """One service of the application entity."""

    def add_to(self, entity: AE) -> None:
        """Add the presentation contexts that it serves."""

    @property
    def handlers(self) -> Sequence[evt.EventHandlerType]:
        """Its handlers; no other service has any for the same event."""

    def start(self) -> None:
        """Begin what runs beside the associations."""

    def stop(self) -> None:
        """End it; a stopped service can be started again."""
