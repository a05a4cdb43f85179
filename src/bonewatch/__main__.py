"""Runs the command line: ``python -m bonewatch``."""

from bonewatch.cli import main

main()
