"""Files that we fail with: when they are tried again, and when they are given up."""

from datetime import UTC, datetime, timedelta

from collectors.files.retries import Retries
from collectors.folders import FileState

STATE = FileState(1, 1)


class Failing:
    """Retries with a clock of their own: after 5 s first, for a minute."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        self.retries = Retries(timedelta(seconds=5), timedelta(minutes=1), lambda: self.now)


def test_each_wait_is_twice_as_long_until_the_file_is_given_up() -> None:
    failing, waits = Failing(), []
    while not failing.retries.failed("key", STATE):
        began = failing.now
        while failing.retries.is_waiting("key", STATE):
            failing.now += timedelta(seconds=1)
        waits.append((failing.now - began).total_seconds())
    assert waits == [5, 10, 20, 40]
    assert failing.retries.is_given_up("key", STATE)


def test_a_file_that_has_changed_or_did_not_fail_is_not_waited_for() -> None:
    failing = Failing()
    failing.retries.failed("key", STATE)
    assert not failing.retries.is_waiting("key", FileState(2, 2))
    assert not failing.retries.is_waiting("other", STATE)
    failing.retries.forget("key")
    assert not failing.retries.is_waiting("key", STATE)


def test_too_many_are_forgotten() -> None:
    failing = Failing()
    for key in "abc":
        failing.retries.failed(key, STATE)
        failing.retries.forget_more_than(2)
    assert not failing.retries.is_waiting("a", STATE)
