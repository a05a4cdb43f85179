"""Measurements of this machine with this program; never run by a test."""
