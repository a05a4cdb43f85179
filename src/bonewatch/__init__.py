"""Command line, configuration, and the wiring of a process; nothing else wires."""
