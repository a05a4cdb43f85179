"""Servers that still work in a folder: left by a site that was killed, ending or stuck."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
END_WITHIN_S: Final = 10.0
NAME: Final = "postgres"
LOCKS: Final = ("postmaster.pid", ".s.PGSQL.5432.lock")


def postgres_in(folder: Path) -> list[int]:
    """Return the PostgreSQL processes whose working folder is this one; none where the system does not tell."""
    with suppress(OSError):
        here = folder.stat()
        return [pid for pid in _processes() if _is_server_in(pid, (here.st_dev, here.st_ino))]
    return []


def wait_until_gone(folder: Path) -> None:
    """Wait until no server works in the folder; after half the time ask once more, at the end insist."""
    started = time.monotonic()
    for number, after_s in ((signal.SIGQUIT, END_WITHIN_S / 2), (signal.SIGKILL, END_WITHIN_S)):
        while left := postgres_in(folder):
            if time.monotonic() - started > after_s:
                _signal(left, number)
                break
            time.sleep(0.02)


def clear_locks(folder: Path) -> None:
    """Remove what names the process of a server that is gone: another process may have its number by now.

    Only after `wait_until_gone`, and only where that could tell.
    """
    if PROC.is_dir() and not postgres_in(folder):
        for name in LOCKS:
            (folder / name).unlink(missing_ok=True)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes() -> Iterator[int]:
    return (int(path.name) for path in PROC.iterdir() if path.name.isdigit())


def _is_server_in(pid: int, folder: tuple[int, int]) -> bool:
    try:
        if (PROC / str(pid) / "comm").read_text(encoding="utf-8").strip() != NAME:
            return False
        there = (PROC / str(pid) / "cwd").stat()
    except OSError:
        return False  # it has ended, or is somebody else's
    return (there.st_dev, there.st_ino) == folder
