"""When something in trouble is tried again: later each time."""

import random
import time
from dataclasses import dataclass


def doubled_s(first_s: float, tries: int, most_s: float) -> float:
    """Return how long to wait after so many tries: twice as long each time, up to the longest."""
    return float(min(most_s, first_s * 2 ** min(max(tries - 1, 0), 30)))


@dataclass
class Patience:
    """Counts tries in vain, and says when to try again.

    Parameters
    ----------
    first_s, most_s
        The first wait, doubled each time up to the longest.
    jitter
        By what share of itself a wait may be shorter, at random: nobody is asked in step with others.
    """

    first_s: float
    most_s: float
    jitter: float = 0.0
    tries: int = 0
    until: float = 0.0

    @property
    def waits_s(self) -> float:
        """How long until it may be tried again."""
        return max(0.0, self.until - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether it is time to try."""
        return time.monotonic() >= self.until

    def failed(self, at_least_s: float = 0.0) -> None:
        """Wait longer than the last time, and at least so long."""
        self.tries += 1
        wait_s = doubled_s(self.first_s, self.tries, self.most_s)
        wait_s *= 1.0 - self.jitter * random.random()  # noqa: S311 - jitter
        self.until = time.monotonic() + max(wait_s, at_least_s)

    def succeeded(self) -> None:
        """Begin anew."""
        self.tries, self.until = 0, 0.0
