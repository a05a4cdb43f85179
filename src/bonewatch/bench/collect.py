"""What the front ends take in a second: frames of each serial protocol, syslog messages into a running site's log.

The site runs in this process with the sender beside it in a thread, so both share one interpreter; serial parsers run
alone, on one core. Each syslog line that is counted as durable is a fact of its own: a fault, and then its end.
"""

import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from rich.console import Console
from rich.table import Table

from bonewatch.bench.collect_store import measure_stores, ratio_to_orthanc, show_stores
from bonewatch.bench.figures import disk_syncs, spread
from bonewatch.configuration.loading import parse
from bonewatch.site import Site
from collectors.fault_logs.framing import Message, SyslogFrames
from collectors.fault_logs.syslog import message_from_bytes
from collectors.protocols.items import Reading
from collectors.protocols.known import names, protocol
from streams.messages import FaultCleared, FaultLogged
from streams.site import Receipt

ROUNDS: Final = 3
FRAMES: Final = 20_000
PIECE: Final = 4096
AIM_FRAMES: Final = 50_000
WINDOW: Final = 1_000
"""Datagrams on their way: more than a source's queue holds would be lost, and are meant to be."""
GIVE_UP_S: Final = 120.0

SENT: Final[dict[str, bytes]] = {
    "adam-muw": b"Weight: 80.00 kg\r\n",
    "and-indicator": b"ST,GS,+  4.876kg\r\n",
    "and-standard": b"ST,+00123.45 kg\r\n",
    "detecto-solo": b"12:00,08/07/15,21.5,5'03.0\",132.3lb\r",
    "esc": b"\x1bR\x1bI1234567890\x1bW200.00\x1bH178.70\x1bT5.7\x1bB28.0\x1bNm\x1bE",
    "kern-kcp": b"S S      82.40 kg\r\n",
    "mt-sics": b"S S     100.00 g\r\n",
    "nci": b"\n0154.6lb\r\n00\r\x03",
    "ohaus": b"      70.45 kg  \r\n",
    "rice-lake-print": b"    200.5 kg Gross\r\n",
    "sartorius-sbi": b"+    70.45 kg \r\n",
    "seca-460": b"\x02A0070452010099\r\n\x03",
    "tanita-bc418": b"KS 82.7\r\n",
    "tanita-wb": b'{0,16,~0,1,~1,1,~2,1,MO,"WB-3000",Hm,170.0,Wk,82.7,MI,28.6,CS,FD\r\n\x00',
    "toledo-8217": b"\x02070.45\r",
}
"""A frame of each, as its manual prints it."""

CONFIGURATION: Final = """
[site]
id = "bench"
time_zone = "UTC"
[dicom]
port = 0
[http]
port = 0
[database]
enabled = false
[syslog]
udp_port = 0
tcp_port = 0
[[device]]
id = "scale-1"
kind = "scale"
  [[device.log]]
  address = "127.0.0.1"
  rules = "rules.toml"
  facts_an_hour = 100000000
"""

RULES: Final = """
title = "the benchmark's"
[[rule]]
pattern = 'E(?P<code>[0-9]) (?P<text>.*)'
[[rule]]
pattern = 'R(?P<code>[0-9]) '
action = "clear"
"""


class Rate(NamedTuple):
    """What one part took in."""

    part: str
    taken: int
    per_s: float
    remark: str


