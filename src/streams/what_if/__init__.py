"""What other rules would have said of a device's past: its log folded under both, and the difference."""
