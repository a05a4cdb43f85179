"""Charts and run lengths: how fast they are, against other software and a plain Python loop, in one run.

Everything runs in this process on one core (NumPy's row operations use no threads). Generating the readings is not
timed. Figures of a shared machine: the best of a few rounds stands for what the code can do, the worst is told.
"""

import gc
import importlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from qa_models.cusum import TabularCusum
from qa_models.ewma import EwmaChart
from qa_models.run_length import cusum_arl
from qa_models.run_rules import DXA
from qa_models.shewhart import ShewhartChart

DEVICES: Final = 1_000
SCANS_A_YEAR: Final = 365
YEARS: Final = 10
STREAMED: Final = 200_000
ROUNDS: Final = 5
TARGET: Final = 1.0
SIGMA: Final = 0.005
AIM_REPLAY_S: Final = 2.0
AIM_UPDATES_PER_S: Final = 1e6
AIM_ARL_MS: Final = 5.0
AIM_ARL_ACCURACY: Final = 1e-6

R_RUN_LENGTHS: Final = """
suppressMessages(library(spc))
cases <- read.csv(file("stdin"), header = FALSE)
arl <- function(i) xcusum.arl(cases[i, 1], cases[i, 2], cases[i, 3], sided = "two", r = 60)
took <- system.time(values <- sapply(seq_len(nrow(cases)), arl))[["elapsed"]]
cat(sprintf("%.17g\\n", c(took, values)))
"""


class Timed(NamedTuple):
    """Seconds of the rounds of one thing, and how many readings (or calls) a round has."""

    name: str
    seconds: list[float]
    readings: int

    @property
    def per_s(self) -> float:
        """Readings or calls in a second, at best."""
        return self.readings / min(self.seconds)


def measure(*, as_json: bool) -> int:
    """Measure, print; 1 if an aim is missed."""
    replay = _replay()
    memory = [_peak_mb(years) for years in (1, YEARS)]
    streams = [_timed(name, update) for name, update in _updates()]
    arl, accuracy, r_ms = _run_lengths()
    figures = {
        "replay_s": min(replay.seconds),
        "replay_worst_s": max(replay.seconds),
        "readings": replay.readings,
        "peak_mb_one_year": memory[0],
        "peak_mb_ten_years": memory[1],
        "per_second": {timed.name: timed.per_s for timed in streams},
        "cusum_arl_ms": 1e3 / arl.per_s,
        "cusum_arl_difference_from_r": accuracy,
        "r_spc_arl_ms": r_ms,
    }
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _print(replay, memory, streams, figures)
    met = (
        min(replay.seconds) <= AIM_REPLAY_S,
        streams[0].per_s >= AIM_UPDATES_PER_S,
        1e3 / arl.per_s < AIM_ARL_MS,
        accuracy is None or accuracy <= AIM_ARL_ACCURACY,
    )
    return 0 if all(met) else 1


def _years(years: int) -> Iterator[NDArray[np.float64]]:
    """Yield the readings of all devices, a year at a time."""
    rng = np.random.default_rng(2026)
    for _ in range(years):
        yield rng.normal(TARGET, SIGMA, (DEVICES, SCANS_A_YEAR))


def _replay(years: int = YEARS, rounds: int = 3) -> Timed:
    """Replay every device's readings through three charts, a year at a time, each from where the last one ended."""
    seconds = []
    for _ in range(rounds):
        cusum, ewma = TabularCusum(TARGET, SIGMA), EwmaChart(TARGET, SIGMA, lam=0.1, width=2.814)
        shewhart = ShewhartChart(TARGET, SIGMA, DXA)
        sums = averages = recent = None
        took = 0.0
        for x in _years(years):
            started = time.perf_counter()
            sums = cusum.replay(x, state=sums).states
            averages = ewma.replay(x, state=averages).states
            recent = shewhart.replay(x, state=recent).states
            took += time.perf_counter() - started
        seconds.append(took)
    return Timed("replay", seconds, DEVICES * SCANS_A_YEAR * years)


