"""The fleet on a real Kafka and a real PostgreSQL: worker, sink and forwarder beside the least that could do the same.

Everything runs on this computer and shares its processors with the broker, so ratios and processor time for a row say
more than rates. Each group begins on topics that are full, with all sites in its hands, at the word go.
"""

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from rich.console import Console
from rich.table import Table

from bonewatch.bench import fleet_parts as parts
from bonewatch.bench.figures import Spread, spread
from bonewatch.bench.fleet_rig import Rig, Run, forward, records_of, running, timed, write_log
from streams.envelope import LogRow, row_from_record
from streams.topics import device_events

AIM_TIMES_FAUST: Final = 2.5
AIM_OVERHEAD_US: Final = 80.0
AIM_SINK_SHARE: Final = 0.5
AIM_RESTART_S: Final = 15.0


class Size(NamedTuple):
    """How much is measured."""

    sites: int
    devices: int
    days: int
    rounds: int
    live_events: int
    held: tuple[int, ...]
    kill: bool = True


FULL: Final = Size(4, 4, 400, 2, 150, (100, 1_000, 10_000))
SHORT: Final = Size(3, 2, 200, 1, 40, (100, 1_000))
TINY: Final = Size(2, 1, 20, 1, 3, (10,), kill=False)
"""Enough to see that the parts run; a kill takes a session's ten seconds."""


class Line(NamedTuple):
    """One figure; `met` is None where there is no aim."""

    what: str
    figure: str
    beside: str
    aim: str = ""
    met: bool | None = None


