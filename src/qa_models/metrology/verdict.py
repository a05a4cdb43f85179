"""What a check of a device comes to."""

from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of one check; a check that could not be judged has none."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    WARN = "warn"
    FAIL = "fail"
