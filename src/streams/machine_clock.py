"""What the kernel knows of this computer's clock: whether something keeps it right."""

import ctypes
import sys
import time
from typing import Final, NamedTuple

TIME_ERROR: Final = 5
"""What adjtimex answers while nothing keeps the clock (Linux manual page adjtimex(2))."""
MICROSECONDS: Final = 1e-6


class ClockState(NamedTuple):
    """Whether something keeps this computer's clock right, and how far off it may be, in seconds."""

    is_synchronised: bool
    largest_error_s: float


class _Timex(ctypes.Structure):
    """The kernel's ``struct timex`` as far as we read it; the rest is room for it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def clock_state() -> ClockState | None:
    """Ask the kernel, without changing anything; None where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return None
    asked = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else ClockState(answer != TIME_ERROR, asked.maxerror * MICROSECONDS)


def is_clock_kept(settling_s: float) -> bool | None:
    """Return whether something keeps the clock; None where nobody knows, or not for long since the computer started.

    Parameters
    ----------
    settling_s
        So long after the computer's start a time service may still be finding its servers.
    """
    state = clock_state()
    if state is None:
        return None
    is_settling = time.clock_gettime(time.CLOCK_BOOTTIME) < settling_s
    return None if is_settling and not state.is_synchronised else state.is_synchronised
