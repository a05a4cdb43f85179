"""Turn what a person asks for into facts, or refuse with what is missing. Pure: `now` is handed in."""

from datetime import datetime

from streams.commands import Command, Decision, Refusal
from streams.fold.decisions import commissioning, duties, gate, handover, quality, readings, records, reviews
from streams.fold.decisions.base import FORBIDDEN, MISSING, NOT_NOW, STALE, decided
from streams.fold.decisions.gate import OVERRIDABLE_BY_OPERATOR, OVERRIDABLE_ON_ADVICE
from streams.fold.state import DeviceState


def decide(state: DeviceState, command: Command, *, expected_device_seq: int, now: datetime) -> Decision:
    """Return the facts that `command` becomes, or why it is refused; the state is left as it is."""
    if not state.device_seq - state.notes <= expected_device_seq <= state.device_seq:
        text = "This page is out of date: the device has changed since it was loaded. Look again, then decide."
        return Refusal(STALE, text)
    if state.policy is None:
        return Refusal(NOT_NOW, "This device has no configuration yet.")
    return decided(command, state, now)


__all__ = [
    "FORBIDDEN",
    "MISSING",
    "NOT_NOW",
    "OVERRIDABLE_BY_OPERATOR",
    "OVERRIDABLE_ON_ADVICE",
    "STALE",
    "commissioning",
    "decide",
    "duties",
    "gate",
    "handover",
    "quality",
    "readings",
    "records",
    "reviews",
]
