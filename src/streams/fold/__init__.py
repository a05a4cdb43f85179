"""The device fold: pure ``(state, event) -> (state, outcomes, next deadline)``; no clock, no I/O, no log."""

from typing import Final

FOLD_VERSION: Final = 4
"""Raised with every change that can change a decision; stands on each event."""
