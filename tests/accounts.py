"""Accounts of invented people: hashes that cost no time, and a clock that the test moves."""

from datetime import datetime
from typing import Final

import pytest
from argon2 import PasswordHasher

from tests.console_fakes import NOW

PASSWORD: Final = "correct horse battery"  # noqa: S105 - of invented people
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class MovableClock:
    """Says what the test wants."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    """A clock that stands until the test moves it."""
    return MovableClock()
