"""Percentiles and tables for benchmarks."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Spread(NamedTuple):
    """Median and 99th percentile, in milliseconds."""

    p50_ms: float
    p99_ms: float


def spread(seconds: Sequence[float]) -> Spread:
    """Return the spread of times given in seconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return Spread(1e3 * cuts[49], 1e3 * cuts[98])


def disk_syncs(folder: Path, count: int = 300) -> list[float]:
    """Time the disk's own write and fsync of 4 kB, appended to a file in `folder`."""
    path = folder / "fsync-probe"
    seconds = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(count):
            started = time.perf_counter()
            os.write(handle, bytes(4096))
            os.fsync(handle)
            seconds.append(time.perf_counter() - started)
    finally:
        os.close(handle)
        path.unlink()
    return seconds


def disk_creations(folder: Path, count: int = 300) -> list[float]:
    """Time what the disk needs to keep a new 4 kB file: write, fsync, and fsync of its folder."""
    seconds = []
    for number in range(count):
        path = folder / f"creation-probe-{number}"
        started = time.perf_counter()
        handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(handle, bytes(4096))
        os.fsync(handle)
        os.close(handle)
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(parent)
        os.close(parent)
        seconds.append(time.perf_counter() - started)
    return seconds


def print_spreads(title: str, rows: Sequence[tuple[str, Spread, str]]) -> None:
    """Print a table of spreads, each with a remark."""
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    table.add_column("p50 ms", justify="right")
    table.add_column("p99 ms", justify="right")
    table.add_column("")
    for name, times, remark in rows:
        table.add_row(name, f"{times.p50_ms:.2f}", f"{times.p99_ms:.2f}", remark)
    Console().print(table)
