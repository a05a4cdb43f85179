"""What the machine itself must have: room for the log, and a clock that is kept right."""

import ctypes
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.metrics_core import Metric

from dashboards.metrics.families import plain

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


def machine(data_dir: Path | None) -> Iterable[Metric]:
    """Yield room and clock; what cannot be asked is absent."""
    yield plain("bonewatch_clock_timestamp_seconds", "This computer's clock, to be compared.", time.time())
    if data_dir is not None:
        usage = shutil.disk_usage(data_dir)
        yield plain("bonewatch_data_free_bytes", "Room that is left where the log stands.", usage.free)
        yield plain("bonewatch_data_size_bytes", "Size of the disk on which the log stands.", usage.total)
    state = clock_state()
    if state is not None:
        yield plain(
            "bonewatch_clock_synchronised",
            "Whether something keeps this computer's clock right, as its kernel has it.",
            state.is_synchronised,
        )
        yield plain(
            "bonewatch_clock_largest_error_seconds",
            "How far off this computer's clock may be, as its kernel has it.",
            state.largest_error_s,
        )
