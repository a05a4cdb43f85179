"""Scales and stadiometers on a serial line: the port, how the link stands, and which reading is one measurement."""
