"""Files that may not be read, by root neither: this thread does without root's right to pass permissions over."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_VERSION_3: Final = 0x20080522
_OVERRIDES: Final = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of capabilities(7)."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Take all permissions from a file or folder, until the block ends."""
    mode = path.stat().st_mode
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    _call(_LIBC.capget(header, sets))
    effective = sets[0]
    path.chmod(0)
    sets[0] = effective & ~_OVERRIDES
    _call(_LIBC.capset(header, sets))
    try:
        yield
    finally:
        sets[0] = effective
        _call(_LIBC.capset(header, sets))
        path.chmod(mode)


def _call(failed: int) -> None:
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