def _peak_mb(years: int) -> float:
    """Return the largest memory of a process of its own that replays so many years."""
    code = (
        "import resource\nfrom bonewatch.bench.models import _replay\n"
        f"_replay({years}, 1)\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def _updates() -> Iterator[tuple[str, Callable[[float], object]]]:
    """Yield every streaming chart and peer, by what takes one reading."""
    yield "CUSUM update", TabularCusum(TARGET, SIGMA).update
    yield "EWMA update", EwmaChart(TARGET, SIGMA, lam=0.1, width=2.814).update
    yield "Shewhart, DXA rules, update", ShewhartChart(TARGET, SIGMA, DXA).update
    yield "plain Python CUSUM, no checks, no counts", _plain_cusum()
    try:
        drift = importlib.import_module("river.drift")  # a peer that only this measurement needs
    except ImportError:
        return
    yield "river PageHinkley update", drift.PageHinkley().update
    yield "river ADWIN update", drift.ADWIN().update


def _plain_cusum() -> Callable[[float], bool]:
    """Return the least that a CUSUM can be in Python: two sums and a comparison."""
    upper = lower = 0.0

    def update(x: float) -> bool:
        nonlocal upper, lower
        z = (x - TARGET) / SIGMA
        upper = max(0.0, upper + z - 0.5)
        lower = max(0.0, lower - z - 0.5)
        return upper > 5.0 or lower > 5.0

    return update


def _timed(name: str, update: Callable[[float], object]) -> Timed:
    values = np.random.default_rng(2027).normal(TARGET, SIGMA, STREAMED).tolist()
    seconds = []
    gc.disable()  # river's detectors leave garbage; nobody pays for another's
    try:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for value in values:
                update(value)
            seconds.append(time.perf_counter() - started)
            gc.collect()
    finally:
        gc.enable()
    return Timed(name, seconds, STREAMED)


def _run_lengths() -> tuple[Timed, float | None, float | None]:
    """Time run lengths of charts as people choose them; compare with R spc where it is installed."""
    rng = np.random.default_rng(2028)
    cases = [(rng.uniform(0.25, 1), rng.uniform(2, 6), rng.uniform(0, 2)) for _ in range(200)]
    values, seconds = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        values = [cusum_arl(k, h, shift) for k, h, shift in cases]
        seconds.append(time.perf_counter() - started)
    timed = Timed("cusum_arl", seconds, len(cases))
    if shutil.which("Rscript") is None:
        return timed, None, None
    lines = "\n".join(",".join(map(repr, case)) for case in cases)
    done = subprocess.run(["Rscript", "-e", R_RUN_LENGTHS], input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        return timed, None, None
    took, *theirs = map(float, done.stdout.split())
    difference = max(abs(ours / other - 1) for ours, other in zip(values, theirs, strict=True))
    return timed, difference, 1e3 * took / len(cases)


def _print(replay: Timed, memory: list[float], streams: list[Timed], figures: dict[str, object]) -> None:
    best, worst = min(replay.seconds), max(replay.seconds)
    print(f"replay of {YEARS} years x {DEVICES} scanners = {replay.readings / 1e6:.2f} million readings")
    print(f"  Shewhart with DXA rules + CUSUM + EWMA: {best:.2f} s at best, {worst:.2f} s at worst (aim 2 s)")
    print(f"  peak memory of the process: one year {memory[0]:.0f} MB, {YEARS} years {memory[1]:.0f} MB")
    cusum = streams[0].per_s
    table = Table(title="one reading at a time", title_justify="left")
    for name in ("", "readings/s, best", "worst", "CUSUM update is faster by"):
        table.add_column(name, justify="left" if not name else "right")
    for timed in streams:
        worst_rate = timed.readings / max(timed.seconds)
        table.add_row(timed.name, f"{timed.per_s:,.0f}", f"{worst_rate:,.0f}", f"x{cusum / timed.per_s:.2f}")
    Console().print(table)
    print(f"cusum_arl: {figures['cusum_arl_ms']:.2f} ms a call (aim 5 ms)", end="")
    if figures["r_spc_arl_ms"] is None:
        print("; R with spc is not installed: not compared")
    else:
        difference = figures["cusum_arl_difference_from_r"]
        print(f"; R spc {figures['r_spc_arl_ms']:.2f} ms; largest difference {difference:.1e}")
