"""What the kernel says of this computer's clock, and when it is believed."""

import math

import pytest

from streams import machine_clock
from streams.machine_clock import ClockState, clock_state, is_clock_kept


def test_the_kernel_is_asked_and_its_word_is_passed_on_once_the_computer_has_run_for_long() -> None:
    state = clock_state()
    assert is_clock_kept(settling_s=0.0) == (None if state is None else state.is_synchronised)
    assert is_clock_kept(settling_s=math.inf) is not False


@pytest.mark.parametrize(
    ("state", "settling_s", "is_kept"),
    [
        (None, 0.0, None),
        (ClockState(is_synchronised=False, largest_error_s=16.0), 0.0, False),
        (ClockState(is_synchronised=False, largest_error_s=16.0), math.inf, None),
        (ClockState(is_synchronised=True, largest_error_s=0.1), math.inf, True),
    ],
)
def test_a_clock_that_is_still_being_set_is_not_known(
    monkeypatch: pytest.MonkeyPatch, state: ClockState | None, settling_s: float, *, is_kept: bool | None
) -> None:
    monkeypatch.setattr(machine_clock, "clock_state", lambda: state)
    assert is_clock_kept(settling_s) is is_kept
