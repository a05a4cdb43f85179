"""HTTP API for programs."""