def measure(lines: int, objects: int = 0, *, as_json: bool) -> int:
    """Run every part, print the tables; 1 if a line or an object that was sent did not become durable."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rates = [*(_serial(name) for name in names()), _syslog_parsed()]
    with tempfile.TemporaryDirectory(prefix="bonewatch-bench-", dir=Path.cwd()) as folder:
        durable = _syslog_durable(Path(folder), lines)
        stores = measure_stores(Path(folder), objects) if objects else []
        sync = spread(disk_syncs(Path(folder)))
    rates += durable
    if as_json:
        figures = {
            "rates": [rate._asdict() for rate in rates],
            "stores": [rate._asdict() | {"of_orthanc": ratio_to_orthanc(rate, stores)} for rate in stores],
            "disk_sync_ms": sync._asdict(),
        }
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _show(rates)
        if stores:
            show_stores(stores)
        print(f"the disk's own write and fsync of 4 kB: p50 {sync.p50_ms:.2f} ms, p99 {sync.p99_ms:.2f} ms")
    return 0 if all(rate.taken == lines for rate in durable) and all(one.kept == one.sent for one in stores) else 1


def _show(rates: list[Rate]) -> None:
    table = Table(title="taken in by the front ends", title_justify="left")
    for name in ("part", "taken in", "per second", ""):
        table.add_column(name, justify="left" if name in {"part", ""} else "right")
    for rate in rates:
        table.add_row(rate.part, f"{rate.taken}", f"{rate.per_s:,.0f}", rate.remark)
    Console().print(table)


def _best(work: Callable[[], int]) -> tuple[int, float]:
    """Return what a piece of work counts, and the best rate of some rounds."""
    best, count = 0.0, 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        count = work()
        best = max(best, count / (time.perf_counter() - started))
    return count, best


def _serial(name: str) -> Rate:
    data = SENT[name] * FRAMES
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    wanted = len([item for item in protocol(name).parser().feed(SENT[name] * 2) if isinstance(item, Reading)]) // 2

    def read() -> int:
        parser = protocol(name).parser()
        return sum(isinstance(item, Reading) for piece in pieces for item in parser.feed(piece)) // max(1, wanted)

    count, per_s = _best(read)
    return Rate(f"serial {name}", count, per_s, "frames" if per_s >= AIM_FRAMES else f"frames; aim {AIM_FRAMES:,}")


def _syslog_parsed() -> Rate:
    data = b"".join(_line(number) + b"\n" for number in range(FRAMES))
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]

    def read() -> int:
        frames = SyslogFrames()
        items = (item for piece in pieces for item in frames.feed(piece) if isinstance(item, Message))
        return sum(bool(message_from_bytes(item.data).text) for item in items)

    count, per_s = _best(read)
    return Rate("syslog parsed", count, per_s, "RFC 5424 in LF frames")


def _line(number: int) -> bytes:
    word = "RE"[number % 2 == 0]
    return b"<131>1 2026-11-21T20:46:18.151575+00:00 pc apex - - - %b7 line %d of the log" % (word.encode(), number)


def _syslog_durable(folder: Path, lines: int) -> list[Rate]:
    """Send lines by TCP and by UDP to a site; each becomes a fact."""
    (folder / "rules.toml").write_text(RULES)
    site = Site(parse(CONFIGURATION, "the benchmark's configuration"), folder / "var", folder=folder).start()
    try:
        assert site.fault_logs is not None  # noqa: S101 - configured above
        ports = site.fault_logs.ports
        return [
            _sent(site, "syslog TCP, durable", lines, lambda recorded: _by_tcp(ports["tcp"], lines, recorded)),
            _sent(site, "syslog UDP, durable", lines, lambda recorded: _by_udp(ports["udp"], lines, recorded)),
        ]
    finally:
        site.stop()


class _Recorded:
    """Counts facts of logs as they become durable."""

    def __init__(self, wanted: int) -> None:
        self.count, self._wanted = 0, wanted
        self.all = threading.Event()

    def take(self, receipt: Receipt) -> None:
        self.count += sum(isinstance(event.fact, FaultLogged | FaultCleared) for event in receipt.events)
        if self.count >= self._wanted:
            self.all.set()


def _sent(site: Site, part: str, lines: int, send: Callable[[_Recorded], None]) -> Rate:
    recorded = _Recorded(lines)
    unsubscribe = site.engine.subscribe(recorded.take)
    sender = threading.Thread(target=send, args=(recorded,))
    started = time.perf_counter()
    sender.start()
    recorded.all.wait(GIVE_UP_S)
    took = time.perf_counter() - started
    sender.join()
    unsubscribe()
    return Rate(part, recorded.count, recorded.count / took, "lines, each a fact in the site's log")


def _by_tcp(port: int, lines: int, _recorded: _Recorded) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"".join(_line(number) + b"\n" for number in range(lines)))


def _by_udp(port: int, lines: int, recorded: _Recorded) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(lines):
            while number - recorded.count >= WINDOW and time.monotonic() < deadline:
                time.sleep(0.001)
            sender.sendto(_line(lines + number), ("127.0.0.1", port))
