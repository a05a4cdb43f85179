"""What a demonstration can make happen; the site wires it in demo mode only."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class DemoAction(msgspec.Struct, frozen=True):
    """One thing that a visitor can make happen, to one device or (None) to the whole department."""

    name: str
    title: str
    text: str
    device_id: str | None = None


class DemoControls(Protocol):
    """The hands behind a demonstration."""

    def actions(self) -> Sequence[DemoAction]:
        """Return what can be made to happen, in the order to show it."""

    def run(self, name: str, device_id: str | None) -> str:
        """Make it happen and return one sentence for the visitor; KeyError for what is not offered."""
