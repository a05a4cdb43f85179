"""Statistics that decide whether a bone densitometry device may be used: pure functions and small state."""
