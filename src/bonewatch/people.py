"""Asks for a person's new password."""

import getpass
import sys

from bonewatch.errors import ConfigError


def password_twice() -> str:
    """Return a password that was typed the same twice, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise ConfigError("the two passwords differ")
    return first