@dataclass
class Measured:
    """Everything one run found."""

    rows: int = 0
    forwarded_per_s: float = 0.0
    runs: dict[str, list[Run]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    sinks: list[parts.SinkRates] = field(default_factory=list)
    sink_catch_up_per_s: float = 0.0
    seen: parts.Seen = field(default_factory=lambda: parts.Seen([], []))
    restart_s: float = float("nan")
    held: list[parts.Held] = field(default_factory=list)

    def rate(self, kind: str) -> float:
        """Rows a second of the better round."""
        return max(run.per_s for run in self.runs[kind])

    def cpu_us(self, kind: str) -> float:
        """Processor microseconds a row of the better round."""
        return min(run.cpu_us for run in self.runs[kind])


def measure(size: Size, *, as_json: bool) -> int:
    """Measure, print; 1 if an aim is missed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bonewatch-bench-") as folder, running(Path(folder)) as rig:
        measured = _run(rig, size)
    lines = _lines(measured)
    if as_json:
        sys.stdout.write(json.dumps([line._asdict() for line in lines]) + "\n")
    else:
        _print(lines, measured, time.monotonic() - started)
    return 0 if all(line.met is not False for line in lines) else 1


def _run(rig: Rig, size: Size) -> Measured:
    measured = Measured()
    sites = [f"site-{n}" for n in range(size.sites)]
    paths = {site: write_log(rig, site, size.devices, size.days) for site in sites}
    started = time.monotonic()
    measured.rows = sum(forward(rig, site, path) for site, path in paths.items())
    measured.forwarded_per_s = measured.rows / (time.monotonic() - started)
    records = {site: records_of(rig.broker, [device_events(site)])[device_events(site)] for site in sites}
    measured.shares = parts.shares([(site, record) for site in sites for record in records[site]])
    for _ in range(size.rounds):  # interleaved: what else the computer does falls on all alike
        for name, kind, count in (("bare", "bare", 1), ("worker", "worker", 1), ("two workers", "worker", 2)):
            measured.runs.setdefault(name, []).append(timed(rig, kind, sites, measured.rows, count=count))
    for kind in ("faust", "adapter"):
        measured.runs[kind] = [timed(rig, kind, sites, measured.rows)]
    rows = {site: [_row(site, record) for record in records[site]] for site in sites}
    measured.sinks = [parts.sink_rates(rig, rows) for _ in range(size.rounds)]
    device = rows[sites[0]][0].event.device
    like = parts.known_from([row for row in rows[sites[0]] if row.event.device == device])
    measured.held = [parts.held(rig, like, count) for count in size.held]
    if size.kill:
        measured.restart_s = parts.kill_to_ready(rig, sites, measured.rows)
    with parts.sinking(rig) as connect, parts.working(rig, sites):
        measured.sink_catch_up_per_s = parts.caught_up(connect, measured.rows)
        measured.seen = parts.end_to_end(rig, connect, size.live_events)
    return measured


def _row(site: str, record: Any) -> LogRow:
    return row_from_record(site, record.key, record.value, list(record.headers))


def _lines(m: Measured) -> list[Line]:
    times_faust = m.rate("worker") / m.rate("faust")
    overhead = m.cpu_us("worker") - m.cpu_us("bare")
    share = max(rates.sink / rates.copy for rates in m.sinks)
    sink = max(m.sinks, key=lambda rates: rates.sink / rates.copy)
    two = m.rate("two workers") / m.rate("worker")
    return [
        Line(
            "worker",
            f"{m.rate('worker'):,.0f} rows/s",
            f"plain Faust with a Table x{times_faust:.1f}",
            f">= {AIM_TIMES_FAUST:g} times",
            times_faust >= AIM_TIMES_FAUST,
        ),
        Line(
            "worker, processor time",
            f"{m.cpu_us('worker'):.0f} µs/row",
            f"bare loop +{overhead:.0f} µs",
            f"<= {AIM_OVERHEAD_US:g} µs more",
            overhead <= AIM_OVERHEAD_US,
        ),
        *(Line(f"  {name}", f"{cost:.1f} µs/row", "alone, in this process") for name, cost in m.shares.items()),
        *(
            Line(f"  waited in {name}", f"{1e6 * s / m.rows:.1f} µs/row", "wall clock, in the worker")
            for name, s in m.runs["worker"][-1].sections.items()
        ),
        *(
            _peer(m, kind, name)
            for kind, name in (
                ("bare", "bare aiokafka loop, the same fold"),
                ("faust", "plain Faust with a Table"),
                ("adapter", "our desk on Faust"),
            )
        ),
        Line(
            "two workers",
            f"{m.rate('two workers'):,.0f} rows/s",
            f"one worker x{two:.2f}; {_cores(m.runs['two workers'])} cores in use, one {_cores(m.runs['worker'])}",
        ),
        Line(
            "sink",
            f"{sink.sink:,.0f} table rows/s",
            f"bare COPY x{share:.2f}",
            f">= {AIM_SINK_SHARE:g} of COPY",
            share >= AIM_SINK_SHARE,
        ),
        Line("forwarder, after a backlog", f"{m.forwarded_per_s:,.0f} rows/s", "one site after the other"),
        Line("sink, after a backlog", f"{m.sink_catch_up_per_s:,.0f} log rows/s", "from Kafka, a worker beside it"),
        _seen("append to row in the database", m.seen.row),
        _seen("append to outcome on its topic", m.seen.outcome),
        Line(
            "SIGKILL to a survivor at work",
            f"{m.restart_s:.1f} s",
            "session 10 s",
            f"< {AIM_RESTART_S:g} s",
            m.restart_s < AIM_RESTART_S if m.restart_s > 0 else None,
        ),
        *(
            Line(
                f"restore {held.devices:,} devices",
                f"{held.seconds:.2f} s",
                _kilobytes(held.memory_kb_per_device),
            )
            for held in m.held
        ),
    ]


def _peer(m: Measured, kind: str, name: str) -> Line:
    lost = m.rows - m.runs[kind][0].rows
    said = f"{m.cpu_us(kind):.0f} µs/row" + (f"; {lost} rows never came" if lost > 0 else "")
    return Line(name, f"{m.rate(kind):,.0f} rows/s", said)


def _kilobytes(a_device: float) -> str:
    return f"{a_device:.1f} kB a device" if a_device else "less memory than the process had at its start"


def _cores(runs: list[Run]) -> str:
    return f"{statistics.median(run.cpu_s / run.seconds for run in runs):.2f}"


def _seen(what: str, seconds: list[float]) -> Line:
    times = spread(seconds) if len(seconds) > 1 else Spread(float("nan"), float("nan"))
    return Line(what, f"p50 {times.p50_ms:.0f} ms", f"p99 {times.p99_ms:.0f} ms, {len(seconds)} events")


def _print(lines: list[Line], m: Measured, took_s: float) -> None:
    load = os.getloadavg()[0]
    title = (
        f"{m.rows:,} rows; {os.cpu_count()} cores shared with the broker; load at the end {load:.1f}; {took_s:.0f} s"
    )
    table = Table(title=title, title_justify="left")
    for name in ("part", "figure", "beside", "aim", ""):
        table.add_column(name, justify="right" if name == "figure" else "left")
    for line in lines:
        met = {True: "met", False: "[bold red]missed[/]", None: ""}[line.met]
        table.add_row(line.what, line.figure, line.beside, line.aim, met)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
