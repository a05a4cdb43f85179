"""Uptime for people and programs: figures, CSV, a sheet of paper."""
